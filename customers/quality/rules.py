"""How good a profile's data is: complete, valid, confirmed lately. Values in, numbers and reasons out. Pure.

Nothing here gives out a value, or anything a value could be told from but the reasons. Only fields that the caller may
see in clear are looked at, so what a caller is told follows from what they could have read themselves.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import phonenumbers

from customers.quality.standards import FIELDS, Expected, Standard, Standards
from customers.spelling import placeholders, postal
from customers.spelling.countries import COUNTRIES
from vault.errors import InvalidIdentifierError
from vault.normalise import normalise_email


class IssueKind(StrEnum):
    """What is wrong with a field. The values are stored; they may not be changed or reused."""

    MISSING = "missing"
    """It is expected of this customer, and not there."""
    MALFORMED = "malformed"
    """It is not what such a value looks like."""
    PLACEHOLDER = "placeholder"
    """It stands where a value should be: test, xxx, 1900-01-01."""
    MISTYPED = "mistyped"
    """It is very nearly something usual: an address at gmial.com."""
    IMPOSSIBLE = "impossible"
    """No such value can be: a number too short for its country, somebody of 130 years."""
    UNKNOWN_COUNTRY = "unknown_country"
    """No country has this code."""
    NOT_OF_COUNTRY = "not_of_country"
    """In the profile's country it does not look so."""
    STALE = "stale"
    """It has not been confirmed for longer than it stays fresh."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong with which field."""

    field: str
    kind: IssueKind


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a profile's data is, each from 0 to 100, or None where nothing says so.

    Attributes:
        score: All together; 100 is best.
        completeness: How much of what is expected is there; 100 is best.
        validity: How much of what is there can be right; 100 is best.
        staleness: How much of what is there has not been confirmed in time; 0 is best.
        issues: What is wrong, by field.
    """

    score: int | None
    completeness: int | None
    validity: int | None
    staleness: int | None
    issues: tuple[Issue, ...]


Values = Mapping[str, Any]
_OLDEST: Final = 120  # years; one person is known to have lived longer than 119
_LONGEST_NAME: Final = 100
_DAYS_IN_YEAR: Final = 365.2425
_LETTER: Final = re.compile(r"[^\W\d_]")
_TOP_LEVEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,59}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# Reserved for what is not on the Internet (RFC 6761, RFC 6762, RFC 9476); .example is left to examples.
_NOWHERE: Final = frozenset({"test", "invalid", "localhost", "local", "alt", "internal"})
_SLIPS: Final = frozenset({"con", "cmo", "ocm", "vom", "comm", "coom", "nte", "ner", "ogr"})
_SLIPPED = """
gmial.com gmai.com gmal.com gamil.com gnail.com gmaill.com gmail.co gmail.cm gmail.de googlemail.de hotmial.com
hotmai.com hotmil.com hotmal.com hotnail.com yahooo.com yaho.com yhaoo.com yahoo.co outlok.com outllook.com outloo.com
oulook.com iclod.com icloud.co icoud.com gmx.e web.d t-online.d protonmal.com
"""
_SLIPPED_DOMAINS: Final = frozenset(_SLIPPED.split())
_MADE_UP_DIGITS: Final = ("12345678", "87654321")
_SAME_DIGITS: Final = 7


def judge(
    values: Values,
    seen: Collection[str],
    standards: Standards,
    now: datetime,
    confirmed: Mapping[str, datetime] | None = None,
) -> Quality:
    """How good these values are.

    Args:
        values: By field name, as the read gateway reveals them; what is not there has no value.
        seen: The fields that may be looked at; what a mask shows may not be.
        standards: What is wanted.
        now: The time.
        confirmed: When each field was last confirmed, where that is known. For the others it is taken to be the
            profile's `updated_at`, if that may be seen: the latest it can have been, so what is told stale is stale.
    """
    fields = {name: each for name, each in standards.fields.items() if name in seen}
    held = {name: values[name] for name in seen if values.get(name) not in (None, "")}
    issues: list[Issue] = []
    expected = {name: each for name, each in fields.items() if _is_expected(each, held, seen)}
    issues += [Issue(name, IssueKind.MISSING) for name in expected if name not in held]
    complete = _share(expected, lambda name: name in held)
    present = {name: each for name, each in fields.items() if name in held}
    wrong = {name: kind for name in present if (kind := fault_of(name, held, now)) is not None}
    issues += [Issue(name, kind) for name, kind in wrong.items()]
    valid = _share(present, lambda name: name not in wrong)
    aging = {name: each for name, each in present.items() if each.fresh_days is not None}
    told = {name: _told(name, held, confirmed or {}) for name in aging}
    dated = {name: each for name, each in aging.items() if told[name] is not None}
    stale = {name for name, each in dated.items() if _is_stale(each, told[name], now)}
    issues += [Issue(name, IssueKind.STALE) for name in dated if name in stale]
    fresh = _share(dated, lambda name: name not in stale)
    parts = (complete, valid, fresh)
    order = {name: place for place, name in enumerate(FIELDS)}
    return Quality(
        score=_together(parts, standards.parts),
        completeness=complete,
        validity=valid,
        staleness=None if fresh is None else 100 - fresh,
        issues=tuple(sorted(issues, key=lambda each: order[each.field])),
    )


def fault_of(name: str, values: Values, now: datetime) -> IssueKind | None:
    """Why a field's value cannot be right, beside the profile's others; None where it can be.

    Args:
        name: One of `FIELDS`, which has a value.
        values: Those that may be looked at.
        now: No date of birth is later.
    """
    value = values[name]
    if not isinstance(value, str):
        return IssueKind.MALFORMED
    return _CHECKS[name](value, values, now)


def _is_expected(standard: Standard, held: Values, seen: Collection[str]) -> bool:
    """Whether this customer is expected to have it; whether they bought is not guessed where it may not be seen."""
    if standard.expected is Expected.NOBODY or not standard.weight:
        return False
    if standard.expected is Expected.EVERYONE:
        return True
    if standard.expected is Expected.BUYER:
        count = held.get("order_count")
        return "order_count" in seen and isinstance(count, int) and count > 0
    return held.get("kind") != "visitor"


def out_of_hundred(part: float, whole: float) -> int:
    """So many of the whole, in hundredths: rounded, but 100 only where nothing at all is missing."""
    return 100 if part >= whole else min(99, round(100 * part / whole))


def _share(of: Mapping[str, Standard], holds: Callable[[str], bool]) -> int | None:
    whole = sum(each.weight for each in of.values())
    return out_of_hundred(sum(each.weight for name, each in of.items() if holds(name)), whole) if whole else None


def _together(parts: tuple[int | None, ...], weights: tuple[int, ...]) -> int | None:
    counted = [(part, weight) for part, weight in zip(parts, weights, strict=True) if part is not None and weight]
    whole = 100 * sum(weight for _, weight in counted)
    return out_of_hundred(sum(part * weight for part, weight in counted), whole) if counted else None


def _told(name: str, held: Values, confirmed: Mapping[str, datetime]) -> datetime | None:
    if name in confirmed:
        return confirmed[name]
    value = held.get("updated_at")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _is_stale(standard: Standard, told: datetime | None, now: datetime) -> bool:
    return told is not None and standard.fresh_days is not None and now - told > timedelta(days=standard.fresh_days)


# ---- one field each


def _name(other: str) -> Callable[[str, Values, datetime], IssueKind | None]:
    def check(value: str, values: Values, _now: datetime) -> IssueKind | None:
        beside = values.get(other)
        if placeholders.is_placeholder(value, beside if isinstance(beside, str) else None):
            return IssueKind.PLACEHOLDER
        odd = any(each.isdigit() or each in "@<>{}[]|\\=\ufffd" for each in value) or len(value) > _LONGEST_NAME
        return IssueKind.MALFORMED if odd or not _LETTER.search(value) else None

    return check


def _email(value: str, _values: Values, _now: datetime) -> IssueKind | None:
    try:
        local, _, domain = normalise_email(value).rpartition("@")
    except InvalidIdentifierError:
        return IssueKind.MALFORMED
    *names, top = domain.split(".")
    if domain in _SLIPPED_DOMAINS or top in _SLIPS:
        return IssueKind.MISTYPED
    if not _TOP_LEVEL.fullmatch(top) or top in _NOWHERE:
        return IssueKind.IMPOSSIBLE
    mailbox, host = placeholders.plain(local), placeholders.plain(names[-1])
    made_up = mailbox in placeholders.MAILBOXES or placeholders.is_repeated(mailbox)
    return IssueKind.PLACEHOLDER if made_up and (host in placeholders.MAILBOXES or host == mailbox) else None


def _phone(value: str, _values: Values, _now: datetime) -> IssueKind | None:
    number = value.partition(";")[0]
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return IssueKind.MALFORMED
    if not phonenumbers.is_possible_number(parsed):
        return IssueKind.IMPOSSIBLE
    digits = str(parsed.national_number)
    same = len(set(digits[-_SAME_DIGITS:])) == 1
    return IssueKind.PLACEHOLDER if same or any(each in digits for each in _MADE_UP_DIGITS) else None


def _country(value: str, _values: Values, _now: datetime) -> IssueKind | None:
    return None if value in COUNTRIES else IssueKind.UNKNOWN_COUNTRY


def _postal_code(value: str, values: Values, _now: datetime) -> IssueKind | None:
    if placeholders.plain(value) in placeholders.NEVER:
        return IssueKind.PLACEHOLDER
    country = values.get("country")
    if not isinstance(country, str) or not postal.is_judged(country):
        return None
    written = postal.as_written(country, value)
    if written is None:
        return IssueKind.NOT_OF_COUNTRY
    digits = [each for each in written if each.isdigit()]
    return IssueKind.PLACEHOLDER if set(digits) == {"0"} and len(digits) == len(placeholders.plain(written)) else None


def _place(value: str, _values: Values, _now: datetime) -> IssueKind | None:
    if placeholders.is_placeholder(value, ""):
        return IssueKind.PLACEHOLDER
    return None if _LETTER.search(value) else IssueKind.MALFORMED


def _birth_date(value: str, _values: Values, now: datetime) -> IssueKind | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return IssueKind.MALFORMED
    age = (now.astimezone(UTC).date() - day).days / _DAYS_IN_YEAR
    if value in placeholders.DATES:
        return IssueKind.PLACEHOLDER
    return IssueKind.IMPOSSIBLE if not 0 <= age <= _OLDEST else None


def _language(value: str, _values: Values, _now: datetime) -> IssueKind | None:
    return None if _LANGUAGE.fullmatch(value) else IssueKind.MALFORMED


_CHECKS: Final[Mapping[str, Callable[[str, Values, datetime], IssueKind | None]]] = {
    "given_name": _name("family_name"),
    "family_name": _name("given_name"),
    "email": _email,
    "phone": _phone,
    "street": _place,
    "postal_code": _postal_code,
    "city": _place,
    "country": _country,
    "language": _language,
    "birth_date": _birth_date,
}
