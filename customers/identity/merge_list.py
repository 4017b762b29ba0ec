"""The journal of merges as a list for people: the newest first, those that somebody or a policy made.

That visitors become part of people happens by the thousand and is nobody's decision, so it is left out. Reads only; what
one who can write to the journal could do stands in `customers.identity.journal`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.identity.journal import MergeState
from customers.profiles.joined import PERSON

_COUNTER: Final = "merges"
_WIDEST: Final = 4_096
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge.

    Attributes:
        id, seq: Its name, and its place among all.
        survivor, absorbed: The profile that stayed, and the one that became part of it.
        state: How far it has come.
        actor, at: Who made it, and when.
        undone_by, undone_at: Who took it apart, and when, of one that was.
    """

    id: str
    seq: int
    survivor: str
    absorbed: str
    state: MergeState
    actor: str
    at: datetime
    undone_by: str | None
    undone_at: datetime | None


class MergeList:
    """Merges of people in the collection `merges`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._entries = database["merges"]
        self._counters = database["counters"]

    async def page(self, limit: int, before: int | None = None) -> tuple[list[Merge], int | None]:
        """Up to `limit` merges, the newest first, and where the next page begins: None at the end.

        A bounded part of the journal is looked at, so a page can be short and still say that there is more.
        """
        counter = await self._counters.find_one({"_id": _COUNTER})
        last = (0 if counter is None else int(counter["value"])) + 1
        bound, width = last if before is None else min(before, last), 4 * limit
        found: list[Mapping[str, Any]] = []
        for _ in range(_ROUNDS):
            if len(found) > limit or bound <= 1:
                break
            window = {"kind": PERSON, "seq": {"$gte": bound - width, "$lt": bound}}
            rows = await self._entries.find(window).sort("seq", -1).to_list(None)
            found += rows
            bound, width = bound - width, min(4 * width, _WIDEST)
        shown = [_merge(each) for each in found[:limit]]
        if len(found) > limit:
            return shown, shown[-1].seq
        return shown, bound if bound > 1 else None

    async def get(self, merge_id: str) -> Merge | None:
        """The merge with this name, if it was one of people."""
        found = await self._entries.find_one({"_id": merge_id})
        return None if found is None or found["kind"] != PERSON else _merge(found)

    async def standing_among(self, customer_ids: Collection[str]) -> Merge | None:
        """The newest merge that joined two of these profiles and was not undone."""
        mine = set(customer_ids)
        found = await self._entries.find({"absorbed": {"$in": sorted(mine)}}).to_list(None)
        merges = [_merge(each) for each in found if each["kind"] == PERSON and each["survivor"] in mine]
        return max(
            (each for each in merges if each.state is MergeState.MERGED), key=lambda each: each.seq, default=None
        )


def _merge(document: Mapping[str, Any]) -> Merge:
    return Merge(
        id=document["_id"],
        seq=int(document["seq"]),
        survivor=document["survivor"],
        absorbed=document["absorbed"],
        state=MergeState(document["state"]),
        actor=document["actor"],
        at=document["at"],
        undone_by=document.get("undone_by"),
        undone_at=document.get("undone_at"),
    )


__all__ = ["Merge", "MergeList"]
