"""Tracking plans: which events and traits are expected, of which shape, and of which data category each value is.

A plan has versions; a version never changes. What a plan does not name is sealed as unclassified, so a plan opens data
to those who need it, and never the other way round.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.collection.errors import PlanConflictError, PlanDeclassifiesError, PlanNotFoundError
from policies import Catalogue

UNCLASSIFIED: Final = "user.unclassified"
NEVER_CLEAR: Final = (
    "user.name",
    "user.contact",
    "user.government_id",
    "user.financial",
    "user.content",
    UNCLASSIFIED,
)
"""Categories whose values are never stored in clear, whatever a plan says; nor are those below them."""

_FRESH_SECONDS: Final = 1.0
_MOST_NAMES: Final = 1_000


class Mode(StrEnum):
    """What becomes of what a plan did not expect; each is counted as a violation."""

    # Kept, and sealed: an unplanned property as unclassified, an invalid one under its own category.
    ALLOW = "allow"
    # Left out; the rest is kept.
    OMIT = "omit"
    # The whole event is refused.
    BLOCK = "block"
    # The whole event is put aside, wholly sealed, until somebody has looked at the plan.
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Modes:
    """What becomes of an event that the plan does not name, of such a property, and of one that is not as it says."""

    unplanned_event: Mode = Mode.ALLOW
    unplanned_property: Mode = Mode.ALLOW
    invalid_property: Mode = Mode.ALLOW


@dataclass(frozen=True, slots=True)
class PropertyRule:
    """What a property or a trait is.

    Attributes:
        category: its data category, one of the catalogue's below `user`.
        schema: what its values are like, in JSON Schema; an empty one takes any.
        clear: whether its values are stored in clear, so that they can be filtered by and counted.
        required: whether an event without it is invalid.
        label: a few plain words that a customer understands.
    """

    category: str
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)
    clear: bool = False
    required: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class EventRule:
    """What an event is: its properties by name."""

    description: str = ""
    label: str = ""
    properties: Mapping[str, PropertyRule] = field(default_factory=dict, hash=False)

    @property
    def required(self) -> frozenset[str]:
        """The properties without which it is invalid."""
        return frozenset(name for name, rule in self.properties.items() if rule.required)


@dataclass(frozen=True, slots=True)
class TrackingPlan:
    """One version of a plan; 0 before it is put.

    Attributes:
        events: by the name that `track` sends; `$page`, `$screen` and `$group` are the calls of those names.
        traits: what `identify` says of a person.
        modes: what becomes of all else.
    """

    name: str
    version: int = 0
    description: str = ""
    events: Mapping[str, EventRule] = field(default_factory=dict, hash=False)
    traits: Mapping[str, PropertyRule] = field(default_factory=dict, hash=False)
    modes: Modes = Modes()

    def rules(self) -> Iterator[tuple[str, PropertyRule]]:
        """Every property and trait with its place, such as `events."Order Completed".total` or `traits.size`."""
        for name, event in self.events.items():
            for each, rule in event.properties.items():
                yield f"events.{json.dumps(name, ensure_ascii=False)}.{each}", rule
        for each, rule in self.traits.items():
            yield f"traits.{each}", rule


def may_be_clear(category: str, catalogue: Catalogue) -> bool:
    """Whether values of a category may be stored in clear at all.

    Never those of `NEVER_CLEAR`; nor those that the catalogue itself seals somewhere, for the same value may not be sealed
    in one place and open in another; nor a category that has such ones below it, which says too little.
    """
    sealed = {each.category for each in catalogue.fields.values() if each.sealed} | set(NEVER_CLEAR)
    clear = {each.category for each in catalogue.fields.values() if not each.sealed} - set(NEVER_CLEAR)
    above = category
    while above:
        if above in sealed:
            return False
        if above in clear and not any(category == never or category.startswith(never + ".") for never in NEVER_CLEAR):
            break
        above = above.rpartition(".")[0]
    return not any(each.startswith(category + ".") for each in sealed)


def as_document(plan: TrackingPlan) -> dict[str, Any]:
    """The plan as its file has it, without its version: read again it gives the same plan."""
    return {
        "name": plan.name,
        **({"description": plan.description} if plan.description else {}),
        "modes": {
            "unplanned_event": plan.modes.unplanned_event.value,
            "unplanned_property": plan.modes.unplanned_property.value,
            "invalid_property": plan.modes.invalid_property.value,
        },
        "events": {
            name: {
                **({"description": event.description} if event.description else {}),
                **({"label": event.label} if event.label else {}),
                "properties": {each: _rule_document(rule) for each, rule in event.properties.items()},
            }
            for name, event in plan.events.items()
        },
        "traits": {name: _rule_document(rule) for name, rule in plan.traits.items()},
    }


def _rule_document(rule: PropertyRule) -> dict[str, Any]:
    return {
        "category": rule.category,
        **({"schema": dict(rule.schema)} if rule.schema else {}),
        **({"clear": True} if rule.clear else {}),
        **({"required": True} if rule.required else {}),
        **({"label": rule.label} if rule.label else {}),
    }


def declassified(earlier: Iterable[TrackingPlan], plan: TrackingPlan) -> tuple[str, ...]:
    """What this plan stores in clear and the last version that had it sealed; `earlier` is the newest first.

    Leaving a property out for a version and putting it back in clear does not pass unseen.
    """
    known: dict[str, PropertyRule] = {}
    for each in earlier:
        for place, rule in each.rules():
            known.setdefault(place, rule)
    return tuple(place for place, rule in plan.rules() if rule.clear and place in known and not known[place].clear)


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A version as it was put: when, and by whom."""

    plan: TrackingPlan
    put_at: datetime
    put_by: str


