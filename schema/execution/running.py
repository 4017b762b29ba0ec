"""Runs one operation of a validated document: the seam at which compiled code takes graphql-core's place."""

from collections.abc import Hashable, Mapping
from types import CoroutineType
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
)
from strawberry.execution import optimized_is_awaitable

from schema.execution.errors import NotServedError
from schema.execution.executor import CompiledExecutor
from schema.execution.plans import Plan, Plans

KEPT: Final = "execution.plans"


def plans_of(schema: strawberry.Schema) -> Plans:
    """The plans of a schema, kept in its extensions."""
    core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry gives no public way to it
    kept = core.extensions.get(KEPT)
    if not isinstance(kept, Plans):
        kept = core.extensions[KEPT] = Plans(core)
    return kept


async def execute(
    schema: strawberry.Schema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    *,
    variables: Mapping[str, Any] | None = None,
    root: Any = None,
    context: Any = None,
    version: Hashable = None,
    structs: bool = False,
) -> ExecutionResult:
    """Run an operation.

    Strawberry's scalars, enums, inputs and `Info` work as under `strawberry.Schema.execute`. Its schema extensions and
    operation directives do not run, and it logs no errors.

    Args:
        schema: what the document was validated against.
        document: the document; not to be changed as long as it may run again.
        operation: one of its operations, the very node.
        variables: their values as they came.
        root: the root value.
        context: what resolvers find in `info.context`.
        version: of whatever else the caller's plans depend on; plans of another version are not used.
        structs: answer objects as structs that `msgspec.json` encodes as it would the dicts, only quicker. They are of
            no other use.

    Returns:
        What graphql-core would: `data`, or null where an error bubbled to the top, and errors with paths.

    Raises:
        VariablesRefusedError: nothing was run, as a variable does not fit.
        NotServedError: nothing was run, as the operation is a subscription or the schema has none of its kind.
    """
    kind = operation.operation
    if kind is OperationType.SUBSCRIPTION or schema._schema.get_root_type(kind) is None:  # noqa: SLF001 - as above
        raise NotServedError
    plan, values = plans_of(schema).plan(document, operation, variables, version=version, structs=structs)
    executor = plan.executor(values, root, context)
    if plan.compiled:
        return await _compiled(plan, executor)
    result = executor.execute_operation()
    if optimized_is_awaitable(result):
        result = await result  # type: ignore[misc]  # awaitable, as was just asked
    if not isinstance(result, ExecutionResult):
        raise NotServedError
    return result


async def _compiled(plan: Plan, executor: CompiledExecutor) -> ExecutionResult:
    """What graphql-core's `execute_operation` answers, for a query."""
    errors = executor.collected_errors
    try:
        answer = plan.root(executor)
        if type(answer) is CoroutineType:  # all that is awaited was made here or by graphql-core
            answer = await answer
    except GraphQLError as error:
        errors.add(error, None)
        answer = None
    return ExecutionResult(answer, errors.errors or None)
