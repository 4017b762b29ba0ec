"""Prepares what recipients are to be told: before a person's key is destroyed, a profile corrected, or restricted.

What is prepared is durable before what it is about happens, so nothing that happens is told to nobody. What is prepared
and does not happen is found out when it is to be told (`delivering`), or here (`settle`), and told to nobody.

Of an erasure the message holds what the recipient knows the person by, which must outlive the person's key until they
took it. It is sealed under a key of its own, which is destroyed with the last delivery (`sweep`). Everything is named
after the erasure, so doing it twice is doing it once.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from customers.access import Part
from customers.identity.model import Identifier
from customers.jobs import JobStore, NewJob
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.made import identifiers_of
from customers.profiles.store import CustomerStore
from customers.rights.certificate import certificate_id
from customers.rights.recipients.deliveries import DELIVERIES, GROUP, VERSION, DeliveryStore
from customers.rights.recipients.model import (
    GIVEN_UP_AFTER,
    Delivery,
    KnownAs,
    NoticeKind,
    Recipient,
    State,
    known_as,
    sealable,
)
from customers.rights.recipients.reach import Member, Reach
from customers.rights.recipients.store import RecipientStore
from vault import CustomerKeyExistsError, DataKey, EnvelopeError, Erasure, Vault

JOB: Final = "recipient_delivery"
NOTICE_ID: Final = "ntc_"
_PREFIX: Final = "dlv_"
_DIGEST_BYTES: Final = 16
_ATTEMPTS: Final = 5

Destroy = Callable[[Sequence[str]], Awaitable[object]]
"""Destroys the keys of these ids, as those of customers are."""


class RecipientNotices:
    """Prepares deliveries, and destroys the keys of those that ended."""

    def __init__(
        self,
        recipients: RecipientStore,
        deliveries: DeliveryStore,
        jobs: JobStore,
        customers: CustomerStore,
        vault: Vault,
        reach: Reach,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._recipients = recipients
        self._deliveries = deliveries
        self._jobs = jobs
        self._customers = customers
        self._vault = vault
        self._reach = reach
        self._now = now

    # ---- erasure: called by its steps, each perhaps more than once

    def owns(self, key_id: str) -> bool:
        """Whether a key is that of a notice, and of no customer."""
        return key_id.startswith(NOTICE_ID)

    async def prepare(self, erasure: Erasure) -> None:
        """Seal what the recipients know this person by, before nobody can tell any more: at the step `DRAINED`."""
        active = await self._active()
        if not active or not erasure.reference:
            return
        async with self._vault.reading():
            own = await self._vault.last_look(erasure.customer_id)
            members = await self._members(erasure.customer_id, own)
            if own is None or not members or not (active := await self._reach.among(active, members)):
                return
            held = [each for member in members for each in _identifiers(member)]
            ids = [each.document["_id"] for each in members]
            key = await self._key(_notice_of(erasure))
            if key is None:  # it was told, and its key destroyed
                return
            made = [self._erased(erasure, each, key, known_as(each.known_by, ids, held)) for each in active]
        await self._deliveries.add(made)
        await self._deliveries.hold(key.customer_id, erasure.leaf, certificate_id(erasure), self._now())

    async def names(self, erasure: Erasure) -> tuple[str, ...]:
        """Who is told of an erasure, for its certificate."""
        found = await self._deliveries.of_certificate(certificate_id(erasure))
        return tuple(each.recipient for each in found if each.state is not State.NOT_KNOWN)

    async def release(self, erasure: Erasure) -> None:
        """It has happened: have the recipients told."""
        await self._release(_notice_of(erasure))

    async def _release(self, key_id: str) -> None:
        waiting = await self._deliveries.waiting_of(key_id)
        await self._jobs.add(job_of(each, self._now()) for each in waiting)
        await self._deliveries.release(key_id)

    # ---- what happens to somebody who stays: called right before it does, inside `Vault.reading`

    async def correcting(
        self, document: Mapping[str, Any], key: DataKey, parts: Sequence[Part], paths: Sequence[str]
    ) -> None:
        """A profile is about to be corrected: have those told who were given these fields.

        It names the person by what is known of them until now.
        """
        await self._changing(NoticeKind.RECTIFICATION, _members(document, key, parts), paths)

    async def restricting(
        self, document: Mapping[str, Any], key: DataKey, parts: Sequence[Part], *, restricted: bool
    ) -> None:
        """What may be done with a person's data is about to be restricted, or a restriction lifted: have them told."""
        kind = NoticeKind.RESTRICTION if restricted else NoticeKind.RESTRICTION_LIFTED
        await self._changing(kind, _members(document, key, parts), ())

    async def _changing(self, kind: NoticeKind, members: Sequence[Member], paths: Sequence[str]) -> None:
        told = {each: fields for each in await self._active() if (fields := each.tells(kind, paths)) is not None}
        concerned = await self._reach.among(list(told), members)
        made = [self._changed(kind, members, each, told[each]) for each in concerned]
        await self._deliveries.add(made)
        waiting = [each for each in made if each.state is State.WAITING]
        await self._jobs.add(job_of(each, self._now(), members[0].document["_id"]) for each in waiting)

    # ---- in the background

    async def settle(self) -> list[str]:
        """See to notices of erasures that do not go on, because databases were restored to different moments.

        Where the person's key is destroyed the recipients are told. Where it is not, the person is still there and
        nobody is; gives the ids of keys that are to be destroyed.
        """
        held = await self._deliveries.held()
        if not held:
            return []
        under_way = await self._vault.erasures_under_way()
        gone = []
        for key_id, leaf in held:
            if leaf in under_way:
                continue
            if self._vault.is_destroyed(leaf):
                await self._release(key_id)
            else:
                await self._deliveries.remove(key_id)
                gone.append(key_id)
        return gone

    async def sweep(self, destroy: Destroy) -> int:
        """Give up what is overdue, and destroy the keys of what has ended; give how many. Not inside `reading`."""
        now = self._now()
        overdue = await self._deliveries.overdue(now)
        for each in overdue:
            await self._deliveries.end(each, State.GIVEN_UP, now)
        await self._jobs.cancel([f"{JOB}:{each}" for each in overdue])
        ended = await self.settle()
        ended += [each for each in await self._deliveries.released() if not await self._deliveries.waiting_of(each)]
        if ended:
            await destroy(ended)
            await self._deliveries.drop(ended)
        await self._deliveries.prune(now)
        return len(ended)

    # ---- the parts

    async def _active(self) -> list[Recipient]:
        return [each for each in await self._recipients.all() if not each.disabled]

    async def _members(self, customer_id: str, own: DataKey | None) -> list[Member]:
        """The profile of a person, and those that were merged into it; a part of somebody is told of with them."""
        found = await self._customers.find([customer_id])
        if own is None or not found or MERGED_INTO in found[0]:
            return []
        names = list(found[0].get(PARTS, ()))
        parts = await self._customers.find(names) if names else []
        keys = await self._vault.keys(names) if names else {}
        others = [Member(each, key) for each in parts if isinstance(key := keys.get(each["_id"]), DataKey)]
        return [Member(found[0], own), *others]

    async def _key(self, key_id: str) -> DataKey | None:
        """The key of a notice, which is made where there is none; None once it is destroyed."""
        for _ in range(_ATTEMPTS):
            found = (await self._vault.keys([key_id])).get(key_id)
            if found is not None:
                return found if isinstance(found, DataKey) else None
            try:
                return (await self._vault.create_keys([key_id]))[key_id]
            except CustomerKeyExistsError:  # another process finishes the same erasure
                continue
        return None

    def _erased(self, erasure: Erasure, recipient: Recipient, key: DataKey, person: Sequence[KnownAs]) -> Delivery:
        name = self._named("erasure", erasure.reference, recipient.name)
        return self._delivery(
            name,
            recipient,
            NoticeKind.ERASURE,
            recipient.fields,
            key,
            person,
            certificate=certificate_id(erasure),
        )

    def _changed(
        self, kind: NoticeKind, members: Sequence[Member], recipient: Recipient, fields: Sequence[str]
    ) -> Delivery:
        """Each profile is named under its own key: by the time it is told they may be two persons, or one erased."""
        document, key = members[0].document, members[0].key
        version = document["version"]
        name = self._named(kind.value, document["_id"], str(version), recipient.name, *fields)
        own, *others = [known_as(recipient.known_by, [each.document["_id"]], _identifiers(each)) for each in members]
        parts = {
            each.document["_id"]: each.key.seal(DELIVERIES, name, GROUP, VERSION, sealable(known))
            for each, known in zip(members[1:], others, strict=True)
            if known
        }
        return self._delivery(
            name,
            recipient,
            kind,
            fields,
            key,
            own,
            parts,
            customer_id=document["_id"],
            version=version,
        )

    def _delivery(
        self,
        name: str,
        recipient: Recipient,
        kind: NoticeKind,
        fields: Sequence[str],
        key: DataKey,
        person: Sequence[KnownAs],
        parts: Mapping[str, bytes] | None = None,
        **whose: Any,
    ) -> Delivery:
        now, known = self._now(), bool(person or parts)
        return Delivery(
            id=name,
            recipient=recipient.name,
            kind=kind,
            state=State.WAITING if known else State.NOT_KNOWN,
            at=now,
            give_up_at=now + GIVEN_UP_AFTER,
            fields=tuple(fields),
            key=key.customer_id,
            sealed=key.seal(DELIVERIES, name, GROUP, VERSION, sealable(person, parts)) if known else None,
            **whose,
        )

    def _named(self, *parts: str) -> str:
        """An id that follows from these words, and tells nobody which they are."""
        digest = self._vault.digest("recipient_delivery", *parts)[:_DIGEST_BYTES]
        return _PREFIX + base64.b32encode(digest).decode().lower().rstrip("=")


def job_of(delivery: Delivery, now: datetime, *about: str) -> NewJob:
    """The job by which a delivery is made."""
    return NewJob(JOB, delivery.id, now, about=about, payload={"delivery": delivery.id})


def _notice_of(erasure: Erasure) -> str:
    return f"{NOTICE_ID}{erasure.reference}"


def _members(document: Mapping[str, Any], key: DataKey, parts: Sequence[Part]) -> list[Member]:
    return [Member(document, key), *(Member(each.document, each.key) for each in parts)]


def _identifiers(member: Member) -> tuple[Identifier, ...]:
    """What a profile is known by; one that is damaged is known by nothing."""
    try:
        return identifiers_of(member.document, member.key)
    except EnvelopeError:
        return ()
