"""Event documents, and the journal of batches whose profiles have not heard of them yet. docs/formats/events.md.

An attacker who can write here can remove events, change what is stored of them in clear, and put back what was in the
same place before; a sealed group moved to any other place does not open. Who can read sees when somebody did
something, through which source, and what a tracking plan has stored in clear.

A batch is noted in the journal before its events are inserted and struck off once every profile has heard of them. So
whoever finds a batch of a process that is gone knows what is left to do; marks on the events themselves would cost a
second write of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from customers.profiles.store import Collection
from vault.retry import retrying

Document = dict[str, Any]

EVENTS: Final = "events"
"""The collection's name; part of every sealed group's place, so never changed."""

_AT_ONCE: Final = 100
_ATTEMPTS: Final = 8
_DUPLICATE: Final = 11_000
_CONFLICT: Final = 112
_MOST_BATCHES: Final = 200


class EventStore:
    """Reads and writes the documents; knows nothing of keys or plans."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._events = database[EVENTS]
        # What a majority holds: an event that this sees cannot be lost any more, so its sender may be told so.
        self._settled = self._events.with_options(read_concern=ReadConcern("majority"))
        self._batches = database["event_batches"]
        self._recounts = database["event_recounts"]
        self._profiles = database[Collection.PROFILES]

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._events.create_index([("customer_id", 1), ("at", 1)])

    # ---- events

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Those of these events that are stored, and durably."""
        found = await self._settled.find({"_id": {"$in": list(ids)}}, {"_id": 1}, batch_size=len(ids) + 1).to_list(
            None
        )
        return {each["_id"] for each in found}

    async def insert(self, documents: Sequence[Document]) -> set[str]:
        """Insert events; give the ids of those that are there already, which are left as they are.

        Raises:
            pymongo.errors.PyMongoError: Some may have been inserted.
        """
        there: set[str] = set()
        for start in range(0, len(documents), _AT_ONCE):
            there |= await self._insert(documents[start : start + _AT_ONCE])
        return there

    async def _insert(self, documents: Sequence[Document]) -> set[str]:
        there: set[str] = set()
        waiting = list(documents)
        for attempt in range(_ATTEMPTS):
            try:
                await self._events.insert_many(waiting, ordered=False)
            except BulkWriteError as error:
                faults = error.details["writeErrors"]
                lost = {_DUPLICATE, _CONFLICT}
                if error.details.get("writeConcernErrors") or any(each["code"] not in lost for each in faults):
                    raise
                there |= {waiting[each["index"]]["_id"] for each in faults if each["code"] == _DUPLICATE}
                # Another writer was at the same place at the same moment; neither has said yet that it is there.
                waiting = [waiting[each["index"]] for each in faults if each["code"] == _CONFLICT]
                if waiting and attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
            if not waiting:
                break
        return there

    async def find(self, ids: Sequence[str]) -> list[Document]:
        """These events, in no order."""
        return await self._events.find({"_id": {"$in": list(ids)}}, batch_size=len(ids) + 1).to_list(None)

    async def window(
        self, query: Mapping[str, Any], *, after: datetime, until: datetime, limit: int, projection: Mapping[str, int]
    ) -> list[Document]:
        """The newest `limit` events that match, after one moment and up to another."""
        wanted = {**query, "at": {"$gt": after, "$lte": until}}
        order = [("at", -1), ("_id", -1)]
        return await self._events.find(wanted, projection).sort(order).limit(limit).to_list(None)

    async def at_once(
        self, query: Mapping[str, Any], *, at: datetime, before: str, limit: int, projection: Mapping[str, int]
    ) -> list[Document]:
        """The events of exactly one moment whose ids come before this one, in the order of `window`."""
        wanted = {**query, "at": at, "_id": {"$lt": before}}
        return await self._events.find(wanted, projection).sort([("_id", -1)]).limit(limit).to_list(None)

    async def tally(self, customer_id: str) -> tuple[int, datetime | None, datetime | None]:
        """How many events a customer has, and when the first and the last happened."""
        found = [
            each["at"] for each in await self._events.find({"customer_id": customer_id}, {"at": 1}).to_list(None)
        ]
        return len(found), min(found, default=None), max(found, default=None)

    async def sources_of(self, customer_ids: Sequence[str], among: Iterable[str]) -> set[str]:
        """Those of these sources that an event of one of these customers is from."""
        theirs = {"customer_id": {"$in": list(customer_ids)}}
        return {each for each in sorted(among) if await self._events.find_one({**theirs, "source": each}, {"_id": 1})}

    async def remove(self, customer_ids: Sequence[str]) -> None:
        """Remove every event of these customers, and their names from the journal."""
        mine = {"$in": list(customer_ids)}
        await self._events.delete_many({"customer_id": mine})
        await self._batches.update_many({"customers": mine}, {"$pull": {"customers": mine}})
        await self._recounts.delete_many({"_id": mine})

    async def count(self, profile: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        """Change the counts of the one profile that is as this says; whether there was one."""
        answer = await self._profiles.update_one(profile, change)
        return bool(answer.matched_count)

    async def count_all(self, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> int:
        """Change the counts of many profiles in one command; how many there were.

        Raises:
            pymongo.errors.PyMongoError: Some may have been changed.
        """
        answer = await self._profiles.bulk_write(
            [UpdateOne(dict(profile), dict(change)) for profile, change in changes], ordered=False
        )
        return int(answer.matched_count)

    # ---- the journal

    async def open_batch(
        self, batch: str, process: str, now: datetime, events: Sequence[str], customer_ids: Iterable[str]
    ) -> None:
        """Note that these events are about to be inserted, by this process."""
        await self._batches.insert_one(
            {"_id": batch, "process": process, "at": now, "events": list(events), "customers": list(customer_ids)}
        )

    async def close_batches(self, batches: Sequence[str]) -> None:
        """Note that every profile has heard of these batches."""
        await retrying(lambda: self._batches.delete_many({"_id": {"$in": list(batches)}}))

    async def open_batches(self, *, but: Iterable[str], processes: Iterable[str]) -> list[Document]:
        """Batches that were begun and not struck off, the oldest first, at most two hundred.

        Args:
            but: Batches that are not asked for.
            processes: Processes whose batches are not.
        """
        wanted = {"_id": {"$nin": list(but)}, "process": {"$nin": list(processes)}}
        found = await self._batches.find(wanted).limit(_MOST_BATCHES).to_list(None)
        return sorted(found, key=lambda batch: batch["at"])

    async def any_open(self, customer_id: str) -> bool:
        """Whether a batch with events of this customer is not struck off."""
        return await self._batches.find_one({"customers": customer_id}, {"_id": 1}) is not None

    # ---- counts to be made anew

    async def recount_later(self, customer_id: str, token: str) -> None:
        """Note that a customer's events are to be counted anew; the token tells it from the last time."""
        await retrying(
            lambda: self._recounts.update_one({"_id": customer_id}, {"$set": {"token": token}}, upsert=True)
        )

    async def recounts(self, limit: int) -> list[tuple[str, str]]:
        """Customers whose events are to be counted anew, each with the token."""
        found = await self._recounts.find({}).limit(limit).to_list(None)
        return [(each["_id"], each["token"]) for each in found]

    async def recounted(self, customer_id: str, token: str) -> None:
        """Note that it was done, unless it was asked for again meanwhile."""
        await self._recounts.delete_one({"_id": customer_id, "token": token})
