"""Creates and changes profiles.

The record of a write is durable before the write begins: what cannot be recorded is not written. A profile's own
document is written last when it is made, so a crash leaves nothing that a reader could see half of.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from audit import AccessLog
from customers.access import Access, Part
from customers.consent.checking import check_decisions
from customers.consent.model import ConsentDecision, Rights
from customers.consent.store import ConsentStore
from customers.errors import (
    FieldProblem,
    IdentifierTakenError,
    IdentifierUnprovenError,
    InputInvalidError,
    ProfileConflictError,
)
from customers.identity.model import FORMS, PRIMARY_FIELDS, Identifier, IdentifierType, new_id, with_primary
from customers.identity.proving import proved, usurped
from customers.profiles.absorbing import Absorbed, Absorber, Saying
from customers.profiles.changing import ChangeOfIdentifiers, Identifiers, ProfileChanger
from customers.profiles.choosing import ChoiceWriter, Restricting
from customers.profiles.creating import ProfileMaker
from customers.profiles.draft import ProfileDraft, checked
from customers.profiles.joined import MERGED_INTO
from customers.profiles.made import identifiers_of
from customers.profiles.permission import (
    check_lookup,
    check_paths,
    identifier_paths,
    written_paths,
)
from customers.profiles.provenance import Origin, OriginKind, origin_of
from customers.profiles.store import CustomerStore, Document
from customers.profiles.writable import Writable
from customers.spelling import arriving
from policies import PolicySet
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
        restricting: Restricting | None = None,
    ) -> None:
        self._store = store
        self._correcting = correcting
        self._vault = vault
        self._policies = policies
        self._now = now
        self._random = random
        self._writable = Writable(store, vault, log, policies, now=now)
        self._choices = ChoiceWriter(store, consents, self._writable, policies, now=now, restricting=restricting)
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
            self._writable.check_created(access, draft)
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
        """As `ChoiceWriter.record`."""
        await self._choices.record(
            access, customer_id, decision, unless_decided=unless_decided, only_where=only_where
        )

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
            own = await self._writable.find(access, customer_id, paths)
            document = dict(own.document)
            if change is not None:
                check_lookup(access, paths)
            if version is not None and document["version"] != version:
                raise ProfileConflictError
            if not recorded:
                await self._writable.record_of(access, paths, own)
                recorded = True
            if self._correcting is not None and said.origin.kind in _CORRECTS:
                # Each time: what is prepared for a version is told once that version is past, be it by somebody else.
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

    async def record(self, access: Access, paths: Sequence[str], keys: Iterable[DataKey]) -> None:
        """As `Writable.record`."""
        await self._writable.record(access, paths, keys)


def _added(held: Identifiers, *, identifiers: Sequence[Identifier]) -> Identifiers:
    if usurped(identifiers, held):
        raise IdentifierUnprovenError
    return (*proved(held, identifiers), *(each for each in identifiers if each not in held))
