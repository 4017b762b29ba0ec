"""The record of processing activities (GDPR Art. 30): as a page, for a spreadsheet, and for programs."""

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from customers.oversight.processing import ProcessingRecord, as_csv, as_json, processing_record
from server.console.errors import NoSuchPageError, NotServedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper
from server.console.officer import Officer
from server.console.requests_words import period
from server.console.sections import SECTIONS

_KINDS: Final = {
    "webhook": "told of changes by webhook",
    "opendsr": "told of changes by OpenDSR",
    "enrichment": "asked about customers",
}
_PROCESSING = next(each for each in SECTIONS if each.name == "processing")


class ProcessingPages:
    """The record, made anew each time."""

    def __init__(self, frame: Frame, keeper: Keeper | None, officer: Officer | None) -> None:
        self._frame = frame
        self._keeper = keeper
        self._officer = officer

    async def _made(self, request: Request, operation: str) -> tuple[ProcessingRecord, str, Visit]:
        visit = await self._frame.visit(request)
        if self._keeper is None or self._officer is None:
            raise NotServedError("It makes no record of processing.")
        with self._keeper.told():
            recorded = await self._keeper.look(visit.who, _PROCESSING, operation)
            recipients = await self._officer.recipients()
            obtained = self._officer.obtained()
        made = processing_record(
            self._frame.policies(),
            controller=self._officer.controller,
            recipients=recipients,
            now=self._officer.now(),
            obtained=obtained,
        )
        return made, recorded, visit

    async def page(self, request: Request) -> Response:
        """The record to read."""
        record, recorded, visit = await self._made(request, "ConsoleProcessing")
        return self._frame.show(
            visit, "processing.html", record=record, period=period, kinds=_KINDS, recorded=recorded
        )

    async def file(self, request: Request) -> Response:
        """The record to keep, as CSV or JSON."""
        if request.path_params["form"] not in ("csv", "json"):
            raise NoSuchPageError("The record is made as csv and as json.")
        record, _, _ = await self._made(request, "ConsoleProcessingFile")
        day = record.made_at.date().isoformat()
        if request.path_params["form"] == "csv":
            content = as_csv(record).encode()
            return self._frame.pages.file(content, f"record-of-processing-{day}.csv", "text/csv; charset=utf-8")
        content = json.dumps(as_json(record), ensure_ascii=False, indent=2).encode()
        return self._frame.pages.file(content, f"record-of-processing-{day}.json", "application/json")


__all__ = ["ProcessingPages"]
