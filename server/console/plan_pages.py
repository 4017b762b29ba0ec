"""Tracking plans as people read them, and what was not as they say."""

from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from server.console import plan_words
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame
from server.console.keeping import Keeping

_ROWS: Final = 100
_PLANS: Final = 25
_VIOLATIONS: Final = 50
_VERSIONS: Final = 50
_DIGITS: Final = 6
SPANS: Final = {1: "Today", 7: "7 days", 30: "30 days", 90: "90 days"}


class PlanPages:
    """Looking at plans; they are put by `confide plans put`."""

    def __init__(self, frame: Frame, keeping: Keeping | None) -> None:
        self._frame = frame
        self._keeping = keeping

    def _require(self) -> Keeping:
        if self._keeping is None:
            raise NotServedError("It takes no events in.")
        return self._keeping

    async def plans(self, request: Request) -> Response:
        """Every plan, as it is now."""
        visit = await self._frame.visit(request)
        after = request.query_params.get("after", "")
        everything, recorded = await self._require().plans(visit.who)
        rest = [each for each in everything if each.plan.name > after]
        shown = rest[:_PLANS]
        return self._frame.show(
            visit,
            "plans.html",
            plans=shown,
            words=plan_words,
            after=after,
            more=shown[-1].plan.name if len(rest) > _PLANS else None,
            recorded=recorded,
        )

    async def plan(self, request: Request) -> Response:
        """One version of a plan."""
        visit = await self._frame.visit(request)
        keeping, name = self._require(), str(request.path_params["name"])
        version = number_in(request.path_params.get("version"), least=1)
        first = number_in(request.query_params.get("from")) or 0
        found, versions, recorded = await keeping.plan(visit.who, name, version)
        parts, more = plan_words.parts(found, self._frame.policies().catalogue, first, _ROWS)
        followers = await keeping.followers(name)
        violated = await keeping.violated(days=7, source=None)
        return self._frame.show(
            visit,
            "plan.html",
            found=found,
            plan=found.plan,
            parts=parts,
            first=first,
            more=more,
            versions=versions[:_VERSIONS],
            newest=versions[0].plan.version,
            followers=followers[:_PLANS],
            more_followers=max(0, len(followers) - _PLANS),
            by_source=violated.by_source,
            words=plan_words,
            recorded=recorded,
        )

    async def violations(self, request: Request) -> Response:
        """What was not as the plans say: how often, where, and what to do."""
        visit = await self._frame.visit(request)
        keeping, query = self._require(), request.query_params
        days = number_in(query.get("days")) or 7
        if days not in SPANS:
            raise NoSuchPageError("Violations are shown for 1, 7, 30 or 90 days.")
        source, first = query.get("source") or None, number_in(query.get("from")) or 0
        violations, recorded = await keeping.violations(visit.who, days=days, source=source)
        shown = violations.found[first : first + _VIOLATIONS]
        return self._frame.show(
            visit,
            "violations.html",
            violations=violations,
            shown=shown,
            first=first,
            more=_query(days, source, first + _VIOLATIONS) if len(violations.found) > first + _VIOLATIONS else None,
            spans=[(label, _query(each, source, 0), each == days) for each, label in SPANS.items()],
            span=SPANS[days],
            source=source,
            sources=await keeping.source_names(),
            days=days,
            words=plan_words,
            recorded=recorded,
        )


def _query(days: int, source: str | None, first: int) -> str:
    given: dict[str, Any] = {"days": days}
    if source is not None:
        given["source"] = source
    if first:
        given["from"] = first
    return urlencode(given)


def number_in(text: str | None, *, least: int = 0, digits: int = _DIGITS) -> int | None:
    """A small number out of an address.

    Raises:
        NoSuchPageError: It is none.
    """
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= digits and int(text) >= least):
        raise NoSuchPageError("There is no page at this address.")
    return int(text)


__all__ = ["SPANS", "PlanPages", "number_in"]
