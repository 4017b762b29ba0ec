"""Takes privacy requests in; a second one of a kind is joined to the one that is open."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from audit import timestamp
from customers.access import Access
from customers.identity.model import new_id
from customers.jobs import JobStore, NewJob
from customers.rights.requests import model
from customers.rights.requests.clocks import clock, reminders
from customers.rights.requests.errors import RequestStateError
from customers.rights.requests.meaning import check
from customers.rights.requests.model import Kind, PrivacyRequest, Regime, Verification, What
from customers.rights.requests.standing import Person
from customers.rights.requests.steps import Steps
from customers.rights.requests.store import RequestStore, Stored
from customers.rights.requests.told import Told, opened, sealed
from policies import PolicySet

REMINDER: Final = "request_reminder"
_MOST_TOLD: Final = 20


class Opening:
    """Opens requests, and has those who answer for privacy reminded of them.

    Args:
        store: Where they are kept.
        steps: Records and makes steps.
        jobs: Where reminders wait.
        policies: The policy in force.
        now: The time.
        random: Gives that many random bytes.
    """

    def __init__(
        self,
        store: RequestStore,
        steps: Steps,
        jobs: JobStore,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._steps = steps
        self._jobs = jobs
        self._policies = policies
        self._now = now
        self._random = random

    def check(self, kind: Kind, reason: str | None, agent: str | None, purposes: Sequence[str]) -> None:
        """Refuse what a request cannot be opened with.

        Raises:
            InputInvalidError: It says why.
        """
        check(kind, reason, agent, purposes, self._policies().purposes)

    async def open(
        self,
        access: Access,
        person: Person,
        kind: Kind,
        regime: Regime,
        *,
        source: str,
        reason: str | None = None,
        agent: str | None = None,
        purposes: Sequence[str] = (),
    ) -> Stored:
        """Take a request of this person in; where they have one of this kind that is open, it is joined to that.

        Raises:
            RequestStateError: It was joined too often.
            RequestChangedError: Somebody works on the one it would be joined to.
        """
        told = Told(timestamp(self._now()), reason, agent)
        while True:
            found = await self._store.open_of(person.ids, kind)
            if found is not None:
                return await self._join(access, found, person, told, purposes)
            stored = await self._new(access, person, kind, regime, source, told, purposes)
            if await self._store.add(stored):
                await self.remind(stored.request)
                return stored

    async def remind(self, request: PrivacyRequest) -> None:
        """Have those who answer for privacy reminded; of one that has ended by then nothing happens."""
        terms = _when(request)
        await self._jobs.add(
            NewJob(REMINDER, f"{request.id}:{timestamp(each)}", each, payload={"request": request.id})
            for each in terms
            if each > self._now()
        )

    async def _new(
        self,
        access: Access,
        person: Person,
        kind: Kind,
        regime: Regime,
        source: str,
        told: Told,
        purposes: Sequence[str],
    ) -> Stored:
        now = self._now()
        terms = clock(regime, kind, now)
        request = PrivacyRequest(
            id=new_id("req_", self._random),
            kind=kind,
            regime=regime,
            customer_id=person.document["_id"],
            source=source,
            state=model.State.RECEIVED,
            received_at=now,
            due_at=terms.due_at,
            longest=terms.longest,
            confirm_by=terms.confirm_by,
            agent=told.agent is not None,
        )
        entry = await self._steps.record(access, request, What.OPENED, person.key)
        request = request.noted(now, What.OPENED, entry)
        if person.circumstances.own and not request.agent:
            request = model.confirm(request, Verification.SIGNED_IN).noted(now, What.CONFIRMED, entry)
        return Stored(request, tuple(sorted(set(purposes))), sealed(person.key, request.id, [told]))

    async def _join(
        self, access: Access, found: Stored, person: Person, told: Told, purposes: Sequence[str]
    ) -> Stored:
        """One request of two: what is said anew is kept beside what was said first, whose clock goes on."""
        request = found.request
        key = await self._steps.key(request)
        said = [*opened(found, key), told]
        if len(said) > _MOST_TOLD:
            raise RequestStateError("this was asked for so often that no more of it is kept")
        # The person themselves needs nobody's authority.
        changed = replace(request, agent=request.agent and told.agent is not None)
        if person.circumstances.own and told.agent is None and request.state is model.State.RECEIVED:
            changed = model.confirm(changed, Verification.SIGNED_IN)
        # None named is all of them, and stays so whatever is named beside it.
        both = sorted({*found.purposes, *purposes}) if found.purposes and purposes else ()
        more = replace(found, purposes=tuple(both), sealed=sealed(key, request.id, said))
        return await self._steps.make(access, more, changed, What.JOINED)


def _when(request: PrivacyRequest) -> tuple[datetime, ...]:
    """When to remind of a request as it is now."""
    terms = clock(request.regime, request.kind, request.received_at)
    confirm_by = request.confirm_by if request.state is model.State.RECEIVED else None
    return reminders(replace(terms, due_at=request.due_at, confirm_by=confirm_by))
