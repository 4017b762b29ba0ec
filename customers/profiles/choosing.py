"""Records what customers decide about the purposes their data is used for.

A decision is appended to their ledger before the profile's own document follows it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from customers.access import Access, Known, Part
from customers.consent.checking import check_decisions
from customers.consent.model import RESTRICTIONS, ConsentDecision, ConsentState, Rights, outdated
from customers.consent.store import ConsentStore, shown
from customers.errors import ProfileConflictError, WriteNotAllowedError
from customers.profiles.joined import OWN
from customers.profiles.permission import may_answer_choices
from customers.profiles.store import CustomerStore, Document
from customers.profiles.writable import Writable
from policies import LawfulBasis, PolicySet, Purpose
from vault import DataKey

_TRIES = 5


class Restricting(Protocol):
    """Told, right before it is made, that a customer restricts what is done with their data, or does no more."""

    async def __call__(self, document: Document, key: DataKey, parts: Sequence[Part], *, restricted: bool) -> None:
        """Have those told who were given their data."""


class ChoiceWriter:
    """Writes decisions as one caller may, for one purpose."""

    def __init__(
        self,
        store: CustomerStore,
        consents: ConsentStore,
        writable: Writable,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        restricting: Restricting | None = None,
    ) -> None:
        self._store = store
        self._consents = consents
        self._writable = writable
        self._policies = policies
        self._now = now
        self._restricting = restricting

    async def record(
        self,
        access: Access,
        customer_id: str,
        decision: ConsentDecision,
        *,
        unless_decided: bool = False,
        only_where: Callable[[Rights], bool] | None = None,
    ) -> None:
        """Append a decision of the customer to their consent ledger; the next read feels it.

        A decision older than one that stands is kept in the ledger and changes nothing. A restriction is lifted by the
        customer, or for a legal obligation: who restricted is told before that (GDPR Art. 18(3)). For a legal obligation
        only those decide who may read the choices too: who merely hands on what people ask for opens requests.

        Args:
            access: Who records it, and why.
            customer_id: Whose decision it is.
            decision: What the customer said, about which purpose, and when.
            unless_decided: Whether a consent counts only where the customer has never decided about the purpose, as
                for a source that may repeat what was true once.
            only_where: Of which rights it is to be recorded; of others nothing is, for a decision that may be told again.

        Raises:
            InputInvalidError: The purpose is not one there is, or the decision does not hold together.
            WriteNotAllowedError, ProfileNotFoundError, audit.AuditUnavailableError: Nothing was changed.
        """
        check_decisions([decision], self._policies().purposes)
        purposes = self._policies().purposes
        if not may_answer_choices(access):
            raise WriteNotAllowedError(["profile.consents"])
        own = await self._writable.find(access, customer_id, ["profile.consents"], rights_apply=False)
        if decision.state is ConsentState.RESTRICTION_LIFTED and not _may_lift(access, own):
            raise WriteNotAllowedError(["profile.consents"])
        if only_where is not None and not only_where(Rights.of_document(own.document.get("rights") or {})):
            return
        await self._writable.record_of(access, ["profile.consents"], own)
        entry = (own.document["_id"], decision)
        keys = {own.document["_id"]: own.key}
        if only_where is None:
            await self._consents.append([entry], keys)
        else:  # told twice at once, it is one entry: both saw the same version
            await self._consents.append_once([(_name(own.document, decision), *entry)], keys)
        for _ in range(_TRIES):
            document = own.document
            standing = document.get("consents", ())
            known = any(
                each["purpose"] == decision.purpose and each.get("channel") in (None, decision.channel)
                for each in standing
            )
            if outdated(decision, standing, purposes) or (
                unless_decided and known and decision.state is ConsentState.GRANTED
            ):
                return  # it is in the ledger; what the customer said later stands
            await self._tell(own, decision)
            setting = {**_decided(document, decision, purposes), "updated_at": self._now()}
            if OWN in document:  # it holds for the survivor, whoever is part of it
                alone = _decided(document[OWN], decision, purposes)
                setting |= {f"{OWN}.{name}": value for name, value in alone.items()}
            if await self._store.update(document["_id"], document["version"], {"$set": setting}):
                return
            own = await self._writable.find(access, customer_id, ["profile.consents"], rights_apply=False)
            if only_where is not None and not only_where(Rights.of_document(own.document.get("rights") or {})):
                return  # it was told twice at once, and the other came through
        raise ProfileConflictError

    async def _tell(self, own: Known, decision: ConsentDecision) -> None:
        """Each time that it is tried: what is prepared for a version is told only once that version is past."""
        restricted = decision.state is ConsentState.RESTRICTED
        held = Rights.of_document(own.document.get("rights") or {}).restricted
        if self._restricting is not None and decision.state in RESTRICTIONS and held is not restricted:
            await self._restricting(dict(own.document), own.key, own.parts, restricted=restricted)


def _name(document: Mapping[str, Any], decision: ConsentDecision) -> str:
    """What a decision is called that was made of a document as it is."""
    parts = (document["_id"], document["version"], decision.source, decision.purpose, decision.channel or "")
    return ":".join(map(str, parts))


def _may_lift(access: Access, own: Known) -> bool:
    return own.circumstances.own or access.grant.purpose.basis is LawfulBasis.LEGAL_OBLIGATION


def _decided(document: Mapping[str, Any], decision: ConsentDecision, purposes: Mapping[str, Purpose]) -> Document:
    """The rights and the shown decisions of a document once a decision holds."""
    standing = document.get("consents", ())
    rights = Rights.of_document(document.get("rights") or {}).after(decision, purposes, standing)
    return {"rights": rights.document(), "consents": shown(standing, decision)}
