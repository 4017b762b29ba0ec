"""A tracking plan out of its file, TOML or JSON, with everything that is wrong with it.

name = "shop"

[modes]
unplanned_property = "omit"

[events."Order Completed".properties]
total = { category = "user.behavior.purchase_history.order", clear = true, schema = { type = "number" } }
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from customers.collection.errors import PlanInvalidError
from customers.collection.plan_schemas import schema_faults
from customers.collection.plans import (
    UNCLASSIFIED,
    EventRule,
    Mode,
    Modes,
    PropertyRule,
    TrackingPlan,
    may_be_clear,
)
from policies import ROOT_CATEGORY, Catalogue

Part = TypeVar("Part", EventRule, PropertyRule)

CALLS: Final = ("$page", "$screen", "$group")
"""The calls besides `track` whose properties a plan may name, as it names them."""
LONGEST_NAME: Final = 200
LONGEST_PROPERTY: Final = 128

_LARGEST: Final = 4 * 1024 * 1024
_MOST_EVENTS: Final = 2_000
_MOST_PROPERTIES: Final = 500
_MOST_IN_ALL: Final = 20_000
_MOST_FAULTS: Final = 200
_LONGEST_TEXT: Final = 1_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
# What violations are counted under where there is no name.
_TAKEN: Final = frozenset({"unplanned", "other", "identify", "alias"})
_PLAN_KEYS: Final = frozenset({"name", "description", "modes", "events", "traits"})
_EVENT_KEYS: Final = frozenset({"description", "label", "properties"})
_RULE_KEYS: Final = frozenset({"category", "schema", "clear", "required", "label"})
_MODE_KEYS: Final = ("unplanned_event", "unplanned_property", "invalid_property")


def is_property_name(name: object) -> bool:
    """Whether a property may have this name: text that databases take as a field's, of at most 128 characters."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= LONGEST_PROPERTY
        and "." not in name
        and "\0" not in name
        and name[0] != "$"
        and _is_text(name)
    )


