"""What a body says: the events and what holds of all of them. Pure.

The body is JSON as RFC 8259 has it, in UTF-8, with or without a byte order mark. Where a name stands twice in an
object the last counts, as in every JSON parser of the SDKs. Half a surrogate pair, which is what is left of a
character that a script cut in two, becomes U+FFFD.

What is sent to a batch's address in another shape is taken where its events can be found: a list of events without an
object around it, one event instead of a list, one event alone. Anything else that is JSON is counted as no batch.

A body that is not JSON is refused as a whole. Whatever else is wrong with one event is that event's alone: it is handed
on as the reason why it is rejected, and the others of its batch are stored.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from customers.collection.events import Rejection, merged, time_of
from server.collection.errors import CollectionRefusedError, Problem

MAX_EVENT: Final = 32 * 1024
MAX_EVENTS: Final = 2500
MAX_SHARED: Final = 8 * 1024 * 1024
"""The most that a context comes to for all events of its batch: it is short on the way, and long in the database."""
_BOM: Final = b"\xef\xbb\xbf"
_ESCAPES: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)
_HALF: Final = 6


class _Batch(msgspec.Struct, gc=False):
    """The members of a batch that count; the events are looked at one by one."""

    batch: list[msgspec.Raw]
    writeKey: Any = None  # noqa: N815 - the wire's name
    sentAt: Any = None  # noqa: N815
    context: Any = None
    integrations: Any = None


class _Odd(msgspec.Struct, gc=False):
    """The same of an object whose batch is no list."""

    batch: msgspec.Raw
    writeKey: Any = None  # noqa: N815
    sentAt: Any = None  # noqa: N815
    context: Any = None
    integrations: Any = None


class _Alone(msgspec.Struct, gc=False):
    """The members of an event sent alone that count here."""

    writeKey: Any = None  # noqa: N815
    sentAt: Any = None  # noqa: N815


_BATCH: Final = msgspec.json.Decoder(_Batch)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ODD: Final = msgspec.json.Decoder(_Odd)
_ALONE: Final = msgspec.json.Decoder(_Alone)
_ANYTHING: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Sent:
    """What a body says.

    Attributes:
        write_key: The write key it names, if any.
        sent_at: When its sender says that it was sent.
        events: As they were sent, or why one cannot be looked at.
    """

    write_key: str | None
    sent_at: datetime | None
    events: list[Any]


def batch(body: bytes) -> Sent:
    """The events of a batch, each with the batch's context beneath its own.

    Raises:
        CollectionRefusedError: It is not JSON, or has too many events.
    """
    return _read(body, _batch)


def alone(body: bytes) -> Sent:
    """The one event of a body.

    Raises:
        CollectionRefusedError: It is not JSON, or too large.
    """
    if len(body) > MAX_EVENT:
        # Only what is JSON is told that it is too large, as everywhere else.
        _read(body, _alone)
        raise CollectionRefusedError(Problem.EVENT_TOO_LARGE)
    return _read(body, _alone)


def _read(body: bytes, read: Any) -> Sent:
    body = body.removeprefix(_BOM)
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            raise CollectionRefusedError(Problem.NOT_UTF8) from None
    try:
        return read(body)  # type: ignore[no-any-return]  # one of the two below
    except msgspec.ValidationError:
        problem = Problem.NUMBER_TOO_LARGE
    except msgspec.DecodeError:
        whole = _with_whole_characters(body)
        if whole is not None:
            return _read(whole, read)
        problem = Problem.NOT_JSON
    except RecursionError:
        problem = Problem.TOO_DEEP
    # Outside the handler: the decoder's error may quote what was sent, and must not be the context of this one.
    raise CollectionRefusedError(problem)


def _batch(body: bytes) -> Sent:
    try:
        found = _BATCH.decode(body)
    except msgspec.ValidationError:
        other = _odd(body)
        if other is None:
            return _single(body)
        found = other
    if len(found.batch) > MAX_EVENTS:
        raise CollectionRefusedError(Problem.TOO_MANY_EVENTS)
    events = [_event(raw) for raw in found.batch]
    if found.context or found.integrations:
        shared = {"context": found.context, "integrations": found.integrations}
        size = len(msgspec.json.encode(shared))
        if size > MAX_EVENT or size * len(events) > MAX_SHARED:
            return Sent(_text(found.writeKey), time_of(found.sentAt), [Rejection.TOO_LARGE] * len(events))
        events = [merged(shared, event) for event in events]
    return Sent(_text(found.writeKey), time_of(found.sentAt), events)


def _odd(body: bytes) -> _Batch | None:
    """A list of events that is a body by itself, or one event where the list should be; None for whatever else."""
    try:
        return _Batch(_LIST.decode(body))
    except msgspec.ValidationError:
        pass
    try:
        found = _ODD.decode(body)
    except msgspec.ValidationError:
        return None
    if not bytes(found.batch).lstrip().startswith(b"{"):
        return None
    return _Batch([found.batch], found.writeKey, found.sentAt, found.context, found.integrations)


def _single(body: bytes) -> Sent:
    """The event that was sent alone to a batch's address; what is none, and so no batch either, is told to be that."""
    sent = _alone(body)
    (event,) = sent.events
    if isinstance(event, Rejection) or (isinstance(event, dict) and isinstance(event.get("type"), str)):
        return sent
    return Sent(sent.write_key, sent.sent_at, [Rejection.NOT_A_BATCH])


def _event(raw: msgspec.Raw) -> Any:
    if len(raw) > MAX_EVENT:
        return Rejection.TOO_LARGE
    try:
        return _ANYTHING.decode(raw)
    except msgspec.ValidationError:  # a number that no machine holds
        return Rejection.BAD_FIELD
    except RecursionError:
        return Rejection.TOO_DEEP


def _alone(body: bytes) -> Sent:
    try:
        event = _ANYTHING.decode(body)
    except msgspec.ValidationError:
        beside = _ALONE.decode(body)
        return Sent(_text(beside.writeKey), time_of(beside.sentAt), [Rejection.BAD_FIELD])
    if not isinstance(event, dict):
        return Sent(None, None, [event])
    return Sent(_text(event.get("writeKey")), time_of(event.get("sentAt")), [event])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _with_whole_characters(body: bytes) -> bytes | None:
    """The body with U+FFFD for every half of a surrogate pair; None where there is none."""

    def mended(escape: re.Match[bytes]) -> bytes:
        found = escape[0]
        return rb"\ufffd" if len(found) == _HALF and found[1:2] == b"u" else found

    whole = _ESCAPES.sub(mended, body)
    return None if whole == body else whole


__all__ = ["MAX_EVENT", "MAX_EVENTS", "MAX_SHARED", "Sent", "alone", "batch"]
