"""Everything that takes events in and gives them out, wired together for one process."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from audit import AccessLog
from customers.collection.applying import Applier
from customers.collection.checking import CompiledPlans
from customers.collection.event_reading import EventGateway
from customers.collection.event_store import EventStore
from customers.collection.intake import Intake, Resolving
from customers.collection.opting_out import OptOuts
from customers.collection.plans import PlanStore
from customers.collection.pressure import IntakeLimits
from customers.collection.source_counts import SourceCountStore
from customers.collection.source_reading import SourceReader
from customers.collection.sources import SourceStore
from customers.collection.trait_reading import TraitGateway
from customers.collection.violations import ViolationStore
from customers.consent.store import ConsentStore
from customers.profiles.adding import OrderAdder
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import Vault


@dataclass(frozen=True, slots=True)
class Collecting:
    """The parts that others use.

    Attributes:
        intake: Takes events in.
        applier: Has profiles hear of them; the worker calls its `sweep`.
        events: The documents; an erasure calls its `remove`.
        gateway: Reads events.
        traits: Reads the traits that plans classify.
        plans: The tracking plans.
        violations: What was not as they say.
        source_counts: How much each source has sent.
        sources: Shows sources with that.
    """

    intake: Intake
    applier: Applier
    events: EventStore
    gateway: EventGateway
    traits: TraitGateway
    plans: PlanStore
    violations: ViolationStore
    source_counts: SourceCountStore
    sources: SourceReader


@contextlib.asynccontextmanager
async def collecting(
    database: AsyncDatabase[dict[str, Any]],
    *,
    customers: CustomerStore,
    consents: ConsentStore,
    people: Resolving,
    sources: SourceStore,
    vault: Vault,
    log: AccessLog,
    policies: Callable[[], PolicySet],
    now: Callable[[], datetime],
    random: Callable[[int], bytes],
    failed: Callable[[Exception], None] = lambda _: None,
    limits: IntakeLimits | None = None,
) -> AsyncIterator[Collecting]:
    """Take events in for the length of the block, inside which the vault is started; at its end profiles have heard.

    Args:
        database: The main one.
        customers: Its store of profiles.
        consents: Its store of what people allow.
        people: Finds or makes the person of each event.
        sources: Who may send.
        vault: The keys.
        log: Where every batch is recorded.
        policies: The policies that hold now.
        now: The time.
        random: Gives random bytes.
        failed: Is told of failures in the background, which are tried again.
        limits: How much is taken in at once.
    """
    catalogue = policies().catalogue
    events = EventStore(database)
    plans = PlanStore(database, catalogue=catalogue, now=now)
    violations, source_counts = ViolationStore(database), SourceCountStore(database)
    for store in (events, plans, violations):
        await store.prepare()
    applier = Applier(
        events=events,
        customers=customers,
        consents=consents,
        orders=OrderAdder(database),
        sources=sources,
        violations=violations,
        source_counts=source_counts,
        vault=vault,
        policies=policies,
        now=now,
        failed=failed,
    )
    intake = Intake(
        events=events,
        customers=customers,
        people=people,
        plans=CompiledPlans(plans, catalogue),
        violations=violations,
        source_counts=source_counts,
        applier=applier,
        opt_outs=OptOuts(customers, consents, policies, now=now),
        vault=vault,
        log=log,
        policies=policies,
        now=now,
        random=random,
        limits=limits,
    )
    applier.start()
    try:
        yield Collecting(
            intake=intake,
            applier=applier,
            events=events,
            gateway=EventGateway(events, customers, vault, catalogue, now=now),
            traits=TraitGateway(customers, catalogue),
            plans=plans,
            violations=violations,
            source_counts=source_counts,
            sources=SourceReader(sources, source_counts),
        )
    finally:
        await applier.close()
