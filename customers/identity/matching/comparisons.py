"""How alike two people's fields are: graded levels, each with its words.

Every comparison is symmetric, and gives None where it has nothing to go by: a field that is missing is no evidence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

from rapidfuzz.distance import OSA, JaroWinkler

from customers.identity.matching.person import Address, Field, Mailbox, Name, Person

__all__ = ["LEVELS", "Comparison", "Evidence", "Level", "compare", "words_for"]


class Level(StrEnum):
    """How a field compares. The names stand in stored parameters and may not be changed."""

    SAME = "same"
    VARIANT = "variant"
    TYPO = "typo"
    ENDING = "ending"
    SIMILAR = "similar"
    PART = "part"
    INITIAL = "initial"
    SWAPPED = "swapped"
    DAY_AND_MONTH_SWAPPED = "day_and_month_swapped"
    SAME_YEAR = "same_year"
    TWO_PARTS = "two_parts"
    NEARLY = "nearly"
    SAME_STREET = "same_street"
    ELSEWHERE = "elsewhere"
    SAME_PLACE = "same_place"
    SAME_POSTCODE = "same_postcode"
    SAME_CITY = "same_city"
    SAME_TAIL = "same_tail"
    SAME_LOCAL_PART = "same_local_part"
    DIFFERENT = "different"


T = TypeVar("T")

_SHORTEST_MISSPELT = 4
_SHORTEST_PART = 3
_LONG_NAME = 8
_SIMILAR = 0.9
_SIMILAR_STREET = 0.75
_YEAR = 4
_TAIL = 7

LEVELS: dict[Field, tuple[Level, ...]] = {
    Field.GIVEN_NAME: (
        Level.SAME, Level.VARIANT, Level.TYPO, Level.ENDING, Level.SIMILAR, Level.PART, Level.INITIAL, Level.SWAPPED,
        Level.DIFFERENT,
    ),
    Field.FAMILY_NAME: (
        Level.SAME, Level.VARIANT, Level.TYPO, Level.SIMILAR, Level.PART, Level.INITIAL, Level.DIFFERENT
    ),
    Field.BIRTH_DATE: (
        Level.SAME, Level.DAY_AND_MONTH_SWAPPED, Level.TYPO, Level.SAME_YEAR, Level.TWO_PARTS, Level.DIFFERENT
    ),
    Field.ADDRESS: (
        Level.SAME, Level.NEARLY, Level.SAME_STREET, Level.ELSEWHERE, Level.SAME_PLACE, Level.SAME_POSTCODE,
        Level.SAME_CITY, Level.DIFFERENT,
    ),
    Field.PHONE: (Level.SAME, Level.TYPO, Level.SAME_TAIL, Level.DIFFERENT),
    Field.EMAIL: (Level.SAME, Level.TYPO, Level.SAME_LOCAL_PART, Level.DIFFERENT),
    Field.NATIONAL_ID: (Level.SAME, Level.TYPO, Level.DIFFERENT),
}  # fmt: skip
"""The levels of every field, from the most alike to the least."""

_WORDS: dict[Level, str] = {
    Level.SAME: "the same",
    Level.VARIANT: "the same, written another way",
    Level.TYPO: "the same but for a slip of the pen",
    Level.ENDING: "the same but for the ending",
    Level.SIMILAR: "similar",
    Level.PART: "one has more names than the other",
    Level.INITIAL: "one is an initial of the other",
    Level.SWAPPED: "given and family name are the other way round",
    Level.DAY_AND_MONTH_SWAPPED: "day and month are the other way round",
    Level.SAME_YEAR: "the same year; the day of one is not known",
    Level.TWO_PARTS: "two of year, month and day are the same",
    Level.NEARLY: "nearly the same",
    Level.SAME_STREET: "the same street, another number",
    Level.ELSEWHERE: "the same street and number in another place",
    Level.SAME_PLACE: "the same postal code and city, another street or none",
    Level.SAME_POSTCODE: "the same postal code only",
    Level.SAME_CITY: "the same city only",
    Level.SAME_TAIL: "the same last digits, another prefix",
    Level.SAME_LOCAL_PART: "the same name before the @, another provider",
    Level.DIFFERENT: "different",
}


def words_for(level: Level) -> str:
    """The level in words, for whoever decides about a pair."""
    return _WORDS[level]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one field says about a pair: positive bits for one person, negative for two. It holds no value."""

    field: Field
    level: Level
    bits: float
    household: bool = False
    """Weighed as between people of one household, who share more than strangers do."""

    @property
    def words(self) -> str:
        """The level in words."""
        return _WORDS[self.level] + (", as between people of one household" if self.household else "")


