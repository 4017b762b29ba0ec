"""Whether an answer of OpenDSR is its sender's: RSA over SHA-256 (RS256), against a certificate that the operator gave.

Only that very key is believed. Who issued the certificate and until when it is good are not looked at: whoever sets it up
was given it by the recipient, and replaces it.
"""

import base64
import binascii
import warnings
from functools import lru_cache
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import RSAKey

from server.errors import SettingsError

_LEAST_BITS: Final = 2_048
LONGEST: Final = 64 * 1024
_PRIVATE: Final = "PRIVATE KEY"
_FIRST: Final = ("-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----")
_KEPT: Final = 64


def check_certificate(pem: str) -> None:
    """Refuse what can prove nothing.

    Raises:
        SettingsError: It is no certificate or public key of RSA with at least 2048 bits, or holds a private key.
    """
    if _PRIVATE in pem or len(pem) > LONGEST or not pem.lstrip().startswith(_FIRST) or _key(pem) is None:
        raise SettingsError(
            f"--certificate: must be a file in PEM with a certificate, or public key, of RSA with at least {_LEAST_BITS}"
            " bits, and no private key"
        )


def proven(pem: str, body: bytes, signature: str) -> bool:
    """Whether a signature (Base64) over a body is one of this certificate's key."""
    key = _key(pem)
    if key is None:
        return False
    try:
        made = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(made) and bool(jws.JWSRegistry.algorithms["RS256"].verify(body, made, key))


@lru_cache(_KEPT)
def _key(pem: str) -> RSAKey | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of short keys, which are refused here
            key = RSAKey.import_key(pem)
    except (JoseError, ValueError, TypeError):
        return None
    return key if key.raw_value.key_size >= _LEAST_BITS and not key.is_private else None


__all__ = ["LONGEST", "check_certificate", "proven"]
