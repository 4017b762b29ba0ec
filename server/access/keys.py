"""An issuer's public keys: what may verify a token, and what in a JWK set is left aside (RFC 7517).

What somebody who can write to an issuer's JWK set could achieve: everything that issuer's tokens can.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from server.errors import IssuerKeysError

VerifyingKey = RSAKey | ECKey | OKPKey

# A set larger than this is not a JWK set anybody publishes.
MAX_SET_BYTES: Final = 262_144
MAX_KEYS: Final = 64
# RFC 7518 §3.3 asks for 2048 bits; above 8192 one forged token would cost milliseconds to refuse.
_RSA_BITS: Final = range(2048, 8193)

_FAMILIES: Final = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("Ed25519", "EdDSA")}
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeySet:
    """The usable keys of one JWK set, found by algorithm and key id."""

    def __init__(self, keys: list[tuple[str | None, frozenset[str], VerifyingKey]]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, document: bytes) -> "KeySet":
        """The keys of `document` that can verify a token.

        A key is left aside when its type, curve or size is not one Confide uses, when `use`, `key_ops` or `alg` say
        that it is for something else, or when it is private or symmetric: that one is no longer a secret.

        Raises:
            IssuerKeysError: It is not a JWK set, is too large, or has no usable key.
        """
        if len(document) > MAX_SET_BYTES:
            raise IssuerKeysError(f"the JWK set is larger than {MAX_SET_BYTES} bytes")
        try:
            found = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise IssuerKeysError("the JWK set is not JSON") from error
        entries = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise IssuerKeysError(f"a JWK set is an object whose `keys` is a list of at most {MAX_KEYS}")
        keys = [key for entry in entries for key in _usable(entry)]
        if not keys:
            raise IssuerKeysError("the JWK set has no public key for signatures of RS256, PS256, ES256 or Ed25519")
        return cls(keys)

    def candidates(self, algorithm: str, kid: str | None) -> list[VerifyingKey]:
        """The keys that a token naming `algorithm` and `kid` may have been signed with.

        Without a key id there must be exactly one key for the algorithm: nothing is tried out.
        """
        fitting = [(name, key) for name, algorithms, key in self._keys if algorithm in algorithms]
        if kid is None:
            return [fitting[0][1]] if len(fitting) == 1 else []
        return [key for name, key in fitting if name == kid]


def _usable(entry: Any) -> Iterator[tuple[str | None, frozenset[str], VerifyingKey]]:
    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return
    kind = entry.get("kty")
    algorithms = _FAMILIES.get(kind, ()) if isinstance(kind, str) else ()
    if entry.get("alg") is not None:
        # RFC 9864 gave EdDSA over Ed25519 the name Ed25519; either may stand on the key and on the token.
        named = {"Ed25519", "EdDSA"} if entry["alg"] in ("Ed25519", "EdDSA") else {entry["alg"]}
        algorithms = tuple(name for name in algorithms if name in named)
    kid = entry.get("kid")
    if not algorithms or not (kid is None or isinstance(kid, str)):
        return
    if entry.get("crv") != _CURVES[kind] if kind in _CURVES else _rsa_bits(entry) not in _RSA_BITS:
        return
    material = {name: entry[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in entry}
    try:
        key = JWKRegistry.import_key(material)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return
    if isinstance(key, RSAKey | ECKey | OKPKey):
        yield kid, frozenset(algorithms), key


def _rsa_bits(entry: dict[str, Any]) -> int:
    """The length of the modulus, before anything is made of it."""
    modulus = entry.get("n")
    if not isinstance(modulus, str):
        return 0
    try:
        return int.from_bytes(base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()
    except ValueError:
        return 0


def _is_for_verifying(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops")
    return (
        not _PRIVATE & entry.keys()
        and entry.get("use") in (None, "sig")
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and isinstance(entry.get("alg"), str | None)
    )
