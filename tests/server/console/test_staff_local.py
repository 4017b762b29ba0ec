"""Local accounts: the right name, password and code sign in; nothing else does, and nothing says why."""

import asyncio
import contextlib
from datetime import timedelta

import pyotp
import pytest
from bson import encode

from server.access.claims import STAFF_PREFIX
from server.console.sessions import IDLE
from server.console.staff import StaffInvalidError, StaffNotFoundError
from server.console.staff.errors import SignInRefusedError, TooManyTriesError
from server.console.staff.passwords import check_new
from server.console.staff.tries import FREE, pause
from server.errors import LocalIssuerError
from tests.server.console.conftest import ORIGIN

PASSWORD = "quiet harbour lantern seven"
WRONG = "quiet harbour lantern eight"
COOKIE = "confide_session"


@pytest.fixture
async def ana(desk):
    """A desk with an account `ana`, and her authenticator."""
    for name in ("staff", "staff_tries"):
        await desk.world.keys[name].delete_many({})
    made = await desk.console._frame.staff.accounts.add("ana", PASSWORD, roles=["support_agent"])
    desk.code = lambda later=0: pyotp.TOTP(made.secret).at(desk.clock() + timedelta(seconds=later))
    desk.door = desk.console._frame.staff.local
    desk.staff_accounts = desk.console._frame.staff.accounts
    desk.secret = made.secret
    return desk


async def signing_in(desk, name="ana", password=PASSWORD, code=None, browser=None, following="/console/purpose"):
    browser = browser or desk.browser()
    await browser.get("/console/sign-in", params={"next": following})
    form = {"name": name, "password": password, "code": desk.code() if code is None else code, "next": following}
    return await browser.post("/console/sign-in/local", form)


async def test_the_right_name_password_and_code_sign_in_and_it_is_recorded(ana):
    browser = await signing_in(ana)
    assert (browser.status, browser.page.url.path) == (200, "/console/purpose")
    assert "staff:ana" in browser.text
    (record,) = [each for each in await ana.world.records() if each.operation == "console sign-in local"]
    assert (record.actor, record.roles) == ("staff:ana", ("support_agent",))


@pytest.mark.parametrize(
    ("name", "password", "later"),
    [("bob", PASSWORD, 0), ("ana", WRONG, 0), ("ana", PASSWORD, 3600), ("ana", "", 0), ("\u00e4na", PASSWORD, 0)],
)
async def test_anything_else_is_refused_in_the_same_words(ana, name, password, later):
    browser = await signing_in(ana, name, password, ana.code(later))
    assert (browser.status, COOKIE in browser.client.cookies) == (401, False)
    assert "The name, the password or the code is not right" in browser.text
    assert password == "" or password not in browser.page.text


async def test_a_disabled_account_is_refused_in_the_same_words(ana):
    await ana.staff_accounts.set_disabled("staff:ana", disabled=True)
    browser = await signing_in(ana)
    assert browser.status == 401
    assert "The name, the password or the code is not right" in browser.text


async def test_a_code_is_good_once_and_so_is_every_older_one(ana):
    code, newer = ana.code(), ana.code(30)
    assert (await ana.door.enter("ana", PASSWORD, code)).actor == "staff:ana"
    for spent in (code, ana.code(-30)):
        with pytest.raises(SignInRefusedError):
            await ana.door.enter("ana", PASSWORD, spent)
    # Control: the next one was not spent.
    assert await ana.door.enter("ANA ", PASSWORD, f"{newer[:3]} {newer[3:]}")


async def test_a_code_that_many_send_at_once_lets_one_of_them_in(ana):
    code = ana.code()
    tried = await asyncio.gather(
        *(ana.door.enter("ana", PASSWORD, code) for _ in range(FREE)), return_exceptions=True
    )
    assert [isinstance(each, SignInRefusedError) for each in tried].count(False) == 1


async def test_many_guesses_at_once_are_not_many_for_the_price_of_one(ana):
    tried = await asyncio.gather(*(ana.door.enter("ana", WRONG, "000000") for _ in range(40)), return_exceptions=True)
    looked_at = [each for each in tried if isinstance(each, SignInRefusedError)]
    assert len(looked_at) == FREE
    assert {type(each) for each in tried} == {SignInRefusedError, TooManyTriesError}


@pytest.mark.parametrize("name", ["ana", "nobody"])
async def test_too_many_tries_have_to_wait_and_longer_each_time_whether_there_is_an_account_or_not(ana, name):
    for _ in range(FREE):
        assert (await signing_in(ana, name, WRONG)).status == 401
    locked = await signing_in(ana, name)
    assert locked.status == 429
    assert 0 < int(locked.page.headers["retry-after"]) <= 30
    assert "Too many tries with this name. Try again in" in locked.text
    ana.clock.later = timedelta(seconds=31)
    assert (await signing_in(ana, name, WRONG)).status == 401
    ana.clock.later = timedelta(seconds=31 + 31)
    assert (await signing_in(ana, name)).status == 429
    ana.clock.later = timedelta(seconds=31 + 61)
    # Control: after waiting, the right ones are right; for a name that there is not they never are.
    assert (await signing_in(ana, name)).status == (200 if name == "ana" else 401)


