"""An event as it is stored, and back. Pure. The form is described in docs/formats/events.md and may only be added to.

What a plan lets stand in clear stands under `clear`; everything else is sealed under the person's key, in one group for
each data category. What nobody classified (the SDK's context, an unplanned name) is sealed as unclassified, and the
ids that were sent as what they are.
"""

import binascii
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from customers.collection.checking import Checked, CompiledPlan, Outcome
from customers.collection.commerce import STEPS
from customers.collection.event_store import EVENTS, Document
from customers.collection.events import Event, EventType
from customers.collection.plans import UNCLASSIFIED
from customers.collection.traits import Said, category_of, said
from customers.identity.model import Identifier
from customers.profiles.reader import SCHEMA_VERSION
from policies import Catalogue, Purpose
from vault import DataKey

IDS: Final = "user.unique_id"
_ID_CHARACTERS: Final = 22
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_LEAST, _MOST = -(2**63), 2**63 - 1
CONSENT_EVENT: Final = "Segment Consent Preference Updated"


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """An event of a batch, understood and held against its plan.

    Attributes:
        place: Its place in the batch, from 0.
        id: What it is stored under.
        event: What was sent.
        checked: What becomes of each of its values.
        context: What may be kept of its context.
        identifiers: Whose it is.
        previous: Who that was before, of `alias`.
        purposes: What its person allowed when it happened, as far as it says.
        opted_out: Whether it came with a signal that says no to sharing (Global Privacy Control).
        said: What it says of its person, of `identify`.
    """

    place: int
    id: str
    event: Event
    checked: Checked
    context: Mapping[str, Any]
    identifiers: tuple[Identifier, ...]
    previous: tuple[Identifier, ...]
    purposes: tuple[str, ...]
    opted_out: bool
    said: Said | None


class Happened(msgspec.Struct, frozen=True, gc=False):
    """What a profile must hear of an event. Of one that is only counted, its values are not told.

    Attributes:
        id: The event's.
        customer_id: Whose it is.
        source: Which source said so.
        type: Which call it was.
        name: Of `track`.
        at: When it happened.
        values: The properties that are kept of it; of `identify`, the traits.
        categories: The data category of each of them.
        context: What is kept of its context.
        said: What it says of its person, of `identify`.
        quarantined: Whether it was put aside: it changes nothing until somebody has looked.
    """

    id: str
    customer_id: str
    source: str
    type: EventType
    name: str | None
    at: datetime
    values: Mapping[str, Any]
    categories: Mapping[str, str]
    context: Mapping[str, Any]
    said: Said | None
    quarantined: bool


def event_id(digest: bytes) -> str:
    """The id of an event: 22 characters for the 16 bytes that its source and message id come to."""
    return "evt_" + binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE)[:_ID_CHARACTERS].decode()


def happened(prepared: Prepared, source: str, customer_id: str) -> Happened:
    """What the profile must hear of an event that was just stored."""
    event, checked = prepared.event, prepared.checked
    values: dict[str, Any] = {}
    categories: dict[str, str] = {}
    if prepared.said is not None or is_heard_by_name(event.type, event.name):
        values |= checked.clear
        for category, names in checked.classes:
            categories |= dict.fromkeys(names, category)
        for category, held in checked.sealed.items():
            values |= held
            categories |= dict.fromkeys(held, category)
    return Happened(
        id=prepared.id,
        customer_id=customer_id,
        source=source,
        type=event.type,
        name=event.name,
        at=event.at,
        values=values,
        categories=categories,
        context=prepared.context,
        said=prepared.said,
        quarantined=checked.outcome is Outcome.QUARANTINED,
    )


def is_heard_by_name(kind: EventType, name: str | None) -> bool:
    """Whether an event of this name says something to its profile: a step of an order, a choice."""
    return kind is EventType.TRACK and (name in STEPS or name == CONSENT_EVENT)


def event_document(
    prepared: Prepared, source: str, plan: CompiledPlan, catalogue: Catalogue, customer_id: str, key: DataKey
) -> Document:
    """The event as it is stored."""
    event, checked = prepared.event, prepared.checked
    groups = _groups(prepared, catalogue)
    sealed = key.seal_json(EVENTS, prepared.id, groups, SCHEMA_VERSION)
    document: Document = {
        "_id": prepared.id,
        "customer_id": customer_id,
        "at": event.at,
        "received_at": event.received_at,
        "source": source,
        "type": str(event.type),
        "purposes": list(prepared.purposes),
        "sealed": {category.replace(".", "/"): envelope for category, envelope in sealed.items()},
        "schema": SCHEMA_VERSION,
    }
    if checked.name_clear and event.name is not None:
        document["name"] = event.name
    if plan.label is not None:
        document["plan"] = plan.label
    if checked.clear:
        document["clear"] = checked.clear
        document["classes"] = checked.classes
    if event.clock_doubtful:
        document["clock_doubtful"] = True
    if prepared.opted_out:
        document["opted_out"] = True
    if checked.outcome is Outcome.QUARANTINED:
        document["quarantined"] = True
    return document


