"""The console over a whole platform: real databases, a real issuer, and a browser that keeps cookies (httpx)."""

import asyncio
import html
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from argon2 import PasswordHasher
from starlette.applications import Starlette
from starlette.routing import Mount

from audit import EntryId
from customers.collection.plans import PlanStore
from customers.collection.source_counts import SourceCountStore
from customers.collection.sources import SourceStore
from customers.collection.violations import ViolationStore
from customers.errors import ProfileNotFoundError
from customers.identity.merge_list import MergeList
from customers.jobs import JobStore
from customers.oversight.processing import Outside
from customers.rights.requests.service import FOUR_EYES
from server.access import Authenticator, LocalIssuer, Revocations, ServiceAccounts, TokenVerifier
from server.console import (
    Check,
    Console,
    Covering,
    CustomerNames,
    Download,
    ExportState,
    Keeper,
    Keeping,
    Officer,
    People,
    ProofState,
    Stage,
    Verification,
)
from server.console.staff import Passwords, staff_of
from server.settings import Settings
from tests.schema.world import BUILT, granted, new_world, person, utc_now

ORIGIN = "http://127.0.0.1:8000"
TRACE = "0af7651916cd43dd8448eb211c80319c"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate nationalId } }"


class Clock:
    """The present, and as much later as the test says."""

    def __init__(self):
        self.later = timedelta()

    def __call__(self):
        return utc_now() + self.later


class KnownProofs:
    """Proofs as the test sets them: a working in-memory implementation."""

    def __init__(self):
        self.covered = True
        self.broken = None
        self.given = []

    async def state(self, entry):
        if self.broken is not None:
            raise self.broken
        place = EntryId.parse(entry)
        covering = Covering(
            7, "2026-05-14T09:30:00.000000Z", place.index + 1, "cm9vdA==", "confide.audit/main+0a1b2c3d"
        )
        return ProofState(place.shard, place.index, 1, covering if self.covered else None, "within 5 minutes")

    async def verify(self, entry):
        if self.broken is not None:
            raise self.broken
        held = EntryId.parse(entry).index >= 0 and self.covered
        return Verification("2026-05-14T09:31:00.000000Z", (Check("Inclusion", held, "The path leads to the root."),))

    async def receipt(self, entry, who):
        self.given.append((entry, who.caller.actor, who.purpose, who.case))
        return b"c2sp.org/tlog-proof@v1\n"


class KnownExports:
    """Exports that go on by one step whenever the test lets them."""

    def __init__(self, directory):
        self.directory = directory
        self.jobs = {}

    async def start(self, who, conditions, form):
        job = f"job-{len(self.jobs) + 1}"
        self.jobs[job] = (who.caller.actor, ExportState(form, Stage.WAITING, dict(conditions)))
        return job

    async def state(self, who, job):
        actor, state = self.jobs.get(job, (None, None))
        return state if actor == who.caller.actor else None

    async def download(self, who, job):
        state = await self.state(who, job)
        if state is None or state.stage is not Stage.DONE:
            return None
        path = self.directory / job
        path.write_bytes(b"PK bundle")
        return Download(path, "confide-audit.zip")


