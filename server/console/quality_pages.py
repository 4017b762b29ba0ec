"""Data quality: the report on the whole base with its trend, and suggested corrections applied with a click."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from schema.errors import ErrorCode
from server.console.errors import NoSuchPageError, NotServedError, ReadRefusedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper
from server.console.people_words import labels
from server.console.plan_pages import number_in
from server.console.plot import Plot, plotted
from server.console.sections import SECTIONS

_QUALITY, _CORRECTIONS = (next(each for each in SECTIONS if each.name == name) for name in ("quality", "corrections"))
# How far back, in words, and of how many days one is shown.
SPANS: Final[Mapping[int, tuple[str, int]]] = {30: ("30 days", 1), 90: ("90 days", 3), 365: ("A year", 7)}
_ROWS: Final = 40
_PAGE: Final = 20
_PICKED: Final = "pick."
_COUNTS: Final = "issues { field kind profiles } corrections { field kind profiles }"
_REPORT: Final = f"""query ConsoleQuality($days: Int!) {{
  dataQuality {{
    latest {{
      day finishedAt profiles notAllowed damaged score completeness validity staleness {_COUNTS}
      duplicates {{ share pairs compared sure review }}
    }}
    trend(days: $days) {{ day profiles score completeness validity staleness }}
  }}
}}
"""
_QUEUE: Final = """query ConsoleCorrections($fields: [String!], $first: Int!, $after: String) {
  corrections(fields: $fields, first: $first, after: $after) {
    nodes { id profileId field kind current suggested foundAt }
    pageInfo { hasNextPage endCursor }
  }
}
"""
_DECIDE: Final = """mutation {operation}($id: ID!) {{
  {mutation}(id: $id) {{ profile {{ id }} }}
}}
"""
_APPLY: Final = _DECIDE.format(operation="ConsoleApplyCorrection", mutation="applyCorrection")
_DISMISS: Final = _DECIDE.format(operation="ConsoleDismissCorrection", mutation="dismissCorrection")
_FIELDS: Final = ("given_name", "family_name", "street", "postal_code", "city", "country")
ISSUES: Final[Mapping[str, str]] = {
    "missing": "missing",
    "malformed": "not what such a value looks like",
    "placeholder": "stands where a value should be",
    "mistyped": "very nearly something usual",
    "impossible": "no such value can be",
    "unknown_country": "no country has this code",
    "not_of_country": "not as in the profile's country",
    "stale": "not confirmed in time",
}
CORRECTIONS: Final[Mapping[str, str]] = {
    "characters": "hidden or unusual characters",
    "spacing": "spaces too many",
    "case": "capitals; a guess",
    "country": "country as its code",
    "postal_form": "postal code as its country writes it",
    "phone_form": "number in its usual form",
}
SCORES: Final = (
    ("score", "Score", "all together", "best 100"),
    ("completeness", "Complete", "how much of what is expected is there", "best 100"),
    ("validity", "Valid", "how much of what is there can be right", "best 100"),
    ("staleness", "Stale", "how much was not confirmed in time", "best 0"),
)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of suggestions that were decided together, and the entries that hold it."""

    applied: int = 0
    dismissed: int = 0
    gone: int = 0
    refused: int = 0
    conflicts: int = 0


