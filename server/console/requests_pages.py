"""Privacy requests: the queue by when each is due, one with everything that was said, and every step it may take.

All of it goes through GraphQL with the reader's own roles and purpose, so each look and each step is recorded there.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from customers.errors import EraseNotAllowedError, ProfileNotFoundError
from customers.rights.keeping import Preview
from customers.rights.requests import Kind
from schema.errors import ErrorCode
from server.console import requests_words
from server.console.errors import NoSuchPageError, NotServedError, ReadRefusedError
from server.console.frame import Frame, Visit
from server.console.keeper import Keeper
from server.console.officer import Officer
from server.console.pages import file_headers
from server.console.sections import SECTIONS, looks_up

_REQUESTS = next(each for each in SECTIONS if each.name == "requests")
_PAGE: Final = 25
_ID: Final = re.compile(r"req_[a-z2-7]{1,64}", re.ASCII)
_NUMBER: Final = re.compile(r"cus_[a-z2-7]{26}", re.ASCII)
_WORD: Final = "erase"
_ROW: Final = (
    "id kind regime state source agent receivedAt dueAt confirmBy hold agreedBy closedAt extendable verification "
    "extension denial law result keepUntil customer"
)
_QUEUE: Final = f"""query ConsoleRequests($filter: PrivacyRequestFilter, $first: Int!, $after: String) {{
  privacyRequests(filter: $filter, first: $first, after: $after) {{
    nodes {{ {_ROW} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
_ONE: Final = f"""query ConsoleRequest($id: ID!) {{
  privacyRequest(id: $id) {{ {_ROW} purposes words {{ at reason agent }} steps {{ at what entry }} }}
}}
"""
_RESULT: Final = "query ConsoleRequestResult($id: ID!) { privacyRequest(id: $id) { kind customer result } }"
_KIND: Final = "query ConsoleRequestKind($id: ID!) { privacyRequest(id: $id) { kind } }"
_OPEN: Final = """mutation ConsoleOpenRequest($customer: ID!, $request: PrivacyRequestInput!) {
  openPrivacyRequest(customer: $customer, request: $request) { id }
}
"""


def _step(operation: str, mutation: str, more: str = "", given: str = "") -> str:
    return f"mutation {operation}($id: ID!{more}) {{ {mutation}(id: $id{given}) {{ state agreedBy }} }}"


# What a form's button is called → the document, and the field of the form that it takes besides.
_STEPS: Final[Mapping[str, tuple[str, str | None]]] = {
    "confirm": (
        _step("ConsoleConfirmRequest", "confirmPrivacyRequest", ", $how: PrivacyVerification!", ", how: $how"),
        "how",
    ),
    "begin": (_step("ConsoleBeginRequest", "beginPrivacyRequest"), None),
    "extend": (
        _step("ConsoleExtendRequest", "extendPrivacyRequest", ", $reason: PrivacyExtension!", ", reason: $reason"),
        "reason",
    ),
    "hold": (_step("ConsoleHoldRequest", "holdPrivacyRequest", given=", held: true"), None),
    "release": (_step("ConsoleReleaseRequest", "holdPrivacyRequest", given=", held: false"), None),
    "deny": (
        _step("ConsoleDenyRequest", "denyPrivacyRequest", ", $reason: PrivacyDenial!", ", reason: $reason"),
        "reason",
    ),
    "complete": (_step("ConsoleCompleteRequest", "completePrivacyRequest"), None),
    "cancel": (_step("ConsoleCancelRequest", "cancelPrivacyRequest"), None),
}
_CHOICES: Final[Mapping[str, Mapping[str, Any]]] = {
    "confirm": requests_words.VERIFICATIONS,
    "extend": requests_words.EXTENSIONS,
    "deny": requests_words.DENIALS,
}
_NOT_DONE: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.CONFLICT: "Somebody worked on it at the same moment. Look again, and decide anew.",
    ErrorCode.NOT_FOUND: "The person is not there any more, or the request is not.",
    ErrorCode.ERASE_NOT_ALLOWED: "For the purpose you stated, your role may not erase anybody.",
}


class RequestPages:
    """The queue, a request, and a new one.

    Args:
        frame: Around every page.
        keeper: Admits who fetches a copy.
        officer: What addresses call customers, which kinds take two persons, and the time.
    """

    def __init__(self, frame: Frame, keeper: Keeper | None, officer: Officer | None) -> None:
        self._frame = frame
        self._keeper = keeper
        self._officer = officer

    def _require(self) -> Officer:
        if self._officer is None:
            raise NotServedError("It keeps no privacy requests.")
        return self._officer

    # ---- the queue

    async def queue(self, request: Request) -> Response:
        """Requests that wait, those due first first; or those that ended in one way."""
        visit = await self._frame.visit(request)
        officer = self._require()
        state, kind, after = _wanted(request)
        wanted = {"state": state, "kind": kind}
        given = {name: value for name, value in wanted.items() if value is not None}
        found, recorded = await self._frame.reader.ask(
            visit.who, _QUEUE, {"filter": given or None, "first": _PAGE, "after": after}
        )
        page, now = found["privacyRequests"], officer.now()
        more = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
        tabs = [("Open", None), *((told[2], name) for name, told in requests_words.STATES.items())]
        return self._frame.show(
            visit,
            "requests.html",
            nodes=[
                (each, requests_words.clock(each, now), requests_words.confirming(each, now))
                for each in page["nodes"]
            ],
            more=None if more is None else _query(state, kind, more),
            here=_query(state, kind, None),
            tabs=[(label, _query(name, kind, None), name == state) for label, name in tabs],
            state=state,
            kind=kind,
            after=after,
            words=requests_words,
            recorded=recorded,
        )

    # ---- one

    async def one(self, request: Request) -> Response:
        """A request with what was said, its clock and what may be done."""
        visit = await self._frame.visit(request)
        return await self._page(request, visit, done=request.query_params.get("done"))

    async def _page(
        self, request: Request, visit: Visit, status: int = 200, *, done: str | None = None, error: str | None = None
    ) -> Response:
        officer = self._require()
        told, recorded = await self._frame.reader.ask(visit.who, _ONE, {"id": _id_of(request)})
        found, now, policies = told["privacyRequest"], officer.now(), self._frame.policies()
        customer = found["customer"]
        preview = await self._preview(visit, found)
        can_look = looks_up(policies.decide(visit.caller.roles, visit.who.purpose))
        return self._frame.show(
            visit,
            "request.html",
            status,
            found=found,
            clock=requests_words.clock(found, now),
            confirming=requests_words.confirming(found, now),
            customer=None if customer is None or not can_look else officer.names.name(visit.caller.actor, customer),
            agreed=requests_words.agreed_by(found, visit.caller.actor),
            two=Kind[found["kind"]] in officer.two_persons,
            labels=[policies.purposes[each].label for each in found["purposes"] if each in policies.purposes],
            gone=None if preview is None else requests_words.gone_of(preview),
            kept=requests_words.kept(policies) if preview is None else requests_words.kept_of(preview, policies),
            word=_WORD,
            fetches=officer.copies is not None and found["kind"] in requests_words.COPIES,
            done=requests_words.done_words(found, done),
            error=error,
            words=requests_words,
            recorded=recorded,
        )

    async def _preview(self, visit: Visit, found: Mapping[str, Any]) -> Preview | None:
        """What erasing this person would remove and keep, where that is what comes next and the reader may know it."""
        wanted = found["kind"] == "ERASURE" and found["state"] == "IN_PROGRESS" and not found["hold"]
        officer, keeper = self._require(), self._keeper
        if not wanted or found["customer"] is None or officer.preview is None or keeper is None:
            return None
        with keeper.told(EraseNotAllowedError, ProfileNotFoundError):
            try:
                access = await keeper.admit(visit.who, _REQUESTS, "ConsoleErasurePreview")
                return await officer.preview(access, found["customer"])
            except (EraseNotAllowedError, ProfileNotFoundError):
                return None

    async def act(self, request: Request) -> Response:
        """Take one step, or say why it cannot be taken."""
        visit, form = await self._frame.posted(request)
        self._require()
        request_id, step = _id_of(request), form.get("do", "")
        if step not in _STEPS:
            raise NoSuchPageError("There is no such step.")
        document, field = _STEPS[step]
        variables: dict[str, Any] = {"id": request_id}
        if field is not None:
            if form.get(field, "") not in _CHOICES[step]:
                return await self._page(request, visit, 400, error="Choose one of the reasons.")
            variables[field] = form[field]
        if step == "complete" and form.get("word", "").lower() != _WORD and await self._erases(visit, request_id):
            return await self._page(request, visit, 400, error=f"Nothing was erased: write the word {_WORD} first.")
        try:
            told, _ = await self._frame.reader.ask(visit.who, document, variables, change=True)
        except ReadRefusedError as error:
            worded = error.code in (ErrorCode.INPUT_INVALID, ErrorCode.SECOND_PERSON_NEEDED)
            said = str(error) if worded else _NOT_DONE.get(error.code)
            if said is None:
                raise
            return await self._page(request, visit, 409, error=said)
        (changed,) = told.values()
        # The first of two has completed nothing yet.
        step = "agree" if step == "complete" and changed["state"] in requests_words.OPEN else step
        return self._frame.pages.redirect(f"{self._frame.base}/requests/{request_id}?done={step}")

    async def _erases(self, visit: Visit, request_id: str) -> bool:
        told, _ = await self._frame.reader.ask(visit.who, _KIND, {"id": request_id})
        return Kind[told["privacyRequest"]["kind"]] is Kind.ERASURE

    async def copy(self, request: Request) -> Response:
        """The copy of a person's data that an answered request led to; recorded as an export before its first byte."""
        visit = await self._frame.visit(request)
        officer, keeper = self._require(), self._keeper
        if officer.copies is None or keeper is None:
            raise NotServedError("It makes no copies.")
        told, _ = await self._frame.reader.ask(visit.who, _RESULT, {"id": _id_of(request)})
        found = told["privacyRequest"]
        if found["kind"] not in requests_words.COPIES or found["customer"] is None or found["result"] is None:
            raise NoSuchPageError("There is no copy of this request.")
        access = await keeper.admit(visit.who, _REQUESTS, "ConsoleCopy")
        parts = officer.copies(access, found["customer"], found["result"])
        with keeper.told(ProfileNotFoundError):
            try:
                first = await anext(parts)
            except (ProfileNotFoundError, StopAsyncIteration):
                raise NoSuchPageError("The copy is not there any more: copies are kept for seven days.") from None

        async def whole() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        headers = file_headers(f"copy-{found['result']}.zip")
        return StreamingResponse(whole(), headers=headers, media_type="application/zip")

    # ---- a new one

    async def new(self, request: Request) -> Response:
        """The form that takes a request in which came by letter, by phone or in person."""
        visit = await self._frame.visit(request)
        name = request.query_params.get("customer")
        known = None if not name else self._require().names.customer(visit.caller.actor, name)
        return self._asking(visit, 200, {"customer": name or "", "kind": "ACCESS", "regime": "GDPR"}, {}, known)

    def _asking(
        self, visit: Visit, status: int, typed: Mapping[str, str], errors: Mapping[str, str], known: str | None
    ) -> Response:
        self._require()
        policies = self._frame.policies()
        _ = visit.who
        return self._frame.show(
            visit,
            "request_new.html",
            status,
            typed=typed,
            errors=errors,
            known=known,
            purposes=[
                each
                for each in policies.purposes.values()
                if each.basis == "legitimate_interests" or each.direct_marketing
            ],
            words=requests_words,
        )

    async def open(self, request: Request) -> Response:
        """Take it in, and go on to it."""
        visit, form = await self._frame.posted(request)
        names = self._require().names
        known = None
        if form.get("customer"):
            known = names.customer(visit.caller.actor, form["customer"])
        number = known or form.get("number", "").lower()
        errors: dict[str, str] = {}
        if _NUMBER.fullmatch(number) is None:
            errors["number"] = "A customer number is cus_ and 26 letters and digits. Look the customer up to be sure."
        if form.get("kind", "") not in requests_words.KINDS:
            errors["kind"] = "Choose what is asked for."
        if form.get("regime", "") not in requests_words.REGIMES:
            errors["regime"] = "Choose the law."
        if not errors:
            asked: dict[str, Any] = {"kind": form["kind"], "regime": form["regime"]}
            asked |= {name: form[name] for name in ("reason", "agent") if form.get(name)}
            if form["kind"] == "OBJECTION" and form.get("about"):
                asked["purposes"] = [form["about"]]
            try:
                told, _ = await self._frame.reader.ask(
                    visit.who, _OPEN, {"customer": number, "request": asked}, change=True
                )
            except ReadRefusedError as error:
                if error.code not in (ErrorCode.INPUT_INVALID, ErrorCode.NOT_FOUND):
                    raise
                absent = "There is nobody with this number, or nobody whose requests you may take in."
                errors["number" if error.code is ErrorCode.NOT_FOUND else "reason"] = (
                    absent if error.code is ErrorCode.NOT_FOUND else str(error)
                )
            else:
                opened = told["openPrivacyRequest"]["id"]
                return self._frame.pages.redirect(f"{self._frame.base}/requests/{opened}?done=opened")
        return self._asking(visit, 400, form, errors, known)


def _wanted(request: Request) -> tuple[str | None, str | None, str | None]:
    """State, kind and place out of an address.

    Raises:
        NoSuchPageError: One of them cannot be.
    """
    state, kind = request.query_params.get("state") or None, request.query_params.get("kind") or None
    if (state is not None and state not in requests_words.STATES) or (
        kind is not None and kind not in requests_words.KINDS
    ):
        raise NoSuchPageError("There are no such requests.")
    return state, kind, request.query_params.get("after") or None


def _query(state: str | None, kind: str | None, after: str | None) -> str:
    given = {"state": state, "kind": kind, "after": after}
    return urlencode({name: value for name, value in given.items() if value})


def _id_of(request: Request) -> str:
    found = str(request.path_params["request"])
    if _ID.fullmatch(found) is None:
        raise NoSuchPageError("There is no such request.")
    return found


__all__ = ["RequestPages"]
