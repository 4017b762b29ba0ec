"""One request: what the generated code hands on, completed as graphql-core completes it.

`CompiledExecutor` is graphql-core's executor, as Strawberry has it. It answers an object by generated code where there
is some, also where graphql-core itself has come upon the object; everything else is what it inherits.
"""

from collections.abc import Awaitable, Iterator
from contextlib import suppress
from types import CoroutineType
from typing import Any

from graphql import GraphQLError, GraphQLObjectType, GraphQLOutputType
from graphql.execution.collect_fields import GroupedFieldSet, collect_fields
from graphql.execution.executor import SELECTIONS_NESTED_TOO_DEEPLY
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.execution.program import Program
from schema.execution.site import Place, Site, as_path, wait


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a program.

    Attributes:
        program: the generated code; None where everything is graphql-core's.
        functions: what answers the fields graphql-core asks for, by the type's name and the identity of the fields.
    """

    program: Program | None = None
    functions: dict[tuple[str, int], tuple[GroupedFieldSet, Any]]

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """The fields of one object, in their order."""
        if self.program is None:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        key = (parent_type.name, id(grouped_field_set))
        found = self.functions.get(key)
        if found is None:
            # The fields are kept, so that no others can have their identity.
            found = self.functions[key] = (grouped_field_set, self.program.object(parent_type, grouped_field_set))
        function = found[1]
        if function is None:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        return function(self, source_value, path)

    def root_fields(self) -> tuple[GraphQLObjectType, GroupedFieldSet]:
        """The fields of the operation itself.

        Raises:
            GraphQLError: as graphql-core's `execute_operation`.
        """
        type_ = self.schema.get_root_type(self.operation.operation)
        assert type_ is not None  # noqa: S101 - what is not served has been refused
        try:
            collected = collect_fields(
                self.schema, self.fragments, self.variable_values, type_, self.operation, self.hide_suggestions
            )
        except RecursionError:
            collected = None
        if collected is None:
            raise GraphQLError(SELECTIONS_NESTED_TOO_DEEPLY, self.operation)
        return type_, collected.grouped_field_set

    def odd(
        self, site: Site, value: Any, place: Place, waiting: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any] | None]:
        """The answer of a plain field's value that is not as expected, and what then has to be awaited."""
        completed = self.completed(site, value, place)
        if type(completed) is CoroutineType:
            waiting = wait(waiting, site.key, completed)
        return completed, waiting

    def completed(self, site: Site, value: Any, place: Place) -> Any:
        """The second half of graphql-core's `execute_field`, for a value that has been resolved."""
        path = site.at(place)
        try:
            info = self.build_resolve_info(site.definition, site.nodes, site.parent, path)
            if self.is_awaitable(value):
                return self.complete_awaitable_value(site.type, site.details, info, path, value, None)
            completed = self.complete_value(site.type, site.details, info, path, value, None)
        except Exception as error:  # noqa: BLE001 - as graphql-core
            self.handle_field_error(error, site.type, site.details, path)
            return None
        if self.is_awaitable(completed):
            return self.awaited(site, site.type, completed, path)
        return completed

    async def later(self, site: Site, value: Awaitable[Any], place: Place, path: Path) -> Any:
        """What graphql-core's `complete_awaitable_value` answers."""
        try:
            resolved = await value
            # What was awaited is a value, also where it could be awaited again.
            if site.function is None or self.is_awaitable(resolved):
                info = self.build_resolve_info(site.definition, site.nodes, site.parent, path)
                completed = self.complete_value(site.type, site.details, info, path, resolved, None)
            else:
                completed = site.function(self, resolved, place)
            if self.is_awaitable(completed):
                completed = await completed
        except Exception as error:  # noqa: BLE001 - as graphql-core
            self.handle_field_error(error, site.type, site.details, path)
            return None
        return completed

    def item(self, site: Site, type_: GraphQLOutputType, item: Any, place: Place) -> Any:
        """An item of a list that is not as expected: its answer, or a coroutine of it."""
        path = as_path(place)
        assert path is not None  # noqa: S101 - an item stands in a list
        info = self.build_resolve_info(site.definition, site.nodes, site.parent, path.prev or path)
        if self.is_awaitable(item):
            return self.complete_awaitable_list_item_value(item, type_, site.details, info, path, None)
        answer: list[Any] = []
        self.complete_list_item_value(item, answer, type_, site.details, info, path, None)
        return answer[0]

    def failed(self, site: Site, type_: GraphQLOutputType, error: Exception, place: Place) -> None:
        """An error under an object or a list of `type_`: told of there, or raised further up."""
        path = as_path(place)
        assert path is not None  # noqa: S101 - every field has a path
        self.handle_field_error(error, type_, site.details, path)

    async def awaited(self, site: Site, type_: GraphQLOutputType, completed: Awaitable[Any], place: Place) -> Any:
        """The completed value that has parts to be awaited, or null where it failed."""
        try:
            return await completed
        except Exception as error:  # noqa: BLE001 - as graphql-core
            self.failed(site, type_, error, place)
            return None

    def leave(self, waiting: dict[int, Any] | None, items: Iterator[Any]) -> None:
        """See to what would be awaited of a list that failed, in the background."""
        left: list[Any] = [] if waiting is None else [*waiting.values()]
        with suppress(Exception):
            left.extend(item for item in items if self.is_awaitable(item))
        if left:
            self.settle_in_background(left)
