"""The tracking API that Segment's and RudderStack's SDKs speak: `/v1/track` and its sisters, `/v1/batch`, settings.

What the SDKs take for what decides the answers. Some take only 200 as delivered, some any status below 400: so it is
exactly 200 when the events are durable, and never a redirect. They give up on 400, 401 and 413, and try again on 408,
429 and 5xx: so those mean what they say. The answer leaves when the intake has returned, and not before.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from customers.collection.events import EventType
from customers.collection.sources import Source, SourceStore
from schema.arriving import Arriving
from server.collection import origins
from server.collection.bodies import received
from server.collection.credentials import key_of, known, source_of
from server.collection.errors import MESSAGES, CollectionRefusedError, Problem
from server.collection.origins import Headers
from server.collection.payload import Sent, alone, batch
from server.collection.sdk_settings import address_of, settings_for

_COUNTERS: Final = "m"
# What stands after /v1/. The short names are those of the browser SDK.
_KINDS: Final[Mapping[str, EventType]] = {
    **{kind.value: kind for kind in EventType},
    **{kind.value[0]: kind for kind in EventType},
}
_BATCHES: Final = frozenset({"batch", "import", "b"})
_PROJECTS: Final = "projects/"
_SETTINGS: Final = "/settings"
_POST: Final = ("POST", "OPTIONS")
_GET: Final = ("GET", "HEAD", "OPTIONS")

_STATUS: Final[Mapping[Problem, HTTPStatus]] = {
    Problem.WRITE_KEY_MISSING: HTTPStatus.UNAUTHORIZED,
    Problem.WRITE_KEY_REFUSED: HTTPStatus.UNAUTHORIZED,
    Problem.WRITE_KEYS_DIFFER: HTTPStatus.UNAUTHORIZED,
    Problem.ORIGIN_REFUSED: HTTPStatus.FORBIDDEN,
    Problem.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Problem.METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Problem.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Problem.BODY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Problem.ENCODING_UNKNOWN: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Problem.BUSY: HTTPStatus.TOO_MANY_REQUESTS,
    Problem.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Problem.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_HEADERS: Final[Headers] = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
_NO_STORE: Final = (b"cache-control", b"no-store")
# The write key stands in the page anyway, and the rest is the same for everybody.
_KEPT: Final = (b"cache-control", b"public, max-age=60")
_TAKEN: Final = b'{"success": true}'
_RETRY_SECONDS: Final = 2.0

_AGAIN: Final = frozenset({Problem.BUSY, Problem.UNAVAILABLE, Problem.INTERNAL})

# Longer than SDKs wait: what is not stored by then is sent again.
_STORING_SECONDS: Final = 15.0
# Beside those of GraphQL (512) and of the console's forms (256), of 1,024 connections in all.
_MOST_ARRIVING: Final = 192
# How many bytes of bodies, unpacked, may wait to be stored; what is made of them takes ten times that.
_MOST_WAITING: Final = 16 * 1024 * 1024


class Accepting(Protocol):
    """What stores events: returns when they are durable."""

    async def accept(
        self,
        source: Source,
        events: Sequence[Any],
        *,
        sent_at: datetime | None,
        received_at: datetime,
        gpc: bool,
        kind: EventType | None = None,
    ) -> object:
        """Store what can be understood, and count what cannot among the violations."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a request gets."""

    status: HTTPStatus
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = (_NO_STORE,)


