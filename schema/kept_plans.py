"""What operations touch, worked out once for each document and kept with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import FragmentDefinitionNode, OperationDefinitionNode, OperationType

from schema.build import BuiltSchema
from schema.documents import Document
from schema.errors import InputInvalidError
from schema.planning import Plan, switches_of

__all__ = ["KeptPlans"]

_PLANS = "plans"
_MOST_PLANS = 64
_ERASE = ("Mutation", "eraseCustomer")
_COMPLETE = ("Mutation", "completePrivacyRequest")


class KeptPlans:
    """The plans of one schema's operations.

    A plan says which catalogue fields an operation reads, filters by or writes. It holds no decision, so it outlives a
    policy: what the fields come to is looked up for each request.
    """

    def __init__(self, built: BuiltSchema) -> None:
        self._built = built

    def of(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        operation_name: str | None,
        variables: Mapping[str, Any] | None,
    ) -> tuple[Plan, bool]:
        """The operation's plan under its directives' variables, and whether it touches personal fields.

        Kept with the document for each combination of the variables that its directives name, up to a bound.

        Raises:
            InputInvalidError: An erasure is not alone in its operation.
        """
        kept: _Plans | None = document.slots.get(_PLANS)
        if kept is None:
            kept = _Plans(switches_of(document.node), {})
            document.attach(_PLANS, kept)
        given = {**_defaults(operation), **(variables or {})}
        key = (id(operation), tuple(bool(given.get(name)) for name in kept.switches))
        found = kept.plans.get(key)
        if found is None:
            while len(kept.plans) >= _MOST_PLANS:
                del kept.plans[next(iter(kept.plans))]
            plan = self._planned(document, operation, given)
            if plan.alone and document.cost(operation_name, variables).root_fields > 1:
                raise InputInvalidError(
                    "eraseCustomer or completePrivacyRequest must be the only field of its operation."
                )
            found = kept.plans[key] = plan, plan.touches_people(operation)
        return found

    def _planned(self, document: Document, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> Plan:
        plan = Plan(self._built.schema._schema, self._built.paths, _fragments(document), given)  # noqa: SLF001 - Strawberry gives no public way to it
        plan.erases = _ERASE in plan.operation(operation)
        plan.alone = plan.erases or _COMPLETE in plan.operation(operation)
        plan.writes = operation.operation is OperationType.MUTATION
        return plan


@dataclass(frozen=True, slots=True)
class _Plans:
    """A document's plans: the variables its `@skip` and `@include` name, and a plan for each of their combinations."""

    switches: tuple[str, ...]
    plans: dict[tuple[int, tuple[bool, ...]], tuple[Plan, bool]]


def _fragments(document: Document) -> Mapping[str, FragmentDefinitionNode]:
    return {
        definition.name.value: definition
        for definition in document.node.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    return {
        definition.variable.name.value: getattr(definition.default_value, "value", None)
        for definition in operation.variable_definitions or ()
        if definition.default_value is not None
    }
