"""Runs prepared documents, and answers plain parts of them without graphql-core's work for each field.

A field is plain where Strawberry would only read an attribute: no resolver, no extension, no argument. Objects are
answered by one loop over such attributes, lists of objects by one loop over the objects. Only what is expected is
answered here: a value whose exact class its type passes through unchanged, a member of an enum, null where null is
allowed. Everything else (a resolver, an awaitable, an exception, a value to coerce, a null that must not be) is handed,
already resolved, to graphql-core's own completion, so errors, their paths and order, and the bubbling of nulls are
graphql-core's, and nothing is resolved twice.

What is known of a field without a request is in `plain`. The seam is `execute`; a compiled executor can take its place.
"""

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path, Undefined, gather_with_cancel
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from schema.documents import Document, quiet_variable_error
from schema.errors import DocumentRefusedError, InputInvalidError
from schema.plain import PlainField, items_of, plain_fields, trusts


async def execute(
    schema: strawberry.Schema,
    document: Document,
    *,
    variables: Mapping[str, Any] | None = None,
    root: Any = None,
    context: Any = None,
    operation_name: str | None = None,
) -> ExecutionResult:
    """Run an operation of a prepared document; its cost is for the caller to check before.

    Strawberry's scalars, enums, inputs and `Info` work as under `strawberry.Schema.execute`. Its schema extensions and
    operation directives do not run, and it logs no errors.

    Returns:
        What graphql-core would: `data`, or null where an error bubbled to the top, and errors with paths.

    Raises:
        DocumentRefusedError: nothing was run, as the operation or a variable is not right.
    """
    operation = _operation(schema, document, operation_name)
    executor = PlainExecutor.build(
        schema._schema,  # noqa: SLF001 - Strawberry gives no public way to it
        document.node,
        root,
        context,
        dict(variables) if variables else None,
        operation.name.value if operation.name else None,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # a predicate without the guard's type
        operation_extensions=None,
    )
    if isinstance(executor, list):
        raise DocumentRefusedError([quiet_variable_error(error) for error in executor])
    result = executor.execute_operation()
    if optimized_is_awaitable(result):
        result = await result  # type: ignore[misc]  # awaitable, as was just asked
    if not isinstance(result, ExecutionResult):
        raise DocumentRefusedError([InputInvalidError("Answers in several parts are not given here.")])
    return result


def _operation(schema: strawberry.Schema, document: Document, name: str | None) -> OperationDefinitionNode:
    try:
        operation = document.operation(name)
    except GraphQLError as error:
        raise DocumentRefusedError([error]) from None
    kind = operation.operation
    if kind is OperationType.SUBSCRIPTION or schema._schema.get_root_type(kind) is None:  # noqa: SLF001 - as above
        raise DocumentRefusedError([InputInvalidError("Operations of this kind are not served here.")])
    return operation


@dataclass(slots=True)
class _Plan:
    """How the fields of one selection set are answered.

    Attributes:
        fields: the set itself, kept alive because it is found by its identity.
        steps: response name, what is known of the field if it is plain, its nodes.
        type_names: response names under which `__typename` is asked for.
        trusted: classes whose instances are known to be answered well.
        cast: whether an instance may say of itself that it is of another type.
    """

    fields: GroupedFieldSet
    steps: list[tuple[str, PlainField | None, FieldDetailsList]]
    type_names: frozenset[str]
    trusted: set[type]
    cast: bool


