"""What the pages of the privacy officer and of everyday staff need beside GraphQL."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from customers.access import Access
from customers.jobs import JobStore
from customers.oversight.processing import Obtained, Outside
from customers.rights.keeping import Preview
from customers.rights.requests import Kind
from server.console.customer_names import CustomerNames


async def nobody() -> Sequence[Outside]:
    """No recipients outside."""
    return ()


@dataclass(frozen=True, slots=True)
class Officer:
    """The parts.

    Attributes:
        names: What addresses call customers.
        jobs: Work in the background.
        now: The time.
        two_persons: The kinds of requests that two persons have to complete.
        controller: Who is responsible for the data, where the deployment says so.
        recipients: Who outside is given data.
        copies: Gives the parts of a copy of a person's data (a ZIP), recorded as an export before the first, for who may
            take it out, the customer and the copy; None where no copies are made.
        obtained: Whom the platform asks about customers, as its enrichments say now.
        preview: What erasing a customer would remove and keep, recorded as a read; None where nobody is erased here.
    """

    names: CustomerNames
    jobs: JobStore
    now: Callable[[], datetime]
    two_persons: frozenset[Kind] = frozenset()
    controller: str | None = None
    recipients: Callable[[], Awaitable[Sequence[Outside]]] = nobody
    copies: Callable[[Access, str, str], AsyncIterator[bytes]] | None = None
    preview: Callable[[Access, str], Awaitable[Preview]] | None = None
    obtained: Callable[[], Sequence[Obtained]] = tuple


__all__ = ["Officer", "nobody"]
