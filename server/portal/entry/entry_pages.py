"""The pages of the door: an address is asked for, a link or a code is taken, and it is shown once more who it is.

Looking at any of these pages does nothing: programs that read mail open every link. A bad link, whatever is wrong with it,
gets one answer; so does a bad code.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audit import AuditError
from server.access.sign_in_links import MOST_TRIES
from server.console.errors import FormRefusedError
from server.console.forms import require_key
from server.logs import Event, log
from server.portal.entry.browser import label_of, network_of
from server.portal.entry.entry import Entry
from server.portal.entry.session import PortalSession
from server.portal.pages import Pages
from vault import InvalidIdentifierError, VaultError

_ASKED: Final = "portal_asked"
_LONGEST: Final = 128
_LONGEST_ADDRESS: Final = 254
_UNREADABLE: Final = 400
_UNAVAILABLE: Final = 503

Handler = Callable[[Request], Awaitable[Response]]


class _NotInError(Exception):
    """Nobody is signed in."""


class EntryPages:
    """The pages.

    Args:
        entry: lets in.
        pages: renders.
    """

    def __init__(self, entry: Entry, pages: Pages) -> None:
        self._entry = entry
        self._keeper = entry.keeper
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """What to mount."""

        def route(path: str, shown: Handler | None, done: Handler) -> list[BaseRoute]:
            made = [] if shown is None else [Route(path, self._guarded(shown), methods=["GET"])]
            return [*made, Route(path, self._guarded(done), methods=["POST"])]

        return [
            *route("/sign-in", self.form, self.ask),
            *route("/sign-in/code", self.code_form, self.let_in_by_code),
            *route("/sign-in/{token}", self.link, self.let_in_by_link),
            *route("/sign-out", None, self.sign_out),
            *route("/confirm", self.confirm_form, self.ask_to_confirm),
            *route("/confirm/code", self.confirm_code_form, self.confirm),
        ]

    # ---- coming in

    async def form(self, request: Request) -> Response:
        """Asks for an address."""
        if await self._entry.find(request) is not None:
            return self._pages.redirect(self._following(request))
        return self._form(request, 200)

    def _form(
        self, request: Request, status: int, wrong: str | None = None, form: dict[str, str] | None = None
    ) -> Response:
        return self._pages.page(
            request,
            "entry_sign_in.html",
            status,
            wrong=wrong,
            typed=(form or {}).get("address", "")[:_LONGEST_ADDRESS],
            following=self._following(request, form),
            allowed=self._entry.site.may_sign_in(request),
            sends=self._entry.sends,
        )

    async def ask(self, request: Request) -> Response:
        """Have a letter sent, if the address is a customer's; the answer is the same if it is not."""
        form = await self._entry.forms.read(request)
        if not self._entry.site.may_sign_in(request):
            return self._form(request, 403)
        if not self._entry.sends:
            return self._form(request, _UNAVAILABLE)
        language, network = self._pages.language(request), network_of(request, self._entry.proxies)
        try:
            kept = await self._keeper.ask(form.get("address", ""), language, network)
        except InvalidIdentifierError:
            return self._form(request, _UNREADABLE, "address", form)
        response = self._pages.redirect(self._address("/sign-in/code", self._following(request, form)))
        self._entry.give(request, response, kept, _ASKED)
        return response

    async def code_form(self, request: Request) -> Response:
        """Says that a letter is on its way, and takes the code."""
        return self._code_form(request, 200, None)

    def _code_form(self, request: Request, status: int, wrong: str | None) -> Response:
        return self._pages.page(
            request,
            "entry_code.html",
            status,
            wrong=wrong,
            following=self._following(request),
            tries=MOST_TRIES,
            letters_in=self._entry.letters_in,
        )

    async def let_in_by_code(self, request: Request) -> Response:
        """Open a session by a code."""
        form = await self._entry.forms.read(request)
        kept = self._entry.held(request, _ASKED)
        code = form.get("code", "")[:_LONGEST]
        secret = None if kept is None else await self._keeper.let_in_by_code(kept, code, label_of(request))
        if secret is None:
            return self._code_form(request, _UNREADABLE, "code")
        return await self._in(request, secret, self._following(request, form))

    async def link(self, request: Request) -> Response:
        """Shows a button, whatever the link; nothing is looked up."""
        return self._pages.page(request, "entry_link.html", following=self._following(request))

    async def let_in_by_link(self, request: Request) -> Response:
        """Open a session by a link."""
        await self._entry.forms.read(request)
        token = request.path_params["token"]
        secret = None
        if len(token) <= _LONGEST and self._entry.site.may_sign_in(request):
            secret = await self._keeper.let_in_by_link(token, label_of(request))
        if secret is None:
            return self._pages.page(request, "entry_link_over.html", _UNREADABLE)
        return await self._in(request, secret, f"{self._entry.base}/")

    async def _in(self, request: Request, secret: str, following: str) -> Response:
        before = await self._entry.find(request)
        if before is not None:
            await self._entry.end(before, before.id)
        response = self._pages.redirect(following)
        self._entry.give(request, response, secret)
        self._entry.give(request, response, None, _ASKED)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        form = await self._entry.forms.read(request)
        session = await self._entry.find(request)
        if session is not None:
            require_key(form, session.key)
            await self._entry.end(session, session.id)
        response = self._pages.redirect(f"{self._entry.base}/sign-in")
        self._entry.give(request, response, None)
        return response

    # ---- showing once more

    async def confirm_form(self, request: Request) -> Response:
        """Says that a code will be sent, and why."""
        session = await self._session(request)
        following = self._following(request)
        for_address = following.startswith(f"{self._entry.base}/correct/")
        return self._shown(request, session, "entry_confirm.html", 200, following=following, for_address=for_address)

    async def ask_to_confirm(self, request: Request) -> Response:
        """Have a code sent."""
        _session, form, secret = await self._posted(request)
        await self._keeper.ask_to_confirm(
            secret, self._pages.language(request), network_of(request, self._entry.proxies)
        )
        return self._pages.redirect(self._address("/confirm/code", self._following(request, form)))

    async def confirm_code_form(self, request: Request) -> Response:
        """Takes the code."""
        session = await self._session(request)
        return self._confirm_code_form(request, session, 200, self._following(request), None)

    def _confirm_code_form(
        self, request: Request, session: PortalSession, status: int, following: str, wrong: str | None
    ) -> Response:
        return self._shown(
            request,
            session,
            "entry_confirm_code.html",
            status,
            following=following,
            wrong=wrong,
            tries=MOST_TRIES,
            letters_in=self._entry.letters_in,
        )

    async def confirm(self, request: Request) -> Response:
        """Step the session up, which goes on under another secret."""
        session, form, secret = await self._posted(request)
        following = self._following(request, form)
        renewed = await self._keeper.confirm(secret, form.get("code", "")[:_LONGEST])
        if renewed is None:
            return self._confirm_code_form(request, session, _UNREADABLE, following, "code")
        response = self._pages.redirect(following)
        self._entry.give(request, response, renewed)
        return response

    # ---- within

    async def _session(self, request: Request) -> PortalSession:
        session = await self._entry.find(request)
        if session is None:
            raise _NotInError
        return session

    async def _posted(self, request: Request) -> tuple[PortalSession, dict[str, str], str]:
        """Who posted, a form that a page of their own session gave out, and what their browser holds."""
        form = await self._entry.forms.read(request)
        session = await self._session(request)
        require_key(form, session.key)
        return session, form, self._entry.held(request) or ""

    def _shown(self, request: Request, session: PortalSession, template: str, status: int, **values: Any) -> Response:
        return self._pages.page(request, template, status, signed_in=True, form_key=session.key, **values)

    def _address(self, path: str, following: str) -> str:
        return f"{self._entry.base}{path}?next={quote(following, safe='')}"

    def _following(self, request: Request, form: dict[str, str] | None = None) -> str:
        """Where to go afterwards: a page of the portal, and never one of the door's own."""
        base = self._entry.base
        told = (form or {}).get("next") or request.query_params.get("next", "")
        plain = told.isascii() and told.isprintable() and "\\" not in told and ".." not in told
        door = told.startswith((f"{base}/sign-", f"{base}/confirm"))
        return told if plain and told.startswith(f"{base}/") and not door else f"{base}/"

    def _guarded(self, handler: Handler) -> Handler:
        """The handler, for forms of this site alone, with every refusal told as a page."""

        async def answer(request: Request) -> Response:
            try:
                if request.method == "POST":
                    self._entry.site.require_own(request)
                return await handler(request)
            except _NotInError:
                return self._pages.redirect(self._address("/sign-in", self._following(request)))
            except FormRefusedError as error:
                return self._told(request, error.status)
            except (AuditError, VaultError, PyMongoError, TimeoutError) as error:
                log(Event.REQUEST_FAILED, logging.ERROR, error=error)
                return self._told(request, _UNAVAILABLE)

        return answer

    def _told(self, request: Request, status: int) -> Response:
        """That nothing was done, and what to do."""
        response = self._pages.page(request, "entry_refused.html", status, again=status == _UNAVAILABLE)
        if status == _UNAVAILABLE:
            response.headers["retry-after"] = "2"
        if status in (408, 413):  # Request Timeout, Content Too Large: what is still on its way is not waited for
            response.headers["connection"] = "close"
        return response


__all__ = ["EntryPages"]
