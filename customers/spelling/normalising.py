"""The usual spelling of names, addresses, phone numbers and countries. Values in, values out; nothing is kept. Pure.

Two kinds of changes are told apart. *Sure* ones say the same thing: spaces, composed characters, a country's code for its
name, a postal code as its country writes it, a number in E.164. They can be made on the way in (`arriving`), and what
came is kept beside. The case of a name is a *guess*: it is only ever suggested, and a person decides.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from unicodedata import combining, decomposition, normalize

from customers.spelling import placeholders, postal
from customers.spelling.casing import recased
from customers.spelling.countries import COUNTRIES
from vault.errors import InvalidIdentifierError
from vault.normalise import normalise_phone

__all__ = ["CORRECTABLE", "ORIGINAL", "Suggestion", "SuggestionKind", "arriving", "country_code", "suggestions"]


class SuggestionKind(StrEnum):
    """From what a suggestion leads away. The values are stored; they may not be changed or reused."""

    CHARACTERS = "characters"
    """Characters that nobody sees, or that have a usual form: a decomposed umlaut, a full-width letter."""
    SPACING = "spacing"
    """Spaces at the ends, or several together."""
    CASE = "case"
    """A name all in capitals, or all without: a guess."""
    COUNTRY = "country"
    """A country's name, or a code that is not ISO 3166's."""
    POSTAL_FORM = "postal_form"
    """A postal code not written as its country writes it."""
    PHONE_FORM = "phone_form"
    """A telephone number not in E.164."""


GUESSES: Final = frozenset({SuggestionKind.CASE})
CORRECTABLE: Final = ("given_name", "family_name", "street", "postal_code", "city", "country")
"""The fields for which corrections are suggested. E-mail addresses and numbers are identifiers: they are in normal form
from the start, and another one is another way to reach somebody."""
ORIGINAL: Final = "original."
"""What stands before a field's name in `profile.traits` where its value before a correction is kept."""

_CASED: Final = frozenset({"given_name", "family_name", "city"})
_UNSEEN: Final = re.compile("[\u00ad\u200b\u200e\u200f\u2060\ufeff]")  # not the joiners that Persian and Hindi need
_SPACES: Final = re.compile(r"\s+")
_LONGEST: Final = 500
_COUNTRY_NAMES: Final = Path(__file__).with_name("country_names.txt")


@dataclasses.dataclass(frozen=True, slots=True)
class Suggestion:
    """Another spelling of a field's value; `to` is shown to whoever may see the field, and stored by nobody."""

    field: str
    kind: SuggestionKind
    to: str = dataclasses.field(repr=False)


def suggestions(values: Mapping[str, Any], seen: Collection[str]) -> tuple[Suggestion, ...]:
    """Better spellings, at most one for each field; applying one and asking again gives none for it.

    Args:
        values: By field name.
        seen: The fields that may be looked at.
    """
    found = (_suggestion(name, values, seen) for name in CORRECTABLE if name in seen)
    return tuple(each for each in found if each is not None)


def arriving(values: Mapping[str, Any], *, country: str | None = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Values as they are to be stored, with the sure changes made, and the originals of those that were changed.

    The originals are for `profile.traits`, which is sealed and read by nobody but the person and the privacy officer:
    `{"original.country": "Deutschland"}`. Values that are not text, or that are not understood, stay as they are.

    Args:
        values: By field name, as they came; `phone` may be among them.
        country: The country (ISO 3166-1 alpha-2) of numbers and postal codes that come without one.
    """
    changed = {name: each for name, each in values.items() if name in (*CORRECTABLE, "phone")}
    for name in ("country", *(each for each in changed if each != "country")):
        value = changed.get(name)
        if isinstance(value, str):
            home = changed.get("country")
            changed[name] = _sure(name, value, home if home in COUNTRIES else country)[0]
    kept = {ORIGINAL + name: values[name] for name, value in changed.items() if value != values[name]}
    return {**values, **changed}, kept


def country_code(text: str) -> str | None:
    """The ISO 3166-1 alpha-2 code of a country called so in one of twelve languages, or by its code; else None."""
    code = text.strip().upper()
    return code if code in COUNTRIES else _countries().get(_folded(text))


def _suggestion(name: str, values: Mapping[str, Any], seen: Collection[str]) -> Suggestion | None:
    value = values.get(name)
    if not isinstance(value, str) or not value or len(value) > _LONGEST:
        return None
    home = values.get("country") if "country" in seen else None
    home = country_code(home) if isinstance(home, str) else None
    better, kind = _sure(name, value, home)
    word = placeholders.plain(better)
    made_up = word in placeholders.NEVER or placeholders.is_repeated(word)
    if name in _CASED and not made_up:
        cased = recased(better, home, is_family=name == "family_name", is_town=name == "city")
        better, kind = (better, kind) if cased == better else (cased, SuggestionKind.CASE)
    return None if kind is None or better == value else Suggestion(name, kind, better)


def _sure(name: str, value: str, country: str | None) -> tuple[str, SuggestionKind | None]:
    """The value with what is sure changed, and the last thing that was."""
    kind: SuggestionKind | None = None
    if len(value) > _LONGEST:
        return value, None
    cleaned = _characters(value)
    if cleaned != value:
        kind = SuggestionKind.CHARACTERS
    spaced = _SPACES.sub(" ", cleaned).strip()
    if not spaced:
        return value, None
    if spaced != cleaned:
        kind = SuggestionKind.SPACING
    special = _special(name, spaced, country)
    return (spaced, kind) if special is None or special[0] == spaced else special


def _special(name: str, value: str, country: str | None) -> tuple[str, SuggestionKind] | None:
    """What only this field has: a code, a form. None where it does not, or the value is not understood."""
    match name:
        case "country":
            code = country_code(value)
            return None if code is None else (code, SuggestionKind.COUNTRY)
        case "postal_code" if country is not None and postal.is_judged(country):
            written = postal.as_written(country, value)
            return None if written is None else (written, SuggestionKind.POSTAL_FORM)
        case "phone":
            try:
                return normalise_phone(value, country), SuggestionKind.PHONE_FORM
            except InvalidIdentifierError:
                return None
    return None


def _characters(text: str) -> str:
    """NFC, without what nobody sees; full-width and half-width forms as the characters they are."""
    if text.isascii():
        return text
    text = "".join(
        normalize("NFKC", each) if decomposition(each).startswith(("<wide>", "<narrow>")) else each for each in text
    )
    return normalize("NFC", _UNSEEN.sub("", text))


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in _COUNTRY_NAMES.read_text(encoding="utf-8").splitlines():
        code, _, names = line.partition("\t")
        if names:
            found |= {_folded(name): code for name in names.split("|")}
    return found


def _folded(text: str) -> str:
    """Letters alone, without accents, in lower case."""
    return "".join(
        each for each in normalize("NFKD", text[:_LONGEST].casefold()) if each.isalpha() and not combining(each)
    )
