"""Looks once at every node of a document and counts; `cost` says what becomes of the counts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_interface_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
    is_union_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from schema.cost import CEILING, Counts, MeasuredDocument, Part, Scope, Size, Steps, fold, join, sort_fragments
from schema.errors import PageSizeError, QueryTooComplexError, QueryTooLargeError
from schema.limits import Limits

PAGE_ARGUMENTS: Final = ("first", "last")
LIST_ARGUMENTS: Final = ("ids",)
# A field of introspection touches no data, and most of what the usual query asks of a type's wrappings is not there.
INTROSPECTION: Final = Fraction(1, 4)


class Gauge:
    """Measures documents against one schema and one set of limits."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._facts: dict[tuple[str, str], _FieldFacts | None] = {}
        self._catalogue = _introspection_sizes(schema)

    def measure(self, document: DocumentNode) -> MeasuredDocument:
        """The measure of `document`; time and memory are linear in its size.

        Raises:
            QueryTooComplexError, QueryTooLargeError: with the limit that was exceeded.
            PageSizeError: a page is larger than allowed.
        """
        limits = self._limits
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
        _allow("operations", len(operations), limits.operations, QueryTooLargeError)
        _allow("fragments", len(fragments), limits.fragments, QueryTooLargeError)
        walk = _Walk(self, limits)
        # Definitions of one name are invalid; the first counts here, validation refuses the document.
        parts: dict[str, Part] = {}
        for fragment in fragments:
            parts.setdefault(fragment.name.value, walk.part(fragment, self.condition(fragment)))
        measured: dict[str | None, Part] = {}
        defaults: dict[str | None, dict[str, Any]] = {}
        for operation in operations:
            name = operation.name.value if operation.name else None
            measured.setdefault(name, walk.part(operation, self._schema.get_root_type(operation.operation)))
            defaults.setdefault(name, _defaults(operation))
        _allow("spreads", walk.spreads, limits.spreads, QueryTooLargeError)
        _allow("repeats", walk.repeats, limits.repeats, QueryTooComplexError)
        order = [*sort_fragments(parts, walk), *measured.values()]
        program: list[Scope] = []
        for part in order:
            join(part, parts, walk)
            program.extend(fold(part, parts, walk))
        for place, scope in enumerate(program):
            scope.index = place
        for part in measured.values():
            _check(part.counts, limits)
            _allow("root_fields", part.counts.root_fields, limits.root_fields, QueryTooComplexError)
        for part in parts.values():
            _check(part.counts, limits)
        return MeasuredDocument(measured, defaults, tuple(program), limits, walk.steps)

    def condition(self, node: FragmentDefinitionNode | InlineFragmentNode) -> GraphQLNamedType | None:
        """The type a fragment is on, if there is one."""
        return self._schema.get_type(node.type_condition.name.value) if node.type_condition else None

    def facts(self, parent: GraphQLNamedType | None, name: str) -> "_FieldFacts | None":
        """What is known of a field; None where there is no such field."""
        if parent is None or not (is_object_type(parent) or is_interface_type(parent) or is_union_type(parent)):
            return None
        key = (parent.name, name)
        found = self._facts.get(key)
        if found is None:
            definition = self._schema.get_field(parent, name)
            if definition is None:
                return None
            found = self._facts[key] = self._learn(parent, name, definition)
        return found

    def _learn(self, parent: GraphQLNamedType, name: str, definition: GraphQLField) -> "_FieldFacts":
        named = get_named_type(definition.type)
        if name in {"__schema", "__type"}:
            return _FieldFacts(named, (), (), INTROSPECTION, paged=False)
        of_objects = _is_list(definition.type) and is_composite_type(named)
        arguments = definition.args
        paging = tuple(argument for argument in PAGE_ARGUMENTS if argument in arguments)
        counted = tuple(argument for argument in LIST_ARGUMENTS if argument in arguments) if of_objects else ()
        if paging:
            given = [coerce_default_value(arguments[argument]) for argument in paging]
            usual = [value for value in given if isinstance(value, int)]
            return _FieldFacts(named, paging, (), max(usual, default=self._limits.page), paged=True)
        if not of_objects:
            return _FieldFacts(named, (), (), 1, paged=False)
        inside, alone = self._catalogue.get((parent.name, name), (None, self._limits.assumed_list))
        return _FieldFacts(named, (), counted, alone, paged=parent.name == "__Schema", inside=inside)


