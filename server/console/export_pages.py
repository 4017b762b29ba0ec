"""Exports of the access log: starting one, watching it, fetching it."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from schema.errors import ConfideGraphQLError
from server.console.errors import NoSuchPageError, NotServedError, ReadRefusedError
from server.console.frame import Frame, Visit
from server.console.pages import day_time, file_headers
from server.console.parts import ExportForm, Exports, Stage
from server.console.search import Kind, LogShape, Search, conditions_refused, read_search, search_in, suggestions

_JOB: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class ExportPages:
    """Exports."""

    def __init__(self, frame: Frame, shape: LogShape, exports: Exports | None) -> None:
        self._frame = frame
        self._shape = shape
        self._exports = exports

    def _require_exports(self) -> Exports:
        if self._exports is None:
            raise NotServedError("It makes no exports from the console; use `confide audit export` on its machine.")
        return self._exports

    async def export_form(self, request: Request) -> Response:
        """The form that starts an export."""
        visit = await self._frame.visit(request)
        self._require_exports()
        _ = visit.who
        if not visit.rights.opens:
            # The refusal is GraphQL's own, and recorded.
            await self._frame.reader.search(visit.who, {}, None, operation="ConsoleExport")
        return self._exporting(
            visit,
            200,
            search_in(self._shape, request.query_params.multi_items(), visit.session),
            ExportForm.JSONL.value,
        )

    def _exporting(self, visit: Visit, status: int, search: Search, form: str, error: str | None = None) -> Response:
        return self._frame.show(
            visit,
            "export.html",
            status,
            search=search,
            conditions=self._shape.conditions,
            lists=suggestions(self._frame.policies()),
            chosen=form,
            error=error,
            may_export=visit.rights.exports_all,
        )

    async def start_export(self, request: Request) -> Response:
        """Start an export, and go on to its page."""
        visit, form = await self._frame.posted(request)
        exports, who = self._require_exports(), visit.who
        search, chosen = read_search(self._shape, form), form.get("form", "")
        if chosen not in set(ExportForm):
            return self._exporting(visit, 400, search, "", "Choose a form.")
        if search.errors:
            return self._exporting(visit, 400, search, chosen)
        if not visit.rights.exports_all:
            text = "For the purpose you stated, your role may not export the access log."
            return self._exporting(visit, 403, search, chosen, text)
        try:
            job = await exports.start(who, search.filter, ExportForm(chosen))
        except ConfideGraphQLError as error:
            refusal = ReadRefusedError({"message": error.message, "extensions": error.extensions}, None)
            told = conditions_refused(self._shape, search, refusal)
            return self._exporting(visit, 400, told or search, chosen, None if told else error.message)
        return self._frame.pages.redirect(f"{self._frame.base}/audit/exports/{job}")

    async def export(self, request: Request) -> Response:
        """How far an export is."""
        visit = await self._frame.visit(request)
        exports, job = self._require_exports(), _job_of(request)
        state = await exports.state(visit.who, job)
        if state is None:
            raise NoSuchPageError("There is no export of yours with this number. It may have been cleared away.")
        shown = [self._asked(name, value) for name, value in state.conditions.items()]
        return self._frame.show(
            visit, "exporting.html", state=state, job=job, shown=shown, running=_is_running(state.stage)
        )

    def _asked(self, name: str, value: str) -> tuple[str, str]:
        """A condition in words. Whom it is about is not said on a page that stays open."""
        condition = self._shape.condition(name)
        if condition is None:
            return name, value
        if condition.kind is Kind.CUSTOMER:
            return condition.label, "a customer"
        if condition.kind is Kind.MOMENT:
            return condition.label, day_time(value)
        return condition.label, condition.options.get(value, value)

    async def export_file(self, request: Request) -> Response:
        """The finished file."""
        visit = await self._frame.visit(request)
        found = await self._require_exports().download(visit.who, _job_of(request))
        if found is None:
            raise NoSuchPageError("There is no finished export of yours with this number.")
        return FileResponse(found.path, headers=file_headers(found.name), media_type="application/zip")


def _job_of(request: Request) -> str:
    job = str(request.path_params["job"])
    if _JOB.fullmatch(job) is None:
        raise NoSuchPageError("This is not the number of an export.")
    return job


def _is_running(stage: Stage) -> bool:
    return stage in (Stage.WAITING, Stage.RUNNING)


__all__ = ["ExportPages"]
