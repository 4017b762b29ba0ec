"""An event against its plan: what may be stored in clear, what is sealed under which category, what is left out. Pure.

A plan is compiled once. An event that is as its plan says costs one call of the validator, a walk over its properties,
and the detector on texts that are to be clear.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from customers.collection.compiled_rules import CompiledProperty, CompiledRule
from customers.collection.detector import Kind, find_in, is_short
from customers.collection.events import EventType
from customers.collection.plan_file import LONGEST_PROPERTY, is_property_name
from customers.collection.plans import (
    UNCLASSIFIED,
    EventRule,
    Mode,
    Modes,
    PlanStore,
    PropertyRule,
    TrackingPlan,
)
from customers.collection.storable import DEEPEST, LARGEST, LEAST, MOST_NAMES, Size, fault_of
from customers.collection.traits import RESERVED, category_of
from customers.collection.violations import UNPLANNED, Violation, ViolationKind
from policies import Catalogue

MOST_VIOLATIONS: Final = 50
RESERVED_EVENTS: Final = frozenset({"Segment Consent Preference Updated"})
"""Events of the protocol itself: a plan cannot keep somebody's choice from being stored."""

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


class Outcome(StrEnum):
    """What becomes of an event."""

    STORED = "stored"
    # Left out as the plan says; the sender need not know.
    OMITTED = "omitted"
    # Refused, and told to be.
    BLOCKED = "blocked"
    # Put aside with everything in it sealed.
    QUARANTINED = "quarantined"


class Checked(msgspec.Struct, frozen=True, gc=False):
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
        self._rules: dict[tuple[str, str], CompiledRule] = {}
        # What says who somebody is: no plan leaves it out by not thinking of it.
        reserved = {name: category_of(name, catalogue) or UNCLASSIFIED for name in RESERVED}
        self._reserved = {
            name: PropertyRule(category if category in known else UNCLASSIFIED) for name, category in reserved.items()
        }

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
        if rule is not None and self._modes.unplanned_property is Mode.ALLOW and type(properties) is dict:
            found = _as_planned(rule, properties)
            if found is not None:
                return found
        label = rule.label if rule else UNPLANNED if kind == EventType.TRACK else str(kind)
        check = _Check(label, self._categories)
        kept = check.storable(properties, rule.properties if rule else {})
        if rule is None:
            return self._unplanned(kind, name, kept, check)
        valid, mode = rule.holds(kept), self._modes.unplanned_property
        if not valid:
            check.missing(rule, kept, self._modes.invalid_property)
        left_out = kept is not properties
        for place, each in enumerate(properties if left_out and kept else kept, start=1):
            if left_out and each not in kept:
                continue
            value, planned = kept[each], rule.properties.get(each)
            if planned is None:
                check.unplanned(each, value, rule.unplanned(place), mode)
            elif not (valid or planned.holds(value)):
                check.invalid(each, value, planned, self._modes.invalid_property)
            elif planned.clear:
                check.keep(each, value, planned)
            else:
                check.seal(planned.category, each, value)
        return check.checked(name_clear=rule.name_clear, rule=rule)

    def _rule(self, kind: str, name: str) -> CompiledRule | None:
        """What the plan says of an event, compiled when it first comes; a name that it does not know leaves nothing."""
        if self.plan is None:
            return None
        key = (kind, name if kind == EventType.TRACK else "")
        found = self._rules.get(key)
        if found is None and (event := self._planned(*key)) is not None:
            label = name if kind == EventType.TRACK else str(kind)
            found = self._rules[key] = CompiledRule(label, event, name_clear=kind == EventType.TRACK)
        return found

    def _planned(self, kind: str, name: str) -> EventRule | None:
        if self.plan is None:
            return None
        if kind == EventType.IDENTIFY:
            return EventRule(properties={**self._reserved, **self.plan.traits})
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


