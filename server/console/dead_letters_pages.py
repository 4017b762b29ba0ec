"""Work that was given up on: what it was, why it failed, and trying it again.

A job holds names and numbers, never a personal value; still neither its name nor what it holds is shown, because a name
may have a customer's number in it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from customers.jobs import JobStore
from server.console.customer_names import CustomerNames
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper
from server.console.officer import Officer
from server.console.sections import SECTIONS

_FAILED = next(each for each in SECTIONS if each.name == "failed")
_PAGE: Final = 50
_MOST: Final = 1_000
KINDS: Final[Mapping[str, str]] = {
    "request_reminder": "Remind of a privacy request",
    "webhook": "Read a webhook",
    "portal_letter": "Send a link to sign in",
    "recipient_delivery": "Tell a recipient of a change",
}
FAILURES: Final[Mapping[str, str]] = {
    "unexpected": "Something that nobody foresaw; the log of the server says what.",
    "process_lost": "The processes that took it ended, perhaps because of it.",
}


class DeadLetterPages:
    """Jobs that were given up on."""

    def __init__(self, frame: Frame, keeper: Keeper | None, officer: Officer | None) -> None:
        self._frame = frame
        self._keeper = keeper
        self._officer = officer

    def _require(self) -> tuple[Keeper, JobStore, CustomerNames]:
        if self._keeper is None or self._officer is None:
            raise NotServedError("It has no jobs.")
        return self._keeper, self._officer.jobs, self._officer.names

    async def listing(self, request: Request) -> Response:
        """What was given up on, the latest first."""
        visit = await self._frame.visit(request)
        return await self._page(visit, request.query_params.get("after") or None)

    async def _page(
        self,
        visit: Visit,
        after: str | None = None,
        status: int = 200,
        *,
        done: int | None = None,
        error: str | None = None,
    ) -> Response:
        keeper, jobs, names = self._require()
        actor = visit.caller.actor
        # A place in the list holds the name of a job, so it is sealed for its reader as that is.
        place = None if after is None else _place_of(names.customer(actor, after))
        with keeper.told():
            recorded = await keeper.look(visit.who, _FAILED, "ConsoleFailedJobs")
            dead = await jobs.buried(_PAGE + 1, after=place)
            counted = await jobs.count_buried()
        shown = dead[:_PAGE]
        more = None if len(dead) <= _PAGE else f"{shown[-1].at.isoformat()} {shown[-1].job.id}"
        return self._frame.show(
            visit,
            "dead_letters.html",
            status,
            jobs=[(each, names.name(actor, each.job.id)) for each in shown],
            counted=list(counted.items()),
            total=sum(counted.values()),
            after=after,
            more=None if more is None else names.name(actor, more),
            kinds=KINDS,
            failures=FAILURES,
            done=done,
            error=error,
            recorded=recorded,
        )

    async def retry(self, request: Request) -> Response:
        """Have one tried again, or all of one kind."""
        visit, form = await self._frame.posted(request)
        keeper, jobs, names = self._require()
        operation = "ConsoleRetryJob"
        await keeper.admit(visit.who, _FAILED, operation)
        with keeper.told():
            if form.get("kind"):
                wanted = [each.job.id for each in await jobs.buried(_MOST, kind=form["kind"])]
            else:
                wanted = [names.customer(visit.caller.actor, form.get("job", ""))]
            # Recorded first: what is tried again may tell others of it.
            await keeper.changed(visit.who, operation)
            revived = [await jobs.revive(each) for each in wanted]
        if not any(revived):
            return await self._page(visit, None, 409, error="It is not among the failed jobs any more.")
        return await self._page(visit, done=sum(revived))


def _place_of(text: str) -> tuple[datetime, str]:
    """When the last one that was seen was given up on, and its name.

    Raises:
        NoSuchPageError: It is no place that a page gave out.
    """
    at, _, name = text.partition(" ")
    try:
        return datetime.fromisoformat(at), name
    except ValueError:
        raise NoSuchPageError("There are no failed jobs at this address.") from None


__all__ = ["FAILURES", "KINDS", "DeadLetterPages"]
