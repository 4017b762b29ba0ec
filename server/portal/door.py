"""What the pages need of whoever lets customers in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from starlette.requests import Request
from starlette.routing import BaseRoute

from customers.caller import Caller
from server.portal.pages import Pages


class Visitor(Protocol):
    """A customer who is signed in with one browser."""

    @property
    def id(self) -> str:
        """What their session is called; it lets nobody in."""

    @property
    def customer_id(self) -> str:
        """Who they are."""

    @property
    def step_up_until(self) -> datetime | None:
        """Until when they need not show again that it is them."""

    @property
    def key(self) -> str:
        """What every form of their session brings back."""

    @property
    def caller(self) -> Caller:
        """As whom they read and write: the role `customer`, bound to their own id."""


class Listed(Protocol):
    """One of a customer's sessions, as it is shown to them."""

    @property
    def id(self) -> str:
        """What ends it."""

    @property
    def label(self) -> str:
        """The browser, in a few words."""

    @property
    def created_at(self) -> datetime:
        """When they signed in."""

    @property
    def current(self) -> bool:
        """Whether it is the one that asks."""


class Door(Protocol):
    """Who is in, and the ways in and out."""

    async def find(self, request: Request) -> Visitor | None:
        """Who asks, where their session has not ended."""

    async def sessions_of(self, session: Visitor) -> Sequence[Listed]:
        """Every session of this customer that has not ended."""

    async def end(self, session: Visitor, id: str) -> None:  # noqa: A002 - the door's word
        """End one of this customer's own sessions."""

    def stepped_up(self, session: Visitor) -> bool:
        """Whether they have shown just now, once more, that it is them."""

    def form_key(self, session: Visitor) -> str:
        """What every form of this session brings back."""

    def routes(self, pages: Pages) -> list[BaseRoute]:
        """`/sign-in`, `/sign-in/{token}`, `/sign-in/code`, `/sign-out`, `/confirm`."""
