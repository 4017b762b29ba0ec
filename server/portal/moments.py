"""Moments as customers read them: dates written out in their language, always with the time zone. Pure."""

from datetime import UTC, datetime
from typing import Final

from babel.dates import format_date, format_time

_PATTERNS: Final = {"en": "d MMMM y", "de": "d. MMMM y", "fr": "d MMMM y"}
_BETWEEN: Final = {"en": "{day} at {time} UTC", "de": "{day} um {time} Uhr UTC", "fr": "{day} à {time} UTC"}


def moment_of(written: datetime | str | None) -> datetime | None:
    """A moment in UTC; None of what is none."""
    if written is None:
        return None
    try:
        moment = written if isinstance(written, datetime) else datetime.fromisoformat(written)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day(written: datetime | str | None, language: str) -> str:
    """`23 December 2026`; what is no moment stays as it is."""
    moment = moment_of(written)
    if moment is None:
        return "" if written is None else str(written)
    return format_date(moment.date(), _PATTERNS[language], locale=language)


def day_time(written: datetime | str | None, language: str) -> str:
    """`23 December 2026 at 14:05 UTC`; what is no moment stays as it is."""
    moment = moment_of(written)
    if moment is None:
        return "" if written is None else str(written)
    return _BETWEEN[language].format(day=day(moment, language), time=format_time(moment, "HH:mm", locale=language))


__all__ = ["day", "day_time", "moment_of"]
