"""Taking up an account: its owner shows their invitation, scans the authenticator and chooses the password themselves.

The invitation is typed, never in an address. The second page has it in a hidden field, so nothing is kept between them.
"""

import logging
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from server.console.frame import Frame
from server.console.sessions import Door
from server.console.sign_in import SignInPages
from server.console.staff.errors import DoorBusyError, InvitationRefusedError, StaffInvalidError
from server.console.staff.invitations import Invited
from server.console.staff.passwords import SHORTEST
from server.console.staff.qr_code import qr_code
from server.logs import Event, log

_LONGEST: Final = 64
_IN_FOURS: Final = 4
_OTHER: Final = "The new password was not written the same twice."


class EnrolmentPages:
    """The invitation, and then the authenticator and the password."""

    def __init__(self, frame: Frame, signing: SignInPages) -> None:
        self._frame = frame
        self._signing = signing

    async def form(self, request: Request) -> Response:
        """The page that asks for the invitation."""
        return self._asking(request, 200)

    async def show(self, request: Request) -> Response:
        """The authenticator to scan, for who shows a good invitation."""
        form = await self._signing.sent(request)
        if not self._frame.site.may_sign_in(request):
            return self._asking(request, 403)
        name, code = form.get("name", ""), form.get("invitation", "")
        try:
            invited = await self._frame.staff.invitations.show(name, code)
        except InvitationRefusedError as error:
            return self._refused(request, error, name)
        return self._choosing(request, 200, invited, code)

    async def finish(self, request: Request) -> Response:
        """Take the password and the authenticator's first code, and sign them in."""
        form = await self._signing.sent(request)
        staff = self._frame.staff
        if not self._frame.site.may_sign_in(request):
            return self._asking(request, 403)
        name, code, password = form.get("name", ""), form.get("invitation", ""), form.get("new", "")
        try:
            invited = await staff.invitations.show(name, code)
            if password != form.get("again", ""):
                return self._choosing(request, 400, invited, code, _OTHER)
            try:
                step = await staff.invitations.check(invited, password, form.get("code", ""))
            except StaffInvalidError as error:
                said = str(error)
                return self._choosing(request, 400, invited, code, f"{said[:1].upper()}{said[1:]}.")
            await staff.record(invited.member.caller(), "console enrolment")
            member = await staff.invitations.accept(invited, code, password, step)
        except DoorBusyError as error:
            return self._asking(request, 503, str(error), name)
        except InvitationRefusedError as error:
            return self._refused(request, error, name)
        opaque, _ = await self._signing.opened(
            request, member.actor, door=Door.LOCAL, said={"generation": member.generation}
        )
        return self._signing.entered(request, opaque, self._frame.pages.redirect(f"{self._frame.base}/"))

    def _refused(self, request: Request, error: InvitationRefusedError, name: str) -> Response:
        log(Event.ACCESS_REFUSED, logging.WARNING, check="staff_invitation")
        return self._asking(request, 401, str(error), name)

    def _asking(self, request: Request, status: int, error: str | None = None, name: str = "") -> Response:
        return self._page(request, "enrol.html", status, error=error, name=name[:_LONGEST])

    def _choosing(
        self, request: Request, status: int, invited: Invited, code: str, error: str | None = None
    ) -> Response:
        secret = invited.secret
        return self._page(
            request,
            "enrol_choose.html",
            status,
            error=error,
            name=invited.member.name,
            invitation=code,
            # The address holds the account's name, of letters that need no escaping, in squares.
            picture=Markup(qr_code(invited.address, "QR code for your authenticator app")),  # noqa: S704 - ours whole
            secret=" ".join(secret[at : at + _IN_FOURS] for at in range(0, len(secret), _IN_FOURS)),
            shortest=SHORTEST,
        )

    def _page(self, request: Request, template: str, status: int, **context: object) -> Response:
        key = request.cookies.get(self._frame.cookie(request, "form")) or self._frame.sessions.text()
        allowed = self._frame.site.may_sign_in(request)
        response = self._frame.pages.page(template, status, form_key=key, allowed=allowed, **context)
        self._frame.set_cookie(request, response, "form", key)
        return response


__all__ = ["EnrolmentPages"]