def _groups(prepared: Prepared, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """What is sealed under each category: properties or traits, the context, the name, the ids."""
    event, checked = prepared.event, prepared.checked
    groups: dict[str, dict[str, Any]] = {}
    kind = event.type
    part = "traits" if kind is EventType.IDENTIFY or kind is EventType.GROUP else "properties"
    for category, held in checked.sealed.items():
        if category == UNCLASSIFIED and kind is EventType.IDENTIFY:
            for name, value in held.items():
                _seal(groups, category_of(name, catalogue) or UNCLASSIFIED, part, name, value)
        else:
            groups[category] = {part: held}
    if prepared.context:
        groups.setdefault(UNCLASSIFIED, {})["context"] = prepared.context
    if event.name is not None and not checked.name_clear:
        groups.setdefault(UNCLASSIFIED, {})["name"] = event.name
    sent: dict[str, str] = {}
    if event.user_id is not None:
        sent["user_id"] = event.user_id
    if event.anonymous_id is not None:
        sent["anonymous_id"] = event.anonymous_id
    if event.previous_id is not None:
        sent["previous_id"] = event.previous_id
    if event.group_id is not None:
        sent["group_id"] = event.group_id
    groups.setdefault(IDS, {})["ids"] = sent
    return groups


def _seal(groups: dict[str, dict[str, Any]], category: str, part: str, name: str, value: Any) -> None:
    groups.setdefault(category, {}).setdefault(part, {})[name] = value


def path_of(part: str, category: str) -> str:
    """How records and explanations name values of a category, such as `event.properties:user.contact.email`."""
    return f"{part}:{category}"


def stored_name(category: str) -> str:
    """A category as the name of a stored field, in which a database lets no dot stand."""
    return category.replace(".", "/")


def opened(document: Mapping[str, Any], key: DataKey, categories: Iterable[str] | None = None) -> dict[str, Any]:
    """The sealed parts of an event by category, all of them or those of some categories.

    Raises:
        vault.EnvelopeError: One is not what was sealed in this place.
    """
    sealed: Mapping[str, bytes] = document.get("sealed") or {}
    wanted = {name.replace("/", ".") for name in sealed} if categories is None else categories
    return {
        category: key.open(sealed[stored_name(category)], EVENTS, document["_id"], category, SCHEMA_VERSION)
        for category in wanted
        if stored_name(category) in sealed
    }


def heard(document: Mapping[str, Any], key: DataKey) -> Happened:
    """What the profile must hear of an event, read back from its document.

    Raises:
        vault.EnvelopeError: A group of it is not what was sealed in this place.
    """
    values: dict[str, Any] = dict(document.get("clear") or {})
    categories = {each: category for category, names in document.get("classes") or () for each in names}
    context: Mapping[str, Any] = {}
    name = document.get("name")
    for category, parts in opened(document, key).items():
        held = parts.get("properties") or parts.get("traits") or {}
        values |= held
        categories |= dict.fromkeys(held, category)
        context = parts.get("context") or context
        name = parts.get("name") or name
    return Happened(
        id=document["_id"],
        customer_id=document["customer_id"],
        source=document["source"],
        type=EventType(document["type"]),
        name=name,
        at=document["at"],
        values=values,
        categories=categories,
        context=context,
        said=said(values, document["received_at"]) if document["type"] == EventType.IDENTIFY else None,
        quarantined=bool(document.get("quarantined")),
    )


def kept_context(context: Mapping[str, Any], *, encodable: bool) -> Mapping[str, Any]:
    """What is kept of a context: all that can be, but for traits, which are the person's and not the call's.

    Args:
        context: As it was sent.
        encodable: Whether all of it is known to be JSON, but for the size of its numbers.
    """
    kept = context
    if "traits" in context:
        kept = {name: value for name, value in context.items() if name != "traits"}
    if encodable and _has_plain_numbers(kept):
        return kept
    return {name: value for name, value in kept.items() if is_storable(name) and is_storable(value)}


def _has_plain_numbers(value: Mapping[str, Any]) -> bool:
    """Whether no number inside is NaN, infinite or larger than a database holds."""
    waiting: list[Any] = [value]
    for each in waiting:  # which grows
        for part in each.values() if type(each) is dict else each:
            kind = type(part)
            if kind is str:
                continue
            if kind is dict or kind is list:
                waiting.append(part)
            elif (kind is float and not math.isfinite(part)) or (kind is int and not _LEAST <= part <= _MOST):
                return False
    return True


def is_storable(value: Any) -> bool:
    """Whether a value out of JSON can be sealed and shown again: no NaN, no half characters, no giant numbers."""
    kind = type(value)
    if kind is str:
        return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)
    if kind is float:
        return math.isfinite(value)
    if kind is int:
        return bool(_LEAST <= value <= _MOST)
    if kind is dict:
        return all(is_storable(name) and is_storable(held) for name, held in value.items())
    if kind is list:
        return all(map(is_storable, value))
    return kind is bool or value is None


def preferences(context: Mapping[str, Any]) -> Mapping[str, bool]:
    """What a person chose, by the source's own category; nothing where the context does not say."""
    consent = context.get("consent")
    found = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, bool)}


def allowed_purposes(
    chosen: Mapping[str, bool], mapping: Mapping[str, str], purposes: Mapping[str, Purpose]
) -> tuple[str, ...]:
    """The purposes that these choices allow, with those below them; one that is refused refuses those below it too."""
    yes: set[str] = set()
    no: set[str] = set()
    for category, value in chosen.items():
        purpose = mapping.get(category)
        if purpose in purposes:
            (yes if value else no).update(name for name, each in purposes.items() if purpose in each.lineage)
    return tuple(sorted(yes - no))
