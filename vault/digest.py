"""Keyed digests: short names for things that come from outside, which tell nobody what they were made of.

Two deliveries of one event have the same digest, so the database itself keeps one of them. Without the service key
nobody can try whether a message id, an order number or a source was among those that were named. BLAKE2b in its keyed
mode (RFC 7693), cut to 16 bytes: two of a trillion digests are equal with a probability below 10^-14. Described in
`docs/formats/events.md`; what goes into a digest may not be reordered or removed.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Never

from vault.envelope import KEY_SIZE, Label, hkdf
from vault.errors import SecretExposedError
from vault.slot import encode_part, encode_parts

__all__ = ["DIGEST_SIZE", "DigestKey"]

DIGEST_SIZE = 16


class DigestKey:
    """Makes the digests of one deployment."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Derive the digest key from a 32-byte service key.

        Raises:
            ValueError: the secret is not 32 bytes.
        """
        if len(secret) != KEY_SIZE:
            raise ValueError("A digest key needs a secret of 32 bytes.")
        self._key = hkdf(secret, Label.DIGEST.encode())

    def digest(self, *parts: str) -> bytes:
        """16 bytes for this list of texts; the first says what they name, so that two uses never share a digest.

        Raises:
            ValueError: a text is not valid Unicode (a lone surrogate).
        """
        return blake2b(encode_parts(*parts), digest_size=DIGEST_SIZE, key=self._key).digest()

    def naming(self, *leading: str) -> Callable[[str], bytes]:
        """What gives the digests of lists that begin with the same texts and end with one more; as `digest`, quicker.

        Raises:
            ValueError: a text is not valid Unicode (a lone surrogate), now or when it is called.
        """
        begun = blake2b(encode_parts(*leading), digest_size=DIGEST_SIZE, key=self._key)

        def digest(last: str) -> bytes:
            state = begun.copy()
            state.update(encode_part(last))
            return state.digest()

        return digest

    def __repr__(self) -> str:
        return "<DigestKey>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError
