"""The blind index: which customer an identifier belongs to, for those who can compute its token.

One row for each identifier and live epoch, in the main database; `_id` is the token, so the database itself holds an
identifier to one customer. Without the index keys a row tells nothing but which customer has one of which kind.

What one who can write here could do: withhold an identifier, or point it at another customer, whose profile is then
found under it. They cannot learn an identifier.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from vault.errors import IdentifierTakenError, LeaseLostError
from vault.retry import retrying
from vault.tokens import BlindTokens

__all__ = ["BlindIndex"]

_ATTEMPTS = 8


class BlindIndex:
    """The rows of `blind_index`: `_id` (token), `customer_id`, `name`, `epoch`, `claimed_at`, `moved`, `pending`."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        check_reading: Callable[[], None],
    ) -> None:
        """Nothing is read yet; `use` gives it the index keys.

        Args:
            database: The main database.
            now: The time, for `claimed_at`.
            check_reading: Returns when this process is inside a `reading` block, raises otherwise.
        """
        self._rows = database["blind_index"]
        self._now = now
        self._check_reading = check_reading
        self._tokens: BlindTokens | None = None

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._rows.create_index("customer_id")
        await self._rows.create_index([("epoch", 1), ("moved", 1)])

    def use(self, tokens: BlindTokens | None) -> None:
        """Compute tokens by these keys from now on, or by none."""
        self._tokens = tokens

    def tokens(self, index: str, value: str) -> list[bytes]:
        """The tokens of a value in every live epoch, newest first.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        return self._held().tokens(index, value)

    async def claim(self, index: str, value: str, customer_id: str) -> None:
        """Make the identifier this customer's, in every live epoch. Claiming one's own again does nothing.

        Inside the `reading` block in which the customer's key was found active: an erasure waits for it, and so
        leaves no row behind.

        Raises:
            IdentifierTakenError: Another customer has it; nothing was changed.
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
            FleetError: It is not inside a `reading` block.
        """
        self._check_reading()
        held = self._held()
        made: list[bytes] = []
        # The oldest first: while epochs change, everybody meets at the same row.
        for epoch, token in reversed(list(zip(held.epochs, held.tokens(index, value), strict=True))):
            row = {
                "_id": token,
                "customer_id": customer_id,
                "name": str(index),
                "epoch": epoch,
                "claimed_at": self._now(),
                "moved": epoch != held.epochs[0],
            }
            try:
                if await self._insert(row):
                    made.append(token)
            except IdentifierTakenError:
                if made:
                    await self._rows.delete_many({"_id": {"$in": made}, "customer_id": customer_id})
                raise

    async def _insert(self, row: dict[str, Any]) -> bool:
        """Whether the row is new; False when the customer has it already."""
        for _ in range(_ATTEMPTS):
            try:
                await self._rows.insert_one(row)
            except DuplicateKeyError:
                holder = await self._rows.find_one({"_id": row["_id"]})
                if holder is None:
                    continue  # released this very moment
                if holder["customer_id"] != row["customer_id"]:
                    raise IdentifierTakenError from None
                return False
            else:
                return True
        raise IdentifierTakenError

    async def find(self, index: str, value: str) -> str | None:
        """The id of the customer whose identifier this is, or None; one query.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        rows = await self._rows.find({"_id": {"$in": self.tokens(index, value)}}).to_list(None)
        newest = max(rows, key=lambda row: row["epoch"], default=None)
        return None if newest is None else str(newest["customer_id"])

    async def release(self, index: str, value: str, customer_id: str) -> None:
        """Give the identifier up, where it is this customer's.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        await self._rows.delete_many({"_id": {"$in": self.tokens(index, value)}, "customer_id": customer_id})

    async def release_all(self, customer_id: str) -> None:
        """Give up every identifier of this customer, in every epoch; needs no keys."""
        await self._rows.delete_many({"customer_id": customer_id})

    # ---- rotation of the index keys

    async def forget_pending(self) -> None:
        """Remove the rows of a move that never came to its end."""
        await self._rows.delete_many({"epoch": self._held().epochs[0], "pending": True})

    async def move(self, customer_id: str, index: str, value: str) -> None:
        """Write the row of the newest epoch for an identifier that has one in an older epoch.

        The row stands as pending until the older one is seen again, so that an identifier released or a customer
        erased meanwhile leaves nothing behind.
        """
        held = self._held()
        newest, *older = held.tokens(index, value)
        owned = {"_id": {"$in": older}, "customer_id": customer_id}
        row = await self._rows.find_one(owned)
        if row is None:
            return
        with contextlib.suppress(DuplicateKeyError):
            moved = {**row, "_id": newest, "epoch": held.epochs[0], "moved": False, "pending": True}
            await self._rows.insert_one(moved)
        answer = await retrying(partial(self._rows.update_many, owned, {"$set": {"moved": True}}))
        pending = {"_id": newest, "customer_id": customer_id, "pending": True}
        if answer.matched_count:
            await retrying(partial(self._rows.update_one, pending, {"$unset": {"pending": ""}}))
        else:
            await self._rows.delete_one(pending)

    async def any_left_behind(self) -> bool:
        """Whether a row of an older epoch was not moved to the newest."""
        for epoch in self._held().epochs[1:]:
            if await self._rows.find_one({"epoch": epoch, "moved": False}) is not None:
                return True
        return False

    async def drop_before(self, epoch: int) -> None:
        """Remove the rows of every epoch before this one."""
        await self._rows.delete_many({"epoch": {"$lt": epoch}})

    def _held(self) -> BlindTokens:
        if self._tokens is None:
            raise LeaseLostError("this process holds no index keys")
        return self._tokens
