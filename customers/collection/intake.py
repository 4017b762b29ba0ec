"""The way in for events: understood, their people found or made, sealed, stored, and only then acknowledged.

There is no inbox: nothing lies anywhere under a key that outlives its person. A batch is one record of the access log,
durable before the first event is, and a constant number of database commands, whoever and however many it is about.
What was acknowledged is stored durably. What was not may be, and is known again by its message ids when it is sent
again (docs/collection.md).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from pymongo.errors import ConnectionFailure, ExecutionTimeout, WTimeoutError

from audit import AccessLog, AuditUnavailableError
from customers.access import Access
from customers.collection.applying import Applier
from customers.collection.checking import CompiledPlan, CompiledPlans
from customers.collection.collector import Permits, collecting
from customers.collection.event_documents import CONSENT_EVENT, Happened, Prepared, event_document, happened
from customers.collection.event_store import Document, EventStore
from customers.collection.events import EventType, Rejection
from customers.collection.opting_out import OptOuts
from customers.collection.preparing import Batch, Preparer, Refused
from customers.collection.pressure import Gate, IntakeLimits
from customers.collection.source_counts import SourceCount, SourceCountStore
from customers.collection.sources import Source
from customers.collection.violations import Violation, ViolationKind, ViolationStore
from customers.consent.model import Rights, refusal
from customers.errors import IdentityBusyError
from customers.identity.model import new_id
from customers.identity.rules import Identified
from customers.profiles.store import CustomerStore
from policies import LawfulBasis, PolicySet
from vault import DataKey, KeyStoreUnavailableError, ReadDeadlineError, Vault

_AT_A_STRETCH: Final = 50
"""How many events are worked on before others get their turn in this process."""
_LONGEST_STRETCH: Final = 0.02
"""For how many seconds events are looked through before others get their turn: a large one may take a tenth of a second."""
_UNANSWERED: Final = (
    TimeoutError,
    ConnectionFailure,
    ExecutionTimeout,
    WTimeoutError,
    KeyStoreUnavailableError,
    ReadDeadlineError,
    AuditUnavailableError,
    IdentityBusyError,
)


class Found(Protocol):
    """Whose an item is: the customer, their key, and whether they were made just now."""

    @property
    def customer_id(self) -> str:
        """The customer's id."""

    @property
    def key(self) -> DataKey:
        """The customer's key."""

    @property
    def created(self) -> bool:
        """Whether there was nobody before."""

    @property
    def restricted(self) -> bool:
        """Whether they have restricted what is done with their data."""


class Resolving(Protocol):
    """What finds or makes people; inside `Vault.reading`."""

    async def resolve(self, access: Access, items: Sequence[Identified]) -> Sequence[Found | None]:
        """Whose each item is, in their order; None where nothing in it says whose."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch. All of it is durable.

    Attributes:
        stored: How many events are new.
        duplicates: How many were there before, or came twice in the batch.
        omitted: How many the tracking plan leaves out without a word.
        rejected: Those that are not stored, each with its place in the batch and why.
    """

    stored: int
    duplicates: int
    omitted: int
    rejected: tuple[Refused, ...]


