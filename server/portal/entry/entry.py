"""The way in, as the portal's pages use it."""

import os
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from server.console.forms import FormReader, Site
from server.mail import directory_of
from server.platform import Platform
from server.portal.door import Visitor
from server.portal.entry.keeper import Doorkeeper
from server.portal.entry.session import ListedSession, PortalSession
from server.portal.pages import Pages

_SESSION: Final = "portal"
_HALF_HOUR: Final = 30 * 60


class Entry:
    """Lets customers in, and knows who is.

    Args:
        platform: whose customers.
        site: where browsers find the portal.
        base: the path it is mounted at.
        forms: receives what is posted.
    """

    def __init__(
        self, platform: Platform, site: Site, base: str = "/portal", forms: FormReader | None = None
    ) -> None:
        self.keeper = Doorkeeper(platform, os.urandom)
        self.site = site
        self.base = base.rstrip("/")
        self.forms = forms or FormReader(platform.settings.body_seconds)
        self.proxies = platform.settings.proxies
        settings, directory = platform.settings, directory_of(platform.settings)
        self.sends = settings.smtp_uri is not None or directory is not None
        # On a laptop whoever asks for a letter has to know where it is; nobody else does.
        self.letters_in = str(directory) if settings.development and directory is not None else None
        self._now = platform.now

    async def find(self, request: Request) -> PortalSession | None:
        """Who asks, where their session has not ended and they are not erased.

        Raises:
            vault.VaultError, PyMongoError: It cannot be told now.
        """
        secret = self.held(request)
        return None if secret is None else await self.keeper.find(secret)

    async def sessions_of(self, session: Visitor) -> Sequence[ListedSession]:
        """Every session of this customer that has not ended, the newest first."""
        return await self.keeper.sessions_of(session)

    async def end(self, session: Visitor, id: str) -> None:  # noqa: A002 - the door's word
        """End one of this customer's own sessions; another's id ends nothing."""
        await self.keeper.end(session, id)

    def stepped_up(self, session: Visitor) -> bool:
        """Whether they have shown in the last ten minutes, once more, that it is them.

        Where not: redirect to `{base}/confirm?next=…`, which comes back.
        """
        return session.step_up_until is not None and self._now() < session.step_up_until

    def form_key(self, session: Visitor) -> str:
        """What every form of this session brings back as `form_key`."""
        return session.key

    def routes(self, pages: Pages) -> list[BaseRoute]:
        """`/sign-in`, `/sign-in/code`, `/sign-in/{token}`, `/sign-out`, `/confirm`, `/confirm/code`."""
        # Not before the class is there: the pages know the entry that they are of.
        from server.portal.entry.entry_pages import EntryPages  # noqa: PLC0415

        return EntryPages(self, pages).routes()

    # ---- for its pages

    def held(self, request: Request, name: str = _SESSION) -> str | None:
        """What the browser keeps under a name of ours."""
        return request.cookies.get(self._cookie(request, name)) or None

    def give(self, request: Request, response: Response, value: str | None, name: str = _SESSION) -> None:
        """Have the browser keep something that only this server reads; forget it where there is no value."""
        response.set_cookie(
            self._cookie(request, name),
            value or "",
            max_age=(None if name == _SESSION else _HALF_HOUR) if value else 0,
            path="/",
            secure=self.site.is_secure(request),
            httponly=True,
            # Not strict: whoever follows a link of ours in a letter is still in. What changes anything is posted, which
            # is refused from elsewhere.
            samesite="lax",
        )

    def _cookie(self, request: Request, name: str) -> str:
        """The cookie's name; under TLS one that no other site of the domain can set."""
        return f"__Host-confide_{name}" if self.site.is_secure(request) else f"confide_{name}"


__all__ = ["Entry"]
