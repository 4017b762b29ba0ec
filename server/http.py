"""The HTTP application: GraphQL, the console, exports, health, and the local issuer's keys."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import version as installed_version
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as HTTPRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from customers.caller import Caller
from schema.build import build_schema
from schema.documents import Documents
from schema.errors import ErrorCode, KeysUnavailableError, UnauthenticatedError
from schema.graphiql import GraphiQL
from schema.over_http import GraphQLOverHTTP, GraphQLRequest, GraphQLResponse
from schema.publishing import published
from schema.service import Asked, GraphQLService
from server import garbage, telemetry
from server.access import challenge, is_temporary
from server.certificates import certificate_routes
from server.collection import collection_routes
from server.consenting import consent_routes
from server.console import console_of
from server.copies import copy_routes
from server.errors import AccessError, SettingsError
from server.exports import export_routes
from server.health import Check, CheckName, health_routes
from server.http_protocol import HeadDeadlineProtocol
from server.limits import limits_of
from server.logs import Event, Fields, log
from server.opendsr import opendsr_routes
from server.platform import Platform
from server.portal import portal_of
from server.settings import Settings
from server.telemetry import Attribute, SpanName, Telemetry, method_of, route_of
from server.webhooks import webhook_routes
from vault import Fleet

_GRACE_SECONDS = 20
# Beyond these, uvicorn answers 503 to everything, /healthz included; so bodies that stall may not hold them all.
_CONNECTIONS = 1024
_ARRIVING_BODIES = _CONNECTIONS // 2
# How long a server that shall stop goes on reading what was sent to it before, and when it has had nothing to do.
_LAST_SECONDS = 2.0
_QUIET_SECONDS = 0.1
_TRACE = "confide.trace"


async def serve_until(
    platform: Platform,
    stop: asyncio.Event,
    *,
    listening: socket.socket | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set; requests in flight are finished.

    Args:
        platform: What is served.
        stop: Set by whoever wants it to end.
        listening: The socket to serve on, where the settings' address has been taken before.
        ready: Set once connections are accepted.
    """
    settings = platform.settings
    listening = listening or listen(settings)
    found = telemetry.start(
        settings.otlp_endpoint,
        headers=None if settings.otlp_headers is None else settings.otlp_headers.get_secret_value(),
        sample_ratio=settings.trace_sample_ratio,
        version=installed_version("confide"),
    )
    host, port = listening.getsockname()[:2]
    app = application(platform, found)
    server = _Server(
        uvicorn.Config(
            app,
            # uvicorn calls whatever stands here, and says that it is a class.
            http=cast("Any", partial(HeadDeadlineProtocol, head_seconds=settings.body_seconds)),
            log_config=None,
            access_log=False,
            server_header=False,
            # Where browsers find the console is a setting; what a client says of it is not believed.
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
            limit_concurrency=_CONNECTIONS,
        )
    )
    garbage.settle()
    serving = asyncio.create_task(server.serve([listening]), name="http")
    starting = asyncio.create_task(server.accepting.wait(), name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((serving, starting), return_when=asyncio.FIRST_COMPLETED)
        if ready is not None:
            ready.set()
        log(Event.READY, address=f"{host}:{port}")
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        log(Event.STOPPING)
        await app.drain(server.servers)
        server.should_exit = True
        await serving
    finally:
        for task in (starting, stopping):
            task.cancel()
        found.close()


def listen(settings: Settings) -> socket.socket:
    """A socket on the settings' address.

    Raises:
        SettingsError: There is no such address, or something else listens there.
    """
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(f"port {settings.port} is in use (use --port or CONFIDE_PORT)") from None
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "there is no such address"
        raise SettingsError(
            f"CONFIDE_HOST, CONFIDE_PORT: cannot listen on port {settings.port} there ({reason}); choose another"
        ) from error


class _Server(uvicorn.Server):
    """uvicorn, without signal handlers of its own: the command decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def application(platform: Platform, found: Telemetry) -> "Application":
    """The ASGI application over a running platform."""
    settings = platform.settings
    built = build_schema(platform.policies.current.catalogue)
    documents = Documents(
        built.schema, limits_of(settings), introspection=settings.development, suggestions=settings.development
    )
    service = GraphQLService(built, documents, platform.services, failed=_tell)
    console = console_of(platform, service, built)
    routes: list[BaseRoute] = [
        HTTPRoute("/graphql", _graphql(platform, service, found)),
        HTTPRoute("/console", _to_console, methods=["GET"]),
        Mount("/console", console),
        *export_routes(platform),
        *certificate_routes(platform),
        *copy_routes(platform),
        *collection_routes(platform),
        *webhook_routes(platform),
        *consent_routes(platform),
        *opendsr_routes(platform),
        *_portal(platform, service),
        HTTPRoute("/.well-known/jwks.json", _jwks(platform), methods=["GET"]),
        *health_routes(_checks(platform)),
    ]
    if settings.development:
        routes.append(Mount("/graphiql", GraphiQL("/graphql", "/graphiql")))
        routes.append(HTTPRoute("/", console.doors, methods=["GET"]))
    else:
        routes.append(HTTPRoute("/", _to_console, methods=["GET"]))
    platform.log.on_commit = found.audit_batch
    return Application(Starlette(routes=routes), found, platform.vault.fleet)


def _portal(platform: Platform, service: GraphQLService) -> list[BaseRoute]:
    """The customers' pages, where they are wanted."""
    settings = platform.settings
    if settings.portal_origin is None and not settings.development:
        return []
    return [
        HTTPRoute("/portal", _to_portal, methods=["GET"]),
        Mount("/portal", portal_of(platform, service)),
    ]


async def _to_portal(_: HTTPRequest) -> Response:
    return RedirectResponse("/portal/")


async def _to_console(_: HTTPRequest) -> Response:
    return RedirectResponse("/console/")


def _graphql(platform: Platform, service: GraphQLService, found: Telemetry) -> GraphQLOverHTTP:
    settings = platform.settings

    async def run(asked: GraphQLRequest, request: HTTPRequest) -> GraphQLResponse:
        async def who() -> Caller:
            with found.span(SpanName.AUTHENTICATE):
                return await platform.authenticator.authenticate(request.headers.get("authorization"))

        try:
            caller = await who()
        except AccessError as error:
            return _unauthenticated(error)
        whole = Asked(
            query=asked.query,
            operation_name=asked.operation_name,
            variables=asked.variables,
            purpose=request.headers.get("confide-purpose"),
            case=request.headers.get("confide-case"),
            trace=request.scope.get(_TRACE),
            read_only=asked.read_only,
            encoded=True,
        )
        try:
            with found.span(SpanName.EXECUTE) as span:
                answer = await service.answer(whole, caller, again=who)
                for refusal in answer.errors or ():
                    span.set(Attribute.ERROR_CODE, refusal["extensions"]["code"])
        except AccessError as error:  # they waited, and may not ask any more
            return _unauthenticated(error)
        return GraphQLResponse(
            data=answer.data, errors=answer.errors, extensions=answer.extensions, executed=answer.ran
        )

    def failed(error: Exception) -> None:
        log(Event.REQUEST_FAILED, logging.ERROR, error=error)

    return GraphQLOverHTTP(
        run,
        max_bytes=settings.max_body_bytes,
        body_seconds=settings.body_seconds,
        max_arriving=_ARRIVING_BODIES,
        persisted=platform.documents.text,
        persisted_only=settings.trusted_documents_only,
        failed=failed,
    )


def _tell(code: ErrorCode, cause: BaseException, trace: str | None) -> None:
    """Log a failure of ours: its response's status is 200, so nothing else would tell who watches the log."""
    fields: Fields = {"code": code}
    if trace is not None:
        fields["trace"] = trace
    log(Event.REQUEST_FAILED, logging.ERROR, error=cause, **fields)


def _unauthenticated(error: AccessError) -> GraphQLResponse:
    if is_temporary(error):
        unavailable = KeysUnavailableError("Who is asking cannot be checked now; try again later.")
        return GraphQLResponse(errors=[published(unavailable)], status=503, headers={"retry-after": "2"})
    refused = UnauthenticatedError(str(error))
    return GraphQLResponse(errors=[published(refused)], status=401, headers={"www-authenticate": challenge(error)})


def _jwks(platform: Platform) -> Callable[[HTTPRequest], Awaitable[Response]]:
    """The local issuer's public keys, where its tokens are accepted."""

    async def jwks(_: HTTPRequest) -> Response:
        keys: dict[str, Any] = platform.issuer.jwks if platform.settings.accepts_local_tokens else {"keys": []}
        return JSONResponse(keys)

    return jwks


def _checks(platform: Platform) -> Mapping[CheckName, Check]:
    """What must hold for this process to serve."""

    async def ring() -> None:
        _ = platform.vault.contents

    async def lease() -> None:
        platform.vault.fleet.check_lease()

    async def access() -> None:
        if not platform.revocations.loaded:
            raise ConnectionError

    return {
        CheckName.DATABASE: lambda: platform.main.command("ping"),
        CheckName.KEYS: lambda: platform.keys.command("ping"),
        CheckName.AUDIT: lambda: platform.audit.command("ping"),
        CheckName.RING: ring,
        CheckName.LEASE: lease,
        CheckName.ACCESS: access,
    }


class Application:
    """Every request is a span, a metric and a log line; none of them holds a path or a header of the caller's."""

    def __init__(self, app: ASGIApp, found: Telemetry, fleet: Fleet) -> None:
        self._app = app
        self._telemetry = found
        self._fleet = fleet
        self._open = 0
        self._draining = False

    async def drain(self, listening: Iterable[asyncio.AbstractServer]) -> None:
        """Take no more connections, and return when what was sent on those there are has been answered.

        uvicorn closes a connection whose request it has not begun to read; so that begins only when it is quiet.
        """
        self._draining = True
        await asyncio.sleep(_QUIET_SECONDS)  # those that wait to be accepted
        for each in listening:
            each.close()
        quiet = 0.0
        deadline = time.monotonic() + _LAST_SECONDS
        while quiet < _QUIET_SECONDS and time.monotonic() < deadline:
            await asyncio.sleep(_QUIET_SECONDS / 10)
            quiet = 0.0 if self._open else quiet + _QUIET_SECONDS / 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route, method = route_of(scope["path"]), method_of(scope["method"])
        status = 500
        began = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                span.set(Attribute.STATUS, status)
                if self._draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1") or None
        self._open += 1
        try:
            with self._telemetry.span(SpanName.REQUEST, traceparent=parent) as span:
                span.set(Attribute.ROUTE, route)
                span.set(Attribute.METHOD, method)
                scope[_TRACE] = span.trace_id
                await self._app(scope, receive, noting)
        finally:
            self._open -= 1
        seconds = time.perf_counter() - began
        self._telemetry.request(route, method, status, seconds)
        self._telemetry.lease(held=not self._fleet.lost.is_set())
        level = logging.ERROR if status >= 500 else logging.INFO  # noqa: PLR2004 - server errors
        fields: Fields = {"route": route, "method": method, "status": status, "duration_ms": round(seconds * 1000, 2)}
        if span.trace_id is not None:
            fields["trace"] = span.trace_id
        log(Event.REQUEST, level, **fields)
