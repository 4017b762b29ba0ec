"""Creates and changes profiles.

The record of a write is durable before the write begins: what cannot be recorded is not written. A profile's own
document is written last when it is made, so a crash leaves nothing that a reader could see half of.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from audit import AccessLog, Kind
from customers.access import Access, Known, Part, in_scope
from customers.consent.checking import check_decisions
from customers.consent.model import ConsentDecision, ConsentState, Rights, outdated
from customers.consent.store import ConsentStore, shown
from customers.disclosure import Disclosure
from customers.errors import (
    FieldProblem,
    IdentifierTakenError,
    IdentifierUnprovenError,
    InputInvalidError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.identity.model import FORMS, PRIMARY_FIELDS, Identifier, IdentifierType, new_id, with_primary
from customers.identity.proving import proved, usurped
from customers.profiles.absorbing import Absorbed, Absorber, Saying
from customers.profiles.changing import ChangeOfIdentifiers, Identifiers, ProfileChanger
from customers.profiles.creating import ProfileMaker
from customers.profiles.draft import ProfileDraft, checked
from customers.profiles.joined import MERGED_INTO, OWN, PARTS
from customers.profiles.made import identifiers_of, rights_of
from customers.profiles.permission import (
    check_lookup,
    check_paths,
    identifier_paths,
    may_answer_choices,
    rule_of,
    written_paths,
)
from customers.profiles.provenance import Origin, OriginKind, origin_of
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore, Document
from customers.spelling import arriving
from policies import LawfulBasis, PolicySet, Purpose, Verdict
from vault import DataKey, InvalidIdentifierError, Vault

_TRIES = 5
Correcting = Callable[[Document, DataKey, Sequence[Part], Sequence[str]], Awaitable[None]]
"""Told, right before it is made, which fields of a profile a person who works here or the customer corrects."""
_CORRECTS = frozenset({OriginKind.STAFF, OriginKind.CUSTOMER})


@dataclass(frozen=True, slots=True)
class _Said:
    """Checked values by field name, those of them as they came that were spelt otherwise, and where they came from."""

    changes: dict[str, Any]
    originals: Mapping[str, str]
    origin: Origin


class ProfileWriter:
    """Writes profiles as one caller may, for one purpose."""

    def __init__(
        self,
        store: CustomerStore,
        consents: ConsentStore,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        correcting: Correcting | None = None,
    ) -> None:
        self._store = store
        self._correcting = correcting
        self._consents = consents
        self._vault = vault
        self._log = log
        self._policies = policies
        self._now = now
        self._random = random
        self._changer = ProfileChanger(store, vault, now=now)
        self._absorber = Absorber(store, vault, self._changer, policies, now=now)
        self._maker = ProfileMaker(store, consents, vault, policies, now=now, random=random)

    def identifier(self, kind: IdentifierType, value: str, field: str) -> Identifier:
        """An identifier in its normal form.

        Raises:
            InputInvalidError: The value cannot be one; `field` is what the problem is reported under.
        """
        try:
            return Identifier(kind, self._vault.normalise(kind, value))
        except InvalidIdentifierError as error:
            raise InputInvalidError([FieldProblem(field, f"must be {FORMS[kind]}")]) from error

    def draft(
        self,
        values: Mapping[str, Any],
        identifiers: Sequence[Identifier] = (),
        consents: Sequence[ConsentDecision] = (),
        *,
        origin: Origin | None = None,
    ) -> ProfileDraft:
        """A draft of checked values, for `create`. `values` may name `email` and `phone`.

        `origin` is where they came from; None is whoever creates it.

        Raises:
            InputInvalidError: Naming every field that cannot be stored.
        """
        rest, originals = arriving(values)
        mine = list(identifiers)
        for kind, name in reversed(PRIMARY_FIELDS.items()):
            if (value := rest.pop(name, None)) is not None:
                mine.insert(0, self.identifier(kind, value, name))
        return ProfileDraft(
            checked(rest, self._now()),
            tuple(dict.fromkeys(mine)),
            tuple(consents),
            origin=origin,
            originals=originals,
        )

    async def create(
        self, access: Access, drafts: Sequence[ProfileDraft], *, origin: Origin | None = None
    ) -> list[str]:
        """Create profiles, at most a hundred at a time, and give their ids in order. All or none are created.

        `origin` is where the values of drafts came from that say nothing of it; None is the caller.

        Raises:
            InputInvalidError: A draft holds nothing, or a value that cannot be stored, or an unknown purpose.
            WriteNotAllowedError: The caller may not write one of the fields.
            IdentifierTakenError: Another profile has one of the identifiers.
            audit.AuditUnavailableError: The write could not be recorded; nothing was written.
        """
        for draft in drafts:
            self._check_created(access, draft)
        named = [(each.type, each.value) for draft in drafts for each in draft.identifiers]
        if len(set(named)) < len(named) or await self._vault.blind.find_many(named):
            raise IdentifierTakenError("identifier")
        whose = origin or origin_of(access, self._now())
        made = {new_id("cus_", self._random): replace(draft, origin=draft.origin or whose) for draft in drafts}
        keys = await self._maker.begin(list(made))
        await self.record(access, sorted({path for draft in drafts for path in written_paths(draft)}), keys.values())
        await self._maker.make(made, keys)
        return list(made)

    async def update(
        self,
        access: Access,
        customer_id: str,
        values: Mapping[str, Any],
        *,
        version: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Change fields of a profile; a value of None removes one.

        Args:
            access: Who changes it, and why.
            customer_id: Whose profile.
            values: By field name; `email` and `phone` change the primary identifier.
            version: The version the caller read, to be told of a change in between; None to change it regardless.
            origin: Where the values came from; None is the caller. Fields of which something later was said stay.

        Raises:
            InputInvalidError, WriteNotAllowedError, ProfileNotFoundError, ProfileConflictError, IdentifierTakenError,
            audit.AuditUnavailableError: Nothing was changed.
        """
        rest, originals = arriving(values)
        primaries = {
            kind: None if (value := rest.pop(name)) is None else self.identifier(kind, value, name).value
            for kind, name in PRIMARY_FIELDS.items()
            if name in rest
        }
        changes = checked(rest, self._now())

        def change(held: Identifiers) -> Identifiers:
            for kind, value in primaries.items():
                held = with_primary(held, kind, value)
            return held

        paths = [f"profile.{name}" for name in values]
        said = _Said(changes, originals, origin or origin_of(access, self._now()))
        await self._change(access, customer_id, paths, said, change if primaries else None, version)

    async def absorb(
        self,
        access: Access,
        customer_id: str,
        values: Mapping[str, Any],
        identifiers: Sequence[Identifier],
        decisions: Sequence[ConsentDecision],
        *,
        origin: Origin | None = None,
    ) -> None:
        """Add what another source says of a customer: values replace, identifiers and decisions are added.

        Raises:
            IdentifierUnprovenError: The customer has one of these identifiers only because a sender said so whom nobody
                need believe, and none of the others; nothing was changed.
            CustomersError, audit.AuditUnavailableError: As `update`.
        """
        spelt, originals = arriving(values)
        changes = checked(spelt, self._now())
        said = _Said(changes, originals, origin or origin_of(access, self._now()))
        paths = [f"profile.{name}" for name in changes]
        paths += identifier_paths(each.type for each in identifiers)
        if decisions:  # all or nothing: what comes last must not be refused once the rest is written
            check_decisions(decisions, self._policies().purposes)
            check_paths(access, ["profile.consents"])
        await self._change(
            access,
            customer_id,
            paths,
            said,
            partial(_added, identifiers=identifiers),
            None,
        )
        for decision in decisions:
            await self.record_consent(access, customer_id, decision, unless_decided=True)

    async def absorb_many(
        self, access: Access, said: Sequence[tuple[str, Mapping[str, Any], Sequence[Identifier]]], *, origin: Origin
    ) -> list[Absorbed]:
        """As `absorb`, of many customers at once, without decisions; what became of each, in their order.

        Inside `Vault.reading`, and at most `absorbing.AT_ONCE`. What is to be done one at a time was not done.

        Raises:
            InputInvalidError: A value cannot be stored; nothing was changed.
            audit.AuditUnavailableError, vault.VaultError: Nothing was changed.
        """
        now = self._now()
        sayings = []
        for customer_id, values, identifiers in said:
            spelt, originals = arriving(values)
            sayings.append(Saying(customer_id, checked(spelt, now), originals, tuple(identifiers)))
        return await self._absorber.absorb(access, sayings, origin, partial(self.record, access))

    async def add_identifier(self, access: Access, customer_id: str, identifier: Identifier) -> None:
        """Give a profile one more identifier; one it has already changes nothing.

        Raises:
            As `update`.
        """
        await self._change(
            access,
            customer_id,
            identifier_paths([identifier.type]),
            _Said({}, {}, origin_of(access, self._now())),
            lambda held: held if identifier in held else (*held, identifier),
            None,
        )

    async def remove_identifier(self, access: Access, customer_id: str, identifier: Identifier) -> None:
        """Take an identifier from a profile; one it does not have changes nothing.

        Raises:
            As `update`.
        """
        await self._change(
            access,
            customer_id,
            identifier_paths([identifier.type]),
            _Said({}, {}, origin_of(access, self._now())),
            lambda held: tuple(each for each in held if each != identifier),
            None,
        )

    async def record_consent(
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
        own = await self._own(access, customer_id, ["profile.consents"], rights_apply=False)
        if decision.state is ConsentState.RESTRICTION_LIFTED and not _may_lift(access, own):
            raise WriteNotAllowedError(["profile.consents"])
        if only_where is not None and not only_where(Rights.of_document(own.document.get("rights") or {})):
            return
        await self._record(access, ["profile.consents"], own)
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
            setting = {**_decided(document, decision, purposes), "updated_at": self._now()}
            if OWN in document:  # it holds for the survivor, whoever is part of it
                alone = _decided(document[OWN], decision, purposes)
                setting |= {f"{OWN}.{name}": value for name, value in alone.items()}
            if await self._store.update(document["_id"], document["version"], {"$set": setting}):
                return
            own = await self._own(access, customer_id, ["profile.consents"], rights_apply=False)
            if only_where is not None and not only_where(Rights.of_document(own.document.get("rights") or {})):
                return  # it was told twice at once, and the other came through
        raise ProfileConflictError

    def purpose_depth(self, purpose: str) -> int:
        """How many purposes stand above this one, itself included."""
        return len(self._policies().purposes[purpose].lineage)

    async def count(self) -> int:
        """About how many profiles there are: never fewer."""
        return await self._store.last_sequence()

    async def all_identifiers(self) -> AsyncIterator[tuple[str, tuple[Identifier, ...]]]:
        """Whom to find by which identifiers in clear, for the blind index to be made anew; for nobody else."""
        async for customer_id in self._store.all_ids():
            async with self._vault.reading():
                documents = await self._store.find([customer_id])
                key = (await self._vault.keys([customer_id])).get(customer_id)
                if documents and isinstance(key, DataKey):
                    yield documents[0].get(MERGED_INTO, customer_id), identifiers_of(documents[0], key)

    async def _change(
        self,
        access: Access,
        customer_id: str,
        paths: Sequence[str],
        said: _Said,
        change: ChangeOfIdentifiers | None,
        version: int | None,
    ) -> None:
        recorded = False
        for _ in range(_TRIES):
            own = await self._own(access, customer_id, paths)
            document = dict(own.document)
            if change is not None:
                check_lookup(access, paths)
            if version is not None and document["version"] != version:
                raise ProfileConflictError
            if not recorded:
                await self._record(access, paths, own)
                recorded = True
                if self._correcting is not None and said.origin.kind in _CORRECTS:
                    await self._correcting(document, own.key, own.parts, paths)
            catalogue = self._policies().catalogue
            if await self._changer.apply(
                catalogue,
                document,
                own.key,
                said.changes,
                change,
                own.parts,
                origin=said.origin,
                originals=said.originals,
            ):
                return
        raise ProfileConflictError

    async def _own(
        self, access: Access, customer_id: str, paths: Sequence[str], *, rights_apply: bool = True
    ) -> Known:
        """A customer whom the caller may write, with every one of `paths` allowed; of one merged away, the survivor."""
        check_paths(access, paths)
        documents = await self._store.find([customer_id])
        if documents and MERGED_INTO in documents[0]:
            documents = await self._store.find([documents[0][MERGED_INTO]])
        others = await self._store.find(documents[0][PARTS]) if documents and PARTS in documents[0] else []
        keys = await self._vault.keys([each["_id"] for each in (*documents, *others)] or [customer_id])
        key = keys.get(documents[0]["_id"]) if documents else None
        if not isinstance(key, DataKey):
            raise ProfileNotFoundError
        circumstances = circumstances_of(documents[0], access.caller, access.grant, self._now())
        refused = [
            path
            for path in paths
            if not any(in_scope(each.scope, circumstances) for each in access.grant.write[path].alternatives)
            or (rights_apply and circumstances.reason is not None)
        ]
        if refused:
            raise WriteNotAllowedError(refused)
        parts = tuple(Part(mine, each) for each in others if isinstance(mine := keys.get(each["_id"]), DataKey))
        return Known(key, circumstances, documents[0], parts)

    def _check_created(self, access: Access, draft: ProfileDraft) -> None:
        check_decisions(draft.consents, self._policies().purposes)
        paths = written_paths(draft)
        if not paths:
            raise InputInvalidError([FieldProblem("values", "must hold at least one value")])
        rights = replace(rights_of(draft, self._policies().purposes), restricted=False)
        document = {"_id": None, "region": draft.values.get("region"), "rights": rights.document()}
        circumstances = circumstances_of(document, access.caller, access.grant, self._now())
        refused = [
            path
            for path in paths
            if not any(in_scope(each.scope, circumstances) for each in access.grant.write[path].alternatives)
        ]
        if refused or circumstances.reason is not None:
            raise WriteNotAllowedError(refused or paths)
        check_lookup(access, paths)

    async def _record(self, access: Access, paths: Sequence[str], own: Known) -> None:
        await self.record(access, paths, (own.key, *(part.key for part in own.parts)))

    async def record(self, access: Access, paths: Sequence[str], keys: Iterable[DataKey]) -> None:
        """Make the record of a write durable, before it is made."""
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
        disclosure.add_fields({path: (Verdict.CLEAR, rule_of(access, path)) for path in paths})
        for key in keys:
            disclosure.add_subject(key.audit_reference)
        await self._log.append(disclosure.record(self._now()))


def _added(held: Identifiers, *, identifiers: Sequence[Identifier]) -> Identifiers:
    if usurped(identifiers, held):
        raise IdentifierUnprovenError
    return (*proved(held, identifiers), *(each for each in identifiers if each not in held))


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
