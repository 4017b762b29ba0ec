"""From pairs to people: groups of records that are one person, and pairs that somebody must look at.

Sure pairs join groups, the surest first; but never two groups in which any two records contradict each other. So a
record that says little (a family name and an address) cannot tie twins together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from customers.identity.matching.pairs import Pair, Scored
from customers.identity.matching.person import Person
from customers.identity.matching.scoring import Decision, Guard, Scorer

__all__ = ["Outcome", "cluster", "may_join", "one_to_one"]

MOST_RECORDS = 20
"""A group does not grow beyond this by itself: so many records of one person are more likely a fault."""
MARGIN = 4.0
"""By how many bits the best partner must beat the next, where each record has at most one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a batch."""

    groups: tuple[tuple[int, ...], ...]
    """Records of one person, each group in order; records that are alone are in none."""
    review: tuple[Scored, ...]
    """Pairs to look at, the likeliest first: grey ones, and sure ones that would join what contradicts."""

    def pairs(self) -> frozenset[Pair]:
        """Every two records that are in one group."""
        return frozenset((one, other) for each in self.groups for n, other in enumerate(each) for one in each[:n])


def cluster(people: Sequence[Person], found: Iterable[Scored], scorer: Scorer) -> Outcome:
    """Join sure pairs to groups, where a person may have any number of records."""
    group_of: dict[int, list[int]] = {}
    review: list[Scored] = []
    for each in sorted(found, key=_surest):
        left, right = (group_of.get(place, [place]) for place in each.pair)
        if left is right:
            continue
        if each.score.decision is not Decision.SURE or not may_join(
            [people[place] for place in left], [people[place] for place in right], scorer
        ):
            review.append(each)
            continue
        joined = sorted(left + right)
        group_of.update(dict.fromkeys(joined, joined))
    return _outcome(group_of, review)


def one_to_one(found: Iterable[Scored]) -> Outcome:
    """Join sure pairs where a record has at most one partner; near ties go to review."""
    ranked = sorted(found, key=_surest)
    best: dict[int, list[float]] = {}
    for each in ranked:
        for place in each.pair:
            best.setdefault(place, []).append(each.score.bits)
    group_of: dict[int, list[int]] = {}
    review: list[Scored] = []
    for each in ranked:
        free = not any(place in group_of for place in each.pair)
        if each.score.decision is Decision.SURE and free and not any(_tied(best[place]) for place in each.pair):
            joined = list(each.pair)
            group_of.update(dict.fromkeys(joined, joined))
        elif free:
            review.append(each)
    taken = [each for each in review if not any(place in group_of for place in each.pair)]
    return _outcome(group_of, taken)


def _surest(each: Scored) -> tuple[float, Pair]:
    return -each.score.bits, each.pair


def _tied(bits: Sequence[float]) -> bool:
    return len(bits) > 1 and bits[0] - bits[1] < MARGIN


def may_join(left: Sequence[Person], right: Sequence[Person], scorer: Scorer) -> bool:
    """Whether no record of one group contradicts any of the other, and they are not too many for one person."""
    if len(left) + len(right) > MOST_RECORDS:
        return False
    for one in left:
        for other in right:
            score = scorer.score(one, other)
            # Two poor records may share little, and yet both be of the person that a third describes.
            if score.decision is Decision.APART or score.guards - {Guard.LITTLE_PERSONAL}:
                return False
    return True


def _outcome(group_of: dict[int, list[int]], review: list[Scored]) -> Outcome:
    groups = sorted({id(each): tuple(each) for each in group_of.values()}.values())
    apart = [each for each in review if group_of.get(each.pair[0], 0) is not group_of.get(each.pair[1], 1)]
    return Outcome(tuple(groups), tuple(apart))
