"""The queue of cases that a person has to decide: are these two people one?

A case names profiles and says how it came up, by kinds of identifiers and levels of likeness; never a value. Who decides
reads the profiles through the gateway, as their role may see them. About two profiles there is one case ever, so what was
decided is not asked again; it goes when one of them is erased.

What one who can write here could do: hide a case, or have a person look at two profiles that have nothing to do with each
other. Nothing is joined without a decision, and that is recorded.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from audit import AccessLog
from customers.access import Access
from customers.errors import MergeNotPossibleError, ProfileNotFoundError
from customers.identity.journal import Journal
from customers.identity.merging import Merger, check
from customers.identity.model import new_id
from customers.identity.rules import Case, CaseKind
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import Vault

_COUNTER = "identity_cases"
_DUPLICATE = 11_000
_ONE = "this case is about one profile: there is nothing to merge"
_DECIDED = "this case was decided already"
_ANOTHER = "the survivor must be one of the profiles that the case is about"


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
    """

    id: str
    seq: int
    kind: CaseKind
    customers: tuple[str, ...]
    evidence: Mapping[str, str]
    score: float | None
    state: CaseState
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """What shall be looked at: `evidence` are names of levels by names of what was compared."""

    kind: CaseKind
    customers: tuple[str, ...]
    evidence: Mapping[str, str] = field(default_factory=dict)
    score: float | None = None

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

    async def add(self, findings: Sequence[Finding]) -> None:
        """Open cases, but for those that there are already, whatever became of them."""
        if not findings:
            return
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
                "about": "|".join(sorted(each.customers)),
                "kind": each.kind.value,
                "customers": sorted(each.customers),
                "evidence": dict(each.evidence),
                "score": each.score,
                "state": CaseState.OPEN.value,
                "opened_at": self._now(),
            }
            for seq, each in enumerate(findings, first)
        ]
        try:
            await self._cases.insert_many(cases, ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    async def page(self, first: int, after: int = 0) -> tuple[list[ReviewCase], bool]:
        """Open cases, the oldest first, and whether more follow."""
        found: list[Mapping[str, Any]] = []
        counter = await self._counters.find_one({"_id": _COUNTER})
        last, width = (0 if counter is None else int(counter["value"])), 2 * (first + 1)
        while len(found) <= first and after < last:
            window = {"state": CaseState.OPEN.value, "seq": {"$gt": after, "$lte": after + width}}
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
            {"$set": {"state": state.value, "decided_at": self._now(), "decided_by": actor}},
        )

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove every case about one of these customers."""
        await self._cases.delete_many({"customers": {"$in": list(customer_ids)}})


class Reviewer:
    """What a person who may join profiles does."""

    def __init__(self, merger: Merger, cases: CaseStore) -> None:
        self.merger = merger
        self.cases = cases

    @classmethod
    async def open(
        cls,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> "Reviewer":
        """Over the main database, with everything there that is needed."""
        journal, cases = Journal(database), CaseStore(database, now=now, random=random)
        await journal.prepare()
        await cases.prepare()
        return cls(Merger(store, journal, vault, log, policies, now=now, random=random), cases)

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove what there is of erased customers, before their documents go."""
        await self.merger.forget(customer_ids)
        await self.cases.forget(customer_ids)

    async def page(self, access: Access, first: int, after: int = 0) -> tuple[list[ReviewCase], bool]:
        """Open cases, the oldest first, and whether more follow.

        Raises:
            WriteNotAllowedError: The caller may not join profiles, and so is not told which might be one.
        """
        check(access)
        return await self.cases.page(first, after)

    async def merge(self, access: Access, survivor_id: str, absorbed_id: str) -> None:
        """Join two profiles, as `Merger.merge`."""
        await self.merger.merge(access, survivor_id, absorbed_id)
        await self.cases.settle([survivor_id, absorbed_id], CaseState.MERGED, access.caller.actor)

    async def unmerge(self, access: Access, absorbed_id: str) -> str:
        """Take a profile out of another, as `Merger.unmerge`; that they are two is decided then."""
        survivor = await self.merger.unmerge(access, absorbed_id)
        await self.cases.settle([survivor, absorbed_id], CaseState.APART, access.caller.actor)
        return survivor

    async def decide(self, access: Access, case_id: str, survivor_id: str | None) -> ReviewCase:
        """Decide a case: join its profiles into the survivor, or leave them apart where none is named.

        Raises:
            As `Merger.merge`.
        """
        check(access)
        case = await self.cases.get(case_id)
        if case is None:
            raise ProfileNotFoundError
        if case.state is not CaseState.OPEN:
            raise MergeNotPossibleError(_DECIDED)
        if survivor_id is None:
            await self.merger.record(access, case.customers)
            await self.cases.settle(case.customers, CaseState.APART, access.caller.actor)
        else:
            if len(case.customers) != 2:  # noqa: PLR2004 - a pair
                raise MergeNotPossibleError(_ONE)
            if survivor_id not in case.customers:
                raise MergeNotPossibleError(_ANOTHER)
            (absorbed,) = set(case.customers) - {survivor_id}
            await self.merge(access, survivor_id, absorbed)
        return await self.cases.get(case_id) or case


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
    )
