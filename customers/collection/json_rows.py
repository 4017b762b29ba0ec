"""Rows of JSON Lines: an object a line, UTF-8 in the standard and whatever was declared here.

Objects inside the object are flattened, so that `{"address": {"city": …}}` has the column `address.city`.
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from customers.collection.encoding import Line
from customers.collection.flattening import RowRefusedError, flattened
from customers.collection.model import Fault
from customers.collection.records import Record


def json_rows(lines: Iterable[Line], whole: frozenset[str] = frozenset()) -> Iterator[Record]:
    """Every line that is not blank; the first line of the file is row 1. Objects of keys in `whole` stay whole."""
    for line in lines:
        if line.too_long:
            yield Record(line.number, line.number, {}, Fault.ROW_TOO_LONG)
        elif line.text.strip():
            yield _record(line, whole)


def _record(line: Line, whole: frozenset[str]) -> Record:
    try:
        found = flattened(_parsed(line.text), whole)
    except RowRefusedError as refused:
        return Record(line.number, line.number, {}, refused.fault)
    return Record(line.number, line.number, found)


def _parsed(text: str) -> dict[str, Any]:
    if "\0" in text:
        raise RowRefusedError(Fault.NUL_CHARACTER)
    try:
        # A number keeps every digit; what JSON has no word for (NaN, Infinity) is refused.
        value = json.loads(text, object_pairs_hook=_once, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError):
        raise RowRefusedError(Fault.NOT_JSON) from None
    if not isinstance(value, dict):
        raise RowRefusedError(Fault.NOT_AN_OBJECT)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two parsers may disagree on which of two equal keys counts, so neither does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RowRefusedError(Fault.DUPLICATE_KEY)
    return found


def _no_constant(_name: str) -> None:
    raise ValueError
