"""Takes controllers' requests in, says how far they have come, and takes them back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure
from customers.disclosure import Request as Stated
from customers.errors import ProfileNotFoundError, WriteNotAllowedError
from customers.rights.requests import (
    PrivacyRequest,
    RequestChangedError,
    RequestNotFoundError,
    RequestStateError,
    RequestStore,
    State,
    Verification,
    What,
)
from customers.rights.requests.clocks import clock, kept_until
from policies import PoliciesError
from server.opendsr.errors import OpenDsrRefusedError, Problem
from server.opendsr.reading import Asked
from server.opendsr.store import Kept, OpenDsrStore
from server.platform import Platform
from vault import InvalidIdentifierError

SOURCE: Final = "opendsr"
PURPOSE: Final = "privacy_request"
PENDING: Final = "pending"
CANCELLED: Final = "cancelled"
COMPLETED: Final = "completed"
ENDED: Final = frozenset({COMPLETED, CANCELLED})
_STATUS: Final = {
    State.RECEIVED: PENDING,
    State.CONFIRMED: PENDING,
    State.IN_PROGRESS: "in_progress",
    State.COMPLETED: COMPLETED,
    # OpenDSR knows no refusal; the controller is told that nothing more comes of it.
    State.DENIED: CANCELLED,
    State.CANCELLED: CANCELLED,
}
_ACTOR: Final = "confide"
_OFFICER: Final = "privacy_officer"
_PATH: Final = "profile.consents"
_TRIES: Final = 5
_CLAIMED: Final = timedelta(seconds=30)
"""How long whoever takes a request in is waited for before another goes on with it."""
_LOOKS: Final = 200
_LOOK_SECONDS: Final = 0.05


class Taking:
    """The use cases; each checks who asks.

    Args:
        platform: Where.
        store: Which request is whose.
        id_system: What stands before a controller's customer ids among a person's external ids.
    """

    def __init__(self, platform: Platform, store: OpenDsrStore, id_system: str) -> None:
        self._platform = platform
        self._store = store
        self._requests = RequestStore(platform.main)
        self._id_system = id_system

    def access(self, caller: Caller, operation: str) -> Access:
        """The access of a controller that may send requests.

        Raises:
            OpenDsrRefusedError: They may not.
        """
        if caller.purposes is not None and PURPOSE not in caller.purposes:
            raise OpenDsrRefusedError(Problem.FORBIDDEN)
        try:
            grant = self._platform.policies.current.decide(caller.roles, PURPOSE)
        except PoliciesError:
            raise OpenDsrRefusedError(Problem.FORBIDDEN) from None
        if caller.customer_id is not None or not grant.write[_PATH]:
            raise OpenDsrRefusedError(Problem.FORBIDDEN)
        stated = Stated(caller, PURPOSE, None, f"opendsr.{operation}", None, None)
        return Access(caller, grant, Disclosure(stated, grant))

    async def take(self, caller: Caller, asked: Asked) -> Kept:
        """Take a request in; sent again it is the one it was.

        The answer is the same whether or not anybody is known by what it says; that nobody was shows when it is answered.

        Raises:
            OpenDsrRefusedError: The caller may not, used this id for something else, or it was asked for too often.
        """
        access = self.access(caller, "request")
        name = self._store.name(caller.actor, asked.id)
        said = sorted(f"{index}:{value}" for index, value in asked.identities)
        fingerprint = self._store.fingerprint(asked.kind.value, asked.regime.value, *said)
        # What is sent twice at once, be it to two servers, is claimed by one of them, and the other waits for it.
        for _ in range(_LOOKS):
            claim = self._claim(access, asked, name, fingerprint)
            if await self._store.claim(claim):
                return await self._fill(access, asked, claim)
            known = await self._store.get(name)
            if known is not None and known.fingerprint != fingerprint:
                raise OpenDsrRefusedError(Problem.TAKEN)
            if known is not None and known.taking is None:
                return known
            if known is not None and known.taking is not None and known.taking <= claim.received_at:
                until = claim.received_at + _CLAIMED
                if await self._store.take_over(known, until):
                    return await self._fill(access, asked, replace(known, taking=until))
            await asyncio.sleep(_LOOK_SECONDS)
        raise OpenDsrRefusedError(Problem.UNAVAILABLE)

    def _claim(self, access: Access, asked: Asked, name: bytes, fingerprint: bytes) -> Kept:
        now = self._platform.now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as it is kept, so that it is told alike
        return Kept(
            id=name,
            controller=access.caller.actor,
            subject_request_id=asked.id,
            kind=asked.kind,
            request=None,
            fingerprint=fingerprint,
            callbacks=asked.callbacks,
            received_at=now,
            # Not until when ours is due: it may be older, and nobody's is none.
            expected_at=clock(asked.regime, asked.kind, now).due_at,
            state=PENDING,
            taking=now + _CLAIMED,
        )

    async def _fill(self, access: Access, asked: Asked, claim: Kept) -> Kept:
        """Have what was claimed become one of ours; where that is refused, or fails, nothing is claimed any more."""
        try:
            opened = await self._opened_at_last(access, asked)
            request = None if opened is None else opened.id
            taken = await self._store.took(claim, request)
        except BaseException:
            await self._store.give_up(claim)
            raise
        if not taken:  # it took so long that somebody else goes on with it
            raise OpenDsrRefusedError(Problem.UNAVAILABLE)
        return replace(claim, request=request, taking=None)

    async def _opened_at_last(self, access: Access, asked: Asked) -> PrivacyRequest | None:
        """As `_opened`, though others join the same request at the same moment."""
        for _ in range(_TRIES):
            with contextlib.suppress(RequestChangedError):
                return await self._opened(access, asked)
        raise OpenDsrRefusedError(Problem.UNAVAILABLE)

    async def status(self, caller: Caller, subject_request_id: str) -> tuple[Kept, str]:
        """A request of this controller's, and its status.

        Raises:
            OpenDsrRefusedError: The caller may not know, or there is none.
        """
        self.access(caller, "status")
        kept = await self._store.get(self._store.name(caller.actor, subject_request_id))
        if kept is None or kept.taking is not None:
            raise OpenDsrRefusedError(Problem.NOT_FOUND)
        return kept, await self.status_of(kept)

    async def status_of(self, kept: Kept) -> str:
        """How far a request has come; of nobody it is pending until it is next looked at."""
        if kept.state in ENDED or kept.request is None:
            return kept.state
        found = await self._requests.get(kept.request)
        # What was kept as proof is gone: it ended long ago.
        return COMPLETED if found is None else _STATUS[found.request.state]

    async def cancel(self, caller: Caller, subject_request_id: str) -> Kept:
        """Take a request back that nobody works on yet.

        What the person asked for themselves, or somebody else for them, stays: only this controller's part goes.

        Raises:
            OpenDsrRefusedError: The caller may not, there is none, or it is no longer pending.
        """
        kept, status = await self.status(caller, subject_request_id)
        if status != PENDING:
            raise OpenDsrRefusedError(Problem.NOT_PENDING)
        if kept.request is not None and await self._is_alone(kept.request):
            try:
                async with self._platform.vault.reading():
                    await self._platform.requests.cancel(self._officer("cancel"), kept.request)
            except (RequestStateError, RequestChangedError, RequestNotFoundError):
                raise OpenDsrRefusedError(Problem.NOT_PENDING) from None
        await self._store.tell(kept, CANCELLED, kept_until(self._platform.now()))
        return replace(kept, state=CANCELLED)

    async def _is_alone(self, request_id: str) -> bool:
        found = await self._requests.get(request_id)
        if found is None:
            return False
        steps = {each.what for each in found.request.steps}
        return found.request.source == SOURCE and What.JOINED not in steps

    async def _opened(self, access: Access, asked: Asked) -> PrivacyRequest | None:
        """The request that this becomes; None where nobody is known by what it says."""
        for index, value in asked.identities:
            told = f"{self._id_system}:{value}" if index == "external_id" else value
            try:
                customer_id = await self._platform.vault.blind.find(index, told)
            except InvalidIdentifierError:
                continue
            if customer_id is not None and (found := await self._open(access, asked, customer_id)) is not None:
                return found
        return None

    async def _open(self, access: Access, asked: Asked, customer_id: str) -> PrivacyRequest | None:
        return await opened_for(
            self._platform,
            lambda: self._platform.requests.open(access, asked.kind, customer_id, source=SOURCE, regime=asked.regime),
            self._officer("confirm"),
        )

    def _officer(self, step: str) -> Access:
        return officer(self._platform, f"opendsr.{step}")


def officer(platform: Platform, operation: str) -> Access:
    """The access of the platform itself, for what follows from a request that was sent."""
    return platform.access(_ACTOR, (_OFFICER,), PURPOSE, operation=operation)


async def opened_for(
    platform: Platform, opening: Callable[[], Awaitable[PrivacyRequest]], confirming: Access
) -> PrivacyRequest | None:
    """Open a request that a trusted sender hands on, and confirm it by that; None where there is nobody.

    Raises:
        OpenDsrRefusedError: The sender may not, or this was asked for too often.
    """
    async with platform.vault.reading():
        try:
            found = await opening()
        except ProfileNotFoundError:
            return None
        except WriteNotAllowedError:
            raise OpenDsrRefusedError(Problem.FORBIDDEN) from None
        except RequestStateError:  # so many have joined it that no more are kept
            raise OpenDsrRefusedError(Problem.TOO_OFTEN) from None
        if found.state is not State.RECEIVED:
            return found
        try:
            return await platform.requests.confirm(confirming, found.id, Verification.SENDER)
        except (RequestStateError, RequestChangedError, RequestNotFoundError):
            return found  # an agent's, or somebody was faster
