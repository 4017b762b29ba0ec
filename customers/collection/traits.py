"""What `identify` says of a person, as fields of their profile. Pure.

Segment's reserved traits become the fields they mean; what a name cannot be told from, and whatever has no field, stays
a trait. E-mail addresses and phone numbers are identifiers: they are who somebody is, and are resolved before anything
is stored.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from customers.errors import InputInvalidError
from customers.profiles.draft import checked
from customers.spelling import ORIGINAL, country_code
from policies import Catalogue

_TWO_WORDS: Final = re.compile(r"\s*(\S+)\s+(\S+)\s*")
_NOTHING: Final = ("", None)
# Said by the platform itself, of the profile and not of the person.
_IGNORED: Final = frozenset({"email", "phone", "createdAt", "created_at", "id", "userId", "anonymousId"})
_PLACES: Final[Mapping[str, str]] = {
    "street": "street",
    "postalCode": "postal_code",
    "postal_code": "postal_code",
    "city": "city",
    "country": "country",
}
_NAMES: Final[Mapping[str, str]] = {
    "firstName": "given_name",
    "first_name": "given_name",
    "lastName": "family_name",
    "last_name": "family_name",
    "birthday": "birth_date",
}

RESERVED: Final[Mapping[str, str]] = {
    **_NAMES,
    "name": "given_name",
    "email": "email",
    "phone": "phone",
    "address": "street",
    "language": "language",
    "locale": "language",
}
"""Each reserved trait with the profile field whose data category it has, where no plan says another."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the traits of one event say.

    Attributes:
        fields: checked values by the name of the profile's field.
        traits: everything that has no field of its own.
        problems: the reserved traits whose values cannot be stored, by the name that was sent.
        originals: a country as it was sent, where that is not its code, as `customers.spelling.arriving` has it. Other
            values are brought into their usual spelling where the profile is known.
    """

    fields: Mapping[str, Any]
    traits: Mapping[str, Any]
    problems: tuple[str, ...]
    originals: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The catalogue's fields of a profile that these write."""
        return [*(f"profile.{name}" for name in self.fields), *(["profile.traits"] if self.traits else [])]


def category_of(trait: str, catalogue: Catalogue) -> str | None:
    """The data category that a reserved trait has by its name; None for any other trait."""
    meant = catalogue.fields.get(f"profile.{RESERVED.get(trait)}")
    if meant is None:
        return None
    # A whole address is as much as its most telling part; so is a whole name.
    return meant.category.rpartition(".")[0] if trait in ("address", "name") else meant.category


def said(traits: Mapping[str, Any], now: datetime) -> Said:
    """What these traits say; an empty text or null says nothing, so a form that was left empty removes nothing.

    Args:
        traits: As they were sent.
        now: No date of birth is later.
    """
    fields: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    problems: list[str] = []

    def keep(trait: str, field: str, value: Any, form: Callable[[Any], Any]) -> None:
        try:
            fields.update(checked({field: form(value)}, now))
        except (InputInvalidError, ValueError):
            problems.append(trait)

    for trait, value in traits.items():
        if trait in _IGNORED or value in _NOTHING:
            continue
        if trait in _NAMES:
            keep(trait, _NAMES[trait], value, _day if trait == "birthday" else _as_it_is)
        elif trait in ("language", "locale"):
            if "language" not in fields or trait == "language":
                keep(trait, "language", value, _language)
        elif trait == "address":
            _address(value, keep, rest, problems)
        elif trait != "name":
            rest[trait] = value
    _whole_name(traits.get("name"), fields, rest, keep)
    return Said(fields, rest, tuple(problems), _country_as_sent(traits.get("address"), fields))


def _country_as_sent(address: Any, fields: Mapping[str, Any]) -> dict[str, str]:
    """A country by another name than its code; small letters are no other name."""
    sent, code = address.get("country") if isinstance(address, dict) else None, fields.get("country")
    return {ORIGINAL + "country": sent} if isinstance(sent, str) and code not in (None, sent.strip().upper()) else {}


def _address(
    value: Any, keep: Callable[[str, str, Any, Callable[[Any], Any]], None], rest: dict[str, Any], problems: list[str]
) -> None:
    if not isinstance(value, dict):
        problems.append("address")
        return
    for part, each in value.items():
        if each in _NOTHING:
            continue
        if part in _PLACES:
            keep(f"address.{part}", _PLACES[part], each, _country if part == "country" else _as_it_is)
        else:
            rest.setdefault("address", {})[part] = each


def _whole_name(
    value: Any,
    fields: Mapping[str, Any],
    rest: dict[str, Any],
    keep: Callable[[str, str, Any, Callable[[Any], Any]], None],
) -> None:
    """A name of two words is a first and a last name; where there are more, nobody can say which word is which."""
    if value in _NOTHING or "given_name" in fields or "family_name" in fields:
        return
    words = _TWO_WORDS.fullmatch(value) if isinstance(value, str) else None
    if words is None:
        rest["name"] = value
        return
    keep("name", "given_name", words[1], _as_it_is)
    keep("name", "family_name", words[2], _as_it_is)


def _as_it_is(value: Any) -> Any:
    return value


def _day(value: Any) -> Any:
    """The day of a date or of a moment, as SDKs that know only moments send birthdays."""
    if isinstance(value, str) and len(value) > len("2000-01-01"):
        return datetime.fromisoformat(value).date()
    return date.fromisoformat(value) if isinstance(value, str) else value


def _language(value: Any) -> Any:
    """`pt_BR.UTF-8` and `PT-br` as `pt-BR`."""
    if not isinstance(value, str):
        return value
    language, *rest = value.partition(".")[0].replace("_", "-").split("-")
    return "-".join([language.lower(), *(each.upper() if len(each) == 2 else each for each in rest)])  # noqa: PLR2004


def _country(value: Any) -> str:
    code = country_code(value) if isinstance(value, str) else None
    if code is None:
        raise ValueError("must be a country's name or its ISO 3166 code of two letters")
    return code
