"""What events change on their person's profile: traits and choices. Pure.

Every field remembers when, and by whom, it was said (`customers/profiles/provenance.py`). So events may come in any order
and any number of times: what was said last counts, be it by somebody else, and an older word changes nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from customers.collection.commerce import OrderStep as Happening
from customers.collection.commerce import order_change
from customers.collection.event_documents import CONSENT_EVENT, Happened, preferences, stored_name
from customers.collection.events import EventType
from customers.collection.violations import Violation, ViolationKind
from customers.consent.model import ConsentDecision, ConsentState, Rights, outdated
from customers.consent.store import shown
from customers.errors import InputInvalidError
from customers.identity.model import PRIMARY_FIELDS, Identifier, IdentifierType, primary
from customers.profiles.adding import OrderEffect, OrderStep
from customers.profiles.draft import checked
from customers.profiles.joined import OWN, VISITOR
from customers.profiles.made import identifier_fields, identifiers_of
from customers.profiles.provenance import TRAIT, UNCLASSIFIED, Origin, OriginKind, Provenance
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.sealing import groups_changed, provenance_of, seal_origins
from customers.profiles.store import Collection as Documents
from customers.profiles.store import Document
from customers.spelling import ORIGINAL, arriving
from policies import Catalogue, Grant, Purpose
from vault import DataKey, InvalidIdentifierError

CUSTOM: Final = "custom"
"""What the groups of classified traits begin with; after it comes their category."""
_MOST_TRAITS: Final = 500
_IDENTIFYING: Final = {"email": IdentifierType.EMAIL, "phone": IdentifierType.PHONE}
_EFFECTS: Final = {
    Happening.COMPLETED: OrderEffect.PLACED,
    Happening.UPDATED: OrderEffect.PLACED,
    Happening.REFUNDED: OrderEffect.REFUNDED,
    Happening.CANCELLED: OrderEffect.CANCELLED,
}


@dataclass(slots=True)
class Changed:
    """What an attempt changes of a profile document, and what was wrong."""

    setting: dict[str, Any] = field(default_factory=dict)
    removing: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)


class Traits:
    """What the traits of `identify` change of one profile."""

    def __init__(
        self,
        document: Document,
        key: DataKey,
        catalogue: Catalogue,
        grant: Grant,
        normalise: Callable[[str, str], str],
        now: datetime,
        webhooks: Collection[str] = (),
        unproven: Collection[str] = (),
    ) -> None:
        """The traits of one profile, before anything is heard.

        Args:
            document: The profile.
            key: Its customer's.
            catalogue: The fields there are.
            grant: What sources may write.
            normalise: Brings an address or number into its one spelling.
            now: The time.
            webhooks: The sources that are webhooks.
            unproven: The sources that anybody can send as; they fill what is empty, and change what they said.
        """
        self._document = document
        self._key = key
        self._catalogue = catalogue
        self._grant = grant
        self._normalise = normalise
        self._now = now
        self._webhooks = webhooks
        self._unproven = unproven
        self._known: Provenance = provenance_of(document, key)
        self._fields: dict[str, Any] = {}
        self._traits: dict[str, Any] = {}
        self._custom: dict[str, dict[str, Any]] = {}
        self._originals: dict[str, str | None] = {}
        self._first: dict[IdentifierType, tuple[str, Origin]] = {}
        self._found = Changed()

    def hear(self, event: Happened) -> None:
        """Take what one event says, where it is the latest word."""
        if event.said is None:
            return
        way = OriginKind.WEBHOOK if event.source in self._webhooks else OriginKind.EVENT
        origin = Origin(way, event.source, event.at, self._grant.purpose.basis)
        for name, value in event.said.fields.items():
            if self._grant.write[f"profile.{name}"] and self._heard(name, origin):
                self._fields[name] = value
                self._originals[name] = event.said.originals.get(ORIGINAL + name)
        for trait, kind in _IDENTIFYING.items():
            value = event.values.get(trait)
            if isinstance(value, str) and not self._known.later(trait, event.at) and self._believed(trait, origin):
                self._first[kind] = (value, origin)
        for name, value in event.said.traits.items():
            self._trait(origin, name, value, event.categories.get(name, UNCLASSIFIED))

    def _believed(self, name: str, origin: Origin) -> bool:
        """Whether who says this may say it of a field, whoever spoke last."""
        if origin.source not in self._unproven or not self._known.is_others(name, self._unproven):
            return True
        self._found.violations.append(Violation(ViolationKind.UNPROVEN, str(EventType.IDENTIFY)))
        return False

    def _heard(self, name: str, origin: Origin, category: str | None = None) -> bool:
        return self._believed(name, origin) and self._known.hear(name, origin, category)

    def changed(self) -> Changed:
        """What all of it changes."""
        self._spell()
        changes: dict[str, Any] = {**self._fields, **self._identifiers()}
        if self._traits and (traits := self._room_for()):
            changes["traits"] = traits
        found = self._found
        if changes:
            found.setting, found.removing = groups_changed(
                self._catalogue, self._key, self._document, changes, self._known
            )
        elif self._known.changed:
            seal_origins(self._key, self._document, self._known, found.setting, found.removing)
        for category, values in self._custom.items():
            held = {**self._opened(_group(category)).get("traits", {}), **values}
            kept = {name: value for name, value in held.items() if value is not None}
            self._seal(_group(category), {"traits": kept} if kept else {})
        return found

    def _spell(self) -> None:
        """Bring what was said into its usual spelling, and keep it as it came, for as long as it holds."""
        self._fields, kept = arriving(self._fields, country=self._document.get("country"))
        for name in self._fields:
            trait, place = ORIGINAL + name, TRAIT + ORIGINAL + name
            original = self._originals.get(name) or kept.get(trait)
            if original is None and not self._known.known(place):
                continue
            origin = self._known.get(name)
            if origin is not None and original is not None:
                self._known.put(place, origin)
                self._traits[trait] = original
            elif origin is not None:
                self._forget_original(name, origin)

    def _forget_original(self, name: str, origin: Origin) -> None:
        """Forget the value as it came that another has taken the place of."""
        if self._known.get(TRAIT + ORIGINAL + name) is not None:
            self._known.remove(TRAIT + ORIGINAL + name, origin)
            self._traits[ORIGINAL + name] = None

    def _trait(self, origin: Origin, name: str, value: Any, category: str) -> None:
        place = f"{TRAIT}{name}"
        # Whoever anybody can be leaves room for the others.
        most = _MOST_TRAITS // 2 if origin.source in self._unproven else _MOST_TRAITS
        if not self._known.known(place) and self._known.count(TRAIT) >= most:
            self._found.violations.append(Violation(ViolationKind.TOO_MANY, str(EventType.IDENTIFY)))
            return
        before = self._known.category(place)
        if not self._heard(place, origin, category):
            return
        if before != category:  # a plan has classified it since, or otherwise
            self._of(before)[name] = None
        self._of(category)[name] = value

    def _of(self, category: str) -> dict[str, Any]:
        return self._traits if category == UNCLASSIFIED else self._custom.setdefault(category, {})

    def _room_for(self) -> dict[str, Any]:
        """The unclassified traits, if they fit beside those that are there."""
        held = self._opened("unclassified").get("traits") or {}
        merged = {name: value for name, value in {**held, **self._traits}.items() if value is not None}
        try:
            checked({"traits": merged}, self._now)
        except InputInvalidError:
            self._found.violations.append(Violation(ViolationKind.TOO_MANY, str(EventType.IDENTIFY)))
            return {}
        return self._traits

    def _identifiers(self) -> dict[str, Any]:
        """The address and number that were said last stand first; that they are this person's was settled before."""
        if not self._first:
            return {}
        held = before = identifiers_of(self._document, self._key)
        for kind, (value, origin) in self._first.items():
            try:
                told = Identifier(kind, self._normalise(kind, value))
            except InvalidIdentifierError:
                continue
            if told not in held:
                continue
            self._known.hear(PRIMARY_FIELDS[kind], origin)
            if primary(held, kind) != told.value:
                self._forget_original(PRIMARY_FIELDS[kind], origin)
                held = (told, *(each for each in held if each != told))
        return identifier_fields(held) if held != before else {}

    def _opened(self, group: str) -> dict[str, Any]:
        envelope = (self._document.get("sealed") or {}).get(stored_name(group))
        if envelope is None:
            return {}
        return self._key.open(envelope, Documents.PROFILES, self._document["_id"], group, SCHEMA_VERSION)

    def _seal(self, group: str, values: Mapping[str, Any]) -> None:
        place = f"sealed.{stored_name(group)}"
        if values:
            self._found.setting[place] = self._key.seal(
                Documents.PROFILES, self._document["_id"], group, SCHEMA_VERSION, values
            )
        else:
            self._found.removing[place] = ""


