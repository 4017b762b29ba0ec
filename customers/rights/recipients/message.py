"""What a recipient is sent: the bytes, and the headers that prove who sends them. Pure."""

import base64
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from audit import timestamp
from customers.outgoing import Request
from customers.rights.recipients.model import CUSTOMER_ID, Delivery, KnownAs, NoticeKind, Recipient, RecipientKind

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what stands before secrets
_TYPES: Final = {
    NoticeKind.ERASURE: "customer.erased",
    NoticeKind.RECTIFICATION: "customer.rectified",
    NoticeKind.RESTRICTION: "customer.restricted",
    NoticeKind.RESTRICTION_LIFTED: "customer.restriction_lifted",
}
_JSON: Final = "application/json"
_AGENT: Final = "confide"
SIGNATURE: Final = "x-opendsr-signature"
"""Of OpenDSR: the header that proves an answer."""


def request_of(
    recipient: Recipient,
    secret: str,
    delivery: Delivery,
    person: Sequence[KnownAs],
    values: Mapping[str, Any],
    now: datetime,
) -> Request:
    """What is sent for a delivery. To be told twice does no harm: both times it has the same id.

    Args:
        recipient: To whom.
        secret: What they share with us.
        delivery: What they are told.
        person: Whom it is about, as they know them.
        values: Of a correction, what holds now, by path.
        now: The time.
    """
    if recipient.kind is RecipientKind.OPENDSR:
        return _opendsr(recipient, secret, delivery, person)
    data: dict[str, Any] = {
        "id": delivery.id,
        "person": [{"by": each.by, "value": each.value} for each in person],
    }
    if delivery.kind is NoticeKind.RECTIFICATION:
        data["values"] = dict(values)
    body = msgspec.json.encode({"type": _TYPES[delivery.kind], "timestamp": timestamp(delivery.at), "data": data})
    seconds = str(int(now.timestamp()))
    headers = {
        "content-type": _JSON,
        "user-agent": _AGENT,
        "webhook-id": delivery.id,
        "webhook-timestamp": seconds,
        "webhook-signature": signature(secret, delivery.id, seconds, body),
    }
    return Request("POST", recipient.url, headers, body)


def signature(secret: str, name: str, seconds: str, body: bytes) -> str:
    """The signature of Standard Webhooks (https://www.standardwebhooks.com) under a `whsec_` secret."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    made = hmac.digest(key, f"{name}.{seconds}.".encode() + body, sha256)
    return f"v1,{base64.b64encode(made).decode()}"


def subject_request_id(delivery: Delivery) -> str:
    """The UUID (version 4 in form) by which an OpenDSR recipient knows a delivery: always the same one."""
    return str(uuid.UUID(bytes=sha256(b"confide/opendsr\0" + delivery.id.encode()).digest()[:16], version=4))


def asked_again(recipient: Recipient, secret: str, delivery: Delivery) -> Request:
    """What asks an OpenDSR recipient whether they have a request: they refuse one that they were sent before."""
    url = f"{recipient.url.rstrip('/')}/{subject_request_id(delivery)}"
    return Request("GET", url, _opendsr_headers(secret))


def confirms(delivery: Delivery, body: bytes) -> bool:
    """Whether an OpenDSR recipient's answer says that they have the request."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("subject_request_id") == subject_request_id(delivery)


def _opendsr(recipient: Recipient, secret: str, delivery: Delivery, person: Sequence[KnownAs]) -> Request:
    """https://github.com/opengdpr/OpenDSR, section 7.1."""
    identities = [
        {
            "identity_type": "email" if each.by == "email" else "controller_customer_id",
            "identity_value": each.value,
            "identity_format": "raw",
        }
        for each in person
        if each.by in {CUSTOMER_ID, "email"} or each.by.startswith("external_id:")
    ]
    body = msgspec.json.encode(
        {
            "regulation": "gdpr",
            "subject_request_id": subject_request_id(delivery),
            "subject_request_type": "erasure",
            "submitted_time": timestamp(delivery.at),
            "subject_identities": identities,
            "api_version": "1.0",
        }
    )
    return Request("POST", recipient.url, _opendsr_headers(secret) | {"content-type": _JSON}, body)


def _opendsr_headers(secret: str) -> dict[str, str]:
    headers = {"accept": _JSON, "user-agent": _AGENT}
    return headers | ({"authorization": secret} if secret else {})
