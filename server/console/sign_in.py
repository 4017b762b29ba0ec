"""Signing in and out, and saying what for."""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.access import is_temporary
from server.console.errors import FormRefusedError, NoSuchPageError, SignInUnavailableError
from server.console.forms import require_key
from server.console.frame import Frame, Visit
from server.console.sections import GLASS, LOG
from server.console.sessions import Door, Session
from server.console.staff.accounts import Member
from server.console.staff.errors import (
    ArrivalRefusedError,
    DoorBusyError,
    ProviderAwayError,
    SignInRefusedError,
    StaffInvalidError,
    TooManyTriesError,
)
from server.console.staff.oidc import WITHIN, Arrival, OIDCDoor
from server.errors import AccessError
from server.logs import Event, log

_CASE: Final = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)

_ARRIVING: Final = "arriving"
_STATUS: Final[Mapping[type[Exception], int]] = {SignInRefusedError: 401, TooManyTriesError: 429, DoorBusyError: 503}


class SignInPages:
    """Who is here, and for which purpose and case."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def home(self, request: Request) -> Response:
        """The console's first page."""
        visit = await self._frame.visit(request)
        mine = self._frame.sections(visit)
        here = (
            None
            if visit.session.purpose is None
            else self._frame.policies().decide(visit.caller.roles, visit.session.purpose)
        )
        fitting = [each for each in mine if here is not None and each.opens(here)] or list(mine) or [LOG]
        return self._frame.pages.redirect(f"{self._frame.base}{fitting[0].path}")

    async def sign_in_form(self, request: Request) -> Response:
        """The page to sign in at; those who are signed in go on."""
        if self._frame.held(request)[1] is not None:
            return self._frame.pages.redirect(self._frame.own_address(request.query_params.get("next")))
        return await self._frame.signing_in(request, 200, request.query_params.get("next", ""))

    async def sent(self, request: Request) -> dict[str, str]:
        """A form of the page to sign in at."""
        form = await self._frame.forms.read(request)
        require_key(form, request.cookies.get(self._frame.cookie(request, "form")))
        return form

    async def sign_in(self, request: Request) -> Response:
        """Open a session with a token that is good now."""
        form = await self.sent(request)
        following = form.get("next", "")
        if not self._frame.site.may_sign_in(request):
            return await self._frame.signing_in(request, 403, following)
        if not self._frame.staff.takes_tokens:
            return await self._frame.signing_in(request, 403, following, "This server takes no tokens here.")
        token = form.get("token", "")
        token = token[7:].strip() if token[:7].lower() == "bearer " else token
        if not token:
            return await self._frame.signing_in(request, 400, following, "Paste a token.")
        try:
            caller = await self._frame.staff.authenticator.authenticate(f"Bearer {token}")
        except AccessError as error:
            again = is_temporary(error)
            advice = "Try again in a moment." if again else "Paste a token that is good now."
            said = f"Not signed in: {error}. {advice}"
            return await self._frame.signing_in(request, 503 if again else 401, following, said)
        if caller.customer_id is not None:
            said = "This token belongs to a customer. The console is for staff."
            return await self._frame.signing_in(request, 403, following, said)
        opaque, _ = await self.opened(request, caller.actor, token)
        return self.entered(request, opaque, self._frame.pages.redirect(self._frame.own_address(following)))

    async def sign_in_local(self, request: Request) -> Response:
        """Open a session with a name, a password and an authenticator's code."""
        form = await self.sent(request)
        following, name = form.get("next", ""), form.get("name", "")
        if not self._frame.site.may_sign_in(request):
            return await self._frame.signing_in(request, 403, following)
        try:
            member = await self._frame.staff.local.enter(name, form.get("password", ""), form.get("code", ""))
        except (SignInRefusedError, TooManyTriesError, DoorBusyError) as error:
            log(Event.ACCESS_REFUSED, logging.WARNING, check="staff_password")
            status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
            response = await self._frame.signing_in(request, status, following, str(error), name=name[:64])
            if isinstance(error, TooManyTriesError):
                response.headers["retry-after"] = str(error.seconds)
            return response
        await self._frame.staff.record(member.caller(), "console sign-in local")
        opaque, _ = await self.opened(request, member.actor, door=Door.LOCAL, said={"generation": member.generation})
        return self.entered(request, opaque, self._frame.pages.redirect(self._frame.own_address(following)))

    async def begin_oidc(self, request: Request) -> Response:
        """Go to the identity provider."""
        door = self._provider()
        following = request.query_params.get("next", "")
        if not self._frame.site.may_sign_in(request):
            return await self._frame.signing_in(request, 403, following)
        try:
            begun = await door.begin(self._back(request), self._frame.own_address(following))
        except ProviderAwayError as error:
            return await self._frame.signing_in(request, 503, following, str(error))
        response = self._frame.pages.redirect(begun.address)
        seconds = int(WITHIN.total_seconds())
        # Lax: the provider's page leads back here, and then a strict cookie would not come along.
        self._frame.set_cookie(request, response, _ARRIVING, begun.cookie, seconds=seconds, samesite="lax")
        return response

    async def finish_oidc(self, request: Request) -> Response:
        """Open a session of somebody whom the identity provider sent back."""
        door, staff = self._provider(), self._frame.staff
        cookie = request.cookies.get(self._frame.cookie(request, _ARRIVING))
        try:
            arrival = await door.finish(self._back(request), _once(request), cookie)
            member, roles = await self._known(arrival)
        except (ArrivalRefusedError, ProviderAwayError, StaffInvalidError) as error:
            log(Event.ACCESS_REFUSED, logging.WARNING, check="staff_provider")
            away = isinstance(error, ProviderAwayError)
            said = str(error) if not isinstance(error, StaffInvalidError) else f"Not signed in: {error}."
            response = await self._frame.signing_in(request, 503 if away else 401, "", said)
            self._frame.set_cookie(request, response, _ARRIVING, None, samesite="lax")
            return response
        await staff.record(member.caller(roles, arrival.regions), "console sign-in oidc")
        vouched = {
            "generation": member.generation,
            "groups": arrival.groups,
            "regions": arrival.regions,
            "sid": arrival.sid,
        }
        opaque, _ = await self.opened(request, member.actor, door=Door.OIDC, said=vouched)
        # A page, not a redirect: what follows must begin here, or the session's strict cookie is not sent.
        following = self._frame.own_address(arrival.following)
        response = self._frame.pages.page("signed_in.html", following=following)
        self._frame.set_cookie(request, response, _ARRIVING, None, samesite="lax")
        return self.entered(request, opaque, response)

    async def end_oidc(self, request: Request) -> Response:
        """End what the identity provider says has ended. It asks itself, so there is no browser, cookie or form key."""
        headers = {"cache-control": "no-store"}
        staff = self._frame.staff
        if staff.oidc is None:
            return Response(status_code=404, headers=headers)
        try:
            form = await self._frame.forms.read(request)
            ending = await staff.oidc.ended(form.get("logout_token", ""))
            if not ending.again:
                actors = None
                if ending.subject is not None:
                    actors = await staff.accounts.of_subject(ending.issuer, ending.subject)
                await self._frame.sessions.end_at_provider(actors, ending.sid)
                await staff.oidc.done(ending)
        except (ArrivalRefusedError, FormRefusedError) as error:
            log(Event.ACCESS_REFUSED, logging.WARNING, check="staff_provider_logout")
            return JSONResponse({"error": "invalid_request", "error_description": str(error)}, 400, headers)
        except (ProviderAwayError, SignInUnavailableError, PyMongoError):
            return Response(status_code=503, headers={**headers, "retry-after": "2"})
        return Response(status_code=200, headers=headers)

    async def _known(self, arrival: Arrival) -> tuple[Member, tuple[str, ...]]:
        """Who somebody is here whom the provider vouches for, and what they may do."""
        staff = self._frame.staff
        roles = staff.callers.roles_of(arrival.groups)
        if not roles:
            raise ArrivalRefusedError(
                "You are known, and none of your groups has a role here. Nothing is open to you."
            )
        member = await staff.accounts.vouched(arrival.actor, arrival.issuer, arrival.subject, roles)
        if member.disabled:
            raise ArrivalRefusedError("Your account may not sign in here any more.")
        return member, roles

    def _provider(self) -> OIDCDoor:
        if self._frame.staff.oidc is None:
            raise NoSuchPageError("There is no page at this address.")
        return self._frame.staff.oidc

    def _back(self, request: Request) -> str:
        """Where the identity provider sends people back to."""
        return f"{self._frame.site.origin(request)}{self._frame.base}/sign-in/oidc/back"

    async def opened(self, request: Request, actor: str, token: str | None = None, **how: Any) -> tuple[str, Session]:
        """A new session under a new id, whatever the browser brought; the one before it ends."""
        await self._frame.sessions.close(self._frame.held(request)[0])
        return await self._frame.sessions.open(actor, token, **how)

    def entered(self, request: Request, opaque: str, response: Response) -> Response:
        """The response, with the cookie of a session that opened."""
        self._frame.set_cookie(request, response, "session", opaque)
        self._frame.set_cookie(request, response, "form", None)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        form = await self._frame.forms.read(request)
        opaque, session = self._frame.held(request)
        if session is not None:
            # A token that is good no more need not keep anybody here.
            require_key(form, session.form_key)
            await self._frame.sessions.close(opaque)
        response = self._frame.pages.redirect(f"{self._frame.base}/sign-in")
        self._frame.set_cookie(request, response, "session", None)
        return response

    async def purpose_form(self, request: Request) -> Response:
        """The page that asks for a purpose and a case."""
        visit = await self._frame.visit(request)
        following = self._frame.own_address(request.query_params.get("next"))
        return self._stating(visit, 200, following, visit.session.purpose or "", visit.session.case or "", {})

    def _stating(
        self, visit: Visit, status: int, following: str, purpose: str, case: str, errors: Mapping[str, str]
    ) -> Response:
        return self._frame.show(
            visit,
            "purpose.html",
            status,
            following=following,
            typed={"purpose": purpose, "case": case},
            errors=errors,
            purposes=[self._frame.policies().purposes[name] for name in visit.rights.purposes],
        )

    async def state_purpose(self, request: Request) -> Response:
        """Take a purpose and a case, and go on."""
        visit, form = await self._frame.posted(request)
        purpose, case = form.get("purpose", ""), form.get("case", "")
        following = self._frame.own_address(form.get("next"))
        errors: dict[str, str] = {}
        if purpose not in visit.rights.purposes:
            errors["purpose"] = "Choose one of the purposes that your roles allow."
        if case and _CASE.fullmatch(case) is None:
            errors["case"] = "Write a case's number: up to 64 letters, digits and . _ : / # - without spaces."
        if errors:
            return self._stating(visit, 400, following, purpose, case[:256], errors)
        visit.session.purpose, visit.session.case = purpose, case or None
        await self._frame.sessions.save(visit.session)
        if await self._frame.undeclared(visit.caller, visit.session):
            return self._frame.pages.redirect(f"{self._frame.base}{GLASS.path}?needed=1")
        return self._frame.pages.redirect(following)


def _once(request: Request) -> dict[str, str]:
    """What stands in the query; what is there twice is not there (OAuth 2.0 §3.1)."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


__all__ = ["SignInPages"]