class PlanStore:
    """The versions of all plans, in the main database; none is ever changed or removed.

    An attacker who can write here can have values stored in clear from then on; what is sealed already stays so.

    Args:
        database: The main one.
        catalogue: The categories there are. A category of a stored plan that is none of them any more, or may not be
            clear any more, counts as unclassified.
        now: The time.
        clock: Seconds that only grow, for what is kept in memory.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        catalogue: Catalogue,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plans = database["tracking_plans"]
        self._catalogue = catalogue
        self._now = now
        self._clock = clock
        self._kept: dict[str, tuple[float, TrackingPlan | None]] = {}

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._plans.create_index([("name", 1)])

    async def put(self, plan: TrackingPlan, *, by: str, declassify: bool = False) -> TrackingPlan:
        """Store the plan as the next version, and give it with its number; one that changes nothing is not stored again.

        Raises:
            PlanDeclassifiesError: It stores in clear what was sealed, and `declassify` is not set.
            PlanConflictError: Somebody else put a version at the same time.
        """
        earlier = [each.plan for each in await self.versions(plan.name)]
        if earlier and as_document(earlier[0]) == as_document(plan):
            return earlier[0]
        if not declassify and (paths := declassified(earlier, plan)):
            raise PlanDeclassifiesError(paths)
        found = replace(plan, version=earlier[0].version + 1 if earlier else 1)
        document = {
            "_id": f"{found.name}:{found.version}",
            "name": found.name,
            "version": found.version,
            "plan": json.dumps(as_document(found), ensure_ascii=False, separators=(",", ":")),
            "put_at": self._now(),
            "put_by": by,
        }
        try:
            await self._plans.insert_one(document)
        except DuplicateKeyError:
            raise PlanConflictError from None
        self._kept.pop(found.name, None)
        return found

    async def current(self, name: str) -> TrackingPlan | None:
        """The newest version, at most a second old; None when there is none of this name."""
        kept = self._kept.get(name)
        moment = self._clock()
        if kept is not None and moment - kept[0] < _FRESH_SECONDS:
            return kept[1]
        numbers = await self._plans.find({"name": name}, {"version": 1}).to_list(None)
        newest = max((int(each["version"]) for each in numbers), default=0)
        if kept is not None and (kept[1].version if kept[1] else 0) == newest:
            plan = kept[1]
        else:
            plan = (await self.version(name, newest)).plan if newest else None
        if len(self._kept) >= _MOST_NAMES:
            self._kept.clear()
        self._kept[name] = (moment, plan)
        return plan

    async def version(self, name: str, number: int) -> PlanVersion:
        """One version.

        Raises:
            PlanNotFoundError: There is none.
        """
        document = await self._plans.find_one({"_id": f"{name}:{number}"})
        if document is None:
            raise PlanNotFoundError
        return self._read(document)

    async def versions(self, name: str) -> Sequence[PlanVersion]:
        """Every version of a plan, the newest first; empty when there is none."""
        documents = await self._plans.find({"name": name}).to_list(None)
        return [self._read(each) for each in sorted(documents, key=lambda each: -int(each["version"]))]

    async def newest(self) -> Sequence[PlanVersion]:
        """The newest version of every plan, by name."""
        numbers = await self._plans.find({}, {"name": 1, "version": 1}).to_list(None)
        newest: dict[str, int] = {}
        for each in numbers:
            newest[each["name"]] = max(newest.get(each["name"], 0), int(each["version"]))
        return [await self.version(name, number) for name, number in sorted(newest.items())]

    def _read(self, document: Mapping[str, Any]) -> PlanVersion:
        from customers.collection.plan_file import stored_plan  # noqa: PLC0415 - that module is made of this one's types

        plan = stored_plan(json.loads(document["plan"]), self._catalogue)
        return PlanVersion(replace(plan, version=int(document["version"])), document["put_at"], document["put_by"])