@dataclass(frozen=True, slots=True)
class _FieldFacts:
    """What the schema says of a field.

    `otherwise` is the length of its list where no argument says; `inside` the same directly below a page, whose own
    list it is (`edges`, `nodes`) unless given.
    """

    named: GraphQLNamedType
    paging: tuple[str, ...]
    counted: tuple[str, ...]
    otherwise: int | Fraction
    paged: bool
    inside: Fraction | None = None


def _is_list(type_: Any) -> bool:
    while is_non_null_type(type_):
        type_ = type_.of_type
    return bool(is_list_type(type_))


def _introspection_sizes(schema: GraphQLSchema) -> dict[tuple[str, str], tuple[Fraction, int | Fraction]]:
    """How long the lists of introspection are: `(on the average of all types, at the most)`."""
    types = list(schema.type_map.values())
    fields = [len(type_.fields) for type_ in types if isinstance(type_, (GraphQLObjectType, GraphQLInterfaceType))]
    lists = {
        "fields": fields,
        "inputFields": [len(type_.fields) for type_ in types if isinstance(type_, GraphQLInputObjectType)],
        "enumValues": [len(type_.values) for type_ in types if isinstance(type_, GraphQLEnumType)],
        "interfaces": [len(type_.interfaces) for type_ in types if isinstance(type_, GraphQLObjectType)],
        "possibleTypes": [len(schema.get_possible_types(type_)) for type_ in types if is_abstract_type(type_)],
    }
    objects = [type_ for type_ in types if isinstance(type_, GraphQLObjectType)]
    arguments = Fraction(
        sum(len(definition.args) for type_ in objects for definition in type_.fields.values()), max(1, sum(fields))
    )
    whole = Fraction(len(types))
    sizes: dict[tuple[str, str], tuple[Fraction, int | Fraction]] = {
        ("__Schema", "types"): (whole, len(types)),
        ("__Schema", "directives"): (whole, len(schema.directives)),
        ("__Field", "args"): (arguments, arguments),
        ("__Directive", "args"): (Fraction(2), 2),
    }
    for name, lengths in lists.items():
        sizes["__Type", name] = (Fraction(sum(lengths), len(types)), max([1, *lengths]))
    return sizes


