"""A platform that takes events in: a world of `tests.schema.world` with a source, an intake and a gateway."""

import contextlib
import itertools
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from customers.collection.sources import SourceStore
from customers.collection.wiring import Collecting, collecting
from customers.identity.model import Identifier, IdentifierType, new_id
from customers.profiles.draft import ProfileDraft
from customers.profiles.made import profile_document, rights_of
from tests.schema.world import World, utc_now
from vault import Claim, DataKey
from vault import IdentifierTakenError as TakenError

NUMBERS = itertools.count(1)
DAY = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class _Found:
    customer_id: str
    key: DataKey
    created: bool


class OnePerIdentifier:
    """Finds people by the first identifier that is somebody's, and makes those who are nobody's; merges nobody."""

    def __init__(self, world):
        self._world = world

    async def resolve(self, _access, items):
        while True:
            try:
                return await self._resolve(items)
            except TakenError:
                continue

    async def _resolve(self, items):
        blind, vault, store = self._world.vault.blind, self._world.vault, self._world.store
        owners = await blind.find_many({(each.type, each.value) for item in items for each in item.identifiers})
        claims, made, whose = [], {}, []
        for item in items:
            named = [(each.type, each.value) for each in item.identifiers]
            owner = next((owners[each] for each in named if each in owners), None)
            if owner is None:
                owner = new_id("cus_", os.urandom)
                made[owner] = []
            for each in named:
                if each not in owners:
                    owners[each] = owner
                    claims.append(Claim(*each, owner))
                    made.setdefault(owner, []).append(each)
            whose.append(owner)
        new = [each for each in made if not any(each == owner for owner in await self._there(whose))]
        keys = dict(await vault.keys(set(whose) - set(new)))
        keys |= await vault.create_keys(new) if new else {}
        await blind.claim_many(claims)
        first = await store.next_sequence(len(new)) if new else 0
        catalogue, purposes = self._world.policies.catalogue, self._world.policies.purposes
        documents = []
        for number, owner in enumerate(new, first):
            draft = ProfileDraft({}, tuple(Identifier(IdentifierType(kind), value) for kind, value in made[owner]))
            rights = rights_of(draft, purposes)
            documents.append(profile_document(draft, rights, catalogue, keys[owner], seq=number, now=utc_now()))
        await store.insert("profiles", documents)
        return [_Found(owner, keys[owner], owner in new) for owner in whose]

    async def _there(self, ids):
        return {each["_id"] for each in await self._world.store.find(list(set(ids)), {"seq": 1})}


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
        people=people or OnePerIdentifier(world),
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
        world.services = replace(world.services, events=parts.gateway)
        world.graphql._services = world.services
        yield Gathering(world, parts, sources, source, errors)
