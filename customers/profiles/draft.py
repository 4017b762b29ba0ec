"""What is written about a customer, checked and in normal form before anything is stored."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from customers.consent.model import ConsentDecision
from customers.errors import FieldProblem, InputInvalidError
from customers.identity.model import Identifier
from customers.profiles.provenance import Origin

LONGEST_TEXT = 10_000
LARGEST_JSON = 32_768
_DEEPEST_JSON = 20
_COUNTRY = re.compile(r"[A-Z]{2}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_EARLIEST_BIRTH = date(1880, 1, 1)


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """One order: values by the names of the catalogue's `order` fields, without the id."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """One support ticket: values by the names of the catalogue's `ticket` fields, without the id."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProfileDraft:
    """A new profile: checked values by field name, identifiers, and what the customer allowed.

    Orders and tickets are oldest first. `created_at` is for profiles that were made elsewhere before; None is now. `origin`
    is where the values came from; None is the caller who creates it. `originals` are values as they came where another
    spelling of them is stored, as `customers.spelling.arriving` gives them.
    """

    values: Mapping[str, Any]
    identifiers: tuple[Identifier, ...] = ()
    consents: tuple[ConsentDecision, ...] = ()
    restricted: bool = False
    orders: tuple[OrderDraft, ...] = ()
    tickets: tuple[TicketDraft, ...] = ()
    created_at: datetime | None = None
    origin: Origin | None = None
    originals: Mapping[str, str] = field(default_factory=dict)


def checked(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The values in the form that is stored.

    Args:
        values: By field name; None removes a value.
        now: No date of birth is later.

    Raises:
        InputInvalidError: Naming every field that cannot be stored, with the reason and never the value.
    """
    found: dict[str, Any] = {}
    problems: list[FieldProblem] = []
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check is None:
            problems.append(FieldProblem(name, "is not a field that can be written"))
            continue
        try:
            found[name] = None if value is None else check(value, now)
        except ValueError as error:
            problems.append(FieldProblem(name, str(error)))
    if problems:
        raise InputInvalidError(problems)
    return found


def _text(value: Any, _now: datetime) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text that is not empty")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"must be at most {LONGEST_TEXT} characters")
    if any(ord(character) < 32 and character not in "\n\t" for character in value):  # noqa: PLR2004 - C0 controls
        raise ValueError("must not hold control characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must be valid Unicode")
    return value.strip()


def _texts(value: Any, now: datetime) -> list[str]:
    if not isinstance(value, list) or len(value) > 100:  # noqa: PLR2004 - said in the message
        raise ValueError("must be a list of at most 100 texts")
    return [_text(each, now) for each in value]


def _pattern(pattern: re.Pattern[str], problem: str) -> Callable[[Any, datetime], str]:
    def check(value: Any, _now: datetime) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(problem)
        return value

    return check


def _birth_date(value: Any, now: datetime) -> str:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("must be a date, written YYYY-MM-DD") from None
    if not _EARLIEST_BIRTH <= day <= now.astimezone(UTC).date():
        raise ValueError("must lie between 1880 and today")
    return day.isoformat()


def _json_object(value: Any, _now: datetime) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be an object")
    try:
        written = json.dumps(value, allow_nan=False)
        written.encode()
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must be JSON without NaN or infinities") from None
    if len(written) > LARGEST_JSON:
        raise ValueError(f"must be at most {LARGEST_JSON} bytes of JSON")
    if not _can_be_sealed(value, _DEEPEST_JSON):
        raise ValueError(f"must hold whole numbers of 64 bits, valid Unicode and at most {_DEEPEST_JSON} levels")
    return value


def _can_be_sealed(value: Any, levels: int) -> bool:
    """Whether an object read from JSON can be kept: what could not would only be found once it is written."""
    if isinstance(value, dict):
        return levels > 0 and all(
            _can_be_sealed(name, levels) and _can_be_sealed(held, levels - 1) for name, held in value.items()
        )
    if isinstance(value, list):
        return levels > 0 and all(_can_be_sealed(held, levels - 1) for held in value)
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**64


_SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CHECKS: Mapping[str, Callable[[Any, datetime], Any]] = {
    "given_name": _text,
    "family_name": _text,
    "street": _text,
    "postal_code": _text,
    "city": _text,
    "national_id": _text,
    "region": _pattern(_SHORT_NAME, "must be a short name such as emea"),
    "loyalty_tier": _pattern(_SHORT_NAME, "must be a short name such as gold"),
    "acquisition_channel": _pattern(_SHORT_NAME, "must be a short name such as web"),
    "country": _pattern(_COUNTRY, "must be an ISO 3166 code of two capital letters"),
    "language": _pattern(_LANGUAGE, "must be a BCP 47 tag such as en or pt-BR"),
    "birth_date": _birth_date,
    "notes": _texts,
    "traits": _json_object,
}
WRITTEN = tuple(_CHECKS)
"""The fields that can be written; identifiers are written as what they are."""
