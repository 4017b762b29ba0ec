"""Tells one recipient one thing: the job's handler.

What is disclosed by that is in the access log before it leaves, each time that it is tried. It happens at least once: a
process that dies after the recipient took it, and before that is noted, has it told again, under the same id. The
receipt is kept once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec

from audit import AccessLog, Outcome
from audit import Kind as RecordKind
from customers.access import Access, Part
from customers.consent.model import Rights
from customers.disclosure import Disclosure
from customers.jobs import Job, JobFailedError, JobHopelessError, JobPostponedError, Retries
from customers.outgoing import AddressRefusedError, Answer, OutgoingClient, OutgoingError
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import Reader, circumstances_of
from customers.profiles.store import Collection, CustomerStore, Document
from customers.rights.recipients.deliveries import DELIVERIES, GROUP, VERSION, DeliveryStore
from customers.rights.recipients.message import SIGNATURE, asked_again, confirms, request_of
from customers.rights.recipients.model import (
    CHANGES,
    Delivery,
    KnownAs,
    NoticeKind,
    Receipt,
    Recipient,
    RecipientKind,
    State,
    path_of,
    unsealed,
    unsealed_parts,
)
from customers.rights.recipients.store import RecipientStore
from policies import Catalogue
from vault import DataKey, EnvelopeError, Vault

RETRIES: Final = Retries(most=20)
"""For about two days; then a person looks at it."""
_LONGEST_WAIT: Final = timedelta(hours=6)
# A change is made right after it was prepared, or never.
_MADE_WITHIN: Final = timedelta(minutes=10)
_LOOK_AGAIN: Final = timedelta(seconds=2)
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
_SECONDS_DIGITS: Final = 9


Proving = Callable[[str, bytes, str], bool]
"""Whether a signature (Base64) of OpenDSR is one of this certificate's, or key's (PEM), over these bytes."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is to be told, and the entry of the access log that says so."""

    person: tuple[KnownAs, ...]
    values: Mapping[str, Any]
    entry: str