def test_the_pause_doubles_up_to_a_quarter_of_an_hour():
    seconds = [pause(failures).total_seconds() for failures in range(1, 14)]
    assert seconds == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900, 900]
    assert pause(10_000) == pause(13)


async def test_a_success_forgets_the_failures_before_it(ana):
    for _ in range(FREE - 1):
        await signing_in(ana, password=WRONG)
    assert (await signing_in(ana)).status == 200
    assert await ana.world.keys["staff_tries"].find({}).to_list(None) == []


async def test_a_name_that_there_is_not_costs_the_same_work(ana):
    """The same questions to the database in the same order, one hash verified, one code looked at."""
    await ana.door._tries._prepare()
    work = {}
    for name, password, code in (
        ("ana", WRONG, "000000"),
        ("nobody", WRONG, "000000"),
        ("right", PASSWORD, ana.code()),
    ):
        seen, door = [], ana.door
        watching = [(ana.staff_accounts, "_documents"), (door._tries, "_documents"), (door._passwords, "_hasher")]
        for part, place in watching:
            setattr(part, place, Watched(getattr(part, place), type(part).__name__, seen))
        with contextlib.suppress(SignInRefusedError):
            await door.enter("ana" if name == "right" else name, password, code)
        for part, place in watching:
            setattr(part, place, getattr(part, place).watched)
        work[name] = seen
    assert work["ana"] == work["nobody"]
    assert work["right"] != work["ana"]  # control: other work is seen
    assert {"Passwords.verify", "StaffAccounts.find_one", "StaffAccounts.update_one"} <= set(work["ana"])


class Watched:
    """Says what it is asked."""

    def __init__(self, watched, at, seen):
        self.watched, self._at, self._seen = watched, at, seen

    def __getattr__(self, name):
        self._seen.append(f"{self._at}.{name}")
        return getattr(self.watched, name)


async def test_whoever_is_disabled_or_has_other_roles_feels_it_with_the_next_page(ana):
    browser = await signing_in(ana)
    await ana.staff_accounts.set_roles("staff:ana", ["auditor"])
    await browser.get("/console/purpose")
    assert 'value="audit"' in browser.page.text
    assert 'value="customer_service"' not in browser.page.text
    await ana.staff_accounts.set_disabled("staff:ana", disabled=True)
    await browser.get("/console/purpose")
    assert (browser.status, "may not sign in any more" in browser.text) == (401, True)
    assert COOKIE not in browser.client.cookies
    await ana.staff_accounts.set_disabled("staff:ana", disabled=False)
    assert await ana.signed_in() == 0


async def test_new_secrets_sign_everybody_out_and_the_old_ones_are_good_no_more(ana):
    browser = await signing_in(ana)
    made = await ana.staff_accounts.reset("ana", "another long harbour")
    await browser.get("/console/purpose")
    assert (browser.status, "was changed" in browser.text) == (401, True)
    with pytest.raises(SignInRefusedError):
        await ana.door.enter("ana", PASSWORD, pyotp.TOTP(made.secret).at(ana.clock()))
    with pytest.raises(SignInRefusedError):
        await ana.door.enter("ana", "another long harbour", ana.code())
    assert await ana.door.enter("ana", "another long harbour", pyotp.TOTP(made.secret).at(ana.clock()))


async def test_a_revocation_ends_the_sessions_of_an_account(ana):
    made = await ana.staff_accounts.add("rita", PASSWORD, roles=["support_agent"])
    browser = await signing_in(ana, "rita", code=pyotp.TOTP(made.secret).at(ana.clock()))
    assert browser.status == 200
    await ana.revocations.revoke_subject("staff:rita")
    await ana.authenticator.reload()
    await browser.get("/console/purpose")
    assert (browser.status, "revoked" in browser.text) == (401, True)


async def test_a_session_that_is_left_alone_for_an_hour_ends(ana):
    browser = await signing_in(ana)
    ana.clock.later = IDLE - timedelta(minutes=1)
    assert (await browser.get("/console/purpose")).status == 200
    ana.clock.later = 2 * IDLE - timedelta(minutes=2)  # it was used in between
    assert (await browser.get("/console/purpose")).status == 200
    ana.clock.later = 3 * IDLE
    assert (await browser.get("/console/purpose")).status == 401