class Intake:
    """Takes in the events of all sources, for one process."""

    def __init__(
        self,
        *,
        events: EventStore,
        customers: CustomerStore,
        people: Resolving,
        plans: CompiledPlans,
        violations: ViolationStore,
        source_counts: SourceCountStore,
        applier: Applier,
        opt_outs: OptOuts,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        limits: IntakeLimits | None = None,
    ) -> None:
        self._events = events
        self._customers = customers
        self._people = people
        self._plans = plans
        self._violations = violations
        self._source_counts = source_counts
        self._applier = applier
        self._opt_outs = opt_outs
        self._vault = vault
        self._log = log
        self._policies = policies
        self._now = now
        self._random = random
        self._limits = limits or IntakeLimits()
        self._gate = Gate(self._limits)

    async def accept(
        self,
        source: Source,
        events: Sequence[Any],
        *,
        sent_at: datetime | None,
        received_at: datetime,
        gpc: bool = False,
        kind: EventType | None = None,
    ) -> Accepted:
        """Store the events of a batch; when this returns, they are durable.

        Args:
            source: Who sends them.
            events: As they were decoded from JSON, with the batch's context beneath their own; or why one was not.
            sent_at: When the sender says that it sent them.
            received_at: When they were received.
            gpc: Whether they came with a Global Privacy Control signal.
            kind: Which call they are, where the address says so and not each event.

        Raises:
            IntakeBusyError: Nothing is acknowledged: too much is on its way already, or a database does not answer in
                time. All of it may be sent again.
            vault.VaultError: This process may use no keys any more.
        """
        if self._applier.backlog >= self._limits.backlog:
            raise self._gate.busy()
        async with self._gate.working():
            accepted: Accepted | None = None
            try:
                async with asyncio.timeout(self._limits.seconds):
                    accepted = await self._accepted(source, events, sent_at, received_at, gpc=gpc, kind=kind)
            except _UNANSWERED:
                pass
        if accepted is None:  # outside the handler: a driver's words may hold what was sent
            raise self._gate.busy()
        return accepted

    async def _accepted(
        self,
        source: Source,
        events: Sequence[Any],
        sent_at: datetime | None,
        received_at: datetime,
        *,
        gpc: bool,
        kind: EventType | None,
    ) -> Accepted:
        plan = await self._plans.current(source.plan)
        preparer = Preparer(
            source,
            plan,
            self._vault,
            self._policies().purposes,
            sent_at=sent_at,
            received_at=received_at,
            gpc=gpc,
            kind=kind,
            random=self._random,
        )
        began = time.monotonic()
        for place, raw in enumerate(events):
            preparer.add(place, raw)
            if time.monotonic() - began > _LONGEST_STRETCH:
                await asyncio.sleep(0)
                began = time.monotonic()
        batch = preparer.batch
        known = await self._events.known([each.id for each in batch.prepared]) if batch.prepared else set()
        stored, there = await self._stored(
            source, plan, batch, [each for each in batch.prepared if each.id not in known]
        )
        self._violations.note(source.name, batch.violations, received_at)
        duplicates, refused = len(known) + there + batch.repeated, len(batch.refused)
        if events:
            self._source_counts.note(
                source.name,
                SourceCount(stored, duplicates, batch.omitted, refused, first_at=received_at, last_at=received_at),
            )
        return Accepted(stored, duplicates, batch.omitted, tuple(batch.refused))

    async def _stored(
        self, source: Source, plan: CompiledPlan, batch: Batch, wanted: Sequence[Prepared]
    ) -> tuple[int, int]:
        """Store events; how many were new, and how many were there all the same."""
        if not wanted:
            return 0, 0
        access = collecting(source, self._policies())
        async with self._vault.reading():
            documents, news = await self._sealed(source, plan, batch, access, wanted)
            if not documents:
                return 0, 0
            name = new_id("bat_", self._random)
            people = list(dict.fromkeys(each["customer_id"] for each in documents))
            ids = [each["_id"] for each in documents]
            await asyncio.gather(
                self._log.append(access.disclosure.record(self._now())),
                self._events.open_batch(name, self._vault.fleet.process_id, self._now(), ids, people),
            )
            if any(each.opted_out for each in wanted):
                await self._opt_outs.heard(people)
            there = await self._events.insert(documents)
            self._applier.take(name, [each for each in news if each.id not in there])
        return len(documents) - len(there), len(there)

    async def _sealed(
        self, source: Source, plan: CompiledPlan, batch: Batch, access: Access, wanted: Sequence[Prepared]
    ) -> tuple[list[Document], list[Happened]]:
        """The documents to insert, each under its person's key, and what their profiles must hear."""
        proven = not source.origins  # whatever comes from web pages, anybody can send
        # Most of a batch is about few people; whoever has the same ids has the same tuple of them (`Preparer`).
        places = [(id(each.identifiers), id(each.previous)) for each in wanted]
        distinct = {
            place: Identified(each.identifiers, each.previous, proven)
            for place, each in zip(places, wanted, strict=True)
        }
        whose = dict(zip(distinct, await self._people.resolve(access, list(distinct.values())), strict=True))
        found = [whose[each] for each in places]
        restricted = await self._restricted(access, [each for each in found if each is not None])
        policies = self._policies()
        permits = Permits(policies, access.grant)
        events: list[Prepared] = []
        documents: list[Document] = []
        news: list[Happened] = []
        subjects: set[str] = set()
        for number, (each, person) in enumerate(zip(wanted, found, strict=True), start=1):
            if person is None:
                batch.refuse(each.place, Violation(Rejection.NO_ID))
                continue
            if person.customer_id in restricted and each.event.name != CONSENT_EVENT:
                batch.refuse(each.place, Violation(ViolationKind.RESTRICTED))
                continue
            kept = permits.kept(each, batch.violations)
            events.append(kept)
            documents.append(
                event_document(kept, source.name, plan, policies.catalogue, person.customer_id, person.key)
            )
            news.append(happened(kept, source.name, person.customer_id))
            if person.customer_id not in subjects:
                subjects.add(person.customer_id)
                access.disclosure.add_subject(person.key.audit_reference)
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)
        access.disclosure.add_fields(permits.verdicts(events, news))
        return documents, news

    async def _restricted(self, access: Access, people: Sequence[Found]) -> set[str]:
        """Those of these customers whose rights do not let anything be collected about them."""
        purpose = access.grant.purpose
        if purpose.basis not in (LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS):
            return {each.customer_id for each in people if each.restricted and not purpose.survives_restriction}
        # A company that rests collecting on consent asks everybody's, and those of whom nobody asked have not given it.
        there = list(dict.fromkeys(each.customer_id for each in people))
        now = self._now()
        return {
            each["_id"]
            for each in await self._customers.find(there, {"rights": 1})
            if refusal(Rights.of_document(each.get("rights") or {}), purpose, now) is not None
        }
