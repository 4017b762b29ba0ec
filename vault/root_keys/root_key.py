"""What the key ring file asks of a root key."""

from typing import Protocol


class RootKey(Protocol):
    """A key that wraps the small random key under which the ring file is sealed.

    The file's own key is all that a root key ever sees, so a key service learns nothing of customers, and is
    asked once per start and once per change of the ring, never per read.
    """

    def describe(self) -> str:
        """Which key this is, in words that hold no secret: it stands in clear in the ring file's header."""
        ...

    async def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Wrap at most 4,096 bytes, bound to `context`.

        Raises:
            RootKeyRefusedError: The key's owner does not let us use it.
            RootKeyUnavailableError: The key cannot be reached now; trying again later may help.
        """
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """What `wrap` was given, with the same `context`.

        Raises:
            RootKeyRefusedError: Another key wrapped it, or for another context, or it was changed; or the key's
                owner does not let us use it.
            RootKeyUnavailableError: The key cannot be reached now; trying again later may help.
        """
        ...
