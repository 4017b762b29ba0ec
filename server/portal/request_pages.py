"""A customer's requests: what they asked for, until when it is answered, and what was done; asking, and taking it back."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from customers.rights.requests import Kind, RequestService, State
from customers.rights.requests.store import RequestStore
from server.clock import Now
from server.portal.errors import NothingHereError
from server.portal.frame import Frame, Visit
from server.portal.words import DENIALS, EXTENSIONS, REQUESTS, STATES, STEPS
from vault import TokenInvalidError, Vault

_READ: Final = """query PortalRequests { myPrivacyRequests {
  id kind regime state receivedAt dueAt overdue hold extension denial law result closedAt keepUntil
  steps { at what } words { at reason }
} }"""
_CANCEL: Final = "mutation PortalTakeBack($id: ID!) { cancelPrivacyRequest(id: $id) { id } }"
_OPEN: Final = ("received", "confirmed", "in_progress")
_ASKED: Final = ("rectification", "access", "portability", "restriction", "objection", "opt_out")
_LONGEST: Final = 2_000
_TOKEN: Final = "portal_progress"  # noqa: S105 - what the token is for
_CONTEXT: Final = b"erasure"


class RequestPages:
    """Handlers.

    Args:
        frame: the frame.
        service: opens requests.
        store: finds the request that a progress page is about.
        vault: seals the addresses of progress pages.
        now: the time.
    """

    def __init__(self, frame: Frame, service: RequestService, store: RequestStore, vault: Vault, now: Now) -> None:
        self._frame = frame
        self._service = service
        self._store = store
        self._vault = vault
        self._now = now

    async def every(self, request: Request) -> Response:
        """Every request, the latest first."""
        visit = await self._frame.visit(request)
        rows = await self.rows(visit)
        return self._frame.show(visit, "requests.html", rows=rows, done=request.query_params.get("done", ""))

    async def one(self, request: Request) -> Response:
        """One request with all that was done. Another's is not there."""
        visit = await self._frame.visit(request)
        row = await self._one(visit, request)
        return self._frame.show(visit, "request.html", row=row, done=request.query_params.get("done", ""))

    async def form(self, request: Request) -> Response:
        """What can be asked for."""
        visit = await self._frame.visit(request)
        return self._form(visit, request.query_params.get("kind", ""), "", None)

    async def open(self, request: Request) -> Response:
        """Ask for it."""
        visit, form = await self._frame.posted(request)
        kind, reason = form.get("kind", ""), form.get("reason", "").strip()
        if kind not in _ASKED:
            return self._form(visit, kind, reason, "kind")
        if len(reason) > _LONGEST or (kind == "rectification" and not reason):
            return self._form(visit, kind, reason, "reason")
        made = await self.ask(visit, Kind(kind), reason or None)
        return self._frame.to(f"/requests/{made}?done=asked")

    async def cancel(self, request: Request) -> Response:
        """Take it back."""
        visit, _ = await self._frame.posted(request)
        row = await self._one(visit, request)
        if not row["open"]:
            raise NothingHereError
        await self._frame.ask(visit, _CANCEL, id=row["id"])
        return self._frame.to(f"/requests/{row['id']}?done=cancelled")

    async def progress(self, request: Request) -> Response:
        """How far a deletion is, for whoever has its address: there is nobody left to sign in when it is done."""
        try:
            held = self._vault.open_token(_TOKEN, request.path_params["token"], _CONTEXT)
        except TokenInvalidError:
            raise NothingHereError from None
        found = await self._store.get(held.decode())
        if found is None:
            raise NothingHereError
        asked = found.request
        return self._frame.pages.page(
            request,
            "progress.html",
            asked=asked,
            state=self._frame.pages.words(request).gettext(STATES[asked.state.value]),
            done=asked.state is State.COMPLETED,
        )

    async def ask(self, visit: Visit, kind: Kind, reason: str | None) -> str:
        """Open a request for the customer; gives its id."""
        access = self._frame.access(visit, "PortalAsk")
        async with self._vault.reading():
            made = await self._service.open(access, kind, visit.session.customer_id, source="portal", reason=reason)
        return made.id

    def progress_path(self, request_id: str) -> str:
        """The address of a deletion's progress page; nobody else can find it."""
        token = self._vault.seal_token(_TOKEN, request_id.encode(), _CONTEXT)
        return f"{self._frame.pages.base}/progress/{token}"

    async def rows(self, visit: Visit) -> list[dict[str, Any]]:
        """The customer's requests in words."""
        found = (await self._frame.ask(visit, _READ))["myPrivacyRequests"]
        return [self._row(visit, each) for each in found]

    async def _one(self, visit: Visit, request: Request) -> dict[str, Any]:
        wanted = request.path_params["id"]
        row = next((each for each in await self.rows(visit) if each["id"] == wanted), None)
        if row is None:
            raise NothingHereError
        return row

    def _form(self, visit: Visit, kind: str, reason: str, error: str | None) -> Response:
        kinds = [(each, *map(visit.words, REQUESTS[each])) for each in _ASKED]
        status = 200 if error is None else 400
        return self._frame.show(
            visit, "request_new.html", status, kinds=kinds, kind=kind, reason=reason, error=error, longest=_LONGEST
        )

    def _row(self, visit: Visit, found: Mapping[str, Any]) -> dict[str, Any]:
        words, kind, state = visit.words, found["kind"].lower(), found["state"].lower()
        denial, extension = found["denial"], found["extension"]
        copy = found["result"] if str(found["result"] or "").startswith("cop_") else None
        return {
            "id": found["id"],
            "kind": kind,
            "title": words(REQUESTS[kind][0]),
            "means": words(REQUESTS[kind][1]),
            "state": words(STATES[state]),
            "open": state in _OPEN,
            "late": found["overdue"],
            "held": found["hold"],
            "received": found["receivedAt"],
            "due": found["dueAt"],
            "closed": found["closedAt"],
            "why": None if denial is None else words(DENIALS[denial.lower()]),
            "law": found["law"],
            "extension": None if extension is None else words(EXTENSIONS[extension.lower()]),
            "made": copy if state == "completed" else None,
            "steps": [(each["at"], words(STEPS.get(each["what"], each["what"]))) for each in found["steps"]],
            "said": [(each["at"], each["reason"]) for each in found["words"] if each["reason"]],
            "progress": self.progress_path(found["id"]) if kind == "erasure" else None,
        }


__all__ = ["RequestPages"]
