"""The portal: pages for customers at one path of the server. There is no script in it; everything works by forms."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from server.portal.choice_pages import ChoicePages
from server.portal.copy_pages import CopyPages
from server.portal.correct_pages import CorrectPages
from server.portal.delete_pages import DeletePages
from server.portal.errors import NothingHereError
from server.portal.frame import Frame, Handler
from server.portal.home_pages import HomePages
from server.portal.looked_pages import LookedPages
from server.portal.request_pages import RequestPages
from server.portal.session_pages import SessionPages


@dataclass(frozen=True, slots=True)
class Parts:
    """The handlers of every page after sign-in."""

    home: HomePages
    correct: CorrectPages
    looked: LookedPages
    choices: ChoicePages
    requests: RequestPages
    copies: CopyPages
    delete: DeletePages
    sessions: SessionPages


class Portal:
    """An ASGI application to mount.

    Args:
        frame: the frame around every page.
        parts: the pages.
    """

    def __init__(self, frame: Frame, parts: Parts) -> None:
        self._frame = frame
        self._parts = parts
        self._app = Starlette(routes=self._routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._app(scope, receive, send)

    def _routes(self) -> list[BaseRoute]:
        frame, parts = self._frame, self._parts

        def get(path: str, handler: Handler) -> Route:
            return Route(path, frame.guarded(handler), methods=["GET"])

        def post(path: str, handler: Handler) -> Route:
            return Route(path, frame.guarded(handler), methods=["POST"])

        async def asset(request: Request) -> Response:
            return frame.pages.asset(request)

        async def missing(_: Request) -> Response:
            raise NothingHereError

        home, looked, choices, requests = parts.home, parts.looked, parts.choices, parts.requests
        return [
            get("/", home.home),
            get("/orders", home.orders),
            get("/tickets", home.tickets),
            get("/events", home.events),
            get("/correct/{field}", parts.correct.form),
            post("/correct/{field}", parts.correct.correct),
            get("/prove/{token}", parts.correct.proof),
            post("/prove/{token}", parts.correct.proved),
            get("/looked", looked.every),
            get("/looked/{entry}/proof", looked.proof),
            get("/choices", choices.every),
            post("/choices", choices.decide),
            post("/choices/channels", choices.channels),
            get("/choices/{entry}/receipt", choices.receipt),
            get("/requests", requests.every),
            get("/requests/new", requests.form),
            post("/requests/new", requests.open),
            get("/requests/{id}", requests.one),
            post("/requests/{id}/cancel", requests.cancel),
            get("/progress/{token}", requests.progress),
            get("/download", parts.copies.form),
            post("/download", parts.copies.make),
            get("/download/{copy}/file", parts.copies.file),
            get("/download/{copy}/read", parts.copies.read),
            get("/delete", parts.delete.preview),
            get("/delete/confirm", parts.delete.form),
            post("/delete/confirm", parts.delete.ask),
            get("/sessions", parts.sessions.every),
            post("/sessions", parts.sessions.end),
            Route("/static/{name}", asset, methods=["GET"]),
            *frame.door.routes(frame.pages),
            get("/{rest:path}", missing),
        ]


__all__ = ["Parts", "Portal"]
