"""What is held of a customer, in groups and in their own words: values in, values out. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.numbers import UnknownCurrencyError, format_currency, format_decimal

from policies import Field, PolicySet
from policies.retention import later
from server.portal.moments import day, day_time, moment_of

Words = Callable[[str], str]
_SIGNS: Final = ("updatedAt", "firstOrderAt", "lastOrderAt", "lastEventAt", "createdAt")


def _(text: str) -> str:
    """Marks a text for the catalogues; it is translated where it is shown."""
    return text


GROUPS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("who", _("Who you are"), ("user.name", "user.demographic", "user.government_id")),
    ("reach", _("How we reach you"), ("user.contact",)),
    ("account", _("Your account"), ("user.account", "user.location", "user.unique_id")),
    ("done", _("What you bought, asked and did"), ("user.behavior",)),
    ("notes", _("What our staff wrote about you"), ("user.content",)),
    ("more", _("What else our shops and apps told us"), ("user.unclassified",)),
    ("record", _("About this record"), ("system.operations",)),
)
"""The groups of the page, each with its heading and the categories that are in it."""

CORRECTED: Final = ("given_name", "family_name", "birth_date", "language", "street", "postal_code", "city", "country")
"""What a customer may correct by saying so."""
PROVED: Final = ("email",)
"""What they may correct by showing that it is theirs."""

_ORIGINS: Final[Mapping[str, str]] = {
    "event": _("heard by %(source)s"),
    "webhook": _("told by %(source)s"),
    "import": _("came in the file %(source)s"),
    "staff": _("written by our staff"),
    "customer": _("came from yourself"),
    "client": _("written by our program %(source)s"),
    "enrichment": _("looked up at %(source)s"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One value.

    Attributes:
        name: of the field in the catalogue.
        label: what it is, in words.
        value: itself, as text.
        origin: where it came from, as a whole clause; None where that is not known.
        until: until when it is kept, where that was said of this very value.
        change: how it can be corrected: `correct`, `prove`, `ask`; None where there is nothing to correct.
    """

    name: str
    label: str
    value: str
    origin: str | None
    until: str | None
    change: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """A group of values that belong together.

    Attributes:
        name: of the group.
        label: its heading.
        values: what is in it.
        until: until when all of it is kept at the longest, where nothing more is heard of the customer.
        why: what it is kept for so long.
        origin: where all of it came from, where that is one place.
    """

    name: str
    label: str
    values: tuple[Shown, ...]
    until: str | None
    why: tuple[str, ...]
    origin: str | None


def groups(
    profile: Mapping[str, Any], policies: PolicySet, keeping: "Keeping", words: Words, language: str
) -> tuple[Group, ...]:
    """The groups in which anything is held."""
    origins = {each["field"]: each for each in profile.get("provenance") or ()}
    found = []
    fields = policies.catalogue.object("profile")
    for name, label, categories in GROUPS:
        mine = [each for each in fields if _is_of(each.category, categories)]
        values = [*_values(mine, profile, origins, words, language)]
        if not values:
            continue
        until, purposes = keeping.until([each.path for each in mine if _held(profile, each)], profile)
        every = {each.origin for each in values}
        one = every.pop() if len(every) == 1 and len(values) > 1 else None
        if one is not None:
            values = [replace(each, origin=None) for each in values]
        found.append(
            Group(
                name,
                words(label),
                tuple(values),
                None if until is None else day(until, language),
                tuple(words(policies.purposes[each].label) for each in purposes),
                one,
            )
        )
    return tuple(found)


def _is_of(category: str, wanted: Sequence[str]) -> bool:
    return any(category == each or category.startswith(f"{each}.") for each in wanted)


def _held(profile: Mapping[str, Any], field: Field) -> bool:
    return profile.get(camel(field.name)) not in (None, [], {}, "")


def _values(
    fields: Iterable[Field],
    profile: Mapping[str, Any],
    origins: Mapping[str, Mapping[str, Any]],
    words: Words,
    language: str,
) -> Iterable[Shown]:
    for field in fields:
        if field.name in ("consents", "version") or not _held(profile, field):
            continue
        value = profile[camel(field.name)]
        if field.name == "traits" and isinstance(value, dict):
            yield from _traits(value, origins, words, language)
            continue
        if field.name == "identifiers":
            value = [each for each in value if each["value"] not in (profile.get("email"), profile.get("phone"))]
            if not value:
                continue
        origin = origins.get(field.name)
        if field.name == "identifiers" and origin is not None and str(origin["kind"]).lower() == "customer":
            origin = None  # what they said is their address, which is not among those that are shown here
        yield Shown(
            field.name,
            words(field.label),
            written(field, value, profile, language),
            origin_of(origin, words, language),
            None if origin is None else day(origin.get("expiresAt"), language) or None,
            change_of(field),
        )
    if any(each.name == "traits" for each in fields):
        yield from _traits(profile.get("classifiedTraits") or {}, origins, words, language)