class _Walk(Steps):
    """Looks once at every node of every definition."""

    def __init__(self, gauge: Gauge, limits: Limits) -> None:
        self._gauge = gauge
        self._limits = limits
        super().__init__()
        self.spreads = 0
        self.repeats = 0

    def part(
        self, definition: OperationDefinitionNode | FragmentDefinitionNode, type_: GraphQLNamedType | None
    ) -> Part:
        part = Part(Counts(), [Scope()], [])
        self._directives(definition.directives, part.counts)
        if isinstance(definition, OperationDefinitionNode):
            for variable in definition.variable_definitions or ():
                self._directives(variable.directives, part.counts)
                if variable.default_value:
                    self._values([variable.default_value])
        # Selection set, its type, the fields and the selection sets around it, its scope, whether that is a page's,
        # and the response names it has had (inline fragments share those of the set they stand in).
        stack: list[_Place] = [_Place(definition.selection_set, type_, 0, 1, part.top, False, Counter())]
        while stack:
            self._selections(stack.pop(), part, stack)
        return part

    def _selections(self, place: "_Place", part: Part, stack: list["_Place"]) -> None:
        counts = part.counts
        counts.nesting = max(counts.nesting, place.nesting)
        for node in place.selections.selections:
            self.steps += 1
            self._directives(node.directives, counts)
            if isinstance(node, FieldNode):
                self._field(node, place, part, stack)
            elif isinstance(node, FragmentSpreadNode):
                self.spreads += 1
                part.spreads.append((node.name.value, place.depth, place.nesting, place.depth == 0))
                place.scope.spreads.append(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                type_ = self._gauge.condition(node) if node.type_condition else place.type
                stack.append(place.inside(node.selection_set, type_))

    def _field(self, node: FieldNode, place: "_Place", part: Part, stack: list["_Place"]) -> None:
        counts = part.counts
        counts.fields += 1
        counts.root_fields += place.depth == 0
        counts.depth = max(counts.depth, place.depth + 1)
        place.scope.number += 1
        if node.alias:
            counts.aliases += 1
        name = node.alias.value if node.alias else node.name.value
        if name in place.names:
            self.repeats += 1
        place.names[name] += 1
        if node.arguments:
            self._values(argument.value for argument in node.arguments)
        if node.selection_set is None:
            return
        facts = self._gauge.facts(place.type, node.name.value)
        scope = place.scope
        if facts is not None:
            size = self._size(facts, node.arguments or (), in_page=place.in_page)
            if size != 1:
                scope = Scope()
                part.scopes.append(scope)
                place.scope.terms.append((size, scope))
        stack.append(
            _Place(
                node.selection_set,
                facts.named if facts else None,
                place.depth + 1,
                place.nesting + 1,
                scope,
                bool(facts and facts.paged),
                Counter(),
            )
        )

    def _size(self, facts: _FieldFacts, arguments: Iterable[ArgumentNode], *, in_page: bool) -> int | Fraction | Size:
        sizing = facts.paging or facts.counted
        if not sizing:
            if in_page:
                return 1 if facts.inside is None else facts.inside
            return facts.otherwise
        fixed: int | None = None
        variables: list[tuple[str, bool]] = []
        for argument in arguments:
            if argument.name.value not in sizing:
                continue
            counted = not facts.paging
            value = argument.value
            if isinstance(value, VariableNode):
                variables.append((value.name.value, counted))
            elif not isinstance(value, NullValueNode):
                fixed = max(fixed or 0, self._literal_size(value, counted=counted))
        if variables:
            return Size(fixed, tuple(variables), int(facts.otherwise))
        return facts.otherwise if fixed is None else fixed

    def _literal_size(self, value: ValueNode, *, counted: bool) -> int:
        page = self._limits.page
        if counted:
            return len(value.values) if isinstance(value, ListValueNode) else 1
        if not isinstance(value, IntValueNode):
            return page  # validation refuses it
        # Twelve characters hold more than any page; longer numbers are not worth converting.
        number = int(value.value) if len(value.value) <= 12 else CEILING  # noqa: PLR2004 - see above
        if number > page:
            raise PageSizeError(page)
        return max(0, number)

    def _directives(self, directives: Iterable[DirectiveNode] | None, counts: Counts) -> None:
        if not directives:
            return
        number = 0
        for directive in directives:
            number += 1
            self.steps += 1
            if directive.arguments:
                self._values(argument.value for argument in directive.arguments)
        counts.directives += number
        _allow("directives_at_once", number, self._limits.directives_at_once, QueryTooComplexError)

    def _values(self, values: Iterable[ValueNode]) -> None:
        """Look through literals, level by level."""
        level, depth = values, 0
        while True:
            deeper: list[ValueNode] = []
            containers = False
            for value in level:
                self.steps += 1
                if isinstance(value, ListValueNode):
                    _allow("list_items", len(value.values), self._limits.list_items, QueryTooLargeError)
                    containers = True
                    deeper.extend(value.values)
                elif isinstance(value, ObjectValueNode):
                    containers = True
                    deeper.extend(entry.value for entry in value.fields)
            if not containers:
                return
            depth += 1
            _allow("value_depth", depth, self._limits.value_depth, QueryTooLargeError)
            level = deeper


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a selection set stands; see `_Walk.part`."""

    selections: SelectionSetNode
    type: GraphQLNamedType | None
    depth: int
    nesting: int
    scope: Scope
    in_page: bool
    names: Counter[str]

    def inside(self, selections: SelectionSetNode, type_: GraphQLNamedType | None) -> "_Place":
        return _Place(selections, type_, self.depth, self.nesting + 1, self.scope, self.in_page, self.names)


def _check(counts: Counts, limits: Limits) -> None:
    for name in ("nesting", "depth", "fields", "aliases", "directives"):
        _allow(name, getattr(counts, name), getattr(limits, name), QueryTooComplexError)


def _allow(name: str, value: int, maximum: int, error: type[QueryTooComplexError] | type[QueryTooLargeError]) -> None:
    if value > maximum:
        raise error(name, value, maximum)


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """The default values of an operation's variables, as far as sizes need them."""
    found: dict[str, Any] = {}
    for variable in operation.variable_definitions or ():
        value = variable.default_value
        if isinstance(value, IntValueNode):
            found[variable.variable.name.value] = int(value.value) if len(value.value) <= 12 else CEILING  # noqa: PLR2004 - as for literals
        elif isinstance(value, ListValueNode):
            found[variable.variable.name.value] = list(value.values)
    return found
