"""A batch, event by event, before anybody is looked up: understood, named, held against the plan. No I/O."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from customers.collection.checking import CompiledPlan, Outcome
from customers.collection.event_documents import (
    Prepared,
    allowed_purposes,
    event_id,
    is_storable,
    kept_context,
    preferences,
)
from customers.collection.events import MAX_DEPTH, Event, EventType, RejectedError, Rejection, understood
from customers.collection.sources import Source
from customers.collection.traits import Said, said
from customers.collection.violations import Violation, ViolationKind
from customers.identity.model import Identifier, IdentifierType
from policies import Purpose
from vault import InvalidIdentifierError

MAX_EVENT_BYTES: Final = 32 * 1024
_BY_TRAIT: Final = {"email": IdentifierType.EMAIL, "phone": IdentifierType.PHONE}
_MESSAGE_ID_BYTES: Final = 15
_ENCODER: Final = msgspec.json.Encoder()


class Naming(Protocol):
    """What of the vault preparing takes: names for events, and the one spelling of identifiers."""

    def naming(self, *leading: str) -> Callable[[str], bytes]:
        """As `Vault.naming`."""

    def normalise(self, index: str, value: str) -> str:
        """As `Vault.normalise`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that is not stored, by its place in the batch (from 0) and why; never with a value."""

    place: int
    violation: Violation


@dataclass(slots=True)
class Batch:
    """What was made of a batch.

    Attributes:
        prepared: The events to store, each once.
        refused: Those that cannot be stored, or that the plan blocks.
        omitted: How many the plan leaves out, which nobody need know.
        repeated: How many came more than once in this very batch.
        violations: Everything that was wrong, refusals too.
    """

    prepared: list[Prepared] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    omitted: int = 0
    repeated: int = 0
    violations: list[Violation] = field(default_factory=list)

    def refuse(self, place: int, violation: Violation) -> None:
        """Note that an event is not stored."""
        self.refused.append(Refused(place, violation))
        self.violations.append(violation)


class Preparer:
    """Prepares the events of one batch of one source."""

    def __init__(
        self,
        source: Source,
        plan: CompiledPlan,
        naming: Naming,
        purposes: Mapping[str, Purpose],
        *,
        sent_at: datetime | None,
        received_at: datetime,
        gpc: bool,
        kind: EventType | None,
        random: Callable[[int], bytes],
    ) -> None:
        self.batch = Batch()
        self._source = source
        self._plan = plan
        self._naming = naming
        self._digest = naming.naming("event", source.name)
        self._purposes = purposes
        self._sent_at = sent_at
        self._received_at = received_at
        self._gpc = gpc
        self._kind = kind
        self._random = random
        self._seen: set[str] = set()
        # Few people do much: what their ids are in normal form is worked out once, and whoever has the same ones gets
        # the very same tuple.
        self._known: dict[tuple[str | None, str | None], tuple[tuple[Identifier, ...], bool, bool]] = {}
        # One SDK's events share a context; what it allows is worked out once.
        self._allowed: tuple[Mapping[str, bool], tuple[str, ...]] = ({}, ())

    def add(self, place: int, raw: Any) -> None:
        """Prepare one event; what is wrong with it is noted, and keeps no other one out."""
        batch = self.batch
        try:
            event, encodable = self._understood(raw)
            name = self._named(event.message_id)
            if name in self._seen:
                batch.repeated += 1
                return
            event, identifiers, previous = self._identified(event)
        except RejectedError as error:
            batch.refuse(place, Violation(error.rejection))
            return
        kind = event.type
        values = event.traits if kind is EventType.IDENTIFY or kind is EventType.GROUP else event.properties
        checked = self._plan.check(kind, event.name, values)
        batch.violations += checked.violations
        outcome = checked.outcome
        if outcome is Outcome.OMITTED:
            batch.omitted += 1
            return
        if outcome is Outcome.BLOCKED:
            batch.refused += [Refused(place, each) for each in checked.violations[:1]]
            return
        told: Said | None = None
        if kind is EventType.IDENTIFY and outcome is Outcome.STORED:
            kept = dict(checked.clear)
            for group in checked.sealed.values():
                kept |= group
            identifiers += self._told(kept)
            told = said(kept, self._received_at)
            for trait in told.problems:
                self._invalid(trait)
        self._seen.add(name)
        batch.prepared.append(
            Prepared(
                place=place,
                id=name,
                event=event,
                checked=checked,
                context=kept_context(event.context, encodable=encodable),
                identifiers=identifiers,
                previous=previous,
                purposes=() if self._gpc else self._allows(event.context),
                opted_out=self._gpc,
                said=told,
            )
        )

    def _understood(self, raw: Any) -> tuple[Event, bool]:
        """The event, and whether all of it is known to be encodable."""
        try:
            encoded = _ENCODER.encode(raw)
        except RecursionError:
            raise RejectedError(Rejection.TOO_DEEP) from None
        except (msgspec.MsgspecError, ValueError, TypeError):  # half a character; what holds it is left out below
            encoded = b""
        if len(encoded) > MAX_EVENT_BYTES:
            raise RejectedError(Rejection.TOO_LARGE)
        event = understood(
            raw,
            received_at=self._received_at,
            sent_at=self._sent_at,
            new_id=self._new_id,
            kind=self._kind,
            # What has so few braces, wherever they stand, is nested no deeper; anything else is looked through.
            shallow=bool(encoded) and encoded.count(b"{") + encoded.count(b"[") <= MAX_DEPTH,
        )
        if not encoded and not all(map(is_storable, (event.name, event.group_id, event.previous_id))):
            raise RejectedError(Rejection.BAD_FIELD)
        return event, bool(encoded)

    def _named(self, message_id: str) -> str:
        try:
            return event_id(self._digest(message_id))
        except ValueError:
            raise RejectedError(Rejection.BAD_FIELD) from None

    def _identified(self, event: Event) -> tuple[Event, tuple[Identifier, ...], tuple[Identifier, ...]]:
        """Whose event it is; an id that cannot be one is left out, and an event that is then nobody's is refused."""
        sent = event.user_id, event.anonymous_id
        known = self._known.get(sent)
        if known is None:
            user = self._identifier(IdentifierType.EXTERNAL_ID, self._external(event.user_id))
            anonymous = self._identifier(IdentifierType.ANONYMOUS_ID, event.anonymous_id)
            known = self._known[sent] = (*user, *anonymous), bool(user), bool(anonymous)
        mine, is_user, is_anonymous = known
        if not mine:
            raise RejectedError(Rejection.NO_ID)
        if (event.user_id and not is_user) or (event.anonymous_id and not is_anonymous):
            event = msgspec.structs.replace(
                event,
                user_id=event.user_id if is_user else None,
                anonymous_id=event.anonymous_id if is_anonymous else None,
            )
        if event.type is not EventType.ALIAS or event.previous_id is None:
            return event, mine, ()
        previous = (
            *self._identifier(IdentifierType.EXTERNAL_ID, self._external(event.previous_id)),
            *self._identifier(IdentifierType.ANONYMOUS_ID, event.previous_id),
        )
        if not previous:
            raise RejectedError(Rejection.NO_PREVIOUS_ID)
        return event, mine, previous

    def _external(self, value: str | None) -> str | None:
        return None if value is None else f"{self._source.id_system}:{value}"

    def _identifier(self, kind: IdentifierType, value: str | None) -> tuple[Identifier, ...]:
        if value is None:
            return ()
        try:
            return (Identifier(kind, self._naming.normalise(kind, value)),)
        except InvalidIdentifierError:
            return ()

    def _told(self, traits: Mapping[str, Any]) -> tuple[Identifier, ...]:
        """The addresses and numbers among these traits; what cannot be one is counted and stays in the event alone."""
        found: list[Identifier] = []
        for trait, kind in _BY_TRAIT.items():
            value = traits.get(trait)
            if value is None or value == "":
                continue
            identifier = self._identifier(kind, value) if isinstance(value, str) else ()
            found += identifier
            if not identifier:
                self._invalid(trait)
        return tuple(found)

    def _invalid(self, trait: str) -> None:
        self.batch.violations.append(Violation(ViolationKind.INVALID_PROPERTY, str(EventType.IDENTIFY), trait))

    def _allows(self, context: Mapping[str, Any]) -> tuple[str, ...]:
        chosen = preferences(context)
        if not chosen:
            return ()
        if chosen != self._allowed[0]:
            self._allowed = chosen, allowed_purposes(chosen, self._source.consent, self._purposes)
        return self._allowed[1]

    def _new_id(self) -> str:
        return base64.urlsafe_b64encode(self._random(_MESSAGE_ID_BYTES)).decode()
