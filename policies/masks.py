"""What a masked reading shows: always text, never enough to have the value, never its length."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from policies.vocabulary import Mask

HIDDEN: Final = "•••"
"""Stands for what is hidden, always three dots however much it is."""

_ENOUGH_FOR_FOUR = 8
"""Four of seven characters would be most of the value."""
_ENOUGH_FOR_TWO = 4
_DOMAIN = re.compile(r"[\w-]+(\.[\w-]+)+")
_MAX_DOMAIN = 253
_MOST = 1_000_000


def mask_value(mask: Mask, value: Any, *, pseudonym: Callable[[str], str]) -> Any:
    """The value as somebody may see it who may see only its mask.

    Guarantees: None stays None (there is nothing to hide); a list becomes a list of one text, so its length does not
    show; anything else becomes a text. The text never equals the value, and where a mask would leave too much of a
    short or unusual value, everything is hidden.

    Args:
        mask: what may remain.
        value: as stored; dates also as ISO text.
        pseudonym: a keyed one-way function; the same text always gives the same pseudonym.
    """
    if value is None:
        return None
    if isinstance(value, list | tuple | set | frozenset):
        return [HIDDEN]
    shown = _shown(mask, value, pseudonym)
    return HIDDEN if shown is None or shown == value else shown


def _shown(mask: Mask, value: Any, pseudonym: Callable[[str], str]) -> str | None:
    """What remains, or None when nothing may."""
    if isinstance(value, bool) or (isinstance(value, str) and HIDDEN[0] in value):
        return None
    if mask in _OF_VALUES:
        return _OF_VALUES[mask](value)
    text = value.strip() if isinstance(value, str) else ""
    if text and mask in _OF_TEXTS:
        return _OF_TEXTS[mask](text)
    return pseudonym(text) if text and mask is Mask.PSEUDONYM else None


def _first_character(text: str) -> str | None:
    return text[0] + HIDDEN if len(text) > 1 and text[0].isalnum() else None


def _last_four(text: str) -> str | None:
    characters = [character for character in text if character.isalnum()]
    return HIDDEN + "".join(characters[-4:]) if len(characters) >= _ENOUGH_FOR_FOUR else None


def _domain(text: str) -> str | None:
    """`a•••@example.org`. A domain of one's own gives its owner away; no mask can know which those are."""
    local, _, domain = text.rpartition("@")
    if not local or len(domain) > _MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
        return None
    first = local[0] if len(local) > 1 and local[0].isalnum() else ""
    return f"{first}{HIDDEN}@{domain}"


def _year(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return f"{value.year:04d}" if isinstance(value, date) else None


def _generalised(value: Any) -> str | None:
    if isinstance(value, int | float | Decimal):
        return _range(value)
    if isinstance(value, date):
        return _year(value)
    if not isinstance(value, str):
        return None
    characters = [character for character in value if character.isalnum()]
    return "".join(characters[:2]) + HIDDEN if len(characters) >= _ENOUGH_FOR_TWO else None


def _range(number: float | Decimal) -> str | None:
    """The two round numbers it lies between: 0 and 10, 30 and 40, 200 and 300, 1000 and 2000."""
    if not (number.is_finite() if isinstance(number, Decimal) else number == number):  # noqa: PLR0124 - "not a number"
        return None
    if number < 0:
        return None
    if number >= _MOST:
        return f"{_MOST} or more"
    whole = int(number)
    step = 10
    while whole >= step * 10:
        step *= 10
    low = whole // step * step
    return f"{low}–{low + step}"  # noqa: RUF001 - a range is written with an en dash


_OF_VALUES: Mapping[Mask, Callable[[Any], str | None]] = {Mask.YEAR_ONLY: _year, Mask.GENERALISE: _generalised}
_OF_TEXTS: Mapping[Mask, Callable[[str], str | None]] = {
    Mask.FIRST_CHARACTER: _first_character,
    Mask.LAST_FOUR: _last_four,
    Mask.DOMAIN_ONLY: _domain,
}
