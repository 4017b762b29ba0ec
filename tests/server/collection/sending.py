"""An intake that keeps what it takes, and requests to the tracking API."""

import json
import os
from datetime import UTC, datetime

from customers.collection.events import RejectedError, understood
from server.collection.errors import MESSAGES, CollectionRefusedError, Problem

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
PAGE = "https://shop.example"


class BusyError(Exception):
    def __init__(self, retry_after):
        super().__init__()
        self.retry_after = retry_after


class KeptEvents:
    """Keeps events as the intake would: a working in-memory implementation, that can be told to fail."""

    def __init__(self):
        self.events = []
        self.rejected = []
        self.gpc = []
        self.fails = None
        self.waits = None

    async def accept(self, source, events, *, sent_at, received_at, gpc, kind=None):
        if self.waits is not None:
            await self.waits.wait()
        if self.fails is not None:
            raise self.fails
        for raw in events:
            try:
                event = understood(
                    raw, received_at=received_at, sent_at=sent_at, new_id=lambda: os.urandom(8).hex(), kind=kind
                )
            except RejectedError as error:
                self.rejected.append((source.name, error.rejection))
            else:
                self.events.append((source.name, event))
                self.gpc.append(gpc)

    @property
    def names(self):
        return [event.name for _, event in self.events]


def refused(error):
    if isinstance(error, BusyError):
        return CollectionRefusedError(Problem.BUSY, error.retry_after)
    return CollectionRefusedError(Problem.UNAVAILABLE if isinstance(error, OSError) else Problem.INTERNAL)


def track(name="Product Viewed", **more):
    return {"type": "track", "event": name, "userId": "u-1", **more}


def body_of(*events, **more):
    return json.dumps({"batch": list(events), **more}).encode()


async def post(collection, content, path="/v1/batch", key="till", **headers):
    """Send bytes with a source's key, or as `key` says: None for without."""
    auth = None if key is None else (getattr(collection, key, key), "")
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await collection.client.post(path, content=content, auth=auth, headers=named)


def told(response):
    """An answer's status and code; that its message is one sentence of ours is checked on the way."""
    found = response.json()
    assert set(found) == {"code", "message"}
    assert found["message"] in MESSAGES.values()
    assert response.headers["content-type"] == "application/json"
    return response.status_code, found["code"]
