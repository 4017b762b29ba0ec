"""How large a request may be: its text, its document and its variables.

Every check here reads its input once and stops at the first excess, so refusing costs no more than reading up to the
limit. What answering would cost is `cost`'s.
"""

import re
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSyntaxError, parse

from schema.errors import QueryTooLargeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may ask for. Every number is the largest that is still allowed.

    Attributes:
        characters: length of the document's text.
        tokens: lexical tokens of the document.
        comments: comments in the document, which are no tokens.
        operations: operation definitions.
        fragments: fragment definitions.
        spreads: fragment spreads as written.
        repeats: fields written again under a response name their selection set already has. Merging them is the one
            part of validation that compares pairs.
        nesting: selection sets inside one another, through fragments, with or without fields between them.
        depth: fields inside one another, through fragments.
        fields: fields after every fragment has been put in its places.
        root_fields: fields of the operation itself, after fragments.
        aliases: aliases, after fragments.
        directives: directives, after fragments.
        directives_at_once: directives at one place.
        page: the value of a `first` or `last`.
        cost: fields of the answer at the most, with every list at its greatest length.
        assumed_list: what a list of objects without `first` is taken to hold.
        value_depth: lists and objects inside one another, in a literal or in the variables.
        list_items: items of one list, in a literal or in a variable.
        variables: number of variables.
        variable_values: values in all the variables together, lists and objects included.
        variable_characters: length of all texts in the variables together, names included.
    """

    characters: int = 40_000
    tokens: int = 3_000
    comments: int = 500
    operations: int = 10
    fragments: int = 40
    spreads: int = 200
    repeats: int = 60
    nesting: int = 60
    depth: int = 16
    fields: int = 1_000
    root_fields: int = 20
    aliases: int = 100
    directives: int = 100
    directives_at_once: int = 4
    page: int = 100
    cost: int = 60_000
    assumed_list: int = 10
    value_depth: int = 12
    list_items: int = 1_000
    variables: int = 64
    variable_values: int = 5_000
    variable_characters: int = 100_000


# Values of the document that graphql-core quotes when it cannot read one.
_QUOTED = re.compile(r"(String|BlockString|Int|Float|Name|Comment) ['\"].*", re.DOTALL)
_CHARACTER = re.compile(r"(Invalid character|Cannot parse the unexpected character|Invalid [\w ]+):? ?.*", re.DOTALL)


def parse_document(text: str, limits: Limits) -> DocumentNode:
    """The parsed document.

    Raises:
        QueryTooLargeError: the text is longer, has more tokens or is nested deeper than allowed.
        GraphQLError: a syntax error, with its place and without the text that was found there.
    """
    if len(text) > limits.characters:
        raise QueryTooLargeError("characters", len(text), limits.characters)
    try:
        return parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
    except GraphQLSyntaxError as error:
        refusal = _syntax_refusal(error, limits)
    except RecursionError:
        refusal = QueryTooLargeError("nesting", limits.nesting + 1, limits.nesting)
    # Outside the handlers: the parser's frames must not stay alive as the context of what is raised.
    raise refusal


def _syntax_refusal(error: GraphQLSyntaxError, limits: Limits) -> GraphQLError:
    said = error.message.removeprefix("Syntax Error: ")
    if said.endswith("tokens. Parsing aborted."):
        return QueryTooLargeError("tokens", limits.tokens + 1, limits.tokens)
    if said.endswith("comments. Parsing aborted."):
        return QueryTooLargeError("comments", limits.comments + 1, limits.comments)
    if said.startswith("Document is nested too deeply"):
        return QueryTooLargeError("nesting", limits.nesting + 1, limits.nesting)
    quiet = _CHARACTER.sub(r"\1.", _QUOTED.sub(r"\1.", said))
    return GraphQLError(f"Syntax error: {quiet}", source=error.source, positions=error.positions)


def check_variables(variables: dict[str, Any] | None, limits: Limits) -> None:
    """Refuse variables that are too many, too long, too large or too deep, in time linear in what is looked at.

    Raises:
        QueryTooLargeError: with the limit that was exceeded.
    """
    if not variables:
        return
    _allow("variables", len(variables), limits.variables)
    values = characters = depth = 0
    level: list[Any] = [variables]
    while level:
        _allow("value_depth", depth, limits.value_depth)
        deeper: list[Any] = []
        for container in level:
            values += len(container)
            _allow("variable_values", values, limits.variable_values)
            if type(container) is dict:
                characters += sum(map(len, container))
                items = container.values()
            else:
                _allow("list_items", len(container), limits.list_items)
                items = container
            for item in items:
                if type(item) is str:
                    characters += len(item)
                elif type(item) is list or type(item) is dict:
                    deeper.append(item)
            _allow("variable_characters", characters, limits.variable_characters)
        depth += 1
        level = deeper


def _allow(name: str, value: int, maximum: int) -> None:
    if value > maximum:
        raise QueryTooLargeError(name, value, maximum)
