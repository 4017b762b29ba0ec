"""One cell read as what its column becomes. Pure."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from customers.collection.model import Fault, Raw
from customers.spelling import country_code

_NUMBER: Final = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII)
_LONGEST_NUMBER: Final = 60
_YES: Final = frozenset({"yes", "y", "true", "t", "1"})
_NO: Final = frozenset({"no", "n", "false", "f", "0"})
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|[+-]\d\d(:?\d\d)?))?)?", re.ASCII
)
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(hours=24)


class CellError(Exception):
    """Why a cell cannot be read."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def text(cell: Raw) -> str:
    """Text as it is, and a whole number, which JSON files use for postal codes and ids, as its digits."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if not isinstance(cell, str):
        raise CellError(Fault.INVALID_VALUE)
    return cell


def country(cell: Raw) -> str:
    """The code of a country; of its name, and of a code such as `UK`, the text, for the writer keeps it as it came."""
    told = text(cell)
    code = country_code(told)
    if code is None:
        raise CellError(Fault.INVALID_COUNTRY)
    return code if code == told.strip().upper() else told


def language(told: str) -> str:
    """A BCP 47 tag in its usual case: `PT_br` gives `pt-BR`."""
    first, *rest = told.replace("_", "-").split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])  # noqa: PLR2004 - a country


def day(told: str, declared: str | None) -> date:
    """A date, as declared or in the form of ISO 8601."""
    try:
        if declared:
            return datetime.strptime(told, declared).replace(tzinfo=UTC).date()
        if _DAY.fullmatch(told):
            return date.fromisoformat(told)
    except ValueError:
        pass
    raise CellError(Fault.INVALID_DATE)


def moment(told: str, declared: str | None, zone: str | None, now: datetime) -> datetime:
    """A moment between 1970 and tomorrow, to the millisecond, as declared or in the form of ISO 8601.

    Args:
        told: What stands in the file; a day alone is its beginning.
        declared: The declared format.
        zone: The time zone of what names none; else UTC.
        now: The time.
    """
    try:
        if declared:
            found = datetime.strptime(told, declared)  # noqa: DTZ007 - the zone is added below
        elif _MOMENT.fullmatch(told):
            found = datetime.fromisoformat(told.replace(" Z", "Z").replace(" +", "+").replace(" -", "-"))
        else:
            raise CellError(Fault.INVALID_DATE)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC if zone is None else ZoneInfo(zone))
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CellError(Fault.INVALID_DATE) from None
    if not _EARLIEST <= found <= now + _AHEAD:
        raise CellError(Fault.INVALID_DATE)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def boolean(cell: Raw) -> bool:
    """Yes or no."""
    if isinstance(cell, bool):
        return cell
    word = str(cell).lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise CellError(Fault.INVALID_BOOLEAN)


def decimal(cell: Raw) -> Decimal:
    """A number, with every digit."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | Decimal):
        raise CellError(Fault.INVALID_NUMBER)
    try:
        told = cell if isinstance(cell, str) else str(cell)
        number = Decimal(told) if _NUMBER.fullmatch(told) or isinstance(cell, Decimal) else None
    except (InvalidOperation, ValueError):
        number = None
    # Before a number is written out: 1e999999999 is short, and a gigabyte long.
    if number is None or not number.is_finite() or abs(number.adjusted()) > _LONGEST_NUMBER:
        raise CellError(Fault.INVALID_NUMBER)
    return number


def integer(cell: Raw) -> int:
    """A whole number."""
    number = decimal(cell)
    if number != number.to_integral_value():
        raise CellError(Fault.INVALID_NUMBER)
    return int(number)


def plain(part: Any) -> Any:
    """A value as JSON has it, whatever it is; decimals stay text, so that no digit is lost."""
    if isinstance(part, list | dict):
        raise CellError(Fault.INVALID_VALUE)
    return format(decimal(part), "f") if isinstance(part, Decimal) else part
