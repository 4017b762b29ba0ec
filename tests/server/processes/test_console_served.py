"""The console as `confide serve` serves it: where it is, what it takes in, and what it leaves in logs and traces."""

import asyncio
import contextlib
import re
import signal
import time

import httpx
import pytest

from tests.server.processes.deployment import READER
from tests.server.processes.test_stalled_bodies import health, status

FORM = (
    b"POST /console/sign-in HTTP/1.1\r\nhost: %s\r\norigin: http://%s\r\n"
    b"content-type: application/x-www-form-urlencoded\r\n"
)


class Desk:
    """Somebody at a browser, as far as HTTP goes."""

    def __init__(self, server):
        self.origin = f"http://127.0.0.1:{server.port}"
        self.client = httpx.AsyncClient(
            base_url=self.origin, headers={"origin": self.origin}, follow_redirects=True, trust_env=False, timeout=30
        )
        self.page = None

    async def get(self, path):
        self.page = await self.client.get(path)
        return self.page

    async def post(self, path, **form):
        key = re.search(r'name="form_key" value="([^"]+)"', self.page.text)[1]
        self.page = await self.client.post(path, data={"form_key": key, **form})
        return self.page

    async def sign_in(self, token, purpose="audit", case="AUD-7"):
        await self.get("/console/sign-in")
        await self.post("/console/sign-in", token=token)
        await self.post("/console/purpose", purpose=purpose, case=case)
        assert self.page.status_code == 200, self.page.text
        return self


@contextlib.asynccontextmanager
async def at(server):
    desk = Desk(server)
    try:
        yield desk
    finally:
        await desk.client.aclose()


@pytest.fixture(scope="module")
async def server(shared):
    return await shared.served(CONFIDE_BODY_SECONDS="1")


async def test_the_console_is_where_people_look_for_it(shared, server):
    async with at(server) as desk:
        for path in ("/", "/console", "/console/", "/console/audit"):
            page = await desk.get(path)
            assert (page.status_code, page.url.path) == (200, "/console/sign-in"), path
        assert (await desk.get("/consoles")).status_code == 404
        assert (await desk.get("/console/nothing/here")).status_code == 404
    development = await shared.served(CONFIDE_DEVELOPMENT="true")
    async with at(development) as desk:
        page = await desk.get("/")
        assert re.findall(r'<a href="(/[^"]+/)"', page.text)[-2:] == ["/console/", "/graphiql/"]
        assert "nonce-" in page.headers["content-security-policy"]
    assert await development.stop() == 0