class Comparison(NamedTuple):
    """The agreement pattern of a pair (Fellegi and Sunter's gamma): a level for each field in the order of `Field`.

    Where given and family name stand in each other's place, the given name says so and the family name is None, as
    one fact is told once.
    """

    levels: tuple[Level | None, ...]
    shared: Field | None
    """What makes them look like one household, if anything does: then they may be kin rather than one person."""

    def as_kin(self, which: Field) -> bool:
        """Whether a field is weighed as between kin.

        What makes them look like a household is not, and beside the same names neither are birth date and mailbox: of
        kin only twins share a birth date, and twins have two names.
        """
        if self.shared is None or which is self.shared:
            return False
        given, family = self.levels[:2]
        return which not in _OWN_BESIDE_A_NAME or given not in _SAME_NAME or family is Level.DIFFERENT


_FIRST_OF_KIN = (Level.SAME, Level.NEARLY)
_LIKE = frozenset({Level.SAME, Level.VARIANT, Level.TYPO})
_OWN_BESIDE_A_NAME = frozenset({Field.BIRTH_DATE, Field.EMAIL})
_SAME_NAME = frozenset({Level.SAME, Level.VARIANT})
_SAME_AREA = frozenset({Level.SAME_PLACE, Level.SAME_POSTCODE})


def compare(left: Person, right: Person) -> Comparison:
    """The agreement pattern of two people; the same whichever comes first."""
    given, family = _names(left, right)
    address = _both(left.address, right.address, _address_level)
    phone = _both(left.phone, right.phone, _phone_level)
    email = _both(left.email, right.email, _email_level)
    birth = _both(left.birth, right.birth, _birth_level)
    national_id = _both(left.national_id, right.national_id, _national_id_level)
    shared = None
    if address in _FIRST_OF_KIN or (address in _SAME_AREA and _may_be_kin(left, right, given, family)):
        shared = Field.ADDRESS
    elif phone is Level.SAME:
        shared = Field.PHONE
    elif email is Level.SAME and not is_own_mailbox(left, right):
        shared = Field.EMAIL
    return Comparison((given, family, birth, address, phone, email, national_id), shared)


def is_own_mailbox(left: Person, right: Person) -> bool:
    """Whether the e-mail address of either has their given name in it."""
    return any(each.email is not None and each.email.own for each in (left, right))


def _may_be_kin(left: Person, right: Person, given: Level | None, family: Level | None) -> bool:
    """The same family name in the same place, where the street of one is not known."""
    homes = (left.address, right.address)
    known = all(each is not None and each.street for each in homes)
    return not known and (family in _LIKE or given is Level.SWAPPED)


def _both(left: T | None, right: T | None, level: Callable[[T, T], Level | None]) -> Level | None:
    return None if left is None or right is None else level(left, right)


def _names(left: Person, right: Person) -> tuple[Level | None, Level | None]:
    given = _both(left.given, right.given, _given_level)
    family = _both(left.family, right.family, _name_level)
    if given in _LIKE or family in _LIKE:
        return given, family
    crossed = _both(left.given, right.family, _given_level) in _LIKE
    if crossed and _both(left.family, right.given, _given_level) in _LIKE:
        return Level.SWAPPED, None
    return given, family


def _given_level(left: Name, right: Name) -> Level:
    """As any name; but Daniel and Daniela, Mario and Maria are told apart from a slip of the pen."""
    level = _name_level(left, right)
    if level in {Level.TYPO, Level.SIMILAR} and _stem(left.loose) == _stem(right.loose):
        return Level.ENDING
    # In a short given name, or twice in a long one, a slip of the pen cannot be told from another name.
    if level is Level.TYPO:
        short = min(len(left.loose), len(right.loose)) <= _SHORTEST_MISSPELT
        return Level.SIMILAR if short or OSA.distance(left.loose, right.loose) > 1 else level
    return level


def _stem(name: str) -> str:
    return name.rstrip("aeiouy") or name


def _name_level(left: Name, right: Name) -> Level:
    if left.written == right.written:
        return Level.INITIAL if left.initials else Level.SAME
    if left.loose == right.loose:
        return Level.VARIANT
    if (left.initials or right.initials) and _initials(left, right):
        return Level.INITIAL
    if len(left.words) > 1 or len(right.words) > 1:
        level = _by_words(left.words, right.words)
        if level:
            return level
    return _likeness(left.loose, right.loose)


def _by_words(left: tuple[str, ...], right: tuple[str, ...]) -> Level | None:
    """Double names in another order, or with one left out."""
    one, other = frozenset(left), frozenset(right)
    if one == other:
        return Level.VARIANT
    shorter, longer = (one, other) if len(one) < len(other) else (other, one)
    return Level.PART if shorter < longer and max(map(len, shorter)) >= _SHORTEST_PART else None


def _initials(left: Name, right: Name) -> bool:
    """Whether one is initials of the other."""
    for short, long in ((left, right), (right, left)):
        if short.initials:
            few = min(len(short.initials), len(long.first_letters))
            return short.initials[:few] == long.first_letters[:few]
    return False


