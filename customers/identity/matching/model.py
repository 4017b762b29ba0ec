"""Weights and probabilities of a pair, after Fellegi and Sunter (1969).

For every field, m is the probability of a level between two records of one person and u between two people. A level
weighs log2(m / u) bits; the weights of a pair and of the prior add up to its odds of being one person. u is that of
strangers, or of a household where both live at one address; for names, birth dates and postal codes it follows how
common the value is (Winkler 1989). Pure.

I. P. Fellegi, A. B. Sunter: A Theory for Record Linkage, JASA 64 (1969), 1183-1210.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import exp2, isfinite, log2
from typing import Any, Final

from customers.identity.matching.comparisons import LEVELS, Comparison, Evidence, Level
from customers.identity.matching.errors import ParametersInvalidError
from customers.identity.matching.frequencies import Frequencies, depends_on_term, term
from customers.identity.matching.person import Field, Person
from customers.identity.matching.starting import HOUSEHOLD, ONE_PERSON, TWO_PEOPLE, Table

__all__ = ["STARTING", "VERSION", "Parameters", "probability"]

VERSION: Final = 1
FIELDS: Final = tuple(Field)
_LEAST: Final = 1e-9


def probability(bits: float) -> float:
    """The probability of odds of 2 to the power of `bits`."""
    return 1 / (1 + exp2(max(min(-bits, 1000.0), -1000.0)))


@dataclass(frozen=True)
class Parameters:
    """What was learnt of a base; immutable, and stored as `as_document` gives it.

    `prior` is the probability that two records taken at random are of one person.
    """

    prior: float
    m: Table
    u: Table
    household: Table = field(default_factory=lambda: HOUSEHOLD)
    frequencies: Mapping[Field, Frequencies] = field(default_factory=dict, repr=False)
    records: int = 0
    """How many records they were learnt from; 0 before anything was learnt."""

    @cached_property
    def prior_bits(self) -> float:
        """The prior odds in bits, far below zero."""
        return log2(self.prior / (1 - self.prior))

    @cached_property
    def _bits(self) -> tuple[dict[tuple[Field, Level], float], dict[tuple[Field, Level], float]]:
        return self._weights(self.u), self._weights(self.household)

    def _weights(self, u: Table) -> dict[tuple[Field, Level], float]:
        """log2(m / u); no level counts for less than a difference does, even if it was never seen."""
        found: dict[tuple[Field, Level], float] = {}
        for each in FIELDS:
            weights = {
                level: log2(max(self.m[each][level], _LEAST) / max(u[each][level], _LEAST)) for level in u[each]
            }
            least = min(weights[Level.DIFFERENT], 0.0)
            found |= {(each, level): max(bits, least) for level, bits in weights.items()}
        return found

    def bits(self, which: Field, level: Level, *, household: bool = False) -> float:
        """The weight of a level, whatever the value."""
        return self._bits[household][which, level]

    def weigh(self, comparison: Comparison, left: Person, right: Person) -> float:
        """The weight of a pair in bits, without the prior."""
        return sum(bits for _, _, bits, _ in self._each(comparison, left, right))

    def evidence(self, comparison: Comparison, left: Person, right: Person) -> tuple[Evidence, ...]:
        """What each field weighs, for whoever decides about the pair."""
        return tuple(Evidence(*each) for each in self._each(comparison, left, right))

    def _each(
        self, comparison: Comparison, left: Person, right: Person
    ) -> Iterator[tuple[Field, Level, float, bool]]:
        for which, level in zip(FIELDS, comparison.levels, strict=True):
            if level is None:
                continue
            kin = comparison.as_kin(which)
            bits = self._bits[kin][which, level]
            yield which, level, bits if kin else bits - self._commonness(which, level, left, right), kin

    def _commonness(self, which: Field, level: Level, left: Person, right: Person) -> float:
        """How many bits fewer a level weighs because the value is common (or more, because it is rare)."""
        if level is Level.SWAPPED:
            return self._commonness_of_swapped(left, right)
        known = self.frequencies.get(which)
        if known is None or not depends_on_term(which, level):
            return 0.0
        one, other = term(which, left), term(which, right)
        return log2(max(known.ratio(one), known.ratio(other))) if one and other else 0.0

    def _commonness_of_swapped(self, left: Person, right: Person) -> float:
        given, family = self.frequencies.get(Field.GIVEN_NAME), self.frequencies.get(Field.FAMILY_NAME)
        if given is None or family is None:
            return 0.0
        ratios = (
            given.ratio(each.given.loose) * family.ratio(each.family.loose)
            for each in (left, right)
            if each.given and each.family
        )
        return log2(max(ratios, default=1.0))

    def as_document(self) -> dict[str, Any]:
        """The parameters as plain values, for storing. Fields may not be renamed or removed.

        Besides figures they hold the values that at least ten people share, which is what is known of any phone book.
        """
        return {
            "version": VERSION,
            "prior": self.prior,
            "records": self.records,
            "m": _plain(self.m),
            "u": _plain(self.u),
            "household": _plain(self.household),
            "frequencies": {
                str(each): {"common": dict(known.common), "rare": known.rare, "mean": known.mean}
                for each, known in self.frequencies.items()
            },
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Parameters":
        """Read what `as_document` gave.

        Raises:
            ParametersInvalidError: It is of another version, or not what it gives.
        """
        if document.get("version") != VERSION:
            raise ParametersInvalidError("they are of another version")
        try:
            return cls(
                prior=_prior(document["prior"]),
                m=_table(document["m"]),
                u=_table(document["u"]),
                household=_table(document["household"]),
                frequencies={
                    Field(each): Frequencies(
                        {str(value): _share(share) for value, share in known["common"].items()},
                        _share(known["rare"]),
                        _share(known["mean"]),
                    )
                    for each, known in document["frequencies"].items()
                },
                records=int(document["records"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ParametersInvalidError("a part is missing or is no probability") from error


STARTING: Final = Parameters(prior=1e-5, m=ONE_PERSON, u=TWO_PEOPLE)
"""What is used before anything is learnt."""


def _plain(table: Table) -> dict[str, dict[str, float]]:
    return {str(which): {str(level): share for level, share in levels.items()} for which, levels in table.items()}


def _table(document: Mapping[str, Mapping[str, float]]) -> Table:
    table = {which: {level: float(document[which][level]) for level in LEVELS[which]} for which in FIELDS}
    for levels in table.values():
        if not all(0 <= share <= 1 for share in levels.values()) or abs(sum(levels.values()) - 1) > 1e-6:  # noqa: PLR2004 - rounding
            raise ValueError
    return table


def _share(value: float) -> float:
    # All may share one value, as where every birth date is the same.
    if not isfinite(value) or not 0 < value <= 1:
        raise ValueError
    return float(value)


def _prior(value: float) -> float:
    if _share(value) == 1:
        raise ValueError
    return float(value)
