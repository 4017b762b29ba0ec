"""Taking up an account: its owner alone has the password and the authenticator; an invitation is good once, for a day."""

import asyncio
import html
import re
from datetime import timedelta

import pyotp
import pytest
from bson import encode

from server.console.staff.errors import InvitationRefusedError, SignInRefusedError
from server.console.staff.invitations import GOOD_FOR
from server.console.staff.qr_code import qr_code
from tests.server.console.conftest import ORIGIN

PASSWORD = "quiet harbour lantern seven"
COOKIE = "confide_session"


@pytest.fixture
async def invited(desk):
    """A desk at which `ana` was invited."""
    for name in ("staff", "staff_tries"):
        await desk.world.keys[name].delete_many({})
    staff = desk.console._frame.staff
    await staff.accounts.add("ana", None, roles=["support_agent"])
    desk.invitation = await staff.invitations.invite("ana")
    desk.staff_parts = staff
    return desk


async def shown(desk, code=None, name="ana"):
    browser = desk.browser()
    await browser.get("/console/enrol")
    return await browser.post("/console/enrol", {"name": name, "invitation": code or desk.invitation.code})


def secret_on(browser):
    return "".join(re.search(r"by time \(TOTP\):</p>\s*<p><code[^>]*>([A-Z2-7 ]+)<", browser.page.text)[1].split())


async def finished(desk, browser, code=None, **other):
    now = pyotp.TOTP(secret_on(browser)).at(desk.clock())
    hidden = re.search(r'name="invitation" value="([^"]*)"', browser.page.text)[1]
    form = {"name": "ana", "invitation": hidden, "new": PASSWORD, "again": PASSWORD, "code": code or now}
    return await browser.post("/console/enrol/finish", form | other)


async def test_an_invitation_leads_to_an_authenticator_a_password_and_into_the_console(invited):
    browser = await shown(invited)
    assert browser.status == 200
    assert invited.invitation.code not in str(browser.page.url)
    picture = re.search(r"<svg.*?</svg>", browser.page.text)[0]
    secret = secret_on(browser)
    # What a camera reads is what an authenticator is told.
    assert picture == qr_code(
        pyotp.TOTP(secret).provisioning_uri(name="ana", issuer_name="Confide"), "QR code for your authenticator app"
    )
    await finished(invited, browser)
    assert (browser.status, COOKIE in browser.client.cookies) == (200, True)
    (record,) = [each for each in await invited.world.records() if each.operation == "console enrolment"]
    assert (record.actor, record.roles) == ("staff:ana", ("support_agent",))
    invited.clock.later = timedelta(minutes=2)
    later = pyotp.TOTP(secret).at(invited.clock())
    assert (await invited.staff_parts.local.enter("ana", PASSWORD, later)).actor == "staff:ana"
    kept = b"".join(encode(each) for each in await invited.world.keys["staff"].find({}).to_list(None))
    for told in (PASSWORD, secret, invited.invitation.code, invited.invitation.code.replace("-", "")):
        assert told.encode() not in kept


async def test_an_invitation_is_good_once_also_where_many_take_it_at_the_same_time(invited):
    invitations = invited.staff_parts.invitations
    code = invited.invitation.code
    person = await invitations.show("ana", code.upper().replace("-", " "))
    step = await invitations.check(person, PASSWORD, pyotp.TOTP(person.secret).at(invited.clock()))
    tried = await asyncio.gather(
        *(invitations.accept(person, code, PASSWORD, step) for _ in range(20)), return_exceptions=True
    )
    assert [isinstance(each, InvitationRefusedError) for each in tried].count(False) == 1
    again = await shown(invited)
    assert (again.status, "This invitation is not good" in again.text) == (401, True)


@pytest.mark.parametrize(
    "case", ["guessed", "another name", "too late", "disabled", "enabled again", "invited again", "reset"]
)
async def test_whoever_has_no_good_invitation_is_refused_in_the_same_words(invited, case):
    accounts, code, name = invited.staff_parts.accounts, invited.invitation.code, "ana"
    if case == "guessed":
        code = f"{code[:-1]}{'b' if code[-1] == 'a' else 'a'}"
    elif case == "another name":
        name = "nobody"
    elif case == "too late":
        invited.clock.later = GOOD_FOR
    elif case == "disabled":
        await accounts.set_disabled("staff:ana", disabled=True)
    elif case == "enabled again":
        await accounts.set_disabled("staff:ana", disabled=True)
        await accounts.set_disabled("staff:ana", disabled=False)
    elif case == "invited again":
        await invited.staff_parts.invitations.invite("ana")
    else:
        await accounts.reset("ana", PASSWORD)
    browser = await shown(invited, code, name)
    assert (browser.status, "This invitation is not good" in browser.text) == (401, True)
    assert code not in browser.page.text
    assert "<svg" not in browser.page.text


async def test_before_it_is_taken_up_nobody_signs_in_with_the_account(invited):
    person = await invited.staff_parts.invitations.show("ana", invited.invitation.code)
    for password in ("", PASSWORD):
        with pytest.raises(SignInRefusedError):
            await invited.staff_parts.local.enter("ana", password, pyotp.TOTP(person.secret).at(invited.clock()))


async def test_what_is_wrong_is_said_and_the_same_authenticator_is_shown_again(invited):
    browser = await shown(invited)
    secret = secret_on(browser)
    for other, said in (
        ({"again": "something else here"}, "not written the same twice"),
        ({"new": "short", "again": "short"}, "12 characters or more"),
        ({"code": "000000"}, "not the one that the app shows now"),
    ):
        await finished(invited, browser, **other)
        assert (browser.status, said in browser.text) == (400, True)
        assert secret_on(browser) == secret
    assert await invited.signed_in() == 0
    assert (await finished(invited, browser)).status == 200  # control


async def test_the_pages_are_no_forms_for_other_sites_and_nothing_typed_becomes_markup(invited):
    browser = invited.browser()
    await browser.get("/console/enrol")
    form = {"name": "<b>ana", "invitation": invited.invitation.code}
    for each in ({"key": "guessed"}, {"origin": "https://evil.example"}, {"origin": None}):
        assert (await browser.post("/console/enrol", form, **each)).status == 403
    await browser.get("/console/enrol")
    await browser.post("/console/enrol", form, origin=ORIGIN)
    assert html.escape("<b>ana") in browser.page.text
    away = invited.browser(base="http://confide.example")
    await away.get("/console/enrol")
    assert "not safe to sign in at" in away.text


def test_a_qr_code_reads_as_its_text():
    """Drawn again from the picture alone, the squares are those that the standard has for the text."""
    import segno  # noqa: PLC0415 - only here

    picture = qr_code("otpauth://totp/x", "QR code")
    found = set()
    for left, top, width in re.findall(r"M(\d+) (\d+)h(\d+)v1", picture):
        found |= {(int(left) + each, int(top)) for each in range(int(width))}
    rows = segno.make("otpauth://totp/x", error="m", micro=False).matrix
    assert found == {(x + 4, y + 4) for y, row in enumerate(rows) for x, dark in enumerate(row) if dark}
    assert f'viewBox="0 0 {len(rows) + 8} {len(rows) + 8}"' in picture