def _group(category: str) -> str:
    return f"{CUSTOM}.{category}"


def decisions_of(
    event: Happened, mapping: Mapping[str, str], purposes: Mapping[str, Purpose]
) -> list[tuple[str, ConsentDecision]]:
    """What a person chose, each decision with a name of its own; nothing where the event is not about choices."""
    if event.type is not EventType.TRACK or event.name != CONSENT_EVENT or event.quarantined:
        return []
    found: dict[str, bool] = {}
    for category, value in preferences(event.context).items():
        purpose = mapping.get(category)
        if (
            purpose is not None and purpose in purposes
        ):  # of two categories for one purpose the one that allows less counts
            found[purpose] = found.get(purpose, True) and value
    return [
        (
            f"{event.id}:{purpose}",
            ConsentDecision(
                purpose,
                ConsentState.GRANTED if value else ConsentState.WITHDRAWN,
                event.at,
                f"source:{event.source}",
            ),
        )
        for purpose, value in found.items()
    ]


def provable(
    decisions: Sequence[tuple[str, ConsentDecision]], document: Document | None
) -> Sequence[tuple[str, ConsentDecision]]:
    """Those of a source that anybody can send as that count: anybody may say no, and a visitor yes for their own device.

    A consent must be demonstrable (GDPR Art. 7); what a page's key says of somebody identified, anybody may have said.
    """
    if document is not None and document.get("kind") == VISITOR:
        return decisions
    return [each for each in decisions if each[1].state is ConsentState.WITHDRAWN]