async def test_another_server_of_the_deployment_knows_the_session_and_its_end(ana, house, tmp_path):
    browser = await signing_in(ana)
    await browser.state("customer_service", "T-9")
    second = house.desk(tmp_path)
    other = second.browser()
    other.client.cookies.update(browser.client.cookies)
    await other.get("/console/purpose")
    assert (other.status, "T-9" in other.page.text) == (200, True)
    await browser.get("/console/purpose")
    await browser.post("/console/sign-out")
    assert (await other.get("/console/purpose")).status == 401
    await second.close()


async def test_a_session_id_that_was_put_into_a_browser_is_not_taken_over(ana):
    browser = ana.browser()
    browser.client.cookies.set(COOKIE, "A" * 43, domain="127.0.0.1")
    await signing_in(ana, browser=browser)
    held = [each.value for each in browser.client.cookies.jar if each.name == COOKIE]
    assert browser.status == 200
    assert "A" * 43 not in held[-1:]
    fixed = ana.browser()
    fixed.client.cookies.set(COOKIE, "A" * 43, domain="127.0.0.1")
    assert "session has ended" in (await fixed.get("/console/purpose")).text


async def test_signing_in_is_no_form_for_other_sites_and_leads_nowhere_else(ana):
    browser = ana.browser()
    await browser.get("/console/sign-in")
    form = {"name": "ana", "password": PASSWORD, "code": ana.code()}
    for each in ({"key": "guessed"}, {"origin": "https://evil.example"}, {"origin": None}):
        await browser.post("/console/sign-in/local", form, **each)
        assert (browser.status, COOKIE in browser.client.cookies) == (403, False)
    for following in ("https://evil.example/", "//evil.example", "/elsewhere"):
        ana.clock.later += timedelta(seconds=60)
        await signing_in(ana, following=following)
    await signing_in(ana, browser=browser, following="https://evil.example/", code=ana.code(30))
    assert browser.page.url.host == "127.0.0.1"
    assert all(each.headers["location"].startswith("/console/") for each in browser.page.history)


async def test_what_is_kept_holds_no_secret(ana):
    await signing_in(ana)
    names = ("staff", "staff_sessions", "staff_tries")
    found = [await ana.world.keys[name].find({}).to_list(None) for name in names]
    kept = b"".join(encode(each) for documents in found for each in documents)
    for secret in (PASSWORD, ana.secret):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept  # control: what is kept is looked at


async def test_sessions_that_were_changed_in_the_database_are_none(ana):
    browser = await signing_in(ana)
    stranger = await ana.staff_accounts.add("eve", PASSWORD, roles=["privacy_officer"])
    sessions = ana.world.keys["staff_sessions"]
    mine = await sessions.find_one({"actor": "staff:ana"})
    await sessions.update_one({"_id": mine["_id"]}, {"$set": {"actor": stranger.actor}})
    await browser.get("/console/purpose")
    assert "staff:ana" in browser.text  # what is sealed counts
    await sessions.update_one({"_id": mine["_id"]}, {"$set": {"sealed": mine["sealed"][:-4] + "AAAA"}})
    assert (await browser.get("/console/purpose")).status == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ana", "short"),
        ("annabel", "annabel is my own name"),
        ("bob", "aaaaaaaaaaaaaaaa"),
        ("bob", "x" * 2000),
        ("bob", "confide confide"),
    ],
)
def test_a_password_that_is_easily_guessed_is_not_taken(name, password):
    with pytest.raises(StaffInvalidError):
        check_new(name, password)
    check_new(name, PASSWORD)


async def test_an_account_that_could_not_be_used_is_not_made(ana):
    accounts = ana.staff_accounts
    for name, roles in (
        ("ana", ["auditor"]),
        ("Ana", ["auditor"]),
        ("x", ["auditor"]),
        ("eve", []),
        ("eve", ["customer"]),
    ):
        with pytest.raises(StaffInvalidError):
            await accounts.add(name, PASSWORD, roles=roles)
    with pytest.raises(StaffNotFoundError):
        await accounts.reset("nobody", PASSWORD)
    with pytest.raises(StaffNotFoundError):
        await accounts.set_disabled("staff:nobody", disabled=True)
    assert [each.name for each in await accounts.all()] == ["ana"]


async def test_no_token_can_carry_the_name_of_an_account(ana):
    with pytest.raises(LocalIssuerError, match="a name this server gives to others"):
        ana.token(f"{STAFF_PREFIX}ana")
    assert ana.token("staff-ana")  # control


async def test_without_the_door_for_tokens_a_token_opens_nothing(ana, house, tmp_path):
    from server.settings import Settings  # noqa: PLC0415 - only here

    closed = house.desk(tmp_path, staff=house.staff(Settings(staff_tokens=False)))
    browser = closed.browser()
    await browser.get("/console/sign-in")
    assert 'name="token"' not in browser.page.text
    await browser.post("/console/sign-in", {"token": closed.token()}, origin=ORIGIN)
    assert (browser.status, await closed.signed_in()) == (403, 0)
    await closed.close()
