"""Sources: where events come from, their keys and secrets, and when they were last heard of."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from customers.collection.errors import PlanDeclassifiesError, PlanNotFoundError
from customers.collection.source_changes import KEPT, SourceChange
from customers.collection.source_counts import SourceCount
from customers.collection.sources import Source, SourceKind
from customers.errors import InputInvalidError, SourceTakenError
from server.console.errors import NotServedError
from server.console.frame import Frame, Visit
from server.console.keeping import Keeping
from server.console.sections import changes_operations
from server.console.snippets import KINDS, address_of, snippets

_PAGE: Final = 25
_WEEK: Final = 7
GRACES: Final[Mapping[str, tuple[str, timedelta]]] = {
    "0": ("not at all", timedelta()),
    "24": ("for 24 hours", timedelta(hours=24)),
    "48": ("for 48 hours", timedelta(hours=48)),
    "168": ("for 7 days", timedelta(days=7)),
    "720": ("for 30 days", timedelta(days=30)),
}
_SAID: Final[Mapping[str, str]] = {
    "name": "Write lower-case letters, digits, - and _, beginning with a letter or digit; 63 at most.",
    "origins": "Write one origin a line, such as https://shop.example, without a path.",
}
_OPENS: Final = (
    "It stores in clear what the plan before it seals. If that is meant, say so on the command line: confide sources "
    "update with --declassify. It is about"
)
_MOST_NAMED: Final = 5


class SourcePages:
    """Looking at sources and changing them."""

    def __init__(self, frame: Frame, keeping: Keeping | None) -> None:
        self._frame = frame
        self._keeping = keeping

    def _require(self) -> Keeping:
        if self._keeping is None:
            raise NotServedError("It takes no events in.")
        return self._keeping

    def _may_change(self, visit: Visit) -> bool:
        return changes_operations(self._frame.policies().decide(visit.caller.roles, visit.who.purpose))

    # ---- looking

    async def sources(self, request: Request) -> Response:
        """Every source: what it is, when it was last heard of, and what was wrong with what it sent."""
        visit = await self._frame.visit(request)
        keeping, after = self._require(), request.query_params.get("after", "")
        everything, recorded = await keeping.sources(visit.who)
        rest = [each for each in everything if each.name > after]
        shown = rest[:_PAGE]
        heard = await keeping.heard([each.name for each in shown])
        violated = await keeping.violated(days=_WEEK, source=None)
        return self._frame.show(
            visit,
            "sources.html",
            sources=shown,
            heard=heard,
            sent=await keeping.sent(),
            nothing=SourceCount(),
            violated=violated,
            after=after,
            more=shown[-1].name if len(rest) > _PAGE else None,
            total=len(everything),
            kinds=KINDS,
            states=[_state(each) for each in shown],
            may_change=self._may_change(visit),
            recorded=recorded,
        )

    async def source(self, request: Request) -> Response:
        """One source."""
        visit = await self._frame.visit(request)
        source, recorded = await self._require().source(visit.who, str(request.path_params["name"]))
        return await self._page(request, visit, source, recorded=recorded, done=request.query_params.get("done"))

    async def _page(
        self, request: Request, visit: Visit, source: Source, status: int = 200, **context: Any
    ) -> Response:
        """A source's page; `context` says what was done, or what was wrong with a form."""
        keeping = self._require()
        heard = (await keeping.heard([source.name], whole=True))[source.name]
        violated = await keeping.violated(days=_WEEK, source=source.name)
        now, origin = keeping.now(), self._frame.site.origin(request)
        key = context.get("key")
        given = {"key": None, "secret": None, "errors": {}, "typed": {}, "recorded": None, "done": None, **context}
        return self._frame.show(
            visit,
            "source.html",
            status,
            source=source,
            words=KINDS[source.kind],
            state=_state(source),
            heard=heard,
            sent=(await keeping.sent()).get(source.name, SourceCount()),
            plans=sorted({*await keeping.plan_names(), *([source.plan] if source.plan else [])}),
            violated=violated,
            older_key=_still(source.older_key_until, now),
            older_secret=_still(source.older_secret_until, now),
            address=address_of(source, origin),
            snippets=snippets(origin, key) if key else snippets(origin),
            graces=GRACES,
            may_change=self._may_change(visit),
            **given,
        )

    # ---- changing

    async def new(self, request: Request) -> Response:
        """The form for a new source."""
        visit = await self._frame.visit(request)
        _, recorded = await self._require().sources(visit.who)
        return await self._form(visit, 200, {}, {}, recorded=recorded)

    async def _form(
        self,
        visit: Visit,
        status: int,
        typed: Mapping[str, str],
        errors: Mapping[str, str],
        recorded: str | None = None,
    ) -> Response:
        return self._frame.show(
            visit,
            "source_new.html",
            status,
            typed=typed,
            errors=errors,
            kinds=KINDS,
            plans=await self._require().plan_names(),
            may_change=self._may_change(visit),
            recorded=recorded,
        )

    async def create(self, request: Request) -> Response:
        """Make a source, and show its write key this once."""
        visit, form = await self._frame.posted(request)
        keeping, who = self._require(), visit.who
        errors = {} if form.get("kind", "") in set(SourceKind) else {"kind": "Choose how it sends."}
        plan = form.get("plan") or None
        if plan is not None and plan not in await keeping.plan_names():
            errors["plan"] = "Choose a plan that there is."
        if errors:
            return await self._form(visit, 400, form, errors)
        kind = SourceKind(form["kind"])
        try:
            source, key = await keeping.create(
                who, form.get("name", ""), kind=kind, plan=plan, origins=tuple(form.get("origins", "").split())
            )
        except InputInvalidError as error:
            told = {each.field: _SAID.get(each.field, each.problem) for each in error.problems}
            return await self._form(visit, 400, form, told)
        except SourceTakenError:
            return await self._form(visit, 400, form, {"name": "There is a source of this name; choose another."})
        return await self._page(request, visit, source, done="created", key=key if KINDS[kind].by_key else None)

    async def change(self, request: Request) -> Response:
        """Change a source's plan, and the origins of one of pages."""
        visit, form = await self._frame.posted(request)
        keeping, name = self._require(), str(request.path_params["name"])
        source, _ = await keeping.source(visit.who, name)
        origins = tuple(form.get("origins", "").split()) if source.origins else KEPT
        errors: dict[str, str] = {}
        try:
            source = await keeping.change(visit.who, name, SourceChange(form.get("plan") or None, origins))
        except PlanNotFoundError:
            errors["plan"] = "Choose a plan that there is."
        except PlanDeclassifiesError as error:
            errors["plan"] = f"{_OPENS} {', '.join(error.paths[:_MOST_NAMED])}."
        except InputInvalidError:
            errors["origins"] = _SAID["origins"] if origins else "Leave one at least: a source of pages stays one."
        if errors:
            return await self._page(request, visit, source, 400, errors=errors, typed=form)
        return self._frame.pages.redirect(f"{self._frame.base}/sources/{name}?done=changed")

    async def rotate(self, request: Request) -> Response:
        """Give a source another write key, and show it this once."""
        visit, form = await self._frame.posted(request)
        grace = GRACES.get(form.get("grace", ""))
        name = str(request.path_params["name"])
        if grace is None:
            source, _ = await self._require().source(visit.who, name)
            return await self._page(request, visit, source, 400, errors={"grace": "Choose for how long."})
        source, key = await self._require().rotate(visit.who, name, grace[1])
        return await self._page(request, visit, source, done="rotated", key=key)

    async def secret(self, request: Request) -> Response:
        """Take the secret that a sender signs with, or make one and show it this once."""
        visit, form = await self._frame.posted(request)
        keeping, name = self._require(), str(request.path_params["name"])
        grace = GRACES.get(form.get("grace", ""))
        given = None if "make" in form else form.get("secret", "")
        errors = {} if grace else {"secret-grace": "Choose for how long."}
        if given == "":
            errors |= {"secret": "Paste the secret."}
        if not errors and grace is not None:
            try:
                source, made = await keeping.set_secret(visit.who, name, given, grace[1])
            except InputInvalidError as error:
                errors = {"secret": f"A secret of this kind {error.problems[0].problem}."}
            else:
                return await self._page(request, visit, source, done="secret", secret=made)
        source, _ = await keeping.source(visit.who, name)
        return await self._page(request, visit, source, 400, errors=errors)

    async def disable(self, request: Request) -> Response:
        """Take nothing from a source any more."""
        visit, form = await self._frame.posted(request)
        keeping, name = self._require(), str(request.path_params["name"])
        if form.get("confirm", "") != name:
            source, _ = await keeping.source(visit.who, name)
            return await self._page(
                request, visit, source, 400, errors={"confirm": "Write the name of the source, to disable it."}
            )
        await keeping.disable(visit.who, name)
        return self._frame.pages.redirect(f"{self._frame.base}/sources/{name}?done=disabled")


def _state(source: Source) -> tuple[str, str, str]:
    """What can be said of a source at a glance: a class, an icon and a word."""
    if source.disabled:
        return "refused", "✕", "Disabled"
    words = KINDS[source.kind]
    if words.signs_with and not words.by_key and not source.signed:
        return "masked", "!", "Needs its secret"
    return "allowed", "✓", "Takes events"


def _still(until: Any, now: Any) -> Any:
    """Until when something that was replaced is good for; None where that has passed."""
    return until if until is not None and until > now else None


__all__ = ["GRACES", "SourcePages"]
