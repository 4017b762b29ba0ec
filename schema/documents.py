"""Documents made ready once: parsed, bounded, validated and measured, and kept under the hash of their text.

A request with a document seen before pays for one hash and one look-up. What others derive from a document (which
catalogue fields it touches, a compiled plan) is attached to it and lives as long as it does.

Errors made here hold no literal of the document and no value of a variable: graphql-core quotes both, and either may
be somebody's e-mail address.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import strawberry
from graphql import (
    DocumentNode,
    FloatValueNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    IntValueNode,
    ListValueNode,
    NoSchemaIntrospectionCustomRule,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    ValueNode,
    Visitor,
    print_ast,
    specified_rules,
    validate,
    visit,
)
from graphql.language import SKIP, VisitorAction
from graphql.utilities.validate_input_value import validate_input_literal
from graphql.validation import ASTValidationRule, ValuesOfCorrectTypeRule
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.cost import Cost, MeasuredDocument
from schema.errors import DocumentRefusedError, InputInvalidError
from schema.gauge import Gauge
from schema.limits import Limits, parse_document

# Parsed documents take up to 275 bytes for each character of their text: this many characters, about 40 MiB.
BUDGET_CHARACTERS: Final = 150_000
MAX_ERRORS: Final = 20

_EXPECTED = re.compile(
    r"Expected (a )?value of (non-null )?type '[\w!\[\]]+' "
    r"(to include required field '\w+'|not to include unknown field|not to be None|to be an object|to be provided)"
)
_VARIABLE = re.compile(r"Variable '\$\w+' has invalid (default )?value( at [.\w\[\]]+)?")
_CONSTANT = frozenset(
    {
        "Variable values are nested too deeply.",
        "Too many errors processing variables, error limit reached. Execution aborted.",
    }
)


class Document:
    """A document that may run.

    Attributes:
        sha256: of the text, in hexadecimal; what clients name it by.
        name: the SHA-256 of the document without the literals in it; what the access log names it by. A literal may be
            somebody's e-mail address, and a hash of the whole text would let it be guessed.
        node: the parsed document. Not to be changed.
        slots: what others attached, each under a key of its own.
    """

    __slots__ = ("_measured", "_operations", "name", "node", "sha256", "slots", "text")

    def __init__(self, digest: str, text: str, node: DocumentNode, measured: MeasuredDocument) -> None:
        self.sha256 = digest
        self.name = _name(node)
        self.text = text
        self.node = node
        self.slots: dict[Any, Any] = {}
        self._measured = measured
        self._operations: dict[str | None, OperationDefinitionNode] = {
            definition.name.value if definition.name else None: definition
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }

    def attach(self, key: Any, value: Any) -> None:
        """Keep `value` with the document; it is found under `slots[key]` as long as the document is kept."""
        self.slots[key] = value

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation of this name, or the only one.

        Raises:
            InputInvalidError: there is none, or there are several and none was named.
        """
        if name is None:
            if len(self._operations) == 1:
                return next(iter(self._operations.values()))
            raise InputInvalidError("Name the operation: the document has several.", field="operationName")
        found = self._operations.get(name)
        if found is None:
            raise InputInvalidError("The document has no operation of this name.", field="operationName")
        return found

    def operation_type(self, name: str | None) -> OperationType:
        """Whether an operation is a query, a mutation or a subscription; raises as `operation` does."""
        return self.operation(name).operation

    def cost(self, operation_name: str | None, variables: Mapping[str, Any] | None = None) -> Cost:
        """What the operation costs with these variables.

        Raises:
            QueryTooComplexError: more than is allowed.
            InputInvalidError: as `operation`.
        """
        return self._measured.cost(operation_name, variables)


