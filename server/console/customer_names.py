"""Names for customers that addresses may hold: sealed, good for one actor, and saying nothing to anybody else.

A customer's number never stands in an address, because addresses end up in histories, bookmarks and proxies' logs. A name
needs no memory of the server's: every server of a deployment understands it, and after a restart too.
"""

from typing import Final, Protocol

from server.console.errors import NoSuchPageError
from vault import TokenInvalidError

_PURPOSE: Final = "console_customer"


class Seals(Protocol):
    """What makes and opens the names: a `vault.Vault`."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """A token that nobody else can read or make."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """What is in it."""


class CustomerNames:
    """Gives names and understands them."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def name(self, actor: str, customer_id: str) -> str:
        """A name that this actor alone may use."""
        return self._seals.seal_token(_PURPOSE, customer_id.encode(), actor.encode())

    def customer(self, actor: str, name: str) -> str:
        """The customer whom a name is of.

        Raises:
            NoSuchPageError: It was given to somebody else, or to nobody.
        """
        try:
            return self._seals.open_token(_PURPOSE, name, actor.encode()).decode()
        except (TokenInvalidError, UnicodeError):
            raise NoSuchPageError("This address was made for somebody else. Look the customer up again.") from None


__all__ = ["CustomerNames", "Seals"]
