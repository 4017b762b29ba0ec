"""Signing in through an identity provider: a real one in a process of its own, and one that lies as the test says."""

import asyncio
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from server.settings import Settings
from tests.server.console.conftest import ORIGIN

COOKIE = "confide_session"
GROUPS = {"confide-support": ("support_agent",), "confide-audit": ("auditor",)}
CLIENT = "confide-console"
FOLLOWING = "/console/purpose"


def settings(issuer, **more):
    wanted = {"issuer": issuer, "client_id": CLIENT, "roles": GROUPS, **more}
    return Settings(staff_oidc=wanted, staff_oidc_secret=SecretStr("a secret of ours"))


# ---- a real provider -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider():
    """An OpenID Connect provider in a process of its own, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    people = [
        {"sub": "ana", "groups": ["confide-support", "everybody"]},
        {"sub": "bob", "groups": ["everybody"]},
    ]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), "-n"]
    for person in people:
        command += ["--user-claims", json.dumps(person)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    origin = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                httpx.get(f"{origin}/.well-known/openid-configuration")
                break
            time.sleep(0.1)
        yield origin
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def site(house, provider, tmp_path):
    await house.world.keys["staff_sessions"].delete_many({})
    await house.world.keys["staff"].delete_many({})
    made = house.desk(tmp_path, staff=house.staff(settings(provider)))
    yield made
    await made.close()


async def authorised(address, subject):
    """What the provider answers when this person agrees: where their browser is sent."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def begun(site, following=FOLLOWING):
    """A browser on its way to the provider, and the provider's address."""
    browser = site.browser()
    answer = await browser.client.get("/console/sign-in/oidc", params={"next": following})
    assert answer.status_code == 303, answer.text
    return browser, answer.headers["location"]


async def signed_in(site, subject="ana"):
    browser, address = await begun(site)
    await browser.get(await authorised(address, subject))
    return browser


async def test_whoever_the_provider_vouches_for_has_the_roles_of_their_groups(site):
    browser = await signed_in(site)
    assert (browser.status, "You are signed in" in browser.text) == (200, True)
    assert f'content="0; url={FOLLOWING}"' in browser.page.text
    await browser.get(FOLLOWING)
    assert "sso:ana" in browser.text
    assert 'value="customer_service"' in browser.page.text
    assert 'value="audit"' not in browser.page.text
    (record,) = [each for each in await site.world.records() if each.operation == "console sign-in oidc"][-1:]
    assert (record.actor, record.roles) == ("sso:ana", ("support_agent",))


async def test_the_request_carries_state_nonce_and_a_challenge_that_nobody_else_can_answer(site):
    (_, first), (_, second) = await begun(site), await begun(site)
    asked, again = (dict(parse_qsl(urlsplit(each).query)) for each in (first, second))
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert asked["redirect_uri"] == f"{ORIGIN}/console/sign-in/oidc/back"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != again[name]


async def test_whoever_has_no_group_with_a_role_stays_outside(site):
    browser = await signed_in(site, "bob")
    assert (browser.status, "none of your groups has a role" in browser.text) == (401, True)
    assert await site.signed_in() == 0


async def test_an_answer_is_good_once_and_in_its_own_browser_alone(site):
    browser, address = await begun(site)
    back = await authorised(address, "ana")
    thief = site.browser()
    await thief.get(back)
    assert (thief.status, "not begun in this browser" in thief.text) == (401, True)
    other, _ = await begun(site)
    await other.get(back)
    assert other.status == 401
    kept = browser.client.cookies["confide_arriving"]
    await browser.get(back)
    assert browser.status == 200  # control: in its own browser it is good
    browser.client.cookies.set("confide_arriving", kept, domain="127.0.0.1")
    await browser.get(back)
    assert browser.status == 401
    assert await site.signed_in() == 1


async def test_an_answer_without_its_state_or_with_another_is_refused(site):
    for change in (("state=", "state=x"), ("state=", "nothing="), ("?", "?state=x&")):
        browser, address = await begun(site)
        back = await authorised(address, "ana")
        await browser.get(back.replace(*change, 1))
        assert browser.status == 401, change
    assert await site.signed_in() == 0


async def test_an_answer_that_comes_too_late_is_refused(site):
    browser, address = await begun(site)
    back = await authorised(address, "ana")
    site.clock.later = timedelta(minutes=10)
    await browser.get(back)
    assert (browser.status, "too long ago" in browser.text) == (401, True)


