"""Finds what identifies a person in values that were said to be harmless. Pure, and linear in the length of a text.

What carries a check digit, or a shape that nothing else has, is found wherever it stands; what any number of that
length could be (nine or ten digits, a phone number without its country) is found only in its usual way of writing or
beside a word that says what it is. docs/tracking-plans.md lists each with what it was measured to find and to mistake.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote_plus

import phonenumbers

from customers.collection import checksums
from customers.collection.hints import (
    IS_NATIONAL_ID,
    NO_HINTS,
    Hint,
    Hints,
    after_national_words,
    has_worded_phone,
    hints_of,
)

__all__ = ["NO_HINTS", "Hint", "Hints", "Kind", "find", "find_in", "hints_of", "is_short"]


class Kind(StrEnum):
    """What was found; of several in one value the one that stands first here is told."""

    NATIONAL_ID = "national_id"
    CARD = "card"
    IBAN = "iban"
    PHONE = "phone"
    EMAIL = "email"


_SMALLEST = 1_000_000  # no smaller number is looked at
_LARGEST = 10**20  # longer than any
_FEWEST_DIGITS = 6
_SHORTEST = 6  # characters of an e-mail address
_LONG = 16  # characters of a codice fiscale
_SHORTEST_CARD = 13
_MOST_DIALLED = 16
_WINDOW = 40
_ORDER = {kind: place for place, kind in enumerate(Kind)}

_TELLING = re.compile("[0-9@]")  # an escaped @ or digit has a digit too
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
# Beyond the letters of European languages: what may be a look-alike, or not to be seen at all.
_FOREIGN = re.compile("[\u00a0\u00ad\u0250-\U0010ffff]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
_DASHES = re.compile("[\u2010-\u2015\u2043\u2212\u30fc]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_DIGIT = re.compile(r"[0-9]")
_SIX_DIGITS = re.compile(r"[0-9][^0-9]*+(?:[0-9][^0-9]*+){5}")
_DOMAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}?\.(?:xn--[\w-]{2,59}|[^\W\d_]{2,24})(?![\w-])")
_PICTURE = re.compile(r"\d{1,2}x\.(?:png|jpe?g|webp|gif|svg|avif)\b", re.IGNORECASE)

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})?)?"
)

# Digits near enough to each other to be one number; and where in it a number may begin: not within a word or a decimal
# fraction. Possessive, so that no text makes them slow.
_RUN = re.compile(r"[0-9](?:[^0-9A-Za-z]{0,3}[0-9])++")
_GROUP = re.compile(r"(?<![0-9A-Za-z])(?<![0-9]\.)[0-9]++")
_NOT_DIGIT = re.compile(r"[^0-9]")
_PLUS = re.compile(r"(?<![0-9A-Za-z])\+ ?\(?[0-9](?:[ .\-/()]{0,3}[0-9]){6,16}+")
_ABROAD = re.compile(r"00 ?[1-9][0-9]{0,2}(?:[ .\-/()]{1,3}[0-9]{1,8}){1,6}(?![0-9A-Za-z])")
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?=[ -]?[0-9A-Za-z]{4})")
_LETTERED = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?P<nino>[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d])|"
    r"(?P<dni>[XYZxyz]-?[0-9]{7}-?[A-Za-z]|[0-9]{8}-?[A-Za-z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}-?[A-Za-z])|"
    r"(?P<nir>[1-478] ?[0-9]{2} ?[0-9]{2} ?2[ABab] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})"
    r")(?![0-9A-Za-z])"
)
_LETTERED_CHECKS: dict[str, Callable[[str], bool]] = {
    "nino": checksums.uk_nino,
    "dni": checksums.es_dni,
    "nir": checksums.fr_nir,
}
# From the first digit on, which is the year's: letters take the place of digits from the right (omocodia).
_CODICE_FISCALE = re.compile(
    r"[0-9](?<=[A-Za-z]{6}[0-9])(?<![0-9A-Za-z][A-Za-z]{6}[0-9])[0-9L-NP-Vl-np-v][A-EHLMPR-Ta-ehlmpr-t]"
    r"[0-9L-NP-Vl-np-v]{2}[A-Za-z][0-9L-NP-Vl-np-v]{3}[A-Za-z](?![0-9A-Za-z])"
)


def find(text: str, hints: Hints = NO_HINTS) -> Kind | None:
    """What the text holds of a person's, or None; of several the most sensitive."""
    found = _find(text, hints)
    for _ in range(2):  # addresses of pages carry values escaped, and those of redirects twice
        if found is Kind.NATIONAL_ID or "%" not in text or not _ESCAPED.search(text):
            break
        text = unquote_plus(text)
        found = _first(found, _find(text, hints))
    return found