class QualityPages:
    """The report, and the queue of corrections."""

    def __init__(self, frame: Frame, keeper: Keeper | None) -> None:
        self._frame = frame
        self._keeper = keeper

    def _require(self) -> Keeper:
        if self._keeper is None:
            raise NotServedError("It does not look after the quality of data.")
        return self._keeper

    async def report(self, request: Request) -> Response:
        """The newest report and the trend."""
        visit = await self._frame.visit(request)
        days = number_in(request.query_params.get("days")) or 30
        if days not in SPANS:
            raise NoSuchPageError("The trend goes back 30, 90 or 365 days.")
        recorded = await self._require().look(visit.who, _QUALITY, "ConsoleQuality")
        told, _ = await self._frame.reader.ask(visit.who, _REPORT, {"days": days})
        found = told["dataQuality"]
        step = SPANS[days][1]
        trend = [each for each in reversed(found["trend"]) if _kept(each["day"], found["trend"][0]["day"], step)]
        return self._frame.show(
            visit,
            "quality.html",
            latest=found["latest"],
            trend=trend,
            plots=[("wide", _plot(trend, 640)), ("small", _plot(trend, 340))],
            step=step,
            spans=[(label, each, each == days) for each, (label, _) in SPANS.items()],
            rows=_ROWS,
            scores=SCORES,
            issues=ISSUES,
            corrections=CORRECTIONS,
            labels=labels(self._frame.policies().catalogue),
            corrects=self._opens("corrections", visit),
            reviews=self._opens("people", visit),
            recorded=recorded,
        )

    def _opens(self, name: str, visit: Visit) -> bool:
        return any(each.name == name for each in self._frame.sections(visit))

    # ---- corrections

    async def queue(self, request: Request) -> Response:
        """Suggestions that nobody decided yet."""
        visit = await self._frame.visit(request)
        return await self._queue(visit, request.query_params.get("field"), request.query_params.get("after"))

    async def _queue(
        self,
        visit: Visit,
        name: str | None,
        after: str | None,
        *,
        status: int = 200,
        done: Done | None = None,
        **said: Any,
    ) -> Response:
        await self._require().admit(visit.who, _CORRECTIONS, "ConsoleCorrections")
        name = name or None
        if name is not None and name not in _FIELDS:
            raise NoSuchPageError("Corrections are not suggested for this field.")
        wanted = {"fields": None if name is None else [name], "first": _PAGE, "after": after or None}
        told, recorded = await self._frame.reader.ask(visit.who, _QUEUE, wanted)
        found = told["corrections"]
        return self._frame.show(
            visit,
            "corrections.html",
            status,
            nodes=found["nodes"],
            more=found["pageInfo"]["endCursor"] if found["pageInfo"]["hasNextPage"] else None,
            after=after,
            field=name,
            fields=_FIELDS,
            kinds=CORRECTIONS,
            labels=labels(self._frame.policies().catalogue),
            picked=_PICKED,
            done=done,
            error=said.get("error"),
            recorded=recorded,
        )

    async def decide(self, request: Request) -> Response:
        """Apply or dismiss one suggestion, or those that were picked; each is recorded by itself."""
        visit, form = await self._frame.posted(request)
        who, name = visit.who, form.get("field")
        answer, _, one = (form.get("do") or "").partition(":")
        ids = [one] if one else [key.removeprefix(_PICKED) for key in form if key.startswith(_PICKED)]
        if answer not in ("apply", "dismiss") or not ids:
            return await self._queue(visit, name, None, status=400, error="Pick at least one suggestion.")
        document = _APPLY if answer == "apply" else _DISMISS
        counted = {"done": 0, "gone": 0, "refused": 0, "conflicts": 0}
        for each in ids[:_PAGE]:
            counted[await self._decided(who, document, each)] += 1
        done = Done(
            applied=counted["done"] if answer == "apply" else 0,
            dismissed=counted["done"] if answer == "dismiss" else 0,
            gone=counted["gone"],
            refused=counted["refused"],
            conflicts=counted["conflicts"],
        )
        return await self._queue(visit, name, None, done=done)

    async def _decided(self, who: Any, document: str, suggestion: str) -> str:
        try:
            await self._frame.reader.ask(who, document, {"id": suggestion}, change=True)
        except ReadRefusedError as error:
            found = _OUTCOMES.get(error.code)
            if found is None:
                raise
            return found
        return "done"


_OUTCOMES: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.NOT_FOUND: "gone",
    ErrorCode.CONFLICT: "conflicts",
    ErrorCode.WRITE_NOT_ALLOWED: "refused",
}


def _kept(day: str, newest: str, step: int) -> bool:
    """Whether a day is one of those that are shown, counted back from the newest."""
    return (date.fromisoformat(newest) - date.fromisoformat(day)).days % step == 0


def _plot(trend: list[Mapping[str, Any]], width: int) -> Plot | None:
    def values(name: str) -> list[tuple[date, int | None]]:
        return [(date.fromisoformat(each["day"]), each[name]) for each in trend]

    return plotted([(label, name, values(name)) for name, label, _, _ in SCORES], width)


__all__ = ["CORRECTIONS", "ISSUES", "SCORES", "SPANS", "Done", "QualityPages"]
