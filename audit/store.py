"""The log's documents: `batches` (audit/batch.py, audit/end.py) and `shards`, numbered from 1 without gaps.

Only ever inserts into `batches`. What an attacker who can write here could achieve: docs/audit.md.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from audit.batch import MAX_RECORDS, SEARCH_FIELDS
from audit.entry import Head
from audit.errors import AuditUnavailableError
from audit.record import timestamp

_SHARD_VERSION = 2
_FETCH = 100
_TREE_FIELDS = ("shard", "first", "size", "root", "edge", "leaves", "end", "v")  # all of a batch but what it records

Document = dict[str, Any]
Collection = AsyncCollection[Document]


class BatchStore:
    """The stored batches. Every method raises AuditUnavailableError when the database fails."""

    def __init__(self, batches: Collection, shards: Collection) -> None:
        self._batches = batches
        self._shards = shards

    @classmethod
    def over(cls, database: AsyncDatabase[Document]) -> "BatchStore":
        """The store in `database`: writes wait for a majority's journals, reads see only what a majority holds."""
        # Reading one's own write back must not show what a failover could still take away.
        concerns: dict[str, Any] = {
            "write_concern": WriteConcern(w="majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        return cls(database.get_collection("batches", **concerns), database.get_collection("shards", **concerns))

    async def prepare(self) -> None:
        """Create the indexes; a second time changes nothing."""
        async with database_errors():
            await self._batches.create_index([("shard", 1), ("first", 1)], name="shard_first")
            await self._batches.create_index([("order", 1)], name="order")
            for name in SEARCH_FIELDS:
                await self._batches.create_index([(name, 1), ("order", 1)], name=f"{name}_order")
            # Shards of version 1 have no number until they are given one, just below.
            await self._shards.create_index([("number", 1)], name="number", unique=True, sparse=True)
            without = await self._shards.find({"v": 1}, {"opened_at": 1}).to_list(None)
            for each in sorted(without, key=lambda each: (each["opened_at"], each["_id"])):
                await self._number(each["_id"])

    async def open_shard(self, shard: str, now: datetime) -> bool:
        """Enter a shard under the next number; False when it exists."""
        async with database_errors():
            number = await self._highest() + 1
            while True:
                document = {"_id": shard, "v": _SHARD_VERSION, "number": number, "opened_at": timestamp(now)}
                try:
                    await self._shards.insert_one(document)
                except DuplicateKeyError:
                    if await self._shards.find_one({"_id": shard}) is not None:
                        return False
                    number += 1  # taken meanwhile, so that there is no gap
                else:
                    return True

    async def _number(self, shard: str) -> None:
        """Give a shard of version 1 the next number, unless another process has."""
        number = await self._highest() + 1
        while True:
            change = {"$set": {"number": number, "v": _SHARD_VERSION}}
            try:
                await self._shards.update_one({"_id": shard, "v": 1}, change)
            except DuplicateKeyError:
                number += 1
            else:
                return

    async def _highest(self) -> int:
        found = (
            await self._shards.find({"number": {"$gt": 0}}, {"number": 1}).sort("number", -1).limit(1).to_list(None)
        )
        return int(found[0]["number"]) if found else 0

    async def close_shard(self, head: Head, now: datetime) -> None:
        """Note where a shard ended. What ends it is the document among the batches; this is for people."""
        ended = {"closed_at": timestamp(now), "size": head.size, "root": head.root}
        async with database_errors():
            await self._shards.update_one({"_id": head.shard}, {"$set": ended})

    async def shards(self) -> list[str]:
        """Every shard's id, sorted."""
        async with database_errors():
            found = await self._shards.find({}, {"_id": 1}).to_list(None)
        return sorted(str(each["_id"]) for each in found)

    async def numbered(self, above: int = 0) -> list[tuple[int, str]]:
        """The numbers above this one with their shards' ids, in order."""
        async with database_errors():
            found = await self._shards.find({"number": {"$gt": above}}, {"number": 1}).to_list(None)
        return sorted((int(each["number"]), str(each["_id"])) for each in found)

    async def strays(self, shards: Sequence[str]) -> list[Document]:
        """Some of the documents that are of none of these shards, or at a place that no shard has."""
        found: list[Document] = []
        for wanted in ({"shard": {"$nin": list(shards)}}, {"first": {"$not": {"$gte": 0}}}):
            async with database_errors():
                found += await self._batches.find(wanted, {"shard": 1, "first": 1}).limit(_FETCH).to_list(None)
        return found

    async def insert(self, document: Document) -> bool:
        """Insert a batch, durably; False when its `_id` is taken. Nothing is ever overwritten."""
        async with database_errors():
            try:
                await self._batches.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def read(self, name: str) -> Document | None:
        """The batch with this `_id`."""
        async with database_errors():
            return await self._batches.find_one({"_id": name})

    async def holding(self, shard: str, index: int) -> Document | None:
        """The last batch of a shard that begins at `index` or before, near enough to hold it."""
        span = {"$gt": index - MAX_RECORDS, "$lte": index}
        async with database_errors():
            found = await self._batches.find({"shard": shard, "first": span}).sort("first", -1).limit(1).to_list(None)
        return found[0] if found else None

    async def window(self, shard: str, first: int, end: int) -> list[Document]:
        """The batches of a shard that begin at `first` or later and before `end`, in order."""
        span = {"$gte": first, "$lt": end}
        async with database_errors():
            return await self._batches.find({"shard": shard, "first": span}).sort("first", 1).to_list(None)

    async def tree_window(self, shard: str, first: int, end: int) -> list[Document]:
        """As `window`, without the records and what they are searched by."""
        span = {"$gte": first, "$lt": end}
        async with database_errors():
            found = self._batches.find({"shard": shard, "first": span}, _TREE_FIELDS).sort("first", 1)
            return await found.to_list(None)

    async def tree_holding(self, shard: str, index: int) -> Document | None:
        """As `holding`, without the records and what they are searched by."""
        span = {"$gt": index - MAX_RECORDS, "$lte": index}
        async with database_errors():
            found = self._batches.find({"shard": shard, "first": span}, _TREE_FIELDS).sort("first", -1).limit(1)
            documents = await found.to_list(None)
        return documents[0] if documents else None

    async def ends(self, names: Sequence[str]) -> list[Document]:
        """Those of the documents with these `_id`s that are ends."""
        found: list[Document] = []
        for at in range(0, len(names), _FETCH):
            async with database_errors():
                wanted = {"_id": {"$in": list(names[at : at + _FETCH])}}
                found += await self._batches.find(wanted, _TREE_FIELDS).to_list(None)
        return [each for each in found if "end" in each]

    async def following(self, shard: str, first: int) -> int | None:
        """Where the shard's next batch begins, at `first` or later."""
        wanted = {"shard": shard, "first": {"$gte": first}}
        async with database_errors():
            found = await self._batches.find(wanted, {"first": 1}).sort("first", 1).limit(1).to_list(None)
        return int(found[0]["first"]) if found else None

    async def newest(
        self, wanted: Sequence[Mapping[str, Any]], *, floor: str, below: str, limit: int
    ) -> list[Document]:
        """At most `limit` of the batches with `floor` ≤ order < `below`, the highest order first.

        Args:
            wanted: What finds batches; one that several of these filters find is given once.
            floor: The lowest order.
            below: Above the highest order.
            limit: How many to give.
        """
        found: list[Document] = []
        for each in wanted:
            query = {**each, "order": {"$gte": floor, "$lt": below}}
            async with database_errors():
                found += await self._batches.find(query).sort("order", -1).limit(limit).to_list(None)
        if len(wanted) > 1:
            once = {each["_id"]: each for each in found}
            found = sorted(once.values(), key=lambda each: str(each["order"]), reverse=True)[:limit]
        return found

    async def each(self, wanted: Mapping[str, Any]) -> AsyncIterator[Document]:
        """All wanted batches by shard and leaf, a few at a time. The names of all are held in memory."""
        async with database_errors():
            found = await self._batches.find(dict(wanted), {"_id": 1}).to_list(None)
        names = sorted(each["_id"] for each in found)
        for at in range(0, len(names), _FETCH):
            async with database_errors():
                chunk = await self._batches.find({"_id": {"$in": names[at : at + _FETCH]}}).to_list(None)
            for document in sorted(chunk, key=lambda each: str(each["_id"])):
                yield document


@contextlib.asynccontextmanager
async def database_errors() -> AsyncIterator[None]:
    """Whatever the driver raises becomes AuditUnavailableError."""
    try:
        yield
    except PyMongoError as error:
        # A driver's message can quote a document or an address; its class says enough.
        raise AuditUnavailableError(f"the audit database failed: {type(error).__name__}") from None
