"""Finds or makes the person that each item of a batch is about.

A batch is looked up at once, decided by the rules in memory, and what follows is written at once: new people with keys of
their own, identifiers that people gain or give up, visitors who turn out to be somebody, cases for a person to decide. The
number of database commands does not grow with the batch, up to a hundred items.

Identifiers are claimed before any document says that it has them, so of two processes that meet the same new one at once
the database lets one have it; the other looks again and finds them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from customers.access import Access
from customers.errors import IdentityBusyError, ProfileConflictError, ProfileNotFoundError, WriteNotAllowedError
from customers.identity.merging import PATH
from customers.identity.model import PRIMARY_FIELDS, Identifier, new_id, primary
from customers.identity.proving import proved, usurped
from customers.identity.register import Register
from customers.identity.review import Finding, Reviewer
from customers.identity.rules import Case, CaseKind, Identified
from customers.identity.standing import Census, Standing
from customers.profiles.changing import ProfileChanger
from customers.profiles.draft import ProfileDraft
from customers.profiles.joined import Document
from customers.profiles.made import identifier_fields, profile_document, rights_of
from customers.profiles.permission import identifier_paths
from customers.profiles.sealing import groups_changed
from customers.profiles.store import Collection as Documents
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from policies import PolicySet
from vault import Claim, DataKey, Vault
from vault import IdentifierTakenError as ClaimRefusedError

_AT_ONCE: Final = 100
_TRIES: Final = 14
_PATIENCE: Final = 5
"""After how many tries an identifier that leads to somebody who does not have it is taken from them."""
_FIRST_PAUSE: Final = 0.004
_LONGEST_PAUSE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Resolution:
    """Whose an item is.

    Attributes:
        customer_id: The customer.
        key: Their key, to be used in the same `Vault.reading`.
        created: Whether there was nobody before.
        restricted: Whether they have restricted what is done with their data.
    """

    customer_id: str
    key: DataKey
    created: bool
    restricted: bool = False


class _LostRaceError(Exception):
    """Somebody else was faster; look again."""


class Resolver:
    """Finds and makes people, for one process."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        writer: ProfileWriter,
        reviewer: Reviewer,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._vault = vault
        self._writer = writer
        self._reviewer = reviewer
        self._policies = policies
        self._now = now
        self._random = random
        self._census = Census(store, vault)
        self._changer = ProfileChanger(store, vault, now=now)

    async def resolve(self, access: Access, items: Sequence[Identified]) -> list[Resolution | None]:
        """Whose each item is, in their order; None where nothing in it says whose, or who it is of is being erased.

        Inside `Vault.reading`: the keys are used in the same block. What is written of anybody is recorded before.

        Args:
            access: On whose behalf; must be allowed to write identifiers.
            items: What each says about whom it is. Any number; each hundred is looked up and written at once.

        Raises:
            WriteNotAllowedError: The caller may not write identifiers; nothing was written.
            IdentityBusyError: Others kept changing or making the same people; it may be tried again.
            audit.AuditUnavailableError: It could not be recorded; nothing was written.
            vault.VaultError: Keys cannot be had or used.
        """
        if not access.grant.write[PATH]:
            raise WriteNotAllowedError([PATH])
        found: list[Resolution | None] = []
        for start in range(0, len(items), _AT_ONCE):
            found += await self._batch(access, items[start : start + _AT_ONCE])
        return found

    async def _batch(self, access: Access, items: Sequence[Identified]) -> list[Resolution | None]:
        spare: dict[str, DataKey] = {}
        used: dict[str, DataKey] = {}
        moved: dict[Identifier, str] = {}
        try:
            for attempt in range(_TRIES):
                if attempt:
                    await self._pause(attempt)
                standing = await self._census.standing(items)
                if standing.unsettled:
                    if attempt >= _PATIENCE:
                        await self._release(standing.unsettled)
                    continue
                about = [standing.about(item) for item in items]
                if taken := _usurped(standing, about):
                    moved |= await self._reclaim(access, standing, taken)
                    continue
                register = Register.of(standing.people)
                placed = [None if item is None else register.place(item) for item in about]
                _dispute(register, about, placed, moved)
                try:
                    made = await self._carry_out(access, standing, register, spare, used)
                except (ClaimRefusedError, ProfileConflictError, ProfileNotFoundError, _LostRaceError):
                    continue
                return [
                    None if each is None else _resolution(register, register.settled(each), made, used, standing.keys)
                    for each in placed
                ]
            raise IdentityBusyError
        finally:
            await self._put_back(spare, used)

    async def _carry_out(
        self,
        access: Access,
        standing: Standing,
        register: Register,
        spare: dict[str, DataKey],
        used: dict[str, DataKey],
    ) -> dict[str, str]:
        """Write what follows from a batch; gives the ids of those who were made."""
        changed = [
            each
            for each in register.gained
            if register.gained[each] or register.lost.get(each) or each in register.proved
        ]
        if register.made or changed or register.absorbed:
            await self._provide(len(register.made), spare)
            made = dict(zip(register.made, spare, strict=False))
            keys = [spare[each] for each in made.values()]
            touched = dict.fromkeys([*changed, *register.absorbed, *map(register.settled, register.absorbed)])
            keys += [standing.keys[each] for each in touched if each in standing.keys]
            gained = [each for held in (*register.gained.values(), *_new(register).values()) for each in held]
            paths = [each for each in identifier_paths(each.type for each in gained) if access.grant.write[each]]
            await self._writer.record(access, paths, keys)
            claims = [
                *(Claim(held.type, held.value, made[each]) for each, own in _new(register).items() for held in own),
                *(Claim(held.type, held.value, each) for each in changed for held in register.gained[each]),
            ]
            await self._vault.blind.claim_many(claims)
            await self._make(register, made, spare, used)
            await self._change(standing, register, changed)
            visitors = {visitor: register.settled(visitor) for visitor in register.absorbed}
            if visitors:
                await self._reviewer.merger.absorb(
                    access, {visitor: made.get(person, person) for visitor, person in visitors.items()}
                )
        else:
            made = {}
        if register.cases:
            findings = [Finding.of(each).renamed(lambda each: made.get(each, each)) for each in register.cases]
            await self._reviewer.cases.add(findings)
        return made

    # ---- people who are made

    async def _provide(self, count: int, spare: dict[str, DataKey]) -> None:
        """Have ids and keys for as many new people; from here on whoever finds the intention can undo it."""
        missing = count - len(spare)
        if missing > 0:
            ids = [new_id("cus_", self._random) for _ in range(missing)]
            await self._store.begin(ids, self._vault.fleet.process_id, self._now())
            spare |= await self._vault.create_keys(ids)

    async def _make(
        self, register: Register, made: Mapping[str, str], spare: dict[str, DataKey], used: dict[str, DataKey]
    ) -> None:
        if not made:
            return
        policies, now = self._policies(), self._now()
        first = await self._store.next_sequence(len(made))
        documents = []
        for seq, (each, own) in enumerate(_new(register).items(), first):
            draft = ProfileDraft({}, own)
            rights = rights_of(draft, policies.purposes)
            documents.append(profile_document(draft, rights, policies.catalogue, spare[made[each]], seq=seq, now=now))
        # What was sealed with them may be there whatever becomes of this; they are not put back.
        for each in made.values():
            used[each] = spare.pop(each)
        try:
            await self._store.insert(Documents.PROFILES, documents)
        except BaseException:
            await asyncio.shield(self._withdraw(list(made.values())))
            raise
        with contextlib.suppress(Exception):  # they are there; whoever finds the intention sees that
            await self._store.finish(list(made.values()))

    async def _withdraw(self, customer_ids: Sequence[str]) -> None:
        """After a failure, have nobody wait for people who may be half there; their keys go with the creations."""
        with contextlib.suppress(Exception):  # the error that brought us here is the one to tell
            if len(await self._store.find(customer_ids, {"seq": 1})) < len(customer_ids):
                await self._store.withdraw(customer_ids)
                await self._vault.blind.release_all(*customer_ids)

    async def _put_back(self, spare: Mapping[str, DataKey], used: Mapping[str, DataKey]) -> None:
        """Give up what was made for people who turned out to be there already."""
        if not spare:
            return
        with contextlib.suppress(Exception):  # what is left is undone with the creations that died
            await self._vault.blind.release_all(*spare)
            await self._vault.discard_keys(list(spare))
            await self._store.finish([each for each in spare if each not in used])

    # ---- people there are

    async def _change(self, standing: Standing, register: Register, changed: Sequence[str]) -> None:
        if not changed:
            return
        changes = [
            (
                {"_id": each, "version": standing.documents[each]["version"]},
                self._update(standing, register, each),
            )
            for each in changed
        ]
        applied = await self._store.update_many(changes)
        gained = {each: [Claim(held.type, held.value, each) for held in register.gained[each]] for each in changed}
        if applied < len(changes):
            for each in changed:  # of those that were not changed; the others are seen to have what they gained
                await self._changer.give_up(each, gained[each])
            raise _LostRaceError
        try:
            await self._vault.blind.confirm_many(claim for claims in gained.values() for claim in claims)
        except ClaimRefusedError:
            await self._return(standing, gained)
            raise
        for each in changed:
            await self._changer.give_up(
                each, [Claim(held.type, held.value, each) for held in register.lost.get(each, ())]
            )

    def _update(self, standing: Standing, register: Register, customer_id: str) -> dict[str, Any]:
        document = standing.documents[customer_id]
        person = next(each for each in standing.people if each.id == customer_id)
        gained, lost = register.gained[customer_id], register.lost.get(customer_id, ())
        after = proved(
            (*(each for each in person.own if each not in lost), *gained), register.proved.get(customer_id, ())
        )
        fields = identifier_fields(after)
        # What is shown first of a kind is a field of its own, in another group: untouched, it need not be sealed anew.
        same = {name for kind, name in PRIMARY_FIELDS.items() if primary(person.own, kind) == primary(after, kind)}
        changes = {name: value for name, value in fields.items() if name not in same}
        key = standing.keys[customer_id]
        setting, removing = groups_changed(self._policies().catalogue, key, document, changes)
        setting |= {"updated_at": self._now(), "version": int(document["version"]) + 1}
        return {"$set": setting, **({"$unset": removing} if removing else {})}

    async def _return(self, standing: Standing, gained: Mapping[str, Sequence[Claim]]) -> None:
        """Take from profiles what went to others before it was confirmed."""
        named = [(claim.index, claim.value) for claims in gained.values() for claim in claims]
        owners = await self._vault.blind.find_many(named)
        catalogue = self._policies().catalogue
        for customer_id, claims in gained.items():
            lost = {
                (claim.index, claim.value)
                for claim in claims
                if owners.get((claim.index, claim.value)) != customer_id
            }
            documents: list[Document] = await self._store.find([customer_id]) if lost else []
            for document in documents:
                await self._changer.apply(
                    catalogue, document, standing.keys[customer_id], {}, partial(_without, lost)
                )

    async def _reclaim(
        self, access: Access, standing: Standing, taken: Mapping[str, Collection[Identifier]]
    ) -> dict[Identifier, str]:
        """Take from people what only senders have said to be theirs whom nobody need believe; gives from whom."""
        named = {each.type for held in taken.values() for each in held}
        paths = [each for each in identifier_paths(named) if access.grant.write[each]]
        await self._writer.record(access, paths, [standing.keys[each] for each in taken])
        catalogue = self._policies().catalogue
        for document in await self._store.find(list(taken)):
            customer_id = document["_id"]
            lost = {(each.type, each.value) for each in taken[customer_id]}
            await self._changer.apply(catalogue, document, standing.keys[customer_id], {}, partial(_without, lost))
        return {each: customer_id for customer_id, held in taken.items() for each in held}

    async def _release(self, unsettled: Mapping[Identifier, str]) -> None:
        """Take identifiers from people who are seen not to have them, unless they are being made at this moment."""
        there = {each["_id"] for each in await self._store.find(sorted(set(unsettled.values())), {"seq": 1})}
        for identifier, owner in unsettled.items():
            if owner in there:
                await self._changer.give_up(owner, [Claim(identifier.type, identifier.value, owner)])

    async def _pause(self, attempt: int) -> None:
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
        await asyncio.sleep(longest * (0.5 + self._random(1)[0] / 512))


