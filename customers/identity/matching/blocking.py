"""Which records are worth comparing: those that share at least one of several combinations of parts.

Each combination is a text. Stored, it is only ever the keyed token of the text (HMAC-SHA256 under an index key), so a
database sees that two records share something, and not what. Texts begin with the name of their rule, so that equal
parts under different rules have different tokens. Pure.

Changing what a rule gives needs new tokens for the whole base: raise `VERSION`, which is part of every text.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from customers.identity.matching.folding import sound
from customers.identity.matching.person import Address, Field, Person

__all__ = ["FIXES", "VERSION", "Rule", "combinations", "shared", "text_rules", "texts"]

VERSION: Final = 1


class Rule(StrEnum):
    """The combinations. The names stand in tokens and may not be changed."""

    FAMILY_AND_YEAR = "fy"
    GIVEN_AND_BIRTH = "gb"
    FAMILY_AND_PLACE = "fp"
    GIVEN_AND_PLACE = "gp"
    NAMES = "nn"
    BIRTH_AND_PLACE = "bp"
    BIRTH_AND_INITIALS = "bi"
    STREET_AND_NUMBER = "sn"
    STREET_AND_PLACE = "sp"
    PHONE = "ph"
    EMAIL = "em"
    NATIONAL_ID = "id"


FIXES: Final[Mapping[Rule, frozenset[Field]]] = {
    Rule.FAMILY_AND_YEAR: frozenset({Field.FAMILY_NAME, Field.BIRTH_DATE}),
    Rule.GIVEN_AND_BIRTH: frozenset({Field.GIVEN_NAME, Field.BIRTH_DATE}),
    Rule.FAMILY_AND_PLACE: frozenset({Field.FAMILY_NAME, Field.ADDRESS}),
    Rule.GIVEN_AND_PLACE: frozenset({Field.GIVEN_NAME, Field.ADDRESS}),
    Rule.NAMES: frozenset({Field.GIVEN_NAME, Field.FAMILY_NAME}),
    Rule.BIRTH_AND_PLACE: frozenset({Field.BIRTH_DATE, Field.ADDRESS}),
    Rule.BIRTH_AND_INITIALS: frozenset({Field.GIVEN_NAME, Field.FAMILY_NAME, Field.BIRTH_DATE}),
    Rule.STREET_AND_NUMBER: frozenset({Field.ADDRESS}),
    Rule.STREET_AND_PLACE: frozenset({Field.ADDRESS}),
    Rule.PHONE: frozenset({Field.PHONE}),
    Rule.EMAIL: frozenset({Field.EMAIL}),
    Rule.NATIONAL_ID: frozenset({Field.NATIONAL_ID}),
}
"""The fields that a rule makes agree: nothing can be learnt about them from the pairs it gives."""

_TAIL = 7
_YEAR = 4
_SHORTEST_LOCAL = 4
_PLACE = 3
_STREET = 4


def texts(person: Person) -> frozenset[str]:
    """The texts by which a person is found, each to be made a token; seldom more than a dozen."""
    return frozenset(text_rules(person))


def text_rules(person: Person) -> dict[str, Rule]:
    """The texts by which a person is found, each with the rule that gives it."""
    return {"\x1f".join((f"{VERSION}{rule}", *parts)): rule for rule, parts in combinations(person)}


def shared(left: Person, right: Person) -> frozenset[Rule]:
    """The rules that make two people candidates, for learning from a pair that an index found."""
    return frozenset(rule for rule, _ in set(combinations(left)) & set(combinations(right)))


def combinations(person: Person) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    """The rules that apply, each with its parts."""
    given = sound(" ".join(person.given.words)) if person.given else ""
    family = sound(" ".join(person.family.words)) if person.family else ""
    yield from _by_names(given, family)
    yield from _by_birth(person, given, family)
    if person.address:
        yield from _by_address(person.address, given, family)
    if person.phone:
        yield Rule.PHONE, (person.phone[-_TAIL:],)
    if person.email and person.email.person and len(person.email.local) >= _SHORTEST_LOCAL:
        yield Rule.EMAIL, (person.email.local.replace(".", "").replace("-", "").replace("_", ""),)
    if person.national_id:
        yield Rule.NATIONAL_ID, (person.national_id,)


def _by_names(given: str, family: str) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    if not given or not family:
        return
    # In order of the alphabet, so that names in each other's place are found.
    names = tuple(sorted((given, family)))
    yield Rule.NAMES, names


def _by_address(home: Address, given: str, family: str) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    if home.postcode and family:
        yield Rule.FAMILY_AND_PLACE, (family, home.postcode)
    if home.postcode and given:
        yield Rule.GIVEN_AND_PLACE, (given, home.postcode)
    street = sound(home.street)[:_STREET]
    if street and home.postcode:
        yield Rule.STREET_AND_PLACE, (street, home.postcode)
    for number in home.numbers if street else ():
        if home.postcode:
            yield Rule.STREET_AND_NUMBER, (street, number, home.postcode[:_PLACE])
        if home.city:
            yield Rule.STREET_AND_NUMBER, (street, number, sound(home.city)[:_STREET])


def _by_birth(person: Person, given: str, family: str) -> Iterator[tuple[Rule, tuple[str, ...]]]:
    birth = person.birth
    if not birth:
        return
    if family:
        yield Rule.FAMILY_AND_YEAR, (family, birth[:4])
    if len(birth) == _YEAR:
        return
    if given:
        yield Rule.GIVEN_AND_BIRTH, (given, birth)
    if given and family:
        month, day = sorted((birth[4:6], birth[6:]))
        yield Rule.BIRTH_AND_INITIALS, (birth[:4], month, day, *sorted((given[0], family[0])))
    if person.address and person.address.postcode:
        yield Rule.BIRTH_AND_PLACE, (birth, person.address.postcode[:_PLACE])
    if person.address and person.address.city:
        yield Rule.BIRTH_AND_PLACE, (birth, sound(person.address.city)[:4])
