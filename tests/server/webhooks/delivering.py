"""Senders of webhooks, and an intake that keeps what it takes: a working in-memory implementation that can fail."""

import base64
import hmac
import json
from datetime import UTC, datetime

from customers.collection.events import RejectedError, understood
from customers.collection.sources import SourceKind, signing_key
from customers.errors import IntakeBusyError
from server.webhooks.errors import Problem, WebhookRefusedError
from vault.envelope import TokenKey

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SHOPIFY_SECRET = "shpss_0123456789abcdef"
STRIPE_SECRET = "whsec_0123456789abcdef"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLOUD_SECRET = "whsec_" + base64.b64encode(b"c" * 32).decode()
SECRETS = {
    "records": (SourceKind.SHOPIFY, SHOPIFY_SECRET),
    "payments": (SourceKind.STRIPE, STRIPE_SECRET),
    "tickets": (SourceKind.STANDARD_WEBHOOKS, STANDARD_SECRET),
    "cloud": (SourceKind.CLOUDEVENTS, CLOUD_SECRET),
}

ORDER = {
    "id": 1001,
    "name": "#1001",
    "created_at": "2026-05-14T09:00:00Z",
    "updated_at": "2026-05-14T09:00:00Z",
    "currency": "EUR",
    "total_price": "19.90",
    "customer": {"id": 4711, "email": "ana@example.com"},
    "line_items": [{"product_id": 1, "title": "Record", "quantity": 1, "price": "19.90"}],
}
CHARGE = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.succeeded",
    "created": SECONDS,
    "livemode": True,
    "data": {"object": {"id": "ch_1", "customer": "cus_1", "amount": 1990, "currency": "eur"}},
}
TICKET = {"type": "ticket.closed", "data": {"userId": "u-1", "days": 3}}
CLOUD = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order", "data": {"userId": "u-1"}}


def encoded(payload):
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def shopify(payload, *, topic="orders/create", name="w-1", secret=SHOPIFY_SECRET):
    body = encoded(payload)
    signature = base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()
    headers = {"x-shopify-hmac-sha256": signature, "x-shopify-topic": topic, "x-shopify-webhook-id": name}
    return "/webhooks/records", body, headers


def stripe(payload, *, seconds=SECONDS, secret=STRIPE_SECRET):
    body = encoded(payload)
    signature = hmac.digest(secret.encode(), b"%d." % seconds + body, "sha256").hex()
    return "/webhooks/payments", body, {"stripe-signature": f"t={seconds},v1={signature}"}


def standard(payload, *, seconds=SECONDS, name="msg_1", secret=STANDARD_SECRET, source="tickets"):
    body = encoded(payload)
    key = signing_key(SourceKind.STANDARD_WEBHOOKS, secret)
    signature = base64.b64encode(hmac.digest(key, f"{name}.{seconds}.".encode() + body, "sha256")).decode()
    headers = {"webhook-id": name, "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{signature}"}
    return f"/webhooks/{source}", body, headers


def structured(payload, **options):
    path, body, headers = standard(payload, **{"secret": CLOUD_SECRET, "source": "cloud", **options})
    return path, body, {**headers, "content-type": "application/cloudevents+json"}


class KeptEvents:
    """Keeps events as the intake would, each once by its source and message id."""

    def __init__(self):
        self.events = {}
        self.rejected = []
        self.fails = None
        self.waits = None

    async def accept(self, source, events, *, sent_at, received_at, gpc):
        assert not gpc, "what a server sends carries no signal of a browser"
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        for raw in events:
            try:
                event = understood(raw, received_at=received_at, sent_at=sent_at, new_id=lambda: "none")
            except RejectedError as error:
                self.rejected.append(error.rejection)
            else:
                self.events.setdefault((source.name, event.message_id), event)

    @property
    def names(self):
        return [event.name or event.type.value for event in self.events.values()]


class KeptRequests:
    """Keeps privacy requests, each once."""

    def __init__(self):
        self.requests = {}
        self.fails = None

    async def keep(self, source, request):
        if self.fails is not None:
            raise self.fails
        self.requests.setdefault((source.name, request.message_id), request)


class Sealing:
    """The vault's own sealing, under a key of the test's."""

    def __init__(self, random):
        self._key = TokenKey(random(32), random=random)

    def seal_token(self, purpose, payload, context):
        return self._key.seal(purpose, payload, context)

    def open_token(self, purpose, token, context):
        return self._key.open(purpose, token, context)


def refused(error):
    if isinstance(error, IntakeBusyError):
        return WebhookRefusedError(Problem.BUSY, error.retry_after)
    return WebhookRefusedError(Problem.UNAVAILABLE if isinstance(error, OSError) else Problem.INTERNAL)
