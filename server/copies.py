"""The download of a copy of a person's data: for the person with a token of theirs, and for who answers for privacy."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from customers.access import Access
from customers.errors import FieldProblem, InputInvalidError, ProfileNotFoundError
from customers.oversight.asking import require_purpose, stated
from schema.errors import NotFoundError, UnavailableError
from schema.translate import translated
from server.errors import AccessError
from server.exports import HEADERS, problem, recorded, unauthenticated
from server.logs import Event, log
from server.platform import Platform

_TRACE: Final = "confide.trace"
_OPERATION: Final = "CopyDownload"
_NOT_THERE: Final = "There is no copy of this person's with this id."
_WHOSE: Final = "confide-customer"
_LONGEST: Final = 64


def copy_routes(platform: Platform) -> list[Route]:
    """`GET /copies/{id}`, with the headers that GraphQL takes; staff say whose it is in `Confide-Customer`."""

    async def fetch(request: Request) -> Response:
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
                trace=request.scope.get(_TRACE),
            )
            whose = request.headers.get(_WHOSE) or caller.customer_id or ""
            if not 0 < len(whose) <= _LONGEST:
                raise InputInvalidError([FieldProblem("Confide-Customer", "says whose copy it is")])  # noqa: TRY301
            name = request.path_params["id"]
            return await recorded(platform, access, _opened(platform, access, whose, name))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
            told = translated(error, platform.services)
            if isinstance(told, UnavailableError):
                log(Event.REQUEST_FAILED, error=error, code=told.code)
            return problem(told)

    return [Route("/copies/{id}", fetch, methods=["GET"])]


async def _opened(platform: Platform, access: Access, customer_id: str, name: str) -> Response:
    """The copy, once its first part is open; why there is none is recorded by whoever calls."""
    require_purpose(access, platform.policies.current)
    parts = platform.copies.stream(access, customer_id, name)
    try:
        first = await anext(parts)
    except ProfileNotFoundError:
        raise NotFoundError(_NOT_THERE) from None

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part

    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(whole(), headers=headers, media_type="application/zip")
