"""The access log: searching it, and one entry of it with its decisions and its proof."""

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from audit import AuditError
from server.console import words
from server.console.errors import NoSuchPageError, NotServedError, ReadRefusedError
from server.console.frame import Frame, Visit
from server.console.parts import Proofs, ProofState, Verification
from server.console.reading import Entry
from server.console.search import (
    LogShape,
    Search,
    address_of,
    conditions_refused,
    read_search,
    search_in,
    suggestions,
)
from server.console.sections import LOG, own_ways, ways

_ENTRY: Final = re.compile(r"[0-9a-f]{12}\.(?:0|[1-9]\d{0,11})", re.ASCII)
_MOST_SUBJECTS: Final = 50
_MOST_EXCEPTIONS: Final = 40


class AuditPages:
    """Searches and entries."""

    def __init__(self, frame: Frame, shape: LogShape, proofs: Proofs | None) -> None:
        self._frame = frame
        self._shape = shape
        self._proofs = proofs

    async def search(self, request: Request) -> Response:
        """A page of entries."""
        visit = await self._frame.visit(request)
        search, who = search_in(self._shape, request.query_params.multi_items(), visit.session), visit.who
        after = request.query_params.get("after")
        if search.errors:
            return self._results(visit, search, 400)
        try:
            found = await self._frame.reader.search(who, search.filter, after)
        except ReadRefusedError as error:
            told = conditions_refused(self._shape, search, error) if visit.rights.opens else None
            if told is None:
                raise
            return self._results(visit, told, 400, recorded=error.entry)
        older = (
            found.older and f"?{address_of(search.values, self._frame.sessions, visit.session, after=found.older)}"
        )
        return self._results(
            visit, search, 200, entries=found.entries, older=older, later=bool(after), recorded=found.recorded
        )

    def _results(self, visit: Visit, search: Search, status: int, **context: Any) -> Response:
        policies = self._frame.policies()
        given = {"entries": (), "older": None, "later": False, "recorded": None, **context}
        chips = [
            (
                condition,
                condition.options.get(search.values[condition.name], search.values[condition.name]),
                address_of(
                    {name: value for name, value in search.values.items() if name != condition.name},
                    self._frame.sessions,
                    visit.session,
                ),
            )
            for condition in self._shape.conditions
            if condition.name in search.values
        ]
        return self._frame.show(
            visit,
            "audit.html",
            status,
            search=search,
            conditions=self._shape.conditions,
            chips=chips,
            kinds=self._kinds(search, visit),
            here_query=address_of(search.values, self._frame.sessions, visit.session),
            lists=suggestions(policies),
            policies=policies,
            words=words,
            **given,
        )

    def _kinds(self, search: Search, visit: Visit) -> list[tuple[str, str, bool]]:
        """The same search for one kind each: its words, its address, and whether it is the one that is shown."""
        condition = self._shape.condition("kind")
        options = {} if condition is None else condition.options
        rest = {name: value for name, value in search.values.items() if name != "kind"}
        here = search.values.get("kind", "")
        queries = [("Everything", "", rest)]
        queries += [(words, name, {**rest, "kind": name}) for name, words in options.items()]
        return [
            (label, address_of(values, self._frame.sessions, visit.session), name == here)
            for label, name, values in queries
        ]

    async def start_search(self, request: Request) -> Response:
        """A form becomes an address, so that pages can be gone back to; a customer's id is not in it."""
        visit, form = await self._frame.posted(request)
        search = read_search(self._shape, form)
        if search.errors:
            _ = visit.who
            return self._results(visit, search, 400)
        query = address_of(search.values, self._frame.sessions, visit.session)
        return self._frame.pages.redirect(f"{self._frame.base}/audit{f'?{query}' if query else ''}")

    async def _read_entry(self, request: Request, visit: Visit, operation: str) -> tuple[Entry, str | None]:
        entry = str(request.path_params["entry"])
        if _ENTRY.fullmatch(entry) is None:
            raise NoSuchPageError("This is not the number of an entry.")
        return await self._frame.reader.entry(visit.who, entry, operation=operation)

    async def entry(self, request: Request) -> Response:
        """An entry."""
        visit = await self._frame.visit(request)
        entry, recorded = await self._read_entry(request, visit, "ConsoleEntry")
        return await self._entry_page(visit, entry, recorded)

    async def _entry_page(
        self, visit: Visit, entry: Entry, recorded: str | None, verification: Verification | None = None
    ) -> Response:
        policies = self._frame.policies()
        state, fault = await self._proof_state(entry)
        groups = words.decision_groups(entry, policies)
        keys = own_ways(policies, LOG, visit.caller.roles, visit.rights.purposes) or ways(policies, LOG)
        subjects = entry["subjects"]
        return self._frame.show(
            visit,
            "entry.html",
            entry=entry,
            recorded=recorded,
            words=words,
            policies=policies,
            groups=groups[:_MOST_EXCEPTIONS],
            more_groups=max(0, len(groups) - _MOST_EXCEPTIONS),
            filters=[words.field_name(policies, path) for path in entry["filters"] or ()],
            subjects=None if subjects is None else subjects[:_MOST_SUBJECTS],
            more_subjects=max(0, len(subjects or ()) - _MOST_SUBJECTS),
            state=state,
            fault=fault,
            verification=verification,
            proofs=self._proofs is not None,
            seeing=next((key for key in keys if key.sees_all), None),
            may_keep=visit.rights.sees_all and visit.rights.exports_all,
        )

    async def _proof_state(self, entry: Entry) -> tuple[ProofState | None, str | None]:
        """The entry's proof state, or why it is not known: the rest of the page does not need it."""
        if self._proofs is None:
            return None, None
        try:
            return await self._proofs.state(entry.id), None
        except AuditError as error:
            return None, str(error)

    async def verify(self, request: Request) -> Response:
        """An entry, and what recomputing it found."""
        visit, _ = await self._frame.posted(request)
        entry, recorded = await self._read_entry(request, visit, "ConsoleVerifyEntry")
        if self._proofs is None:
            raise NotServedError("It signs no checkpoints, so there is nothing to verify an entry against.")
        return await self._entry_page(visit, entry, recorded, await self._proofs.verify(entry.id))

    async def receipt(self, request: Request) -> Response:
        """An entry's receipt, as a file."""
        visit = await self._frame.visit(request)
        entry, _ = await self._read_entry(request, visit, "ConsoleReceipt")
        if self._proofs is None:
            raise NotServedError("It signs no checkpoints, so there are no receipts.")
        if not (visit.rights.sees_all and visit.rights.exports_all):
            # The receipt holds the whole record, what its reader may not see included.
            text = (
                "A receipt holds the whole record. For the purpose you stated, you may not take all of it with you."
            )
            return self._frame.told(request, 403, "No receipt for this purpose", text)
        content = await self._proofs.receipt(entry.id, visit.who)
        return self._frame.pages.file(content, f"entry-{entry.id}.tlog-proof", "text/plain; charset=utf-8")


__all__ = ["AuditPages"]