@dataclass
class Browser:
    """Somebody with a browser: follows redirects, keeps cookies, sends forms as pages give them out."""

    client: httpx.AsyncClient
    page: httpx.Response | None = None
    seen: list[httpx.Response] = field(default_factory=list)

    @property
    def text(self):
        """What the page says, without its markup."""
        plain = re.sub(r"(?s)<(script|style|datalist|select|head)\b.*?</\1>", " ", self.page.text)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())

    @property
    def status(self):
        return self.page.status_code

    def _keep(self, page):
        self.page = page
        self.seen.append(page)
        return self

    async def get(self, path, **options):
        return self._keep(await self.client.get(path, follow_redirects=True, **options))

    async def post(self, path, data=None, *, origin=ORIGIN, key=None, **options):
        """Send a form with the key of the page that is open, unless told otherwise."""
        headers = {} if origin is None else {"origin": origin}
        data = {"form_key": self.form_key() if key is None else key, **(data or {})}
        return self._keep(await self.client.post(path, data=data, headers=headers, follow_redirects=True, **options))

    def form_key(self):
        found = re.search(r'name="form_key" value="([^"]+)"', "" if self.page is None else self.page.text)
        return found[1] if found else "none"

    async def sign_in(self, token, following="/console/audit"):
        await self.get("/console/sign-in", params={"next": following})
        return await self.post("/console/sign-in", {"token": token, "next": following})

    async def state(self, purpose, case="", following="/console/audit"):
        if 'name="form_key"' not in self.page.text:
            await self.get("/console/purpose")
        return await self.post("/console/purpose", {"purpose": purpose, "case": case, "next": following})

    def links(self, pattern):
        return [html.unescape(each) for each in re.findall(rf'href="({pattern})"', self.page.text)]


@dataclass
class Desk:
    """The console and what is behind it."""

    house: object
    console: Console
    proofs: KnownProofs
    exports: KnownExports
    clients: list = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.house, name)

    async def close(self):
        await asyncio.gather(*(client.aclose() for client in self.clients))

    @property
    def sessions(self):
        return self.console._frame.sessions

    async def signed_in(self):
        """How many sessions there are."""
        return len(await self.world.keys["staff_sessions"].find({}).to_list(None))

    def browser(self, *, app=None, base=ORIGIN):
        traced = app or Starlette(routes=[Mount("/console", self.console)])

        async def asked(scope, receive, send):
            scope["confide.trace"] = TRACE
            await traced(scope, receive, send)

        client = httpx.AsyncClient(transport=httpx.ASGITransport(asked), base_url=base)
        self.clients.append(client)
        return Browser(client)

    def token(self, actor="hugo.audit", role="auditor", **options):
        return self.issuer.issue(actor, roles=[role] if isinstance(role, str) else role, **options)

    async def keeping(self, role, purpose, actor=None, **options):
        """A browser of somebody who keeps data, and has said what for."""
        browser = self.browser(**options)
        await browser.sign_in(self.token(actor or f"kim.{role}", role), "/console/purpose")
        await browser.state(purpose, "K-1", following="/console/purpose")
        assert browser.status == 200, browser.text
        return browser

    async def administrator(self, **options):
        return await self.keeping("administrator", "data_management", **options)

    async def steward(self, **options):
        return await self.keeping("data_steward", "identity_resolution", **options)

    async def record_keeper(self, **options):
        return await self.keeping("record_keeper", "data_quality", **options)

    async def officer(self, **options):
        return await self.keeping("privacy_officer", "privacy_request", **options)

    async def support(self, purpose="customer_service", **options):
        return await self.keeping("support_agent", purpose, **options)

    async def auditor(self, actor="hugo.audit", case="AUD-7", **options):
        """A browser of an auditor who has said what for."""
        browser = self.browser(**options)
        await browser.sign_in(self.token(actor))
        await browser.state("audit", case)
        assert browser.status == 200, browser.text
        return browser


