"""Has imported events accepted by the collection, as if their source had sent them when they happened."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from customers.access import Access
from customers.collection.event_rows import REJECTED
from customers.collection.events import Rejection
from customers.collection.intake import Accepted, Intake
from customers.collection.model import EventRow, Fault, Result, RowOutcome
from customers.collection.sources import Source
from customers.collection.violations import ViolationKind
from customers.errors import IntakeBusyError
from customers.profiles.permission import check_paths
from customers.profiles.writing import ProfileWriter

_FACTS: Final = ("event.type", "event.name", "event.at", "event.received_at", "event.source", "event.properties")
_PATIENCE: Final = 60


class EventImportWriter:
    """Writes events through the intake, under the source's tracking plan; a `RowWriter`.

    The operator's import is recorded before the batch is accepted; the intake's own record, which is the source's, says
    whose events they were.
    """

    def __init__(
        self,
        intake: Intake,
        source: Source,
        writer: ProfileWriter,
        access: Access,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._intake = intake
        self._source = source
        self._writer = writer
        self._access = access
        self._now = now
        self._sleep = sleep

    async def write(self, rows: Sequence[EventRow]) -> Sequence[RowOutcome]:
        """Have these accepted; how many were new, and how many were there, is said in no particular order."""
        check_paths(self._access, _FACTS)
        await self._writer.record(self._access, _FACTS, ())
        accepted = await self._accepted([row.event for row in rows])
        outcomes: dict[int, RowOutcome] = {}
        for refused in accepted.rejected:
            outcomes[refused.place] = RowOutcome(Result.REJECTED, _fault(refused.violation.kind))
        rest = [place for place in range(len(rows)) if place not in outcomes]
        # The others were there already, or the plan leaves them out without a word.
        for number, place in enumerate(rest):
            outcomes[place] = RowOutcome(Result.CREATED if number < accepted.stored else Result.UNCHANGED)
        return [outcomes[place] for place in range(len(rows))]

    async def _accepted(self, events: Sequence[Any]) -> Accepted:
        """What became of them, once there is room; an import waits, as a sender would."""
        for _ in range(_PATIENCE):
            try:
                return await self._intake.accept(self._source, events, sent_at=None, received_at=self._now())
            except IntakeBusyError as error:
                await self._sleep(error.retry_after)
        return await self._intake.accept(self._source, events, sent_at=None, received_at=self._now())


def _fault(kind: ViolationKind | Rejection) -> Fault:
    if isinstance(kind, Rejection):
        return REJECTED.get(kind, Fault.INVALID_VALUE)
    return Fault.REFUSED if kind is ViolationKind.RESTRICTED else Fault.EVENT_BLOCKED
