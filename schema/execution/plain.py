"""Which fields of a schema are plain, and which classes of objects need no asking.

A field is plain where Strawberry would only read an attribute of the source: it has no resolver, no extension (such as
a permission) and no argument.

Which type an object is of is settled by its class alone where Strawberry's own rules settle it so. Whatever has a say
of its own (`is_type_of`, `resolve_type`, generic types, `strawberry.cast`) is left to graphql-core.
"""

from types import GeneratorType
from typing import Any, Final

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
)
from graphql.pyutils import Undefined
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.union import StrawberryUnion

DEFINITION: Final = "strawberry-definition"
# Classes may be made at run time without end; those that are not remembered are looked at each time.
_MOST_CLASSES: Final = 64


def attribute_of(definition: GraphQLField) -> str | None:
    """The attribute that a plain field reads of its source; None where the field is not plain."""
    source = definition.extensions.get(DEFINITION)
    if not isinstance(source, StrawberryField):
        return None
    plain = (
        source.is_basic_field
        and not definition.args
        and type(source).get_result is StrawberryField.get_result
        and source.default_resolver is getattr
        # The one resolver Strawberry makes that neither builds an Info nor catches exceptions.
        and getattr(definition.resolve, "__name__", "") == "_get_basic_result"
    )
    return source.python_name if plain else None


class Trusted(set[type]):
    """Classes whose instances are objects of one type to graphql-core, unless an instance was cast to another."""

    def __init__(self, type_: GraphQLObjectType) -> None:
        super().__init__()
        self._type = type_

    def learn(self, value: Any) -> bool:
        """Whether the class of `value` is one of them; it is remembered if so."""
        kind = type(value)
        if not trusts(self._type, kind):
            return False
        if len(self) < _MOST_CLASSES:
            self.add(kind)
        return True


def trusts(type_: GraphQLObjectType, kind: type) -> bool:
    """Whether any instance of the class is an object of this type to graphql-core, unless cast to another.

    A type that has a way to tell (types with interfaces have one from Strawberry) is trusted with its own class only.
    """
    if kind is type(None) or kind is type(Undefined) or hasattr(kind, "__await__"):
        return False
    if issubclass(kind, (Exception, GeneratorType, type)):
        return False
    return type_.is_type_of is None or _own(type_) is kind


def runtime_type(
    schema: GraphQLSchema, type_: GraphQLInterfaceType | GraphQLUnionType, kind: type
) -> GraphQLObjectType | None:
    """The type that every instance of the class has under an abstract type, unless cast; None where that may differ."""
    source = type_.extensions.get(DEFINITION)
    if isinstance(type_, GraphQLInterfaceType):
        own = isinstance(source, StrawberryObjectDefinition) and source.resolve_type is None
    else:
        own = (
            isinstance(source, StrawberryUnion)
            and type(source).get_type_resolver is StrawberryUnion.get_type_resolver
        )
    definition = kind.__dict__.get("__strawberry_definition__")
    if not own or not isinstance(definition, StrawberryObjectDefinition):
        return None
    found = schema.get_type(definition.name)
    if not isinstance(found, GraphQLObjectType) or _own(found) is not kind or not trusts(found, kind):
        return None
    return found if schema.is_sub_type(type_, found) else None


def is_told_by_cast(type_: GraphQLObjectType) -> bool:
    """Whether an instance that was cast to another type is not of this one."""
    return type_.is_type_of is not None


def _own(type_: GraphQLObjectType) -> type | None:
    """The class that Strawberry made this type of, if nothing else has a say."""
    definition = type_.extensions.get(DEFINITION)
    if (
        isinstance(definition, StrawberryObjectDefinition)
        and definition.is_type_of is None
        and not definition.is_graphql_generic
        and definition.concrete_of is None
    ):
        return definition.origin
    return None
