"""Cases that a person has to decide: are these two people one? The collection `identity_cases`.

A case names profiles and says how it came up, by kinds of identifiers and levels of likeness; never a value. About two
profiles there is one case ever, so what was decided is not asked again; it goes when one of them is erased.

What one who can write here could do: hide a case, or have a person look at two profiles that have nothing to do with each
other. Nothing is joined without a decision, and that is recorded.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pymongo import ReturnDocument, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from customers.identity.model import new_id
from customers.identity.rules import Case, CaseKind

_COUNTER: Final = "identity_cases"
_DUPLICATE: Final = 11_000
_AT_ONCE: Final = 100


class CaseState(StrEnum):
    """What became of a case. The values are stored; they may not be changed or reused."""

    OPEN = "open"
    MERGED = "merged"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One case.

    Attributes:
        id, seq: Its name, and its place among all.
        kind: How it came up.
        customers: The ids of the profiles it is about: two, or one.
        evidence: How alike they are, by what was compared.
        score: How sure it is that they are one person, from 0 to 1, where that was computed.
        state: What became of it.
        opened_at: When it came up.
        decided_at, decided_by: When and by whom it was decided, of one that was.
    """

    id: str
    seq: int
    kind: CaseKind
    customers: tuple[str, ...]
    evidence: Mapping[str, str]
    score: float | None
    state: CaseState
    opened_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True)
class ListedCase:
    """What a list tells of a case: that there is one, why and since when, and what became of it.

    How alike the two are, and who they are, is read from them, so it is told where both are read: in the opened case.
    """

    id: str
    seq: int
    kind: CaseKind
    state: CaseState
    opened_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None

    @classmethod
    def of(cls, case: ReviewCase) -> "ListedCase":
        """That much of a case."""
        return cls(case.id, case.seq, case.kind, case.state, case.opened_at, case.decided_at, case.decided_by)


@dataclass(frozen=True, slots=True)
class Finding:
    """What shall be looked at: `evidence` are names of levels by names of what was compared.

    Attributes:
        score: How sure it is that they are one person, where that was computed.
        bits: The same in bits, where a run over the base computed it: then it counts instead of what was found before.
        sure: Whether a policy may join them with nobody looking.
        parameters: Which parameters were used.
    """

    kind: CaseKind
    customers: tuple[str, ...]
    evidence: Mapping[str, str] = field(default_factory=dict)
    score: float | None = None
    bits: float | None = None
    sure: bool = False
    parameters: int | None = None

    @property
    def about(self) -> str:
        """What the case about these profiles is found by."""
        return "|".join(sorted(self.customers))

    @classmethod
    def of(cls, case: Case) -> "Finding":
        """What a rule found."""
        return cls(case.kind, case.customers, {case.by.value: "same"})

    def renamed(self, name: Callable[[str], str]) -> "Finding":
        """The same, of people who have other ids."""
        return replace(self, customers=tuple(sorted(map(name, self.customers))))


