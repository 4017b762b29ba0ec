"""What is kept by law of people who were erased: the collection `retained`, docs/formats/retained.md.

Each record is sealed under the key of a *retention id*, `ret_…`, which has a key record and a leaf of its own: all
records of one person that one rule keeps until the same moment share one. Neither id leads to the person: both are
computed with the person's key, which is destroyed.

A record is `held` until the erasure it comes from is finished, and then `kept`; nobody is shown one that is held. One who
can write here can remove records, or put back older ones of the same place.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo import ReplaceOne, ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase

COLLECTION = "retained"
"""Part of every sealed record's place, so never renamed."""
GROUP = "record"
SCHEMA_VERSION = 1
_AT_ONCE = 100


class RetainedState(StrEnum):
    """How a record stands. The values are stored; they may not be changed or reused."""

    HELD = "held"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Retained:
    """A record that is kept: its id, its key's id, the rule, the object, until when, and what is sealed."""

    id: str
    key: str
    seq: int
    rule: str
    object: str
    law: str
    until: datetime
    sealed: Mapping[str, bytes]


class RetainedStore:
    """Reads and writes the records; knows no keys."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._retained = database[COLLECTION]
        self._counters = database["counters"]
        self._database = database

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        for name in ("leaf", "key", "until", "seq"):
            await self._retained.create_index(name)

    async def of_customers(self, collection: str, customer_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Every document of these customers in a collection."""
        return await self._database[collection].find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)

    async def hold(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Write records of an erasure that goes on; one that is there is replaced by the same."""
        if not documents:
            return
        counter = await self._counters.find_one_and_update(
            {"_id": COLLECTION},
            {"$inc": {"value": len(documents)}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        last = int(counter["value"]) if counter else 0
        stamp = {"state": RetainedState.HELD.value, "schema": SCHEMA_VERSION}
        writes = [
            ReplaceOne({"_id": each["_id"]}, {**each, **stamp, "seq": last - back}, upsert=True)
            for back, each in enumerate(reversed(documents))
        ]
        for start in range(0, len(writes), _AT_ONCE):
            await self._retained.bulk_write(writes[start : start + _AT_ONCE], ordered=False)

    async def held_of(self, leaf: int) -> list[dict[str, Any]]:
        """The records held for the erasure of this leaf, without what is sealed."""
        return await self._retained.find({"leaf": leaf}, {"sealed": 0}).to_list(None)

    async def keep(self, leaf: int) -> None:
        """The erasure of this leaf is finished: from here on its records are kept, and nothing tells whose they were."""
        await self._retained.update_many(
            {"leaf": leaf}, {"$set": {"state": RetainedState.KEPT.value}, "$unset": {"leaf": ""}}
        )

    async def held(self) -> list[dict[str, Any]]:
        """Every record that is held, without what is sealed."""
        return await self._retained.find({"leaf": {"$gte": 0}}, {"sealed": 0}).to_list(None)

    async def over(self, now: datetime) -> list[str]:
        """The retention ids whose time is over, each once."""
        found = await self._retained.find({"until": {"$lte": now}}, {"key": 1}).to_list(None)
        return sorted({each["key"] for each in found})

    async def remove(self, keys: Collection[str]) -> None:
        """Remove every record of these retention ids."""
        if keys:
            await self._retained.delete_many({"key": {"$in": list(keys)}})

    async def page(self, after: int, limit: int) -> tuple[list[Retained], bool]:
        """Up to `limit` records that are kept, in the order they were written, and whether there are more."""
        counter = await self._counters.find_one({"_id": COLLECTION})
        last = int(counter["value"]) if counter else 0
        found: list[dict[str, Any]] = []
        width = 2 * limit
        while after < last and len(found) <= limit:
            end = after + width
            window = {"seq": {"$gt": after, "$lte": end}, "state": RetainedState.KEPT.value}
            found += await self._retained.find(window).sort("seq", 1).limit(limit + 1 - len(found)).to_list(None)
            after, width = end, 4 * width
        shown = [
            Retained(
                id=each["_id"],
                key=each["key"],
                seq=each["seq"],
                rule=each["rule"],
                object=each["object"],
                law=each["law"],
                until=each["until"],
                sealed=each["sealed"],
            )
            for each in found[:limit]
        ]
        return shown, len(found) > limit
