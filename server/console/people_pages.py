"""People to review: the queue, a case with both profiles side by side, and the journal from which merges are undone."""

import re
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from customers.errors import MergeNotPossibleError
from customers.identity.review import CaseState
from customers.identity.rules import CaseKind
from server.console import people_words
from server.console.errors import NoSuchPageError, NotServedError, ReadRefusedError
from server.console.frame import Frame, Visit
from server.console.people import CaseView, People
from server.console.plan_pages import number_in

_PAGE: Final = 25
_CASE: Final = re.compile(r"cas_[a-z2-7]{1,64}", re.ASCII)
_MERGE: Final = re.compile(r"mrg_[a-z2-7]{1,64}", re.ASCII)
_SIDES: Final = {"a": 0, "b": 1}


class PeoplePages:
    """Looking at cases and merges, and deciding them."""

    def __init__(self, frame: Frame, people: People | None) -> None:
        self._frame = frame
        self._people = people

    def _require(self) -> People:
        if self._people is None:
            raise NotServedError("It joins no profiles.")
        return self._people

    # ---- the queue

    async def queue(self, request: Request) -> Response:
        """Cases that wait for a decision, or those decided in one way."""
        visit = await self._frame.visit(request)
        state, kind, after = _wanted(request)
        found = await self._require().queue(visit.who, state, kind, after, _PAGE)
        filters = [(words[0], each.value, each is kind) for each, words in people_words.KINDS.items()]
        return self._frame.show(
            visit,
            "people.html",
            cases=found.cases,
            more=None if found.after is None else _query(state, kind, found.after),
            after=after,
            state=state,
            kind=kind,
            states=[(label, _query(each, kind, 0), each is state) for each, label in people_words.STATES.items()],
            filters=filters,
            here=_query(state, kind, 0),
            words=people_words,
            recorded=found.recorded,
        )

    async def following(self, request: Request) -> Response:
        """The next case to decide; the queue where there is none."""
        visit = await self._frame.visit(request)
        _, kind, after = _wanted(request)
        for start in (after, 0):
            found = await self._require().queue(visit.who, CaseState.OPEN, kind, start, 1, record=False)
            if found.cases:
                return self._frame.pages.redirect(f"{self._frame.base}/people/{found.cases[0].id}")
        return self._frame.pages.redirect(f"{self._frame.base}/people")

    # ---- a case

    async def case(self, request: Request) -> Response:
        """A case with both profiles, as the reader may see them."""
        visit = await self._frame.visit(request)
        return await self._case_page(request, visit, done=request.query_params.get("done"))

    async def _case_page(
        self, request: Request, visit: Visit, status: int = 200, *, done: str | None = None, error: str | None = None
    ) -> Response:
        view = await self._require().case(visit.who, _named(request, "case", _CASE))
        policies = self._frame.policies()
        return self._frame.show(
            visit,
            "case.html",
            status,
            view=view,
            case=view.opened.case,
            sides=_sides(view),
            rows=people_words.rows(view, policies),
            merge=view.merge,
            done=done,
            error=error,
            words=people_words,
            actor=visit.caller.actor,
            recorded=view.opened.entry,
        )

    async def decide(self, request: Request) -> Response:
        """One person or two: done, or why it cannot be."""
        visit, form = await self._frame.posted(request)
        case, answer = _named(request, "case", _CASE), form.get("answer", "")
        if answer not in ("same", "different") or (answer == "same" and form.get("stays", "") not in _SIDES):
            return await self._case_page(request, visit, 400, error="Choose which of the two profiles stays.")
        survivor = _SIDES[form["stays"]] if answer == "same" else None
        try:
            state = await self._require().decide(visit.who, case, survivor)
        except MergeNotPossibleError as error:
            return await self._case_page(request, visit, 409, error=_sentence(error))
        except ReadRefusedError as error:
            if error.code not in ("CONFLICT", "WRITE_NOT_ALLOWED", "NOT_FOUND"):
                raise
            return await self._case_page(request, visit, 409, error=_refusal(error))
        return self._frame.pages.redirect(f"{self._frame.base}/people/{case}?done={state.value}")

    # ---- merges

    async def merges(self, request: Request) -> Response:
        """The journal of merges, the newest first."""
        visit = await self._frame.visit(request)
        before = number_in(request.query_params.get("before"), digits=12)
        found, more, recorded = await self._require().merges(visit.who, _PAGE, before)
        return self._frame.show(
            visit,
            "merges.html",
            merges=found,
            more=more,
            before=before,
            words=people_words,
            actor=visit.caller.actor,
            recorded=recorded,
        )

    async def merge(self, request: Request) -> Response:
        """One merge, and what taking it apart would do."""
        visit = await self._frame.visit(request)
        return await self._merge_page(request, visit, done=request.query_params.get("done"))

    async def _merge_page(
        self, request: Request, visit: Visit, status: int = 200, *, done: str | None = None, error: str | None = None
    ) -> Response:
        merge, recorded = await self._require().merge(visit.who, _named(request, "merge", _MERGE))
        return self._frame.show(
            visit,
            "merge.html",
            status,
            merge=merge,
            done=done,
            error=error,
            words=people_words,
            actor=visit.caller.actor,
            recorded=recorded,
        )

    async def undo(self, request: Request) -> Response:
        """Take two profiles apart, or say why they cannot be."""
        visit, _ = await self._frame.posted(request)
        merge = _named(request, "merge", _MERGE)
        try:
            await self._require().undo(visit.who, merge)
        except MergeNotPossibleError as error:
            return await self._merge_page(request, visit, 409, error=_sentence(error))
        except ReadRefusedError as error:
            if error.code not in ("CONFLICT", "WRITE_NOT_ALLOWED"):
                raise
            return await self._merge_page(request, visit, 409, error=_refusal(error))
        return self._frame.pages.redirect(f"{self._frame.base}/merges/{merge}?done=undone")


