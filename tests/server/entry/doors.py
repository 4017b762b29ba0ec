"""The portal's door over a whole platform: real databases, a real mail server on loopback, browsers that keep cookies."""

import asyncio
import contextlib
import re
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy

import httpx
from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from server.clock import utc_now
from server.console.forms import Site
from server.mail import mailer_of
from server.platform import open_platform
from server.portal.entry import Entry
from server.portal.entry.tending import letter_runner, portal_address
from server.portal.languages import Languages
from server.portal.pages import Pages
from server.settings import Settings
from tests.schema.world import person

ORIGIN = "https://my.example"
BASE = "/portal"
SENDER = "privacy@confide.example"


class Clock:
    """The present, and as much later as the test says."""

    def __init__(self):
        self.later = timedelta()

    def __call__(self):
        return utc_now() + self.later

    def forward(self, **parts):
        self.later += timedelta(**parts)


class MailServer:
    """A real mail server on loopback, which keeps what it is given, unless it is told what to answer instead."""

    def __init__(self):
        self.taken = []
        self.answer = None
        self._server = None
        self.port = 0

    async def start(self, **options):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="mail.test", enable_SMTPUTF8=True), "127.0.0.1", 0, **options
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        await self._server.wait_closed()

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if self.answer is not None:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        message = message_from_bytes(envelope.content, policy=policy.SMTP)
        self.taken.append(Taken(envelope.mail_from, tuple(envelope.rcpt_tos), message))
        return "250 OK"


@dataclass
class Taken:
    """A letter that was taken."""

    sender: str
    recipients: tuple
    message: object

    @property
    def text(self):
        return self.message.get_body(("plain",)).get_content().replace("\r\n", "\n")

    @property
    def html(self):
        return self.message.get_body(("html",)).get_content()

    @property
    def link(self):
        return re.search(rf"{ORIGIN}{BASE}(/sign-in/\S+)", self.text)[1]

    @property
    def code(self):
        return re.search(r"^\d{4} \d{4}$", self.text, re.MULTILINE)[0]


@dataclass
class Browser:
    """Somebody with a browser: keeps cookies, sends forms as pages give them out, and follows no redirect by itself."""

    client: httpx.AsyncClient
    page: httpx.Response | None = None

    async def get(self, path, **options):
        self.page = await self.client.get(f"{BASE}{path}", **options)
        return self.page

    async def post(self, path, data=None, *, origin=ORIGIN, headers=None, **options):
        told = {} if origin is None else {"origin": origin}
        self.page = await self.client.post(
            f"{BASE}{path}", data={"_": "", **(data or {})}, headers={**told, **(headers or {})}, **options
        )
        return self.page

    async def form(self, path, data=None, **options):
        """Open a page and send the form on it, with its key."""
        page = await self.get(path)
        key = re.search(r'name="form_key" value="([^"]+)"', page.text)
        return await self.post(path, {**({"form_key": key[1]} if key else {}), **(data or {})}, **options)

    async def who(self):
        """Whom the portal takes this browser for."""
        return (await self.get("/")).text

    @property
    def cookies(self):
        return {each.name: each.value for each in self.client.cookies.jar}


@dataclass
class Door:
    """The door and what is behind it."""

    platform: object
    entry: Entry
    clock: Clock
    mail: MailServer
    app: Starlette
    people: dict
    clients: list = field(default_factory=list)

    def browser(self, *, base=ORIGIN, network="203.0.113.7", **headers):
        transport = httpx.ASGITransport(self.app, client=(network, 4711))
        client = httpx.AsyncClient(transport=transport, base_url=base, headers=headers)
        self.clients.append(client)
        return Browser(client)

    async def send(self):
        """Send what is due; gives the letters that were taken since the last time."""
        mailer = mailer_of(self.platform.settings, now=self.clock, random=uuid_bytes)
        await letter_runner(self.platform, mailer, portal_address(self.platform.settings)).run_due()
        taken, self.mail.taken = self.mail.taken, []
        return taken

    async def letter(self, browser, name="ada", **options):
        """The letter that somebody gets who asks in this browser."""
        page = await browser.post("/sign-in", {"address": f"{name}@door.example"}, **options)
        assert page.status_code == 303, page.text
        [letter] = await self.send()
        return letter

    async def signed_in(self, name="ada", **options):
        browser = self.browser(**options)
        letter = await self.letter(browser, name)
        page = await browser.post(letter.link)
        assert page.status_code == 303, page.text
        return browser

    async def person(self, name):
        """A new customer with this address."""
        number = 10 + len(self.people)
        writer = self.platform.services.writer
        draft = writer.draft(person(number, email=f"{name}@door.example"), [], [])
        async with self.platform.vault.reading():
            [self.people[name]] = await writer.create(self.access("client_app", "data_import"), [draft])
        return self.people[name]

    def access(self, role, purpose):
        caller = Caller(f"test-{role}", (role,), None, None, None, frozenset(), None)
        grant = self.platform.policies.current.decide(caller.roles, purpose)
        return Access(caller, grant, Disclosure(Request(caller, purpose, None, None, None, None), grant))

    async def erase(self, name):
        officer = self.access("privacy_officer", "privacy_request")
        return await self.platform.services.eraser.erase(officer, self.people[name])

    @staticmethod
    def made(entry):
        """The application over an entry."""
        return app_of(entry, Pages(BASE, uuid_bytes, Languages(), "Acme Ltd"))

    async def clean(self):
        self.clock.later = timedelta()
        self.mail.answer = None
        self.mail.taken.clear()
        for name in ("sign_in_links", "portal_sessions", "jobs"):
            await self.platform.main[name].delete_many({})
        await self.platform.keys["revocations"].delete_many({})
        await self.platform.revocations.load()
        while self.clients:
            await self.clients.pop().aclose()


def uuid_bytes(count):
    return (uuid.uuid4().bytes * (count // 16 + 1))[:count]


def app_of(entry, pages):
    """The door, and one page behind it that says who is in."""

    async def home(request):
        session = await entry.find(request)
        if session is None:
            return PlainTextResponse("nobody")
        return PlainTextResponse(f"{session.customer_id} {entry.stepped_up(session)}")

    return Starlette(routes=[Mount(BASE, routes=[*entry.routes(pages), Route("/", home)])])


def entry_of(platform):
    return Entry(platform, Site(ORIGIN), BASE)


@contextlib.asynccontextmanager
async def open_door(mongo_uri, mongo_client, directory, **changed):
    """A platform of its own with two customers, ada and bob, and the door to it; `changed` are settings."""
    run, clock, mail = f"d{uuid.uuid4().hex[:12]}", Clock(), await MailServer().start()
    names = {part: f"{run}_{part}" for part in ("main", "keys", "audit")}
    given = {
        "mongo_uri": mongo_uri,
        "data_dir": directory,
        "portal_origin": ORIGIN,
        "smtp_uri": f"smtp://127.0.0.1:{mail.port}",
        "mail_from": SENDER,
        "controller": "Acme Ltd",
        **{f"{part}_database": name for part, name in names.items()},
    }
    settings = Settings(**{**given, **changed})
    try:
        async with open_platform(settings, now=clock) as platform:
            entry = entry_of(platform)
            pages = Pages(BASE, uuid_bytes, Languages(), "Acme Ltd")
            made = Door(platform, entry, clock, mail, app_of(entry, pages), {})
            for name in ("ada", "bob"):
                await made.person(name)
            yield made
    finally:
        await mail.stop()
        for name in names.values():
            await mongo_client.drop_database(name)
