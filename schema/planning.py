"""Which fields an operation selects, found once for each document.

The plan of a field is the set of (type, field) pairs anywhere below it. Fragments are looked at once each, so planning
is linear in the document however often a fragment is spread. Where `@skip` and `@include` depend on variables, each
combination of their values has a plan of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)
from graphql.language import BooleanValueNode, DirectiveNode

Selected = frozenset[tuple[str, str]]


def switches_of(document: DocumentNode) -> tuple[str, ...]:
    """The variables that `@skip` and `@include` anywhere in a document name, sorted."""
    found: set[str] = set()
    waiting: list[Any] = list(document.definitions)
    while waiting:
        node = waiting.pop()
        for directive in getattr(node, "directives", None) or ():
            found.update(
                argument.value.name.value
                for argument in directive.arguments or ()
                if isinstance(argument.value, VariableNode)
            )
        selection = getattr(node, "selection_set", None)
        if selection is not None:
            waiting += selection.selections
    return tuple(sorted(found))


_IMPERSONAL = frozenset({"policy", "__schema", "__type", "__typename"})


class Plan:
    """The selections of one operation under one set of directive variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        paths: Mapping[tuple[str, str], str],
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._paths = paths
        self._fragments = fragments
        self._variables = variables
        self._of_fragment: dict[str, Selected] = {}
        self._of_nodes: dict[tuple[int, ...], Selected] = {}
        self.erases = False
        self.alone = False
        self.writes = False
        self._names: dict[tuple[tuple[int, ...], str], frozenset[str]] = {}

    def operation(self, operation: OperationDefinitionNode) -> Selected:
        """Everything the operation selects."""
        root = self._schema.get_root_type(operation.operation)
        return frozenset() if root is None else self._selection(root, operation.selection_set)

    def selected(self, nodes: Sequence[FieldNode], returns: Any) -> Selected:
        """Everything selected below a field.

        Args:
            nodes: The field's nodes (several where it is selected twice).
            returns: The field's return type.
        """
        key = tuple(map(id, nodes))
        found = self._of_nodes.get(key)
        if found is None:
            below = get_named_type(returns)
            found = frozenset().union(
                *(
                    self._selection(below, node.selection_set)
                    for node in nodes
                    if node.selection_set is not None and is_composite_type(below)
                )
            )
            self._of_nodes[key] = found
        return found

    def names(self, nodes: Sequence[FieldNode], returns: Any, object_name: str) -> frozenset[str]:
        """The names in the catalogue of the object's fields selected below a field; kept, as `selected` is."""
        key = (tuple(map(id, nodes)), object_name)
        found = self._names.get(key)
        if found is None:
            prefix = f"{object_name}."
            found = self._names[key] = frozenset(
                path.removeprefix(prefix)
                for path in (self._paths.get(pair) for pair in self.selected(nodes, returns))
                if path is not None and path.startswith(prefix)
            )
        return found

    def touches_people(self, operation: OperationDefinitionNode) -> bool:
        """Whether the operation does anything but ask about the schema and the caller's own policy."""
        root = self._schema.get_root_type(operation.operation)
        return root is not None and any(
            parent == root.name and name not in _IMPERSONAL for parent, name in self.operation(operation)
        )

    def _selection(self, parent: GraphQLCompositeType, selection: SelectionSetNode) -> Selected:
        found: set[tuple[str, str]] = set()
        for node in selection.selections:
            if not self._included(node.directives):
                continue
            if isinstance(node, FieldNode):
                name = node.name.value
                found.add((parent.name, name))
                definition = self._schema.get_field(parent, name) if hasattr(parent, "fields") else None
                if node.selection_set is not None and definition is not None:
                    below = get_named_type(definition.type)
                    if is_composite_type(below):
                        found |= self._selection(below, node.selection_set)
            elif isinstance(node, InlineFragmentNode):
                found |= self._selection(self._condition(node.type_condition, parent), node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                found |= self._fragment(node.name.value)
        return frozenset(found)

    def _fragment(self, name: str) -> Selected:
        found = self._of_fragment.get(name)
        if found is None:
            self._of_fragment[name] = frozenset()  # validation refuses cycles; this ends them all the same
            definition = self._fragments.get(name)
            if definition is not None:
                parent = self._condition(definition.type_condition, None)
                found = self._selection(parent, definition.selection_set)
            self._of_fragment[name] = found = found or frozenset()
        return found

    def _condition(self, named: Any, parent: GraphQLCompositeType | None) -> GraphQLCompositeType:
        found = parent if named is None else self._schema.get_type(named.name.value)
        if not is_composite_type(found):
            raise TypeError("a validated document names only types that have fields")
        return found

    def _included(self, directives: Sequence[DirectiveNode] | None) -> bool:
        for directive in directives or ():
            name = directive.name.value
            if name in ("skip", "include") and directive.arguments:
                value = directive.arguments[0].value
                if isinstance(value, VariableNode):
                    holds = bool(self._variables.get(value.name.value))
                else:
                    holds = isinstance(value, BooleanValueNode) and value.value
                if holds is (name == "skip"):
                    return False
        return True
