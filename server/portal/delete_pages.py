"""Deleting everything: what goes and what is kept is shown before; then the word is typed, and the clock begins."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from customers.rights.certificate import Kept
from customers.rights.erase import Eraser
from customers.rights.requests import Kind
from server.clock import Now
from server.portal.frame import Frame, Visit
from server.portal.moments import moment_of
from server.portal.proving import Proving
from server.portal.request_pages import RequestPages

_ADDRESS: Final = "query PortalAddress { me { id email } }"


class DeletePages:
    """Handlers.

    Args:
        frame: the frame.
        eraser: says what a deletion would do.
        requests: opens the request.
        now: the time.
        proving: sends letters; None where none are sent.
        two: whether two persons must agree to a deletion.
    """

    def __init__(
        self,
        frame: Frame,
        eraser: Eraser,
        requests: RequestPages,
        now: Now,
        *,
        proving: Proving | None,
        two: bool,
    ) -> None:
        self._frame = frame
        self._eraser = eraser
        self._requests = requests
        self._now = now
        self._proving = proving
        self._two = two

    async def preview(self, request: Request) -> Response:
        """What goes, what is kept, why and until when; or how far the deletion is that was asked for."""
        visit = await self._frame.visit(request)
        shown = await self._shown(visit)
        return self._frame.show(visit, "delete.html", **shown)

    async def form(self, request: Request) -> Response:
        """The word to type."""
        visit = await self._frame.visit(request)
        self._frame.stepped_up(visit)
        return await self._form(visit, None)

    async def ask(self, request: Request) -> Response:
        """Ask for it; the request is there from this moment on."""
        frame = self._frame
        visit, form = await frame.posted(request)
        frame.stepped_up(visit)
        if form.get("word", "").strip().casefold() != self._word(visit).casefold():
            return await self._form(visit, "word")
        made = await self._requests.ask(visit, Kind.ERASURE, None)
        address = ((await frame.ask(visit, _ADDRESS))["me"] or {}).get("email")
        if self._proving is not None and address is not None:
            path = self._requests.progress_path(made)
            await self._proving.keep(visit, address, path, frame.pages.language(request))
        return frame.to(f"/requests/{made}?done=asked")

    async def _form(self, visit: Visit, error: str | None) -> Response:
        status = 200 if error is None else 400
        shown = await self._shown(visit)
        return self._frame.show(visit, "delete_word.html", status, word=self._word(visit), error=error, **shown)

    @staticmethod
    def _word(visit: Visit) -> str:
        _ = visit.words
        return _("DELETE")

    async def _shown(self, visit: Visit) -> Mapping[str, Any]:
        preview = await self._eraser.preview(self._frame.access(visit, "PortalDelete"), visit.session.customer_id)
        rows = await self._requests.rows(visit)
        return {
            "two": self._two,
            "goes": [(number, name) for name, number in preview.records.items() if number],
            # What is over by then is destroyed with the rest.
            "kept": [self._kept(visit, each) for each in preview.kept if _is_ahead(each.until, self._now())],
            "asked": next((each for each in rows if each["kind"] == "erasure" and each["open"]), None),
        }

    def _kept(self, visit: Visit, kept: Kept) -> dict[str, Any]:
        fields = self._frame.policies().catalogue.fields
        labels = dict.fromkeys(visit.words(fields[path].label) for path in kept.fields if path in fields)
        return {
            "number": kept.records,
            "record": kept.object,
            "until": kept.until,
            "law": visit.words(kept.law),
            "fields": list(labels),
        }


def _is_ahead(written: str, now: datetime) -> bool:
    moment = moment_of(written)
    return moment is not None and moment > now


__all__ = ["DeletePages"]
