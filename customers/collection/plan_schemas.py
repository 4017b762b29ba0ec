"""The part of JSON Schema (draft 2020-12) that a tracking plan may use, and its validators.

Left out is what reaches outside of the schema or cannot be bounded: references to elsewhere and in circles, identifiers
and dialects, unevaluated and dynamic keywords. A keyword that is not known is a fault, not ignored: a misspelt one would
check nothing. Patterns run in time linear in the text, whatever they are: the engine has no look-around and no
back-references, and refuses those that would take much memory.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

LONGEST_PATTERN = 500
MOST_NODES = 2_000
DEEPEST = 16
FORMATS = frozenset({"date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"})

_DEFINITIONS = "#/$defs/"
_DEFINITION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = frozenset(
    {"type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength"}
    | {"maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "required", "minProperties"}
    | {"maxProperties", "title", "description", "examples", "default", "deprecated", "$comment", "$ref"}
)
_ONE_SCHEMA = frozenset({"items", "additionalProperties", "propertyNames", "not", "contains"})
_LIST_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs"})
_KNOWN = _PLAIN | _ONE_SCHEMA | _LIST_OF_SCHEMAS | _NAMED_SCHEMAS
_LARGEST_PATTERN = 1 << 20  # bytes, compiled


class Validator(Protocol):
    """Says whether a value is valid."""

    def is_valid(self, instance: Any) -> bool:
        """Whether it is; the value must be JSON."""


def compiled(schema: Mapping[str, Any] | bool) -> Validator:  # noqa: FBT001 - a schema may be true or false
    """The validator of a schema without faults."""
    import jsonschema_rs  # noqa: PLC0415 - fourteen megabytes, which only those who have a plan need

    return jsonschema_rs.Draft202012Validator(
        dict(schema) if isinstance(schema, Mapping) else schema,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=_LARGEST_PATTERN, dfa_size_limit=_LARGEST_PATTERN),
        validate_formats=True,
        retriever=_refuse,
    )


def schema_faults(schema: Any) -> list[str]:
    """Everything that is wrong with a schema, each with its place in it; nothing is fetched."""
    faults = list(_faults(schema, "", 1))
    if faults or isinstance(schema, bool):
        return faults
    definitions = schema.get("$defs", {})
    if fault := _size_fault(schema, definitions):
        return [fault]
    try:
        compiled(schema)
    except ValueError as error:  # the library's own errors are of this kind
        place = "".join(f"/{part}" for part in getattr(error, "instance_path", ()))
        return [f"{place or '/'}: {str(error).split(chr(10), maxsplit=1)[0][:200]}"]
    return []


def refers(schema: Any) -> bool:
    """Whether a schema uses its own definitions, so that it means something only as a whole."""
    return "$ref" in str(schema)


def _refuse(_uri: str) -> Any:
    raise ValueError("a schema may not refer to another one")


def _faults(schema: Any, place: str, depth: int) -> Iterator[str]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield f"{place or '/'}: a schema is an object, or true or false"
        return
    if depth > DEEPEST:
        yield f"{place}: nested deeper than {DEEPEST}"
        return
    for keyword, value in schema.items():
        at = f"{place}/{keyword}"
        if not isinstance(keyword, str) or keyword not in _KNOWN:
            yield f"{at}: this keyword is unknown, or left out of what a plan may use"
        elif keyword == "$defs" and depth > 1:
            yield f"{at}: definitions stand at the top of a property's schema"
        elif keyword in _PLAIN:
            yield from _plain_faults(keyword, value, at)
        else:
            yield from _inner_faults(keyword, value, at, depth)


def _inner_faults(keyword: str, value: Any, at: str, depth: int) -> Iterator[str]:
    if keyword in _ONE_SCHEMA:
        yield from _faults(value, at, depth + 1)
    elif keyword in _LIST_OF_SCHEMAS:
        if not isinstance(value, list) or not value:
            yield f"{at}: must be a list of schemas"
            return
        for number, each in enumerate(value):
            yield from _faults(each, f"{at}/{number}", depth + 1)
    elif not isinstance(value, Mapping):
        yield f"{at}: must be an object of schemas"
    else:
        for name, each in value.items():
            if keyword == "patternProperties":
                yield from _pattern_faults(name, f"{at}/{name}")
            if keyword == "$defs" and not _DEFINITION.fullmatch(name):
                yield f"{at}: a definition's name has letters, digits, - and _"
            yield from _faults(each, f"{at}/{name}", depth + 1)


def _plain_faults(keyword: str, value: Any, at: str) -> Iterator[str]:
    if keyword == "pattern":
        yield from _pattern_faults(value, at)
    elif keyword == "format" and not (isinstance(value, str) and value in FORMATS):
        yield f"{at}: must be one of {', '.join(sorted(FORMATS))}"
    elif keyword == "$ref" and not (isinstance(value, str) and value.startswith(_DEFINITIONS)):
        yield f"{at}: may refer to {_DEFINITIONS}… of the same schema only; nothing is fetched"
    elif not _is_json(value, DEEPEST):
        yield f"{at}: must be JSON: no dates, no endless numbers, nested no deeper than {DEEPEST}"


def _pattern_faults(pattern: Any, at: str) -> Iterator[str]:
    if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN:
        yield f"{at}: a pattern is a text of at most {LONGEST_PATTERN} characters"
        return
    try:
        compiled({"pattern": pattern})
    except ValueError:  # as above
        yield (
            f"{at}: not a regular expression that runs in linear time and little memory: it has look-around, "
            "back-references, too large a repetition, or a mistake"
        )


def _is_json(value: Any, depth: int) -> bool:
    if isinstance(value, bool | int | str) or value is None:
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if depth == 0:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(each, depth - 1) for name, each in value.items())
    return isinstance(value, list) and all(_is_json(each, depth - 1) for each in value)


def _size_fault(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str | None:
    """What is wrong once each reference is written out: a few that double each other are millions of schemas."""
    written_out = _WrittenOut(definitions)
    try:
        total = written_out.size(schema, ()) + sum(written_out.referred(name, ()) for name in definitions)
    except LookupError as error:
        return str(error.args[0])
    return f"/: larger than {MOST_NODES} schemas once its references are written out" if total > MOST_NODES else None


class _WrittenOut:
    """How many schemas a schema is with each reference in it written out."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._sizes: dict[str, int] = {}

    def size(self, schema: Any, path: tuple[str, ...]) -> int:
        if not isinstance(schema, Mapping):
            return 1
        total = 1
        for keyword, value in schema.items():
            if keyword == "$ref":
                total += self.referred(value.removeprefix(_DEFINITIONS), path)
            elif keyword in _ONE_SCHEMA:
                total += self.size(value, path)
            elif keyword in _LIST_OF_SCHEMAS:
                total += sum(self.size(each, path) for each in value)
            elif keyword in _NAMED_SCHEMAS and keyword != "$defs":
                total += sum(self.size(each, path) for each in value.values())
        return total

    def referred(self, name: str, path: tuple[str, ...]) -> int:
        if name not in self._definitions:
            raise LookupError(f"/$ref: there is no definition {name[:60]!r}")
        if name in path:
            raise LookupError(f"/$defs/{name}: refers to itself")
        if name not in self._sizes:
            self._sizes[name] = self.size(self._definitions[name], (*path, name))
        return self._sizes[name]