async def test_whoever_was_disabled_is_signed_out_by_the_next_page_and_stays_out(site):
    browser = await signed_in(site)
    accounts = site.console._frame.staff.accounts
    await accounts.set_disabled("sso:ana", disabled=True)
    await browser.get(FOLLOWING)
    assert (browser.status, "may not sign in any more" in browser.text) == (401, True)
    again = await signed_in(site)
    assert (again.status, "may not sign in here any more" in again.text) == (401, True)
    await accounts.set_disabled("sso:ana", disabled=False)
    assert (await signed_in(site)).status == 200


async def test_other_rights_for_a_group_are_felt_by_the_next_page(site, house, provider, tmp_path):
    browser = await signed_in(site)
    changed = house.desk(tmp_path, staff=house.staff(settings(provider, roles={"everybody": ("auditor",)})))
    other = changed.browser()
    other.client.cookies.update(browser.client.cookies)
    await other.get(FOLLOWING)
    assert 'value="audit"' in other.page.text
    assert 'value="customer_service"' not in other.page.text
    none = house.desk(tmp_path, staff=house.staff(settings(provider, roles={"nobody": ("auditor",)})))
    last = none.browser()
    last.client.cookies.update(browser.client.cookies)
    await last.get(FOLLOWING)
    assert (last.status, "has a role here any more" in last.text) == (401, True)
    await changed.close()
    await none.close()


async def test_a_session_that_was_put_into_the_browser_before_is_another_after(site):
    browser, address = await begun(site)
    fixed, _ = await site.sessions.open("sso:mallory", "t")
    browser.client.cookies.set(COOKIE, fixed, domain="127.0.0.1")
    await browser.get(await authorised(address, "ana"))
    assert browser.status == 200
    assert await site.sessions.find(fixed) is None
    assert [each.actor for each in await site.sessions.of("sso:ana")] == ["sso:ana"]


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "/console\\@evil.example", "x"])
async def test_signing_in_leads_nowhere_but_into_the_console(site, following):
    browser, address = await begun(site, following)
    await browser.get(await authorised(address, "ana"))
    assert re.search(r'content="0; url=([^"]*)"', browser.page.text)[1] == "/console/"


# ---- a provider that lies --------------------------------------------------------------------------------------------

KEY, OTHER_KEY = (ECKey.generate_key("P-256", {"kid": "k1", "alg": "ES256"}, private=True) for _ in range(2))
ISSUER = "https://idp.example"
_ALL = ["ES256", "HS256"]