def find_in(value: Any, hints: Hints = NO_HINTS) -> Kind | None:
    """The same for any JSON value: texts, whole numbers, and every name and value inside of lists and objects."""
    kind = type(value)
    if kind is str:
        return find(value, hints)
    if kind is float:  # as JSON may write a whole number
        return find_in(int(value), hints) if value.is_integer() else None
    if kind is int:
        return None if -_SMALLEST < value < _SMALLEST or abs(value) > _LARGEST else _bare(str(abs(value)), hints, [])
    if kind is dict:
        return _find_in_object(value, hints)
    found: Kind | None = None
    for each in value if kind is list else ():
        if not is_short(each) and (more := find_in(each, hints)):
            found = _first(found, more)
    return found


def _find_in_object(value: Mapping[str, Any], hints: Hints) -> Kind | None:
    found: Kind | None = None
    for name, each in value.items():
        if len(name) >= _SHORTEST and (more := find(name, hints)):
            found = _first(found, more)
        if not is_short(each) and (more := find_in(each, hints_of(name) or hints)):
            found = _first(found, more)
    return found


def is_short(value: Any) -> bool:
    """Whether a glance shows that nothing is found in a value: most have no room for it, or neither a digit nor an @."""
    kind = type(value)
    if kind is str:
        return len(value) < _SHORTEST or (value.isascii() and not _TELLING.search(value))
    if kind is float:
        return not value.is_integer()
    return kind is bool or value is None or (kind is int and -_SMALLEST < value < _SMALLEST)


def _first(one: Kind | None, other: Kind | None) -> Kind | None:
    if one is None or other is None:
        return one or other
    return one if _ORDER[one] <= _ORDER[other] else other


def _find(text: str, hints: Hints) -> Kind | None:
    if not text.isascii() and _FOREIGN.search(text):
        text = _folded(text)
    # A codice fiscale may have fewer than six digits, and has sixteen characters.
    enough = _SIX_DIGITS if len(text) < _LONG else _DIGIT
    found = _numbers(text, hints) if enough.search(text) else None
    if found is None and "@" in text and _has_email(text):
        return Kind.EMAIL
    return found


def _folded(text: str) -> str:
    """The text with the look-alikes of ASCII digits, letters and marks as what they look like, and nothing invisible."""
    text = _DASHES.sub("-", _INVISIBLE.sub("", normalize("NFKC", text)))
    return _OTHER_DIGIT.sub(lambda digit: str(int(digit[0])), text)


def _has_email(text: str) -> bool:
    at = text.find("@")
    while at >= 0:
        before = text[at - 1 : at] if at else " "
        named = before.isalnum() or before in "_-+'\"!#$%&*/=?^`{|}~"
        # logo@2x.png is a picture.
        if named and (domain := _DOMAIN.match(text, at + 1)) and not _PICTURE.match(domain[0]):
            return True
        at = text.find("@", at + 1)
    return False


def _numbers(text: str, hints: Hints) -> Kind | None:
    """What the digits in the text are."""
    dialled: list[str] = []
    if text.isdigit():
        return _bare(text, hints, dialled) or (Kind.PHONE if _any_dialled(dialled) else None)
    if _MOMENT.fullmatch(text):
        return None
    if len(text) >= _LONG and _has_codice_fiscale(text):
        return Kind.NATIONAL_ID
    found: Kind | None = None
    dense = False
    for run in _RUN.finditer(text):
        start, end = run.span()
        if end - start < _FEWEST_DIGITS:
            continue
        dense = True
        found = _first(found, _in_run(text, start, end, hints, dialled))
        if found is Kind.NATIONAL_ID:
            return found
    if not dense:
        return None
    if _has_worded_id(text):
        return Kind.NATIONAL_ID
    if found is None and (_any_dialled(dialled) or _has_international(text) or has_worded_phone(text)):
        return Kind.PHONE
    return found


