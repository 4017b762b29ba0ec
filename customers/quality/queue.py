"""The queue of suggested corrections: whose which field could be written better, and in which way. Never a value.

What a suggestion says is computed anew, in memory, whenever somebody who may see the field looks at it or applies it.
`mark` is a stand-in for the value it was made for, computed with the customer's own data key and gone with it: it tells
whether the value is still the same, so that what was dismissed is not suggested again until it changes.

docs/formats/quality.md describes the documents. What one who can write here could do: hide a suggestion, or have a person
look at one that turns out to be none. Nothing is changed without that person, and the change is recorded.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from customers.spelling import SuggestionKind

MOST_OPEN: Final = 10_000
"""More are not kept open; the report counts them all the same, and makes room for others as they are decided."""
SCHEMA_VERSION: Final = 1
_COUNTER: Final = "quality_corrections"
_DUPLICATE: Final = 11_000


class CorrectionState(StrEnum):
    """What became of a suggestion. One that was applied is not kept: the access log has it."""

    OPEN = "open"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Correction:
    """One suggestion. `seq` is its place among all."""

    id: str
    seq: int
    customer_id: str
    field: str
    kind: SuggestionKind
    mark: str
    state: CorrectionState
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """A suggestion that a report came upon."""

    customer_id: str
    field: str
    kind: SuggestionKind
    mark: str


class CorrectionQueue:
    """The collection `quality_corrections`: one document for a customer's field."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._corrections = database["quality_corrections"]
        self._counters = database["counters"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the indexes and the counter that are missing."""
        with contextlib.suppress(DuplicateKeyError):
            await self._counters.insert_one({"_id": _COUNTER, "value": 0})
        await self._corrections.create_index([("customer_id", 1), ("field", 1)], unique=True)
        await self._corrections.create_index([("state", 1), ("seq", 1)])

    async def room(self) -> int:
        """How many more suggestions may be open."""
        open_now = await self._corrections.count_documents({"state": CorrectionState.OPEN.value})
        return max(0, MOST_OPEN - open_now)

    async def reconcile(self, customer_ids: Collection[str], found: Sequence[Found], room: int) -> int:
        """Have the queue say of these customers what was found of them just now; give how many were opened.

        Called while their keys are in use, so that whoever is erased meanwhile is removed after this.

        Args:
            customer_ids: Everybody who was looked at.
            found: What was found of them.
            room: How many may be opened at most.
        """
        held = {
            (each["customer_id"], each["field"]): each
            for each in await self._corrections.find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)
        }
        wanted = {(each.customer_id, each.field): each for each in found}
        gone = [each["_id"] for place, each in held.items() if place not in wanted]
        if gone:
            await self._corrections.delete_many({"_id": {"$in": gone}})
        for place, each in wanted.items():
            standing = held.get(place)
            if standing is not None and standing["mark"] != each.mark:
                change = {"kind": each.kind.value, "mark": each.mark, "state": CorrectionState.OPEN.value}
                same = {"_id": standing["_id"], "mark": standing["mark"]}
                await self._corrections.update_one(same, {"$set": change})
        new = [each for place, each in wanted.items() if place not in held][:room]
        await self._open(new)
        return len(new)

    async def _open(self, found: Sequence[Found]) -> None:
        if not found:
            return
        counter = await self._counters.find_one_and_update(
            {"_id": _COUNTER}, {"$inc": {"value": len(found)}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        first = int((counter or {"value": len(found)})["value"]) - len(found) + 1
        documents = [
            {
                "_id": f"cor_{self._random(16).hex()}",
                "schema": SCHEMA_VERSION,
                "seq": seq,
                "customer_id": each.customer_id,
                "field": each.field,
                "kind": each.kind.value,
                "mark": each.mark,
                "state": CorrectionState.OPEN.value,
                "found_at": self._now(),
            }
            for seq, each in enumerate(found, first)
        ]
        try:
            await self._corrections.insert_many(documents, ordered=False)
        except BulkWriteError as error:  # another run was faster
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    async def page(self, after: int, limit: int, fields: Collection[str]) -> list[Correction]:
        """Up to `limit` open suggestions for these fields, the oldest first, from a place in the queue."""
        counter = await self._counters.find_one({"_id": _COUNTER})
        last, width = (0 if counter is None else int(counter["value"])), 2 * limit
        found: list[dict[str, Any]] = []
        while len(found) < limit and after < last:
            window = {
                "state": CorrectionState.OPEN.value,
                "seq": {"$gt": after, "$lte": after + width},
                "field": {"$in": sorted(fields)},
            }
            found += await self._corrections.find(window).sort("seq", 1).limit(limit - len(found)).to_list(None)
            after, width = after + width, 4 * width
        return [_correction(each) for each in found]

    async def get(self, correction_id: str) -> Correction | None:
        """The suggestion with this id."""
        found = await self._corrections.find_one({"_id": correction_id})
        return None if found is None else _correction(found)

    async def dismiss(self, correction: Correction, actor: str) -> bool:
        """Say that the value is right as it is; False if it was decided already."""
        answer = await self._corrections.update_one(
            {"_id": correction.id, "state": CorrectionState.OPEN.value, "mark": correction.mark},
            {
                "$set": {
                    "state": CorrectionState.DISMISSED.value,
                    "decided_at": self._now(),
                    "decided_by": actor,
                }
            },
        )
        return bool(answer.matched_count)

    async def remove(self, correction: Correction) -> None:
        """Forget a suggestion that was applied, or is none any more."""
        await self._corrections.delete_many({"_id": correction.id, "mark": correction.mark})

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove everything about these customers, before their documents go."""
        await self._corrections.delete_many({"customer_id": {"$in": list(customer_ids)}})


def _correction(document: Mapping[str, Any]) -> Correction:
    return Correction(
        id=document["_id"],
        seq=int(document["seq"]),
        customer_id=document["customer_id"],
        field=document["field"],
        kind=SuggestionKind(document["kind"]),
        mark=document["mark"],
        state=CorrectionState(document["state"]),
        found_at=document["found_at"],
    )
