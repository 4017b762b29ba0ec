"""The report over the base: every profile read once, a page at a time, through the gateway, and recorded before it counts.

Nothing of anybody stays in memory from one page to the next but counts, and digests under a key of this run alone. What
is kept of a report are counts, and suggestions that name a field and no value.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from audit import AccessLog
from customers.access import Access
from customers.disclosure import Disclosure
from customers.errors import ReadNotAllowedError
from customers.identity.matching import STARTING, Decision, Person, Score, Scorer, prepare
from customers.identity.review import CaseStore, Finding
from customers.identity.rules import CaseKind
from customers.profiles.query import ProfileQuery
from customers.profiles.service import ProfileGateway, Values
from customers.profiles.store import CustomerStore
from customers.quality.counting import Tally
from customers.quality.days import DayStore, Duplicates, Report, coarse
from customers.quality.duplicates import Blocks, Pair, batches
from customers.quality.errors import ReportRunningError
from customers.quality.looking import check_whole, confirmed_of, mark_of, seen_of
from customers.quality.queue import CorrectionQueue, Found
from customers.quality.rules import judge
from customers.quality.standards import Standards
from customers.spelling import suggestions
from vault import EnvelopeError, Vault

PURPOSE: Final = "data_quality"
ROLE: Final = "record_keeper"
AT_ONCE: Final = 100
_COMPARED: Final = (
    *("given_name", "family_name", "birth_date", "street", "postal_code", "city", "country", "phone", "email"),
)

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Parts:
    """What a report works with. `cases` takes pairs that somebody should look at; None where nobody does."""

    gateway: ProfileGateway
    store: CustomerStore
    vault: Vault
    log: AccessLog
    days: DayStore
    queue: CorrectionQueue
    cases: CaseStore | None
    standards: Standards
    now: Callable[[], datetime]
    random: Callable[[int], bytes]


async def make_report(
    parts: Parts,
    access: Access,
    *,
    again: bool = False,
    progress: OnProgress = lambda _done, _total: None,
) -> Report:
    """Make today's report, refresh the queue of suggestions, and open cases for pairs that look like one person.

    Args:
        parts: What to work with.
        access: Who reads, and why; customers whose rights do not allow that purpose are left out.
        again: Whether to make it although there is one of today.
        progress: Told how many profiles of how many were looked at.

    Raises:
        ReadNotAllowedError: The caller may read none of the fields in clear; nobody was looked at.
        ReportRunningError: Another process makes it, or there is one of today and `again` is not set.
        audit.AuditUnavailableError: A page could not be recorded; it was not counted, and there is no report.
        vault.VaultError: A key cannot be used.
    """
    if not any(access.grant.read[f"profile.{name}"] for name in parts.standards.fields):
        raise ReadNotAllowedError([f"profile.{name}" for name in parts.standards.fields])
    day = parts.now().astimezone(UTC).date()
    token = await parts.days.claim(day, again=again)
    if token is None:
        raise ReportRunningError
    run = _Run(parts, access, day, token)
    try:
        await run.walk(progress)
        duplicates = await run.compare()
        report = run.tally.report(day, parts.now(), access.grant.policy_version, duplicates)
        await parts.days.finish(report, token)
    except BaseException:
        await asyncio.shield(parts.days.give_up(day, token))
        raise
    return report


class _Run:
    """One report being made."""

    def __init__(self, parts: Parts, access: Access, day: date, token: str) -> None:
        self._parts = parts
        self._access = access
        self._day = day
        self._token = token
        self.tally = Tally()
        self._blocks: Blocks | None = None
        self._room = 0

    async def walk(self, progress: OnProgress) -> None:
        """Look at everybody once."""
        parts = self._parts
        total = await parts.store.last_sequence()
        self._blocks = Blocks(total, parts.random)
        self._room = await parts.queue.room()
        after: str | None = None
        more = True
        while more:
            access = self._fresh()
            async with parts.vault.reading():
                query = ProfileQuery(first=AT_ONCE, after=after)
                page = await parts.gateway.page(access, parts.standards.asked, query)
                if access.disclosure.reached:
                    await parts.log.append(access.disclosure.record(parts.now()))
                await self._count(access, page.items)
                after = None if page.end is None else parts.gateway.cursor(page, page.end)
                more = page.more and after is not None
                done = total if page.end is None else page.end[1]
            await parts.days.extend(self._day, self._token)
            progress(min(done, total), total)
            await asyncio.sleep(0)

    async def _count(self, access: Access, items: Sequence[Values]) -> None:
        parts, found, looked_at = self._parts, list[Found](), list[str]()
        for values in items:
            customer_id: str = values["document_id"]
            known = access.known[customer_id]
            seen = seen_of(access.grant, known.circumstances, parts.standards.names)
            if seen.isdisjoint(parts.standards.fields):
                self.tally.not_allowed += 1
                continue
            try:
                check_whole(values, seen)
                confirmed = confirmed_of(values)
            except EnvelopeError:
                self.tally.damaged += 1
                continue
            suggested = suggestions(values, seen)
            self.tally.add(judge(values, seen, parts.standards, parts.now(), confirmed), suggested)
            looked_at.append(customer_id)
            found += [
                Found(customer_id, each.field, each.kind, mark_of(known.key, each, values[each.field]))
                for each in suggested
            ]
            if self._blocks is not None:
                self._blocks.add(customer_id, _person(values, seen))
        self._room -= await parts.queue.reconcile(looked_at, found, self._room)

    async def compare(self) -> Duplicates:
        """Compare those who share something; hand on the pairs that somebody should look at."""
        blocks = self._blocks
        if blocks is None:
            raise TypeError("everybody is looked at before anybody is compared")
        pairs, chosen = await asyncio.to_thread(blocks.pairs)
        scorer = Scorer(STARTING)
        counts = dict.fromkeys((Decision.SURE, Decision.REVIEW), 0)
        compared = 0
        for batch in batches(chosen, AT_ONCE):
            async with self._parts.vault.reading():
                people = await self._people(batch)
                findings = []
                for left, right in batch:
                    if left in people and right in people:
                        compared += 1
                        score = scorer.score(people[left], people[right])
                        if score.decision is not Decision.APART:
                            counts[score.decision] += 1
                            findings.append(_finding(left, right, people, scorer, score))
                if self._parts.cases is not None:
                    await self._parts.cases.add(findings)
            await self._parts.days.extend(self._day, self._token)
            await asyncio.sleep(0)
        return Duplicates(
            share=round(blocks.share, 4),
            pairs=pairs,
            compared=compared,
            sure=coarse(counts[Decision.SURE]),
            review=coarse(counts[Decision.REVIEW]),
        )

    async def _people(self, batch: Sequence[Pair]) -> dict[str, Person]:
        """Those of these pairs who are still there, read again and recorded."""
        parts, access = self._parts, self._fresh()
        ids = sorted({each for pair in batch for each in pair})
        found = await parts.gateway.by_ids(access, frozenset(_COMPARED), ids)
        if access.disclosure.reached:
            await parts.log.append(access.disclosure.record(parts.now()))
        people = {}
        for customer_id, values in found.items():
            # One who was merged meanwhile is the other by now.
            if values["document_id"] != customer_id:
                continue
            seen = seen_of(access.grant, access.known[customer_id].circumstances, _COMPARED)
            people[customer_id] = _person(values, seen)
        return people

    def _fresh(self) -> Access:
        """An access of its own for each page, so that each has its record and nothing is kept of the one before."""
        access = self._access
        return Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant))


def _finding(left: str, right: str, people: Mapping[str, Person], scorer: Scorer, score: Score) -> Finding:
    evidence = {each.field.value: each.level.value for each in scorer.explain(people[left], people[right])}
    return Finding(CaseKind.SIMILAR, (left, right), evidence, round(score.probability, 6))


def _person(values: Values, seen: frozenset[str]) -> Person:
    held: dict[str, Any] = {
        name: value for name in _COMPARED if name in seen and isinstance(value := values.get(name), str)
    }
    return prepare(**held)
