"""Moments as people type them: a day, or a full RFC 3339 time."""

import re
from datetime import UTC, datetime

import typer

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def instant(text: str) -> datetime:
    """The moment, in UTC; a day alone is its first moment in UTC. Digits beyond the microsecond are dropped.

    Raises:
        typer.BadParameter: It is neither.
    """
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter("Give a day such as 2026-05-14, or a time such as 2026-05-14T09:30:00Z.")
