"""The log's documents: `batches` (audit/batch.py) and `shards`, one entry for each process that ever wrote.

Only ever inserts into `batches`. What an attacker who can write here could achieve: docs/audit.md.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
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

_SHARD_VERSION = 1
_FETCH = 100

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
        async with _database():
            await self._batches.create_index([("shard", 1), ("first", 1)], name="shard_first")
            await self._batches.create_index([("order", 1)], name="order")
            for name in SEARCH_FIELDS:
                await self._batches.create_index([(name, 1), ("order", 1)], name=f"{name}_order")

    async def open_shard(self, shard: str, now: datetime) -> bool:
        """Enter a shard; False when it exists."""
        async with _database():
            try:
                await self._shards.insert_one({"_id": shard, "v": _SHARD_VERSION, "opened_at": timestamp(now)})
            except DuplicateKeyError:
                return False
        return True

    async def close_shard(self, head: Head, now: datetime) -> None:
        """Note where a shard ended."""
        ended = {"closed_at": timestamp(now), "size": head.size, "root": head.root}
        async with _database():
            await self._shards.update_one({"_id": head.shard}, {"$set": ended})

    async def shards(self) -> list[str]:
        """Every shard's id, sorted."""
        async with _database():
            found = await self._shards.find({}, {"_id": 1}).to_list(None)
        return sorted(each["_id"] for each in found)

    async def insert(self, document: Document) -> bool:
        """Insert a batch, durably; False when its `_id` is taken. Nothing is ever overwritten."""
        async with _database():
            try:
                await self._batches.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def read(self, name: str) -> Document | None:
        """The batch with this `_id`."""
        async with _database():
            return await self._batches.find_one({"_id": name})

    async def holding(self, shard: str, index: int) -> Document | None:
        """The last batch of a shard that begins at `index` or before, near enough to hold it."""
        span = {"$gt": index - MAX_RECORDS, "$lte": index}
        async with _database():
            found = await self._batches.find({"shard": shard, "first": span}).sort("first", -1).limit(1).to_list(None)
        return found[0] if found else None

    async def window(self, shard: str, first: int, end: int) -> list[Document]:
        """The batches of a shard that begin at `first` or later and before `end`, in order."""
        span = {"$gte": first, "$lt": end}
        async with _database():
            return await self._batches.find({"shard": shard, "first": span}).sort("first", 1).to_list(None)

    async def following(self, shard: str, first: int) -> int | None:
        """Where the shard's next batch begins, at `first` or later."""
        wanted = {"shard": shard, "first": {"$gte": first}}
        async with _database():
            found = await self._batches.find(wanted, {"first": 1}).sort("first", 1).limit(1).to_list(None)
        return int(found[0]["first"]) if found else None

    async def newest(self, wanted: Mapping[str, Any], *, floor: str, below: str, limit: int) -> list[Document]:
        """At most `limit` of the wanted batches with `floor` ≤ order < `below`, the highest order first."""
        query = {**wanted, "order": {"$gte": floor, "$lt": below}}
        async with _database():
            return await self._batches.find(query).sort("order", -1).limit(limit).to_list(None)

    async def each(self, wanted: Mapping[str, Any]) -> AsyncIterator[Document]:
        """All wanted batches by shard and leaf, a few at a time. The names of all are held in memory."""
        async with _database():
            found = await self._batches.find(dict(wanted), {"_id": 1}).to_list(None)
        names = sorted(each["_id"] for each in found)
        for at in range(0, len(names), _FETCH):
            async with _database():
                chunk = await self._batches.find({"_id": {"$in": names[at : at + _FETCH]}}).to_list(None)
            for document in sorted(chunk, key=lambda each: str(each["_id"])):
                yield document


@contextlib.asynccontextmanager
async def _database() -> AsyncIterator[None]:
    try:
        yield
    except PyMongoError as error:
        # A driver's message can quote a document or an address; its class says enough.
        raise AuditUnavailableError(f"the audit database failed: {type(error).__name__}") from None
