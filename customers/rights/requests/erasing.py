"""Erases whom a request is about, and whom somebody erases without one: by two persons where the policy wants two.

Where two must agree, whoever erases somebody without a request opens one with that and is the first who agrees to it; the
second completes it, or erases the same person as well. So there is no way around the second person, and what the two
did is the request's to tell.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Final

from customers.access import Access, in_scope
from customers.errors import EraseNotAllowedError, ProfileNotFoundError, WriteNotAllowedError
from customers.profiles.store import CustomerStore
from customers.rights.certificate import Certificate
from customers.rights.erase import Eraser
from customers.rights.requests import model
from customers.rights.requests.errors import RequestNotFoundError, SecondPersonNeededError
from customers.rights.requests.model import Kind, PrivacyRequest, Regime, State, Verification, What
from customers.rights.requests.opening import Opening
from customers.rights.requests.standing import person_of, require_officer
from customers.rights.requests.steps import Steps
from customers.rights.requests.store import RequestStore, Stored
from vault import Vault

SOURCE: Final = "staff"
"""Where a request came in that nobody made but who erases."""


class Erasing:
    """Erasures of people, asked for or not.

    Args:
        store: Where requests are kept.
        customers: The profiles' documents.
        vault: The keys.
        steps: Records and makes steps.
        opening: Opens requests.
        eraser: Erases.
        four_eyes: Kinds that two persons must complete.
        now: The time.
    """

    def __init__(
        self,
        store: RequestStore,
        customers: CustomerStore,
        vault: Vault,
        steps: Steps,
        opening: Opening,
        eraser: Eraser,
        *,
        four_eyes: AbstractSet[Kind],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._customers = customers
        self._vault = vault
        self._steps = steps
        self._opening = opening
        self._eraser = eraser
        self._four_eyes = four_eyes
        self._now = now

    async def erase(self, access: Access, customer_id: str) -> Certificate:
        """Erase somebody, whoever asked for it; by the second of two persons where two must agree.

        Not to be called inside `Vault.reading`.

        Raises:
            SecondPersonNeededError: Nobody is erased yet: the request that it names waits for another person.
            RequestHeldError: What is known of them is under legal hold.
            EraseNotAllowedError, WriteNotAllowedError, ProfileNotFoundError, RequestChangedError: Nothing was done.
            audit.AuditUnavailableError, vault.VaultError: As `Eraser.erase`.
        """
        if Kind.ERASURE not in self._four_eyes:
            return await self._eraser.erase(access, customer_id)
        if not access.grant.erase:
            raise EraseNotAllowedError
        async with self._vault.reading():
            found, whole = await self._agreed(access, customer_id)
        if found.request.customer_id is None:
            raise ProfileNotFoundError
        return (await self.meet(access, found.request, found.request.customer_id, whole))[1]

    async def meet(
        self, access: Access, request: PrivacyRequest, customer_id: str, whole: Sequence[str]
    ) -> tuple[PrivacyRequest, Certificate]:
        """Erase whom a request is about that may be completed; give what is left of it, and the certificate.

        Raises:
            ProfileConflictError: They are other profiles than `whole` by now, to which nobody agreed; nothing was erased.
        """
        entry = await self._steps.record(access, request, What.COMPLETED, None)
        try:
            certificate = await self._eraser.erase(access, customer_id, only=whole)
        except ProfileNotFoundError:
            raise RequestNotFoundError from None
        # The erasure itself ended the request, so that it does wherever an erasure that died is finished.
        found = await self._steps.found(request.id)
        done = replace(found.request, result=certificate.id).noted(self._now(), What.COMPLETED, entry)
        return (await self._store.save(replace(found, request=done))).request, certificate

    async def _agreed(self, access: Access, customer_id: str) -> tuple[Stored, Sequence[str]]:
        """The request to which somebody else has agreed, and the person's profiles; else it is opened, and agreed to."""
        person = await person_of(access, customer_id, self._customers, self._vault, self._now())
        if not any(in_scope(each.scope, person.circumstances) for each in access.grant.erase.alternatives):
            raise EraseNotAllowedError
        if not person.circumstances.own:
            require_officer(access, WriteNotAllowedError)
        await self._store.require_free(person.ids)
        found = await self._store.open_of(person.ids, Kind.ERASURE)
        if found is None:
            found = await self._opening.open(access, person, Kind.ERASURE, Regime.GDPR, source=SOURCE)
        if person.circumstances.own:  # who asks for their own is neither of the two
            raise SecondPersonNeededError(found.request.id)
        if found.request.state is State.RECEIVED:
            known = model.confirm(found.request, Verification.OWN_MOTION)
            found = await self._steps.make(access, found, known, What.CONFIRMED)
        if found.request.state is State.CONFIRMED:
            found = await self._steps.make(access, found, model.begin(found.request), What.BEGUN)
        actor = access.caller.actor
        if not model.may_complete(found.request, actor, four_eyes=True, whole=person.ids):
            await self._steps.make(access, found, model.agree(found.request, actor, person.ids), What.AGREED)
            raise SecondPersonNeededError(found.request.id)
        return found, person.ids
