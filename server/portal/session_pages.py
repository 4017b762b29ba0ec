"""Where a customer is signed in, and ending it."""

from starlette.requests import Request
from starlette.responses import Response

from server.portal.frame import Frame


class SessionPages:
    """Handlers."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def every(self, request: Request) -> Response:
        """Every browser that is signed in."""
        visit = await self._frame.visit(request)
        rows = await self._frame.door.sessions_of(visit.session)
        return self._frame.show(visit, "sessions.html", rows=rows, done=request.query_params.get("done") == "1")

    async def end(self, request: Request) -> Response:
        """End one of them; another customer's ends nothing."""
        visit, form = await self._frame.posted(request)
        await self._frame.door.end(visit.session, form.get("session", ""))
        return self._frame.to("/sessions?done=1")


__all__ = ["SessionPages"]
