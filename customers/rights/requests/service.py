"""Privacy requests: opened by the person or for them, worked on by those who answer for privacy.

Every step is recorded in the access log before it is made, and the request keeps the entry's id (`steps.py`).
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from audit import AccessLog
from customers.access import Access
from customers.errors import (
    ProfileNotFoundError,
    ReadNotAllowedError,
    WriteNotAllowedError,
)
from customers.jobs import JobStore
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from customers.rights.certificate import Certificate
from customers.rights.erase import Eraser
from customers.rights.requests import model
from customers.rights.requests.clocks import kept_until
from customers.rights.requests.erasing import Erasing
from customers.rights.requests.errors import RequestChangedError, RequestNotFoundError
from customers.rights.requests.meaning import decisions
from customers.rights.requests.model import Denial, Extension, Kind, PrivacyRequest, Regime, Verification, What
from customers.rights.requests.opening import Opening
from customers.rights.requests.standing import PATH, Person, person_of, require_officer
from customers.rights.requests.steps import Steps
from customers.rights.requests.store import (
    Queued,
    RequestStore,
    Stored,
    place_of,
)
from customers.rights.requests.told import Told, opened
from policies import PolicySet, Verdict
from vault import DataKey, Vault

FOUR_EYES: Final = frozenset({Kind.ERASURE})
_MOST: Final = 100


class Exporting(Protocol):
    """What makes a person's data into a file."""

    async def make(self, access: Access, customer_id: str) -> str:
        """Make it, recorded as an export, and give its id; not inside `Vault.reading`."""


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """A request with what is sealed of it.

    Attributes:
        request: The request.
        purposes: What an objection is about; empty for everything that can be objected to.
        told: What was said; empty once the person is erased.
    """

    request: PrivacyRequest
    purposes: tuple[str, ...]
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class RequestPage:
    """A page of the queue; `end` is where the next one begins, None after the last."""

    requests: tuple[PrivacyRequest, ...]
    end: str | None


