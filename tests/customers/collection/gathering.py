"""A platform that takes events in: a world of `tests.schema.world` with a source, an intake and a gateway."""

import contextlib
import itertools
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from customers.collection.sources import SourceStore
from customers.collection.wiring import Collecting, collecting
from tests.schema.world import OFFICER, World, utc_now

NUMBERS = itertools.count(1)
DAY = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


@dataclass
class Gathering:
    """A world whose sources are open."""

    world: World
    parts: Collecting
    sources: SourceStore
    source: object = None
    errors: list = field(default_factory=list)

    @property
    def intake(self):
        return self.parts.intake

    async def send(self, *events, source=None, received_at=None, settle=True, **given):
        """Have a batch accepted, and every profile hear of it."""
        accepted = await self.parts.intake.accept(
            source or self.source, events, sent_at=None, received_at=received_at or utc_now(), **given
        )
        if settle:
            await self.parts.applier.settle()
        return accepted

    async def stored(self, **query):
        return await self.world.main["events"].find(query).sort([("at", 1), ("_id", 1)]).to_list(None)

    async def customer(self, kind="anonymous_id", value="a-1"):
        return await self.world.vault.blind.find(kind, value)

    async def profile(self, customer_id):
        return await self.world.main["profiles"].find_one({"_id": customer_id})

    async def counted(self):
        """The violations so far, each with how often."""
        await self.parts.violations.flush()
        counts, _ = await self.parts.violations.page(utc_now().date())
        return {(each.kind, each.subject): each.count for each in counts}


def track(name="Product Viewed", *, user=None, anonymous="a-1", message=None, **given):
    return {
        "type": "track",
        "event": name,
        "userId": user,
        "anonymousId": anonymous,
        "messageId": message or f"m-{next(NUMBERS)}",
        "timestamp": DAY.isoformat(),
        **given,
    }


def identify(traits, *, user=None, anonymous="a-1", message=None, **given):
    sent = track(user=user, anonymous=anonymous, message=message, **given)
    del sent["event"]
    return {**sent, "type": "identify", "traits": traits}


def at(minutes):
    return {"timestamp": (DAY + timedelta(minutes=minutes)).isoformat()}


def order(name, number="O-1", minutes=0, message=None, **properties):
    products = [{"sku": "A1", "name": "Tea", "quantity": 2}, {"product_id": "B2", "name": "ada@example.org"}]
    return track(
        name, message=message, properties={"order_id": number, "products": products, **properties}, **at(minutes)
    )


def bought(number, total):
    return order("Order Completed", number, total=total, currency="EUR")


PROFILE = """query ($id: ID!) { profile(id: $id) {
  givenName familyName email phone birthDate street postalCode city country language traits orderCount totalSpent currency
  firstOrderAt lastOrderAt eventCount firstEventAt lastEventAt consents { purpose state at source }
  orders { nodes { placedAt total currency units status items } } } }"""


async def seen(shop, customer_id=None, role=OFFICER):
    told = await shop.world.told(PROFILE, *role, {"id": customer_id or await shop.customer()})
    return told["profile"]


OURS = ("events", "event_batches", "sources", "tracking_plans", "violations")


@contextlib.asynccontextmanager
async def gathering(world, *, limits=None, people=None, fresh=True, name="shop", **options):
    """A world that takes events in for the length of the block; what it had before of events is removed first."""
    if fresh:
        for each in OURS:
            await world.main[each].delete_many({})
    sources = SourceStore(world.main, now=utc_now, random=os.urandom)
    await sources.prepare() if hasattr(sources, "prepare") else None
    errors = []
    async with collecting(
        world.main,
        customers=world.store,
        consents=world.consents,
        people=people or world.resolver,
        sources=sources,
        vault=world.vault,
        log=world.log,
        policies=lambda: world.policies,
        now=utc_now,
        random=os.urandom,
        failed=errors.append,
        limits=limits,
    ) as parts:
        source = await sources.named(name)
        if source is None:
            source, _ = await sources.create(name, **options)
        world.services = replace(world.services, events=parts.gateway, traits=parts.traits, sources=parts.sources)
        world.graphql._services = world.services
        yield Gathering(world, parts, sources, source, errors)