class Liar:
    """A provider in memory. It is a good one until it is told otherwise."""

    def __init__(self, clock):
        self.clock = clock
        self.claims, self.header, self.key = {}, {"alg": "ES256", "kid": "k1"}, KEY
        self.about, self.status, self.whole = {}, 200, None
        self.asked = []
        self.nonce = None
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/jwks", self.jwks),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    def client(self):
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    async def configuration(self, _):
        endpoints = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        about = {name: f"{ISSUER}/{path}" for name, path in endpoints.items()}
        return JSONResponse({"issuer": ISSUER, **about, **self.about})

    async def jwks(self, _):
        return JSONResponse(KeySet([KEY]).as_dict(private=False))

    async def token(self, request):
        self.asked.append((dict(parse_qsl((await request.body()).decode())), request.headers.get("authorization")))
        if self.whole is not None:
            return JSONResponse(self.whole, self.status)
        now = int(self.clock().timestamp())
        claims = {"iss": ISSUER, "aud": CLIENT, "sub": "ana", "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims |= {"groups": ["confide-support"], **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({**self.header, "alg": self.header["alg"] or "ES256"}, claims, self.key, algorithms=_ALL)
        if self.header["alg"] is None:
            unsigned = urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
            token = f"{unsigned}.{token.split('.')[1]}.{token.split('.')[2]}"
        return JSONResponse({"id_token": token, "access_token": "x", "token_type": "Bearer"}, self.status)


@pytest.fixture
async def lying(house, tmp_path):
    """A site whose provider lies, and `come`: somebody who signs in through it."""
    await house.world.keys["staff_sessions"].delete_many({})
    await house.world.keys["staff"].delete_many({})
    liar = Liar(house.clock)

    def at(**more):
        made = house.desk(tmp_path, staff=house.staff(settings(ISSUER, **more), client=liar.client))

        async def come(query="code=c"):
            browser, address = await begun(made)
            asked = dict(parse_qsl(urlsplit(address).query))
            liar.nonce = asked["nonce"]
            liar.challenge = asked["code_challenge"]
            return await browser.get(f"/console/sign-in/oidc/back?{query}&state={asked['state']}")

        made.come = come
        return made

    liar.site = at
    return liar


async def test_a_good_provider_is_believed_and_is_shown_the_verifier_and_the_secret(lying):
    site = lying.site()
    browser = await site.come()
    assert (browser.status, await site.signed_in()) == (200, 1)
    ((form, authorization),) = lying.asked
    assert authorization.startswith("Basic ")
    assert (form["grant_type"], form["code"]) == ("authorization_code", "c")
    assert form["redirect_uri"] == f"{ORIGIN}/console/sign-in/oidc/back"
    hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert urlsafe_b64encode(hashed).decode().rstrip("=") == lying.challenge


LIES = {
    "nonce of another sign-in": {"claims": {"nonce": "x" * 43}},
    "no nonce": {"claims": {"nonce": None}},
    "audience of another application": {"claims": {"aud": "somebody-else"}},
    "no audience": {"claims": {"aud": None}},
    "two audiences and no party": {"claims": {"aud": [CLIENT, "somebody-else"]}},
    "two audiences and another party": {"claims": {"aud": [CLIENT, "other"], "azp": "other"}},
    "another party": {"claims": {"azp": "other"}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "no subject": {"claims": {"sub": None}},
    "a subject that is no name": {"claims": {"sub": "ana\nforged: line"}},
    "expired": {"claims": {"exp": 1_700_000_000}},
    "not expiring": {"claims": {"exp": None}},
    "from the future": {"claims": {"iat": 4_000_000_000}},
    "forged": {"key": OTHER_KEY},
    "signed with what everybody knows": {"header": {"alg": "HS256"}, "key": OctKey.import_key(CLIENT * 4)},
    "not signed": {"header": {"alg": None}},
    "no token": {"whole": {"access_token": "x"}},
    "code refused": {"whole": {"error": "invalid_grant"}, "status": 400},
    "out of order": {"whole": {}, "status": 500},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_provider_that_lies_lets_nobody_in(lying, lie):
    for name, value in LIES[lie].items():
        setattr(lying, name, value)
    site = lying.site()
    browser = await site.come()
    assert browser.status in (401, 503), browser.text
    assert COOKIE not in browser.client.cookies
    assert (await site.signed_in(), await site.world.keys["staff"].find({}).to_list(None)) == (0, [])
    assert "forged" not in browser.page.text


@pytest.mark.parametrize(
    ("about", "query", "status"),
    [
        ({}, "code=c&iss=https://evil.example", 401),
        ({"authorization_response_iss_parameter_supported": True}, "code=c", 401),
        ({"authorization_response_iss_parameter_supported": True}, f"code=c&iss={ISSUER}", 200),
        ({}, "error=access_denied", 401),
        ({}, "code=c&code=d", 401),
        ({}, "", 401),
    ],
)
async def test_an_answer_is_read_as_the_standards_say(lying, about, query, status):
    lying.about = about
    assert (await lying.site().come(query)).status == status


@pytest.mark.parametrize(
    "about",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://idp.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_provider_that_says_wrong_things_of_itself_is_not_gone_to(lying, about):
    lying.about = about
    browser = lying.site().browser()
    answer = await browser.client.get("/console/sign-in/oidc")
    assert (answer.status_code, "location" in answer.headers) == (503, False)


async def test_one_answer_that_is_sent_many_times_at_once_opens_one_session(lying):
    site = lying.site()
    browser, address = await begun(site)
    asked = dict(parse_qsl(urlsplit(address).query))
    lying.nonce = asked["nonce"]
    cookie = {"cookie": f"confide_arriving={browser.client.cookies['confide_arriving']}"}
    back = f"/console/sign-in/oidc/back?code=c&state={asked['state']}"
    client = site.browser().client
    answers = await asyncio.gather(*(client.get(back, headers=cookie) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [401] * 7
    assert await site.signed_in() == 1


async def test_a_name_that_changes_hands_opens_nothing_of_its_first_owners(lying):
    lying.claims = {"preferred_username": "ana", "sub": "1"}
    site = lying.site(actor_claim="preferred_username")
    assert (await site.come()).status == 200
    lying.claims["sub"] = "2"
    browser = await site.come()
    assert (browser.status, "belonged to somebody else" in browser.text) == (401, True)


async def test_an_address_counts_when_the_provider_has_verified_it(lying):
    lying.claims = {"email": "ana@example.org", "email_verified": False}
    site = lying.site(actor_claim="email")
    assert (await site.come()).status == 401
    lying.claims["email_verified"] = True
    assert (await site.come()).status == 200


async def test_a_group_is_never_a_customer(lying):
    with pytest.raises(ValueError, match="no group of staff may have the role customer"):
        lying.site(roles={"x": ("customer",)})


async def test_without_a_provider_its_addresses_are_none(desk):
    for path in ("/console/sign-in/oidc", "/console/sign-in/oidc/back?code=c&state=s"):
        assert (await desk.browser().get(path)).status == 404


# ---- the provider ends sessions --------------------------------------------------------------------------------------

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT = "/console/sign-in/oidc/logout"


def logout_token(lying, key=KEY, header=None, **claims):
    now = int(lying.clock().timestamp())
    said = {
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": now,
        "exp": now + 120,
        "jti": os.urandom(8).hex(),
        "sub": "ana",
        "events": {EVENT: {}},
    }
    said = {name: value for name, value in (said | claims).items() if value is not None}
    return jwt.encode(
        {"alg": "ES256", "kid": "k1", "typ": "logout+jwt", **(header or {})}, said, key, algorithms=_ALL
    )


async def ending(site, token):
    """What the provider is answered, which has no browser."""
    return await site.browser().client.post(LOGOUT, data={"logout_token": token})


@pytest.mark.parametrize("what", [{}, {"sid": "s1"}, {"sid": "s1", "sub": None}])
async def test_whom_the_provider_signs_out_is_signed_out_and_nobody_else(lying, what):
    lying.claims = {"sid": "s1"}
    site = lying.site()
    browser = await site.come()
    lying.claims = {"sid": "s2", "sub": "bob"}
    other = await site.come()
    assert await site.signed_in() == 2
    answer = await ending(site, logout_token(lying, **what))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    await browser.get(FOLLOWING)
    assert browser.status == 401
    assert (await other.get(FOLLOWING)).status == 200
    # Again, and of somebody who was never here: nothing is left to end, which is what was wanted.
    for token in (logout_token(lying, **what), logout_token(lying, sub="nobody", sid=None)):
        assert (await ending(site, token)).status_code == 200
    assert await site.signed_in() == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"key": OTHER_KEY},
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": None},
        {"jti": None},
        {"events": None},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"nonce": "an ID token's"},
        {"sub": None},
        {"sub": "ana\nforged: line"},
        {"header": {"typ": "at+jwt"}},
    ],
)
async def test_nobody_is_signed_out_by_what_is_no_logout_token_of_the_provider(lying, lie):
    site = lying.site()
    await site.come()
    answer = await ending(site, logout_token(lying, **lie))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "forged" not in answer.text
    assert await site.signed_in() == 1


async def test_a_logout_token_that_is_sent_again_ends_no_session_that_began_since(lying):
    site = lying.site()
    await site.come()
    token = logout_token(lying)
    assert (await ending(site, token)).status_code == 200
    assert await site.signed_in() == 0
    browser = await site.come()
    assert (await ending(site, token)).status_code == 200
    assert (await browser.get(FOLLOWING)).status == 200
    assert (await ending(site, logout_token(lying))).status_code == 200  # the control: another ends it
    assert await site.signed_in() == 0


async def test_a_logout_token_signs_nobody_in(lying):
    site = lying.site()
    lying.whole = {"id_token": logout_token(lying, groups=["confide-support"]), "token_type": "Bearer"}
    browser = await site.come()
    assert (browser.status, await site.signed_in()) == (401, 0)


async def test_another_provider_gives_nobody_the_name_that_the_first_one_gave(lying):
    site = lying.site()
    assert (await site.come()).status == 200
    staff = site.world.keys["staff"]
    assert (await staff.find_one({"_id": "sso:ana"}))["issuer"] == ISSUER
    await staff.update_one({"_id": "sso:ana"}, {"$set": {"issuer": "https://old.example"}})
    browser = await site.come()
    assert (browser.status, "another identity provider gave this name" in browser.text) == (401, True)
    # Accounts from before issuers were kept are taken along.
    await staff.update_one({"_id": "sso:ana"}, {"$unset": {"issuer": ""}})
    assert (await site.come()).status == 200
    assert (await staff.find_one({"_id": "sso:ana"}))["issuer"] == ISSUER