def _wanted(request: Request) -> tuple[CaseState, CaseKind | None, int]:
    """State, kind and place out of an address.

    Raises:
        NoSuchPageError: One of them cannot be.
    """
    query = request.query_params
    try:
        state = CaseState(query.get("state") or CaseState.OPEN)
        kind = CaseKind(query["kind"]) if query.get("kind") else None
    except ValueError:
        raise NoSuchPageError("There are no such cases.") from None
    return state, kind, number_in(query.get("after"), digits=12) or 0


def _query(state: CaseState, kind: CaseKind | None, after: int) -> str:
    given: dict[str, Any] = {}
    if state is not CaseState.OPEN:
        given["state"] = state.value
    if kind is not None:
        given["kind"] = kind.value
    if after:
        given["after"] = after
    return urlencode(given)


def _named(request: Request, what: str, form: re.Pattern[str]) -> str:
    found = str(request.path_params[what])
    if form.fullmatch(found) is None:
        raise NoSuchPageError(f"There is no such {what}.")
    return found


def _sides(view: CaseView) -> list[tuple[str, str, str]]:
    """The profiles that are shown: what the form calls each, its letter, and its id as the reader may see it."""
    customers = view.opened.case.customers
    letters = {0: "a", 1: "b"}
    return [
        (letters.get(customers.index(each.customer_id), "") if each.customer_id in customers else "", letter, each.id)
        for each, letter in zip(view.opened.profiles.sides, ("A", "B"), strict=False)
    ]


def _sentence(error: Exception) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


def _refusal(error: ReadRefusedError) -> str:
    return {
        "WRITE_NOT_ALLOWED": "The policy, or the rights of one of the two, do not let you decide this for this purpose.",
        "NOT_FOUND": "One of the two is not there any more: they were erased, or joined to somebody meanwhile.",
    }.get(error.code.value, "Somebody changed one of the two meanwhile. Look again, and decide anew.")


__all__ = ["PeoplePages"]
