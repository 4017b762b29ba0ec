"""Work that was given up on: what it was, why it failed, and trying it again.

A job holds names and numbers, never a personal value; still neither its name nor what it holds is shown, because a name
may have a customer's number in it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from customers.jobs import JobStore
from server.console.customer_names import CustomerNames
from server.console.errors import NotServedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper
from server.console.officer import Officer
from server.console.sections import SECTIONS

_FAILED = next(each for each in SECTIONS if each.name == "failed")
_MOST: Final = 100
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
        return await self._page(visit)

    async def _page(
        self, visit: Visit, status: int = 200, *, done: int | None = None, error: str | None = None
    ) -> Response:
        keeper, jobs, names = self._require()
        with keeper.told():
            recorded = await keeper.look(visit.who, _FAILED, "ConsoleFailedJobs")
            dead = await jobs.dead(_MOST + 1)
        shown = dead[:_MOST]
        counted = Counter(each.kind for each in shown)
        return self._frame.show(
            visit,
            "dead_letters.html",
            status,
            jobs=[(each, names.name(visit.caller.actor, each.id)) for each in shown],
            counted=counted.most_common(),
            whole=len(dead) <= _MOST,
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
                wanted = [each.id for each in await jobs.dead(_MOST) if each.kind == form["kind"]]
            else:
                wanted = [names.customer(visit.caller.actor, form.get("job", ""))]
            # Recorded first: what is tried again may tell others of it.
            await keeper.changed(visit.who, operation)
            revived = [await jobs.revive(each) for each in wanted]
        if not any(revived):
            return await self._page(visit, 409, error="It is not among the failed jobs any more.")
        return await self._page(visit, done=sum(revived))


__all__ = ["FAILURES", "KINDS", "DeadLetterPages"]
