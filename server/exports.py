"""The download of exports of the access log; GraphQL starts and shows them."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Mapping
from http import HTTPStatus
from typing import BinaryIO, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from audit import Kind, Outcome
from customers.access import Access
from customers.errors import ExportNotAllowedError, PurposeNotAllowedError
from customers.oversight.asking import require_purpose, stated
from customers.oversight.export_files import open_bundle
from customers.oversight.exports import Bundle
from schema import errors
from schema.errors import (
    ConfideGraphQLError,
    ConflictError,
    ErrorCode,
    ForbiddenError,
    KeysUnavailableError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from schema.translate import translated
from server.access import challenge, is_temporary
from server.errors import AccessError
from server.logs import Event, log
from server.platform import Platform

T = TypeVar("T")
_TRACE: Final = "confide.trace"
_CHUNK: Final = 256 * 1024
_OPERATION: Final = "ExportDownload"
_REFUSED: Final = "The caller may not export the access log for this purpose."
_NOT_THERE: Final = "There is no export of yours with this id."
_NOT_YET: Final = "The export is not finished; ask GraphQL's accessLogExport how far it is."
_STATUS: Final[Mapping[ErrorCode, HTTPStatus]] = {
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.PURPOSE_REQUIRED: HTTPStatus.BAD_REQUEST,
    ErrorCode.INPUT_INVALID: HTTPStatus.BAD_REQUEST,
    ErrorCode.PURPOSE_UNKNOWN: HTTPStatus.FORBIDDEN,
    ErrorCode.PURPOSE_NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def export_routes(platform: Platform) -> list[Route]:
    """`GET /exports/{id}`: the file of a finished export, to its owner, with the headers that GraphQL takes."""

    async def fetch(request: Request) -> Response:
        trace = request.scope.get(_TRACE)
        try:
            caller = await platform.authenticator.authenticate(request.headers.get("authorization"))
        except AccessError as error:
            return unauthenticated(error)
        try:
            access = stated(
                platform.policies.current,
                caller,
                request.headers.get("confide-purpose"),
                case=request.headers.get("confide-case"),
                operation=_OPERATION,
                trace=trace,
            )
            job = request.path_params["id"]
            bundle = await _download(platform, access, job)
            return _file(bundle, await asyncio.to_thread(open_bundle, bundle.path))
        except FileNotFoundError:  # removed meanwhile
            return problem(NotFoundError(_NOT_THERE))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
            told = translated(error, platform.services)
            if isinstance(told, UnavailableError):
                log(Event.REQUEST_FAILED, error=error, code=told.code)
            return problem(told)

    return [Route("/exports/{id}", fetch, methods=["GET"])]


async def _download(platform: Platform, access: Access, job: str) -> Bundle:
    """The finished bundle. Why there is none is recorded before it is told."""
    exports = platform.exports

    async def found() -> Bundle:
        require_purpose(access, platform.policies.current)
        bundle = await exports.download(access, job)
        if bundle is None:
            raise ConflictError(_NOT_YET) if await exports.state(access, job) else NotFoundError(_NOT_THERE)
        return bundle

    return await recorded(platform, access, found())


async def recorded(platform: Platform, access: Access, work: Awaitable[T]) -> T:
    """What the work gives; a refusal once it is durably recorded.

    Raises:
        ConfideGraphQLError: It was refused.
        AuditUnavailableError: It was refused, and not even that could be recorded.
    """
    told: ConfideGraphQLError
    try:
        return await work
    except PurposeNotAllowedError:
        outcome, told = Outcome.REFUSED, errors.PurposeNotAllowedError()
    except ExportNotAllowedError:
        outcome, told = Outcome.REFUSED, ForbiddenError(_REFUSED)
    except NotFoundError as error:
        outcome, told = Outcome.NOT_FOUND, error
    await platform.log.append(access.disclosure.record(platform.now(), outcome, Kind.EXPORT))
    raise told


def _file(bundle: Bundle, file: BinaryIO) -> Response:
    headers = {
        **HEADERS,
        "content-disposition": f'attachment; filename="{bundle.name}"',
        "content-length": str(bundle.size),
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(bundle.sha256)).decode()}:",  # RFC 9530
    }
    return _Download(file, headers)


class _Download(StreamingResponse):
    """A file as it is read; closed at the end, whether it was wanted to its end or not."""

    def __init__(self, file: BinaryIO, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(file), headers=headers, media_type="application/zip")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await super().__call__(scope, receive, send)


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await asyncio.to_thread(file.read, _CHUNK):
        yield data


def problem(error: ConfideGraphQLError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer of a download that was refused or failed, with a code as GraphQL has it."""
    status = _STATUS.get(error.code, HTTPStatus.SERVICE_UNAVAILABLE)
    waiting = {"retry-after": "2"} if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT) else {}
    return JSONResponse(
        {"code": error.code.value, "message": error.message}, status, {**HEADERS, **waiting, **(headers or {})}
    )


def unauthenticated(error: AccessError) -> Response:
    """The answer to who is not known, or cannot be asked after now."""
    if is_temporary(error):
        return problem(KeysUnavailableError("Who is asking cannot be checked now; try again later."))
    return problem(UnauthenticatedError(str(error)), {"www-authenticate": challenge(error)})


__all__ = ["HEADERS", "export_routes", "problem", "recorded", "unauthenticated"]
