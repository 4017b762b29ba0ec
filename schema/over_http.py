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

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from graphql import GraphQLError
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from schema.errors import DocumentRefusedError, ErrorCode, InternalError, Problem, ProtocolError
from schema.publishing import published

RESPONSE_TYPE: Final = "application/graphql-response+json"
JSON_TYPE: Final = "application/json"
CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
MAX_PARAMETERS: Final = 16
DIGEST_LENGTH: Final = 64
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
}
# Well-formed requests that cannot be run: 200 where the answer is application/json.
_REQUEST_ERRORS: Final = frozenset({Problem.PERSISTED_QUERY_NOT_FOUND, Problem.PERSISTED_QUERY_NOT_SUPPORTED})
_HEADERS: Final[Mapping[Problem, Mapping[str, str]]] = {
    Problem.METHOD: {"allow": "GET, POST"},
    Problem.MUTATION_BY_GET: {"allow": "POST"},
    # What may still come of the body is not waited for (RFC 9110 §15.5.9).
    Problem.TOO_SLOW: {"connection": "close"},
}
_WRONG_TYPE: Final = {
    "query": Problem.QUERY_TYPE,
    "operationName": Problem.OPERATION_NAME_TYPE,
    "variables": Problem.VARIABLES_TYPE,
    "extensions": Problem.EXTENSIONS_TYPE,
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


class _Parameters(msgspec.Struct, frozen=True, gc=False):
    """The body of a request. Unknown members are ignored, as the specification asks."""

    query: str | None = None
    operationName: str | None = None  # noqa: N815 - the protocol's name
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


class _Answer(msgspec.Struct, gc=False):
    """The body of a response; errors come first, where a reader sees them."""

    errors: Any | UnsetType = UNSET
    data: Any | UnsetType = UNSET
    extensions: Any | UnsetType = UNSET


_DECODER: Final = msgspec.json.Decoder(_Parameters)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_ENCODER: Final = msgspec.json.Encoder()


class _Arriving:
    """The bodies that are on their way: each has a deadline, and there are never more than `most`."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._deadlines: dict[asyncio.Timeout, None] = {}

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Receive one body inside.

        Raises:
            ProtocolError: It did not arrive in time, or was waited for longest when there were too many.
        """
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                if len(self._deadlines) >= self._most:
                    oldest = next(iter(self._deadlines))
                    del self._deadlines[oldest]
                    if not oldest.expired():  # else its deadline has passed, and it is about to say so
                        oldest.reschedule(asyncio.get_running_loop().time())
                self._deadlines[deadline] = None
                try:
                    yield
                finally:
                    self._deadlines.pop(deadline, None)
        except TimeoutError:
            raise ProtocolError(Problem.TOO_SLOW) from None


class GraphQLOverHTTP:
    """An ASGI application for one endpoint.

    Args:
        run: runs an operation. It may raise `DocumentRefusedError` or a `GraphQLError` for a request that was not run.
        max_bytes: how many bytes a body, or the parameters of a URL, may have.
        body_seconds: how long a body may take to arrive.
        max_arriving: how many bodies may be on their way at once.
        persisted: gives the document of a SHA-256 (hexadecimal), for requests that send only that; None where such
            requests are not supported.
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
        headers: Mapping[str, str] = NO_CACHE,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._run = run
        self._max_bytes = max_bytes
        self._arriving = _Arriving(body_seconds, max_arriving)
        self._persisted = persisted
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
            accepted = _accepted(headers.get(b"accept", b""))
            kind = accepted or JSON_TYPE
            request = await self._request(scope, headers, receive)
            if request is None:
                return
            if accepted is None:
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
            _check_content(headers)
            body = await self._body(headers, receive)
            if body is None:
                return None
            parameters = _decoded(body)
        elif method == "GET":
            parameters = self._from_url(scope["query_string"])
        else:
            raise ProtocolError(Problem.METHOD)
        return GraphQLRequest(
            self._document(parameters),
            parameters.operationName,
            parameters.variables,
            parameters.extensions,
            read_only=method == "GET",
        )

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > self._max_bytes:  # noqa: PLR2004 - int() is safe so far
            raise ProtocolError(Problem.TOO_LARGE)
        async with self._arriving.one():
            return await self._received(receive)

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

    def _from_url(self, query_string: bytes) -> _Parameters:
        if len(query_string) > self._max_bytes:
            raise ProtocolError(Problem.TOO_LARGE)
        try:
            pairs = parse_qsl(
                query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
            )
        except UnicodeDecodeError:
            raise ProtocolError(Problem.UTF8) from None
        except ValueError:
            raise ProtocolError(Problem.PARAMETERS) from None
        given = dict(pairs)
        if len(given) < len(pairs):
            raise ProtocolError(Problem.PARAMETERS)
        if any("\x00" in value for value in given.values()):
            raise ProtocolError(Problem.NUL)
        return _Parameters(
            given.get("query"),
            given.get("operationName") or None,
            _object(given.get("variables"), Problem.VARIABLES_TYPE),
            _object(given.get("extensions"), Problem.EXTENSIONS_TYPE),
        )

    def _document(self, parameters: _Parameters) -> str:
        """The text to run: the one that was sent, or the one its hash stands for."""
        query = parameters.query
        persisted = parameters.extensions.get("persistedQuery") if parameters.extensions else None
        if persisted is not None:
            digest = _digest(persisted)
            if query:
                if sha256(query.encode("utf-8", "replace")).hexdigest() != digest:
                    raise ProtocolError(Problem.PERSISTED_QUERY_MISMATCH)
            elif self._persisted is None:
                raise ProtocolError(Problem.PERSISTED_QUERY_NOT_SUPPORTED)
            else:
                query = self._persisted(digest)
                if query is None:
                    raise ProtocolError(Problem.PERSISTED_QUERY_NOT_FOUND)
        if not query:
            raise ProtocolError(Problem.QUERY_MISSING)
        return query

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


def _decoded(body: bytes) -> _Parameters:
    """The parameters in a JSON body."""
    try:
        parameters = _DECODER.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = _json_problem(body, error)
    else:
        # The escape is rare, so only where it occurs is it worth asking whether it stands for the character.
        if b"\\u0000" not in body or not _has_nul(parameters):
            return parameters
        problem = Problem.NUL
    # Outside the handler: the decoder's error quotes what was sent, and must not be the context of this one.
    raise ProtocolError(problem)


def _json_problem(body: bytes, error: Exception) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem.UTF8
    if not isinstance(error, msgspec.ValidationError):
        return Problem.NUL if b"\x00" in body else Problem.JSON
    if body.lstrip()[:1] == b"[":
        return Problem.BATCH
    text = str(error)
    for name, problem in _WRONG_TYPE.items():
        if text.endswith(f"`$.{name}`"):
            return problem
    return Problem.NOT_AN_OBJECT if "`$." not in text and text.startswith("Expected `object`") else Problem.JSON


def _object(text: str | None, wrong: Problem) -> dict[str, Any] | None:
    """The JSON object in a parameter of the URL."""
    if not text or text == "null":
        return None
    try:
        found = _OBJECT.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if found is None:
        raise ProtocolError(wrong)
    if "\\u0000" in text and _has_nul(found):
        raise ProtocolError(Problem.NUL)
    return found


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return True
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, _Parameters):
            stack += [item.query, item.operationName, item.variables, item.extensions]
    return False


def _digest(persisted: Any) -> str:
    """The hash in `extensions.persistedQuery`, the shape Apollo's clients send."""
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    if not isinstance(digest, str) or len(digest) != DIGEST_LENGTH or set(digest) - set("0123456789abcdef"):
        raise ProtocolError(Problem.PERSISTED_QUERY_INVALID)
    return digest


def _check_content(headers: Mapping[bytes, bytes]) -> None:
    problem = _content_problem(headers.get(b"content-type", b""))
    if problem is None and headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        problem = Problem.ENCODING
    if problem is not None:
        raise ProtocolError(problem)


@lru_cache(maxsize=128)
def _content_problem(content_type: bytes) -> Problem | None:
    media, parameters = _media(content_type.decode("latin-1"))
    if media != JSON_TYPE:
        return Problem.MEDIA_TYPE
    return None if parameters.get("charset", "utf-8") in CHARSETS else Problem.CHARSET


@lru_cache(maxsize=256)
def _accepted(accept: bytes) -> str | None:
    """The response type a client wants most of those there are; None where it wants neither.

    The more specific range decides (RFC 9110 §12.5.1). Where nothing decides, `application/json` is sent, as clients
    written before the other type expect.
    """
    ranges: dict[str, float] = {}
    for part in accept.decode("latin-1").split(","):
        media, parameters = _media(part)
        if media and parameters.get("charset", "utf-8") in CHARSETS:
            ranges[media] = max(_quality(parameters.get("q", "1")), ranges.get(media, 0.0))
    if not ranges:
        return None if accept.strip(b", \t") else JSON_TYPE
    wanted = {
        kind: ranges.get(kind, ranges.get("application/*", ranges.get("*/*", 0.0)))
        for kind in (JSON_TYPE, RESPONSE_TYPE)
    }
    best = max(wanted.values())
    if best <= 0:
        return None
    if wanted[RESPONSE_TYPE] == best and (wanted[JSON_TYPE] < best or RESPONSE_TYPE in ranges):
        return RESPONSE_TYPE
    return JSON_TYPE


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _media(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters."""
    media, *rest = text.split(";")
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"').lower()
    return media.strip().lower(), parameters