class Deliverer:
    """Carries out deliveries.

    Args:
        recipients: Who is told.
        deliveries: What.
        customers: The profiles' documents.
        vault: The keys.
        log: The access log.
        client: The way out.
        catalogue: The fields there are.
        access: As whom recipients are told; the client is the recipient.
        proving: What checks signatures.
        now: The time.
    """

    def __init__(
        self,
        recipients: RecipientStore,
        deliveries: DeliveryStore,
        customers: CustomerStore,
        vault: Vault,
        log: AccessLog,
        client: OutgoingClient,
        catalogue: Callable[[], Catalogue],
        *,
        access: Callable[[], Access],
        proving: Proving,
        now: Callable[[], datetime],
    ) -> None:
        self._recipients = recipients
        self._deliveries = deliveries
        self._customers = customers
        self._vault = vault
        self._log = log
        self._client = client
        self._catalogue = catalogue
        self._access = access
        self._proving = proving
        self._now = now

    async def deliver(self, job: Job) -> None:
        """Tell a recipient, unless they were told.

        Raises:
            JobFailedError, JobHopelessError, JobPostponedError: They are not told now.
        """
        delivery = await self._deliveries.get(job.payload["delivery"])
        if delivery is None or delivery.state is not State.WAITING:
            return
        found = await self._recipients.get(delivery.recipient)
        if found is None or found[0].disabled:
            raise JobHopelessError("recipient_disabled")
        if delivery.give_up_at <= self._now():
            await self._deliveries.end(delivery.id, State.GIVEN_UP, self._now())
            return
        recipient, secret = found
        async with self._vault.reading():
            told = await self._prepared(delivery, recipient)
        if told is None:
            return
        request = request_of(recipient, secret, delivery, told.person, told.values, self._now())
        try:
            answer = await self._client.send(request, before=lambda: self._still(delivery))
            answer = await self._known(recipient, secret, delivery, answer)
        except AddressRefusedError:
            raise JobHopelessError("address_refused") from None
        except OutgoingError as error:
            raise JobFailedError(_word(error)) from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise JobFailedError(f"status_{answer.status}", self._wanted(answer))
        verified = self._verified(recipient, delivery, answer)
        receipt = Receipt(self._now(), answer.status, job.attempt, told.entry, verified)
        await self._deliveries.told(delivery.id, receipt, self._now())

    async def _known(self, recipient: Recipient, secret: str, delivery: Delivery, answer: Answer) -> Answer:
        """What an OpenDSR recipient says of a request that they may have been sent before, and refuse for that."""
        if recipient.kind is not RecipientKind.OPENDSR or answer.status not in _REFUSED:
            return answer
        found = await self._client.send(asked_again(recipient, secret, delivery))
        return found if found.status == HTTPStatus.OK and confirms(delivery, found.body) else answer

    def _verified(self, recipient: Recipient, delivery: Delivery, answer: Answer) -> bool | None:
        """Whether it is proven that an answer is the recipient's, and to this; without a certificate it is not.

        Raises:
            JobFailedError: It ought to be, and is not: nobody knows who took it.
        """
        if recipient.kind is not RecipientKind.OPENDSR:
            return None
        if recipient.certificate is None:
            return False
        signature = answer.headers.get(SIGNATURE, "")
        if not self._proving(recipient.certificate, answer.body, signature):
            raise JobFailedError("not_signed")
        if not confirms(delivery, answer.body):  # a good answer to something else
            raise JobFailedError("not_confirmed")
        return True

    async def _still(self, delivery: Delivery) -> None:
        """Right before it leaves: the key is still there, so nothing is told of somebody who was erased meanwhile."""
        if delivery.key is None:
            raise JobFailedError("changed")
        async with self._vault.reading():
            key = (await self._vault.keys([delivery.key])).get(delivery.key)
        if not isinstance(key, DataKey):
            raise JobFailedError("changed")

    async def _prepared(self, delivery: Delivery, recipient: Recipient) -> _Told | None:
        """What is told, recorded; None where nothing is."""
        key = None
        if delivery.key is not None and delivery.sealed is not None:
            key = (await self._vault.keys([delivery.key])).get(delivery.key)
        person = await self._opened(delivery, key)
        if not isinstance(key, DataKey) or not person:
            gone = State.GIVEN_UP if delivery.kind is NoticeKind.ERASURE else State.VOID
            await self._deliveries.end(delivery.id, gone, self._now())
            return None
        access = self._access()
        disclosure = Disclosure(
            replace(
                access.disclosure.request,
                caller=replace(access.caller, client=f"recipient:{recipient.name}"),
                # A record of an erasure names no person, and any other no delivery.
                case=delivery.id if delivery.kind is NoticeKind.ERASURE else None,
            ),
            access.grant,
            kind=RecordKind.EXPORT,
        )
        values: Mapping[str, Any] = {}
        if delivery.kind in CHANGES:
            documents = await self._standing(delivery)
            if documents is None:
                return None
            found = await self._shown(delivery, documents, access, disclosure)
            if found is None:
                await self._deliveries.end(delivery.id, State.VOID, self._now())
                return None
            values = found
        entry = await self._recorded(access, disclosure, [*map(path_of, {each.by for each in person}), *values])
        return _Told(person, values, entry)

    async def _recorded(self, access: Access, disclosure: Disclosure, paths: Sequence[str]) -> str:
        refused = [path for path in paths if not access.grant.export[path]]
        if refused:  # a policy of the house's own, under which nobody may tell recipients so much
            raise JobHopelessError("not_allowed")
        disclosure.add_fields(
            {path: (way.verdict, way.rule) for path in paths for way in access.grant.export[path].alternatives[:1]}
        )
        return str(await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED)))

    async def _opened(self, delivery: Delivery, key: object) -> tuple[KnownAs, ...]:
        """Whom it is about; of profiles that were merged then, those that still are."""
        if delivery.sealed is None or not isinstance(key, DataKey):
            return ()
        place = (DELIVERIES, delivery.id, GROUP, VERSION)
        try:
            values = key.open(delivery.sealed, *place)
            person, parts = list(unsealed(values)), unsealed_parts(values)
            if parts:
                keys = await self._vault.keys(list(parts))
                for each in await self._together(delivery, list(parts)):
                    if isinstance(mine := keys.get(each), DataKey):
                        person += unsealed(mine.open(parts[each], *place))
        except EnvelopeError:
            return ()
        return tuple(dict.fromkeys(person))

    async def _together(self, delivery: Delivery, parts: Sequence[str]) -> list[str]:
        """The profiles among these that are the same person as the one that was corrected."""
        whose = delivery.customer_id or ""
        found = {each["_id"]: each.get(MERGED_INTO) for each in await self._customers.find([whose, *parts])}
        now = {whose, found.get(whose)} - {None}
        return [each for each in parts if each in found and (each in now or found[each] in now)]

    async def _standing(self, delivery: Delivery) -> list[Document] | None:
        """The person's profiles as they are now, theirs first; None where what is to be told does not hold, or not yet."""
        documents = await self._customers.find([delivery.customer_id or ""])
        made = bool(documents) and documents[0]["version"] > (delivery.version or 0)
        if documents and MERGED_INTO in documents[0]:
            documents = await self._customers.find([documents[0][MERGED_INTO]])
        if documents and delivery.kind is not NoticeKind.RECTIFICATION:
            # Not only that it was made: whatever holds when it is told, the last to be told is what holds then.
            restricted = Rights.of_document(documents[0].get("rights") or {}).restricted
            made = made and restricted == (delivery.kind is NoticeKind.RESTRICTION)
        if documents and not made and self._now() - delivery.at < _MADE_WITHIN:
            raise JobPostponedError(self._now() + _LOOK_AGAIN)
        if not documents or not made:
            await self._deliveries.end(delivery.id, State.VOID, self._now())
            return None
        parts = documents[0].get(PARTS, ())
        return [*documents, *(await self._customers.find(list(parts)) if parts else ())]

    async def _shown(
        self, delivery: Delivery, documents: Sequence[Document], access: Access, disclosure: Disclosure
    ) -> Mapping[str, Any] | None:
        """What holds now of what was corrected, by path; whom it is about is noted. None of somebody who is erased."""
        keys = await self._vault.keys([each["_id"] for each in documents])
        held = [Part(key, each) for each in documents if isinstance(key := keys.get(each["_id"]), DataKey)]
        if not held or held[0].document is not documents[0]:
            return None
        own, *parts = held
        if delivery.kind is not NoticeKind.RECTIFICATION:
            disclosure.add_subject(own.key.audit_reference, (), [each.key.audit_reference for each in parts])
            return {}
        circumstances = circumstances_of(own.document, access.caller, access.grant, self._now())
        names = [path.removeprefix("profile.") for path in delivery.fields]
        reader = Reader(self._catalogue(), access.grant, "profile", names)
        shown = reader.reveal(own.document, own.key, circumstances, Collection.PROFILES, disclosure, parts)
        values = {f"profile.{name}": shown.get(name) for name in names}
        if any(isinstance(each, EnvelopeError) for each in values.values()):
            raise JobFailedError("unreadable")
        return {path: _plain(value) for path, value in values.items()}

    def _wanted(self, answer: Answer) -> timedelta:
        """How long the recipient wants us to wait; nobody is obeyed for longer than six hours."""
        asked = answer.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdigit() and len(asked) <= _SECONDS_DIGITS:
            return min(timedelta(seconds=int(asked)), _LONGEST_WAIT)
        try:
            return min(max(parsedate_to_datetime(asked) - self._now(), timedelta(0)), _LONGEST_WAIT)
        except (ValueError, TypeError, OverflowError):
            return timedelta(0)


def _word(error: OutgoingError) -> str:
    """Why nothing came of it, as a word that may be kept."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")


def _plain(value: Any) -> Any:
    """A value as JSON has it; an amount as its decimal digits."""
    return json.loads(msgspec.json.encode(value))
