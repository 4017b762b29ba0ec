"""What a sender says, made into an event: pure. The wire is Segment's HTTP tracking API.

An event is understood or rejected as a whole; a rejected one never keeps the others of its batch from being stored.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec

from customers.identity.rules import means_nobody

MAX_MESSAGE_ID: Final = 100
MAX_ID: Final = 256
MAX_NAME: Final = 200
MAX_DEPTH: Final = 16
_OLDEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(hours=24)
_LONGEST_DELAY: Final = timedelta(days=366)
_NESTED: Final = (dict, list)


class EventType(StrEnum):
    """The calls of the tracking API; the values are stored."""

    IDENTIFY = "identify"
    TRACK = "track"
    PAGE = "page"
    SCREEN = "screen"
    GROUP = "group"
    ALIAS = "alias"


_TYPES: Final[Mapping[str, EventType]] = {each.value: each for each in EventType}


class Rejection(StrEnum):
    """Why an event is not stored; counted among the violations, and never with a value."""

    NOT_AN_OBJECT = "not_an_object"
    # A body that should hold events, and no list of them is found in it.
    NOT_A_BATCH = "not_a_batch"
    UNKNOWN_TYPE = "unknown_type"
    NO_ID = "no_id"
    NO_NAME = "no_name"
    NO_PREVIOUS_ID = "no_previous_id"
    MESSAGE_ID_TOO_LONG = "message_id_too_long"
    ID_TOO_LONG = "id_too_long"
    NAME_TOO_LONG = "name_too_long"
    TOO_DEEP = "too_deep"
    BAD_FIELD = "bad_field"
    TOO_LARGE = "too_large"


class RejectedError(Exception):
    """An event that cannot be understood. Its text is the rejection's, never what was sent."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.value)
        self.rejection = rejection


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event. A struct, because one is made of everything that is sent, and a frozen dataclass takes five times as long.

    Attributes:
        type: Which call it was.
        message_id: The sender's name for it; who sends it again, sends the same.
        user_id, anonymous_id, previous_id, group_id: As they were sent; ids that mean nobody are None.
        name: The event of `track`, the page or screen of those.
        properties: Of `track`, `page` and `screen`.
        traits: Of `identify` and `group`; `context.traits` of the others.
        context: What else the SDK says: library, locale, campaign and so on.
        at: When it happened, the sender's clock corrected.
        received_at: When it was received.
        clock_doubtful: Whether the time that was sent cannot be, so that `at` is when it was received.
    """

    type: EventType
    message_id: str
    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None
    group_id: str | None
    name: str | None
    properties: Mapping[str, Any]
    traits: Mapping[str, Any]
    context: Mapping[str, Any]
    at: datetime
    received_at: datetime
    clock_doubtful: bool = False


def merged(batch: Mapping[str, Any], item: Any) -> Any:
    """An item of a batch with the batch's `context` and `integrations` beneath its own."""
    if not isinstance(item, dict):
        return item
    for name in ("context", "integrations"):
        shared = batch.get(name)
        if isinstance(shared, dict) and shared:
            own = item.get(name)
            item = {**item, name: {**shared, **own} if isinstance(own, dict) else shared}
    return item