def _traits(
    traits: Mapping[str, Any], origins: Mapping[str, Mapping[str, Any]], words: Words, language: str
) -> Iterable[Shown]:
    for name in sorted(traits):
        origin = origins.get(f"traits.{name}")
        until = None if origin is None else day(origin.get("expiresAt"), language) or None
        told = origin_of(origin, words, language)
        yield Shown(f"traits.{name}", name.replace("_", " "), as_text(traits[name], language), told, until, "ask")


def change_of(field: Field) -> str | None:
    """How a field can be corrected."""
    if field.name in CORRECTED:
        return "correct"
    if field.name in PROVED:
        return "prove"
    return "ask" if field.sealed else None


def origin_of(origin: Mapping[str, Any] | None, words: Words, language: str) -> str | None:
    """Where a value came from: `you told us, 3 May 2026`."""
    if origin is None:
        return None
    kind = str(origin["kind"]).lower()
    said = words(_ORIGINS.get(kind, _ORIGINS["client"])) % {"source": origin["source"]}
    return f"{said}, {day(origin['at'], language)}"


def written(field: Field, value: Any, profile: Mapping[str, Any], language: str) -> str:
    """A value as its reader writes it."""
    match field.name:
        case "country":
            return country(str(value), language)
        case "language":
            return tongue(str(value), language)
        case "identifiers":
            return "\n".join(f"{each['type']}: {each['value']}" for each in value)
        case "notes":
            return "\n".join(value) if isinstance(value, list) else str(value)
        case "total_spent":
            return money(value, profile.get("currency"), language)
    if field.kind.value == "date":
        return day(str(value), language)
    if field.kind.value == "datetime":
        return day_time(str(value), language)
    return as_text(value, language)


def as_text(value: Any, language: str) -> str:
    """Any value of JSON as text."""
    if isinstance(value, bool):
        return "✓" if value else "✗"
    if isinstance(value, int | float):
        try:
            return format_decimal(value, locale=language, decimal_quantization=False)  # as it is held, not rounded
        except ArithmeticError:  # of more than 28 digits; anybody may send one
            return str(value)
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def money(amount: Any, currency: Any, language: str) -> str:
    """An amount as it is written in a language."""
    try:
        return format_currency(str(amount), str(currency or "EUR"), locale=language)
    except (ValueError, ArithmeticError, UnknownCurrencyError):
        return str(amount)


def country(code: str, language: str) -> str:
    """A country's name."""
    return str(Locale(language).territories.get(code.upper(), code))


def tongue(tag: str, language: str) -> str:
    """A language's name."""
    try:
        return Locale.parse(tag, sep="-").get_display_name(language) or tag
    except (ValueError, UnknownLocaleError):
        return tag


class Keeping:
    """Until when fields are kept: the longest that a purpose which may read them keeps what it used. Pure.

    Args:
        policies: which purposes may read what.
    """

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._purposes = {
            name: purpose
            for name, purpose in policies.purposes.items()
            if purpose.retention is not None and name != "self_service"
        }
        self._readers = {
            name: [policies.decide([role], name) for role in policies.roles if role != "customer"]
            for name in self._purposes
        }

    def until(self, paths: Sequence[str], profile: Mapping[str, Any]) -> tuple[datetime | None, tuple[str, ...]]:
        """When the last of these fields goes if nothing more is heard of the customer, and the purposes it is kept for.

        None where no purpose says how long, or where that time is over and they go with the next sweep.
        """
        heard = [moment for each in _SIGNS if (moment := moment_of(profile.get(each))) is not None]
        using = [
            name
            for name, grants in self._readers.items()
            if any(grant.read[path] for grant in grants for path in paths)
        ]
        if not using or not heard:
            return None, ()
        last = max(heard)
        ends = {name: later(last, self._purposes[name].retention or "P1D") for name in using}
        latest = max(ends.values())
        longest = {name for name in using if ends[name] == latest}
        # Of a purpose and those below it, the one above says it all.
        shown = dict.fromkeys(
            next(each for each in reversed(self._purposes[name].lineage) if each in longest)
            for name in using
            if name in longest
        )
        return latest.astimezone(UTC), tuple(shown)


def camel(name: str) -> str:
    """A field's name in GraphQL."""
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)


__all__ = [
    "CORRECTED",
    "GROUPS",
    "PROVED",
    "Group",
    "Keeping",
    "Shown",
    "Words",
    "as_text",
    "camel",
    "change_of",
    "country",
    "groups",
    "money",
    "origin_of",
    "tongue",
    "written",
]