def _in_run(text: str, start: int, end: int, hints: Hints, dialled: list[str]) -> Kind | None:
    """What is in a run of digits, with the letters right before and after it."""
    around = text[max(0, start - 3) : start] + text[end : end + 2]
    if any(map(str.isalpha, around)) and _has_lettered_id(text, max(0, start - 3), end + _WINDOW, hints):
        return Kind.NATIONAL_ID
    before = max(0, start - 12)
    has_letters = not text[before : start + 4].isdigit()
    found: Kind | None = Kind.IBAN if has_letters and _has_iban(text, before, start + 16) else None
    for group in _GROUP.finditer(text, start, end):
        found = _first(found, _at(text, group, end, hints, dialled))
        if found is Kind.NATIONAL_ID:
            break
    return found


def _at(text: str, group: re.Match[str], end_of_run: int, hints: Hints, dialled: list[str]) -> Kind | None:
    """What begins with this group of digits."""
    start, end = group.span()
    within = start > 1 and text[start - 1] in "-/" and text[start - 2].isalnum()
    after = text[end : end + 2]
    if not (after[:1].isalnum() or (after[:1] == "." and after[1:].isdigit() and end - start < _SHORTEST_CARD)):
        if within:
            # Of something longer: a number of an order, a part of a UUID.
            found = Kind.CARD if end - start >= _SHORTEST_CARD and checksums.card(group[0]) else None
        else:
            found = _bare(group[0], hints, dialled)
        if found:
            return found
    if end_of_run - start < 9 or not after or after[0] not in " -./)":  # noqa: PLR2004 - the shortest of the shapes
        return None
    for shape, check, kind, alone in _SHAPES.get(end - start, ()):
        if within and alone:
            continue
        match = shape.match(text, start)
        if match and check(_NOT_DIGIT.sub("", match[0])):
            return kind
    if not within and (abroad := _ABROAD.match(text, start)):
        dialled.append("+" + abroad[0][2:])
    return None


def _bare(digits: str, hints: Hints, dialled: list[str]) -> Kind | None:
    """What digits without anything between them are. What may have been dialled is left for later, as it takes long."""
    length = len(digits)
    named = Hint.NATIONAL_ID in hints
    match length:
        case 13 | 14 | 15 | 16 | 17 | 18 | 19 if checksums.card(digits):
            return Kind.CARD
        case 9 if named and (checksums.nl_bsn(digits) or checksums.us_ssn(digits)):
            return Kind.NATIONAL_ID
        case 10 if named and checksums.se_personal_number(digits):
            return Kind.NATIONAL_ID
        case 11 if Hint.RECORD not in hints and any(check(digits) for check in _ELEVEN):
            return Kind.NATIONAL_ID
        case 12 if checksums.in_aadhaar(digits) if named else _was_born(digits):
            return Kind.NATIONAL_ID
        case 15 if Hint.RECORD not in hints and checksums.fr_nir(digits):
            return Kind.NATIONAL_ID
    if Hint.PHONE in hints and 7 <= length <= 15:  # noqa: PLR2004 - E.164
        return Kind.PHONE
    if length >= 11 and digits[:2] == "00" and digits[2] != "0" and Hint.RECORD not in hints:  # noqa: PLR2004
        dialled.append("+" + digits[2:])
    return None


_ELEVEN = (checksums.de_tax_id, checksums.pl_pesel, checksums.br_cpf)


def _was_born(digits: str) -> bool:
    """A Swedish personal number whose date is no likelier the day of an order: not of a year from 13 to 39."""
    return checksums.se_personal_number(digits) and not "13" <= digits[-10:-8] <= "39"


def _always(_digits: str) -> bool:
    return True


def _length(low: int, high: int) -> Callable[[str], bool]:
    return lambda digits: low <= len(digits) <= high


_Shape = tuple[re.Pattern[str], Callable[[str], bool], Kind, bool]


