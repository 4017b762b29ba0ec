"""The portal over a whole platform: real databases, real pages, and a browser that keeps cookies (httpx)."""

import html
import os
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from audit import AccessQuery
from schema.build import build_schema
from schema.documents import Documents
from schema.limits import Limits
from schema.service import Asked, GraphQLService
from server.portal import portal_of
from server.portal.entry.session import PortalSession
from tests.schema.world import caller, granted, order, person, ticket
from tests.server.test_nothing_left import access, opened

HOUSE = "Halden Records"
ORIGIN = "http://127.0.0.1:8000"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate nationalId } }"


@dataclass
class Held:
    """A door whose sessions the test makes: everything else about coming in is the entry's own business."""

    sessions: dict = field(default_factory=dict)
    up: set = field(default_factory=set)
    ended: list = field(default_factory=list)

    def let_in(self, customer_id, *, up=True):
        name = os.urandom(8).hex()
        self.sessions[name] = PortalSession(
            name, customer_id, datetime.now(UTC), datetime.max.replace(tzinfo=UTC), None, os.urandom(8).hex()
        )
        if up:
            self.up.add(name)
        return name

    async def find(self, request):
        return self.sessions.get(request.cookies.get("held", ""))

    async def sessions_of(self, session):
        class Row:
            id, label, created_at = session.id, "Firefox <b>", session.created_at
            seen_at, current = session.created_at, False

        return [Row]

    async def end(self, session, id):  # noqa: A002 - the door's word
        self.ended.append((session.customer_id, id))

    def stepped_up(self, session):
        return session.id in self.up

    def form_key(self, session):
        return session.key

    def routes(self, pages):
        assert pages.base == "/portal"
        return []


@dataclass
class Visitor:
    """Somebody with a browser who is signed in."""

    client: httpx.AsyncClient
    session: PortalSession
    page: httpx.Response | None = None

    @property
    def text(self):
        plain = re.sub(r"(?s)<(head)\b.*?</\1>", " ", self.page.text)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", plain)).split())

    @property
    def status(self):
        return self.page.status_code

    async def get(self, path, **options):
        self.page = await self.client.get(f"/portal{path}", follow_redirects=True, **options)
        return self

    async def post(self, path, data=None, *, origin=ORIGIN, key=None, follow=True):
        headers = {} if origin is None else {"origin": origin}
        data = {"form_key": self.session.key if key is None else key, **(data or {})}
        self.page = await self.client.post(f"/portal{path}", data=data, headers=headers, follow_redirects=follow)
        return self


@dataclass
class Place:
    """A platform with its portal, and short ways to use them."""

    platform: object
    door: Held
    app: object
    graphql: GraphQLService
    ids: dict = field(default_factory=dict)
    clients: list = field(default_factory=list)

    def visitor(self, customer_id, *, up=True, **headers):
        name = self.door.let_in(customer_id, up=up)
        client = self.browser(cookies={"held": name}, headers=headers)
        return Visitor(client, self.door.sessions[name])

    def browser(self, **options):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=ORIGIN, **options)
        self.clients.append(client)
        return client

    async def create(self, number=1, *, overrides=None, consents=(), orders=(), tickets=()):
        writer = self.platform.services.writer
        draft = writer.draft(person(number, **(overrides or {})), [], consents)
        draft = replace(draft, orders=tuple(orders), tickets=tuple(tickets))
        async with self.platform.vault.reading():
            return (await writer.create(access(self.platform, "client_app", "data_import"), [draft]))[0]

    async def look(
        self, customer_id, role="support_agent", purpose="customer_service", actor="ana.staff", case="T-1"
    ):
        asked = Asked(LOOK, None, {"id": customer_id}, purpose, case, None)
        answer = await self.graphql.answer(asked, caller(role, actor=actor))
        assert answer.errors is None
        return answer

    async def records(self, **query):
        page = await self.platform.log.search(AccessQuery(**query), limit=200)
        return [each.record for each in page.entries]


def place_of(platform):
    """The portal of a platform, with a door that the test holds."""
    policies = platform.policies.current
    built = build_schema(policies.catalogue)
    service = GraphQLService(built, Documents(built.schema, Limits()), platform.services)
    door = Held()
    portal = portal_of(platform, service, door=door)
    return Place(platform, door, Starlette(routes=[Mount("/portal", portal)]), service)


@pytest.fixture(scope="module")
async def place(mongo_uri, mongo_client, tmp_path_factory):
    """One platform for the tests of a file; each makes the customers that it needs."""
    async with opened(
        mongo_uri, tmp_path_factory.mktemp("portal"), mongo_client, development=True, controller=HOUSE
    ) as platform:
        made = place_of(platform)
        yield made
        for each in made.clients:
            await each.aclose()


@pytest.fixture(scope="module")
async def eleanor(place):
    """A customer to make pictures of."""
    bought = [
        order(day, total=total, items=[{"sku": f"LP-{day}", "title": title, "quantity": 1}], units=1)
        for day, total, title in ((1, 1188, "Burning Avenue"), (40, 2953, "Silent Harbour"))
    ]
    made = await place.create(
        901,
        overrides={
            "given_name": "Eleanor",
            "family_name": "Whitfield",
            "email": "eleanor.whitfield@example.org",
            "street": "418 Alder Street, Apt 5",
            "postal_code": "97205",
            "city": "Portland",
            "country": "US",
            "region": "amer",
            "language": "en",
            "birth_date": "1958-03-09",
            "phone": "+19715550142",
            "national_id": "000-58-1942",
            "loyalty_tier": "silver",
            "notes": ["Asked us to call in the evening."],
            "traits": {"shoe_size": "39"},
        },
        consents=granted("email_marketing"),
        orders=bought,
        tickets=(ticket(1),),
    )
    await place.look(made, "marketer", "email_marketing", actor="mia.staff", case=None)
    await place.look(made, "support_agent", "order_support")
    await place.look(made)
    return made


@pytest.fixture(scope="module")
async def ada(place):
    """A customer of whom everything is known, and whom some have looked at."""
    made = await place.create(900, consents=granted("marketing"), orders=(order(1), order(2)), tickets=(ticket(1),))
    await place.look(made)
    await place.look(made, "marketer", "marketing", actor="mia.staff", case=None)
    return made
