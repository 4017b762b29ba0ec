"""How customers come in: a one-time link or code sent to their address, sessions, and showing once more that it is them."""

from server.portal.entry.entry import Entry
from server.portal.entry.session import ListedSession, PortalSession

__all__ = ["Entry", "ListedSession", "PortalSession"]