def _without(lost: Collection[tuple[str, str]], held: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    return tuple(each for each in held if (each.type, each.value) not in lost)


def _usurped(standing: Standing, about: Sequence[Identified | None]) -> dict[str, set[Identifier]]:
    """What believed senders name that those who have it are to lose, by who has it."""
    holders = {
        held: person
        for person in standing.people
        if not all(each.proven for each in person.own)
        for held in person.own
    }
    found: dict[str, set[Identifier]] = {}
    for item in about if holders else ():
        if item is None or not item.proven:
            continue
        for person in {holders[each].id: holders[each] for each in item.claimed if each in holders}.values():
            if not person.restricted and (taken := usurped(item.claimed, person.identifiers)):
                found.setdefault(person.id, set()).update(taken)
    return found


def _dispute(
    register: Register,
    about: Sequence[Identified | None],
    placed: Sequence[str | None],
    moved: Mapping[Identifier, str],
) -> None:
    """Have a person look at whose those identifiers are that were taken from somebody."""
    for item, customer_id in zip(about, placed, strict=True):
        if item is None or customer_id is None:
            continue
        for each in item.claimed:
            former, latter = moved.get(each), register.settled(customer_id)
            if former is not None and former != latter:
                pair = tuple(sorted((former, latter)))
                register.cases[Case(CaseKind.TWO_PEOPLE, pair, each.type)] = None


def _new(register: Register) -> dict[str, tuple[Identifier, ...]]:
    return {each: register.people[each].own for each in register.made}


def _resolution(
    register: Register,
    settled: str,
    made: Mapping[str, str],
    used: Mapping[str, DataKey],
    keys: Mapping[str, DataKey],
) -> Resolution:
    customer_id = made.get(settled, settled)
    created = customer_id in used
    key = used[customer_id] if created else keys[customer_id]
    return Resolution(customer_id, key, created, register.people[settled].restricted)


__all__ = ["Resolution", "Resolver"]
