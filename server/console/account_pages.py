"""What somebody who is signed in sees of their own sign-in: where else they are signed in, and their password."""

from starlette.requests import Request
from starlette.responses import Response

from server.console.errors import NoSuchPageError
from server.console.frame import Frame, Visit
from server.console.sessions import Door
from server.console.staff import StaffInvalidError
from server.console.staff.errors import DoorBusyError, SignInRefusedError, TooManyTriesError


class AccountPages:
    """One's own sessions and password."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def page(self, request: Request) -> Response:
        """Who one is here, and where."""
        visit = await self._frame.visit(request)
        return await self._page(visit, 200)

    async def end_session(self, request: Request) -> Response:
        """End another session of one's own, or all others."""
        visit, form = await self._frame.posted(request)
        wanted = form.get("session", "")
        sessions = self._frame.sessions
        if wanted == "others":
            await sessions.end(visit.caller.actor, but=visit.session.key)
        else:
            mine = {each.key.hex(): each.key for each in await sessions.of(visit.caller.actor)}
            if wanted not in mine:
                raise NoSuchPageError("There is no session of yours at this address; it may have ended.")
            await sessions.end(visit.caller.actor, mine[wanted])
        return self._frame.pages.redirect(f"{self._frame.base}/account")

    async def change_password(self, request: Request) -> Response:
        """Take another password from whoever proves again who they are; they are signed out everywhere."""
        visit, form = await self._frame.posted(request)
        staff = self._frame.staff
        member = await staff.accounts.find(visit.caller.actor)
        if visit.session.door is not Door.LOCAL or member is None:
            raise NoSuchPageError("Your password is not kept here.")
        new = form.get("new", "")
        if new != form.get("again", ""):
            return await self._page(visit, 400, "The new password was not written the same twice.")
        try:
            await staff.local.again(member, form.get("password", ""), form.get("code", ""))
            await staff.record(visit.caller, "console password change")
            await staff.accounts.set_password(member, new)
        except (SignInRefusedError, TooManyTriesError, DoorBusyError, StaffInvalidError) as error:
            said = str(error).rstrip(".")
            return await self._page(visit, 400, f"{said[:1].upper()}{said[1:]}.")
        await self._frame.sessions.end(visit.caller.actor)
        return self._frame.pages.redirect(f"{self._frame.base}/sign-in")

    async def _page(self, visit: Visit, status: int, error: str | None = None) -> Response:
        sessions = await self._frame.sessions.of(visit.caller.actor)
        return self._frame.show(
            visit,
            "account.html",
            status,
            sessions_of_mine=[(each, each.key.hex(), each.key == visit.session.key) for each in sessions],
            local=visit.session.door is Door.LOCAL,
            error=error,
        )


__all__ = ["AccountPages"]
