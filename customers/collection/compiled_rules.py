"""What a plan says of an event or of a person's traits, compiled once. Pure.

Most schemas say no more than a type, and a look at the value's own says whether it is that; all others are for the
validator.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from customers.collection.detector import Hints, hints_of
from customers.collection.plan_schemas import Validator, compiled, refers
from customers.collection.plans import EventRule, PropertyRule
from customers.collection.violations import LAST_PLACE, Violation, ViolationKind

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
_NONE: Final[frozenset[type]] = frozenset()
_MOST_CLASSES: Final = 256


class CompiledProperty:
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


class CompiledRule:
    """An event, or the traits of a person, compiled."""

    __slots__ = (
        "_alone",
        "_classes",
        "_unplanned",
        "_whole",
        "label",
        "name_clear",
        "properties",
        "required",
    )

    def __init__(self, label: str, event: EventRule, *, name_clear: bool) -> None:
        self.label = label
        self.name_clear = name_clear
        self.properties = {name: CompiledProperty(name, rule) for name, rule in event.properties.items()}
        self.required = tuple(sorted(event.required))
        schemas = {name: rule.schema for name, rule in event.properties.items() if rule.schema}
        # Those that refer to their own definitions mean something only by themselves.
        self._alone = tuple(name for name, schema in schemas.items() if refers(schema))
        together = {name: dict(schema) for name, schema in schemas.items() if name not in self._alone}
        self._whole = compiled({"properties": together, "required": list(self.required)})
        self._unplanned: dict[int, Violation] = {}
        self._classes: dict[tuple[str, ...], list[list[Any]]] = {}

    def holds(self, properties: Mapping[str, Any]) -> bool:
        """Whether everything that is planned is there and valid."""
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


def _types(schema: Mapping[str, Any]) -> frozenset[type] | None:
    """The types whose values are valid whatever they are, None for all; none where a schema says more than a type."""
    if not schema:
        return None
    kind = schema.get("type")
    return _TYPES.get(kind, _NONE) if isinstance(kind, str) and schema.keys() <= _SAYS_NO_MORE else _NONE


def _says_nothing(schema: Mapping[str, Any]) -> bool:
    """Whether valid values are ones the plan itself lists, or of a form that holds nothing else."""
    if "enum" in schema or "const" in schema:
        return True
    kind = schema.get("type")
    return kind in ("boolean", "null") or (kind == "string" and schema.get("format") in _PLAIN_FORMATS)
