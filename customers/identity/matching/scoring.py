"""The decision about a pair: one person for sure, for a human to say, or two; and what forbids it to be sure.

The model takes fields to be independent, and they are not: what kin share is shared together. So besides the
probability there are guards. A pair that a guard names is never merged by itself, however alike the rest.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rapidfuzz.distance import OSA

from customers.identity.matching.comparisons import Comparison, Evidence, Level, compare, is_own_mailbox
from customers.identity.matching.model import FIELDS, Parameters, probability
from customers.identity.matching.person import Field, Name, Person

__all__ = ["Decision", "Guard", "Score", "Scorer", "Thresholds"]


class Decision(StrEnum):
    """What to do with a pair."""

    SURE = "sure"
    REVIEW = "review"
    APART = "apart"


class Guard(StrEnum):
    """Why a pair may not be merged without being looked at."""

    DIFFERENT_NATIONAL_IDS = "different_national_ids"
    DIFFERENT_BIRTH_DATES = "different_birth_dates"
    DIFFERENT_GIVEN_NAMES = "different_given_names"
    DIFFERENT_FAMILY_NAMES = "different_family_names"
    ANOTHER_NAME = "another_name"
    LITTLE_PERSONAL = "little_personal"
    NAME_AND_BIRTH_DATE_ALONE = "name_and_birth_date_alone"

    @property
    def words(self) -> str:
        """The reason in words."""
        return _WORDS[self]


_WORDS: Final = {
    Guard.DIFFERENT_NATIONAL_IDS: "two national identity numbers cannot be one person's",
    Guard.DIFFERENT_BIRTH_DATES: "the birth dates differ by more than a slip; a parent and child may share a name",
    Guard.DIFFERENT_GIVEN_NAMES: "the given names differ; twins share everything else",
    Guard.DIFFERENT_FAMILY_NAMES: "the family names differ; one changed it, or kin wrote it in the given name's place",
    Guard.ANOTHER_NAME: "the given names are alike, but each is a name of its own",
    Guard.LITTLE_PERSONAL: "of given name, birth date, national id and a mailbox of one's own, two are not the same",
    Guard.NAME_AND_BIRTH_DATE_ALONE: "no address, telephone, mailbox or id is shared; namesakes may be born on one day",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability a pair is sure, and from which somebody should look at it."""

    sure: float = 0.999
    review: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.review <= self.sure < 1:
            raise ValueError("the thresholds must be 0 < review <= sure < 1")


@dataclass(frozen=True, slots=True)
class Score:
    """What is thought of a pair; it holds no value of either."""

    probability: float
    bits: float
    """The weight of the evidence and the prior together."""
    guards: frozenset[Guard]
    decision: Decision


_ENOUGH: Final = 2
_ALIKE: Final = frozenset({Level.SAME, Level.VARIANT, Level.TYPO, Level.SWAPPED})
_SLIPS: Final = frozenset({Level.TYPO, Level.SIMILAR})
# What must be shared besides name and birth date; where a family name is missing, it must be the same or nearly.
_CLOSE: Final = {
    Field.ADDRESS: frozenset(
        {Level.SAME, Level.NEARLY, Level.SAME_STREET, Level.ELSEWHERE, Level.SAME_PLACE, Level.SAME_POSTCODE}
    ),
    Field.PHONE: frozenset({Level.SAME, Level.TYPO, Level.SAME_TAIL}),
    Field.EMAIL: frozenset({Level.SAME, Level.TYPO, Level.SAME_LOCAL_PART}),
    Field.NATIONAL_ID: frozenset({Level.SAME, Level.TYPO}),
}
_CLOSEST: Final = {each: frozenset({Level.SAME, Level.NEARLY}) for each in _CLOSE}
_OTHER_DAY: Final = frozenset({Level.TWO_PARTS, Level.DIFFERENT})
_SAME_DAY: Final = frozenset({Level.SAME, Level.DAY_AND_MONTH_SWAPPED, Level.TYPO})


