"""Rows of JSON Lines: an object a line, UTF-8 in the standard and whatever was declared here.

Objects inside the object are flattened, so that `{"address": {"city": …}}` has the column `address.city`.
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from customers.collection.encoding import REPLACEMENT, Line
from customers.collection.model import Fault, Raw
from customers.collection.records import MAX_CELL, MAX_COLUMNS, Record

_DEEPEST = 4


class _RefusedError(Exception):
    """Why an object is no row."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def json_rows(lines: Iterable[Line]) -> Iterator[Record]:
    """Every line that is not blank; the first line of the file is row 1."""
    for line in lines:
        if line.too_long:
            yield Record(line.number, line.number, {}, Fault.ROW_TOO_LONG)
        elif line.text.strip():
            yield _record(line)


def _record(line: Line) -> Record:
    try:
        found: dict[str, Raw] = {}
        _flatten(_parsed(line.text), "", found, 1)
        _check(found)
    except _RefusedError as refused:
        return Record(line.number, line.number, {}, refused.fault)
    return Record(line.number, line.number, found)


def _parsed(text: str) -> dict[str, Any]:
    if "\0" in text:
        raise _RefusedError(Fault.NUL_CHARACTER)
    try:
        # A number keeps every digit; what JSON has no word for (NaN, Infinity) is refused.
        value = json.loads(text, object_pairs_hook=_once, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise _RefusedError(Fault.NOT_JSON) from None
    if not isinstance(value, dict):
        raise _RefusedError(Fault.NOT_AN_OBJECT)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two parsers may disagree on which of two equal keys counts, so neither does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _RefusedError(Fault.DUPLICATE_KEY)
    return found


def _no_constant(_name: str) -> None:
    raise ValueError


def _flatten(value: dict[str, Any], prefix: str, into: dict[str, Raw], depth: int) -> None:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict):
            if depth == _DEEPEST:
                raise _RefusedError(Fault.NOT_AN_OBJECT)
            _flatten(inner, f"{name}.", into, depth + 1)
        elif name in into:
            raise _RefusedError(Fault.DUPLICATE_KEY)
        else:
            into[name] = inner


def _check(found: dict[str, Raw]) -> None:
    if len(found) > MAX_COLUMNS:
        raise _RefusedError(Fault.COLUMN_COUNT)
    for value in found.values():
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, str):
                _check_text(part)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _RefusedError(Fault.NUL_CHARACTER)
    # An escape such as \ud800 gives half a character, which no encoding can write.
    if REPLACEMENT in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise _RefusedError(Fault.BAD_ENCODING)
    if len(text) > MAX_CELL:
        raise _RefusedError(Fault.FIELD_TOO_LONG)
