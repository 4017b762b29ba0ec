"""Plans of operations, kept as long as there is room.

A plan belongs to one operation of one document under one schema, to one combination of the variables that `@skip` and
`@include` name, and to whatever version the caller names. Its code is written when it is first needed. What is kept is
bounded by the number of plans, of the fields written in them and of the characters of their documents; the least
recently used goes first. Nothing of a request's variables is kept but what `@skip` and `@include` make of it.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    assert_valid_schema,
)
from graphql.execution.collect_fields import FragmentDetails, GroupedFieldSet
from graphql.execution.execute import default_field_resolver, default_type_resolver
from graphql.execution.executor import CollectedErrors
from graphql.execution.values import VariableValues
from graphql.type import GraphQLResolveInfoHelpers
from strawberry.execution import optimized_is_awaitable

from schema.execution.executor import CompiledExecutor
from schema.execution.program import Program
from schema.execution.variables import Variables

MOST_PLANS: Final = 512
MOST_FIELDS: Final = 20_000  # about 55 MiB of code
MOST_CHARACTERS: Final = 150_000  # a parsed document takes up to 275 bytes for each character: about 40 MiB
MOST_IN_ONE: Final = 2_000
AFTER: Final = 1  # a document that comes once, as somebody's who tries documents, costs no writing of code
_ABSENT: Final = object()
_SWITCHES: Final = frozenset({"skip", "include"})


class Operation:
    """One operation of a document: what does not depend on a request."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode) -> None:
        self.document = document
        self.node = node
        self.fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self.characters = 0 if document.loc is None else len(document.loc.source.body)
        self.variables = Variables(schema, node)
        self.switches = _switches(node, self.fragments)
        self.plans = 0
        self.compiled = (
            node.operation is OperationType.QUERY
            and not schema.get_directive("defer")
            and not schema.get_directive("stream")
            and not any(each.variable_definitions for each in self.fragments.values())
        )


class Plan:
    """How one operation is answered under one combination of its switches.

    Attributes:
        program: the code; None where graphql-core answers everything.
        asked: how many requests came before this one.
    """

    def __init__(
        self, schema: GraphQLSchema, operation: Operation, values: VariableValues, *, structs: bool, after: int
    ) -> None:
        self.operation = operation
        self.asked = 0
        self._after = after
        self._fields: tuple[GraphQLObjectType, GroupedFieldSet] | None = None
        # What else this request brought is nothing to the next, and may be somebody's address.
        switched = VariableValues(
            {name: each for name, each in values.sources.items() if name in operation.switches},
            {name: each for name, each in values.coerced.items() if name in operation.switches},
        )
        template = CompiledExecutor(
            schema,
            operation.fragments,
            {name: FragmentDetails(each) for name, each in operation.fragments.items()},
            None,
            None,
            operation.node,
            switched,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            is_awaitable=optimized_is_awaitable,
            operation_extensions=None,
        )
        self.program: Program | None = None
        if operation.compiled:

            def collect(type_: Any, details: Any) -> GroupedFieldSet:
                return template.collect_subfields(type_, details).grouped_field_set

            self.program = Program(schema, collect, structs=structs, most=MOST_IN_ONE)
        template.program = self.program
        template.functions = {}
        # The fields collected for one combination of switches are the same for every request: they stay with the plan.
        self._template = vars(template)

    @property
    def compiled(self) -> bool:
        """Whether the next request is answered by code."""
        return self.program is not None and self.asked >= self._after

    @property
    def fields(self) -> int:
        """How many fields are written in its code."""
        return 0 if self.program is None else self.program.fields

    def root(self, executor: CompiledExecutor) -> Any:
        """The answer of the operation, or an awaitable of it.

        Raises:
            GraphQLError: as graphql-core's own, where an error bubbles to the top.
        """
        if self._fields is None:
            self._fields = executor.root_fields()
        type_, fields = self._fields
        return executor.execute_fields(type_, executor.root_value, None, fields, None)

    def executor(self, values: VariableValues, root: Any, context: Any) -> CompiledExecutor:
        """What runs one request."""
        made = CompiledExecutor.__new__(CompiledExecutor)
        made.__dict__ = own = self._template.copy()
        own["root_value"] = root
        own["context_value"] = context
        own["variable_values"] = values
        own["collected_errors"] = CollectedErrors()
        own["pending_incremental_futures"] = set()
        own["background_futures"] = set()
        own["async_helpers"] = GraphQLResolveInfoHelpers(made.gather_async_work, made.track_async_work)
        if not self.compiled:
            own["program"] = None
            own["_relevant_sub_fields"] = {}
        return made


