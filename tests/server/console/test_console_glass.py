"""Break-glass access and one's own account, as pages."""

import html
import re
from datetime import timedelta

import pyotp
import pytest

from tests.server.console.conftest import ORIGIN

REASON = "Somebody on line two is hurt, and the ambulance must know where to go."
PASSWORD = "quiet harbour lantern seven"
COOKIE = "confide_session"


@pytest.fixture
async def broken(desk):
    await desk.world.main["break_glass"].delete_many({})
    return desk


async def agent(desk, actor="ana.support"):
    return await desk.keeping("support_agent", "customer_service", actor)


async def breaking(browser, reason=REASON, minutes="15", case="T-77", **options):
    await browser.get("/console/break-glass")
    return await browser.post("/console/break-glass", {"reason": reason, "minutes": minutes, "case": case}, **options)


async def number(desk):
    (opening,) = await desk.world.main["break_glass"].find({"waits": True}).to_list(None)
    return opening["_id"]


async def test_an_agent_breaks_the_glass_and_every_page_says_so_until_they_end_it(broken):
    browser = await agent(broken)
    await browser.get("/console/purpose")
    assert "Break-glass access is open" not in browser.text
    await breaking(browser)
    assert (browser.status, browser.page.url.path) == (200, "/console/customers")
    name = await number(broken)
    await browser.get("/console/purpose")
    assert "Break-glass access is open" in browser.text
    assert "Emergency access" in browser.text
    assert name in browser.text
    await browser.get("/console/break-glass")
    assert REASON in browser.text
    await browser.post(f"/console/break-glass/{name}/end")
    await browser.get("/console/purpose")
    assert "Break-glass access is open" not in browser.text
    operations = [each.operation for each in await broken.world.records(case=name)]
    assert operations == ["break-glass open", "break-glass end"]


async def test_a_form_that_is_not_whole_keeps_what_was_typed(broken):
    browser = await agent(broken)
    await breaking(browser, reason="too short & <b>")
    assert (browser.status, "write a reason" in browser.text.lower()) == (400, True)
    assert html.escape("too short & <b>") in browser.page.text
    await breaking(browser, minutes="600")
    assert (browser.status, "Choose one of these" in browser.text) == (400, True)
    await breaking(browser, case="a case")
    assert browser.status == 400
    assert await broken.world.main["break_glass"].find({}).to_list(None) == []


async def test_whom_the_policy_does_not_let_sees_what_would(broken):
    browser = await broken.keeping("marketer", "marketing", "mia.marketer")
    await browser.get("/console/break-glass")
    assert (browser.status, "closed to you" in browser.text) == (403, True)
    await browser.post("/console/break-glass", {"reason": REASON, "minutes": "15"})
    assert browser.status == 403
    assert await broken.world.main["break_glass"].find({}).to_list(None) == []


async def test_another_site_breaks_no_glass(broken):
    browser = await agent(broken)
    for each in ({"key": "guessed"}, {"origin": "https://evil.example"}, {"origin": None}):
        await breaking(browser, **each)
        assert browser.status == 403
    assert await broken.world.main["break_glass"].find({}).to_list(None) == []
    await breaking(browser)  # control
    assert await number(broken)


async def test_somebody_who_oversees_reviews_it_with_what_was_read_one_click_away(broken):
    browser = await agent(broken)
    await breaking(browser)
    name = await number(broken)
    auditor = await broken.auditor()
    await auditor.get("/console/break-glass")
    assert "It can be reviewed once it is over" in auditor.text
    assert f"/console/audit?case={name}" in auditor.page.text
    await browser.get("/console/break-glass")
    await browser.post(f"/console/break-glass/{name}/end")
    await auditor.get("/console/break-glass")
    form = {"judgement": "justified", "note": "The call <is> on tape."}
    await auditor.post(f"/console/break-glass/{name}/review", {**form, "judgement": "perhaps"})
    assert (auditor.status, "Say whether it was justified" in auditor.text) == (400, True)
    await auditor.post(f"/console/break-glass/{name}/review", form)
    assert (auditor.status, "Justified, said hugo.audit" in auditor.text) == (200, True)
    assert "<is>" not in auditor.page.text
    for purpose in ("customer_service", "emergency_access"):
        await browser.get("/console/purpose")
        await browser.state(purpose, following="/console/break-glass")
        refused = await browser.post(f"/console/break-glass/{name}/review", form)
        assert refused.status == 403


