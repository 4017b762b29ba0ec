"""How common a value is: that two people are both called Nguyen says less than that both are called Przybylski.

Only values that at least `COMMON` people share are kept by name; all others share one figure. So what is stored
singles nobody out, and says no more than a list of common names does.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from customers.identity.matching.comparisons import Level
from customers.identity.matching.person import Field, Person

__all__ = ["COMMON", "Frequencies", "Terms", "term"]

COMMON = 10
"""How many people must share a value for it to be kept by name."""

_BY_TERM: Mapping[Field, frozenset[Level]] = {
    Field.GIVEN_NAME: frozenset({Level.SAME, Level.VARIANT, Level.TYPO, Level.SIMILAR}),
    Field.FAMILY_NAME: frozenset({Level.SAME, Level.VARIANT, Level.TYPO, Level.SIMILAR}),
    Field.BIRTH_DATE: frozenset({Level.SAME}),
    Field.ADDRESS: frozenset({Level.SAME_PLACE, Level.SAME_POSTCODE}),
}
"""The levels whose u depends on what the value is. Of an address it is the postal code."""


def term(which: Field, person: Person) -> str | None:
    """The value whose frequency counts for a field, or None."""
    match which:
        case Field.GIVEN_NAME:
            return person.given.loose if person.given else None
        case Field.FAMILY_NAME:
            return person.family.loose if person.family else None
        case Field.BIRTH_DATE:
            return person.birth
        case Field.ADDRESS:
            return person.address.postcode or None if person.address else None
    return None


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How common the values of one field are.

    `common` holds the share of people by value; `rare` is the chance that somebody has the same value as a given
    person whose value is not in it; `mean` is the chance that two people have the same value, whichever it is.
    """

    common: Mapping[str, float] = field(repr=False)
    rare: float
    mean: float

    def ratio(self, value: str) -> float:
        """How much more (above 1) or less often than on average two people share just this value.

        Never below a sixteenth: what looks rare may be a common value with a slip in it.
        """
        return max(self.common.get(value, self.rare) / self.mean, _RAREST)

    @classmethod
    def of(cls, counts: Mapping[str, int], *, twice: float = 0.0) -> "Frequencies | None":
        """Learn from how many records hold each value, or None when there are too few to learn from.

        Args:
            counts: Records by value.
            twice: How many other records of the same person, with the same value, a record has on average. They are
                taken out, as they would make every rare value look as if it were shared.
        """
        total = sum(counts.values())
        if total < COMMON * COMMON:
            return None
        common = {value: count / total for value, count in counts.items() if count >= COMMON}
        rest = [count for count in counts.values() if count < COMMON]
        shared = sum(count * (count - 1) for count in rest) / sum(rest) - twice if rest else 0.0
        rare = max(shared, _LEAST_SHARED) / total
        mean = sum(share * share for share in common.values()) + rare * sum(rest) / total
        return cls(common, rare, mean)


_RAREST = 1 / 16
_LEAST_SHARED = 0.2
"""A value seen with one person is still assumed to have a fifth of a namesake."""


@dataclass(slots=True)
class Terms:
    """Counts the values of a base, to learn `Frequencies` from."""

    counts: dict[Field, Counter[str]] = field(
        default_factory=lambda: {each: Counter() for each in _BY_TERM}, repr=False
    )

    def add(self, people: Iterable[Person]) -> None:
        """Count the values of these people."""
        for person in people:
            for each, counts in self.counts.items():
                value = term(each, person)
                if value:
                    counts[value] += 1

    def frequencies(self, twice: Mapping[Field, float]) -> Iterator[tuple[Field, Frequencies]]:
        """What was learnt; `twice` as `Frequencies.of` takes it, by field."""
        for each, counts in self.counts.items():
            learnt = Frequencies.of(counts, twice=twice.get(each, 0.0))
            if learnt:
                yield each, learnt


def depends_on_term(which: Field, level: Level) -> bool:
    """Whether the level weighs more for a rare value than for a common one."""
    return level in _BY_TERM.get(which, frozenset())
