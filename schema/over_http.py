"""GraphQL over HTTP, the protocol and nothing else: bytes in, one call, bytes out.

Follows the GraphQL over HTTP specification (working draft of 2025): GET for queries, POST with a JSON body, and the two
response types, which differ in their status codes. With `application/graphql-response+json` a request that could not be
run answers 4xx; with `application/json`, which is also what is sent where the client does not say, it answers 200.

What runs the operation is injected; this part knows no schema. Batches, compressed bodies and other media types are
refused, and so is text that is not UTF-8 or holds a NUL. No refusal repeats anything that was sent.

A body has a deadline, and only so many may be on their way at once: where one more comes, the one that has been waited
for longest is given up. So bodies that never end hold a bounded number of connections, and those that come at once are
read whatever else is going on.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from graphql import GraphQLError
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from schema.arriving import Arriving
from schema.errors import DocumentRefusedError, ErrorCode, InternalError, Problem, ProtocolError
from schema.media import JSON_TYPE, RESPONSE_TYPE, accepted, check_content
from schema.parameters import document_of, from_body, from_url
from schema.publishing import published

NO_CACHE: Final[Mapping[str, str]] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

_STATUS: Final[Mapping[Problem, int]] = {
    Problem.METHOD: 405,
    Problem.MUTATION_BY_GET: 405,
    Problem.NOT_ACCEPTABLE: 406,
    Problem.TOO_SLOW: 408,
    Problem.TOO_LARGE: 413,
    Problem.MEDIA_TYPE: 415,
    Problem.CHARSET: 415,
    Problem.ENCODING: 415,
}
# What Apollo's clients look for, and what says more than INPUT_INVALID.
_CODES: Final[Mapping[Problem, str]] = {
    Problem.TOO_SLOW: ErrorCode.TIMEOUT.value,
    Problem.TOO_LARGE: ErrorCode.QUERY_TOO_LARGE.value,
    Problem.PERSISTED_QUERY_NOT_FOUND: "PERSISTED_QUERY_NOT_FOUND",
    Problem.PERSISTED_QUERY_NOT_SUPPORTED: "PERSISTED_QUERY_NOT_SUPPORTED",
    Problem.PERSISTED_QUERY_ONLY: "PERSISTED_QUERY_ONLY",
}
# Well-formed requests that cannot be run: 200 where the answer is application/json.
_REQUEST_ERRORS: Final = frozenset(
    {Problem.PERSISTED_QUERY_NOT_FOUND, Problem.PERSISTED_QUERY_NOT_SUPPORTED, Problem.PERSISTED_QUERY_ONLY}
)
_HEADERS: Final[Mapping[Problem, Mapping[str, str]]] = {
    Problem.METHOD: {"allow": "GET, POST"},
    Problem.MUTATION_BY_GET: {"allow": "POST"},
    # What may still come of the body is not waited for (RFC 9110 §15.5.9).
    Problem.TOO_SLOW: {"connection": "close"},
}


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation to run.

    Attributes:
        query: the document's text.
        operation_name: which of its operations.
        variables: their values, as decoded from JSON.
        extensions: whatever else the client sent along.
        read_only: the request came by GET, so only a query may run; raise `ProtocolError(Problem.MUTATION_BY_GET)` for
            anything else, before it runs.
    """

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    read_only: bool


@dataclass(slots=True)
class GraphQLResponse:
    """What to answer.

    Attributes:
        data: the result; null where an error bubbled to the top.
        errors: as the answer shows them; see `errors.published`.
        extensions: the answer's extensions.
        executed: whether the operation ran. If not, the answer has no `data`, and the specification's status differs.
        status: an HTTP status other than the specification's.
        headers: more headers of the response.
    """

    data: Any = None
    errors: Sequence[Mapping[str, Any]] | None = None
    extensions: Mapping[str, Any] | None = None
    executed: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def refused(cls, errors: Iterable[GraphQLError], status: int | None = None) -> "GraphQLResponse":
        """The answer to a request that was not run."""
        return cls(errors=[published(error) for error in errors], status=status)


Run = Callable[[GraphQLRequest, Request], Awaitable[GraphQLResponse]]


class _Answer(msgspec.Struct, gc=False):
    """The body of a response; errors come first, where a reader sees them."""

    errors: Any | UnsetType = UNSET
    data: Any | UnsetType = UNSET
    extensions: Any | UnsetType = UNSET


_ENCODER: Final = msgspec.json.Encoder()


