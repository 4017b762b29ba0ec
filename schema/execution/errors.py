"""What the executor refuses.

ExecutionError
├── VariablesRefusedError   a variable's value does not fit, so nothing was run
└── NotServedError          an operation of a kind that is not run here
"""

from collections.abc import Sequence

from graphql import GraphQLError


class ExecutionError(Exception):
    """Everything that is raised here on purpose."""


class VariablesRefusedError(ExecutionError):
    """Nothing was run, as a variable's value does not fit.

    Attributes:
        errors: graphql-core's own, which quote the value.
    """

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("A variable has an invalid value.")
        self.errors = errors


class NotServedError(ExecutionError):
    """Nothing was run: subscriptions, and kinds of operations that the schema has not, are not run here."""
