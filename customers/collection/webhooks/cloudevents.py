"""CloudEvents 1.0 over HTTP: binary, structured and batched, with data in JSON. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md and `json-format.md`.
Strict where it matters: what an event is named by must be there. Attributes that are not known are left out. The data
is taken as it is in Standard Webhooks: as an event of the tracking API, or as a `track` named after the `type`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from customers.collection.events import Rejection, time_of
from customers.collection.webhooks.delivery import Delivery, known, message_id, parsed
from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw
from customers.collection.webhooks.standard import is_event, wrapped

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
MAX_EVENTS: Final = 500
_VERSION: Final = "1.0"
_REQUIRED: Final = ("id", "source", "type")
_LONGEST: Final = 2048
_JSON: Final = re.compile(r"[a-z0-9.+-]+/(?:json|[a-z0-9.-]+\+json)", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")


def is_binary(headers: Mapping[str, str]) -> bool:
    """Whether the attributes are in the headers, which no signature of the body covers."""
    return _media(headers.get("content-type", "")) not in (STRUCTURED, BATCH)


def delivered(headers: Mapping[str, str], body: bytes) -> Delivery:
    """The events of a request in any of the three modes.

    One event of a batch that is none is rejected alone.

    Raises:
        DeliveryInvalidError: It is no CloudEvent, its data is not JSON, or there are too many.
    """
    media = _media(headers.get("content-type", ""))
    if media == STRUCTURED:
        return Delivery([_event(parsed(body))])
    if media == BATCH:
        found = parsed(body)
        if not isinstance(found, list):
            raise DeliveryInvalidError(Flaw.NOT_A_CLOUDEVENT)
        if len(found) > MAX_EVENTS:
            raise DeliveryInvalidError(Flaw.TOO_MANY_EVENTS)
        return Delivery([_of_batch(each) for each in found])
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): _unquoted(value) for name, value in headers.items() if name.startswith("ce-")
    }
    if "specversion" not in attributes:
        raise DeliveryInvalidError(Flaw.NOT_A_CLOUDEVENT)
    if body:
        if media and not _JSON.fullmatch(media):  # without a type it is JSON, as the SDKs send it
            raise DeliveryInvalidError(Flaw.DATA_NOT_JSON)
        attributes["data"] = parsed(body)
    return Delivery([_event(attributes)])


def _of_batch(attributes: Any) -> Any:
    try:
        return _event(attributes)
    except DeliveryInvalidError:
        return Rejection.BAD_FIELD


def _event(attributes: Any) -> dict[str, Any]:
    if not isinstance(attributes, dict) or attributes.get("specversion") != _VERSION:
        raise DeliveryInvalidError(Flaw.NOT_A_CLOUDEVENT)
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            raise DeliveryInvalidError(Flaw.NOT_A_CLOUDEVENT)
    at = attributes.get("time")
    if at is not None and (not isinstance(at, str) or time_of(at) is None):
        raise DeliveryInvalidError(Flaw.NOT_A_CLOUDEVENT)
    data = attributes.get("data")
    if "data_base64" in attributes or (data is not None and not _is_json(attributes)):
        raise DeliveryInvalidError(Flaw.DATA_NOT_JSON)
    # Both together name an event (§ "source"); as JSON, so that no two pairs are written alike. Always hashed.
    pair = msgspec.json.encode([attributes["source"], attributes["id"]])
    message = message_id(f"cloudevent {pair.decode()}\n")
    if isinstance(data, dict) and is_event(data):
        return {**data, "messageId": message}
    said = data if isinstance(data, dict) else known({"data": data})
    around = {"userId": attributes.get("userid"), "anonymousId": attributes.get("anonymousid")}
    event = wrapped(message, attributes["type"], said, around, at)
    event["context"] = {"cloudevent": known({name: attributes.get(name) for name in ("source", "subject")})}
    return event


def _is_json(attributes: Mapping[str, Any]) -> bool:
    declared = attributes.get("datacontenttype")
    return declared is None or (isinstance(declared, str) and _JSON.fullmatch(_media(declared)) is not None)


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _unquoted(value: str) -> str:
    """A header's value as the attribute (§ 3.1.3.2): quoted parts unquoted, then percent-decoded."""
    plain = _QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), value)
    return unquote(plain, errors="replace")


__all__ = ["BATCH", "MAX_EVENTS", "STRUCTURED", "delivered", "is_binary"]
