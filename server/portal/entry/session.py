"""Who is signed in to the portal, as its pages know them. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from customers.caller import Caller

PURPOSE = "self_service"
_ROLE = "customer"


@dataclass(frozen=True, slots=True)
class PortalSession:
    """A customer who is signed in with one browser.

    Attributes:
        id: what this session is called in lists and ended by; it lets nobody in.
        customer_id: who they are.
        created_at: when they signed in.
        expires_at: when it ends at the latest.
        step_up_until: until when what needs it may be done without showing again that it is them; None if they have not.
        key: what every form of this session brings back.
    """

    id: str
    customer_id: str
    created_at: datetime
    expires_at: datetime
    step_up_until: datetime | None
    key: str = field(repr=False)

    @property
    def caller(self) -> Caller:
        """As whom they read and write: the role `customer`, bound to their own id."""
        return caller_of(self.customer_id)


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One of a customer's sessions, as it is shown to them.

    Attributes:
        id: what ends it.
        label: the browser, such as `Firefox, Linux`.
        created_at: when they signed in with it.
        seen_at: when it was used last, give or take a minute.
        current: whether it is the one that asks.
    """

    id: str
    label: str
    created_at: datetime
    seen_at: datetime
    current: bool


def caller_of(customer_id: str) -> Caller:
    """A customer who acts for themselves."""
    return Caller(_ROLE, (_ROLE,), None, frozenset({PURPOSE}), customer_id, frozenset(), None)


__all__ = ["PURPOSE", "ListedSession", "PortalSession", "caller_of"]