async def test_somebody_elses_opening_is_not_theirs_to_end(broken):
    browser, other = await agent(broken), await agent(broken, "bob.support")
    await breaking(browser)
    name = await number(broken)
    await other.get("/console/break-glass")
    assert name not in other.page.text
    await other.post(f"/console/break-glass/{name}/end")
    assert other.status == 404
    await browser.get("/console/purpose")
    assert "Break-glass access is open" in browser.text


# ---- one's own account


async def test_ones_other_sessions_are_listed_and_end_when_one_says_so(desk):
    here, there, third = [await desk.auditor() for _ in range(3)]
    stranger = await desk.auditor("somebody.else")
    await here.get("/console/account")
    names = re.findall(r'name="session" value="([0-9a-f]{64})"', here.page.text)
    assert len(names) == 2
    await here.post("/console/account/end", {"session": names[0]})
    await here.post("/console/account/end", {"session": "others"})
    for each in (there, third):
        assert "session has ended" in (await each.get("/console/account")).text
    assert (await here.get("/console/account")).status == 200
    assert (await stranger.get("/console/account")).status == 200


async def test_nobody_ends_the_sessions_of_others(desk):
    here, stranger = await desk.auditor(), await desk.auditor("somebody.else")
    session = await desk.sessions.find(stranger.client.cookies[COOKIE])
    await here.get("/console/account")
    await here.post("/console/account/end", {"session": session.key.hex()})
    assert here.status == 404
    assert (await stranger.get("/console/account")).status == 200
    await here.get("/console/account")
    await here.post("/console/account/end", {"session": "others"}, origin="https://evil.example")
    assert here.status == 403


async def test_a_password_is_changed_by_whoever_proves_once_more_who_they_are(desk):
    for name in ("staff", "staff_tries"):
        await desk.world.keys[name].delete_many({})
    made = await desk.console._frame.staff.accounts.add("ana", PASSWORD, roles=["support_agent"])

    def code(later=0):
        return pyotp.TOTP(made.secret).at(desk.clock() + timedelta(seconds=later))

    async def signing_in(password, typed):
        browser = desk.browser()
        await browser.get("/console/sign-in")
        form = {"name": "ana", "password": password, "code": typed, "next": "/console/account"}
        return await browser.post("/console/sign-in/local", form)

    browser = await signing_in(PASSWORD, code(-30))
    new = {"new": "another long harbour", "again": "another long harbour"}
    wrong = [
        {"password": "wrong", "code": code(), **new},
        {"password": PASSWORD, "code": "000000", **new},
        {"password": PASSWORD, "code": code(), **new, "again": "different"},
    ]
    for form in wrong:
        await browser.get("/console/account")
        await browser.post("/console/account/password", form)
        assert browser.status == 400
    await browser.get("/console/account")
    await browser.post("/console/account/password", {"password": PASSWORD, "code": code(), **new}, origin=ORIGIN)
    assert browser.page.url.path == "/console/sign-in"
    assert await desk.signed_in() == 0
    assert (await signing_in("another long harbour", code(30))).status == 200


async def test_who_signed_in_elsewhere_has_no_password_here(desk):
    browser = await desk.auditor()
    await browser.get("/console/account")
    assert "Change your password" not in browser.text
    await browser.post("/console/account/password", {"password": "x", "new": PASSWORD, "again": PASSWORD})
    assert browser.status == 404


async def test_who_states_an_emergency_is_led_to_declare_it_and_then_goes_on(broken):
    browser = await agent(broken)
    await browser.state("emergency_access", "T-77", following="/console/customers")
    assert (browser.status, browser.page.url.path) == (200, "/console/break-glass")
    assert "It opens nothing until you break the glass here" in browser.text
    await browser.get("/console/customers")
    assert (browser.status, "Declare the emergency first" in browser.text) == (403, True)
    await breaking(browser)
    name = await number(broken)
    # Another purpose, and back: the opening is gone on with, and is no new one.
    await browser.state("customer_service", "T-77", following="/console/customers")
    await browser.state("emergency_access", "T-77", following="/console/customers")
    assert "until you go on with the opening below" in browser.text
    await browser.state("emergency_access", name, following="/console/customers")
    assert (browser.status, browser.page.url.path) == (200, "/console/customers")
    assert await number(broken) == name


async def test_whoever_reviews_sees_on_every_page_how_many_wait_and_nobody_else_does(broken):
    await breaking(await agent(broken))
    auditor, other = await broken.auditor(), await agent(broken, "bob.support")
    await auditor.get("/console/audit")
    assert "Break-glass access 1 to review" in auditor.text
    await other.get("/console/purpose")
    assert "to review" not in other.text
    await broken.world.main["break_glass"].update_many({}, {"$set": {"waits": False}})
    await auditor.get("/console/audit")
    assert "to review" not in auditor.text  # control
