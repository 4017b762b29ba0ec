"""Runs GraphQL operations by generated code, with graphql-core's own answers. Knows nothing of Confide."""

from schema.execution.errors import ExecutionError, NotServedError, VariablesRefusedError
from schema.execution.plans import Plan, Plans
from schema.execution.running import execute, plans_of

__all__ = ["ExecutionError", "NotServedError", "Plan", "Plans", "VariablesRefusedError", "execute", "plans_of"]
