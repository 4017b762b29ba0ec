"""What rows about orders and rows about tickets have in common. Pure."""

import re
from datetime import datetime
from typing import Any, Final

from customers.collection.cells import CellError, text
from customers.collection.commerce import MAX_ORDER_ID
from customers.collection.detector import find
from customers.collection.mapping import ColumnRule, ImportMapping
from customers.collection.model import Fault, Raw
from customers.collection.row_reading import RowReading
from customers.collection.targets import MOMENTS
from customers.errors import InputInvalidError
from customers.profiles.draft import LONGEST_TEXT, checked

_SHORT: Final = re.compile(r"\w[\w ./-]{0,63}")
_LONGEST_LOOKED_AT: Final = 200
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class CountedReading(RowReading):
    """A row about an order or a ticket being read.

    Attributes:
        values: What was read so far, by target.
        extra: What nobody has classified, by name.
    """

    number_target: str
    short_fields: frozenset[str]

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        super().__init__(mapping, country, now)
        self.values: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}

    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        if rule.part is not None:
            self.extra[rule.part[1]] = self._typed(rule, cell)
        elif rule.target in MOMENTS:
            self.values[rule.target] = self._moment(rule, cell)
        elif rule.target == self.number_target:
            self.values[rule.target] = number_of(cell)
        elif rule.target in self.short_fields:
            self.values[rule.target] = short(cell)
        else:
            self.values[rule.target] = long_text(cell)

    def _check_extra(self) -> None:
        try:
            checked({"traits": self.extra}, self._now)
        except InputInvalidError:
            self.faults.append(("", Fault.INVALID_VALUE))


def number_of(cell: Raw) -> str:
    """What an order or a ticket is called where it comes from."""
    told = text(cell).strip()
    if not 0 < len(told) <= MAX_ORDER_ID or _CONTROLS.search(told):
        raise CellError(Fault.INVALID_VALUE)
    return told


def short(cell: Raw) -> str:
    """A word or two that may stand in clear, in lower case."""
    told = " ".join(text(cell).lower().split())
    if find(told[:_LONGEST_LOOKED_AT]) is not None:
        raise CellError(Fault.PERSONAL_DATA)
    if not _SHORT.fullmatch(told):
        raise CellError(Fault.INVALID_VALUE)
    return told


def long_text(cell: Raw) -> str:
    """A text that is sealed."""
    told = text(cell).replace("\r\n", "\n").replace("\r", "\n")
    if len(told) > LONGEST_TEXT:
        raise CellError(Fault.FIELD_TOO_LONG)
    if _CONTROLS.search(told) or any("\ud800" <= sign <= "\udfff" for sign in told):
        raise CellError(Fault.INVALID_VALUE)
    return told