class Collection:
    """The ASGI application below `/v1`.

    Args:
        sources: The sources and their write keys.
        intake: Where events go.
        refused: Says what an exception of the two above is to be told as, and logs what nobody else would.
        now: The time.
        origin: Where browsers find this server; None to take it from each request's Host header.
        body_seconds: How long a body may take to arrive.
        max_arriving: How many bodies may be on their way at once.
        max_waiting: How many bytes may wait to be stored at once.
        storing_seconds: How long they may take to be stored.
    """

    def __init__(
        self,
        sources: SourceStore,
        intake: Accepting,
        *,
        refused: Callable[[Exception], CollectionRefusedError],
        now: Callable[[], datetime],
        origin: str | None = None,
        body_seconds: float = 10.0,
        max_arriving: int = _MOST_ARRIVING,
        max_waiting: int = _MOST_WAITING,
        storing_seconds: float = _STORING_SECONDS,
    ) -> None:
        self._sources = sources
        self._intake = intake
        self._refused = refused
        self._now = now
        self._origin = origin
        self._arriving = Arriving(body_seconds, max_arriving)
        self._max_waiting = max_waiting
        self._storing_seconds = storing_seconds
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Two that differ are not mixed into one that is good.
            headers[name] = headers[name] + b"," + value if name in headers else value
        path = scope["path"].removeprefix(scope.get("root_path", "")).strip("/")
        try:
            answer = await self._answer(path, scope, headers, receive)
        except CollectionRefusedError as error:
            answer = _refusal(error, path)
        except Exception as error:  # noqa: BLE001 - whatever it is, its words must not reach the sender
            answer = _refusal(self._refused(error), path)
        if answer is None:
            return
        more = [*answer.headers, *await self._for_pages(headers, preflight=scope["method"] == "OPTIONS")]
        length = (b"content-length", b"%d" % len(answer.body))
        await send(
            {"type": "http.response.start", "status": answer.status.value, "headers": [*_HEADERS, length, *more]}
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _for_pages(self, headers: Mapping[bytes, bytes], *, preflight: bool) -> Headers:
        """What the browser of a page must be told; nothing while the sources cannot be looked at."""
        try:
            return await origins.told(self._sources, headers.get(b"origin", b""), preflight=preflight)
        except Exception as error:  # noqa: BLE001 - the answer stands; that it cannot be seen is logged
            self._refused(error)
            return []

    async def _answer(
        self, path: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
    ) -> _Answer | None:
        """What a request gets, or None where its sender has gone."""
        methods = _methods(path)
        if not methods:
            raise CollectionRefusedError(Problem.NOT_FOUND)
        if scope["method"] not in methods:
            raise CollectionRefusedError(Problem.METHOD)
        if scope["method"] == "OPTIONS":
            return _Answer(HTTPStatus.OK, b"")
        if path.startswith(_PROJECTS):
            return await self._settings(path[len(_PROJECTS) : -len(_SETTINGS)], scope, headers)
        received_at = self._now()
        body = await self._body(headers, receive)
        if body is None:
            return None
        if path != _COUNTERS:
            await self._store(path, headers, body, received_at)
        return _Answer(HTTPStatus.OK, _TAKEN)

    async def _settings(self, key: str, scope: Scope, headers: Mapping[bytes, bytes]) -> _Answer:
        try:
            source = await known(self._sources, key)
        except CollectionRefusedError:
            raise CollectionRefusedError(Problem.NOT_FOUND) from None
        origins.require(source, headers.get(b"origin", b""))
        address = address_of(self._origin, scope["scheme"], headers.get(b"host", b""))
        if address is None:
            raise CollectionRefusedError(Problem.NOT_FOUND)
        return _Answer(HTTPStatus.OK, settings_for(key, *address), (_KEPT,))

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        try:
            async with self._arriving.one():
                return await received(headers, receive)
        except TimeoutError:
            raise CollectionRefusedError(Problem.TOO_SLOW) from None

    async def _store(self, path: str, headers: Mapping[bytes, bytes], body: bytes, received_at: datetime) -> None:
        """Return when the events of a body are durable, or counted as what cannot be stored."""
        if self._waiting + len(body) > self._max_waiting:
            raise CollectionRefusedError(Problem.BUSY)
        self._waiting += len(body)
        try:
            async with asyncio.timeout(self._storing_seconds):
                in_header = key_of(headers.get(b"authorization", b""))
                if in_header is not None:
                    await known(self._sources, in_header)  # before any work is done for it
                sent: Sent = batch(body) if path in _BATCHES else alone(body)
                source = await source_of(self._sources, in_header, sent.write_key)
                origins.require(source, headers.get(b"origin", b""))
                await self._intake.accept(
                    source,
                    sent.events,
                    sent_at=sent.sent_at,
                    received_at=received_at,
                    gpc=headers.get(b"sec-gpc", b"").strip() == b"1",
                    kind=_KINDS.get(path),
                )
        finally:
            self._waiting -= len(body)


def _methods(path: str) -> tuple[str, ...]:
    """What may be done at a path below `/v1`; nothing where there is none."""
    if path in _KINDS or path in _BATCHES or path == _COUNTERS:
        return _POST
    if path.startswith(_PROJECTS) and path.endswith(_SETTINGS):
        return _GET
    return ()


def _refusal(error: CollectionRefusedError, path: str) -> _Answer:
    """The answer that says why nothing was taken."""
    problem = error.problem
    headers: Headers = [_NO_STORE]
    if problem in _AGAIN:
        seconds = _RETRY_SECONDS if error.retry_after is None else error.retry_after
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(seconds))))
    elif problem is Problem.METHOD:
        headers.append((b"allow", ", ".join(_methods(path)).encode()))
    elif problem in (Problem.TOO_SLOW, Problem.BODY_TOO_LARGE):
        # What may still come of the body is not waited for (RFC 9110 §15.5.9).
        headers.append((b"connection", b"close"))
    elif _STATUS.get(problem) is HTTPStatus.UNAUTHORIZED:
        # Not Basic: a browser would ask whoever looks at the page for a password.
        headers.append((b"www-authenticate", b"Bearer"))
    body = msgspec.json.encode({"code": problem.value, "message": MESSAGES[problem]})
    return _Answer(_STATUS.get(problem, HTTPStatus.BAD_REQUEST), body, headers)


__all__ = ["Accepting", "Collection"]
