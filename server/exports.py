"""Exports of the access log over HTTP, and for the console: the same jobs that GraphQL starts and shows."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, BinaryIO, Final, TypeVar

from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from audit import Kind, Outcome
from customers.access import Access
from customers.errors import ExportNotAllowedError
from customers.oversight.asking import access_of
from customers.oversight.export_files import open_bundle
from customers.oversight.exports import AccessLogExports, Bundle, Job
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
from schema.service import Answer, Asked, GraphQLService
from schema.translate import translated
from server.access import challenge, is_temporary
from server.console.errors import ReadRefusedError
from server.console.parts import Download, ExportForm, ExportState, OnBehalf
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
_HEADERS: Final = {
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
            return _unauthenticated(error)
        try:
            access = access_of(
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
            return _problem(NotFoundError(_NOT_THERE))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
            told = translated(error, platform.services)
            if isinstance(told, UnavailableError):
                log(Event.REQUEST_FAILED, error=error, code=told.code)
            return _problem(told)

    return [Route("/exports/{id}", fetch, methods=["GET"])]


async def _download(platform: Platform, access: Access, job: str) -> Bundle:
    """The finished bundle. Why there is none is recorded before it is told."""
    exports = platform.exports

    async def found() -> Bundle:
        bundle = await exports.download(access, job)
        if bundle is None:
            raise ConflictError(_NOT_YET) if await exports.state(access, job) else NotFoundError(_NOT_THERE)
        return bundle

    return await _recorded(platform, access, found())


async def _recorded(platform: Platform, access: Access, work: Awaitable[T]) -> T:
    """What the work gives; a refusal once it is durably recorded.

    Raises:
        ConfideGraphQLError: It was refused.
        AuditUnavailableError: It was refused, and not even that could be recorded.
    """
    told: ConfideGraphQLError
    try:
        return await work
    except ExportNotAllowedError:
        outcome, told = Outcome.REFUSED, ForbiddenError(_REFUSED)
    except NotFoundError as error:
        outcome, told = Outcome.NOT_FOUND, error
    await platform.log.append(access.disclosure.record(platform.now(), outcome, Kind.EXPORT))
    raise told


def _file(bundle: Bundle, file: BinaryIO) -> Response:
    headers = {
        **_HEADERS,
        "content-disposition": f'attachment; filename="{bundle.name}"',
        "content-length": str(bundle.size),
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(bundle.sha256)).decode()}:",  # RFC 9530
    }
    return StreamingResponse(_chunks(file), headers=headers, media_type="application/zip")


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    try:
        while data := await asyncio.to_thread(file.read, _CHUNK):
            yield data
    finally:
        file.close()


def _problem(error: ConfideGraphQLError, headers: Mapping[str, str] | None = None) -> Response:
    status = _STATUS.get(error.code, HTTPStatus.SERVICE_UNAVAILABLE)
    waiting = {"retry-after": "2"} if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT) else {}
    return JSONResponse(
        {"code": error.code.value, "message": error.message}, status, {**_HEADERS, **waiting, **(headers or {})}
    )


def _unauthenticated(error: AccessError) -> Response:
    if is_temporary(error):
        return _problem(KeysUnavailableError("Who is asking cannot be checked now; try again later."))
    return _problem(UnauthenticatedError(str(error)), {"www-authenticate": challenge(error)})


# The console


_START: Final = """mutation ConsoleExport($input: ExportAccessLogInput!) {
  exportAccessLog(input: $input) { export { id } }
}
"""


class ToldError(ConfideGraphQLError):
    """What GraphQL's answer says went wrong."""

    code = ErrorCode.FORBIDDEN
    default_message = ForbiddenError.default_message

    def __init__(self, told: Mapping[str, Any]) -> None:
        GraphQLError.__init__(self, str(told["message"]), extensions=dict(told["extensions"]))


class ConsoleExports:
    """The console's `Exports`: started through GraphQL, as any client does, so that its rules are the only ones."""

    def __init__(self, platform: Platform, service: GraphQLService) -> None:
        self._platform = platform
        self._service = service

    async def start(self, who: OnBehalf, conditions: Mapping[str, Any], form: ExportForm) -> str:
        """Start an export; its id.

        Raises:
            ConfideGraphQLError: It was refused.
        """
        variables = {"input": {"filter": dict(conditions) or None, "form": form.name}}
        asked = Asked(_START, None, variables, who.purpose, who.case, who.trace)
        answer: Answer = await self._service.answer(asked, who.caller)
        if answer.errors or answer.data is None:
            raise ToldError(next(iter(answer.errors or ())))
        return str(answer.data["exportAccessLog"]["export"]["id"])

    async def state(self, who: OnBehalf, job: str) -> ExportState | None:
        """How far it is; None for an id that is not of an export of theirs.

        Raises:
            ReadRefusedError: They may not export any more.
        """
        found = await self._asked(who, "ConsoleExportState", lambda access: self._exports.state(access, job))
        return None if found is None else _state(found)

    async def download(self, who: OnBehalf, job: str) -> Download | None:
        """The finished file, once it is recorded that it is fetched; None while there is none.

        Raises:
            ReadRefusedError: They may not export any more.
        """
        found = await self._asked(who, "ConsoleExportFile", lambda access: self._exports.download(access, job))
        return None if found is None else Download(found.path, found.name)

    @property
    def _exports(self) -> AccessLogExports:
        return self._platform.exports

    async def _asked(self, who: OnBehalf, operation: str, work: Callable[[Access], Awaitable[T]]) -> T:
        platform = self._platform
        try:
            access = access_of(
                platform.policies.current,
                who.caller,
                who.purpose,
                case=who.case,
                operation=operation,
                trace=who.trace,
            )
            return await _recorded(platform, access, work(access))
        except Exception as error:
            told = translated(error, platform.services)
            raise ReadRefusedError({"message": told.message, "extensions": told.extensions}, None) from error


def _state(job: Job) -> ExportState:
    return ExportState(
        form=job.form,
        stage=job.stage,
        conditions=job.conditions,
        read=job.read,
        of=job.of,
        found=job.found,
        size=job.size,
        sha256=job.sha256,
        until=job.until,
        message=job.message,
    )


__all__ = ["ConsoleExports", "export_routes"]