class Documents:
    """Documents of one schema, the least recently used given up first.

    Args:
        schema: what documents are validated against.
        limits: what they may ask for.
        budget: how many characters of documents are kept, all together.
        introspection: whether `__schema` and `__type` may be asked for.
        suggestions: whether a validation error may suggest names of the schema.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits,
        *,
        budget: int = BUDGET_CHARACTERS,
        introspection: bool = True,
        suggestions: bool = True,
    ) -> None:
        self.limits = limits
        self._schema: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry gives no public way to it
        self._gauge = Gauge(self._schema, limits)
        self._budget = budget
        self._kept: OrderedDict[bytes, Document] = OrderedDict()
        self._characters = 0
        self._suggestions = suggestions
        self._rules = _rules(introspection=introspection)

    def __len__(self) -> int:
        return len(self._kept)

    def prepare(self, text: str) -> Document:
        """The document of this text, ready to run.

        Raises:
            DocumentRefusedError: it is too large, does not parse, costs too much or does not fit the schema.
        """
        try:
            digest = sha256(text.encode()).digest()
        except UnicodeEncodeError:
            raise DocumentRefusedError([InputInvalidError("The document is not valid Unicode.")]) from None
        found = self._kept.get(digest)
        if found is not None:
            self._kept.move_to_end(digest)
            return found
        document = self._make(digest.hex(), text)
        self._keep(digest, document)
        return document

    def find(self, digest: str) -> Document | None:
        """The document with this SHA-256 (hexadecimal), if it is kept."""
        try:
            return self._kept.get(bytes.fromhex(digest))
        except ValueError:
            return None

    def _make(self, digest: str, text: str) -> Document:
        try:
            node = parse_document(text, self.limits)
            measured = self._gauge.measure(node)
        except GraphQLError as error:
            refused: Sequence[GraphQLError] = [error]
        else:
            refused = validate(
                self._schema, node, self._rules, max_errors=MAX_ERRORS, hide_suggestions=not self._suggestions
            )
            if not refused:
                return Document(digest, text, node, measured)
        raise DocumentRefusedError(refused)

    def _keep(self, digest: bytes, document: Document) -> None:
        if len(document.text) > self._budget:
            return
        self._kept[digest] = document
        self._characters += len(document.text)
        while self._characters > self._budget:
            _, dropped = self._kept.popitem(last=False)
            self._characters -= len(dropped.text)


def _name(node: DocumentNode) -> str:
    """The SHA-256 of the document as it prints with every literal taken out of it."""
    return sha256(print_ast(visit(node, _WithoutLiterals())).encode()).hexdigest()


class _WithoutLiterals(Visitor):
    """Puts the same in the place of every literal of a kind."""

    def enter_string_value(self, *_: Any) -> StringValueNode:
        return StringValueNode(value="", block=False)

    def enter_int_value(self, *_: Any) -> IntValueNode:
        return IntValueNode(value="0")

    def enter_float_value(self, *_: Any) -> FloatValueNode:
        return FloatValueNode(value="0")

    def enter_list_value(self, *_: Any) -> ListValueNode:
        return ListValueNode(values=())

    def enter_object_value(self, *_: Any) -> ObjectValueNode:
        return ObjectValueNode(fields=())


def _rules(*, introspection: bool) -> tuple[type[ASTValidationRule], ...]:
    """The rules of the specification and Strawberry's own, with the one that quotes literals made quiet."""
    rules = [_QuietValuesRule if rule is ValuesOfCorrectTypeRule else rule for rule in specified_rules]
    rules += [MaybeNullValidationRule, OneOfInputValidationRule]
    if not introspection:
        rules.append(NoSchemaIntrospectionCustomRule)
    return tuple(rules)


class _QuietValuesRule(ValuesOfCorrectTypeRule):
    """Literals must fit the type of their place; the error names place and type, and never quotes the literal."""

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        if input_type:

            def report(error: GraphQLError, _path: list[str | int]) -> None:
                said = quiet(error.message) or f"Expected a value of type '{input_type}'."
                self.report_error(GraphQLError(said, error.nodes or node))

            validate_input_literal(node, input_type, report, None, None, self.context.hide_suggestions)
        return SKIP


def quiet(message: str) -> str | None:
    """As much of graphql-core's message about a value as is made of the schema's names only, if any."""
    found = _EXPECTED.match(message)
    return f"{found[0]}." if found else None


def quiet_variable_error(error: GraphQLError) -> GraphQLError:
    """An error about a variable, without its value."""
    if error.message in _CONSTANT:
        return error
    place = _VARIABLE.match(error.message)
    inner = error.original_error
    detail = quiet(str(inner)) if inner is not None else None
    said = place[0] if place else "A variable has an invalid value"
    return GraphQLError(f"{said}: {detail}" if detail else f"{said}.", error.nodes)