class House:
    """What a desk stands in: a platform with two customers and some looking at them, and its authenticator."""

    def __init__(self, world, directory):
        self.world = world
        self.clock = Clock()
        self.issuer = LocalIssuer.open(directory / "issuer", now=self.clock, random=os.urandom)
        self.accounts = ServiceAccounts(world.keys, now=self.clock, random=os.urandom)
        self.revocations = Revocations(world.keys, now=self.clock)
        self.authenticator = Authenticator(
            verifier=TokenVerifier([self.issuer.trusted], now=self.clock),
            accounts=self.accounts,
            revocations=self.revocations,
            now=self.clock,
        )

        self.sources = SourceStore(
            world.main, now=self.clock, random=os.urandom, sealing=world.vault, clock=self.tick
        )
        self.plans = PlanStore(world.main, catalogue=world.policies.catalogue, now=self.clock)
        self.violations = ViolationStore(world.main)
        self.source_counts = SourceCountStore(world.main)
        self._ticks = 0.0

    def tick(self):
        """Seconds that go on by two whenever they are asked for, so that nothing is kept in memory."""
        self._ticks += 2.0
        return self._ticks

    def keeping_parts(self):
        """What the pages of those who keep data go through."""
        world = self.world
        keeper = Keeper(world.log, world.services, lambda: world.policies, self.clock)
        keeping = Keeping(
            keeper,
            sources=self.sources,
            plans=self.plans,
            violations=self.violations,
            source_counts=self.source_counts,
            log=world.log,
            now=self.clock,
        )
        people = People(keeper, world.reviewer, MergeList(world.main), world.vault)
        jobs = JobStore(world.main, now=self.clock)
        world.four_eyes.update(FOUR_EYES)
        officer = Officer(
            CustomerNames(world.vault),
            jobs,
            self.clock,
            FOUR_EYES,
            "Example & Sons",
            self.told_of,
            self.copy_of,
            world.eraser.preview,
        )
        glass = world.services.break_glass
        return {"glass": glass, "keeper": keeper, "keeping": keeping, "people": people, "officer": officer}

    async def copy_of(self, access, customer, name):
        """A copy in memory, of one customer by one name."""
        if (customer, name) != (self.world.ids["ada"], "cop_ada"):
            raise ProfileNotFoundError
        yield b"PK"
        yield access.caller.actor.encode()

    async def told_of(self):
        """Who outside is given data."""
        return [Outside("=HYPERLINK(mail-house)", "webhook", ("user.contact.email",))]

    async def settle(self):
        await self.authenticator.reload()
        world = self.world
        world.ids["ada"], world.ids["bob"] = await world.create(
            world.draft(person(1), consents=granted("marketing")), world.draft(person(2))
        )
        look = {"id": world.ids["ada"]}
        await world.told(LOOK, "support_agent", "customer_service", look, actor="ana", case="T-1")
        mail = "query Mail { profiles { nodes { givenName email birthDate } } }"
        await world.told(mail, "marketer", "marketing", actor="mia")
        return self

    def staff(self, settings=None, **parts):
        """Who may sign in to a desk, by the settings; hashes here cost little."""
        world = self.world
        return staff_of(
            settings or Settings(),
            keys=world.keys,
            vault=world.vault,
            authenticator=self.authenticator,
            revocations=self.revocations,
            log=world.log,
            policies=lambda: world.policies,
            now=self.clock,
            passwords=Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)),
            **parts,
        )

    def desk(self, directory, **parts):
        """A console of its own: nobody is signed in to it."""
        self.clock.later = timedelta()
        staff = parts.pop("staff", None) or self.staff()
        parts = {"proofs": KnownProofs(), "exports": KnownExports(directory), **self.keeping_parts(), **parts}
        console = Console(
            service=self.world.graphql,
            schema=BUILT,
            staff=staff,
            policies=lambda: self.world.policies,
            random=os.urandom,
            **parts,
        )
        return Desk(self, console, parts["proofs"], parts["exports"])


@pytest.fixture(scope="module")
async def house(mongo_client, tmp_path_factory):
    directory = tmp_path_factory.mktemp("house")
    async with new_world(mongo_client, directory) as world:
        made = await House(world, directory).settle()
        yield made
        await made.authenticator.close()


@pytest.fixture
async def desk(house, tmp_path):
    """A desk in a house that other tests use too; nobody is signed in."""
    await house.world.keys["staff_sessions"].delete_many({})
    made = house.desk(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def own_desk(mongo_client, tmp_path):
    """A desk in a house of its own, which may be broken."""
    async with new_world(mongo_client, tmp_path) as world:
        house = await House(world, tmp_path).settle()
        made = house.desk(tmp_path)
        yield made
        await made.close()
        await house.authenticator.close()


async def entry_of(world, **query):
    """The id of the newest entry that is like this."""
    from audit import AccessQuery  # noqa: PLC0415 - only here

    page = await world.log.search(AccessQuery(**query), limit=1)
    return str(page.entries[0].id)
