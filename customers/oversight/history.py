"""Going through the access log page by page, under the rights of whoever asks, and recorded."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from audit import AccessQuery, Entry, EntryId, Outcome, Page, Position, Record, moment
from customers.access import Access
from customers.errors import FilterNotAllowedError, ReadNotAllowedError
from policies import FieldGrant, Scope, Verdict

_PAGE = 1000
_LOG = "access_entry"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has got: entries found, and which part of the time was gone through (None where it has no start)."""

    entries: int
    share: float | None


OnProgress = Callable[[Progress], None]


class Searchable(Protocol):
    """What can be gone through; audit.AccessLog and audit.AccessReader are."""

    async def search(self, query: AccessQuery, *, after: Position | None = None, limit: int = 50) -> Page:
        """A page of matching entries, newest first."""
        ...


class Log(Searchable, Protocol):
    """What can also take a record; audit.AccessLog is one."""

    async def append(self, record: Record) -> EntryId:
        """Store a record durably."""
        ...


def silent(_progress: Progress) -> None:
    """Tells nobody."""


async def entries(
    log: Searchable, query: AccessQuery, *, now: datetime, progress: OnProgress = silent
) -> AsyncIterator[tuple[Entry, ...]]:
    """Every matching entry, newest first, a page at a time: never more of the log than one page is held.

    Args:
        log: The log.
        query: What is asked for.
        now: Where the time to go through ends, where the query does not say.
        progress: Told after every page.

    Raises:
        audit.AuditUnavailableError: The database failed.
        audit.AuditCorruptError: What is stored cannot have been written by a log.
    """
    after: Position | None = None
    found = 0
    while True:
        page = await log.search(query, after=after, limit=_PAGE)
        found += len(page.entries)
        if page.entries:
            yield page.entries
        if page.next is None:
            progress(Progress(found, None if query.since is None else 1.0))
            return
        after = page.next
        progress(Progress(found, _share(query, now, moment(after.time))))


def search_filters(query: AccessQuery) -> list[str]:
    """The fields of the catalogue that a query searches by."""
    used = {
        "actor": query.actor,
        "case": query.case,
        "client": query.client,
        "fields": query.field or query.decision,
        "operation": query.kind,
        "outcome": query.outcome,
        "policy_version": query.policy_version,
        "purpose": query.purpose,
        "roles": query.role,
        "subjects": query.subject,
        "time": query.since or query.until,
    }
    return [f"{_LOG}.{name}" for name, value in used.items() if value is not None]


def check_search(access: Access, query: AccessQuery, names: Iterable[str]) -> None:
    """Let these fields of every entry be read, and searched by as the query does.

    Raises:
        FilterNotAllowedError, ReadNotAllowedError: The policy does not allow it; nothing was read.
    """
    refused = [path for path in search_filters(query) if not _of_everybody(access.grant.filter[path])]
    if refused:
        raise FilterNotAllowedError(refused)
    paths = [f"{_LOG}.{name}" for name in names]
    refused = [path for path in paths if not _of_everybody(access.grant.read[path])]
    if refused:
        raise ReadNotAllowedError(refused)


async def record_search(log: Log, access: Access, query: AccessQuery, names: Iterable[str], now: datetime) -> EntryId:
    """Make the record of a search durable, before what it found is shown."""
    access.disclosure.search(search_filters(query), names)
    return await log.append(access.disclosure.record(now, Outcome.ALLOWED))


def _of_everybody(granted: FieldGrant) -> bool:
    return any(each.verdict is Verdict.CLEAR and each.scope is Scope.ANY for each in granted.alternatives)


def _share(query: AccessQuery, now: datetime, reached: datetime) -> float | None:
    """Which part of the time lies behind, going from the newest to the oldest."""
    if query.since is None:
        return None
    end = now if query.until is None else min(now, query.until)
    length = (end - query.since).total_seconds()
    return min(1.0, max(0.0, (end - reached).total_seconds() / length)) if length > 0 else 1.0
