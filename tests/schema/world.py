"""The whole platform in one process without HTTP, over real databases: wired as the server wires it."""

import contextlib
import os
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from pymongo.errors import PyMongoError

from audit import AccessLog, AccessQuery
from customers.access import Access
from customers.caller import Caller
from customers.collection.event_store import EventStore
from customers.consent.counting import ConsentCounter
from customers.consent.model import ConsentDecision, ConsentState
from customers.consent.notices import NoticeStore
from customers.consent.service import ConsentService
from customers.consent.store import ConsentStore
from customers.disclosure import Disclosure, Request
from customers.identity.model import IdentifierType
from customers.identity.resolution import Resolver
from customers.identity.review import Reviewer
from customers.jobs import JobStore
from customers.oversight.break_glass import BreakGlass
from customers.profiles.draft import OrderDraft, TicketDraft
from customers.profiles.service import ProfileGateway
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from customers.quality import CorrectionQueue, QualityService, load_standards
from customers.rights.certificates import CertificateStore
from customers.rights.erase import Eraser
from customers.rights.keeping import Keeper
from customers.rights.requests import RequestService, RequestStore
from customers.rights.retained import RetainedStore
from policies import load_policies
from schema.build import build_schema
from schema.context import Services
from schema.documents import Documents
from schema.limits import Limits
from schema.service import Asked, GraphQLService
from server.database import database
from tests.schema.fuzzing import at_once
from vault import FileRootKey, Vault

POLL = 0.02  # so that erasures are quick
LEASE = 60.0  # so that a machine that is busy puts nobody out
DECIDED = datetime(2025, 1, 1, tzinfo=UTC)
SHIPPED = load_policies()
BUILT = build_schema(SHIPPED.catalogue)
at_once(BUILT.schema)  # so that every guarantee is asked of the generated code
DOCUMENTS = Documents(BUILT.schema, Limits(cost=2_000_000))

IMPORTER = ("client_app", "data_import")
SUPPORT = ("support_agent", "customer_service")
OFFICER = ("privacy_officer", "privacy_request")
AUDITOR = ("auditor", "audit")
CUSTOMER = ("customer", "self_service")


def utc_now():
    return datetime.now(UTC)


def order(number, **values):
    """The draft of an order that has every field."""
    day = datetime(2025, 3, 1, 9, 30, tzinfo=UTC) + timedelta(days=number)
    return OrderDraft(
        {
            "placed_at": day,
            "total": 2873 + number,
            "currency": "EUR",
            "units": 3,
            "status": "delivered",
            "items": [{"sku": f"sku-{number}", "quantity": 3}],
            "shipping_address": f"Hafenweg {number}, Bremen",
            "gift_message": f"Viel Freude {number}",
            "payment_last4": f"{4000 + number}",
            **values,
        }
    )


def ticket(number, **values):
    """The draft of a ticket that has every field."""
    day = datetime(2025, 5, 1, 8, 0, tzinfo=UTC) + timedelta(days=number)
    return TicketDraft(
        {
            "opened_at": day,
            "closed_at": day + timedelta(hours=5),
            "status": "closed",
            "channel": "email",
            "topic": "delivery",
            "subject": f"Where is parcel {number}",
            "body": f"It should have come on day {number}",
            **values,
        }
    )


def person(number, **values):
    """The values of a customer that has every field; two of different numbers share no sealed value."""
    return {
        "region": "emea",
        "country": "DE",
        "loyalty_tier": "gold",
        "acquisition_channel": "web",
        "given_name": f"Given{number}",
        "family_name": f"Family{number}",
        "email": f"person{number}@mail{number}.example",
        "phone": f"+4915112{number:06d}",
        "street": f"Street {number}",
        "postal_code": f"2{number:04d}",
        "city": f"City{number}",
        "birth_date": f"19{50 + number % 50}-04-05",
        "language": "de",
        "national_id": f"NI{number:08d}",
        "notes": [f"note {number} one", f"note {number} two"],
        "traits": {"shoe": f"size {number}"},
        **values,
    }


def granted(*purposes):
    """Consents that the customer gave."""
    return tuple(ConsentDecision(each, ConsentState.GRANTED, DECIDED, "test") for each in purposes)


