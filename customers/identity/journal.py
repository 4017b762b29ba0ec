"""The journal of merges: who was joined to whom, by whom and why, and what lay in clear before.

Entries are added and never changed but for `state`, which goes forward only, and for what was there before, which is
written until the merge is made; they go when one of the two is erased. docs/identity.md describes the fields.

What one who can write here could do: have an unmerge give a profile other counts, rights and clear facts than it had, or
take away that it was merged, so that it can only be taken apart by hand. They cannot read or move a sealed value.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

_COUNTER = "merges"
_AT_ONCE = 100


class MergeState(StrEnum):
    """How far a merge has come. The values are stored; they may not be changed or reused."""

    BEGUN = "begun"
    MERGED = "merged"
    UNDOING = "undoing"
    UNDONE = "undone"


_OPEN = (MergeState.BEGUN, MergeState.UNDOING)


@dataclass(frozen=True, slots=True)
class Entry:
    """One merge.

    Attributes:
        id, seq: Its name, and its place among all.
        kind: `visitor` or `person`: what the absorbed profile was.
        survivor, absorbed: The two profiles.
        moved: What had been merged into the absorbed one before, and moved along.
        state: How far it has come.
        before: The clear fields of `survivor` and `absorbed` before, each with `version`.
        after: The versions that the merge gave them.
        owed: What the absorbed profile gets when it is taken apart; known once that was begun.
    """

    id: str
    seq: int
    kind: str
    survivor: str
    absorbed: str
    moved: tuple[str, ...]
    state: MergeState
    before: Mapping[str, Any]
    after: Mapping[str, int]
    owed: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Author:
    """Who joined two profiles, for which purpose and case."""

    actor: str
    purpose: str
    case: str | None


class Journal:
    """The collection `merges`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._entries = database["merges"]
        self._counters = database["counters"]

    async def prepare(self) -> None:
        """Create the indexes and the counter that are missing."""
        with contextlib.suppress(DuplicateKeyError):
            await self._counters.insert_one({"_id": _COUNTER, "value": 0})
        await self._entries.create_index("seq", unique=True)
        await self._entries.create_index("absorbed")
        await self._entries.create_index("survivor")
        await self._entries.create_index("open", sparse=True)

    async def begin(self, entries: Sequence[Mapping[str, Any]], author: Author, now: datetime) -> list[Entry]:
        """Add entries of merges that are about to be made: `_id`, `kind`, `survivor`, `absorbed`, `before` and so on."""
        counter = await self._counters.find_one_and_update(
            {"_id": _COUNTER},
            {"$inc": {"value": len(entries)}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        first = int((counter or {"value": len(entries)})["value"]) - len(entries) + 1
        documents = [
            {
                **each,
                "seq": seq,
                "state": MergeState.BEGUN.value,
                "open": True,
                "actor": author.actor,
                "purpose": author.purpose,
                "case": author.case,
                "at": now,
            }
            for seq, each in enumerate(entries, first)
        ]
        await self._entries.insert_many(documents)
        return [_entry(each) for each in documents]

    async def note(self, entry: Entry, **fields: Any) -> None:
        """Write down what was there before, or what is owed, while the merge is made or undone."""
        await self._entries.update_one({"_id": entry.id, "state": entry.state.value}, {"$set": fields})

    async def finish(self, entry_ids: Sequence[str], state: MergeState, now: datetime) -> None:
        """Have merges be as they shall be."""
        moment = "undone_at" if state is MergeState.UNDONE else "merged_at"
        for start in range(0, len(entry_ids), _AT_ONCE):
            await self._entries.update_many(
                {"_id": {"$in": list(entry_ids[start : start + _AT_ONCE])}},
                {"$set": {"state": state.value, moment: now}, "$unset": {"open": ""}},
            )

    async def undo(self, entry: Entry, author: Author) -> Entry | None:
        """Begin to take a merge apart; None if somebody else has."""
        answer = await self._entries.update_one(
            {"_id": entry.id, "state": MergeState.MERGED.value},
            {
                "$set": {
                    "state": MergeState.UNDOING.value,
                    "open": True,
                    "undone_by": author.actor,
                    "undone_purpose": author.purpose,
                    "undone_case": author.case,
                }
            },
        )
        return await self.get(entry.id) if answer.matched_count else None

    async def get(self, entry_id: str) -> Entry | None:
        """The entry with this name."""
        found = await self._entries.find_one({"_id": entry_id})
        return None if found is None else _entry(found)

    async def standing(self, absorbed: str) -> Entry | None:
        """The merge by which a profile is part of another now."""
        found = await self._entries.find({"absorbed": absorbed}).to_list(None)
        held = [_entry(each) for each in found if each["state"] != MergeState.UNDONE.value]
        return max(held, key=lambda each: each.seq, default=None)

    async def open_entries(self, now: datetime, age: timedelta) -> list[Entry]:
        """What was begun and not finished, by somebody who has had the time for it."""
        found = await self._entries.find({"open": True}).limit(_AT_ONCE).to_list(None)
        return [
            _entry(each) for each in found if each["at"] <= now - age or each["state"] == MergeState.UNDOING.value
        ]

    async def naming(self, customer_ids: Collection[str]) -> list[Entry]:
        """Every merge of these profiles with others."""
        mine = {"$in": list(customer_ids)}
        found = [
            *await self._entries.find({"absorbed": mine}).to_list(None),
            *await self._entries.find({"survivor": mine}).to_list(None),
        ]
        return [_entry(each) for each in {each["_id"]: each for each in found}.values()]

    async def remove(self, customer_ids: Collection[str]) -> None:
        """Forget every merge of these profiles."""
        mine = {"$in": list(customer_ids)}
        await self._entries.delete_many({"absorbed": mine})
        await self._entries.delete_many({"survivor": mine})


def _entry(document: Mapping[str, Any]) -> Entry:
    return Entry(
        id=document["_id"],
        seq=int(document["seq"]),
        kind=document["kind"],
        survivor=document["survivor"],
        absorbed=document["absorbed"],
        moved=tuple(document.get("moved", ())),
        state=MergeState(document["state"]),
        before=document.get("before", {}),
        after=document.get("after", {}),
        owed=document.get("owed", {}),
    )
