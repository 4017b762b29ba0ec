"""How much each source has sent, and what became of it: counts alone, of nobody and of no event.

Counting costs a batch nothing: what is noted is written once a second, one document a source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from vault.retry import retrying

_COUNTS: Final = ("stored", "duplicates", "omitted", "refused")


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What a source has sent since it was first heard of.

    Attributes:
        stored: Events that were new, and are stored. Erasures take nothing from it.
        duplicates: Events that had been stored before.
        omitted: Events that the tracking plan leaves out.
        refused: Events that could not be understood, or that the plan blocks. Of a body that is refused as a whole (400,
            401, 413) nothing is counted.
        first_at, last_at: When the first and the last were received; None where none was.
    """

    stored: int = 0
    duplicates: int = 0
    omitted: int = 0
    refused: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    @property
    def received(self) -> int:
        """How many events were acknowledged, whatever became of them."""
        return self.stored + self.duplicates + self.omitted + self.refused

    @property
    def accepted(self) -> int:
        """How many of them are stored, whenever they came first."""
        return self.stored + self.duplicates

    def and_(self, other: "SourceCount") -> "SourceCount":
        """Both together."""
        firsts = [each for each in (self.first_at, other.first_at) if each is not None]
        lasts = [each for each in (self.last_at, other.last_at) if each is not None]
        return SourceCount(
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            omitted=self.omitted + other.omitted,
            refused=self.refused + other.refused,
            first_at=min(firsts, default=None),
            last_at=max(lasts, default=None),
        )


class SourceCountStore:
    """The counts, in the main database.

    `note` costs nothing and forgets nothing until `flush` has written it. A process that is killed loses the counts of its
    last second, never an event; one that cannot tell whether a count was written counts it again. An attacker who can write
    to the database can change counts.
    """

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._counts = database["source_counts"]
        self._waiting: dict[str, SourceCount] = {}

    def note(self, source: str, count: SourceCount) -> None:
        """Count what became of a batch; written by the next `flush`."""
        self._waiting[source] = self._waiting.get(source, SourceCount()).and_(count)

    async def flush(self) -> int:
        """Write what was noted before; of how many sources. What could not be is kept for the next time."""
        written = 0
        for source in list(self._waiting):
            count = self._waiting.pop(source, None)
            if count is None:  # another flush was faster
                continue
            try:
                await self._add(source, count)
            except BaseException:
                self.note(source, count)
                raise
            written += 1
        return written

    async def _add(self, source: str, count: SourceCount) -> None:
        change: dict[str, Any] = {"$inc": {name: getattr(count, name) for name in _COUNTS}}
        if count.last_at is not None:
            change |= {"$min": {"first_at": count.first_at}, "$max": {"last_at": count.last_at}}
        await retrying(lambda: self._counts.update_one({"_id": source}, change, upsert=True))

    async def all(self) -> Mapping[str, SourceCount]:
        """What every source has sent, by its name; those that never sent anything are not among them."""
        return {each["_id"]: _count(each) for each in await self._counts.find({}).to_list(None)}

    async def of(self, source: str) -> SourceCount:
        """What one source has sent."""
        found = await self._counts.find_one({"_id": source})
        return SourceCount() if found is None else _count(found)


def _count(document: Mapping[str, Any]) -> SourceCount:
    return SourceCount(
        stored=int(document.get("stored", 0)),
        duplicates=int(document.get("duplicates", 0)),
        omitted=int(document.get("omitted", 0)),
        refused=int(document.get("refused", 0)),
        first_at=document.get("first_at"),
        last_at=document.get("last_at"),
    )