class RequestService:
    """Everything that is done with privacy requests; inside `Vault.reading`, but for `complete` and `erase`.

    Args:
        store: Where they are kept.
        customers: The profiles' documents.
        vault: The keys.
        log: The access log.
        writer: Records restrictions and objections.
        eraser: Erases.
        jobs: Where reminders wait.
        policies: The policy in force.
        exporting: Makes copies of a person's data; None where nothing does, and such requests are completed with what
            was handed over otherwise.
        four_eyes: Kinds that two persons must complete.
        now: The time.
        random: Gives that many random bytes.
    """

    def __init__(
        self,
        store: RequestStore,
        customers: CustomerStore,
        vault: Vault,
        log: AccessLog,
        writer: ProfileWriter,
        eraser: Eraser,
        jobs: JobStore,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        exporting: Exporting | None = None,
        four_eyes: AbstractSet[Kind] = FOUR_EYES,
    ) -> None:
        self._store = store
        self._customers = customers
        self._vault = vault
        self._writer = writer
        self._eraser = eraser
        self._policies = policies
        self._exporting = exporting
        self._four_eyes = four_eyes
        self._now = now
        self._steps = Steps(store, vault, log, now=now)
        self._opening = Opening(store, self._steps, jobs, policies, now=now, random=random)
        self._erasing = Erasing(
            store, customers, vault, self._steps, self._opening, eraser, four_eyes=four_eyes, now=now
        )

    # ---- for the person, and whoever speaks for them

    async def open(
        self,
        access: Access,
        kind: Kind,
        customer_id: str,
        *,
        source: str,
        reason: str | None = None,
        agent: str | None = None,
        purposes: Sequence[str] = (),
        regime: Regime = Regime.GDPR,
    ) -> PrivacyRequest:
        """Take a request in; where the person has one of this kind that is open, it is joined to that.

        What a person asks for who is signed in is confirmed with that.

        Args:
            access: Who takes it in: the person, or whoever may write everybody's privacy choices.
            kind: What is asked for.
            customer_id: Whose data it is about.
            source: Where it came in; never a person.
            reason: What was said; sealed.
            agent: Who asks for the person, where it is not they themselves; sealed.
            purposes: What an objection is about; everything that can be objected to where nothing is said.
            regime: The law whose terms hold.

        Raises:
            InputInvalidError: A text is too long, or a purpose unknown.
            WriteNotAllowedError, ProfileNotFoundError, audit.AuditUnavailableError: Nothing was changed.
        """
        self._opening.check(kind, reason, agent, purposes)
        person = await self._person(access, customer_id)
        stored = await self._opening.open(
            access, person, kind, regime, source=source, reason=reason, agent=agent, purposes=purposes
        )
        return stored.request

    async def list_of(self, access: Access, customer_id: str) -> list[ShownRequest]:
        """A person's requests, the latest first: for them, and for those who answer for privacy.

        Raises:
            ReadNotAllowedError, ProfileNotFoundError: The caller may not see them.
        """
        person = await self._person(access, customer_id)
        if not person.circumstances.own:
            require_officer(access, ReadNotAllowedError)
        stored = await self._store.of(person.ids, _MOST)
        return await self._shown(access, stored)

    async def cancel(self, access: Access, request_id: str) -> PrivacyRequest:
        """The person takes a request back, or whoever answers for privacy does for them.

        Raises:
            RequestNotFoundError, RequestStateError, RequestChangedError: Nothing was changed.
        """
        found = await self._store.get(request_id)
        if found is None or found.request.customer_id is None:
            raise RequestNotFoundError
        try:
            person = await self._person(access, found.request.customer_id)
        except ProfileNotFoundError:
            raise RequestNotFoundError from None
        if not person.circumstances.own:
            require_officer(access, WriteNotAllowedError)
        now = self._now()
        changed = model.cancel(found.request, now, kept_until(now))
        return (await self._steps.make(access, found, changed, What.CANCELLED)).request

    # ---- for those who answer for privacy

    async def queue(self, access: Access, queued: Queued, after: str | None, limit: int) -> RequestPage:
        """Requests by when they are due, without what is sealed of them.

        Raises:
            ReadNotAllowedError: The caller may not.
        """
        rule = require_officer(access, ReadNotAllowedError)
        found = await self._store.queue(queued, after, limit + 1)
        shown = [each.request for each in found[:limit]]
        access.disclosure.add_fields({PATH: (Verdict.CLEAR, rule)})
        access.disclosure.answered()
        keys = await self._vault.keys({each.customer_id for each in shown if each.customer_id is not None})
        for key in keys.values():
            if isinstance(key, DataKey):
                access.disclosure.add_subject(key.audit_reference)
        return RequestPage(tuple(shown), place_of(shown[-1]) if len(found) > limit else None)

    async def get(self, access: Access, request_id: str) -> ShownRequest:
        """One request with everything that was said.

        Raises:
            ReadNotAllowedError: The caller may not.
            RequestNotFoundError: There is none.
        """
        require_officer(access, ReadNotAllowedError)
        return (await self._shown(access, [await self._steps.found(request_id)]))[0]

    async def confirm(self, access: Access, request_id: str, how: Verification) -> PrivacyRequest:
        """It is known who asks, and they were told that their request is here; see `model.confirm`."""
        return await self._work(access, request_id, What.CONFIRMED, lambda held: model.confirm(held, how))

    async def begin(self, access: Access, request_id: str) -> PrivacyRequest:
        """Somebody works on it; see `model.begin`."""
        return await self._work(access, request_id, What.BEGUN, model.begin)

    async def extend(self, access: Access, request_id: str, why: Extension) -> PrivacyRequest:
        """The person was told that it takes longer; see `model.extend`."""
        extended = await self._work(
            access, request_id, What.EXTENDED, lambda held: model.extend(held, why, self._now())
        )
        await self._opening.remind(extended)
        return extended

    async def hold(self, access: Access, request_id: str, *, held: bool) -> PrivacyRequest:
        """The data must be kept for now, or need not any longer; see `model.hold`.

        Raises:
            RequestChangedError: Also where they are being erased already.
        """
        what = What.HELD if held else What.RELEASED
        changed = await self._work(access, request_id, what, lambda request: model.hold(request, held=held))
        if held:
            await self._in_time(changed)
        return changed

    async def _in_time(self, held: PrivacyRequest) -> None:
        """Return only if a hold that is written down holds every erasure that did not see it: nobody may think so else.

        An erasure writes down that it begins and then looks for holds; a hold is written down and then looks for
        erasures. Whichever comes second sees the other.
        """
        if held.customer_id is not None and await self._eraser.under_way(held.customer_id):
            raise RequestChangedError
        await self._steps.key(held)

    async def deny(self, access: Access, request_id: str, reason: Denial) -> PrivacyRequest:
        """It is refused; see `model.deny`."""
        now = self._now()
        return await self._work(
            access, request_id, What.DENIED, lambda held: model.deny(held, reason, now, kept_until(now))
        )

    async def complete(self, access: Access, request_id: str) -> PrivacyRequest:
        """Do what was asked for, and say so; by the second of two persons where the policy wants two.

        Not to be called inside `Vault.reading`: an erasure waits until every read has ended.

        Raises:
            RequestNotFoundError, RequestStateError, RequestHeldError, SecondPersonNeededError, RequestChangedError,
            WriteNotAllowedError, EraseNotAllowedError: Nothing was done.
            vault.VaultError: An erasure was begun and will be finished, and the request with it.
        """
        require_officer(access, WriteNotAllowedError)
        async with self._vault.reading():
            found = await self._steps.found(request_id)
            request, actor = found.request, access.caller.actor
            whole = [] if request.customer_id is None else await self._eraser.whole(request.customer_id)
            if not model.may_complete(request, actor, four_eyes=request.kind in self._four_eyes, whole=whole):
                agreed = model.agree(request, actor, whole)
                return (await self._steps.make(access, found, agreed, What.AGREED)).request
            if request.customer_id is None:
                raise RequestNotFoundError
        if request.kind is Kind.ERASURE:
            return (await self._erasing.meet(access, request, request.customer_id, whole))[0]
        result = None
        if request.kind in (Kind.ACCESS, Kind.PORTABILITY) and self._exporting is not None:
            result = await self._exporting.make(access, request.customer_id)
        async with self._vault.reading():
            for decision in decisions(found, self._policies().purposes):
                await self._writer.record_consent(access, request.customer_id, decision)
            now = self._now()
            met = model.complete(request, result, now, kept_until(now))
            return (await self._steps.make(access, found, met, What.COMPLETED)).request

    async def erase(self, access: Access, customer_id: str) -> Certificate:
        """Erase somebody, whether or not they asked for it; see `Erasing.erase`."""
        return await self._erasing.erase(access, customer_id)

    async def due(self, request_id: str) -> PrivacyRequest | None:
        """A request to be reminded of; None of one that has ended, or is no longer known."""
        found = await self._store.get(request_id)
        return found.request if found is not None and found.request.open else None

    async def settle(self, customer_ids: Sequence[str]) -> None:
        """These customers are erased: what was asked by them names them no more."""
        await self._store.settle(customer_ids, self._now())

    async def prune(self) -> int:
        """Remove proofs whose time is over; give how many."""
        return await self._store.prune(self._now())

    # ---- the common parts

    async def _work(
        self, access: Access, request_id: str, what: What, change: Callable[[PrivacyRequest], PrivacyRequest]
    ) -> PrivacyRequest:
        require_officer(access, WriteNotAllowedError)
        found = await self._steps.found(request_id)
        return (await self._steps.make(access, found, change(found.request), what)).request

    async def _person(self, access: Access, customer_id: str) -> Person:
        return await person_of(access, customer_id, self._customers, self._vault, self._now())

    async def _shown(self, access: Access, stored: Sequence[Stored]) -> list[ShownRequest]:
        """Requests with what was said, each noted as read; the keys in one query."""
        ways = access.grant.read[PATH].alternatives
        if not ways or ways[0].verdict is not Verdict.CLEAR:
            raise ReadNotAllowedError([PATH])
        access.disclosure.add_fields({PATH: (Verdict.CLEAR, ways[0].rule)})
        access.disclosure.answered()
        whose = {each.request.customer_id for each in stored if each.request.customer_id is not None}
        keys = {name: key for name, key in (await self._vault.keys(whose)).items() if isinstance(key, DataKey)}
        for key in keys.values():
            access.disclosure.add_subject(key.audit_reference)
        return [
            ShownRequest(each.request, each.purposes, tuple(opened(each, keys.get(each.request.customer_id or ""))))
            for each in stored
        ]
