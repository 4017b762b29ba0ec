"""Pairs of a batch in memory: which are worth comparing, what is learnt from them, and what is thought of each.

The same steps as over stored records, where candidates come from an index of tokens instead.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from customers.identity.matching.blocking import FIXES, Rule, combinations
from customers.identity.matching.comparisons import compare
from customers.identity.matching.learning import Observations, Report, learn
from customers.identity.matching.model import STARTING, Parameters
from customers.identity.matching.person import Person
from customers.identity.matching.scoring import Decision, Score, Scorer

__all__ = ["Pair", "Scored", "candidates", "learn_from", "observe", "random_pairs", "scored"]

Pair = tuple[int, int]
"""Two places in a sequence of people, the lower first."""
MOST_IN_BLOCK = 100
"""A combination that more people share than this gives no candidates: it says too little, and pairs grow squarely."""
RANDOM_PAIRS = 100_000


@dataclass(frozen=True, slots=True)
class Scored:
    """A pair and what is thought of it."""

    pair: Pair
    score: Score


def candidates(
    people: Sequence[Person], *, sources: Sequence[object] | None = None, most: int = MOST_IN_BLOCK
) -> dict[Pair, set[Rule]]:
    """The pairs that share a combination, each with the rules that found it.

    Args:
        people: The batch.
        sources: Where each comes from, if only pairs across sources are wanted.
        most: How many may share a combination for it to count.
    """
    blocks: defaultdict[tuple[Rule, tuple[str, ...]], list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        for key in set(combinations(person)):
            blocks[key].append(place)
    found: defaultdict[Pair, set[Rule]] = defaultdict(set)
    for (rule, _), places in blocks.items():
        if len(places) > most:
            continue
        for number, right in enumerate(places):
            for left in places[:number]:
                if sources is None or sources[left] != sources[right]:
                    found[left, right].add(rule)
    return dict(found)


def observe(
    people: Sequence[Person],
    found: Mapping[Pair, set[Rule]],
    random: Random,
    *,
    sources: Sequence[object] | None = None,
    pairs: int = RANDOM_PAIRS,
) -> Observations:
    """Compare the candidates, and so many pairs at random, and count what is seen."""
    seen = Observations(records=len(people), pairs=_all_pairs(len(people), sources))
    seen.terms.add(people)
    for (left, right), rules in found.items():
        seen.add_candidate(compare(people[left], people[right]), {FIXES[rule] for rule in rules})
    for left, right in random_pairs(len(people), random, sources, pairs):
        seen.random[compare(people[left], people[right])] += 1
    return seen


def learn_from(
    people: Sequence[Person],
    found: Mapping[Pair, set[Rule]],
    random: Random,
    *,
    sources: Sequence[object] | None = None,
    start: Parameters = STARTING,
) -> tuple[Parameters, Report]:
    """Learn the parameters of a batch from its candidates."""
    return learn(observe(people, found, random, sources=sources), start)


def scored(people: Sequence[Person], found: Mapping[Pair, set[Rule]], scorer: Scorer) -> list[Scored]:
    """What is thought of each candidate, those apart left out; the likeliest first."""
    every = (Scored(pair, scorer.score(people[pair[0]], people[pair[1]])) for pair in found)
    kept = [each for each in every if each.score.decision is not Decision.APART]
    return sorted(kept, key=lambda each: (-each.score.bits, each.pair))


def _all_pairs(records: int, sources: Sequence[object] | None) -> int:
    every = records * (records - 1) // 2
    if sources is None:
        return every
    sizes: defaultdict[object, int] = defaultdict(int)
    for source in sources:
        sizes[source] += 1
    return every - sum(size * (size - 1) // 2 for size in sizes.values())


def random_pairs(records: int, random: Random, sources: Sequence[object] | None, wanted: int) -> Iterator[Pair]:
    """So many pairs at random, of different sources if that is wanted."""
    if _all_pairs(records, sources) == 0:
        return
    given = 0
    while given < wanted:
        left, right = random.randrange(records), random.randrange(records)
        if left != right and (sources is None or sources[left] != sources[right]):
            given += 1
            yield left, right
