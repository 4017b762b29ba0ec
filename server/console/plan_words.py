"""Tracking plans and what was not as they say, in plain words. Text only, never markup."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from customers.collection.plans import EventRule, Mode, PlanVersion, PropertyRule, TrackingPlan
from policies import Catalogue
from server.console.words import plural

_LONGEST: Final = 200
_CALLS: Final[Mapping[str, str]] = {"$page": "Page viewed", "$screen": "Screen viewed", "$group": "Joined a group"}
MODES: Final[Mapping[Mode, str]] = {
    Mode.ALLOW: "kept, and sealed",
    Mode.OMIT: "left out; the rest is kept",
    Mode.BLOCK: "the whole event is refused",
    Mode.QUARANTINE: "the whole event is put aside, wholly sealed",
}
_MAY_HOLD: Final = "Have the sender leave it out, or classify the property as what it is."
# What a violation is called, and what to do about it.
VIOLATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "unplanned_event": (
        "An event that the plan does not name",
        "Add the event to the plan, or have the sender stop sending it.",
    ),
    "unplanned_property": (
        "A property that the plan does not name",
        "Add the property with its data category, or have the sender leave it out. Its name is not kept; its place is.",
    ),
    "invalid_property": (
        "A value that is not of the form the plan says",
        "Look at what the sender puts there; mend it, or widen the schema.",
    ),
    "missing_property": (
        "A required property is missing",
        "Have the sender send it always, or make it optional in the plan.",
    ),
    "email_in_clear": ("An e-mail address where the plan has clear values; it was sealed", _MAY_HOLD),
    "phone_in_clear": ("A phone number where the plan has clear values; it was sealed", _MAY_HOLD),
    "card_in_clear": (
        "A card number where the plan has clear values; it was sealed",
        "Stop the sender at once: card numbers must not be sent here.",
    ),
    "iban_in_clear": ("An account number where the plan has clear values; it was sealed", _MAY_HOLD),
    "national_id_in_clear": ("A national id where the plan has clear values; it was sealed", _MAY_HOLD),
    "not_an_object": ("Properties or traits that are no object; left out", "Have the sender send names with values."),
    "not_a_number": ("A number that is none (NaN, infinite); left out", "Mend the sum at the sender."),
    "number_too_large": ("A number of more than 64 bits; left out", "Have the sender send it as text."),
    "not_text": ("Text that is not Unicode; left out", "Have the sender encode it as UTF-8."),
    "not_json": ("A value that is no JSON; left out", "Have the sender send text, numbers, lists or objects."),
    "bad_name": (
        "A name that cannot be stored; left out",
        "Rename it: no dots, no $ in front, up to 128 characters.",
    ),
    "too_deep": ("Nested deeper than 16; not stored", "Have the sender flatten it."),
    "too_many": ("More than 1,000 names or 10,000 values; left out", "Have the sender send fewer."),
    "restricted": (
        "About somebody who restricted the use of their data; not collected",
        "Nothing: it is as they asked.",
    ),
    "not_allowed": (
        "The policy does not let sources write this; left out",
        "Have the sender leave it out, or change the policy's rules for the role collector.",
    ),
    "order_incomplete": ("An order without a total or a number", "Have the sender send order_id and total."),
    "order_unknown": ("About an order that nobody knows", "Have the sender send Order Completed first."),
    "order_currency": (
        "An order in another currency than the customer's sum",
        "Nothing, if it is right: the order is kept, the sum is not added to.",
    ),
    "not_a_batch": (
        "A batch without a list of events; what it held is not stored",
        'Have the sender send {"batch": [...]}.',
    ),
    "unknown_type": ("A call that there is not", "Use identify, track, page, screen, group or alias."),
    "no_id": ("An event about nobody: no user id and no anonymous id", "Have the sender always send one of them."),
    "no_name": ("A track without the name of its event", "Have the sender name it."),
    "no_previous_id": ("An alias without the id from before", "Have the sender send previousId."),
    "message_id_too_long": ("A messageId of more than 100 characters", "Have the sender shorten it."),
    "id_too_long": ("An id of more than 256 characters", "Have the sender shorten it."),
    "name_too_long": ("An event's name of more than 200 characters", "Have the sender shorten it."),
    "bad_field": ("A field of the call that is not of its form", "Look at the SDK's version, or at what fills it."),
    "too_large": ("An event of more than 32 KB; not stored", "Have the sender send less with it."),
    "other": ("More kinds in a day than are told apart", "Mend the others first; these are then told apart."),
}


@dataclass(frozen=True, slots=True)
class PropertyLine:
    """A property of an event, or a trait, as a row."""

    name: str
    label: str
    category: str
    category_label: str
    clear: bool
    required: bool
    form: str


@dataclass(frozen=True, slots=True)
class EventPart:
    """An event, or a part of one with very many properties; `traits` are those of a person."""

    name: str
    label: str
    description: str
    traits: bool
    continued: bool
    lines: tuple[PropertyLine, ...]


def violation_words(kind: str) -> tuple[str, str]:
    """What it is, and what to do."""
    return VIOLATIONS.get(kind, (kind.replace("_", " "), "Look at what the source sends."))


def event_words(name: str) -> str:
    """An event as a page names it."""
    return _CALLS.get(name, name)


def contents(plan: TrackingPlan) -> str:
    """What a plan has, in a few words."""
    rules = [rule for _, rule in plan.rules()]
    clear = sum(rule.clear for rule in rules)
    has = f"{plural(len(plan.events), 'event')}, {plural(len(plan.traits), 'trait')}"
    return f"{has}; {clear:,} of {plural(len(rules), 'value')} in clear"


def parts(found: PlanVersion, catalogue: Catalogue, first: int, most: int) -> tuple[list[EventPart], int | None]:
    """What a plan says, from one row on, about so many rows; and where the rest begins, None at the end.

    An event without properties takes a row too.
    """
    shown: list[EventPart] = []
    at = 0
    for name, event, traits in _everything(found.plan):
        properties = list(event.properties.items())
        size = max(1, len(properties))
        begin, end = max(0, first - at), max(0, min(size, first + most - at))
        if begin < end:
            lines = tuple(_line(*each, catalogue) for each in properties[begin:end])
            label, description = shortened(event.label), shortened(event.description)
            shown.append(EventPart(shortened(name), label, description, traits, begin > 0, lines))
        at += size
    return shown, first + most if at > first + most else None


def _everything(plan: TrackingPlan) -> Iterator[tuple[str, EventRule, bool]]:
    for name, event in plan.events.items():
        yield event_words(name), event, False
    if plan.traits:
        yield "Traits of a person", EventRule(properties=plan.traits), True


def _line(name: str, rule: PropertyRule, catalogue: Catalogue) -> PropertyLine:
    return PropertyLine(
        name=shortened(name),
        label=shortened(rule.label),
        category=rule.category,
        category_label=catalogue.categories.get(rule.category, "no longer a category: sealed as unclassified"),
        clear=rule.clear,
        required=rule.required,
        form=form_of(rule.schema),
    )


def form_of(schema: Mapping[str, Any]) -> str:
    """What values are like, in a few words: the most usual parts of JSON Schema, the rest as it stands."""
    if not schema:
        return "anything"
    rest = dict(schema)
    said = [_type(rest.pop("type"))] if "type" in rest else []
    if isinstance(rest.get("enum"), Sequence) and not isinstance(rest["enum"], str):
        said.append("one of " + ", ".join(map(str, rest.pop("enum"))))
    for name, words in (
        ("format", "{}"),
        ("minimum", "at least {}"),
        ("maximum", "at most {}"),
        ("minLength", "{} characters or more"),
        ("maxLength", "up to {} characters"),
    ):
        if name in rest:
            said.append(words.format(rest.pop(name)))
    if rest:
        said.append(json.dumps(rest, ensure_ascii=False))
    return shortened(", ".join(said))


def _type(given: Any) -> str:
    return " or ".join(map(str, given)) if isinstance(given, list | tuple) else str(given)


def shortened(text: str) -> str:
    """The text, or the beginning of a very long one."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


__all__ = [
    "MODES",
    "VIOLATIONS",
    "EventPart",
    "PropertyLine",
    "contents",
    "event_words",
    "form_of",
    "parts",
    "shortened",
    "violation_words",
]
