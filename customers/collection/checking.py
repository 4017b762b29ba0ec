"""An event against its plan: what may be stored in clear, what is sealed under which category, what is left out. Pure.

A plan is compiled once. An event that is as its plan says costs one call of the validator, a walk over its properties,
and the detector on texts that are to be clear.
"""

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from customers.collection.detector import Hints, Kind, find_in, hints_of, is_short
from customers.collection.events import EventType
from customers.collection.plan_file import LONGEST_PROPERTY, is_property_name
from customers.collection.plan_schemas import Validator, compiled, refers
from customers.collection.plans import (
    UNCLASSIFIED,
    EventRule,
    Mode,
    Modes,
    PlanStore,
    PropertyRule,
    TrackingPlan,
)
from customers.collection.violations import LAST_PLACE, UNPLANNED, Violation, ViolationKind
from policies import Catalogue

DEEPEST: Final = 16
MOST_NAMES: Final = 1_000
MOST_VALUES: Final = 10_000
MOST_VIOLATIONS: Final = 50
RESERVED_EVENTS: Final = frozenset({"Segment Consent Preference Updated"})
"""Events of the protocol itself: a plan cannot keep somebody's choice from being stored."""

_LEAST, _LARGEST = -(2**63), 2**63 - 1
_CATEGORY: Final[Mapping[Kind, str]] = {
    Kind.NATIONAL_ID: "user.government_id.national_identification_number",
    Kind.CARD: "user.financial.credit_card",
    Kind.IBAN: "user.financial",
    Kind.PHONE: "user.contact.phone_number",
    Kind.EMAIL: "user.contact.email",
}
_IN_CLEAR: Final[Mapping[Kind, ViolationKind]] = {
    Kind.NATIONAL_ID: ViolationKind.NATIONAL_ID_IN_CLEAR,
    Kind.CARD: ViolationKind.CARD_IN_CLEAR,
    Kind.IBAN: ViolationKind.IBAN_IN_CLEAR,
    Kind.PHONE: ViolationKind.PHONE_IN_CLEAR,
    Kind.EMAIL: ViolationKind.EMAIL_IN_CLEAR,
}
# Formats, once a text is valid, in which nothing is left to find.
_PLAIN_FORMATS = frozenset({"date", "date-time", "time", "duration", "uuid", "ipv4"})
# What values may be that are valid by their type alone; a whole number may come as a float too, so that one is asked about.
_TYPES: Final[Mapping[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "number": frozenset({int, float}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
    "object": frozenset({dict}),
    "array": frozenset({list}),
    "null": frozenset({type(None)}),
}
_SAYS_NO_MORE: Final = frozenset({"type", "title", "description", "examples", "default", "deprecated", "$comment"})
_MOST_CLASSES: Final = 256


class Outcome(StrEnum):
    """What becomes of an event."""

    STORED = "stored"
    # Left out as the plan says; the sender need not know.
    OMITTED = "omitted"
    # Refused, and told to be.
    BLOCKED = "blocked"
    # Put aside with everything in it sealed.
    QUARANTINED = "quarantined"


class Checked(msgspec.Struct, frozen=True):
    """What becomes of an event and of each of its properties.

    Attributes:
        outcome: of the whole; unless it is stored or put aside, `clear` and `sealed` are empty.
        name_clear: whether its name is the plan's, so that it says nothing about the person.
        clear: properties that are stored in clear: classified so, valid, and without anybody's address or number.
        sealed: category → the properties that are sealed under it.
        violations: what was wrong, at most fifty.
        classes: a list of category and names of the properties of `clear`; shared, so never changed.
    """

    outcome: Outcome
    name_clear: bool
    clear: dict[str, Any]
    sealed: dict[str, dict[str, Any]]
    violations: tuple[Violation, ...]
    classes: list[list[Any]]


class _Property:
    """A property, compiled."""

    __slots__ = ("_schema", "_validator", "category", "clear", "hints", "looked_at", "types")

    def __init__(self, name: str, rule: PropertyRule) -> None:
        self._schema = rule.schema
        self._validator: Validator | None = None
        self.category = rule.category
        self.clear = rule.clear
        self.looked_at = rule.clear and not _says_nothing(rule.schema)
        self.hints: Hints = hints_of(name)
        self.types = _types(rule.schema)

    def holds(self, value: Any) -> bool:
        """Whether a value is valid; compiled when first asked, which an event that is wholly valid never does."""
        if not self._schema:
            return True
        if self._validator is None:
            self._validator = compiled(self._schema)
        return self._validator.is_valid(value)


class _Rule:
    """An event, or the traits of a person, compiled."""

    __slots__ = ("_alone", "_classes", "_typed", "_unplanned", "_whole", "label", "name_clear", "properties", "required")

    def __init__(self, label: str, event: EventRule, *, name_clear: bool) -> None:
        self.label = label
        self.name_clear = name_clear
        self.properties = {name: _Property(name, rule) for name, rule in event.properties.items()}
        self.required = tuple(sorted(event.required))
        schemas = {name: rule.schema for name, rule in event.properties.items() if rule.schema}
        # Those that refer to their own definitions mean something only by themselves.
        self._alone = tuple(name for name, schema in schemas.items() if refers(schema))
        together = {name: dict(schema) for name, schema in schemas.items() if name not in self._alone}
        self._whole = compiled({"properties": together, "required": list(self.required)})
        typed = {name: each.types for name, each in self.properties.items() if event.properties[name].schema}
        self._typed = None if None in typed.values() else {name: types or frozenset() for name, types in typed.items()}
        self._unplanned: dict[int, Violation] = {}
        self._classes: dict[tuple[str, ...], list[list[Any]]] = {}

    def holds(self, properties: Mapping[str, Any]) -> bool:
        """Whether everything that is planned is there and valid."""
        if self._typed is not None:  # no call of the validator where types say enough
            for name, types in self._typed.items():
                if name in properties and type(properties[name]) not in types:
                    break
            else:
                return all(name in properties for name in self.required)
        return self._whole.is_valid(properties) and all(
            self.properties[name].holds(properties[name]) for name in self._alone if name in properties
        )

    def unplanned(self, place: int) -> Violation:
        """The violation that something unplanned at this place is; the same one for every event."""
        found = self._unplanned.get(place)
        if found is None:
            found = Violation(ViolationKind.UNPLANNED_PROPERTY, self.label, "", place)
            if place <= LAST_PLACE:
                self._unplanned[place] = found
        return found

    def classes(self, clear: Iterable[str]) -> list[list[Any]]:
        """The data category of each of these planned properties, by category: who reads an event needs no plan to know."""
        names = tuple(clear)
        known = self._classes.get(names)
        if known is None:
            found: dict[str, list[str]] = {}
            for name in names:
                found.setdefault(self.properties[name].category, []).append(name)
            known = [[category, held] for category, held in found.items()]
            if len(self._classes) < _MOST_CLASSES:
                self._classes[names] = known
        return known


class CompiledPlan:
    """A plan, ready to check events; without one, everything is allowed and sealed as unclassified.

    Attributes:
        plan: the plan; None for none.
        label: its name and version, as events say by which they were checked.
    """

    def __init__(self, plan: TrackingPlan | None, catalogue: Catalogue) -> None:
        self.plan = plan
        self.label = f"{plan.name}:{plan.version}" if plan else None
        self._modes = plan.modes if plan else Modes()
        known = catalogue.categories
        self._categories = {kind: name if name in known else UNCLASSIFIED for kind, name in _CATEGORY.items()}
        self._rules: dict[tuple[str, str], _Rule] = {}

    @property
    def version(self) -> int | None:
        """The version of the plan; None without one."""
        return self.plan.version if self.plan else None

    def check(self, kind: str, name: str | None, properties: Any) -> Checked:
        """What becomes of an event.

        Args:
            kind: which call it is: one of `EventType`.
            name: what `track` names; the names of pages and screens are never known to a plan.
            properties: as they were sent; the traits of `identify` and `group`.
        """
        rule = self._rule(kind, name or "")
        label = rule.label if rule else UNPLANNED if kind == EventType.TRACK else str(kind)
        check = _Check(label, self._categories)
        kept = check.storable(properties, rule.properties if rule else {})
        if rule is None:
            return self._unplanned(kind, name, kept, check)
        valid = rule.holds(kept)
        if not valid:
            check.missing(rule, kept, self._modes.invalid_property)
        left_out = kept is not properties
        for place, each in enumerate(properties if left_out and kept else kept, start=1):
            if left_out and each not in kept:
                continue
            value, planned = kept[each], rule.properties.get(each)
            if planned is None:
                check.unplanned(each, value, rule.unplanned(place), self._modes.unplanned_property)
            elif not (valid or planned.holds(value)):
                check.invalid(each, value, planned, self._modes.invalid_property)
            elif planned.clear:
                check.keep(each, value, planned)
            else:
                check.seal(planned.category, each, value)
        return check.checked(name_clear=rule.name_clear, rule=rule)

    def _rule(self, kind: str, name: str) -> _Rule | None:
        """What the plan says of an event, compiled when it first comes; a name that it does not know leaves nothing."""
        if self.plan is None:
            return None
        key = (kind, name if kind == EventType.TRACK else "")
        found = self._rules.get(key)
        if found is None and (event := self._planned(*key)) is not None:
            label = name if kind == EventType.TRACK else str(kind)
            found = self._rules[key] = _Rule(label, event, name_clear=kind == EventType.TRACK)
        return found

    def _planned(self, kind: str, name: str) -> EventRule | None:
        if self.plan is None:
            return None
        if kind == EventType.IDENTIFY:
            return EventRule(properties=self.plan.traits)
        if kind == EventType.TRACK:
            return None if name[:1] == "$" else self.plan.events.get(name)
        return self.plan.events.get(f"${kind}")

    def _unplanned(self, kind: str, name: str | None, kept: dict[str, Any], check: "_Check") -> Checked:
        is_reserved = kind == EventType.TRACK and name in RESERVED_EVENTS
        if self.plan and not is_reserved and kind != EventType.ALIAS:
            check.violations.append(Violation(ViolationKind.UNPLANNED_EVENT, check.label))
            check.strictest = self._modes.unplanned_event
        if kept:
            check.sealed[UNCLASSIFIED] = kept
        omitted = check.strictest is Mode.OMIT
        return check.checked(name_clear=is_reserved, rule=None, omitted=omitted)


class _Check:
    """One event on its way through."""

    __slots__ = ("_categories", "clear", "label", "sealed", "strictest", "violations")

    def __init__(self, label: str, categories: Mapping[Kind, str]) -> None:
        self.label = label
        self._categories = categories
        self.clear: dict[str, Any] = {}
        self.sealed: dict[str, dict[str, Any]] = {}
        self.violations: list[Violation] = []
        self.strictest = Mode.ALLOW

    def storable(self, properties: Any, planned: Mapping[str, Any]) -> dict[str, Any]:
        """The properties that databases and envelopes can hold; the others are left out, and said to be."""
        if type(properties) is not dict:
            if properties is not None:
                self._violate(ViolationKind.NOT_AN_OBJECT)
            return {}
        left_out: dict[str, ViolationKind] = {}
        size: _Size | None = None
        for place, (name, value) in enumerate(properties.items(), start=1):
            kind = type(value)
            fault: ViolationKind | None = None
            if place > MOST_NAMES:
                fault = ViolationKind.TOO_MANY
            elif name not in planned and not _is_good_name(name):
                fault = ViolationKind.BAD_NAME
            elif not ((kind is str and value.isascii()) or kind is bool or (kind is float and math.isfinite(value))):
                size = size or _Size(len(properties))
                fault = _fault(value, DEEPEST, size)
            if fault is not None:
                left_out[name] = fault
                if name in planned:
                    self._violate(fault, name)
                else:
                    self._violate(fault, place=place)
        if not left_out:
            return properties
        return {name: value for name, value in properties.items() if name not in left_out}

    def keep(self, name: str, value: Any, planned: _Property) -> None:
        """Keep a valid property in clear, and sealed if it says who somebody is."""
        if planned.looked_at and not is_short(value) and (found := find_in(value, planned.hints)):
            self._violate(_IN_CLEAR[found], name)
            self.seal(self._categories[found], name, value)
        else:
            self.clear[name] = value

    def invalid(self, name: str, value: Any, planned: _Property, mode: Mode) -> None:
        """What is not as the plan says is never stored in clear: nobody knows what it is."""
        self._violate(ViolationKind.INVALID_PROPERTY, name)
        self._tighten(mode)
        if mode is not Mode.OMIT:
            self.seal(planned.category, name, value)

    def unplanned(self, name: str, value: Any, violation: Violation, mode: Mode) -> None:
        """What the plan does not name is sealed as unclassified."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(violation)
        if mode is not Mode.ALLOW:
            self._tighten(mode)
        if mode is not Mode.OMIT:
            self.seal(UNCLASSIFIED, name, value)

    def missing(self, rule: _Rule, kept: Mapping[str, Any], mode: Mode) -> None:
        """What should be there and is not."""
        for name in rule.required:
            if name not in kept:
                self._violate(ViolationKind.MISSING_PROPERTY, name)
                self._tighten(mode)

    def checked(self, *, name_clear: bool, rule: _Rule | None, omitted: bool = False) -> Checked:
        """The end of it."""
        outcome = Outcome.STORED
        if self.strictest is Mode.BLOCK or omitted:
            outcome = Outcome.OMITTED if omitted else Outcome.BLOCKED
            self.clear, self.sealed = {}, {}
        elif self.strictest is Mode.QUARANTINE:
            outcome = Outcome.QUARANTINED
            for name, value in self.clear.items():
                self.seal(rule.properties[name].category if rule else UNCLASSIFIED, name, value)
            self.clear = {}
        classes = rule.classes(self.clear) if rule and self.clear else []
        return Checked(outcome, name_clear, self.clear, self.sealed, tuple(self.violations), classes)

    def seal(self, category: str, name: str, value: Any) -> None:
        """Keep a property sealed."""
        group = self.sealed.get(category)
        if group is None:
            group = self.sealed[category] = {}
        group[name] = value

    def _violate(self, kind: ViolationKind, name: str = "", *, place: int = 0) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(kind, self.label, name, place))

    def _tighten(self, mode: Mode) -> None:
        # Leaving a property out is no matter of the whole event's.
        if mode is Mode.BLOCK or (mode is Mode.QUARANTINE and self.strictest is not Mode.BLOCK):
            self.strictest = mode


class CompiledPlans:
    """The plans of a store, each version compiled once."""

    def __init__(self, store: PlanStore, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue
        self._none = CompiledPlan(None, catalogue)
        self._compiled: dict[str, CompiledPlan] = {}

    async def current(self, name: str | None) -> CompiledPlan:
        """The plan of this name as it was at most a second ago; without one, everything is sealed as unclassified."""
        plan = await self._store.current(name) if name else None
        if plan is None:
            return self._none
        found = self._compiled.get(plan.name)
        if found is None or found.plan is not plan:
            found = self._compiled[plan.name] = CompiledPlan(plan, self._catalogue)
        return found


class _Size:
    """How much is in an event, while it is walked."""

    __slots__ = ("names", "values")

    def __init__(self, names: int) -> None:
        self.names = names
        self.values = 0


def _fault(value: Any, depth: int, size: _Size) -> ViolationKind | None:
    """Why a value cannot be stored, or None."""
    kind = type(value)
    if kind is str:
        return None if value.isascii() or _is_encodable(value) else ViolationKind.NOT_TEXT
    if kind is bool or value is None:
        return None
    if kind is int:
        return None if _LEAST <= value <= _LARGEST else ViolationKind.NUMBER_TOO_LARGE
    if kind is float:
        return None if math.isfinite(value) else ViolationKind.NOT_A_NUMBER
    if kind is dict or kind is list:
        return _fault_within(value, depth, size)
    return ViolationKind.NOT_JSON


def _fault_within(value: Any, depth: int, size: _Size) -> ViolationKind | None:
    if depth <= 0:
        return ViolationKind.TOO_DEEP
    size.values += len(value)
    if type(value) is dict:
        size.names += len(value)
        if not all(map(_is_good_name, value)):
            return ViolationKind.BAD_NAME
        value = value.values()
    if size.names > MOST_NAMES or size.values > MOST_VALUES:
        return ViolationKind.TOO_MANY
    for each in value:
        if type(each) is str and each.isascii():
            continue
        if (fault := _fault(each, depth - 1, size)) is not None:
            return fault
    return None


def _is_good_name(name: Any) -> bool:
    """`is_property_name`, quick for what most names are."""
    return (type(name) is str and len(name) <= LONGEST_PROPERTY and name.isidentifier()) or is_property_name(name)


def _is_encodable(text: str) -> bool:
    """Whether it is Unicode: half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _types(schema: Mapping[str, Any]) -> frozenset[type] | None:
    """The types whose values are valid whatever they are; None where a schema says more of a value than its type."""
    kind = schema.get("type")
    return _TYPES.get(kind) if isinstance(kind, str) and schema.keys() <= _SAYS_NO_MORE else None


def _says_nothing(schema: Mapping[str, Any]) -> bool:
    """Whether valid values are ones the plan itself lists, or of a form that holds nothing else."""
    if "enum" in schema or "const" in schema:
        return True
    kind = schema.get("type")
    return kind in ("boolean", "null") or (kind == "string" and schema.get("format") in _PLAIN_FORMATS)