def objected(*purposes):
    """Objections that the customer made."""
    return tuple(ConsentDecision(each, ConsentState.OBJECTED, DECIDED, "test") for each in purposes)


def caller(role, *, regions=(), customer=None, purposes=None, actor=None):
    roles = (role,) if isinstance(role, str) else tuple(role)
    return Caller(
        actor=actor or f"test-{'-'.join(roles)}",
        roles=roles,
        client="test",
        purposes=None if purposes is None else frozenset(purposes),
        customer_id=customer,
        regions=frozenset(regions),
        token_id=None,
    )


@dataclass
class World:
    """One platform: its parts, and short ways to use them."""

    main: object
    keys: object
    audit: object
    vault: Vault
    log: AccessLog
    store: CustomerStore
    consents: ConsentStore
    writer: ProfileWriter
    eraser: Eraser
    reviewer: Reviewer
    resolver: Resolver
    services: Services
    graphql: GraphQLService
    policies: object = SHIPPED
    four_eyes: set = field(default_factory=set)
    ids: dict = field(default_factory=dict)
    since: datetime | None = None

    async def ask(self, query, role=SUPPORT[0], purpose=SUPPORT[1], variables=None, *, case=None, **who):
        """The answer to a query by a caller with this role (or these roles) for this purpose."""
        asked = Asked(query, None, variables, purpose, case, None)
        return await self.graphql.answer(asked, caller(role, **who))

    async def told(self, query, *args, **kwargs):
        """The data of an answer that must have no errors."""
        answer = await self.ask(query, *args, **kwargs)
        assert answer.errors is None, answer.errors
        return answer.data

    def access(self, role=IMPORTER[0], purpose=IMPORTER[1], **who):
        asking = caller(role, **who)
        grant = self.policies.decide(asking.roles, purpose)
        return Access(asking, grant, Disclosure(Request(asking, purpose, None, None, None, None), grant))

    def draft(self, values, *, consents=(), restricted=False, external=(), orders=(), tickets=(), created_at=None):
        identifiers = [self.writer.identifier(IdentifierType.EXTERNAL_ID, each, "external") for each in external]
        made = self.writer.draft(values, identifiers, consents)
        return replace(
            made, restricted=restricted, orders=tuple(orders), tickets=tuple(tickets), created_at=created_at
        )

    async def create(self, *drafts):
        """Customers of these drafts; gives their ids."""
        made = []
        for start in range(0, len(drafts), 100):
            async with self.vault.reading():
                made += await self.writer.create(self.access(), drafts[start : start + 100])
        return made

    async def one(self, number=1, *, overrides=None, **given):
        """One customer of whom everything is known; gives the id."""
        return (await self.create(self.draft(person(number, **(overrides or {})), **given)))[0]

    async def erase(self, customer_id):
        return await self.eraser.erase(self.access(*OFFICER), customer_id)

    async def records(self, **query):
        """Every record of this test that matches, oldest first."""
        page = await self.log.search(AccessQuery(since=self.since, **query), limit=1000)
        return [entry.record for entry in reversed(page.entries)]

    async def empty(self):
        """Remove every document but the access log's, whose older records are no longer looked at.

        Whatever collection there is or comes. Of the key store what says who holds which ring stays: this process does.
        """
        for name in await self.main.list_collection_names():
            await self.main[name].delete_many({})
        for name in ("data_keys", "erasures"):
            await self.keys[name].delete_many({})
        self.policies, self.ids, self.since = SHIPPED, {}, utc_now()
        return self

    async def counted(self):
        """How many documents each collection of the main database holds, but for those that only keep count."""
        names = set(await self.main.list_collection_names()) - {"counters", "creations"}
        return {name: await self.main[name].count_documents({}) for name in sorted(names)}

    async def reference(self, customer_id):
        """The audit reference of a customer, as records hold it."""
        import base64  # noqa: PLC0415 - only here

        async with self.vault.reading():
            key = (await self.vault.keys([customer_id]))[customer_id]
            return base64.urlsafe_b64encode(key.audit_reference)[:22].decode()


