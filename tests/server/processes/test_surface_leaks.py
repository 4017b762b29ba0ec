"""What customers, staff and other systems do at a served deployment leaves no value and no secret of theirs in clear.

A person signs in to the portal, corrects, asks, copies; a controller hands on a request; support signs in, looks somebody
up and breaks the glass. Then logs, traces, the data directory and every byte of the engine are searched for what was
typed, shown and given out.
"""

import asyncio
import contextlib
import html
import re
import uuid

import httpx
import pyotp
import pytest

from server.database import close, connect
from server.engine import EmbeddedEngine
from tests.customers.outgoing.answering import always, answering, response
from tests.server.entry.doors import MailServer
from tests.server.opendsr.controller import key_pair
from tests.server.processes.deployment import deployed, free_port
from tests.server.processes.erased_bytes import Scanner, found_in
from tests.server.processes.test_staff_command import PASSWORD, added

CANARY = "zqsurface"
ADDRESS = f"{CANARY}-mail@canary.example"
PLANTED = "planted-in-a-trace"


class Browser:
    """Somebody at a browser, as far as HTTP goes: sends the forms that pages give out, and keeps cookies."""

    def __init__(self, origin):
        self.client = httpx.AsyncClient(
            base_url=origin, headers={"origin": origin}, follow_redirects=True, trust_env=False, timeout=30
        )
        self.page = None
        self.cookies = set()

    async def get(self, path):
        return self._seen(await self.client.get(path))

    async def post(self, path, **form):
        key = re.search(r'name="form_key" value="([^"]+)"', self.page.text)
        keyed = {"_": "", **({"form_key": key[1]} if key else {}), **form}
        return self._seen(await self.client.post(path, data=keyed))

    def _seen(self, page):
        assert page.status_code < 400, (page.url, page.text)
        self.cookies |= {each.value for each in self.client.cookies.jar if len(each.value or "") >= 16}
        self.page = page
        return html.unescape(page.text)


class Surface:
    """A served deployment, and every secret that it gave out."""

    def __init__(self, site, server, mail):
        self.site, self.server, self.mail = site, server, mail
        self.origin = f"http://127.0.0.1:{server.port}"
        self.secrets = set()

    async def letter(self):
        """The next letter; what lets somebody in stands in it."""
        for _ in range(300):
            if self.mail.taken:
                text = self.mail.taken.pop(0).text
                codes = re.findall(r"\b\d{4} \d{4}\b", text)
                links = re.findall(r"/portal(?:/sign-in|/prove|/progress)/(\S+)", text)
                self.secrets |= {*codes, *(each.replace(" ", "") for each in codes), *links}
                return text
            await asyncio.sleep(0.05)
        raise AssertionError("there was no letter")

    @contextlib.asynccontextmanager
    async def browser(self):
        made = Browser(self.origin)
        try:
            yield made
        finally:
            self.secrets |= made.cookies
            await made.client.aclose()


async def visit(surface):
    """What a customer does in the portal."""
    async with surface.browser() as browser:
        await browser.get("/portal/sign-in")
        await browser.post("/portal/sign-in", address=ADDRESS)
        link = re.search(r"/portal/sign-in/\S+", await surface.letter())[0]
        await browser.get(link)
        assert f"{CANARY}-given" in await browser.post(link)
        await browser.get("/portal/correct/city")
        assert f"{CANARY}-city" in await browser.post("/portal/correct/city", value=f"{CANARY}-city")
        await browser.get("/portal/requests/new")
        said = await browser.post("/portal/requests/new", kind="rectification", reason=f"{CANARY}-reason")
        assert f"{CANARY}-reason" in said
        await browser.get("/portal/confirm?next=/portal/download")
        await browser.post("/portal/confirm")
        code = re.search(r"\b\d{4} \d{4}\b", await surface.letter())[0]
        await browser.post("/portal/confirm/code", code=code)
        await browser.get("/portal/download")
        copy = re.search(r"/portal/download/cop_\w+/file", await browser.post("/portal/download"))[0]
        assert (await browser.client.get(copy)).content[:2] == b"PK"
        await browser.get("/portal/correct/email")
        await browser.post("/portal/correct/email", value=f"{CANARY}-new@canary.example")
        await browser.get("/portal/looked")
    return browser


