"""Profile, order and ticket documents in the main database.

An attacker who can write here can remove documents, set clear fields and put sealed groups back that were in the same
place before; a sealed group moved to any other place does not open (docs/formats/envelope.md).

Orders and tickets carry `bucket`, the customer and the ordinal divided by 32, so that the newest few of many
customers are one `$in` on an index, whatever number of orders each has.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from vault.coalescing import Coalescer
from vault.retry import retrying

Document = dict[str, Any]

BUCKET = 32
HEARD = "heard_at"
"""The day on which a customer last signed in to the portal: a field of the profile that nothing shows or filters by."""
_WRITE_CONFLICT = 112
_AT_A_TIME = 1000
_KINDS_KEPT = 256


class Collection(StrEnum):
    """The collections that hold a customer's documents; part of every sealed group's place, so never renamed."""

    PROFILES = "profiles"
    ORDERS = "orders"
    TICKETS = "tickets"


_INDEXES: Mapping[Collection, tuple[tuple[str, ...], ...]] = {
    Collection.PROFILES: (
        ("seq",),
        # Whom a list leaves out, visitors mostly, is left out by the index alone. Kind comes last: with it in front an
        # engine that uses but one equality of an index would read every customer for a page of a hundred.
        ("seq", "kind"),
        ("region", "seq", "kind"),
        ("country", "seq", "kind"),
        ("loyalty_tier", "seq", "kind"),
        ("acquisition_channel", "seq", "kind"),
        ("order_count", "seq", "kind"),
        ("total_spent", "seq", "kind"),
        ("last_order_at", "seq", "kind"),
    ),
    Collection.ORDERS: (("bucket",), ("customer_id",)),
    Collection.TICKETS: (("bucket",), ("customer_id",)),
}


class CustomerStore:
    """Reads and writes the documents; knows nothing of keys, policies or callers."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._database = database
        self._profiles = database[Collection.PROFILES]
        self._counters = database["counters"]
        self._creations = database["creations"]
        self._asked: dict[tuple[str, ...], Coalescer[str, Document]] = {}

    async def prepare(self) -> None:
        """Create the indexes and the counter that are missing."""
        with contextlib.suppress(DuplicateKeyError):
            await self._counters.insert_one({"_id": Collection.PROFILES, "value": 0})
        for collection, indexes in _INDEXES.items():
            for names in indexes:
                await self._database[collection].create_index([(name, 1) for name in names], unique=names == ("seq",))

    async def find(self, customer_ids: Sequence[str], projection: Mapping[str, int] | None = None) -> list[Document]:
        """The profile documents of these customers, in no order, in one query.

        With a projection, few of them share the query with whoever else asks for the same fields now.
        """
        if projection is None:
            return list((await self._fetch(customer_ids, None)).values())
        kind = tuple(projection)
        asked = self._asked.get(kind)
        if asked is None:
            if len(self._asked) >= _KINDS_KEPT:
                self._asked.pop(next(iter(self._asked)))
            asked = self._asked[kind] = Coalescer(partial(self._fetch, projection=dict(projection)))
        # Two who ask for one customer are not given one object.
        return [dict(each) for each in (await asked.get(customer_ids)).values()]

    async def _fetch(self, customer_ids: Iterable[str], projection: Mapping[str, int] | None) -> dict[str, Document]:
        wanted = list(customer_ids)
        query = {"_id": wanted[0] if len(wanted) == 1 else {"$in": wanted}}
        return {each["_id"]: each for each in await self._profiles.find(query, projection).to_list(None)}

    async def find_matching(self, query: Mapping[str, Any], projection: Mapping[str, int]) -> list[Document]:
        """The one profile whose `_id` the query names, if it matches all of it."""
        found = await self._profiles.find_one(query, projection)
        return [] if found is None else [found]

    async def page(
        self, query: Mapping[str, Any], *, after: int, limit: int, projection: Mapping[str, int]
    ) -> list[Document]:
        """Up to `limit` documents that match, in the order they were created, from the sequence number `after`.

        Some engines do not push a limit down, so the window on the sequence number has both ends; it widens fourfold
        until the page is full or the end is reached.
        """
        found: list[Document] = []
        last: int | None = None
        width = 2 * limit
        while len(found) < limit:
            end = after + width
            window = {**query, "seq": {"$gt": after, "$lte": end}}
            cursor = self._profiles.find(window, projection).sort("seq", 1).limit(limit - len(found))
            found += await cursor.to_list(None)
            if last is None and len(found) < limit:
                last = await self.last_sequence()
            if last is not None and end >= last:
                break
            after, width = end, 4 * width
        return found

    async def sorted_page(
        self,
        query: Mapping[str, Any],
        *,
        by: str,
        descending: bool,
        after: tuple[Any, int] | None,
        limit: int,
        projection: Mapping[str, int],
    ) -> list[Document]:
        """Up to `limit` documents in the order of the field `by` and then of creation, from a position in it."""
        direction = -1 if descending else 1
        beyond = "$lt" if descending else "$gt"
        order = [(by, direction), ("seq", direction)]
        queries: list[dict[str, Any]] = [{**query}]
        if after is not None:
            value, seq = after
            held = query.get(by, {})
            queries = [{**query, by: value, "seq": {beyond: seq}}, {**query, by: {**held, beyond: value}}]
        found: list[Document] = []
        for part in queries:
            if len(found) < limit:
                found += (
                    await self._profiles.find(part, projection).sort(order).limit(limit - len(found)).to_list(None)
                )
        return found

    async def newest(
        self, collection: Collection, tops: Mapping[str, int], first: int, projection: Mapping[str, int]
    ) -> dict[str, list[Document]]:
        """The newest `first` documents of each customer, newest first, in one query.

        Args:
            collection: Orders or tickets.
            tops: The highest ordinal to give of each customer, by customer id.
            first: How many of each to give.
            projection: The fields to fetch besides `customer_id` and `ordinal`.
        """
        buckets: list[str] = []
        lowest: dict[str, int] = {}
        for customer_id, top in tops.items():
            if top < 1:
                continue
            bottom = max(1, top - first + 1)
            lowest[customer_id] = bottom
            buckets += [
                bucket_of(customer_id, number * BUCKET) for number in range(bottom // BUCKET, top // BUCKET + 1)
            ]
        found: dict[str, list[Document]] = {customer_id: [] for customer_id in tops}
        if not buckets:
            return found
        # All in one answer: by default a server sends a hundred and one, and then has to be asked again.
        cursor = self._database[collection].find(
            {"bucket": {"$in": buckets}}, projection, batch_size=BUCKET * len(buckets) + 1
        )
        for document in await cursor.to_list(None):
            customer_id, ordinal = document["customer_id"], document["ordinal"]
            if lowest.get(customer_id, ordinal + 1) <= ordinal <= tops[customer_id]:
                found[customer_id].append(document)
        for documents in found.values():
            documents.sort(key=lambda document: -int(document["ordinal"]))
            del documents[first:]
        return found

    async def all_ids(self) -> AsyncIterator[str]:
        """The id of every profile, in order of creation."""
        after = 0
        while documents := await self.page({}, after=after, limit=500, projection={"seq": 1}):
            for document in documents:
                yield document["_id"]
            after = documents[-1]["seq"]

    async def consents(self) -> AsyncIterator[Document]:
        """The rights and present decisions of everybody who is not part of another, a thousand at a time."""
        last = await self.last_sequence()
        for after in range(0, last, _AT_A_TIME):
            wanted = {"seq": {"$gt": after, "$lte": after + _AT_A_TIME}, "merged_into": None}
            for each in await self._profiles.find(wanted, {"rights": 1, "consents": 1}).to_list(None):
                yield each

    async def next_sequence(self, count: int) -> int:
        """Take `count` consecutive sequence numbers and give the first."""
        counter = await self._counters.find_one_and_update(
            {"_id": Collection.PROFILES},
            {"$inc": {"value": count}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        if counter is None:
            raise TypeError("an upsert that returns the document after it always has one")
        return int(counter["value"]) - count + 1

    async def last_sequence(self) -> int:
        """The newest sequence number; there are no more profiles than that."""
        counter = await self._counters.find_one({"_id": Collection.PROFILES})
        return 0 if counter is None else int(counter["value"])

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> None:
        """Insert documents, a hundred at a time."""
        for start in range(0, len(documents), 100):
            await self._database[collection].insert_many(documents[start : start + 100], ordered=True)

    async def update(self, customer_id: str, version: int, change: Mapping[str, Any]) -> bool:
        """Apply `change` to a profile if its version is still `version`; say whether it was applied."""
        result = await self._profiles.update_one(
            {"_id": customer_id, "version": version},
            {**change, "$inc": {"version": 1, **change.get("$inc", {})}},
        )
        return bool(result.matched_count)

    async def heard(self, customer_id: str, at: datetime) -> None:
        """Note that a customer came themselves, to the day: retention counts from when anything was last heard of them."""
        day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        await retrying(lambda: self._profiles.update_one({"_id": customer_id}, {"$max": {HEARD: day}}))

    async def update_many(self, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> int:
        """Apply changes to profiles that are still as they were, in one command; say how many were applied.

        Args:
            changes: Each with the profile as it was (`_id`, `version` and whatever else is counted without a new
                version), and the change, which says what the version is to be.
        """
        updates = [UpdateOne(dict(was), dict(change)) for was, change in changes]
        if not updates:
            return 0
        try:
            answer = await self._profiles.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _WRITE_CONFLICT for fault in error.details["writeErrors"]):
                raise
            return int(error.details["nMatched"])
        return int(answer.matched_count)

    async def move(self, customer_ids: Sequence[str], survivor: str) -> None:
        """Have profiles that are part of another say that they are part of this one."""
        if customer_ids:
            mine = {"_id": {"$in": list(customer_ids)}, "merged_into": {"$ne": None}}
            await self._profiles.update_many(mine, {"$set": {"merged_into": survivor}})

    async def begin(self, customer_ids: Sequence[str], process_id: str, now: datetime) -> None:
        """Note that these customers are about to be created by this process."""
        await self._creations.insert_many([{"_id": each, "process": process_id, "at": now} for each in customer_ids])

    async def finish(self, customer_ids: Sequence[str]) -> None:
        """Note that these customers are wholly there, or wholly gone."""
        await self._creations.delete_many({"_id": {"$in": list(customer_ids)}})

    async def begun(self) -> list[Document]:
        """The creations that were begun and not finished: each with `process` and `at`."""
        return await self._creations.find({}).limit(500).to_list(None)

    async def withdraw(self, customer_ids: Sequence[str]) -> None:
        """Remove the profiles alone, so that no reader sees any while the rest is removed."""
        await self._profiles.delete_many({"_id": {"$in": list(customer_ids)}})

    async def remove(self, customer_ids: Sequence[str]) -> None:
        """Remove every document of these customers; profiles last, so that a half-done removal can be found."""
        mine = {"$in": list(customer_ids)}
        await self._database[Collection.ORDERS].delete_many({"customer_id": mine})
        await self._database[Collection.TICKETS].delete_many({"customer_id": mine})
        await self._profiles.delete_many({"_id": mine})


def bucket_of(customer_id: str, ordinal: int) -> str:
    """The bucket of a customer's order or ticket with this ordinal (counted from 1)."""
    return f"{customer_id}:{ordinal // BUCKET}"
