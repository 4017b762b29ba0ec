"""Taking everything along: a ZIP of JSON and CSV with a page to read, made after it was shown once more who asks."""

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from customers.errors import ProfileNotFoundError
from customers.rights.portability import LIFETIME, Copies
from server.portal.copy_counts import MOST_A_DAY, CopyCounts
from server.portal.errors import NothingHereError, TooManyCopiesError
from server.portal.frame import Frame, Visit
from server.portal.pages import file_headers

_NAME: Final = re.compile(r"cop_[a-z2-7]{26}", re.ASCII)
_PAGE: Final = "index.html"
_TOO_MANY: Final = 429
_LONGEST: Final = 32 * 1024 * 1024
_STYLE: Final = re.compile(r"style-src ('sha256-[A-Za-z0-9+/=]{44}')", re.ASCII)
# The page in a copy brings a style of its own and no script. Nothing else may run, and nothing may be fetched.
_READABLE: Final = (
    "default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class CopyPages:
    """Handlers.

    Args:
        frame: the frame.
        copies: makes and opens copies.
        counts: counts them.
    """

    def __init__(self, frame: Frame, copies: Copies, counts: CopyCounts) -> None:
        self._frame = frame
        self._copies = copies
        self._counts = counts

    async def form(self, request: Request) -> Response:
        """What is in a copy; and where one is that was made."""
        visit = await self._frame.visit(request)
        made = request.query_params.get("copy", "")
        made = made if _NAME.fullmatch(made) else ""
        return self._form(visit, 200, made)

    def _form(self, visit: Visit, status: int, made: str, *, most: int | None = None) -> Response:
        confirmed = self._frame.door.stepped_up(visit.session)
        return self._frame.show(
            visit, "download.html", status, copy=made, days=LIFETIME.days, most=most, confirmed=confirmed
        )

    async def make(self, request: Request) -> Response:
        """Make one, where not too many were made today."""
        frame = self._frame
        visit, _ = await frame.posted(request)
        frame.stepped_up(visit)
        customer = visit.session.customer_id
        try:
            async with self._counts.one_more(customer):
                made = await self._copies.make(frame.access(visit, "PortalCopy"), customer)
        except TooManyCopiesError:
            return self._form(visit, _TOO_MANY, "", most=MOST_A_DAY)
        return frame.to(f"/download?copy={made}")

    async def file(self, request: Request) -> Response:
        """The ZIP, a part at a time. Another's is not there."""
        visit = await self._frame.visit(request)
        self._frame.stepped_up(visit)
        parts = self._parts(visit, request)
        first = await _first(parts)

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        return StreamingResponse(whole(), headers=file_headers("my-data.zip"), media_type="application/zip")

    async def read(self, request: Request) -> Response:
        """The page in the copy, to read here."""
        visit = await self._frame.visit(request)
        self._frame.stepped_up(visit)
        parts = self._parts(visit, request)
        held = bytearray(await _first(parts))
        async for part in parts:
            held += part
            if len(held) > _LONGEST:
                raise NothingHereError
        page = await asyncio.to_thread(_page, bytes(held))
        style = _STYLE.search(page[:2048])
        headers = file_headers("")
        del headers["content-disposition"]
        headers["content-security-policy"] = _READABLE.format(style=style[1] if style else "'none'")
        return Response(page, 200, headers, "text/html; charset=utf-8")

    def _parts(self, visit: Visit, request: Request) -> AsyncIterator[bytes]:
        access = self._frame.access(visit, "PortalCopyFetched")
        return self._copies.stream(access, visit.session.customer_id, str(request.path_params["copy"]))


async def _first(parts: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(parts)
    except ProfileNotFoundError:
        raise NothingHereError from None


def _page(content: bytes) -> str:
    """The page in a copy; read only so far as a page goes."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle, bundle.open(_PAGE) as page:
            text = page.read(_LONGEST + 1)
    except (KeyError, zipfile.BadZipFile):
        raise NothingHereError from None
    if len(text) > _LONGEST:
        raise NothingHereError
    return text.decode()


__all__ = ["CopyPages"]
