"""What every page after sign-in shares: who is here, forms that are ours, and how it is told that something cannot be."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from audit import AuditError
from customers.access import Access
from customers.caller import Caller
from customers.errors import CustomersError, InputInvalidError, ProfileNotFoundError
from customers.rights.requests import RequestError
from policies import PolicySet
from server.console.errors import FormRefusedError
from server.console.forms import FormReader, Site, require_key
from server.logs import Event, log
from server.portal.door import Door, Visitor
from server.portal.errors import (
    FormNotOursError,
    NothingHereError,
    NotInError,
    NotNowError,
    PortalError,
    StepUpNeededError,
)
from server.portal.pages import Pages
from server.portal.reading import Reader, access_of
from vault import VaultError

_TRACE: Final = "confide.trace"
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a customer who is signed in."""

    request: Request
    session: Visitor
    words: Callable[[str], str]

    @property
    def caller(self) -> Caller:
        """As whom they read and write."""
        return self.session.caller

    @property
    def trace(self) -> str | None:
        """The request's trace, where there is one."""
        trace: str | None = self.request.scope.get(_TRACE)
        return trace


class Frame:
    """The frame around every page.

    Args:
        pages: renders.
        reader: asks GraphQL.
        door: says who is in.
        site: where browsers find this server.
        forms: receives what is posted.
        policies: the policy in force.
    """

    def __init__(
        self,
        *,
        pages: Pages,
        reader: Reader,
        door: Door,
        site: Site,
        forms: FormReader,
        policies: Callable[[], PolicySet],
    ) -> None:
        self.pages = pages
        self.reader = reader
        self.door = door
        self.site = site
        self.forms = forms
        self.policies = policies

    def guarded(self, handler: Handler) -> Handler:
        """A handler whose refusals are told as pages."""

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, its reader is told that something was
                return await self._failed(request, error)

        return answer

    async def visit(self, request: Request) -> Visit:
        """Who is here.

        Raises:
            NotInError: nobody.
        """
        session = await self.door.find(request)
        if session is None:
            raise NotInError
        return Visit(request, session, self.pages.words(request).gettext)

    async def posted(self, request: Request) -> tuple[Visit, dict[str, str]]:
        """Who posted, and a form that a page of their own session gave out.

        Raises:
            NotInError: nobody is signed in; nothing was done.
            FormNotOursError: it did not come from a page of ours.
        """
        try:
            self.site.require_own(request)
            form = await self.forms.read(request)
            visit = await self.visit(request)
            require_key(form, self.door.form_key(visit.session))
        except FormRefusedError:
            raise FormNotOursError from None
        return visit, form

    def stepped_up(self, visit: Visit) -> None:
        """Return only if it was shown a moment ago, once more, who it is.

        Raises:
            StepUpNeededError: It was not.
        """
        if not self.door.stepped_up(visit.session):
            raise StepUpNeededError

    async def ask(self, visit: Visit, document: str, **variables: Any) -> Mapping[str, Any]:
        """As `Reader.ask`."""
        return await self.reader.ask(visit.caller, document, visit.trace, **variables)

    def access(self, visit: Visit, operation: str) -> Access:
        """The customer's own access, for what GraphQL does not offer."""
        return access_of(visit.caller, self.policies(), operation, visit.trace)

    def show(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """A page with its frame."""
        return self.pages.page(
            visit.request,
            template,
            status,
            signed_in=True,
            form_key=self.door.form_key(visit.session),
            **values,
        )

    def to(self, path: str) -> Response:
        """Go on at another page."""
        return self.pages.redirect(f"{self.pages.base}{path}")

    async def told(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says one thing."""
        try:
            session = await self.door.find(request)
        except Exception:  # noqa: BLE001 - what is told may be that nobody can be found
            session = None
        if session is None:
            response = self.pages.page(request, "told.html", status, title=title, text=text)
        else:
            visit = Visit(request, session, self.pages.words(request).gettext)
            response = self.show(visit, "told.html", status, title=title, text=text)
        if status == 503:  # noqa: PLR2004 - Service Unavailable
            response.headers["retry-after"] = "30"
        return response

    async def _failed(self, request: Request, error: Exception) -> Response:
        """What kept a page from being shown, told as a page."""
        _ = self.pages.words(request).gettext
        path = request.url.path
        match error:
            case NotInError():
                following = path if request.method == "GET" else f"{self.pages.base}/"
                return self.to(f"/sign-in?next={quote(following, safe='')}")
            case StepUpNeededError():
                # Whatever needs it has a form at its own address.
                return self.to(f"/confirm?next={quote(path, safe='')}")
            case FormNotOursError():
                return await self.told(
                    request,
                    403,
                    _("Nothing was changed"),
                    _("What was sent did not come from this page. Open the page again and try once more."),
                )
            case NothingHereError() | ProfileNotFoundError():
                return await self.told(
                    request, 404, _("Nothing is here"), _("There is no page at this address, or it is not yours.")
                )
            case InputInvalidError() | RequestError():
                return await self.told(
                    request,
                    400,
                    _("Nothing was changed"),
                    _("This cannot be done in this way. Go back, look at what you entered, and try again."),
                )
        known = isinstance(error, NotNowError | PortalError | CustomersError)
        if not known:
            log(Event.REQUEST_FAILED, logging.ERROR, error=error)
        if isinstance(error, NotNowError | AuditError | VaultError | PyMongoError):
            text = _("Your data cannot be read just now. Nothing was shown and nothing was changed.")
            return await self.told(request, 503, _("Try again in a moment"), text)
        text = _("We did something wrong. It is noted; please try again later.")
        return await self.told(request, 500, _("This did not work"), text)


__all__ = ["Frame", "Handler", "Visit"]
