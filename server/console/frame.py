"""What every page of the console shares: who is here, for which purpose, and how a refusal is told."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from audit import AuditError
from customers.caller import Caller
from customers.oversight.break_glass import PURPOSE, ROLE, BreakGlass
from policies import PolicySet
from schema.errors import ErrorCode
from server.access import is_temporary
from server.console.errors import (
    FormRefusedError,
    NoSuchPageError,
    NotServedError,
    PurposeNeededError,
    ReadRefusedError,
    SignInNeededError,
    SignInUnavailableError,
)
from server.console.forms import FormReader, Site, require_key
from server.console.pages import Pages
from server.console.parts import OnBehalf
from server.console.reading import Reader, Rights
from server.console.sections import LOG, SECTIONS, Section, own_ways, reachable, reviews_glass, section_at, ways
from server.console.sessions import Session
from server.console.staff import Staff
from server.console.words import listed, role_label
from server.errors import AccessError
from server.logs import Event, log

_UNAVAILABLE: Final = frozenset(
    {
        ErrorCode.AUDIT_UNAVAILABLE,
        ErrorCode.DATABASE_UNAVAILABLE,
        ErrorCode.KEYS_UNAVAILABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.INTERNAL,
    }
)
_TITLES: Final[Mapping[type[Exception], tuple[int, str]]] = {
    NoSuchPageError: (404, "Nothing is here"),
    FormRefusedError: (403, "Nothing was done"),
    NotServedError: (501, "This server cannot do that"),
    SignInUnavailableError: (503, "Try again in a moment"),
    AuditError: (503, "The access log cannot be read"),
}
_CLOSED: Final = frozenset({ErrorCode.FORBIDDEN, ErrorCode.WRITE_NOT_ALLOWED})
_LATER: Final = "Who you are cannot be checked now; try again in a moment."
_TRACE: Final = "confide.trace"
_SESSION: Final = "confide_session"

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in; `to_review` is how many break-glass openings wait for them."""

    session: Session
    caller: Caller
    rights: Rights
    trace: str | None
    here: str
    to_review: int = 0

    @property
    def who(self) -> OnBehalf:
        """Whom to read for.

        Raises:
            PurposeNeededError: They have not said what for.
        """
        if self.session.purpose is None:
            raise PurposeNeededError
        return OnBehalf(self.caller, self.session.purpose, self.session.case, self.trace)


