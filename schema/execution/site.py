"""A selected field as the generated code knows it, and what that code needs beside it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import GraphQLField, GraphQLNonNull, GraphQLObjectType, GraphQLOutputType
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path, gather_with_cancel

from schema.execution.variables import arguments_of

if TYPE_CHECKING:
    from schema.execution.executor import CompiledExecutor

Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Gives the fields that are selected below a field for one type."""
Place = Any
"""Where something stands: a `Path`, None at the root, or a tuple (place above, key, type) that is no path yet."""


class Site:
    """One selected field of one type.

    Attributes:
        parent: the type.
        name: the response name.
        details: its nodes, as graphql-core groups them.
        definition: the field.
        type: its type.
        nullable: whether null may be answered.
        named: its type without the outermost non-null.
        key: where its answer stands in the object's: the response name, or a struct's field.
        function: answers a resolved value; None where graphql-core does.
    """

    __slots__ = (
        "_arguments",
        "definition",
        "details",
        "function",
        "key",
        "name",
        "named",
        "nodes",
        "nullable",
        "parent",
        "type",
    )

    def __init__(
        self, parent: GraphQLObjectType, name: str, details: FieldDetailsList, definition: GraphQLField
    ) -> None:
        self.parent = parent
        self.name = self.key = name
        self.details = details
        self.nodes = [each.node for each in details]
        self.definition = definition
        self.type: GraphQLOutputType = definition.type
        self.nullable = not isinstance(self.type, GraphQLNonNull)
        self.named: Any = self.type.of_type if isinstance(self.type, GraphQLNonNull) else self.type
        self.function: Callable[[CompiledExecutor, Any, Place], Any] | None = None
        self._arguments = arguments_of(definition, self.nodes[0])

    def at(self, place: Place) -> Path:
        """The path of this field of the object at `place`."""
        return Path(as_path(place), self.name, self.parent.name)

    def resolve(self, x: "CompiledExecutor", source: Any, place: Place) -> Any:
        """What graphql-core's `execute_field` answers: the completed value, or a coroutine of it."""
        path = self.at(place)
        try:
            info = x.build_resolve_info(self.definition, self.nodes, self.parent, path)
            resolve = self.definition.resolve or x.field_resolver
            value = resolve(source, info, **self._arguments(x.variable_values))
            if x.is_awaitable(value):
                return x.later(self, value, place, path)
        except Exception as error:  # noqa: BLE001 - as graphql-core
            x.handle_field_error(error, self.type, self.details, path)
            return None
        return x.completed(self, value, place) if self.function is None else self.function(x, value, place)


def as_path(place: Place) -> Path | None:
    """The path of a place."""
    if place is None or type(place) is Path:
        return place
    above, key, typename = place
    return Path(as_path(above), key, typename)


def wait(waiting: dict[Any, Any] | None, key: Any, value: Any) -> dict[Any, Any]:
    """What has to be awaited, with one more."""
    if waiting is None:
        return {key: value}
    waiting[key] = value
    return waiting


async def gathered(answer: Any, waiting: dict[Any, Any]) -> Any:
    """The answer with what was awaited in its places; awaited side by side."""
    if len(waiting) == 1:
        for key, value in waiting.items():
            answer[key] = await value
        return answer
    values = await gather_with_cancel(*waiting.values())
    for key, value in zip(waiting, values, strict=True):
        answer[key] = value
    return answer


async def gathered_struct(answer: Any, waiting: dict[str, Any]) -> Any:
    """As `gathered`, for an answer that is a struct."""
    if len(waiting) == 1:
        for key, value in waiting.items():
            setattr(answer, key, await value)
        return answer
    values = await gather_with_cancel(*waiting.values())
    for key, value in zip(waiting, values, strict=True):
        setattr(answer, key, value)
    return answer