def load_plan(path: Path, catalogue: Catalogue) -> TrackingPlan:
    """The plan in a `.toml` or `.json` file.

    Raises:
        PlanInvalidError: The file cannot be read, or is not a plan; every fault is listed.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise PlanInvalidError([f"the file is larger than {_LARGEST // 1024 // 1024} MiB"])
        content = path.read_bytes()
    except OSError as error:
        raise PlanInvalidError([f"the file cannot be read: {error.strerror or type(error).__name__}"]) from error
    if path.suffix.lower() not in (".toml", ".json"):
        raise PlanInvalidError(["a plan is a .toml or a .json file"])
    return parse_plan(content, catalogue, is_toml=path.suffix.lower() == ".toml")


def parse_plan(content: bytes, catalogue: Catalogue, *, is_toml: bool) -> TrackingPlan:
    """The plan in the content of a file.

    Raises:
        PlanInvalidError: It is none; every fault is listed.
    """
    try:
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text) if is_toml else _json(text)
    except UnicodeDecodeError:
        raise PlanInvalidError(["the file is not UTF-8 text"]) from None
    except RecursionError:
        raise PlanInvalidError(["the file is nested too deeply"]) from None
    except ValueError as error:  # a TOMLDecodeError and a JSONDecodeError are such; both give line and column
        raise PlanInvalidError([f"the file cannot be read: {error}"]) from None
    return _Reader(catalogue, strict=True).plan(document)


def stored_plan(document: Any, catalogue: Catalogue) -> TrackingPlan:
    """The same of a plan that was once accepted.

    What the catalogue no longer has, or no longer lets be clear, is unclassified: a plan must not stop being read, nor
    store in clear what may not be.
    """
    return _Reader(catalogue, strict=False).plan(document)


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in one object")
        return found

    def refuse(_constant: str) -> Any:
        raise ValueError("NaN and Infinity are not JSON")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


class _Reader:
    """Reads one plan, and keeps what is wrong with it."""

    def __init__(self, catalogue: Catalogue, *, strict: bool) -> None:
        self._catalogue = catalogue
        self._strict = strict
        self._faults: list[str] = []
        self._clear: dict[str, bool] = {}
        self._properties = 0

    def plan(self, document: Any) -> TrackingPlan:
        if not isinstance(document, dict):
            raise PlanInvalidError(["a plan is an object with a name"])
        self._unknown("", document, _PLAN_KEYS)
        name = document.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._fault("name", "must be lower-case letters, digits, - and _, at most 63")
        found = TrackingPlan(
            name=str(name),
            description=self._text("", document, "description"),
            events=self._named("", document, _MOST_EVENTS, self._event, "events"),
            traits=self._named("", document, _MOST_PROPERTIES, self._rule, "traits"),
            modes=self._modes(document.get("modes", {})),
        )
        if self._properties > _MOST_IN_ALL:
            self._fault("events", f"has more than {_MOST_IN_ALL} properties in all")
        if self._faults:
            more = len(self._faults) - _MOST_FAULTS
            raise PlanInvalidError(self._faults[:_MOST_FAULTS] + ([f"and {more} more"] if more > 0 else []))
        return found

    def _modes(self, values: Any) -> Modes:
        if not self._is_object("modes", values):
            return Modes()
        self._unknown("modes", values, frozenset(_MODE_KEYS))
        found: dict[str, Mode] = {}
        for key in _MODE_KEYS:
            value = values.get(key, Mode.ALLOW.value)
            if isinstance(value, str) and value in set(Mode):
                found[key] = Mode(value)
            else:
                self._fault(f"modes.{key}", f"must be one of {', '.join(Mode)}")
        return Modes(**found)

    def _named(
        self, place: str, values: Any, most: int, read: Callable[[str, str, Any], Part], key: str
    ) -> dict[str, Part]:
        found = values.get(key, {})
        at = f"{place}.{key}" if place else key
        if not self._is_object(at, found):
            return {}
        if len(found) > most:
            self._fault(at, f"has more than {most} names")
            return {}
        return {name: read(f"{at}.{_shown(name)}", name, each) for name, each in found.items()}

    def _event(self, place: str, name: str, values: Any) -> EventRule:
        known = name in CALLS
        if not known and (
            not 0 < len(name) <= LONGEST_NAME or not name.strip() or name[0] == "$" or not _is_text(name)
        ):
            self._fault(
                place, f"an event's name is a text of at most {LONGEST_NAME} characters, or {', '.join(CALLS)}"
            )
        if name in _TAKEN:
            self._fault(place, "violations without a name are counted under this one; name the event otherwise")
        if not self._is_object(place, values):
            return EventRule()
        self._unknown(place, values, _EVENT_KEYS)
        return EventRule(
            description=self._text(place, values, "description"),
            label=self._text(place, values, "label"),
            properties=self._named(place, values, _MOST_PROPERTIES, self._rule, "properties"),
        )

    def _rule(self, place: str, name: str, values: Any) -> PropertyRule:
        if not is_property_name(name):
            self._fault(
                place,
                f"a property's name is a text of at most {LONGEST_PROPERTY} characters, without a dot, without NUL, and "
                "does not begin with $",
            )
        if not self._is_object(place, values):
            return PropertyRule(UNCLASSIFIED)
        self._unknown(place, values, _RULE_KEYS)
        clear = self._flag(place, values, "clear")
        category = self._category(place, values.get("category"), clear=clear)
        schema = values.get("schema", {})
        if self._strict:  # what is stored was looked at when it was put
            self._properties += 1
            for fault in schema_faults(schema) if self._properties <= _MOST_IN_ALL else ():
                self._fault(f"{place}.schema", fault)
        if isinstance(schema, bool):  # the two schemas that are no objects
            schema = {} if schema else {"not": {}}
        return PropertyRule(
            category=category or UNCLASSIFIED,
            schema=schema if isinstance(schema, dict) else {},
            clear=clear and category is not None,
            required=self._flag(place, values, "required"),
            label=self._text(place, values, "label"),
        )

    def _category(self, place: str, category: Any, *, clear: bool) -> str | None:
        known = self._catalogue.categories
        is_personal = isinstance(category, str) and (
            category == ROOT_CATEGORY or category.startswith(ROOT_CATEGORY + ".")
        )
        if not is_personal or category not in known:
            if self._strict:
                near = ", ".join(each for each in known if each.startswith(ROOT_CATEGORY + "."))
                self._fault(f"{place}.category", f"must be a category of the catalogue: {near}")
            return None
        if clear and not self._may_be_clear(category):
            if self._strict:
                self._fault(f"{place}.clear", f"values of the category {category} are never stored in clear")
            return None
        return str(category)

    def _may_be_clear(self, category: str) -> bool:
        if category not in self._clear:
            self._clear[category] = may_be_clear(category, self._catalogue)
        return self._clear[category]

    def _text(self, place: str, values: Mapping[str, Any], key: str) -> str:
        value = values.get(key, "")
        if isinstance(value, str) and len(value) <= _LONGEST_TEXT and _is_text(value):
            return value
        self._fault(f"{place}.{key}".lstrip("."), f"must be a text of at most {_LONGEST_TEXT} characters")
        return ""

    def _flag(self, place: str, values: Mapping[str, Any], key: str) -> bool:
        value = values.get(key, False)
        if not isinstance(value, bool):
            self._fault(f"{place}.{key}", "must be true or false")
        return value is True

    def _is_object(self, place: str, values: Any) -> bool:
        if not isinstance(values, dict):
            self._fault(place, "must be an object (a table)")
        return isinstance(values, dict)

    def _unknown(self, place: str, values: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in values:
            if key not in known:
                self._fault(
                    f"{place}.{_shown(key)}".lstrip("."), f"is unknown here; known: {', '.join(sorted(known))}"
                )

    def _fault(self, place: str, message: str) -> None:
        self._faults.append(f"{place}: {message}")


def _shown(name: str) -> str:
    """A name as a TOML file would have it, short and safe to print."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name):
        return name
    return json.dumps(name if len(name) <= 60 else name[:59] + "…")  # noqa: PLR2004 - a line's worth