class Frame:
    """The frame around every page.

    Args:
        base: the path the console is mounted at.
        site: where browsers find this server.
        forms: receives what is posted.
        staff: who may sign in, and who is.
        pages: renders.
        reader: asks GraphQL.
        policies: the policy in force.
        can_export: whether there is anything that makes exports.
        glass: lets staff see more in an emergency, if anything does.
    """

    def __init__(
        self,
        *,
        base: str,
        site: Site,
        forms: FormReader,
        staff: Staff,
        pages: Pages,
        reader: Reader,
        policies: Callable[[], PolicySet],
        can_export: bool,
        glass: BreakGlass | None = None,
    ) -> None:
        self.base = base
        self.site = site
        self.forms = forms
        self.staff = staff
        self.sessions = staff.sessions
        self.pages = pages
        self.reader = reader
        self.policies = policies
        self._can_export = can_export
        self._glass = glass

    def guarded(self, handler: Handler) -> Handler:
        """The handler with every refusal told as a page."""

        async def answer(request: Request) -> Response:
            try:
                if request.method == "POST":
                    self.site.require_own(request)
                await self._recognise(request)
                return await handler(request)
            except ReadRefusedError as error:
                try:
                    return await self._refused(request, error)
                except Exception as second:  # noqa: BLE001 - as below
                    return await self._failed(request, second)
            except Exception as error:  # noqa: BLE001 - whatever it is, its reader is told that something was
                return await self._failed(request, error)

        return answer

    async def _failed(self, request: Request, error: Exception) -> Response:
        """What kept a page from being shown, told as a page."""
        if isinstance(error, SignInNeededError):
            return await self._to_sign_in(request, error)
        if isinstance(error, PurposeNeededError):
            return self.pages.redirect(f"{self.base}/purpose?next={quote(self._here(request), safe='')}")
        for kind, (status, title) in _TITLES.items():
            if isinstance(error, kind):
                said = str(error).rstrip(".")
                return self.told(request, getattr(error, "status", status), title, f"{said[:1].upper()}{said[1:]}.")
        log(Event.REQUEST_FAILED, logging.ERROR, error=error)
        return self.told(request, 500, "Something went wrong", "The log of the server says what. Try again.")

    def cookie(self, request: Request, name: str) -> str:
        """The cookie's name; under TLS one that no other site of the domain can set."""
        return f"__Host-confide_{name}" if self.site.is_secure(request) else f"confide_{name}"

    def set_cookie(
        self,
        request: Request,
        response: Response,
        name: str,
        value: str | None,
        *,
        seconds: int | None = None,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:
        """Set a cookie that only this server reads; remove it where there is no value."""
        response.set_cookie(
            self.cookie(request, name),
            value or "",
            max_age=seconds if value else 0,
            path="/",
            secure=self.site.is_secure(request),
            httponly=True,
            samesite=samesite,
        )

    def held(self, request: Request) -> tuple[str | None, Session | None]:
        """The session's id as the browser sent it, and the session, if it has not ended."""
        opaque = request.cookies.get(self.cookie(request, "session"))
        return opaque, getattr(request.state, _SESSION, None)

    async def _recognise(self, request: Request) -> None:
        """Look up whose session this is, once for the request."""
        opaque = request.cookies.get(self.cookie(request, "session"))
        setattr(request.state, _SESSION, await self.sessions.find(opaque))

    async def visit(self, request: Request) -> Visit:
        """Who is here. It is asked again who they are, so who was revoked or disabled is signed out now.

        Raises:
            SignInNeededError, SignInUnavailableError: Nobody, or nobody that can be told.
        """
        opaque, session = self.held(request)
        if session is None:
            ended = "Your session has ended; sign in again." if opaque else ""
            raise SignInNeededError(ended)
        try:
            caller = await self._widened(await self.staff.callers.of(session), session)
        except AccessError as error:
            if is_temporary(error):
                raise SignInUnavailableError(_LATER) from None
            await self.sessions.close(opaque)
            delattr(request.state, _SESSION)
            raise SignInNeededError(f"You were signed out: {error}.") from None
        if session.purpose not in self.policies().purposes:
            session.purpose = None  # for this request; what was stated may be known again
        rights = await self.reader.rights(caller, session.purpose)
        if session.purpose is not None and session.purpose not in rights.purposes:
            session.purpose = None
            rights = await self.reader.rights(caller, None)
        to_review = await self._to_review(caller, session.purpose)
        return Visit(session, caller, rights, request.scope.get(_TRACE), self._here(request), to_review)

    async def _to_review(self, caller: Caller, purpose: str | None) -> int:
        """How many openings of others wait for somebody who reviews them; none for everybody else."""
        if self._glass is None or purpose is None or not reviews_glass(self.policies().decide(caller.roles, purpose)):
            return 0
        try:
            return await self._glass.waiting(caller)
        except PyMongoError:
            raise SignInUnavailableError(_LATER) from None

    async def _widened(self, caller: Caller, session: Session) -> Caller:
        """The caller with what an emergency of theirs opens, while it is what they are here for."""
        if self._glass is None:
            return caller
        try:
            return await self._glass.widened(caller, session.purpose, session.case)
        except PyMongoError:
            raise SignInUnavailableError(_LATER) from None

    async def undeclared(self, caller: Caller, session: Session) -> bool:
        """Whether somebody states an emergency that they may declare and have not."""
        if self._glass is None or session.purpose != PURPOSE or not self._glass.may_open(caller):
            return False
        return ROLE not in (await self._widened(caller, session)).roles

    async def posted(self, request: Request) -> tuple[Visit, dict[str, str]]:
        """Who posted, and a form that their own page gave out."""
        form = await self.forms.read(request)
        visit = await self.visit(request)
        require_key(form, visit.session.form_key)
        return visit, form

    def _here(self, request: Request) -> str:
        """The address of the page, to come back to."""
        query = f"?{request.url.query}" if request.url.query else ""
        if request.method in ("GET", "HEAD"):
            return f"{request.url.path}{query}"
        return f"{self.base}{self.section(request).path}"

    def section(self, request: Request) -> Section:
        """The part of the console that a page belongs to."""
        return section_at(request.url.path.removeprefix(self.base))

    def sections(self, visit: Visit) -> tuple[Section, ...]:
        """What this person's roles open, for any of the purposes they may state."""
        found = reachable(self.policies(), visit.caller.roles, visit.rights.purposes)
        mine = {section.name for each in found.values() for section in each}
        return tuple(each for each in SECTIONS if each.name in mine and (each.name != "export" or self._can_export))

    def own_address(self, address: str | None) -> str:
        """The address, if it is one of this console's; otherwise its first page."""
        plain = address is not None and address.isascii() and address.isprintable() and "\\" not in address
        if address is not None and plain and address.startswith(f"{self.base}/"):
            return address
        return f"{self.base}/"

    def show(self, visit: Visit, template: str, status: int = 200, **context: Any) -> Response:
        """A page with its frame: who is here, for which purpose and case."""
        policies = self.policies()
        purpose = visit.session.purpose
        return self.pages.page(
            template,
            status,
            visit=visit,
            stated=None if purpose is None else policies.purposes[purpose],
            opening=self._opening(visit),
            sections=self.sections(visit),
            can_export=self._can_export,
            **context,
        )

    def _opening(self, visit: Visit) -> dict[str, str]:
        """What each purpose opens for this person, in words."""
        found = reachable(self.policies(), visit.caller.roles, visit.rights.purposes)
        left_out = {"export", "merges", "corrections", "violations"}  # each beside another, which says enough
        return {
            purpose: listed([each.phrase for each in sections if each.name not in left_out])
            for purpose, sections in found.items()
            if sections
        }

    def told(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says one thing."""
        signed_in = self.held(request)[1] is not None
        back = self.section(request)
        response = self.pages.page("told.html", status, title=title, text=text, signed_in=signed_in, back=back)
        if status == 503:  # noqa: PLR2004 - Service Unavailable
            response.headers["retry-after"] = "2"
        if status in (408, 413):  # Request Timeout, Content Too Large: what is still on its way is not waited for
            response.headers["connection"] = "close"
        return response

    async def _refused(self, request: Request, error: ReadRefusedError) -> Response:
        if error.code in _UNAVAILABLE:
            log(Event.REQUEST_FAILED, logging.ERROR, code=error.code)
            return self.told(request, 503, "This cannot be read now", f"{error} Nothing was shown.")
        visit = await self.visit(request)
        section, policies = self.section(request), self.policies()
        if error.code is ErrorCode.CURSOR_INVALID:
            text = "This place in the list is not one that a page gave out. Start again from its beginning."
            if section is LOG:
                text = "This place in the log is not one that a search gave out. Start again from the newest entries."
            return self.told(request, 400, "The search cannot go on from here", text)
        opened = section.opens(policies.decide(visit.caller.roles, visit.who.purpose))
        if opened and error.code is ErrorCode.NOT_FOUND:
            return self.told(request, 404, "Nothing is here", str(error))
        if opened and error.code not in _CLOSED:
            return self.told(request, 400, "This was refused", str(error))
        return self.show(
            visit,
            "closed.html",
            403,
            closed=section,
            undeclared=await self.undeclared(visit.caller, visit.session),
            recorded=error.entry,
            held=own_ways(policies, section, visit.caller.roles, visit.rights.purposes),
            keys=ways(policies, section),
            policies=policies,
            role_label=role_label,
        )

    async def _to_sign_in(self, request: Request, error: SignInNeededError) -> Response:
        """Where somebody signs in who is not. A link from elsewhere comes without its cookie, and may come again."""
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            return self.pages.page("arriving.html", here=self._here(request))
        if request.method == "POST":
            said = str(error) or "You are not signed in."
            return await self.signing_in(request, 403, self._here(request), f"{said} What you sent was not done.")
        if str(error):
            response = await self.signing_in(request, 401, self._here(request), str(error))
            self.set_cookie(request, response, "session", None)
            return response
        return self.pages.redirect(f"{self.base}/sign-in?next={quote(self._here(request), safe='')}")

    async def signing_in(
        self, request: Request, status: int, following: str, error: str | None = None, *, name: str = ""
    ) -> Response:
        """The page to sign in at, with every door that this server has."""
        key = request.cookies.get(self.cookie(request, "form")) or self.sessions.text()
        response = self.pages.page(
            "sign_in.html",
            status,
            form_key=key,
            following=self.own_address(following),
            error=error,
            name=name,
            doors=await self.staff.doors(),
            allowed=self.site.may_sign_in(request),
        )
        self.set_cookie(request, response, "form", key)
        return response


__all__ = ["Frame", "Handler", "Visit"]
