"""A row about an event, read cell by cell and made into what a sender would have sent. Pure."""

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from customers.collection.cells import CellError, decimal, text
from customers.collection.events import EventType, RejectedError, Rejection, understood
from customers.collection.mapping import ColumnRule, ImportMapping, TraitType
from customers.collection.model import EventRow, Fault, Raw
from customers.collection.preparing import MAX_EVENT_BYTES
from customers.collection.records import Record
from customers.collection.row_reading import RowReading
from customers.collection.targets import EVENT_OBJECTS
from customers.collection.validation import RowReader

_KEYS: Final = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "message_id": "messageId",
}
REJECTED: Final = {
    Rejection.NO_ID: Fault.NO_IDENTIFIER,
    Rejection.NO_NAME: Fault.MISSING_VALUE,
    Rejection.NO_PREVIOUS_ID: Fault.MISSING_VALUE,
    Rejection.TOO_DEEP: Fault.EVENT_TOO_LARGE,
    Rejection.TOO_LARGE: Fault.EVENT_TOO_LARGE,
    Rejection.ID_TOO_LONG: Fault.FIELD_TOO_LONG,
    Rejection.NAME_TOO_LONG: Fault.FIELD_TOO_LONG,
    Rejection.MESSAGE_ID_TOO_LONG: Fault.FIELD_TOO_LONG,
}
"""What the collection says of an event it does not take; whatever else is an `INVALID_VALUE`."""


class EventReading(RowReading):
    """A row about an event being read."""

    _identifying = False

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        super().__init__(mapping, country, now)
        self._event: dict[str, Any] = {}
        self._objects: dict[str, dict[str, Any]] = {}

    def finish(self) -> None:
        """Check the row as a whole, as the collection would."""
        if self.faults:
            return
        self._need("timestamp")
        event = {"type": EventType.TRACK.value, **self._event, **self._objects}
        name = event.pop("name", None)
        if name is not None:
            event["event" if event["type"] == EventType.TRACK else "name"] = name
        event.setdefault("messageId", "")
        try:
            told = understood(event, received_at=self._now, sent_at=None, new_id=lambda: _digest(event))
            size = len(msgspec.json.encode(event))
        except RejectedError as error:
            self._fault(_AT_FAULT.get(error.rejection, ""), REJECTED.get(error.rejection, Fault.INVALID_VALUE))
            return
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
            self.faults.append(("", Fault.INVALID_VALUE))
            return
        if size > MAX_EVENT_BYTES:
            self.faults.append(("", Fault.EVENT_TOO_LARGE))
        if told.clock_doubtful:
            self._fault("timestamp", Fault.INVALID_DATE)
        self._event = {**event, "messageId": told.message_id}

    def made(self, record: Record) -> EventRow:
        """The row."""
        return EventRow(record.number, record.line, self._event)

    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        target = rule.target
        if rule.part is not None:
            outer, name = rule.part
            self._objects.setdefault(outer, {})[name] = self._typed(rule, cell)
        elif target in EVENT_OBJECTS:
            self._objects[target] = {**_object(cell), **self._objects.get(target, {})}
        elif target == "timestamp":
            self._event[target] = self._moment(rule, cell).isoformat()
        elif target == "type":
            kind = text(cell).lower()
            if kind not in set(EventType):
                raise CellError(Fault.INVALID_VALUE)
            self._event[target] = kind
        else:
            self._event[_KEYS.get(target, target)] = text(cell)

    def _typed(self, rule: ColumnRule, cell: Raw) -> Any:
        """The value of a property; numbers are numbers, as an SDK would have sent them."""
        match rule.trait_type:
            case TraitType.DECIMAL:
                return _native(decimal(cell))
            case TraitType.TEXT:
                return _native(cell)
        return super()._typed(rule, cell)


class EventReader(RowReader):
    """Reads rows about events by a mapping."""

    _reading = EventReading


_AT_FAULT: Final = {
    Rejection.NO_NAME: "name",
    Rejection.NAME_TOO_LONG: "name",
    Rejection.NO_PREVIOUS_ID: "previous_id",
    Rejection.MESSAGE_ID_TOO_LONG: "message_id",
}


def _digest(event: dict[str, Any]) -> str:
    """A message id for a row that has none: the same row is the same event."""
    written = json.dumps({**event, "messageId": None}, sort_keys=True, separators=(",", ":"))
    return f"row-{hashlib.sha256(written.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _object(cell: Raw) -> dict[str, Any]:
    found: Any = cell
    if isinstance(cell, str):
        try:
            found = json.loads(cell, object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise CellError(Fault.NOT_JSON) from None
    if not isinstance(found, dict):
        raise CellError(Fault.NOT_AN_OBJECT)
    try:
        native = _native(found)
    except RecursionError:
        raise CellError(Fault.EVENT_TOO_LARGE) from None
    if not isinstance(native, dict):
        raise TypeError("an object stays an object")
    return native


def _native(value: Any) -> Any:
    """A value as JSON decoders give it: numbers with decimals are floats."""
    match value:
        case Decimal():
            if value == value.to_integral_value() and abs(value) < 2**53:
                return int(value)
            return float(value)
        case dict():
            return {name: _native(inner) for name, inner in value.items()}
        case list():
            return [_native(inner) for inner in value]
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CellError(Fault.DUPLICATE_KEY)
    return found


def _no_constant(_name: str) -> None:
    raise ValueError
