"""How the values of leaf types are answered: which need no completion, and what is done with the others.

A check is a few lines of Python that look at a value `{v}`. They end with the value as it is answered, or they go to
`{odd}`, where graphql-core completes the value as it was resolved.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

# Classes of values that scalars serialize. None is awaitable, an exception or iterated over by graphql-core.
VALUES: Final = frozenset({str, int, float, bool, dict, list, date, datetime, time, Decimal, UUID})
# Classes of serialized values: none is awaitable, and none is the null or the Undefined that graphql-core refuses.
ANSWERS: Final = frozenset({str, int, float, bool, dict, list})
_EXACT: Final[Mapping[GraphQLScalarType, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}

Convert = Callable[[Any], Any]
Keep = Callable[[str, Any], str]
"""Keeps an object for the generated code and gives the name it has there."""


def check(type_: Any, v: str, odd: list[str], keep: Keep, *, nullable: bool) -> list[str] | None:
    """Lines that look at the value `v` of a leaf or of a list of leaves; None where nothing is known of the type.

    Args:
        type_: the type, without its outermost non-null.
        v: the variable that holds the value, and then the answer.
        odd: the lines that answer any other value.
        keep: see `Keep`.
        nullable: whether null may be answered.
    """
    other = f" and {v} is not None" if nullable else ""
    simple = _simple(type_, v)
    if simple is not None:
        return [f"if {simple}{other}:", *_in(odd)]
    if isinstance(type_, GraphQLEnumType):
        names = _members(type_)
        if names is None:
            return None
        convert = f"b = {keep('e', names)}.get(id({v}))"
        held = "b is None"
    elif isinstance(type_, GraphQLScalarType):
        serialize = keep("c", type_.coerce_output_value)
        lines = ["b = None", f"if type({v}) in VALUES:", "    try:", f"        b = {serialize}({v})"]
        lines += ["    except Exception:", "        pass"]
        lines += ["if type(b) in ANSWERS:", f"    {v} = b", "else:", *_in(odd)]
        return _unless_null(lines, v) if nullable else lines
    elif isinstance(type_, GraphQLList):
        items = _items(type_)
        if items is None:
            return None
        convert = f"b = {keep('l', items)}({v})"
        held = "b is None"
    else:
        return None
    lines = [convert, f"if {held}:", *_in(odd), "else:", f"    {v} = b"]
    return _unless_null(lines, v) if nullable else lines


def _in(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _unless_null(lines: list[str], v: str) -> list[str]:
    return [f"if {v} is not None:", *_in(lines)]


def _simple(type_: Any, v: str) -> str | None:
    """When a value is not answered as it is, for the scalars that look at nothing but its class and range."""
    if not isinstance(type_, GraphQLScalarType):
        return None
    exact = _EXACT.get(type_)
    if exact is not None:
        return f"type({v}) is not {exact.__name__}"
    if type_ is GraphQLInt:
        return f"(type({v}) is not int or not {GRAPHQL_MIN_INT} <= {v} <= {GRAPHQL_MAX_INT})"
    if type_ is GraphQLFloat:
        return f"(type({v}) is not float or not isfinite({v}))"
    return None


def _members(type_: GraphQLEnumType) -> dict[int, str] | None:
    """The names of an enum's members by the identity of the member, which lives as long as its class."""
    wrapped = getattr(type_, "wrapped_cls", None)
    if not (isinstance(wrapped, type) and issubclass(wrapped, Enum)):
        return None
    try:
        names = {id(member): type_.coerce_output_value(member) for member in wrapped}
    except Exception:  # noqa: BLE001 - a member without a name in the schema: graphql-core decides each time
        return None
    return names if all(type(name) is str for name in names.values()) else None


def _items(type_: GraphQLList[Any]) -> Convert | None:
    """What answers a list of leaves: all of its items as they should be, or None."""
    item = type_.of_type
    nullable = not isinstance(item, GraphQLNonNull)
    named = item if nullable else item.of_type
    one = _items(named) if isinstance(named, GraphQLList) else _one(named)
    if one is None:
        return None
    exact = _EXACT.get(named) if isinstance(named, GraphQLScalarType) else None
    return _each(one, nullable=nullable) if exact is None else _exactly(exact, nullable=nullable)


def _exactly(exact: type, *, nullable: bool) -> Convert:
    allowed = frozenset({exact, type(None)} if nullable else {exact})

    def items(values: Any) -> list[Any] | None:
        if type(values) is not list and type(values) is not tuple:
            return None
        return list(values) if allowed.issuperset(map(type, values)) else None

    return items


def _each(one: Convert, *, nullable: bool) -> Convert:
    def items(values: Any) -> list[Any] | None:
        if type(values) is not list and type(values) is not tuple:
            return None
        answer: list[Any] = []
        for value in values:
            converted = None if value is None else one(value)
            if converted is None and (value is not None or not nullable):
                return None
            answer.append(converted)
        return answer

    return items


def _one(type_: Any) -> Convert | None:
    """What answers one leaf: the answer, or None where graphql-core has to look at the value."""
    if isinstance(type_, GraphQLEnumType):
        names = _members(type_)
        return None if names is None else lambda value: names.get(id(value))
    if not isinstance(type_, GraphQLScalarType):
        return None
    exact = _EXACT.get(type_)
    if exact is not None:
        return lambda value: value if type(value) is exact else None
    if type_ is GraphQLInt:
        return lambda value: value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else None
    if type_ is GraphQLFloat:
        return lambda value: value if type(value) is float and math.isfinite(value) else None
    serialize = type_.coerce_output_value

    def custom(value: Any) -> Any:
        if type(value) not in VALUES:
            return None
        try:
            made = serialize(value)
        except Exception:  # noqa: BLE001 - graphql-core serializes it again, and says what is wrong with it
            return None
        return made if type(made) in ANSWERS else None

    return custom
