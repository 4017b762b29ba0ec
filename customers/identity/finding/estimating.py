"""Learns the parameters of the base from the base itself: all of it, or of a large one a sample with its candidates.

A few thousand people are in memory while it lasts. What is kept are figures, and values that at least ten people share.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from customers.identity.finding.opening import Opener
from customers.identity.matching import (
    FIXES,
    RANDOM_PAIRS,
    STARTING,
    Observations,
    Parameters,
    Person,
    Report,
    Rule,
    compare,
    learn,
    random_pairs,
    text_rules,
)
from customers.profiles.store import CustomerStore
from vault import Vault
from vault.candidate_index import CandidateIndex
from vault.known_blocks import KnownBlocks

SAMPLE: Final = 10_000
FEWEST: Final = 500
"""In a smaller base nothing is learnt: a handful of pairs would weigh too much."""
_AT_ONCE: Final = 100
_OTHERS: Final = 20_000
"""How many candidates outside the sample are opened at most."""

Found = dict[tuple[str, str], set[Rule]]


@dataclass(frozen=True)
class Estimator:
    """Looks at the base and learns.

    `told` is called with how far it is: each of the sample counts twice, when opened and when it has its candidates.
    """

    store: CustomerStore
    vault: Vault
    index: CandidateIndex
    opener: Opener
    told: Callable[[int, int], Awaitable[None]]
    sample: int = SAMPLE
    pairs: int = RANDOM_PAIRS
    known: KnownBlocks = field(default_factory=KnownBlocks)
    """What the run has seen of the index."""

    async def learn(self, start: Parameters = STARTING) -> tuple[Parameters, Report, int]:
        """Learn, weighed against `start`; gives the parameters, how it went, and how many profiles there were."""
        people, total = await self._people()
        found, others = await self._candidates(people)
        seen = await asyncio.to_thread(_observations, people, others, found, total, self.pairs)
        parameters, report = await asyncio.to_thread(learn, seen, start)
        return parameters, report, total

    async def _people(self) -> tuple[dict[str, Person], int]:
        """The sample, in the order of the base, and about how many records there are."""
        last = await self.store.last_sequence()
        whole = last <= self.sample
        starts: Iterable[int] = range(0, last, _AT_ONCE)
        if not whole:
            # Where it begins is no secret; that it is the same each time makes a run repeatable.
            chosen = Random(last).sample(range(0, last, _AT_ONCE), self.sample // _AT_ONCE)  # noqa: S311
            starts = sorted(chosen)
        people: dict[str, Person] = {}
        looked_at = covered = 0
        for start in starts:
            covered += min(start + _AT_ONCE, last) - start
            documents = await self.store.page(
                {"seq": {"$lte": start + _AT_ONCE}}, after=start, limit=_AT_ONCE, projection={"seq": 1}
            )
            ids = [each["_id"] for each in documents if start < int(each["seq"]) <= start + _AT_ONCE]
            looked_at += len(ids)
            people |= await self._open(ids)
            await self.told(looked_at, 2 * min(last, self.sample))
        # Of the sequence, not of the sample: at its end there may be fewer than a hundred.
        share = 1.0 if whole else covered / last
        return people, max(len(people), round(len(people) / share))

    async def _open(self, ids: list[str]) -> dict[str, Person]:
        async with self.vault.reading():
            fetched = await self.opener.fetch(ids)
            found = await self.opener.people(fetched, [each for each in ids if each in fetched.group_of])
        return {each: found[each] for each in ids if each in found}

    async def _candidates(self, people: Mapping[str, Person]) -> tuple[Found, dict[str, Person]]:
        """The pairs that share a combination, with the rules that found them, and those of them outside the sample."""
        found: Found = {}
        ids = list(people)
        for start in range(0, len(ids), _AT_ONCE):
            mine = {each: text_rules(people[each]) for each in ids[start : start + _AT_ONCE]}
            blocks = await self.index.blocks({text for each in mine.values() for text in each}, known=self.known)
            for each, rules in mine.items():
                for text, rule in rules.items():
                    for other in blocks[text] - {each}:
                        found.setdefault((min(each, other), max(each, other)), set()).add(rule)
            await self.told(len(ids) + min(start + _AT_ONCE, len(ids)), 2 * len(ids))
        missing = list(dict.fromkeys(each for pair in found for each in pair if each not in people))[:_OTHERS]
        others: dict[str, Person] = {}
        for start in range(0, len(missing), _AT_ONCE):
            others |= await self._open(missing[start : start + _AT_ONCE])
            await self.told(2 * len(ids), 2 * len(ids))
        return found, others


def _observations(
    people: Mapping[str, Person], others: Mapping[str, Person], found: Found, total: int, pairs: int
) -> Observations:
    """What is seen of the pairs that have one of the sample in them at least."""
    size = len(people)
    seen = Observations(records=total, pairs=size * (total - size) + size * (size - 1) // 2)
    seen.terms.add(people.values())
    every = {**others, **people}
    for (left, right), rules in found.items():
        if left in every and right in every:
            seen.add_candidate(compare(every[left], every[right]), {FIXES[rule] for rule in rules})
    listed = list(people.values())
    random = Random(1)  # noqa: S311 - which pairs are sampled is no secret
    for one, other in random_pairs(size, random, None, pairs):
        seen.random[compare(listed[one], listed[other])] += 1
    return seen
