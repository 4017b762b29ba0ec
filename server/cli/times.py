"""Times on a command line: a date, or a moment of RFC 3339."""

from datetime import UTC, datetime

import typer


def instant(text: str) -> datetime:
    """The moment that is meant: of a date its beginning in UTC; of a time without a zone, that time in UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter("write 2026-05-14, or 2026-05-14T09:30:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