def _likeness(left: str, right: str) -> Level:
    """How alike two spellings are. In short names one letter makes another name: Li and Lu, Tim and Tom."""
    shorter = min(len(left), len(right))
    if shorter < _SHORTEST_MISSPELT:
        return Level.DIFFERENT
    slips = OSA.distance(left, right, score_cutoff=2)
    if slips <= (2 if shorter >= _LONG_NAME else 1):
        return Level.TYPO
    return Level.SIMILAR if JaroWinkler.similarity(left, right) >= _SIMILAR else Level.DIFFERENT


def _birth_level(left: str, right: str) -> Level:
    if left == right:
        return Level.SAME if len(left) > _YEAR else Level.SAME_YEAR
    if len(left) != len(right):
        return Level.SAME_YEAR if left[:_YEAR] == right[:_YEAR] else Level.DIFFERENT
    if len(left) == _YEAR:
        return Level.DIFFERENT
    if left == right[:4] + right[6:] + right[4:6]:
        return Level.DAY_AND_MONTH_SWAPPED
    if OSA.distance(left, right, score_cutoff=1) <= 1:
        return Level.TYPO
    parts = (left[:4] == right[:4]) + (left[4:6] == right[4:6]) + (left[6:] == right[6:])
    return Level.TWO_PARTS if parts >= 2 else Level.DIFFERENT  # noqa: PLR2004 - of year, month and day


def _address_level(left: Address, right: Address) -> Level | None:
    if left.country and right.country and left.country != right.country:
        return Level.DIFFERENT
    street = _street_level(left, right)
    place = _place_level(left, right)
    if street in _FIRST_OF_KIN and place is Level.DIFFERENT:
        return Level.ELSEWHERE if street is Level.SAME else Level.DIFFERENT
    if street is Level.SAME and place is None:
        return Level.NEARLY
    if street in {Level.SAME, Level.NEARLY, Level.SAME_STREET} and place is not Level.DIFFERENT:
        return street
    return street if place is None else place


def _street_level(left: Address, right: Address) -> Level | None:
    if not left.street or not right.street:
        return None
    same = left.street == right.street
    if not same and not _street_is_near(left, right):
        return Level.DIFFERENT
    if left.numbers == right.numbers:
        return Level.SAME if same else Level.NEARLY
    if not left.numbers or not right.numbers or left.numbers < right.numbers or right.numbers < left.numbers:
        return Level.NEARLY
    if len(left.numbers) == len(right.numbers) == 1 and _slip(next(iter(left.numbers)), next(iter(right.numbers))):
        return Level.NEARLY
    return Level.SAME_STREET


def _street_is_near(left: Address, right: Address) -> bool:
    if left.street_words < right.street_words or right.street_words < left.street_words:
        return True
    if min(len(left.street), len(right.street)) < _SHORTEST_MISSPELT:
        return False
    if left.street.startswith(right.street) or right.street.startswith(left.street):
        return True
    return OSA.normalized_similarity(left.street, right.street) >= _SIMILAR_STREET


def _slip(left: str, right: str) -> bool:
    """Whether two house numbers of more than a digit differ by a slip of the pen; 7 and 8 are neighbours."""
    return max(len(left), len(right)) > 1 and OSA.distance(left, right) <= 1


def _place_level(left: Address, right: Address) -> Level | None:
    postcodes, cities = bool(left.postcode and right.postcode), bool(left.city and right.city)
    if not postcodes and not cities:
        return None
    city = cities and (left.city == right.city or _likeness(left.city, right.city) is Level.TYPO)
    if postcodes and left.postcode == right.postcode:
        return Level.SAME_PLACE if city else Level.SAME_POSTCODE
    return Level.SAME_CITY if city else Level.DIFFERENT


def _phone_level(left: str, right: str) -> Level:
    if left == right:
        return Level.SAME
    if left[-_TAIL:] == right[-_TAIL:]:
        return Level.SAME_TAIL
    near = min(len(left), len(right)) > _TAIL and OSA.distance(left, right, score_cutoff=1) <= 1
    return Level.TYPO if near else Level.DIFFERENT


def _email_level(left: Mailbox, right: Mailbox) -> Level | None:
    if not (left.person and right.person):
        return None
    if left == right:
        return Level.SAME
    if left.local == right.local:
        near = OSA.distance(left.domain, right.domain, score_cutoff=1) <= 1
        return Level.TYPO if near else Level.SAME_LOCAL_PART
    near = min(len(left.local), len(right.local)) >= _LONG_NAME and left.domain == right.domain
    return Level.TYPO if near and OSA.distance(left.local, right.local, score_cutoff=1) <= 1 else Level.DIFFERENT


def _national_id_level(left: str, right: str) -> Level:
    if left == right:
        return Level.SAME
    return Level.TYPO if OSA.distance(left, right, score_cutoff=1) <= 1 else Level.DIFFERENT
