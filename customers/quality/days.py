"""The reports that were made, one for each day (UTC): how many profiles have what wrong. No value, and no name of anybody.

A count below `FEWEST` is not even stored, only that there are some. docs/formats/quality.md describes the documents;
their fields may not be reordered or removed.

What one who can write here could do: have the figures say something else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.quality.errors import ReportRunningError

FEWEST: Final = 11
"""Of fewer profiles than this no number is kept."""
SCHEMA_VERSION: Final = 1
LEASE: Final = timedelta(minutes=5)
KEPT: Final = timedelta(days=800)
_LONGEST_TREND: Final = 400
_FIRST_WINDOW: Final = 8

Number = int | None
"""How many profiles, or None for some but fewer than `FEWEST`."""


def coarse(count: int) -> Number:
    """A number of profiles as it may be kept."""
    return count if count >= FEWEST or count == 0 else None


def told(number: Number) -> int | str:
    """A number of profiles as a report may say it."""
    return f"fewer than {FEWEST}" if number is None else number


@dataclass(frozen=True, slots=True)
class Means:
    """The mean of each part over the profiles for which it can be told; None of too few."""

    score: int | None
    completeness: int | None
    validity: int | None
    staleness: int | None


@dataclass(frozen=True, slots=True)
class FieldCount:
    """How many profiles have an issue, or a suggested correction, of one kind with one field."""

    field: str
    kind: str
    profiles: Number


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Profiles that may be one person's.

    Attributes:
        share: Which share of the combinations by which pairs are found was looked at, 1 for all of them.
        pairs: How many pairs share such a combination.
        compared: How many of these were compared.
        sure, review: How many of those are one person for sure, and how many somebody should look at.
    """

    share: float
    pairs: int
    compared: int
    sure: Number
    review: Number


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one day.

    Attributes:
        day, finished_at: When.
        policy: The version of the policy that allowed it.
        profiles: How many were looked at.
        not_allowed: How many were not, because their rights do not allow it.
        damaged: How many could not be, because what is stored is not what was sealed there.
        means: How good they are.
        issues, corrections: What is wrong, and what could be put right with a click; the most frequent first.
        duplicates: None where they were not looked for.
    """

    day: date
    finished_at: datetime
    policy: str
    profiles: Number
    not_allowed: Number
    damaged: Number
    means: Means
    issues: tuple[FieldCount, ...]
    corrections: tuple[FieldCount, ...]
    duplicates: Duplicates | None


class DayStore:
    """The collection `quality_days`."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._days = database["quality_days"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._days.create_index("day", unique=True)

    async def claim(self, day: date, *, again: bool) -> str | None:
        """The right to make the report of a day, until `LEASE` from now; None where another process has it.

        Args:
            day: Which.
            again: Whether to make it although there is one already.
        """
        now, token = self._now(), self._random(16).hex()
        running = {"token": token, "until": now + LEASE}
        name = day.isoformat()
        try:
            await self._days.insert_one({"_id": name, "day": name, "schema": SCHEMA_VERSION, "running": running})
        except DuplicateKeyError:
            held = await self._days.find_one({"_id": name}, {"running": 1, "result.finished_at": 1})
            if held is None or (not again and "result" in held):
                return None
            standing = held.get("running")
            if standing is not None and standing["until"] > now:
                return None
            before = {"_id": name, "running.token": None if standing is None else standing["token"]}
            answer = await self._days.update_one(before, {"$set": {"running": running}})
            return token if answer.matched_count else None
        return token

    async def extend(self, day: date, token: str) -> None:
        """Keep the right a little longer.

        Raises:
            ReportRunningError: It lapsed, and another process has it.
        """
        mine = {"_id": day.isoformat(), "running.token": token}
        answer = await self._days.update_one(mine, {"$set": {"running.until": self._now() + LEASE}})
        if not answer.matched_count:
            raise ReportRunningError

    async def give_up(self, day: date, token: str) -> None:
        """Let another process make it: this one has failed."""
        await self._days.update_one({"_id": day.isoformat(), "running.token": token}, {"$unset": {"running": ""}})

    async def finish(self, report: Report, token: str) -> None:
        """Keep the report, and forget those of long ago.

        Raises:
            ReportRunningError: The right to make it lapsed, and another process has it.
        """
        mine = {"_id": report.day.isoformat(), "running.token": token}
        change = {"$set": {"result": _document(report)}, "$unset": {"running": ""}}
        if not (await self._days.update_one(mine, change)).matched_count:
            raise ReportRunningError
        await self._days.delete_many({"day": {"$lt": (report.day - KEPT).isoformat()}})

    async def trend(self, today: date, days: int) -> list[Report]:
        """The reports of the last so many days (400 at most), the newest first."""
        days = max(1, min(days, _LONGEST_TREND))
        window = {"$gt": (today - timedelta(days=days)).isoformat(), "$lte": today.isoformat()}
        found = await self._days.find({"day": window}).sort("day", -1).to_list(None)
        return [_report(each) for each in found if "result" in each]

    async def latest(self, today: date) -> Report | None:
        """The newest report."""
        width = _FIRST_WINDOW
        while True:
            found = await self.trend(today, width)
            if found or width >= _LONGEST_TREND:
                return found[0] if found else None
            width *= 4


def _document(report: Report) -> dict[str, Any]:
    duplicates, means = report.duplicates, report.means
    return {
        "finished_at": report.finished_at,
        "policy": report.policy,
        "profiles": report.profiles,
        "not_allowed": report.not_allowed,
        "damaged": report.damaged,
        "means": {
            "score": means.score,
            "completeness": means.completeness,
            "validity": means.validity,
            "staleness": means.staleness,
        },
        "issues": [{"field": each.field, "kind": each.kind, "profiles": each.profiles} for each in report.issues],
        "corrections": [
            {"field": each.field, "kind": each.kind, "profiles": each.profiles} for each in report.corrections
        ],
        "duplicates": None
        if duplicates is None
        else {
            "share": duplicates.share,
            "pairs": duplicates.pairs,
            "compared": duplicates.compared,
            "sure": duplicates.sure,
            "review": duplicates.review,
        },
    }


def _report(document: Mapping[str, Any]) -> Report:
    result = document["result"]
    duplicates = result["duplicates"]
    return Report(
        day=date.fromisoformat(document["day"]),
        finished_at=result["finished_at"],
        policy=result["policy"],
        profiles=result["profiles"],
        not_allowed=result["not_allowed"],
        damaged=result["damaged"],
        means=Means(**result["means"]),
        issues=tuple(FieldCount(**each) for each in result["issues"]),
        corrections=tuple(FieldCount(**each) for each in result["corrections"]),
        duplicates=None if duplicates is None else Duplicates(**duplicates),
    )
