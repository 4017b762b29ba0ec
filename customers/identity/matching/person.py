"""What matching looks at of one person, taken apart once, so that comparing many pairs is cheap."""

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from unicodedata import category

from customers.identity.matching.folding import fold, loosen, words

__all__ = ["Field", "Person", "prepare"]


class Field(StrEnum):
    """What is compared. The names stand in stored parameters and may not be changed."""

    GIVEN_NAME = "given_name"
    FAMILY_NAME = "family_name"
    BIRTH_DATE = "birth_date"
    ADDRESS = "address"
    PHONE = "phone"
    EMAIL = "email"
    NATIONAL_ID = "national_id"


_PLACEHOLDER_DATES = frozenset({"19000101", "19010101", "19700101", "00010101", "11111111", "99991231"})
_SHARED_NAMES = """
admin anfrage billing bestellung buchhaltung contact contacto einkauf hello hola info kontakt mail noreply no-reply
office order orders post postmaster prodej purchasing sales service shop support team test ventas verwaltung webmaster
"""
_ROLE_MAILBOXES = frozenset(_SHARED_NAMES.split())
_WORDS_FOR_STREET = """
allee alley av avda ave avenida avenue blvd boulevard c calle camino carrera carretera cct cir circle circuit cl close
court cr cres crescent crt ct dr drive gasse highway hwy lane ln nam namesti parade paseo pde pl place platz plaza rd
road rue sq square st str strasse street tce ter terrace tr trida ul ulica ulice via way weg
"""
_STREET_TYPES = frozenset(_WORDS_FOR_STREET.split())
_STREET_ENDING = re.compile(r"(?<=\w\w\w)(strasse|str)$")
_DATE = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?")
_SHORTEST_PHONE = 6
_SHORTEST_NATIONAL_ID = 4
_SHORTEST_IN_MAILBOX = 3


@dataclass(frozen=True, slots=True)
class Name:
    """One name: its words, and without spaces as it is written and with umlauts one way.

    `initials` is empty unless all its words are initials. A single character of a script such as Chinese, which has no
    lower case, is a whole name.
    """

    written: str
    loose: str
    words: tuple[str, ...]
    first_letters: str
    initials: str


@dataclass(frozen=True, slots=True)
class Address:
    """A street without the words for street, its numbers, and the place."""

    street: str
    street_words: frozenset[str]
    numbers: frozenset[str]
    postcode: str
    city: str
    country: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An e-mail address in lower case.

    `person` is false for mailboxes that many share by their name (info@…), `own` is true for those that have its
    holder's given name in theirs, and hence are hardly a family's.
    """

    local: str
    domain: str
    person: bool
    own: bool


@dataclass(frozen=True, slots=True)
class Person:
    """The parts of one person that are compared. A part that is None, or empty, says nothing either way."""

    given: Name | None = field(default=None, repr=False)
    family: Name | None = field(default=None, repr=False)
    birth: str | None = field(default=None, repr=False)
    """`19800517`, or `1980` where only the year is known."""
    address: Address | None = field(default=None, repr=False)
    phone: str | None = field(default=None, repr=False)
    email: Mailbox | None = field(default=None, repr=False)
    national_id: str | None = field(default=None, repr=False)


def prepare(
    *,
    given_name: str | None = None,
    family_name: str | None = None,
    birth_date: date | str | None = None,
    street: str | None = None,
    postal_code: str | None = None,
    city: str | None = None,
    country: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    national_id: str | None = None,
) -> Person:
    """Take a person's fields apart, in any spelling; what cannot be understood counts as not known.

    Args:
        given_name: All given names.
        family_name: All family names.
        birth_date: A date, or ISO 8601 text with or without hyphens; a year alone will do. Dates that programs fill
            in when none is known (1 January 1900, 1970 and the like) count as not known.
        street: Street and house number, in any order.
        postal_code: The postal code.
        city: The city.
        country: ISO 3166-1 alpha-2.
        phone: In international form.
        email: An address; mailboxes such as info@ are not evidence about a person.
        national_id: Any spelling; spaces and punctuation do not count.
    """
    given = _name(given_name)
    return Person(
        given=given,
        family=_name(family_name),
        birth=_birth(birth_date),
        address=_address(street, postal_code, city, country),
        phone=_digits(phone),
        email=_mailbox(email, given),
        national_id=_national_id(national_id),
    )


def _name(text: str | None) -> Name | None:
    folded = fold(text) if text else ""
    if not folded:
        return None
    parts = words(folded)
    short = all(len(each) == 1 and category(each) == "Ll" for each in parts)
    letters = "".join(each[0] for each in parts)
    return Name(folded.replace(" ", ""), loosen(folded), parts, letters, letters if short else "")


def _birth(value: date | str | None) -> str | None:
    text = value.isoformat() if isinstance(value, date) else (value or "").strip()
    parts = _DATE.fullmatch(text[:10])
    if not parts:
        return None
    digits = "".join(each or "" for each in parts.groups())
    return None if digits in _PLACEHOLDER_DATES else digits if len(digits) == len("YYYYMMDD") else digits[:4]


def _address(street: str | None, postcode: str | None, city: str | None, country: str | None) -> Address | None:
    every = words(fold(street)) if street else ()
    numbers = frozenset(each for each in every if any(sign.isdigit() for sign in each))
    named = [_STREET_ENDING.sub("", each) for each in every if each not in numbers]
    telling = [each for each in named if each not in _STREET_TYPES] or named
    address = Address(
        street=loosen("".join(telling)),
        street_words=frozenset(map(loosen, telling)),
        numbers=numbers,
        postcode=fold(postcode).replace(" ", "") if postcode else "",
        city=loosen(fold(city)) if city else "",
        country=(country or "").upper(),
    )
    return address if address.street or address.postcode or address.city else None


def _digits(phone: str | None) -> str | None:
    digits = "".join(each for each in phone.partition(";")[0] if each.isdecimal()) if phone else ""
    return digits if len(digits) >= _SHORTEST_PHONE and len(set(digits)) > 1 else None


def _mailbox(email: str | None, given: Name | None) -> Mailbox | None:
    local, at, domain = (email or "").strip().casefold().rpartition("@")
    if not (at and local and domain):
        return None
    local = local.partition("+")[0] or local
    own = given is not None and len(given.written) >= _SHORTEST_IN_MAILBOX and given.written in fold(local)
    return Mailbox(local, domain, person=local not in _ROLE_MAILBOXES, own=own)


def _national_id(value: str | None) -> str | None:
    plain = fold(value).replace(" ", "") if value else ""
    return plain if len(plain) >= _SHORTEST_NATIONAL_ID and len(set(plain)) > 1 else None