class GraphQLOverHTTP:
    """An ASGI application for one endpoint.

    Args:
        run: runs an operation. It may raise `DocumentRefusedError` or a `GraphQLError` for a request that was not run.
        max_bytes: how many bytes a body, or the parameters of a URL, may have.
        body_seconds: how long a body may take to arrive.
        max_arriving: how many bodies may be on their way at once.
        persisted: gives the document of a SHA-256 (hexadecimal), for requests that send only that; None where such
            requests are not supported.
        persisted_only: whether only what `persisted` gives may run, named by its hash or sent in full.
        headers: headers of every response.
        failed: is told of an exception `run` should not have raised; the client gets `INTERNAL`.
    """

    def __init__(
        self,
        run: Run,
        *,
        max_bytes: int = 256 * 1024,
        body_seconds: float = 10.0,
        max_arriving: int = 512,
        persisted: Callable[[str], str | None] | None = None,
        persisted_only: bool = False,
        headers: Mapping[str, str] = NO_CACHE,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._run = run
        self._max_bytes = max_bytes
        self._arriving = Arriving(body_seconds, max_arriving)
        self._persisted = persisted
        self._persisted_only = persisted_only
        self._headers = _raw(headers)
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        kind = JSON_TYPE
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Lists may come in several headers; of the others the last would win, so differing ones are not mixed.
            headers[name] = headers[name] + b"," + value if name in headers else value
        try:
            wanted = accepted(headers.get(b"accept", b""))
            kind = wanted or JSON_TYPE
            request = await self._request(scope, headers, receive)
            if request is None:
                return
            if wanted is None:
                response = _refusal(Problem.NOT_ACCEPTABLE)
            else:
                response = await self._run(request, Request(scope, receive))
        except ProtocolError as error:
            response = _refusal(error.problem)
        except DocumentRefusedError as error:
            response = GraphQLResponse.refused(error.errors)
        except GraphQLError as error:
            response = GraphQLResponse.refused([error])
        except Exception as error:  # noqa: BLE001 - whatever it is, its words must not reach the client
            response = self._internal(error)
        await self._send(response, kind, send)

    async def _request(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> GraphQLRequest | None:
        """The request, or None where the client has gone."""
        method = scope["method"]
        if method == "POST":
            check_content(headers)
            body = await self._body(headers, receive)
            if body is None:
                return None
            parameters = from_body(body)
        elif method == "GET":
            if len(scope["query_string"]) > self._max_bytes:
                raise ProtocolError(Problem.TOO_LARGE)
            parameters = from_url(scope["query_string"])
        else:
            raise ProtocolError(Problem.METHOD)
        return GraphQLRequest(
            document_of(parameters, self._persisted, only=self._persisted_only),
            parameters.operationName,
            parameters.variables,
            parameters.extensions,
            read_only=method == "GET",
        )

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > self._max_bytes:  # noqa: PLR2004 - int() is safe so far
            raise ProtocolError(Problem.TOO_LARGE)
        try:
            async with self._arriving.one():
                return await self._received(receive)
        except TimeoutError:
            raise ProtocolError(Problem.TOO_SLOW) from None

    async def _received(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_bytes:
                raise ProtocolError(Problem.TOO_LARGE)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def _internal(self, error: Exception) -> GraphQLResponse:
        if self._failed is not None:
            self._failed(error)
        return GraphQLResponse.refused([InternalError()], 500)

    async def _send(self, response: GraphQLResponse, kind: str, send: Send) -> None:
        try:
            body = _ENCODER.encode(
                _Answer(
                    response.errors or UNSET,
                    response.data if response.executed else UNSET,
                    response.extensions or UNSET,
                )
            )
        except Exception as error:  # noqa: BLE001 - an answer that is no JSON, or no Unicode
            response = self._internal(error)
            body = _ENCODER.encode(_Answer(response.errors))
        status = response.status
        if status is None:
            status = 400 if kind is RESPONSE_TYPE and not response.executed else 200
        headers = [
            (b"content-type", _CONTENT_TYPES[kind]),
            (b"content-length", b"%d" % len(body)),
            (b"vary", b"accept"),
            *self._headers,
        ]
        if response.headers:
            headers.extend(_raw(response.headers))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


_CONTENT_TYPES: Final = {kind: f"{kind}; charset=utf-8".encode() for kind in (RESPONSE_TYPE, JSON_TYPE)}


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _refusal(problem: Problem) -> GraphQLResponse:
    error = {"message": problem.value, "extensions": {"code": _CODES.get(problem, ErrorCode.INPUT_INVALID.value)}}
    status = None if problem in _REQUEST_ERRORS else _STATUS.get(problem, 400)
    return GraphQLResponse(errors=[error], status=status, headers=_HEADERS.get(problem, {}))
