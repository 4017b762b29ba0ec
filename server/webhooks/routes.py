"""`POST /webhooks/{source}`: what Shopify, Stripe, and senders of Standard Webhooks and CloudEvents deliver.

Senders take any status of 200 to 299 as delivered and send everything else again for hours or days, so what a status
says is whether it is durable. All is said within five seconds, which is as long as Shopify waits.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from customers.collection.sources import Source, SourceStore
from customers.collection.webhooks import DeliveryInvalidError, Flaw, PrivacyRequest, delivered
from schema.arriving import Arriving
from server.webhooks.bodies import received
from server.webhooks.errors import MESSAGES, Problem, WebhookRefusedError
from server.webhooks.trust import trusted

_FLAWS: Final[Mapping[Flaw, Problem]] = {
    Flaw.NOT_JSON: Problem.NOT_JSON,
    Flaw.NOT_UNDERSTOOD: Problem.NOT_UNDERSTOOD,
    Flaw.NOT_A_CLOUDEVENT: Problem.NOT_A_CLOUDEVENT,
    Flaw.DATA_NOT_JSON: Problem.DATA_NOT_JSON,
    Flaw.TOO_MANY_EVENTS: Problem.TOO_MANY_EVENTS,
}
_STATUS: Final[Mapping[Problem, HTTPStatus]] = {
    Problem.SIGNATURE_REFUSED: HTTPStatus.UNAUTHORIZED,
    Problem.DATA_NOT_JSON: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Problem.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Problem.ENCODING_UNKNOWN: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Problem.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Problem.METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Problem.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Problem.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Problem.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Problem.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_AGAIN: Final = frozenset({Problem.BUSY, Problem.UNAVAILABLE, Problem.INTERNAL})
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_PLACE: Final = "/webhooks"
_RETRY_SECONDS: Final = 2.0
# Shopify waits five seconds for an answer to begin.
_ANSWER_SECONDS: Final = 4.5
_BODY_SECONDS: Final = 3.0
# Beside those of GraphQL (512), of the console's forms (256) and of the tracking API (192), of 1,024 connections.
_MOST_ARRIVING: Final = 32
# How many bytes of bodies may wait to be stored; what is made of them takes about ten times that.
_MOST_WAITING: Final = 16 * 1024 * 1024

Headers = list[tuple[bytes, bytes]]


class Accepting(Protocol):
    """What stores events: returns when they are durable."""

    async def accept(
        self, source: Source, events: Sequence[Any], *, sent_at: datetime | None, received_at: datetime, gpc: bool
    ) -> object:
        """Store what can be understood, and count what cannot among the violations."""


class Keeping(Protocol):
    """What keeps privacy requests: returns when one is durable."""

    async def keep(self, source: Source, request: PrivacyRequest) -> object:
        """Keep it, once however often it comes."""


class Webhooks:
    """The ASGI application below `/webhooks`.

    Args:
        sources: The sources and their secrets.
        intake: Where events go.
        requests: Where privacy requests go.
        refused: Says what an exception of the three above is to be told as, and logs what nobody else would.
        now: The time.
        body_seconds: How long a body may take to arrive.
        answer_seconds: How long everything may take.
        max_arriving: How many bodies may be on their way at once.
        max_waiting: How many bytes may wait to be stored at once.
    """

    def __init__(
        self,
        sources: SourceStore,
        intake: Accepting,
        requests: Keeping,
        *,
        refused: Callable[[Exception], WebhookRefusedError],
        now: Callable[[], datetime],
        body_seconds: float = _BODY_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
        max_arriving: int = _MOST_ARRIVING,
        max_waiting: int = _MOST_WAITING,
    ) -> None:
        self._sources = sources
        self._intake = intake
        self._requests = requests
        self._refused = refused
        self._now = now
        self._arriving = Arriving(min(body_seconds, _BODY_SECONDS), max_arriving)
        self._answer_seconds = answer_seconds
        self._max_waiting = max_waiting
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        deadline = asyncio.get_running_loop().time() + self._answer_seconds
        status, headers = HTTPStatus.OK, list(_HEADERS)
        try:
            if scope["method"] == "OPTIONS":
                body, headers = b"", [*headers, *_agreed(scope)]
            else:
                taken = await self._taken(scope, receive, deadline)
                if taken is None:
                    return
                body = b'{"success": true, "taken": %d}' % taken
        except WebhookRefusedError as error:
            status, body, more = _told(error)
            headers += more
        except Exception as error:  # noqa: BLE001 - whatever it is, its words must not reach the sender
            status, body, more = _told(self._refused(error))
            headers += more
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status.value, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _taken(self, scope: Scope, receive: Receive, deadline: float) -> int | None:
        """How many events or requests were taken, or None where the sender has gone."""
        name = scope["path"].removeprefix(_PLACE).strip("/")
        if not name or "/" in name:
            raise WebhookRefusedError(Problem.NOT_FOUND)
        if scope["method"] != "POST":
            raise WebhookRefusedError(Problem.METHOD)
        headers = _headers(scope)
        try:
            async with self._arriving.one():
                body = await received(headers, receive)
        except TimeoutError:
            raise WebhookRefusedError(Problem.TOO_SLOW) from None
        if body is None:
            return None
        if self._waiting + len(body) > self._max_waiting:
            raise WebhookRefusedError(Problem.BUSY)
        self._waiting += len(body)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._stored(name, headers, body)
        finally:
            self._waiting -= len(body)

    async def _stored(self, name: str, headers: Mapping[str, str], body: bytes) -> int:
        """Return when what a delivery says is durable."""
        received_at = self._now()
        source = await trusted(self._sources, name, headers, body, received_at)
        try:
            delivery = delivered(source.kind, headers, body)
        except DeliveryInvalidError as error:
            raise WebhookRefusedError(_FLAWS[error.flaw]) from None
        if delivery.request is not None:
            await self._requests.keep(source, delivery.request)
            return 1
        if delivery.events:
            await self._intake.accept(source, delivery.events, sent_at=None, received_at=received_at, gpc=False)
        return len(delivery.events)


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by name; two of one name are put together, so that no half of them is good alone."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _agreed(scope: Scope) -> Headers:
    """That deliveries are expected here: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md §4.

    The same for every address, whether or not there is such a source; it lets nobody in.
    """
    allowed: Headers = [(b"allow", b"POST, OPTIONS")]
    if any(name.lower() == b"webhook-request-origin" for name, _ in scope["headers"]):
        allowed.append((b"webhook-allowed-origin", b"*"))
    return allowed


def _told(error: WebhookRefusedError) -> tuple[HTTPStatus, bytes, Headers]:
    """The answer that says why nothing was taken."""
    problem = error.problem
    headers: Headers = []
    if problem in _AGAIN:
        seconds = _RETRY_SECONDS if error.retry_after is None else error.retry_after
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(seconds))))
    elif problem is Problem.METHOD:
        headers.append((b"allow", b"POST, OPTIONS"))
    elif problem is Problem.TOO_SLOW:
        # What may still come of the body is not waited for (RFC 9110 §15.5.9).
        headers.append((b"connection", b"close"))
    elif problem is Problem.SIGNATURE_REFUSED:
        headers.append((b"www-authenticate", b"Bearer"))
    body = msgspec.json.encode({"code": problem.value, "message": MESSAGES[problem]})
    return _STATUS.get(problem, HTTPStatus.BAD_REQUEST), body, headers


__all__ = ["Accepting", "Keeping", "Webhooks"]