def _as_planned(  # noqa: C901 - one walk, without a call for each value: it is made of every event
    rule: CompiledRule, properties: dict[str, Any]
) -> Checked | None:
    """An event as nearly all are, in one walk: plain values, none of them wrong; None where more has to be looked at."""
    if len(properties) > MOST_VIOLATIONS:
        return None
    clear: dict[str, Any] = {}
    sealed: dict[str, dict[str, Any]] = {}
    violations: list[Violation] = []
    place = 0
    for name, value in properties.items():
        place += 1
        kind = type(value)
        if not (
            (kind is str and value.isascii())
            or kind is bool
            or value is None
            or (kind is float and math.isfinite(value))
            or (kind is int and LEAST <= value <= LARGEST)
        ):
            return None
        planned = rule.properties.get(name)
        if planned is None:
            if not (type(name) is str and len(name) <= LONGEST_PROPERTY and name.isidentifier()):
                return None
            violations.append(rule.unplanned(place))
            category = UNCLASSIFIED
        elif planned.types is not None and kind not in planned.types:
            return None
        elif not planned.clear:
            category = planned.category
        elif not planned.looked_at or is_short(value) or not find_in(value, planned.hints):
            clear[name] = value
            continue
        else:
            return None
        if category in sealed:
            sealed[category][name] = value
        else:
            sealed[category] = {name: value}
    if not all(name in properties for name in rule.required):
        return None
    classes = rule.classes(clear) if clear else []
    return Checked(Outcome.STORED, rule.name_clear, clear, sealed, tuple(violations), classes)


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
        size: Size | None = None
        for place, (name, value) in enumerate(properties.items(), start=1):
            kind = type(value)
            fault: ViolationKind | None = None
            if place > MOST_NAMES:
                fault = ViolationKind.TOO_MANY
            elif name not in planned and not (
                (type(name) is str and len(name) <= LONGEST_PROPERTY and name.isidentifier())
                or is_property_name(name)
            ):
                fault = ViolationKind.BAD_NAME
            elif not (
                (kind is str and value.isascii())
                or kind is bool
                or value is None
                or (kind is float and math.isfinite(value))
                or (kind is int and LEAST <= value <= LARGEST)
            ):
                size = size or Size(len(properties))
                fault = fault_of(value, DEEPEST, size)
            if fault is not None:
                left_out[name] = fault
                if name in planned:
                    self._violate(fault, name)
                else:
                    self._violate(fault, place=place)
        if not left_out:
            return properties
        return {name: value for name, value in properties.items() if name not in left_out}

    def keep(self, name: str, value: Any, planned: CompiledProperty) -> None:
        """Keep a valid property in clear, and sealed if it says who somebody is."""
        if planned.looked_at and not is_short(value) and (found := find_in(value, planned.hints)):
            self._violate(_IN_CLEAR[found], name)
            self.seal(self._categories[found], name, value)
        else:
            self.clear[name] = value

    def invalid(self, name: str, value: Any, planned: CompiledProperty, mode: Mode) -> None:
        """What is not as the plan says is never stored in clear: nobody knows what it is."""
        self._violate(ViolationKind.INVALID_PROPERTY, name)
        self._tighten(mode)
        if mode is not Mode.OMIT:
            self.seal(planned.category, name, value)

    def unplanned(self, name: str, value: Any, violation: Violation, mode: Mode) -> None:
        """What the plan does not name is sealed as unclassified."""
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(violation)
        if mode is Mode.OMIT:
            return
        if mode is not Mode.ALLOW:
            self._tighten(mode)
        self.seal(UNCLASSIFIED, name, value)

    def missing(self, rule: CompiledRule, kept: Mapping[str, Any], mode: Mode) -> None:
        """What should be there and is not."""
        for name in rule.required:
            if name not in kept:
                self._violate(ViolationKind.MISSING_PROPERTY, name)
                self._tighten(mode)

    def checked(self, *, name_clear: bool, rule: CompiledRule | None, omitted: bool = False) -> Checked:
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
