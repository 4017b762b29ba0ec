"""The values of an operation's variables and of a field's arguments, without graphql-core's work where it is not needed.

A variable of a built-in scalar that is given a value of exactly the class the scalar passes through is taken as it is;
every other operation's variables are graphql-core's to coerce, and to refuse. Arguments that name no variable are
coerced once for each plan, where no value of theirs could be changed by a resolver.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    FieldNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    ValueNode,
    VariableNode,
)
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_argument_values,
    get_variable_values,
)
from graphql.type import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT

from schema.execution.errors import VariablesRefusedError

_PASSED: Final[Mapping[GraphQLScalarType, type]] = {
    GraphQLString: str,
    GraphQLID: str,
    GraphQLBoolean: bool,
    GraphQLInt: int,
}
_UNCHANGEABLE: Final = frozenset({type(None), str, int, float, bool})
_ABSENT: Final = object()
_MOST_ERRORS: Final = 50  # as many as graphql-core tells of unless it is told otherwise

Arguments = Callable[[VariableValues], dict[str, Any]]


class Variables:
    """The variables of one operation.

    Args:
        schema: what their types are of.
        operation: whose they are.
    """

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._definitions = operation.variable_definitions or ()
        self._exact = self._learn()

    def coerced(self, given: Mapping[str, Any] | None) -> VariableValues:
        """The values, coerced.

        Raises:
            VariablesRefusedError: one does not fit its type.
        """
        if not self._definitions:
            return VariableValues({}, {})
        values = given or {}
        if self._exact is not None:
            found = self._as_they_are(values, self._exact)
            if found is not None:
                return found
        made = get_variable_values(self._schema, self._definitions, dict(values), max_errors=_MOST_ERRORS)
        if isinstance(made, list):
            raise VariablesRefusedError(made)
        return made

    @staticmethod
    def _as_they_are(given: Mapping[str, Any], exact: Sequence[tuple[str, type, Any]]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for name, kind, signature in exact:
            value = given.get(name)
            if type(value) is not kind or (type(value) is int and not GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT):
                return None
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = value
        return VariableValues(sources, coerced)

    def _learn(self) -> Sequence[tuple[str, type, Any]] | None:
        found: list[tuple[str, type, Any]] = []
        for definition in self._definitions:
            signature = get_variable_signature(self._schema, definition)
            if isinstance(signature, GraphQLError):
                return None
            type_ = signature.type
            named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            kind = _PASSED.get(named) if isinstance(named, GraphQLScalarType) else None
            if kind is None:
                return None
            found.append((signature.name, kind, signature))
        return found


def arguments_of(definition: GraphQLField, node: FieldNode) -> Arguments:
    """What gives a field's arguments, for each request's variables, as graphql-core would."""
    if not definition.args:
        return _none
    given = {argument.name.value: argument.value for argument in node.arguments or ()}

    def everything(variables: VariableValues) -> dict[str, Any]:
        return get_argument_values(definition, node, variables)

    direct = {name for name, value in given.items() if isinstance(value, VariableNode)}
    if any(_names_a_variable(value) for name, value in given.items() if name not in direct):
        return everything
    constant = _constant(definition, node, direct)
    if constant is None:
        return everything
    if not direct:
        return lambda _variables: constant
    steps = _steps(definition, given, constant)

    def quickly(variables: VariableValues) -> dict[str, Any]:
        coerced = variables.coerced
        made: dict[str, Any] = {}
        for step in steps:
            if step.variable is None:
                made[step.out] = step.constant
                continue
            value = coerced.get(step.variable, _ABSENT)
            if value is _ABSENT or (value is None and step.firm):
                return everything(variables)
            made[step.out] = value
        return made

    return quickly


@dataclass(frozen=True, slots=True)
class _Step:
    out: str
    variable: str | None
    constant: Any
    firm: bool


def _steps(definition: GraphQLField, given: Mapping[str, ValueNode], constant: Mapping[str, Any]) -> list[_Step]:
    """How each argument comes by its value, of those that have one."""
    steps: list[_Step] = []
    for name, argument in definition.args.items():
        out = argument.out_name or name
        value = given.get(name)
        if isinstance(value, VariableNode):
            steps.append(_Step(out, value.name.value, None, firm=isinstance(argument.type, GraphQLNonNull)))
        elif out in constant:
            steps.append(_Step(out, None, constant[out], firm=False))
    return steps


def _none(_variables: VariableValues) -> dict[str, Any]:
    return {}


def _names_a_variable(value: Any) -> bool:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VariableNode):
            return True
        if isinstance(node, ListValueNode):
            waiting.extend(node.values)
        elif isinstance(node, ObjectValueNode):
            waiting.extend(entry.value for entry in node.fields)
    return False


def _constant(definition: GraphQLField, node: FieldNode, direct: set[str]) -> dict[str, Any] | None:
    """The arguments that name no variable; None where they are not the same for every request, or do not fit."""
    rest = {name: argument for name, argument in definition.args.items() if name not in direct}
    try:
        found = get_argument_values(GraphQLField(definition.type, args=rest), node)
    except GraphQLError:
        return None
    return found if all(type(value) in _UNCHANGEABLE for value in found.values()) else None