class Scorer:
    """Scores pairs by one set of parameters; makes no decision of its own and keeps nothing."""

    def __init__(self, parameters: Parameters, thresholds: Thresholds | None = None) -> None:
        """Score by these parameters; by default sure from 0.999 and for review from 0.5."""
        self.parameters = parameters
        self.thresholds = thresholds or Thresholds()

    def score(self, left: Person, right: Person) -> Score:
        """What is thought of two people; the same whichever comes first."""
        return self.score_compared(compare(left, right), left, right)

    def score_compared(self, comparison: Comparison, left: Person, right: Person) -> Score:
        """As `score`, of a pair already compared."""
        bits = self.parameters.prior_bits + self.parameters.weigh(comparison, left, right)
        likely = probability(bits)
        if likely < self.thresholds.review:
            return Score(likely, bits, frozenset(), Decision.APART)
        guards = self.guards(comparison, left, right)
        if Guard.DIFFERENT_NATIONAL_IDS in guards:
            return Score(likely, bits, guards, Decision.APART)
        sure = likely >= self.thresholds.sure and not guards
        return Score(likely, bits, guards, Decision.SURE if sure else Decision.REVIEW)

    def explain(self, left: Person, right: Person) -> tuple[Evidence, ...]:
        """What each field says, the weightiest first."""
        every = self.parameters.evidence(compare(left, right), left, right)
        return tuple(sorted(every, key=lambda each: -abs(each.bits)))

    def guards(self, comparison: Comparison, left: Person, right: Person) -> frozenset[Guard]:
        """What forbids the pair to be merged without being looked at."""
        levels = dict(zip(FIELDS, comparison.levels, strict=True))
        found = set()
        if levels[Field.NATIONAL_ID] is Level.DIFFERENT:
            found.add(Guard.DIFFERENT_NATIONAL_IDS)
        if levels[Field.BIRTH_DATE] in _OTHER_DAY:
            found.add(Guard.DIFFERENT_BIRTH_DATES)
        if levels[Field.FAMILY_NAME] is Level.DIFFERENT:
            found.add(Guard.DIFFERENT_FAMILY_NAMES)
        given = levels[Field.GIVEN_NAME]
        if given is Level.DIFFERENT:
            found.add(Guard.DIFFERENT_GIVEN_NAMES)
        elif self._is_nearly_another(given, left, right) or (
            levels[Field.FAMILY_NAME] in _SLIPS and self._holds_given_name(left, right)
        ):
            found.add(Guard.ANOTHER_NAME)
        if _personal(levels, left, right) < _ENOUGH:
            found.add(Guard.LITTLE_PERSONAL)
        half = levels[Field.FAMILY_NAME] is None and levels[Field.GIVEN_NAME] is not Level.SWAPPED
        if not any(levels[each] in close for each, close in (_CLOSEST if half else _CLOSE).items()):
            found.add(Guard.NAME_AND_BIRTH_DATE_ALONE)
        return frozenset(found)

    def _is_nearly_another(self, given: Level | None, left: Person, right: Person) -> bool:
        if given is Level.SWAPPED:
            return self._may_be_another(left.given, right.family) or self._may_be_another(left.family, right.given)
        return given is Level.ENDING or (given in _SLIPS and self._may_be_another(left.given, right.given))

    def _holds_given_name(self, left: Person, right: Person) -> bool:
        """Whether a family name is a common given name, as where both stand in each other's place in both records."""
        known = self.parameters.frequencies.get(Field.GIVEN_NAME)
        return known is not None and any(each.family and each.family.loose in known.common for each in (left, right))

    def _may_be_another(self, left: Name | None, right: Name | None) -> bool:
        """Whether two given names that are nearly the same are, or may be slips of, two names that many have.

        A slip of the pen hardly ever makes another common name: Lena and Lina are two people. And Lnna may be either.
        """
        known = self.parameters.frequencies.get(Field.GIVEN_NAME)
        if known is None or left is None or right is None or left.loose == right.loose:
            return False
        names = {left.loose, right.loose}
        rare = [each for each in names if each not in known.common]
        others = [each for each in known.common if each not in names] if rare else ()
        return not rare or any(OSA.distance(one, other, score_cutoff=1) <= 1 for one in rare for other in others)


def _personal(levels: dict[Field, Level | None], left: Person, right: Person) -> int:
    """How many things that are a person's own are the same. An address or a telephone may be a household's."""
    return (
        (levels[Field.GIVEN_NAME] in _ALIKE)
        + (levels[Field.BIRTH_DATE] in _SAME_DAY)
        + (levels[Field.NATIONAL_ID] is Level.SAME)
        + (levels[Field.EMAIL] is Level.SAME and is_own_mailbox(left, right))
    )
