"""Break-glass access: opening it, what one opened oneself, and reviewing what others opened."""

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from customers.errors import BreakGlassError, BreakGlassNotFoundError, BreakGlassNotPossibleError, ReadNotAllowedError
from customers.oversight.break_glass import (
    LONGEST_MINUTES,
    LONGEST_NOTE,
    LONGEST_REASON,
    PURPOSE,
    ROLE,
    SHORTEST_REASON,
    BreakGlass,
    Judgement,
)
from schema.errors import ForbiddenError
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper, refused
from server.console.sections import GLASS, reviews_glass

_MINUTES: Final = (15, 30, LONGEST_MINUTES)


class GlassPages:
    """Opening, ending and reviewing."""

    def __init__(self, frame: Frame, glass: BreakGlass | None, keeper: Keeper | None) -> None:
        self._frame = frame
        self._glass = glass
        self._keeper = keeper

    def _require(self) -> tuple[BreakGlass, Keeper]:
        if self._glass is None or self._keeper is None:
            raise NotServedError("It lets nobody break the glass.")
        return self._glass, self._keeper

    async def page(self, request: Request) -> Response:
        """The form, one's own openings, and what waits to be reviewed."""
        visit = await self._frame.visit(request)
        return await self._page(visit, 200, {}, {}, needed="needed" in request.query_params)

    async def open(self, request: Request) -> Response:
        """Break the glass; from here on it is the purpose, and the opening the case."""
        visit, form = await self._frame.posted(request)
        glass, _ = self._require()
        minutes, case = form.get("minutes", ""), form.get("case", "")
        typed = {"reason": form.get("reason", ""), "minutes": minutes, "case": case}
        if not minutes.isdecimal() or int(minutes[:4]) not in _MINUTES:
            return await self._page(visit, 400, typed, {"minutes": "Choose one of these."})
        try:
            opening = await glass.open(
                visit.caller, typed["reason"], int(minutes), case=case or None, trace=visit.trace
            )
        except BreakGlassNotPossibleError as error:
            said = f"{str(error)[:1].upper()}{str(error)[1:]}."
            return await self._page(visit, 400, typed, {"case" if "case is" in said else "reason": said})
        except ReadNotAllowedError:
            raise refused(ForbiddenError()) from None
        visit.session.purpose, visit.session.case = PURPOSE, opening.id
        await self._frame.sessions.save(visit.session)
        return self._frame.pages.redirect(f"{self._frame.base}/customers")

    async def end(self, request: Request) -> Response:
        """End one's own opening; whoever did states a purpose anew."""
        visit, _ = await self._frame.posted(request)
        glass, _ = self._require()
        name = request.path_params["opening"]
        try:
            await glass.end(visit.caller, name, trace=visit.trace)
        except BreakGlassNotFoundError:
            raise NoSuchPageError("There is no opening of yours with this number.") from None
        if visit.session.case == name:
            visit.session.purpose = visit.session.case = None
            await self._frame.sessions.save(visit.session)
        return self._frame.pages.redirect(f"{self._frame.base}{GLASS.path}")

    async def review(self, request: Request) -> Response:
        """Say what is to be thought of somebody else's."""
        visit, form = await self._frame.posted(request)
        glass, keeper = self._require()
        name, note, said = request.path_params["opening"], form.get("note", ""), form.get("judgement", "")
        access = await keeper.admit(visit.who, GLASS, "break-glass review")
        if said not in {each.value for each in Judgement}:
            return await self._page(visit, 400, {"note": note}, {name: "Say whether it was justified."})
        try:
            await glass.review(access, name, Judgement(said), note)
        except BreakGlassNotFoundError:
            raise NoSuchPageError("There is no opening with this number.") from None
        except BreakGlassError as error:
            text = f"{str(error)[:1].upper()}{str(error)[1:]}."
            return await self._page(visit, 400, {"note": note}, {name: text})
        except ReadNotAllowedError:
            raise refused(ForbiddenError()) from None
        return self._frame.pages.redirect(f"{self._frame.base}{GLASS.path}#{quote(name)}")

    async def _page(
        self,
        visit: Visit,
        status: int,
        typed: dict[str, str],
        errors: dict[str, str],
        *,
        needed: bool = False,
    ) -> Response:
        glass, keeper = self._require()
        policies, purpose = self._frame.policies(), visit.session.purpose
        reviewing = purpose is not None and reviews_glass(policies.decide(visit.caller.roles, purpose))
        may_open = glass.may_open(visit.caller)
        if not reviewing and not may_open:
            await keeper.look(visit.who, GLASS, "break-glass queue")  # refused, in the words of the rest
        now = self._frame.staff.now()
        mine = await glass.mine(visit.caller) if may_open else []
        others = []
        if reviewing:
            others = await glass.queue(await keeper.admit(visit.who, GLASS, "break-glass queue"))
        return self._frame.show(
            visit,
            "break_glass.html",
            status,
            may_open=may_open,
            mine=mine,
            is_open=any(each.is_open(now) for each in mine),
            reviewing=reviewing,
            others=[each for each in others if each.actor != visit.caller.actor],
            now=now,
            typed=typed,
            # What they work on; the opening that they are in is not that.
            stated_case="" if visit.session.case in {each.id for each in mine} else visit.session.case or "",
            errors=errors,
            needed=needed and ROLE not in visit.caller.roles,
            minutes=_MINUTES,
            shortest=SHORTEST_REASON,
            longest=LONGEST_REASON,
            longest_note=LONGEST_NOTE,
        )


__all__ = ["GlassPages"]
