"""What a request carries to its resolvers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import strawberry
from strawberry.dataloader import DataLoader

from audit import AccessLog
from customers.access import Access
from customers.caller import Caller
from customers.collection.event_reading import EventGateway
from customers.collection.source_reading import SourceReader
from customers.collection.trait_reading import TraitGateway
from customers.consent.service import ConsentService
from customers.disclosure import Disclosure
from customers.identity.review import Reviewer
from customers.oversight.break_glass import BreakGlass
from customers.oversight.exports import AccessLogExports
from customers.profiles.service import ProfileGateway
from customers.profiles.writing import ProfileWriter
from customers.quality import QualityService
from customers.rights.erase import Eraser
from customers.rights.recipients import RecipientService
from customers.rights.requests import RequestService
from policies import PolicySet
from schema.errors import PurposeRequiredError
from schema.planning import Plan
from vault import Vault


@dataclass(frozen=True)
class Services:
    """The use cases that resolvers call; made once, where the server is wired."""

    gateway: ProfileGateway
    writer: ProfileWriter
    eraser: Eraser
    log: AccessLog
    vault: Vault
    policies: Callable[[], PolicySet]
    now: Callable[[], datetime]
    database_errors: tuple[type[Exception], ...]
    """What the database's driver raises, so that its absence can be told from a fault of ours."""
    exports: AccessLogExports | None = None
    """Makes exports of the access log; None where none are made."""
    reviewer: Reviewer | None = None
    """Joins profiles and takes them apart; None where none are joined."""
    events: EventGateway | None = None
    """Reads events; None where none are kept."""
    traits: TraitGateway | None = None
    """Reads the traits that tracking plans classify; None where none are kept."""
    quality: QualityService | None = None
    """Judges data and suggests corrections; None where nobody does."""
    consents: ConsentService | None = None
    """Shows what people decided and keeps what they were told; None where nobody does."""
    requests: RequestService | None = None
    """Keeps privacy requests; None where none are kept."""
    recipients: RecipientService | None = None
    """Knows to whom data is disclosed, and what they were told; None where it is to nobody."""
    sources: SourceReader | None = None
    """Shows where events come from; None where none are taken in."""
    break_glass: BreakGlass | None = None
    """Lets staff see more in an emergency; None where nobody may."""

    async def widened(self, caller: Caller, purpose: str | None, case: str | None) -> Caller:
        """The caller with what an emergency of theirs opens."""
        return caller if self.break_glass is None else await self.break_glass.widened(caller, purpose, case)

    async def count(self, caller: Caller, disclosure: Disclosure) -> None:
        """Count whom an emergency of the caller is used to see.

        Raises:
            BreakGlassSpentError: These are more than it is for.
        """
        if self.break_glass is not None:
            await self.break_glass.count(caller, disclosure.request.case, disclosure.people)


@dataclass(slots=True)
class RequestContext:
    """One request: who asks, what was granted, what the document selects."""

    services: Services
    caller: Caller
    plan: Plan
    granted: Access | None
    loaders: dict[Any, DataLoader[str, list[dict[str, Any]] | None]] = field(default_factory=dict)

    @property
    def access(self) -> Access:
        """The access of a request that stated its purpose.

        Raises:
            PurposeRequiredError: None was stated.
        """
        if self.granted is None:
            raise PurposeRequiredError
        return self.granted


Info = strawberry.Info[RequestContext, None]