class PlainExecutor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's executor with a shorter way for plain fields; usable as its `execution_context_class`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        manager = self.middleware_manager
        directive = self.schema.get_directive
        self._short = not (
            (manager and manager.middlewares) or self.abort_signal or directive("defer") or directive("stream")
        )
        self._plain = plain_fields(self.schema) if self._short else None
        self._plans: dict[tuple[GraphQLObjectType, int], _Plan] = {}

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """The fields of one object, in their order."""
        if not self._short:
            return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
        return self._object(parent_type, source_value, path, self._plan(parent_type, grouped_field_set))

    def complete_list_value(
        self,
        return_type: Any,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """A list that a resolver gave: of objects in one loop; of anything else, graphql-core's way."""
        below = items_of(return_type) if self._short and type(result) in {list, tuple} else None
        plan = self._plan_below(below, field_details_list) if below is not None else None
        if below is None or plan is None:
            return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)
        return self._list(below, return_type.of_type, field_details_list, info, path, result, plan)

    def _plan(self, parent_type: GraphQLObjectType, fields: GroupedFieldSet) -> _Plan:
        key = (parent_type, id(fields))
        plan = self._plans.get(key)
        if plan is None:
            assert self._plain is not None  # noqa: S101 - plans are only made on the short way
            known = self._plain
            asked = [(name, details[0].node.name.value, details) for name, details in fields.items()]
            plan = self._plans[key] = _Plan(
                fields,
                [(name, known.field(parent_type, field), details) for name, field, details in asked],
                frozenset(name for name, field, _ in asked if field == "__typename"),
                set(),
                cast=parent_type.is_type_of is not None,
            )
        return plan

    def _plan_below(self, type_: GraphQLObjectType, details: FieldDetailsList) -> _Plan | None:
        """The plan of what is selected of an object; None where graphql-core has to say what is wrong with it."""
        with suppress(Exception):
            return self._plan(type_, self.collect_subfields(type_, details).grouped_field_set)
        return None

    def _object(self, parent_type: GraphQLObjectType, source: Any, path: Path | None, plan: _Plan) -> Any:
        """What graphql-core's `execute_fields` answers: a dict, or an awaitable of it where a part is awaited."""
        answer: dict[str, Any] = {}
        awaited: list[str] = []
        try:
            for name, field, details in plan.steps:
                if field is None:
                    if name in plan.type_names:
                        answer[name] = parent_type.name
                        continue
                    value = self.execute_field(parent_type, source, details, Path(path, name, parent_type.name), None)
                    if value is Undefined:
                        continue
                else:
                    try:
                        value = getattr(source, field.attribute)
                    except Exception as error:  # noqa: BLE001 - whatever reading raises is the field's error
                        value = error
                    if type(value) is field.exact or (value is None and field.nullable):
                        answer[name] = value
                        continue
                    value = self._value(parent_type, field, details, path, name, value)
                answer[name] = value
                if self.is_awaitable(value):
                    awaited.append(name)
        except Exception:
            if awaited:
                self.settle_in_background([answer[name] for name in awaited])
            raise
        return _gathered(answer, awaited) if awaited else answer

    def _value(
        self,
        parent_type: GraphQLObjectType,
        field: PlainField,
        details: FieldDetailsList,
        path: Path | None,
        name: str,
        value: Any,
    ) -> Any:
        """A plain field's value that is not answered as it is: converted, entered, or handed on."""
        convert = field.convert.get(type(value))
        if convert is not None:
            with suppress(Exception):  # graphql-core converts it again, and says what is wrong with it
                converted = convert(value)
                if converted is not None and converted is not Undefined:
                    return converted
        here = Path(path, name, parent_type.name)
        below = field.below
        if below is not None:
            plan = self._plan_below(below, details)
            if plan is not None and field.listed and type(value) in {list, tuple}:
                return self._complete(parent_type, field, details, here, value, (below, plan))
            if plan is not None and not field.listed and self._trusts(below, value, plan):
                return self._complete(parent_type, field, details, here, value, (below, plan))
        return self._complete(parent_type, field, details, here, value, None)

    def _complete(
        self,
        parent_type: GraphQLObjectType,
        field: PlainField,
        details: FieldDetailsList,
        path: Path,
        value: Any,
        short: tuple[GraphQLObjectType, _Plan] | None,
    ) -> Any:
        """The second half of graphql-core's `execute_field`, for a value that has been resolved."""
        type_ = field.type
        try:
            if short is not None and not field.listed:
                completed = self._object(short[0], value, path, short[1])
            else:
                nodes = [detail.node for detail in details]
                info = self.build_resolve_info(field.definition, nodes, parent_type, path)
                if short is not None:
                    completed = self._list(short[0], field.item_type, details, info, path, value, short[1])
                elif self.is_awaitable(value):
                    return self.complete_awaitable_value(type_, details, info, path, value, None)
                else:
                    completed = self.complete_value(type_, details, info, path, value, None)
        except Exception as error:  # noqa: BLE001 - as graphql-core
            self.handle_field_error(error, type_, details, path)
            return None
        if self.is_awaitable(completed):
            return self._awaited(completed, type_, details, path)
        return completed

    def _list(
        self,
        below: GraphQLObjectType,
        item_type: GraphQLOutputType,
        details: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: list[Any] | tuple[Any, ...],
        plan: _Plan,
    ) -> Any:
        """What graphql-core's `complete_iterable_value` answers for a list of objects of one type."""
        answer: list[Any] = []
        awaited: list[int] = []
        iterator: Iterator[Any] = iter(items)
        try:
            for index, item in enumerate(iterator):
                here = Path(path, index, None)
                if self._trusts(below, item, plan):
                    try:
                        value = self._object(below, item, here, plan)
                    except Exception as error:  # noqa: BLE001 - as graphql-core
                        self.handle_field_error(error, item_type, details, here)
                        value = None
                    if type(value) is not dict and self.is_awaitable(value):
                        value = self._awaited(value, item_type, details, here)
                        awaited.append(index)
                    answer.append(value)
                elif self.is_awaitable(item):
                    value = self.complete_awaitable_list_item_value(item, item_type, details, info, here, None)
                    answer.append(value)
                    awaited.append(index)
                elif self.complete_list_item_value(item, answer, item_type, details, info, here, None):
                    awaited.append(index)
        except Exception:
            left = [answer[index] for index in awaited]
            left.extend(item for item in iterator if self.is_awaitable(item))
            if left:
                self.settle_in_background(left)
            raise
        return _gathered(answer, awaited) if awaited else answer

    @staticmethod
    def _trusts(below: GraphQLObjectType, value: Any, plan: _Plan) -> bool:
        """Whether graphql-core would take `value` for an object of this type without further ado."""
        kind = type(value)
        if kind not in plan.trusted:
            if not trusts(below, kind):
                return False
            plan.trusted.add(kind)
        return not plan.cast or getattr(value, TYPE_CAST_ATTRIBUTE, None) is None

    async def _awaited(
        self, completed: Awaitable[Any], type_: GraphQLOutputType, details: FieldDetailsList, path: Path
    ) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001 - as graphql-core
            self.handle_field_error(error, type_, details, path)
            return None


async def _gathered(answer: Any, awaited: list[Any]) -> Any:
    """The answer with its awaitable parts in place, awaited side by side."""
    if len(awaited) == 1:
        answer[awaited[0]] = await answer[awaited[0]]
        return answer
    values = await gather_with_cancel(*(answer[place] for place in awaited))
    for place, value in zip(awaited, values, strict=True):
        answer[place] = value
    return answer
