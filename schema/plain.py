"""Which fields of a schema are plain, and which values of theirs need no completion.

A field is plain where Strawberry would only read an attribute of the source: it has no resolver, no extension (such as
a permission) and no argument. What is known of it depends on the schema alone, so it is found once and kept with it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import GeneratorType
from typing import Any, Final
from uuid import UUID

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
)
from graphql.pyutils import Undefined
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

_DEFINITION: Final = "strawberry-definition"
_KEPT: Final = "confide.plain-fields"
# Classes of values that scalars serialize. None is awaitable, an exception or iterated over by graphql-core.
_VALUES: Final = (str, int, float, bool, dict, list, date, datetime, time, Decimal, UUID)
_EXACT: Final[Mapping[GraphQLScalarType, type]] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}

Convert = Callable[[Any], Any]


class OddValueError(ValueError):
    """A value that graphql-core must look at; never leaves the executor."""


@dataclass(frozen=True, slots=True)
class PlainField:
    """What the schema says of a plain field.

    Attributes:
        definition: the field itself.
        attribute: what is read of the source.
        exact: the class whose instances are answered as they are; None where there is none.
        convert: by the class of a value, how it is answered; raises where it cannot be.
        nullable: whether null may be answered.
        below: the object type of the value, or of its items where it is listed.
        listed: whether the value is a list.
        item_type: the type of its items.
    """

    definition: GraphQLField
    attribute: str
    exact: type | None = None
    convert: Mapping[type, Convert] = field(default_factory=dict)
    nullable: bool = False
    below: GraphQLObjectType | None = None
    listed: bool = False
    item_type: Any = None

    @property
    def type(self) -> GraphQLOutputType:
        """The field's type."""
        return self.definition.type


class PlainFields:
    """The plain fields of one schema, learnt as they are asked for."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: dict[tuple[str, str], PlainField | None] = {}

    def field(self, parent: GraphQLObjectType, name: str) -> PlainField | None:
        """What is known of a field of `parent`; None where it is not plain."""
        key = (parent.name, name)
        try:
            return self._known[key]
        except KeyError:
            definition = self._schema.get_field(parent, name)
            if definition is None:
                return None
            found = self._known[key] = _learn(definition)
            return found


def plain_fields(schema: GraphQLSchema) -> PlainFields:
    """The plain fields of a schema, kept in its extensions."""
    kept = schema.extensions.get(_KEPT)
    if not isinstance(kept, PlainFields):
        kept = schema.extensions[_KEPT] = PlainFields(schema)
    return kept


def items_of(type_: GraphQLList[Any]) -> GraphQLObjectType | None:
    """The object type of a list's items; None where they are anything else."""
    item = type_.of_type
    named = item.of_type if isinstance(item, GraphQLNonNull) else item
    return named if isinstance(named, GraphQLObjectType) else None


def trusts(type_: GraphQLObjectType, kind: type) -> bool:
    """Whether any instance of the class is an object of this type to graphql-core, unless cast to another.

    A type that has a way to tell (types with interfaces have one from Strawberry) is trusted with its own class only.
    """
    if kind is type(None) or kind is type(Undefined) or hasattr(kind, "__await__"):
        return False
    if issubclass(kind, (Exception, GeneratorType, type)):
        return False
    if type_.is_type_of is None:
        return True
    definition = type_.extensions.get(_DEFINITION)
    return (
        isinstance(definition, StrawberryObjectDefinition)
        and definition.is_type_of is None
        and definition.origin is kind
    )


def _learn(definition: GraphQLField) -> PlainField | None:
    source = definition.extensions.get(_DEFINITION)
    if not isinstance(source, StrawberryField) or not _reads_an_attribute(source, definition):
        return None
    attribute = source.python_name
    type_ = definition.type
    nullable = not isinstance(type_, GraphQLNonNull)
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLObjectType):
        return PlainField(definition, attribute, nullable=nullable, below=inner)
    if isinstance(inner, GraphQLList):
        below = items_of(inner)
        if below is not None:
            item_type = inner.of_type
            return PlainField(definition, attribute, nullable=nullable, below=below, listed=True, item_type=item_type)
        return PlainField(definition, attribute, convert=_of_list(inner), nullable=nullable)
    exact, convert = _of_leaf(inner)
    return PlainField(definition, attribute, exact, convert, nullable)


def _reads_an_attribute(source: StrawberryField, definition: GraphQLField) -> bool:
    """Whether resolving does nothing but `getattr(source, name)`."""
    resolve = definition.resolve
    return (
        source.is_basic_field
        and not definition.args
        and type(source).get_result is StrawberryField.get_result
        and source.default_resolver is getattr
        # The one resolver Strawberry makes that neither builds an Info nor catches exceptions.
        and getattr(resolve, "__name__", "") == "_get_basic_result"
    )


def _of_leaf(type_: Any) -> tuple[type | None, dict[type, Convert]]:
    """The class a leaf answers as it is, and what it does with others."""
    if isinstance(type_, GraphQLEnumType):
        return None, _of_enum(type_)
    if not isinstance(type_, GraphQLScalarType):
        return None, {}
    if type_ in _EXACT:
        return _EXACT[type_], {}
    if type_ is GraphQLInt:
        return None, {int: _integer}
    if type_ is GraphQLFloat:
        return None, {float: _float}
    return None, dict.fromkeys(_VALUES, type_.coerce_output_value)


def _of_enum(type_: GraphQLEnumType) -> dict[type, Convert]:
    wrapped = getattr(type_, "wrapped_cls", None)
    if not (isinstance(wrapped, type) and issubclass(wrapped, Enum)):
        return {}
    try:
        names = {member: type_.coerce_output_value(member) for member in wrapped}
    except Exception:  # noqa: BLE001 - a member without a name in the schema: graphql-core decides each time
        return {}
    return {wrapped: names.__getitem__}


def _of_list(type_: GraphQLList[Any]) -> dict[type, Convert]:
    """What a list of leaves does with a list: all of its items as they should be, or none of it."""
    item = type_.of_type
    nullable = not isinstance(item, GraphQLNonNull)
    exact, convert = _of_leaf(item if nullable else item.of_type)
    if exact is None and not convert:
        return {}

    def items(values: Any) -> list[Any]:
        answer: list[Any] = []
        for value in values:
            if type(value) is exact or (value is None and nullable):
                answer.append(value)
                continue
            converted = convert[type(value)](value)
            if converted is None or converted is Undefined:
                raise OddValueError
            answer.append(converted)
        return answer

    return {list: items, tuple: items}


def _integer(value: int) -> int:
    if GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT:
        return value
    raise OddValueError


def _float(value: float) -> float:
    if math.isfinite(value):
        return value
    raise OddValueError
