"""The blind index: which customer an identifier belongs to, for those who can compute its token.

One row for each identifier and live epoch, in the main database; `_id` is the token, so the database itself holds an
identifier to one customer. Without the index keys a row tells nothing but which customer has one of which kind.

Where one customer was merged into another, the rows lead to the survivor and say in `of` whose document holds the
value: a look-up costs no more for it, and whoever is erased takes their own rows with them.

What one who can write here could do: withhold an identifier, or point it at another customer, whose profile is then
found under it. They cannot learn an identifier.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from pymongo import UpdateMany
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from vault.errors import IdentifierTakenError, LeaseLostError
from vault.retry import retrying
from vault.tokens import BlindTokens

__all__ = ["BlindIndex", "Claim"]

_ATTEMPTS = 8
_LOST_RACES = frozenset({11_000, 112})
"""A duplicate key; a conflict of two writers."""
_MARK_SIZE = 8
# What is asked for in one query. Some engines take time by the square of what they find.
_AT_ONCE = 100

Marks = frozenset[bytes | None]
"""What marked the rows of an identifier at one moment; None marks rows from before there were marks."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An identifier that shall be, or is, a customer's."""

    index: str
    value: str
    customer_id: str


class BlindIndex:
    """The rows of `blind_index`; their fields are described in `docs/formats/key-records.md`."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        check_reading: Callable[[], None],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Nothing is read yet; `use` gives it the index keys.

        Args:
            database: The main database.
            now: The time, for `claimed_at`.
            check_reading: Returns when this process is inside a `reading` block, raises otherwise.
            random: Gives random bytes, for the marks.
        """
        self._rows = database["blind_index"]
        self._now = now
        self._check_reading = check_reading
        self._random = random
        self._tokens: BlindTokens | None = None

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._rows.create_index("customer_id")
        await self._rows.create_index("of", sparse=True)
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
        """As `claim_many`, for one."""
        await self.claim_many([Claim(index, value, customer_id)])

    async def claim_many(self, claims: Iterable[Claim]) -> None:
        """Make each identifier its customer's, in every live epoch: all of them, or none.

        Claiming one's own again does nothing. Inside the `reading` block in which the customer's key was found
        active or was created: an erasure waits for it, and so leaves no row behind. One insert for each live epoch,
        however many claims.

        Raises:
            IdentifierTakenError: Another customer has one of them, or two of the claims are for the same one.
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: A value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
            FleetError: It is not inside a `reading` block.
        """
        self._check_reading()
        epochs = self._held().epochs
        tokens = [(claim, self.tokens(claim.index, claim.value)) for claim in claims]
        made: list[bytes] = []
        mark = self._random(_MARK_SIZE)
        try:
            # The oldest first: while epochs change, everybody meets at the same row.
            for position in reversed(range(len(epochs))):
                rows = [self._row(claim, each[position], epochs[position], mark) for claim, each in tokens]
                await self._insert(rows, made)
        except (IdentifierTakenError, PyMongoError):
            with contextlib.suppress(PyMongoError):
                await self._rows.delete_many({"_id": {"$in": made}})
            raise

    async def confirm_many(self, claims: Iterable[Claim]) -> None:
        """Claim again what a customer has been given meanwhile, and mark it anew, in every live epoch.

        Who saw it before does not release it after this.

        Raises:
            IdentifierTakenError: Another customer has one of them by now.
            As `claim_many`.
        """
        claims = list(claims)
        if not claims:
            return
        mark = self._random(_MARK_SIZE)
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self.claim_many(claims)
            owners = {token: claim.customer_id for claim in claims for token in self.tokens(claim.index, claim.value)}
            owned = {"_id": {"$in": list(owners)}, "customer_id": {"$in": sorted(set(owners.values()))}}
            answer = await retrying(partial(self._rows.update_many, owned, {"$set": {"mark": mark}}))
            if answer.matched_count == len(owners) and (
                # Of one customer's the database has seen to it; of several's, that none took another's is looked at.
                len(set(owners.values())) == 1 or await self._owned(owners)
            ):
                return
        raise IdentifierTakenError

    async def _owned(self, owners: Mapping[bytes, str]) -> bool:
        found = {bytes(row["_id"]): row["customer_id"] for row in await self._of(owners)}
        return found == owners

    def _row(self, claim: Claim, token: bytes, epoch: int, mark: bytes) -> dict[str, Any]:
        return {
            "_id": token,
            "customer_id": claim.customer_id,
            "name": str(claim.index),
            "epoch": epoch,
            "claimed_at": self._now(),
            "mark": mark,
            "moved": epoch != self._held().epochs[0],
        }

    async def _insert(self, rows: list[dict[str, Any]], made: list[bytes]) -> None:
        """Insert the rows that their customers do not have yet; `made` gets the tokens of those that are new."""
        for _ in range(_ATTEMPTS):
            if not rows:
                return
            try:
                await self._rows.insert_many(rows, ordered=False)
                refused: list[dict[str, Any]] = []
            except BulkWriteError as error:
                faults = error.details["writeErrors"]
                refused = [rows[fault["index"]] for fault in faults]
                if any(fault["code"] not in _LOST_RACES for fault in faults):
                    raise
            waiting = {row["_id"] for row in refused}
            # By identity: of two rows with the same token, one is made and one refused.
            not_made = {id(row) for row in refused}
            made += [row["_id"] for row in rows if id(row) not in not_made]
            holders = {row["_id"]: row["customer_id"] for row in await self._of(waiting)} if waiting else {}
            for row in refused:
                if holders.get(row["_id"], row["customer_id"]) != row["customer_id"]:
                    raise IdentifierTakenError
            # What nobody holds was released this very moment, or met another writer.
            rows = [row for row in refused if row["_id"] not in holders]
        raise IdentifierTakenError

    async def _of(self, tokens: Collection[bytes]) -> list[dict[str, Any]]:
        wanted = list(tokens)
        rows: list[dict[str, Any]] = []
        for start in range(0, len(wanted), _AT_ONCE):
            chunk = wanted[start : start + _AT_ONCE]
            rows += await self._rows.find({"_id": {"$in": chunk}}).to_list(None)
        return rows

    async def find(self, index: str, value: str) -> str | None:
        """The id of the customer whose identifier this is, or None; one query.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        return (await self.find_many([(index, value)])).get((index, value))

    async def find_many(self, identifiers: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The ids of the customers whose identifiers these are; one query for each hundred. What nobody has is absent.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: A value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        tokens = {identifier: self.tokens(*identifier) for identifier in identifiers}
        if not tokens:
            return {}
        holders = {
            bytes(row["_id"]): str(row["customer_id"])
            for row in await self._of([token for each in tokens.values() for token in each])
        }
        found = {}
        for identifier, newest_first in tokens.items():
            holder = next((holders[token] for token in newest_first if token in holders), None)
            if holder is not None:
                found[identifier] = holder
        return found

    async def holder(self, tokens: Sequence[bytes]) -> str | None:
        """The id of the customer who holds an identifier of which only the tokens are known, newest first; one query.

        For who asked for something under an identifier, and is not to be told whether anybody has it.
        """
        rows = {bytes(row["_id"]): str(row["customer_id"]) for row in await self._of(tokens)}
        return next((rows[token] for token in tokens if token in rows), None)

    async def release(self, index: str, value: str, customer_id: str) -> None:
        """Give one identifier up, where it is this customer's; as `release_many`."""
        await self.release_many(await self.seen([Claim(index, value, customer_id)]))

    async def seen(self, claims: Iterable[Claim]) -> dict[Claim, Marks]:
        """What marks the rows of each identifier now, where it is its customer's; one query.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: A value cannot be an identifier of that kind.
            LeaseLostError: This process holds no keys.
        """
        tokens = {claim: self.tokens(claim.index, claim.value) for claim in claims}
        rows = {
            bytes(row["_id"]): row for row in await self._of({token for each in tokens.values() for token in each})
        }
        found: dict[Claim, Marks] = {}
        for claim, each in tokens.items():
            mine = [row for token in each if (row := rows.get(token)) and row["customer_id"] == claim.customer_id]
            if mine:
                found[claim] = frozenset(row.get("mark") for row in mine)
        return found

    async def release_many(self, seen: Mapping[Claim, Marks]) -> None:
        """Give each identifier up, unless it was confirmed after it was seen so; one call for each identifier.

        Raises:
            LeaseLostError: This process holds no keys.
        """
        for claim, marks in seen.items():
            tokens = self.tokens(claim.index, claim.value)
            await self._rows.delete_many(
                {"_id": {"$in": tokens}, "customer_id": claim.customer_id, "mark": {"$in": list(marks)}}
            )

    async def release_all(self, *customer_ids: str) -> None:
        """Give up every identifier that these customers' own documents hold, in every epoch; needs no keys."""
        if customer_ids:
            mine = {"$in": list(customer_ids)}
            await self._rows.delete_many({"customer_id": mine, "of": None})
            await self._rows.delete_many({"of": mine})

    # ---- merges

    async def lead_to(self, survivors: Mapping[str, str]) -> None:
        """Have what finds customers find others from now on; can be repeated.

        Args:
            survivors: Whom to find instead, by customer.
        """
        await self._all_of(
            change
            for customer_id, survivor in survivors.items()
            for change in (
                UpdateMany({"customer_id": customer_id, "of": {"$ne": None}}, {"$set": {"customer_id": survivor}}),
                UpdateMany(
                    {"customer_id": customer_id, "of": None}, {"$set": {"customer_id": survivor, "of": customer_id}}
                ),
            )
        )

    async def lead_back(self, customer_id: str, parts: Sequence[str]) -> None:
        """Have what a customer's own documents hold find them again; can be repeated.

        Args:
            customer_id: Whom to find again.
            parts: Others who had been merged into this one before: what finds them finds this one.
        """
        await self._all_of(
            (
                UpdateMany({"of": customer_id}, {"$set": {"customer_id": customer_id}, "$unset": {"of": ""}}),
                *(UpdateMany({"of": part}, {"$set": {"customer_id": customer_id}}) for part in parts),
            )
        )

    async def _all_of(self, changes: Iterable[UpdateMany]) -> None:
        """Make changes that can be repeated, in one command."""
        held = list(changes)
        for attempt in range(_ATTEMPTS):
            try:
                if held:
                    await self._rows.bulk_write(held, ordered=False)
            except BulkWriteError as error:
                lost = all(fault["code"] in _LOST_RACES for fault in error.details["writeErrors"])
                if not lost or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

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
