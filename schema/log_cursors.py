"""Places in a search of the access log, as cursors that tell nobody when or where anything was recorded."""

from enum import Enum

import msgspec

from audit import PositionInvalidError
from audit.entry import Position
from schema.context import RequestContext
from schema.errors import CursorInvalidError
from schema.types.access_entry import AccessLogFilter
from vault import TokenInvalidError


class LogCursors:
    """The cursors of one search: sealed, and bound to who searches, why, and by which conditions.

    A place is a time, a shard and a number. Who sees only some entries would learn from it how many others there are
    between two of them.
    """

    def __init__(self, context: RequestContext, given: AccessLogFilter | None) -> None:
        self._vault = context.services.vault
        conditions = {} if given is None else {name: held for name, held in vars(given).items() if held is not None}
        told = {name: held.name if isinstance(held, Enum) else str(held) for name, held in conditions.items()}
        caller, purpose = context.caller, context.access.grant.purpose.name
        self._binding = msgspec.json.encode(
            ["access_log", caller.actor, caller.customer_id, purpose, sorted(told.items())]
        )

    def sealed(self, position: Position) -> str:
        """The cursor of a place."""
        return self._vault.seal_token("cursor", str(position).encode(), self._binding)

    def opened(self, cursor: str) -> Position:
        """The place of a cursor.

        Raises:
            CursorInvalidError: It is none of this search.
        """
        try:
            return Position.parse(self._vault.open_token("cursor", cursor, self._binding).decode())
        except (TokenInvalidError, PositionInvalidError, ValueError):
            raise CursorInvalidError from None


__all__ = ["LogCursors"]