@contextlib.asynccontextmanager
async def open_world(main, keys, audit, directory, *, policies=SHIPPED, now=utc_now, seed=None):
    """A platform over three databases, with a ring file of its own; two over the same ones are two processes.

    Two with the same `seed` give the same ids, keys and entries for the same calls.
    """
    seeded = [Random(f"{seed}{part}").randbytes for part in range(3)]  # noqa: S311 - as said above
    randoms = [os.urandom] * 3 if seed is None else seeded
    root = directory / "root.key"
    if not root.exists():
        FileRootKey.create(root, random=os.urandom)
    vault = Vault(
        main,
        keys,
        ring_path=directory / "key.ring",
        root_keys=[FileRootKey(root, random=os.urandom)],
        now=now,
        random=randoms[0],
        poll_seconds=POLL,
        lease_seconds=LEASE,
    )
    log = await AccessLog.open(audit, now=now, random=randoms[1])
    store, consents = CustomerStore(main), ConsentStore(main, now=now)
    await store.prepare()
    await consents.prepare()
    await vault.start()
    held, four_eyes = [], set()

    def current():
        return held[0].policies

    writer = ProfileWriter(store, consents, vault, log, current, now=now, random=randoms[2])
    reviewer = await Reviewer.open(main, store, vault, log, current, now=now, random=randoms[2])
    retained = RetainedStore(main)
    await retained.prepare()
    requests, jobs = RequestStore(main), JobStore(main, now=now)
    await requests.prepare()
    await jobs.prepare()
    eraser = Eraser(
        store,
        consents,
        vault,
        log,
        policy_version=lambda: current().version,
        now=now,
        certificates=CertificateStore(main),
        keeper=Keeper(store, retained, vault, current, now=now),
        retained=retained,
        deployment="main",
        free=requests.require_free,
        forget=(
            reviewer.forget,
            CorrectionQueue(main, now=now, random=os.urandom).forget,
            EventStore(main).remove,
            lambda customer_ids: requests.settle(customer_ids, now()),
            jobs.forget,
        ),
    )
    gateway = ProfileGateway(store, vault, policies.catalogue, now=now)
    services = Services(
        gateway=gateway,
        writer=writer,
        eraser=eraser,
        log=log,
        vault=vault,
        policies=current,
        now=now,
        database_errors=(PyMongoError,),
        reviewer=reviewer,
        break_glass=BreakGlass(main, vault, log, current, now=now, random=os.urandom),
        requests=RequestService(
            requests,
            store,
            vault,
            log,
            writer,
            eraser,
            jobs,
            current,
            now=now,
            random=os.urandom,
            four_eyes=four_eyes,
        ),
        consents=ConsentService(
            gateway,
            consents,
            NoticeStore(main, now=now),
            ConsentCounter(store, now=now),
            log,
            current,
            now=now,
        ),
        quality=await QualityService.open(
            main,
            store,
            writer,
            vault,
            log,
            policies.catalogue,
            load_standards(),
            cases=reviewer.cases,
            now=now,
            random=os.urandom,
        ),
    )
    resolver = Resolver(store, vault, writer, reviewer, current, now=now, random=randoms[2])
    graphql = GraphQLService(BUILT, DOCUMENTS, services)
    world = World(
        main,
        keys,
        audit,
        vault,
        log,
        store,
        consents,
        writer,
        eraser,
        reviewer,
        resolver,
        services,
        graphql,
        policies,
        four_eyes,
    )
    held.append(world)
    try:
        yield world
    finally:
        await log.close()
        await vault.stop()


@contextlib.asynccontextmanager
async def new_databases(client):
    """Three empty databases. An engine of the tests' own ends with them; a server is left clean."""
    run = f"t{uuid.uuid4().hex[:12]}"
    parts = [database(client, f"{run}_{part}") for part in ("main", "keys", "audit")]
    try:
        yield parts
    finally:
        if "CONFIDE_MONGO_URI" in os.environ:
            for part in parts:
                await client.drop_database(part.name)


@contextlib.asynccontextmanager
async def new_world(client, directory, **options):
    """A platform over three empty databases."""
    async with new_databases(client) as parts, open_world(*parts, directory, **options) as world:
        yield world