class Plans:
    """The plans of one schema.

    Args:
        schema: whose operations they are.
        most: how many plans are kept.
        fields: how many fields are written in the code of all of them.
        characters: how many characters their documents have, all together.
        after: how many requests of a plan graphql-core answers before its code is written.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        most: int = MOST_PLANS,
        fields: int = MOST_FIELDS,
        characters: int = MOST_CHARACTERS,
        after: int = AFTER,
    ) -> None:
        assert_valid_schema(schema)
        self._schema = schema
        self._most = most
        self._after = after
        self._fields = fields
        self._most_characters = characters
        # By identity: an operation is kept by its entry, so no other can have its identity meanwhile.
        self._operations: dict[int, Operation] = {}
        self._plans: OrderedDict[tuple[Hashable, ...], Plan] = OrderedDict()

    def __len__(self) -> int:
        return len(self._plans)

    @property
    def fields(self) -> int:
        """How many fields are written in the code of all plans."""
        return sum(plan.fields for plan in self._plans.values())

    @property
    def characters(self) -> int:
        """How many characters the documents of all plans have; each document counts once."""
        return sum({id(each.document): each.characters for each in self._operations.values()}.values())

    def plan(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        given: Mapping[str, Any] | None,
        *,
        version: Hashable = None,
        structs: bool = False,
    ) -> tuple[Plan, VariableValues]:
        """The plan of an operation for these variables, and the variables coerced.

        Args:
            document: the validated document; not to be changed.
            node: one of its operations.
            given: the variables' values as they came.
            version: of whatever else a plan of the caller's depends on.
            structs: whether the answer is only to become JSON.

        Raises:
            VariablesRefusedError: a variable does not fit.
        """
        operation = self._operations.get(id(node)) or Operation(self._schema, document, node)
        values = operation.variables.coerced(given)
        switches = operation.switches
        switched = tuple([values.coerced.get(name, _ABSENT) for name in switches]) if switches else ()
        key = (id(node), switched, version, structs)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            plan.asked += 1
            return plan, values
        plan = self._plans[key] = Plan(self._schema, operation, values, structs=structs, after=self._after)
        self._operations[id(node)] = operation
        operation.plans += 1
        self._make_room()
        return plan, values

    def _make_room(self) -> None:
        """Give up the least recently used; what the newest will hold is not known yet."""
        held, characters = self.fields, self.characters
        while len(self._plans) > 1 and (
            len(self._plans) > self._most or held > self._fields or characters > self._most_characters
        ):
            _, dropped = self._plans.popitem(last=False)
            held -= dropped.fields
            operation = dropped.operation
            operation.plans -= 1
            if not operation.plans:
                del self._operations[id(operation.node)]
                characters = self.characters


def _switches(node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> tuple[str, ...]:
    """The variables that `@skip` and `@include` name, sorted."""
    found: set[str] = set()
    waiting: list[Any] = [node, *fragments.values()]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (FieldNode, InlineFragmentNode, FragmentSpreadNode)):
            found.update(
                argument.value.name.value
                for directive in one.directives or ()
                if directive.name.value in _SWITCHES
                for argument in directive.arguments or ()
                if isinstance(argument.value, VariableNode)
            )
        selection = getattr(one, "selection_set", None)
        if selection is not None:
            waiting.extend(selection.selections)
    return tuple(sorted(found))