def consenting(
    document: Document, decisions: Sequence[ConsentDecision], purposes: Mapping[str, Purpose]
) -> dict[str, Any]:
    """What these decisions change of a profile; a decision older than one that stands changes nothing.

    They hold for the survivor of a merge, whoever is part of it, so they are noted among its own fields too.
    """
    changed = _decided(document, decisions, purposes)
    alone = _decided(document[OWN], decisions, purposes) if changed and OWN in document else {}
    return {**changed, **{f"{OWN}.{name}": value for name, value in alone.items()}}


def _decided(
    document: Mapping[str, Any], decisions: Sequence[ConsentDecision], purposes: Mapping[str, Purpose]
) -> dict[str, Any]:
    rights = Rights.of_document(document.get("rights") or {})
    standing: list[dict[str, Any]] = [dict(each) for each in document.get("consents", ())]
    changed = False
    for decision in decisions:
        if not outdated(decision, standing, purposes):
            rights = rights.after(decision, purposes, standing)
            standing = shown(standing, decision)
            changed = True
    return {"rights": rights.document(), "consents": standing} if changed else {}


def order_step(event: Happened, name_of: Callable[[str, str], str]) -> OrderStep | None:
    """What an event says of an order.

    Args:
        event: The event.
        name_of: Gives the id of the order that a source calls so.
    """
    if event.type is not EventType.TRACK or event.quarantined:
        return None
    change = order_change(event.name or "", event.values, event.at)
    if change is None:
        return None
    return OrderStep(
        token=event.id,
        order_id=name_of(event.source, change.number),
        effect=_EFFECTS[change.step],
        at=event.at,
        values=change.values,
        amount=change.amount,
    )
