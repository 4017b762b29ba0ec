"""Standard Webhooks: any sender that signs as https://www.standardwebhooks.com says. Pure.

A payload that is an event of the tracking API is taken as it is. Any other is taken as a `track` named after its `type`,
with its `data` for properties, of the person whom `userId` or `anonymousId` names.
"""

from collections.abc import Mapping
from typing import Any, Final

from customers.collection.events import MAX_NAME, EventType
from customers.collection.webhooks.delivery import Delivery, mapping, message_id, moment, parsed, text
from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw

_CALLS: Final = frozenset(kind.value for kind in EventType)
_IDS: Final = {"userId": ("userId", "user_id"), "anonymousId": ("anonymousId", "anonymous_id")}
_UNNAMED: Final = "Webhook"


def delivered(headers: Mapping[str, str], body: bytes) -> Delivery:
    """What a delivery says.

    Raises:
        DeliveryInvalidError: It is not a JSON object.
    """
    payload = parsed(body)
    if not isinstance(payload, dict):
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    message = message_id(headers.get("webhook-id", ""))
    if is_event(payload):
        return Delivery([{**payload, "messageId": message}])
    stated = headers.get("webhook-timestamp", "")
    at = text(payload.get("timestamp")) or (moment(int(stated)) if stated.isdecimal() else None)
    data = payload.get("data")
    said = data if isinstance(data, dict) else payload
    return Delivery([wrapped(message, text(payload.get("type")) or _UNNAMED, said, payload, at)])


def is_event(payload: Mapping[str, Any]) -> bool:
    """Whether a payload is an event of the tracking API: one of its calls, of somebody."""
    kind = payload.get("type")
    return isinstance(kind, str) and kind in _CALLS and ("userId" in payload or "anonymousId" in payload)


def wrapped(
    message: str, name: str, data: Mapping[str, Any], envelope: Mapping[str, Any], at: str | None
) -> dict[str, Any]:
    """A `track` around data; who it is of is looked for in the data, and then around it."""
    event: dict[str, Any] = {
        "type": "track",
        "messageId": message,
        "event": name[:MAX_NAME],
        "properties": dict(data),
    }
    for meant, names in _IDS.items():
        found = [part[each] for part in (mapping(data), envelope) for each in names if part.get(each) is not None]
        if found:
            event[meant] = found[0]
    if at is not None:
        event["timestamp"] = at
    return event


__all__ = ["delivered", "is_event", "wrapped"]
