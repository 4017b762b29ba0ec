"""The way in, as the portal's pages use it."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute

from server.console.forms import Site
from server.platform import Platform
from server.portal.entry.session import ListedSession, PortalSession
from server.portal.pages import Pages


class Entry:
    """Lets customers in, and knows who is.

    Args:
        platform: whose customers.
        site: where browsers find the portal.
        base: the path it is mounted at.
    """

    def __init__(self, platform: Platform, site: Site, base: str = "/portal") -> None:
        self._platform = platform
        self._site = site
        self._base = base

    async def find(self, request: Request) -> PortalSession | None:
        """Who asks, where their session has not ended and they are not erased."""
        raise NotImplementedError

    async def sessions_of(self, session: PortalSession) -> Sequence[ListedSession]:
        """Every session of this customer that has not ended, the newest first."""
        raise NotImplementedError

    async def end(self, session: PortalSession, id: str) -> None:  # noqa: A002 - the door's word
        """End one of this customer's own sessions; another's id ends nothing."""
        raise NotImplementedError

    def stepped_up(self, session: PortalSession) -> bool:
        """Whether they have shown in the last ten minutes, once more, that it is them.

        Where not: redirect to `{base}/confirm?next=…`, which comes back.
        """
        raise NotImplementedError

    def form_key(self, session: PortalSession) -> str:
        """What every form of this session brings back as `form_key`."""
        return session.key

    def routes(self, pages: Pages) -> list[BaseRoute]:
        """`/sign-in`, `/sign-in/code`, `/sign-in/{token}`, `/sign-out`, `/confirm`, `/confirm/code`."""
        raise NotImplementedError


__all__ = ["Entry"]
