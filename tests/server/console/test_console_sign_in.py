"""Signing in to the console: tokens, cookies, sessions that end, forms that come from elsewhere."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from bson import encode

from server.console.sessions import LONGEST
from tests.server.console.conftest import ORIGIN

CUSTOMER = "cus_abcdefghijklmnopqrstuvwxyz"
COOKIE = "confide_session"


def cookie_header(browser, name=COOKIE):
    """The Set-Cookie header that gave the browser its newest cookie of this name."""
    given = [
        header
        for page in (each for seen in browser.seen for each in (*seen.history, seen))
        for header in page.headers.get_list("set-cookie")
        if header.startswith(f"{name}=")
    ]
    return given[-1]


async def test_without_a_session_every_page_leads_to_the_sign_in_page_and_nothing_is_read(desk):
    browser, before = desk.browser(), len(await desk.world.records())
    for path in ("/console/", "/console/audit", "/console/audit/0a1b2c3d4e5f.0", "/console/audit/export"):
        await browser.get(path)
        assert (browser.page.url.path, browser.status) == ("/console/sign-in", 200)
        assert browser.page.url.params["next"] == path
    assert len(await desk.world.records()) == before


async def test_a_token_of_any_accepted_issuer_signs_in_and_its_page_follows(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token())
    assert (browser.status, browser.page.url.path) == (200, "/console/purpose")
    assert "hugo.audit" in browser.text


async def test_a_service_account_signs_in_for_eight_hours(desk):
    _, secret = await desk.accounts.create("auditing robot", roles=["auditor"])
    await desk.authenticator.reload()
    browser = desk.browser()
    await browser.sign_in(secret)
    assert browser.page.url.path == "/console/purpose"
    desk.clock.later = LONGEST - timedelta(minutes=1)
    assert (await browser.get("/console/purpose")).status == 200
    desk.clock.later = LONGEST + timedelta(minutes=1)
    assert "session has ended" in (await browser.get("/console/purpose")).text


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token())
    header = cookie_header(browser)
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in header.split(";")}
    assert "Secure" not in header  # plain http on loopback: a Secure cookie would be dropped
    safe = desk.browser(base="https://confide.example")
    await safe.get("/console/sign-in")
    await safe.post("/console/sign-in", {"token": desk.token()}, origin="https://confide.example")
    header = cookie_header(safe, f"__Host-{COOKIE}")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= {part.strip() for part in header.split(";")}


async def test_nobody_signs_in_over_plain_http_from_elsewhere(desk):
    base = "http://confide.example"
    browser = desk.browser(base=base)
    await browser.get("/console/sign-in")
    assert 'name="token"' not in browser.page.text
    assert "not safe to sign in" in browser.text
    await browser.post(
        "/console/sign-in", {"token": desk.token()}, origin=base, key=browser.client.cookies["confide_form"]
    )
    assert (browser.status, await desk.signed_in()) == (403, 0)


async def test_a_token_that_is_refused_opens_nothing_and_is_not_repeated(desk):
    browser = desk.browser()
    token = desk.token()[:-8] + "AAAAAAAA"
    await browser.sign_in(token, "/console/audit?actor=mia")
    assert browser.status == 401
    assert "There is a problem" in browser.text
    assert token not in browser.page.text
    assert "/console/audit?actor=mia" in browser.page.text  # where they wanted to go is not lost
    assert COOKIE not in browser.client.cookies
    await browser.post("/console/sign-in", {"token": ""})
    assert browser.status == 400


async def test_customers_do_not_sign_in_to_the_console(desk):
    browser = desk.browser()
    token = desk.issuer.issue(CUSTOMER, roles=["customer"], customer_id=CUSTOMER)
    await browser.sign_in(token)
    assert (browser.status, COOKIE in browser.client.cookies) == (403, False)
    assert "for staff" in browser.text


async def test_a_session_ends_with_its_token(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token(ttl=timedelta(minutes=30)))
    await browser.state("audit")
    desk.clock.later = timedelta(minutes=29)
    assert (await browser.get("/console/audit")).status == 200
    desk.clock.later = timedelta(minutes=31)
    await browser.get("/console/audit")
    assert (browser.status, await desk.signed_in()) == (401, 0)
    assert "session has ended" in browser.text


async def test_a_session_ends_after_eight_hours_however_long_its_token_is_good(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token(ttl=timedelta(hours=20)))
    desk.clock.later = timedelta(hours=7, minutes=59)
    assert (await browser.get("/console/purpose")).status == 200
    desk.clock.later = timedelta(hours=8, minutes=1)
    assert (await browser.get("/console/purpose")).status == 401


async def test_a_revoked_token_ends_its_session_with_the_next_page(desk):
    browser, other = await desk.auditor("leaving.audit"), await desk.auditor("other.audit")
    await desk.revocations.revoke_subject("leaving.audit")
    await desk.authenticator.reload()
    await browser.get("/console/audit")
    assert (browser.status, "revoked" in browser.text) == (401, True)
    assert (await other.get("/console/audit")).status == 200


async def test_signing_out_ends_the_session_on_the_server(desk):
    browser = await desk.auditor()
    kept = browser.client.cookies[COOKIE]
    await browser.post("/console/sign-out")
    assert browser.page.url.path == "/console/sign-in"
    thief = desk.browser()
    thief.client.cookies.set(COOKIE, kept, domain="127.0.0.1")
    assert "session has ended" in (await thief.get("/console/audit")).text


async def test_each_sign_in_has_a_new_session_and_the_old_one_ends(desk):
    browser = await desk.auditor()
    first = browser.client.cookies[COOKIE]
    form = {"token": desk.token(), "form_key": "k"}
    async with httpx.AsyncClient(transport=browser.client._transport, base_url=ORIGIN) as again:
        again.cookies.set(COOKIE, first)
        again.cookies.set("confide_form", "k")
        answer = await again.post("/console/sign-in", data=form, headers={"origin": ORIGIN})
    assert answer.status_code == 303
    assert answer.cookies[COOKIE] != first
    assert await desk.sessions.find(first) is None


async def test_a_session_is_kept_under_a_hash_and_is_never_written_out(desk):
    browser = await desk.auditor()
    opaque = browser.client.cookies[COOKIE]
    sessions = desk.sessions
    assert len(opaque) >= 43
    (kept,) = await desk.world.keys["staff_sessions"].find({}).to_list(None)
    session = await sessions.find(opaque)
    for secret in (opaque, session.token, session.form_key, "AUD-7"):
        assert secret.encode() not in encode(kept)
    assert session.actor.encode() in encode(kept)  # control: what is not secret is found
    assert session.token not in repr(session)
    assert session.form_key not in repr(session)
    assert await sessions.find(opaque[:-1]) is None


async def test_the_number_of_sessions_of_one_person_is_bounded(desk):
    sessions = desk.sessions
    first, _ = await sessions.open("ann", "t")
    for _ in range(8):
        await sessions.open("ann", "t")
    assert (await sessions.find(first), len(await sessions.of("ann"))) == (None, 8)
    other, _ = await sessions.open("bob", "t")
    assert await sessions.find(other) is not None
    desk.clock.later = timedelta(hours=9)
    await sessions.open("one-more", "t")
    assert await desk.signed_in() == 1


POSTS = [
    "/console/sign-out",
    "/console/purpose",
    "/console/audit",
    "/console/audit/export",
    "/console/audit/0a1b2c3d4e5f.0/verify",
]


@pytest.mark.parametrize("path", POSTS)
async def test_a_form_that_this_page_did_not_give_out_does_nothing(desk, path):
    browser, other = await desk.auditor(), await desk.auditor("other.audit")
    before = len(await desk.world.records())
    data = {"purpose": "audit", "case": "X-1", "form": "jsonl", "actor": "x"}
    key = browser.form_key()
    tries = [
        {"key": ""},
        {"key": "x" * len(key)},
        {"key": other.form_key()},
        {"key": key, "origin": "https://evil.example"},
        {"key": key, "origin": "null"},
        {"key": key, "origin": "http://127.0.0.1:9000"},
        {"key": key, "origin": None},
    ]
    for each in tries:
        await browser.post(path, data, **each)
        assert browser.status == 403, each
        assert "Nothing was done" in browser.text
    cross = {"origin": ORIGIN, "sec-fetch-site": "cross-site"}
    answer = await browser.client.post(path, data={**data, "form_key": key}, headers=cross)
    assert answer.status_code == 403
    session = await desk.sessions.find(browser.client.cookies[COOKIE])
    assert (session.purpose, session.case, desk.exports.jobs) == ("audit", "AUD-7", {})
    assert len(await desk.world.records()) == before
    # Control: the same form, from its own page, is taken.
    await browser.post(path, data, key=key)
    assert browser.status != 403


async def test_the_sign_in_form_needs_its_own_key_too(desk):
    browser = desk.browser()
    await browser.get("/console/sign-in")
    await browser.post("/console/sign-in", {"token": desk.token()}, key="guessed")
    assert (browser.status, COOKIE in browser.client.cookies) == (403, False)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"form_key=x", {"content-type": "text/plain"}, 415),
        (b"form_key=" + b"x" * 40_000, {}, 413),
        (b"&".join(b"a%d=1" % number for number in range(100)), {}, 400),
        (b"token=%ff", {}, 400),
        ("token=\u00e4".encode(), {}, 400),
        (b"token=a%00b", {}, 400),
        (b"token=x", {"content-encoding": "gzip"}, 415),
        (b"", {}, 403),
    ],
)
async def test_what_is_no_form_is_refused(desk, content, headers, status):
    client = desk.browser().client
    headers = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **headers}
    answer = await client.post("/console/sign-in", content=content, headers=headers)
    assert answer.status_code == status
    assert "text/html" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/",
        "//evil.example/",
        "/console/../evil",
        "/console\\@evil.example",
        "/elsewhere",
        "javascript:alert(1)",
        "/console/audit\r\nX: y",
    ],
)
async def test_signing_in_leads_nowhere_but_into_the_console(desk, following):
    browser = desk.browser()
    await browser.sign_in(desk.token(), following)
    assert browser.page.url.netloc.decode() == urlsplit(ORIGIN).netloc
    led_to = [each.headers["location"] for each in browser.page.history]
    assert all(each.startswith("/console/") for each in led_to)
    assert browser.status in (200, 404)


async def test_a_link_from_another_site_opens_the_page_all_the_same(desk):
    browser = await desk.auditor()
    # A strict cookie is not sent when the link is followed; the page asks for itself again, from here.
    stranger = desk.browser()
    page = await stranger.client.get("/console/audit?case=T-1", headers={"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh" content="0; url=/console/audit?case=T-1"' in page.text
    assert (await browser.get("/console/audit?case=T-1")).status == 200


async def test_behind_a_proxy_the_origin_is_the_one_that_is_set(desk):
    from server.console.forms import Site  # noqa: PLC0415 - only here

    desk.console._frame.site = Site("https://confide.example")
    browser = desk.browser(base="http://10.0.0.7:8000")
    await browser.get("/console/sign-in")
    key = browser.form_key()
    cookies = {"cookie": f"__Host-confide_form={key}"}
    form = {"token": desk.token(), "form_key": key}
    for origin, status in (("http://10.0.0.7:8000", 403), ("https://confide.example", 303)):
        answer = await browser.client.post("/console/sign-in", data=form, headers={"origin": origin, **cookies})
        assert answer.status_code == status
