"""Compares who changed with all who share a combination with them, and opens cases for what is found."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import product
from typing import Final

from customers.identity.cases import CaseState, CaseStore, Finding
from customers.identity.finding.model import MatchReport
from customers.identity.finding.opening import Fetched, Opener
from customers.identity.finding.records import MatchRecord, MatchRecords
from customers.identity.matching import Decision, Person, Score, Scorer, texts
from customers.identity.rules import CaseKind
from vault import Vault
from vault.candidate_index import MOST, CandidateIndex
from vault.known_blocks import KnownBlocks

Pair = tuple[str, str]
"""Two ids, in the order of the alphabet."""

AT_ONCE: Final = 500
_OPENED_AT_ONCE: Final = 100
_PEOPLE_AT_ONCE: Final = 400
_BREATH: Final = 500


class Comparer:
    """The second step of a run."""

    def __init__(
        self,
        vault: Vault,
        index: CandidateIndex,
        records: MatchRecords,
        opener: Opener,
        cases: CaseStore,
        scorer: Scorer,
        parameters: int,
        known: KnownBlocks,
    ) -> None:
        """`known` is what the run has seen of the index: whom it indexed itself need not be opened to be looked up."""
        self._vault = vault
        self._index = index
        self._records = records
        self._opener = opener
        self._cases = cases
        self._scorer = scorer
        self._parameters = parameters
        self._known = known

    async def some(self, due: Sequence[MatchRecord], report: MatchReport) -> None:
        """Compare these with all their candidates; of two who are both due the later one is compared with the other."""
        pairs = await self._pairs(due)
        for batch in batches(pairs, _PEOPLE_AT_ONCE):
            # Inside, so that no case is opened about somebody who is erased by then.
            async with self._vault.reading():
                await self._compare(batch, report)
        report.compared += len(due)
        if not report.dry:
            await self._records.compared([each.id for each in due])

    async def _pairs(self, due: Sequence[MatchRecord]) -> set[Pair]:
        others = {each.id: self._known.sharing(each.id, MOST) for each in due}
        sharing = {each: found for each, found in others.items() if found is not None}
        unknown = [each.id for each in due if each.id not in sharing]
        for start in range(0, len(unknown), _OPENED_AT_ONCE):
            async with self._vault.reading():
                sharing |= await self._sharing(unknown[start : start + _OPENED_AT_ONCE])
        mine = {each.id: each for each in due}
        known = mine | await self._records.of(sorted(set().union(*sharing.values()) - mine.keys()))
        found: set[Pair] = set()
        for each in due:
            for other in sharing.get(each.id, ()):
                held = known.get(other)
                if held is None or not held.due or held.seq < each.seq:
                    found.add((min(each.id, other), max(each.id, other)))
        return found

    async def _sharing(self, customer_ids: Collection[str]) -> dict[str, set[str]]:
        """Who shares a combination with each of these, whom an earlier run gave their tokens."""
        fetched = await self._opener.fetch(customer_ids)
        people = await self._opener.people(fetched, [each for each in customer_ids if each in fetched.group_of])
        wanted = {each: texts(person) for each, person in people.items()}
        blocks = await self._index.blocks((text for each in wanted.values() for text in each), known=self._known)
        return {each: {other for text in mine for other in blocks[text]} - {each} for each, mine in wanted.items()}

    async def _compare(self, pairs: Sequence[Pair], report: MatchReport) -> None:
        fetched = await self._opener.fetch(sorted({each for pair in pairs for each in pair}))
        people = await self._opener.people(fetched, {each for pair in pairs for each in pair})
        best: dict[Pair, tuple[Score, Pair]] = {}
        for number, (left, right) in enumerate(pairs):
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            one, other = fetched.group_of.get(left, left), fetched.group_of.get(right, right)
            if one == other or left not in people or right not in people:
                continue
            report.pairs += 1
            score = self._scorer.score(people[left], people[right])
            place = (min(one, other), max(one, other))
            if score.decision is not Decision.APART and (place not in best or score.bits > best[place][0].bits):
                best[place] = score, (left, right)
        apart = await told_apart(self._cases, fetched, (each for place in best for each in place))
        findings = []
        for place, (score, pair) in best.items():
            if place in apart:
                report.told_apart += 1
                continue
            if score.decision is Decision.SURE:
                report.sure += 1
            else:
                report.grey += 1
            findings.append(self._finding(place, pair, people, score))
        if not report.dry:
            report.opened += await self._cases.add(findings)

    def _finding(self, place: Pair, pair: Pair, people: dict[str, Person], score: Score) -> Finding:
        explained = self._scorer.explain(*(people[each] for each in pair))
        return Finding(
            CaseKind.SIMILAR,
            place,
            {each.field.value: each.level.value for each in explained},
            round(score.probability, 6),
            bits=round(score.bits, 3),
            sure=score.decision is Decision.SURE,
            parameters=self._parameters,
        )


async def told_apart(cases: CaseStore, fetched: Fetched, people: Iterable[str]) -> set[Pair]:
    """Those of these people, two and two, of whom somebody said that they are two: they, or what they are joined of."""
    wanted = [fetched.groups[each] for each in dict.fromkeys(people) if each in fetched.groups]
    members = [member for group in wanted for member in group.members]
    found: set[Pair] = set()
    for case in await cases.about(members) if members else ():
        if case.state is CaseState.APART:
            sides = [fetched.group_of[each] for each in case.customers if each in fetched.group_of]
            found |= {(one, other) for one, other in product(sides, sides) if one < other}
    return found


def batches(pairs: Iterable[Pair], most: int) -> Iterator[list[Pair]]:
    """The pairs in lists that name at most so many people each (and at least one pair), and each person in few of them.

    A list begins with somebody and takes in whoever has the most pairs with those who are in it already.
    """
    left: dict[str, set[str]] = {}
    for one, other in sorted(pairs):
        left.setdefault(one, set()).add(other)
        left.setdefault(other, set()).add(one)
    first = 0
    names = list(left)
    while first < len(names):
        chosen: set[str] = set()
        for name in names[first:]:
            if not left[name]:
                continue
            if len(chosen) + 2 > max(most, 2):
                break
            if name not in chosen:
                _choose(name, chosen, left, most)
        batch = sorted((one, other) for one in chosen for other in left[one] & chosen if one < other)
        for one, other in batch:
            left[one].discard(other)
            left[other].discard(one)
        while first < len(names) and not left[names[first]]:
            first += 1
        if batch:
            yield batch


def _choose(first: str, chosen: set[str], left: Mapping[str, Collection[str]], most: int) -> None:
    """Add somebody, and who has pairs with them, and with those, until there are as many as are allowed."""
    links: Counter[str] = Counter()
    waiting = [(0, first)]
    while waiting and len(chosen) < max(most, 2):
        _, each = heappop(waiting)
        if each in chosen:
            continue
        chosen.add(each)
        for other in left[each]:
            if other not in chosen:
                links[other] += 1
                heappush(waiting, (-links[other], other))
