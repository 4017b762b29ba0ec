"""A root key whose bytes this process holds; where they come from is its providers' matter."""

import base64
import binascii
from collections.abc import Callable

from vault.envelope import KEY_SIZE, Label, SealingKey, hkdf
from vault.errors import EnvelopeError, RootKeyMissingError, RootKeyRefusedError


class LocalRootKey:
    """Seals with AES-256-GCM under a key derived from 32 secret bytes, which are not kept."""

    def __init__(self, secret: bytes, provider: str, *, random: Callable[[int], bytes]) -> None:
        """Derive from 32 bytes.

        Args:
            secret: The root key.
            provider: How `describe` names where it came from.
            random: Gives random bytes.
        """
        self._key = SealingKey(secret, Label.ROOT, random=random)
        self._description = f"{provider}:{hkdf(secret, Label.FINGERPRINT.encode(), 8).hex()}"

    def describe(self) -> str:
        """The provider, and 16 digits that tell this key from others and nothing else of it."""
        return self._description

    async def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """As `RootKey.wrap`."""
        return self._key.seal(plaintext, context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As `RootKey.unwrap`."""
        try:
            return self._key.open(wrapped, context)
        except EnvelopeError:
            raise RootKeyRefusedError("this root key did not wrap the ring file") from None

    def __repr__(self) -> str:
        return f"<root key {self._description}>"


def root_key_bytes(text: str) -> bytes:
    """The 32 bytes that `root_key_text` wrote; spaces and line ends around them are allowed.

    Raises:
        RootKeyMissingError: It is not the base64 text of exactly 32 bytes.
    """
    try:
        secret = base64.b64decode(text.strip().encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_SIZE:
        raise RootKeyMissingError("a root key is the base64 text of 32 bytes; this is something else")
    return secret


def root_key_text(random: Callable[[int], bytes]) -> str:
    """A new root key of 32 random bytes, as base64 text."""
    return base64.b64encode(random(KEY_SIZE)).decode()