def _shapes() -> dict[int, list[_Shape]]:
    """How numbers are written in groups, by the length of the first group.

    The last of each: whether it stands alone, not as the middle of something longer such as ORD-123-45-6789.
    """
    national, card, phone = Kind.NATIONAL_ID, Kind.CARD, Kind.PHONE
    # North America; a trunk zero with spaces or a slash (Europe), or with two hyphens (Japan).
    america = r"[2-9][0-9]{2}(?:\) ?|[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
    trunk = r"0[1-9][0-9]{0,3}(?:[ /]|\) ?)[0-9]{2,8}(?:[ -][0-9]{2,5}){0,3}"
    hyphens = r"0[1-9][0-9]{0,2}-[0-9]{2,4}-[0-9]{4}"
    rows: tuple[tuple[tuple[int, ...], str, Callable[[str], bool], Kind], ...] = (
        ((4,), r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?", checksums.card, card),
        ((4,), r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}", checksums.card, card),
        ((4,), r"[0-9]{4}([ -])[0-9]{6}\1[0-9]{4,5}", checksums.card, card),
        ((4,), r"[0-9]{4}([ -])[0-9]{3}\1[0-9]{3}\1[0-9]{3}", checksums.card, card),
        ((3,), r"[0-9]{3}([ -])[0-9]{2}\1[0-9]{4}", checksums.us_ssn, national),
        ((3,), r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", checksums.br_cpf, national),
        ((4,), r"[0-9]{4}\.[0-9]{2}\.[0-9]{3}", checksums.nl_bsn, national),
        ((4,), r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}(?!\1[0-9]{4})", checksums.in_aadhaar, national),
        ((6, 8), r"(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}", _was_born, national),
        ((2,), r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", checksums.de_tax_id, national),
        ((1,), r"[1-478] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{3} [0-9]{3} [0-9]{2}", checksums.fr_nir, national),
        ((3,), america, _always, phone),
        ((1,), r"1[ .-]\(?" + america, _always, phone),
        ((2,), r"0[1-9]([ .-])[0-9]{2}(?:\1[0-9]{2}){3}", _always, phone),
        ((2, 3, 4, 5), trunk, _length(9, 12), phone),
        ((2, 3, 4), hyphens, _length(10, 11), phone),
    )
    found: dict[int, list[_Shape]] = {}
    for lengths, pattern, check, kind in rows:
        shape = re.compile(pattern + r"(?![0-9A-Za-z]|[-./][0-9A-Za-z])")
        for length in lengths:
            found.setdefault(length, []).append((shape, check, kind, kind is not card))
    return found


_SHAPES = _shapes()


def _has_codice_fiscale(text: str) -> bool:
    return any(
        checksums.it_codice_fiscale(text[each.start() - 6 : each.end()].upper())
        for each in _CODICE_FISCALE.finditer(text)
    )


def _has_lettered_id(text: str, start: int, end: int, hints: Hints) -> bool:
    for found in _LETTERED.finditer(text, start, end):
        plain = re.sub(r"[ .-]", "", found[0]).upper()
        check = _LETTERED_CHECKS[found.lastgroup or ""]
        # A National Insurance number has no check digit, and articles are numbered like it.
        if check(plain) and not (check is checksums.uk_nino and Hint.RECORD in hints):
            return True
    return False


def _has_iban(text: str, start: int, end: int) -> bool:
    for begin in _IBAN.finditer(text, start, end):
        length = checksums.IBAN_LENGTHS.get(begin[0][:2].upper())
        if length is None:
            continue
        taken: list[str] = []
        place = begin.start()
        while place < len(text) and len(taken) < length:
            each = text[place]
            if each.isalnum():
                taken.append(each)
            elif each not in " -" or len(taken) % 4:
                break
            place += 1
        if not text[place : place + 1].isalnum() and checksums.iban("".join(taken).upper()):
            return True
    return False


def _has_worded_id(text: str) -> bool:
    """Whether a number stands near a word that says whose it is."""
    return any(
        _bare(group[0], IS_NATIONAL_ID, []) is Kind.NATIONAL_ID
        for place in after_national_words(text)
        for group in _GROUP.finditer(text, place, place + _WINDOW)
        if not text[group.end() : group.end() + 1].isalnum()
    )


def _has_international(text: str) -> bool:
    """Whether there is a number with its country: `+` and what the country's plan allows."""
    return "+" in text and _any_dialled(match[0] for match in _PLUS.finditer(text))


def _any_dialled(numbers: Iterable[str]) -> bool:
    asked = 0
    for each in numbers:
        number = each
        while sum(map(str.isdigit, number)) > _FEWEST_DIGITS:
            asked += 1
            # Nobody writes so many by chance; asking about each would make a text of them slow.
            if asked > _MOST_DIALLED or _is_phone(number):
                return True
            shorter = number.rstrip("0123456789").rstrip(" .-/()")  # perhaps the next number was taken with it
            if len(shorter) < _FEWEST_DIGITS:
                break
            number = shorter
    return False


def _is_phone(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
