"""An object of named values made one row: objects inside it become columns, `{"address": {"city": …}}` `address.city`."""

from typing import Any

from customers.collection.encoding import REPLACEMENT
from customers.collection.model import Fault, Raw
from customers.collection.records import MAX_CELL, MAX_COLUMNS

_DEEPEST = 4


class RowRefusedError(Exception):
    """Why an object is no row."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def flattened(value: dict[str, Any], whole: frozenset[str] = frozenset()) -> dict[str, Raw]:
    """The cells of an object, by column; the objects of its keys in `whole` stay as they are.

    Raises:
        RowRefusedError: It cannot be a row.
    """
    found: dict[str, Raw] = {}
    _flatten({name: inner for name, inner in value.items() if name not in whole}, "", found, 1)
    if len(found) + len(whole & value.keys()) > MAX_COLUMNS:
        raise RowRefusedError(Fault.COLUMN_COUNT)
    for name in whole & value.keys():
        if name in found:
            raise RowRefusedError(Fault.DUPLICATE_KEY)
        found[name] = value[name]
    for each in found.values():
        _check(each)
    return found


def _flatten(value: dict[str, Any], prefix: str, into: dict[str, Raw], depth: int) -> None:
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict):
            if depth == _DEEPEST:
                raise RowRefusedError(Fault.NOT_AN_OBJECT)
            _flatten(inner, f"{name}.", into, depth + 1)
        elif name in into:
            raise RowRefusedError(Fault.DUPLICATE_KEY)
        else:
            into[name] = inner


def _check(value: Any) -> None:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            _check_text(each)
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]


def _check_text(text: str) -> None:
    if "\0" in text:
        raise RowRefusedError(Fault.NUL_CHARACTER)
    # An escape such as \ud800 gives half a character, which no encoding can write.
    if REPLACEMENT in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise RowRefusedError(Fault.BAD_ENCODING)
    if len(text) > MAX_CELL:
        raise RowRefusedError(Fault.FIELD_TOO_LONG)