async def hand_on(surface):
    """What a controller sends by OpenDSR."""
    made = await surface.site.confide("accounts", "create", "partner", "--role", "request_sender")
    assert made.code == 0, made.err
    token = made.out.strip()
    surface.secrets.add(token)
    asked = {
        "regulation": "gdpr",
        "subject_request_id": str(uuid.uuid4()),
        "subject_request_type": "access",
        "submitted_time": "2026-10-02T15:00:00Z",
        "subject_identities": [{"identity_type": "email", "identity_value": ADDRESS, "identity_format": "raw"}],
        "api_version": "1.0",
    }
    sent = await surface.server.client.post(
        "/opendsr/requests", json=asked, headers={"authorization": f"Bearer {token}"}
    )
    assert sent.status_code == 201, sent.text


async def support(surface, staff_secret):
    """What one of the staff does at the console."""
    reason = f"{CANARY} reason: somebody is hurt, and the ambulance must know where to go."
    async with surface.browser() as browser:
        await browser.get("/console/sign-in")
        code = pyotp.TOTP(staff_secret).now()
        await browser.post(
            "/console/sign-in/local", name="ana", password=PASSWORD, code=code, next="/console/purpose"
        )
        await browser.post("/console/purpose", purpose="customer_service", case="T-77")
        await browser.get("/console/customers")
        assert f"{CANARY}-given" in await browser.post("/console/customers", by="email", value=ADDRESS)
        await browser.get("/console/break-glass")
        await browser.post("/console/break-glass", reason=reason, minutes="15", case="T-77")
        await browser.get("/console/customers")
        assert f"{CANARY}-note" in await browser.post("/console/customers", by="email", value=ADDRESS)


@contextlib.asynccontextmanager
async def served(processes, directory):
    """A deployment that serves everything there is, a mail server, and a collector of traces."""
    engine, port = await EmbeddedEngine.start(directory / "engine"), free_port()
    key, certificate = key_pair(directory)
    mail = await MailServer().start()
    async with (
        contextlib.AsyncExitStack() as stack,
        answering(always(response(body=b""))) as collector,
        deployed(directory / "site", processes, uri=engine.uri) as site,
    ):
        stack.push_async_callback(engine.kill)
        stack.push_async_callback(mail.stop)
        origin = f"http://127.0.0.1:{port}"
        site.environment |= {
            "CONFIDE_LOG_LEVEL": "DEBUG",
            "CONFIDE_PORTAL_ORIGIN": origin,
            "CONFIDE_SMTP_URI": f"smtp://127.0.0.1:{mail.port}",
            "CONFIDE_MAIL_FROM": "privacy@confide.example",
            "CONFIDE_OPENDSR_ORIGIN": origin,
            "CONFIDE_OPENDSR_KEY": str(key),
            "CONFIDE_OPENDSR_CERTIFICATE": str(certificate),
            "CONFIDE_OTLP_ENDPOINT": collector.url(""),
        }
        yield site, engine, collector, mail, port


@pytest.mark.timeout(300)
async def test_no_log_trace_or_byte_holds_what_people_typed_saw_or_came_in_with(processes, tmp_path):
    async with served(processes, tmp_path) as (site, engine, collector, mail, port):
        code, said, err = await added(site, "add", "ana", "--role", "support_agent")
        assert code == 0, err
        server = await (await site.serve(port=port)).ready()
        values = {"givenName": f"{CANARY}-given", "nationalId": f"{CANARY}-national", "notes": [f"{CANARY}-note"]}
        await site.create(server, email=ADDRESS, **values)
        surface = Surface(site, server, mail)
        await visit(surface)
        await hand_on(surface)
        await support(surface, said.split()[0])
        surface.secrets |= {PASSWORD, said.split()[0], *(each.split(".")[2] for each in site._tokens.values())}
        assert await server.stop() == 0

        for said_once in site.logs.glob("*-accounts.out"):  # to whom the account was made for
            said_once.unlink()
        looked_for = sorted({CANARY, *surface.secrets})
        assert len(looked_for) > 10, "there are links, codes, cookies, tokens and secrets of staff to be looked for"
        client = connect(engine.uri)
        site._client = client
        scanner = Scanner(site, engine=tmp_path / "engine")
        assert await scanner.faults(looked_for) == []
        await close(client)
        heard = b"".join(collector.heard)
        assert b"/v1/traces" in heard
        assert found_in(heard + PLANTED.encode(), [*looked_for, PLANTED]) == [PLANTED]