class CaseStore:
    """The collection `identity_cases`."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._cases = database["identity_cases"]
        self._counters = database["counters"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the indexes and the counter that are missing."""
        with contextlib.suppress(DuplicateKeyError):
            await self._counters.insert_one({"_id": _COUNTER, "value": 0})
        await self._cases.create_index("about", unique=True)
        await self._cases.create_index("customers")
        await self._cases.create_index([("state", 1), ("seq", 1)])
        await self._cases.create_index("merging", sparse=True)
        await self._cases.create_index([("sure", 1), ("bits", 1)], sparse=True)

    async def add(self, findings: Sequence[Finding]) -> int:
        """Open cases, but for those that there are already, whatever became of them; give how many.

        Of an open one what a run over the base found is brought up to date.
        """
        if not findings:
            return 0
        counter = await self._counters.find_one_and_update(
            {"_id": _COUNTER},
            {"$inc": {"value": len(findings)}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        first = int((counter or {"value": len(findings)})["value"]) - len(findings) + 1
        cases = [
            {
                "_id": new_id("cas_", self._random),
                "seq": seq,
                "about": each.about,
                "kind": each.kind.value,
                "customers": sorted(each.customers),
                "state": CaseState.OPEN.value,
                "opened_at": self._now(),
                **_found(each),
            }
            for seq, each in enumerate(findings, first)
        ]
        try:
            await self._cases.insert_many(cases, ordered=False)
        except BulkWriteError as error:
            faults = error.details["writeErrors"]
            if any(fault["code"] != _DUPLICATE for fault in faults):
                raise
            standing = [findings[fault["index"]] for fault in faults]
            changes = [
                UpdateOne(
                    {"about": each.about, "state": CaseState.OPEN.value, "kind": CaseKind.SIMILAR.value},
                    {"$set": _found(each), **({} if each.sure else {"$unset": {"sure": ""}})},
                )
                for each in standing
                if each.bits is not None
            ]
            if changes:
                await self._cases.bulk_write(changes, ordered=False)
            return len(findings) - len(standing)
        return len(findings)

    async def sure(self, limit: int) -> list[ReviewCase]:
        """Open cases that a policy may decide, the surest first."""
        found = await self._cases.find({"sure": True}).sort("bits", -1).limit(limit).to_list(None)
        return [_case(each) for each in found if each["state"] == CaseState.OPEN.value]

    async def unsure(self, case_id: str) -> None:
        """Have a person decide a case that a policy may not decide after all."""
        await self._cases.update_one({"_id": case_id}, {"$unset": {"sure": ""}})

    async def page(
        self, first: int, after: int = 0, state: CaseState = CaseState.OPEN
    ) -> tuple[list[ReviewCase], bool]:
        """Cases in this state, the oldest first, and whether more follow."""
        found: list[Mapping[str, Any]] = []
        counter = await self._counters.find_one({"_id": _COUNTER})
        last, width = (0 if counter is None else int(counter["value"])), 2 * (first + 1)
        while len(found) <= first and after < last:
            window = {"state": state.value, "seq": {"$gt": after, "$lte": after + width}}
            found += await self._cases.find(window).sort("seq", 1).limit(first + 1 - len(found)).to_list(None)
            after, width = after + width, 4 * width
        return [_case(each) for each in found[:first]], len(found) > first

    async def get(self, case_id: str) -> ReviewCase | None:
        """The case with this id."""
        found = await self._cases.find_one({"_id": case_id})
        return None if found is None else _case(found)

    async def settle(self, customers: Sequence[str], state: CaseState, actor: str) -> None:
        """Say what became of the case about these profiles, if there is one."""
        await self._cases.update_one(
            {"about": "|".join(sorted(customers))},
            {
                "$set": {"state": state.value, "decided_at": self._now(), "decided_by": actor},
                "$unset": {"merging": "", "sure": ""},
            },
        )

    async def begin(self, customers: Sequence[str], actor: str) -> None:
        """Note that the profiles of a case are about to be joined, so that whatever cuts it off, the case is closed."""
        await self._cases.update_one(
            {"about": "|".join(sorted(customers)), "state": CaseState.OPEN.value},
            {"$set": {"merging": {"actor": actor, "at": self._now()}}},
        )

    async def begun(self, age: timedelta) -> list[tuple[ReviewCase, str]]:
        """Open cases whose profiles were about to be joined so long ago, each with who was about to."""
        found = await self._cases.find({"merging": {"$ne": None}}).limit(_AT_ONCE).to_list(None)
        latest = self._now() - age
        return [
            (_case(each), each["merging"]["actor"])
            for each in found
            if each["merging"]["at"] <= latest and each["state"] == CaseState.OPEN.value
        ]

    async def reopen(self, case_id: str) -> None:
        """Note that the profiles of a case are not about to be joined after all."""
        await self._cases.update_one({"_id": case_id, "state": CaseState.OPEN.value}, {"$unset": {"merging": ""}})

    async def about(self, customer_ids: Sequence[str]) -> list[ReviewCase]:
        """Every case about one of these profiles, whatever became of it."""
        found: dict[str, ReviewCase] = {}
        for start in range(0, len(customer_ids), _AT_ONCE):
            mine = {"customers": {"$in": list(customer_ids[start : start + _AT_ONCE])}}
            found |= {each["_id"]: _case(each) for each in await self._cases.find(mine).to_list(None)}
        return list(found.values())

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove every case about one of these customers."""
        await self._cases.delete_many({"customers": {"$in": list(customer_ids)}})


def _found(finding: Finding) -> dict[str, Any]:
    known = {"bits": finding.bits, "parameters": finding.parameters, "sure": finding.sure or None}
    return {
        "evidence": dict(finding.evidence),
        "score": finding.score,
        **{name: value for name, value in known.items() if value is not None},
    }


def _case(document: Mapping[str, Any]) -> ReviewCase:
    return ReviewCase(
        id=document["_id"],
        seq=int(document["seq"]),
        kind=CaseKind(document["kind"]),
        customers=tuple(document["customers"]),
        evidence=document["evidence"],
        score=document["score"],
        state=CaseState(document["state"]),
        opened_at=document["opened_at"],
        decided_at=document.get("decided_at"),
        decided_by=document.get("decided_by"),
    )
