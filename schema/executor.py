"""Runs prepared documents: the seam between Confide's documents and `schema.execution`, which knows nothing of them."""

from collections.abc import Hashable, Mapping
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError

from schema import execution
from schema.documents import Document, quiet_variable_error
from schema.errors import DocumentRefusedError, InputInvalidError


async def execute(
    schema: strawberry.Schema,
    document: Document,
    *,
    variables: Mapping[str, Any] | None = None,
    root: Any = None,
    context: Any = None,
    operation_name: str | None = None,
    version: Hashable = None,
    structs: bool = False,
) -> ExecutionResult:
    """Run an operation of a prepared document; its cost is for the caller to check before.

    Returns:
        What graphql-core would; see `schema.execution.execute`.

    Raises:
        DocumentRefusedError: nothing was run, as the operation or a variable is not right.
    """
    try:
        return await execution.execute(
            schema,
            document.node,
            document.operation(operation_name),
            variables=variables,
            root=root,
            context=context,
            version=version,
            structs=structs,
        )
    except execution.VariablesRefusedError as error:
        refused = [quiet_variable_error(each) for each in error.errors]
    except execution.NotServedError:
        refused = [InputInvalidError("Operations of this kind are not served here.")]
    except GraphQLError as error:
        refused = [error]
    raise DocumentRefusedError(refused)
