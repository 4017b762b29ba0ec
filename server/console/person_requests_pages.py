"""One customer's privacy requests, on a page of the customer's."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from server.console import requests_words
from server.console.errors import NotServedError
from server.console.frame import Frame
from server.console.keeper import Keeper
from server.console.lookup_pages import tabs_of
from server.console.officer import Officer
from server.console.sections import SECTIONS

_REQUESTS = next(each for each in SECTIONS if each.name == "requests")
_OF: Final = """query ConsoleRequestsOf($customer: ID!) {
  privacyRequestsOf(customer: $customer) {
    id kind regime state source agent receivedAt dueAt confirmBy hold agreedBy closedAt
  }
}
"""


class PersonRequestPages:
    """What one customer asked for, for who answers it."""

    def __init__(self, frame: Frame, keeper: Keeper | None, officer: Officer | None) -> None:
        self._frame = frame
        self._keeper = keeper
        self._officer = officer

    async def listing(self, request: Request) -> Response:
        """Their requests, the latest first."""
        visit = await self._frame.visit(request)
        if self._officer is None or self._keeper is None:
            raise NotServedError("It keeps no privacy requests.")
        await self._keeper.admit(visit.who, _REQUESTS, "ConsoleRequestsOf")
        name = str(request.path_params["name"])
        customer = self._officer.names.customer(visit.caller.actor, name)
        found, recorded = await self._frame.reader.ask(visit.who, _OF, {"customer": customer})
        now = self._officer.now()
        return self._frame.show(
            visit,
            "customer_requests.html",
            name=name,
            nodes=[
                (each, requests_words.clock(each, now), requests_words.confirming(each, now))
                for each in found["privacyRequestsOf"]
            ],
            tabs=tabs_of("requests", self._frame.policies().decide(visit.caller.roles, visit.who.purpose)),
            words=requests_words,
            recorded=recorded,
        )


__all__ = ["PersonRequestPages"]
