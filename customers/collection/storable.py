"""What databases and envelopes can hold of what JSON can say. Pure."""

import math
from typing import Any, Final

from customers.collection.plan_file import LONGEST_PROPERTY, is_property_name
from customers.collection.violations import ViolationKind

DEEPEST: Final = 16
MOST_NAMES: Final = 1_000
MOST_VALUES: Final = 10_000
LEAST: Final = -(2**63)
LARGEST: Final = 2**63 - 1


class Size:
    """How much is in an event, while it is walked."""

    __slots__ = ("names", "values")

    def __init__(self, names: int) -> None:
        self.names = names
        self.values = 0


def fault_of(value: Any, depth: int, size: Size) -> ViolationKind | None:
    """Why a value cannot be stored, or None."""
    kind = type(value)
    if kind is str:
        return None if value.isascii() or _is_encodable(value) else ViolationKind.NOT_TEXT
    if kind is bool or value is None:
        return None
    if kind is int:
        return None if LEAST <= value <= LARGEST else ViolationKind.NUMBER_TOO_LARGE
    if kind is float:
        return None if math.isfinite(value) else ViolationKind.NOT_A_NUMBER
    if kind is dict or kind is list:
        return _within(value, depth, size)
    return ViolationKind.NOT_JSON


def _within(value: Any, depth: int, size: Size) -> ViolationKind | None:
    if depth <= 0:
        return ViolationKind.TOO_DEEP
    size.values += len(value)
    if type(value) is dict:
        size.names += len(value)
        if not all(map(is_good_name, value)):
            return ViolationKind.BAD_NAME
        value = value.values()
    if size.names > MOST_NAMES or size.values > MOST_VALUES:
        return ViolationKind.TOO_MANY
    for each in value:
        if type(each) is str and each.isascii():
            continue
        if (fault := fault_of(each, depth - 1, size)) is not None:
            return fault
    return None


def is_good_name(name: Any) -> bool:
    """`is_property_name`, quick for what most names are."""
    return (type(name) is str and len(name) <= LONGEST_PROPERTY and name.isidentifier()) or is_property_name(name)


def _is_encodable(text: str) -> bool:
    """Whether it is Unicode: half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
