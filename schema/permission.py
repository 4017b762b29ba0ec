"""Which permission each GraphQL field needs: declared on the field, printed in the SDL, checked when the schema is built.

A field of an object of the catalogue is declared with `governed("object.field")`; anything else that belongs to a
document (its structure, such as connections) with `structural`. A field with neither fails the build.
"""

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import GraphQLObjectType
from strawberry.schema_directive import Location

from policies import Catalogue
from schema.errors import UndeclaredFieldError

_METADATA = "confide"


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="What the caller's policy must grant for the stated purpose; otherwise the field is null.",
)
class Permission:
    """The SDL directive `@permission(action: "read", field: "profile.email")`."""

    action: str
    field: str


def governed(path: str, description: str) -> Any:
    """A field that shows the catalogue's `path`: null wherever the grant withholds it."""
    return strawberry.field(
        description=description,
        directives=[Permission(action="read", field=path)],
        metadata={_METADATA: path},
    )


def needs(action: str, path: str) -> list[object]:
    """The directive of a field whose resolver checks `action` itself, such as a mutation."""
    return [Permission(action=action, field=path)]


def structural(description: str) -> Any:
    """A field that holds no value of a person: an id, a version, the parts of a connection."""
    return strawberry.field(description=description, metadata={_METADATA: ""})


def declared_paths(
    schema: strawberry.Schema, catalogue: Catalogue, governed_types: frozenset[str]
) -> dict[tuple[str, str], str]:
    """The catalogue path that each (type, field) shows; structural fields are left out.

    Raises:
        UndeclaredFieldError: A field of a governed type has no declaration, or one that names nothing.
    """
    found: dict[tuple[str, str], str] = {}
    for type_name, field_name, declaration in _declarations(schema, governed_types):
        if declaration is None or (declaration and declaration not in catalogue.fields):
            raise UndeclaredFieldError(type_name, field_name)
        if declaration:
            found[type_name, field_name] = declaration
    return found


def _declarations(schema: strawberry.Schema, governed_types: frozenset[str]) -> Iterator[tuple[str, str, str | None]]:
    for name, graphql_type in schema._schema.type_map.items():  # noqa: SLF001 - Strawberry has no public way
        if name not in governed_types or not isinstance(graphql_type, GraphQLObjectType):
            continue
        for field_name, field in graphql_type.fields.items():
            definition = field.extensions.get("strawberry-definition")
            yield name, field_name, getattr(definition, "metadata", {}).get(_METADATA)
