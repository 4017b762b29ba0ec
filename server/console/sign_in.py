"""Signing in and out, and saying what for."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from server.access import is_temporary
from server.console.errors import TooManySessionsError
from server.console.forms import require_key
from server.console.frame import Frame, Visit
from server.console.sections import LOG
from server.errors import AccessError

_CASE: Final = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)


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
        return self._frame.signing_in(request, 200, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Open a session with a token that is good now."""
        form = await self._frame.forms.read(request)
        require_key(form, request.cookies.get(self._frame.cookie(request, "form")))
        following = form.get("next", "")
        if not self._frame.site.may_sign_in(request):
            return self._frame.signing_in(request, 403, following)
        token = form.get("token", "")
        token = token[7:].strip() if token[:7].lower() == "bearer " else token
        if not token:
            return self._frame.signing_in(request, 400, following, "Paste a token.")
        try:
            caller = await self._frame.authenticator.authenticate(f"Bearer {token}")
        except AccessError as error:
            again = is_temporary(error)
            advice = "Try again in a moment." if again else "Paste a token that is good now."
            return self._frame.signing_in(
                request, 503 if again else 401, following, f"Not signed in: {error}. {advice}"
            )
        if caller.customer_id is not None:
            return self._frame.signing_in(
                request, 403, following, "This token belongs to a customer. The console is for staff."
            )
        self._frame.sessions.close(self._frame.held(request)[0])
        try:
            opaque, _ = self._frame.sessions.open(caller.actor, token)
        except TooManySessionsError as error:
            return self._frame.signing_in(request, 503, following, f"Not signed in: {error}.")
        response = self._frame.pages.redirect(self._frame.own_address(following))
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
            self._frame.sessions.close(opaque)
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
        return self._frame.pages.redirect(following)


__all__ = ["SignInPages"]