def understood(
    raw: Any,
    *,
    received_at: datetime,
    sent_at: datetime | None,
    new_id: Callable[[], str],
    kind: EventType | None = None,
    shallow: bool = False,
) -> Event:
    """The event that was sent.

    Args:
        raw: What was sent, decoded from JSON; or why whoever decoded it did not look at it.
        received_at: When it was received.
        sent_at: When the sender says that it was sent; an item's own `sentAt` counts where the batch has none.
        new_id: Gives a message id to an event that has none.
        kind: Which call it is, where the address says so and not the event.
        shallow: Whether it is known to be nested no deeper than is understood.

    Raises:
        RejectedError: It cannot be understood, and why.
    """
    if not isinstance(raw, dict):
        raise RejectedError(raw if isinstance(raw, Rejection) else Rejection.NOT_AN_OBJECT)
    get = raw.get
    if kind is None:
        said = get("type")
        kind = _TYPES.get(said) if isinstance(said, str) else None
        if kind is None:
            raise RejectedError(Rejection.UNKNOWN_TYPE)
    context = _object(get("context"), shallow=shallow)
    traits = _object(get("traits"), shallow=shallow)
    properties = _object(get("properties"), shallow=shallow)
    if not traits and isinstance(context.get("traits"), dict):
        traits = context["traits"]
    user, anonymous = _id(get("userId")), _id(get("anonymousId"))
    previous = _id(get("previousId")) if "previousId" in raw else None
    group = _id(get("groupId")) if "groupId" in raw else None
    if user is None and anonymous is None:
        raise RejectedError(Rejection.NO_ID)
    if kind is EventType.ALIAS and previous is None:
        raise RejectedError(Rejection.NO_PREVIOUS_ID)
    name = _name(raw, kind)
    at, doubtful = corrected(
        _time(get("timestamp")),
        _time(get("originalTimestamp")) if "originalTimestamp" in raw else None,
        sent_at or (_time(get("sentAt")) if "sentAt" in raw else None),
        received_at,
    )
    return Event(
        type=kind,
        message_id=_message_id(get("messageId")) or new_id(),
        user_id=user,
        anonymous_id=anonymous,
        previous_id=previous,
        group_id=group,
        name=name,
        properties=properties,
        traits=traits,
        context=context,
        at=at,
        received_at=received_at,
        clock_doubtful=doubtful,
    )


def corrected(
    stated: datetime | None, original: datetime | None, sent: datetime | None, received: datetime
) -> tuple[datetime, bool]:
    """When an event happened, and whether the time that was sent cannot be.

    `received - (sent - original)`: both are by the sender's clock, so what it is off by cancels out. Where they are not
    both given, what is stated counts; where that cannot be (ahead of us by more than a day, or before 1990), the time of
    receipt.
    """
    if original is not None and sent is not None and timedelta(0) <= sent - original <= _LONGEST_DELAY:
        return received - (sent - original), False
    told = stated or original
    if told is None:
        return received, False
    if _OLDEST <= told <= received + _AHEAD:
        return min(told, received), False
    return received, True


def time_of(value: Any) -> datetime | None:
    """The moment of an RFC 3339 text or a number of milliseconds; None for whatever else, and for impossible ones."""
    return _time(value)


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str) and 8 <= len(value) <= 40:  # noqa: PLR2004 - the shortest and longest of ISO 8601
            found = datetime.fromisoformat(value)
            zone = found.tzinfo
            return found if zone is UTC else found.replace(tzinfo=UTC) if zone is None else found.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _object(found: Any, *, shallow: bool) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RejectedError(Rejection.BAD_FIELD)
    if found and not shallow:
        require_shallow(found)
    return found


def require_shallow(value: Mapping[str, Any]) -> None:
    """Return only if objects and lists are nested no deeper than is understood.

    Raises:
        RejectedError: They are.
    """
    level: Sequence[Any] = [part for part in value.values() if isinstance(part, _NESTED)]
    for _ in range(MAX_DEPTH - 1):
        if not level:
            return
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, _NESTED)
        ]
    if not level:
        return
    raise RejectedError(Rejection.TOO_DEEP)


def _id(value: Any) -> str | None:
    """An id as text; what SDKs send where there is none is none."""
    if value is None or isinstance(value, bool):
        return None
    if not isinstance(value, str):
        if not isinstance(value, int | float) or (isinstance(value, float) and not value.is_integer()):
            raise RejectedError(Rejection.BAD_FIELD)
        value = str(int(value))
    text = value.strip()
    if len(text) > MAX_ID:
        raise RejectedError(Rejection.ID_TOO_LONG)
    return None if means_nobody(text) else text


def _message_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise RejectedError(Rejection.BAD_FIELD)
    text = str(value)
    if len(text) > MAX_MESSAGE_ID:
        raise RejectedError(Rejection.MESSAGE_ID_TOO_LONG)
    return text


def _name(raw: Mapping[str, Any], kind: EventType) -> str | None:
    found = raw.get("event" if kind is EventType.TRACK else "name")
    if kind is EventType.TRACK and (not isinstance(found, str) or not found.strip()):
        raise RejectedError(Rejection.NO_NAME)
    if not isinstance(found, str) or not found:
        return None
    if len(found) > MAX_NAME:
        raise RejectedError(Rejection.NAME_TOO_LONG)
    return found