async def test_a_session_is_kept_in_a_cookie_that_only_this_server_gets(shared, server):
    async with at(server) as desk:
        await desk.sign_in(shared.token("hugo", "auditor"))
        (cookie,) = [each for each in desk.client.cookies.jar if each.name == "confide_session"]
        assert (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == ("/", True)
        assert cookie.get_nonstandard_attr("SameSite", "").lower() == "strict"
        assert not cookie.secure, "on loopback, over http"
        page = await desk.client.get("/console/sign-in", headers={"x-forwarded-proto": "https"})
        assert page.url.path == "/console/audit", "what a client says of a proxy is not believed"
        page = await desk.client.get("/console/sign-in", headers={"host": "confide.example", "cookie": ""})
        assert "CONFIDE_CONSOLE_ORIGIN" in page.text
    behind = await shared.served(CONFIDE_CONSOLE_ORIGIN="https://Confide.Example:443/".rstrip("/"))
    async with at(behind) as desk:
        page = await desk.get("/console/sign-in")
        (header,) = page.headers.get_list("set-cookie")
        assert header.startswith("__Host-confide_form=")
        assert "; Secure" in header
        cookie = header.partition(";")[0]
        for origin, code in (("https://confide.example", 401), (desk.origin, 403), ("https://evil.example", 403)):
            key = re.search(r'name="form_key" value="([^"]+)"', page.text)[1]
            headers = {"origin": origin, "cookie": cookie}
            answer = await desk.client.post("/console/sign-in", data={"form_key": key, "token": "x"}, headers=headers)
            assert answer.status_code == code, origin
    assert await behind.stop() == 0


async def opened(server, rest):
    """A connection on which the head of a form was sent, and what goes on it."""
    host = b"127.0.0.1:%d" % server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(FORM % (host, host) + rest)
    return reader, writer


async def test_a_gigabyte_is_refused_before_it_is_sent(server):
    reader, writer = await opened(server, b"content-length: 1073741824\r\n\r\n")
    assert await status(reader) == 413
    assert b"connection: close" in (await asyncio.wait_for(reader.read(), 5)).lower()
    writer.close()


async def test_a_body_of_unknown_length_is_read_no_further_than_a_form_goes(server):
    reader, writer = await opened(server, b"transfer-encoding: chunked\r\n\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(4096):  # four gigabytes, if anybody took them
            writer.write(b"100000\r\n" + b"a" * 0x100000 + b"\r\n")
            await asyncio.wait_for(writer.drain(), 5)
            sent += 1
    assert sent < 64
    with contextlib.suppress(ConnectionError):
        assert await status(reader) == 413
    writer.close()
    assert await health(server.port) == 200


async def test_a_form_that_does_not_arrive_is_given_up_in_time(server):
    began = time.monotonic()
    reader, writer = await opened(server, b"content-length: 100\r\n\r\ntoken=")
    assert await status(reader) == 408
    assert 1 <= time.monotonic() - began < 5
    assert b"connection: close" in (await asyncio.wait_for(reader.read(), 5)).lower()
    writer.close()


async def test_however_many_forms_stall_health_and_people_are_answered(shared):
    server = await shared.served(CONFIDE_BODY_SECONDS="300")
    writers = []
    try:
        for _ in range(12):
            for _ in range(100):
                reader, writer = await opened(server, b"content-length: 100\r\n\r\ntoken=")
                writers.append(writer)
            assert await health(server.port) == 200
        assert not reader.at_eof(), "the control: the newest are waited for still"
        async with at(server) as desk:
            await desk.sign_in(shared.token("hugo", "auditor"))
    finally:
        for writer in writers:
            writer.close()
    assert await server.stop() == 0


async def test_a_server_that_is_told_to_stop_answers_the_pages_that_were_asked_for(shared):
    server = await shared.served()
    async with at(server) as desk:
        await desk.sign_in(shared.token("hugo", "auditor"))
        asked = [asyncio.create_task(desk.client.get("/console/audit")) for _ in range(5)]
        await asyncio.sleep(0.3)
        server.process.signal(signal.SIGTERM)
        for page in await asyncio.gather(*asked):
            assert (page.status_code, "newest first" in page.text) == (200, True), page.text[-600:]
        assert await server.process.wait(20) == 0
        with pytest.raises(httpx.ConnectError):
            await desk.client.get("/console/audit")


async def test_a_form_that_is_on_its_way_when_the_server_is_told_to_stop_is_answered(shared):
    server = await shared.served()
    reader, writer = await opened(server, b"content-length: 7\r\n\r\ntok")
    await asyncio.sleep(0.2)
    server.process.signal(signal.SIGTERM)
    await asyncio.sleep(1)
    assert server.process.code is None
    writer.write(b"en=x")
    assert await status(reader) == 403, "it brought no key"
    writer.close()
    assert await server.process.wait(20) == 0


SOUGHT = "canary.who.is.searched.for"


async def test_logs_and_traces_say_that_the_console_was_asked_and_nothing_else_of_it(shared, web_server):
    collector = f"http://127.0.0.1:{web_server.port}"
    server = await shared.served(CONFIDE_LOG_LEVEL="DEBUG", CONFIDE_OTLP_ENDPOINT=collector)
    customer = await shared.create(server, givenName="Wilhelmina")
    read = await shared.ask(server, READER, "query Read($id: ID!) { profile(id: $id) { givenName } }", id=customer)
    async with at(server) as desk:
        token = shared.token("hugo", "auditor")
        await desk.sign_in(token, case="AUD-4711")
        await desk.get(f"/console/audit?actor={SOUGHT}")
        await desk.post("/console/audit", customer=customer)
        address = str(desk.page.url)
        assert customer not in address
        assert read.entry in desk.page.text
        await desk.get(f"/console/audit/{read.entry}")
        await desk.post(f"/console/audit/{read.entry}/verify")
        assert "Verified" in desk.page.text
        receipt = await desk.get(f"/console/audit/{read.entry}/receipt")
        assert receipt.text.startswith("c2sp.org/tlog-proof@v1")
        session = desk.client.cookies["confide_session"]
        await desk.get("/console/audit/nonsense.canary")
    assert await server.stop() == 0
    written = server.process.err
    exported = b"".join(web_server.received)
    assert written.count('"route":"/console"') >= 8
    assert b"/console" in exported
    for secret in (SOUGHT, customer, read.entry, "AUD-4711", session, token.split(".")[2], "nonsense", "/audit/"):
        assert secret not in written, secret
        assert secret.encode() not in exported, secret
