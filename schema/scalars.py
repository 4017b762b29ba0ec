"""Scalars whose values are ready for JSON when they come from the gateway.

A masked value is always text, whatever its field's own type: a year for a date, a range for a number. So the fields
that can be masked have scalars that say so.
"""

from datetime import UTC, datetime
from typing import Any, NewType

import strawberry

from schema.errors import InputInvalidError


def _ready(value: Any) -> Any:
    return value


Timestamp = NewType("Timestamp", str)
Day = NewType("Day", str)
Amount = NewType("Amount", str)
Count = NewType("Count", object)

SCALARS: dict[object, Any] = {
    Timestamp: strawberry.scalar(
        name="Timestamp",
        description="A point in time, RFC 3339 in UTC, such as 1997-03-12T00:00:00Z; where masked, only its year.",
        serialize=_ready,
        parse_value=str,
    ),
    Day: strawberry.scalar(
        name="Day",
        description="A date, YYYY-MM-DD; where masked, only its year.",
        serialize=_ready,
        parse_value=str,
    ),
    Amount: strawberry.scalar(
        name="Amount",
        description="An amount of money as a decimal, such as 28.73; where masked, a range.",
        serialize=_ready,
        parse_value=str,
    ),
    Count: strawberry.scalar(
        name="Count",
        description="A whole number; where masked, a range as text.",
        serialize=_ready,
        parse_value=int,
    ),
}


def moment(value: str | None, field: str) -> datetime | None:
    """The moment that a `Timestamp` given by a caller names.

    Raises:
        InputInvalidError: It is not a time with its zone; `field` is named.
    """
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise InputInvalidError("A time needs its zone, such as Z.", field=field)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputInvalidError("A time is written like 1997-03-12T00:00:00Z.", field=field) from None
