"""Signing in to real servers: their worker sends the letter, both know the session, and a killed one forgets nobody."""

import asyncio

import httpx
import pytest

from tests.server.entry.doors import MailServer

ORIGIN = {"origin": "http://127.0.0.1:1"}
ADDRESS = "wilhelmina@example.org"


@pytest.fixture
async def mail():
    server = await MailServer().start()
    yield server
    await server.stop()


async def letter(mail, seconds=30.0):
    """The letter that comes next."""
    async with asyncio.timeout(seconds):
        while not mail.taken:  # noqa: ASYNC110 - it comes from another process
            await asyncio.sleep(0.05)
    return mail.taken.pop(0)


def browser(server, **options):
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30.0, **options)


async def who(server, cookies):
    async with browser(server, cookies=cookies) as looking:
        return (await looking.get("/portal/")).status_code == 200


@pytest.mark.timeout(120)
async def test_one_of_a_hundred_gets_in_over_two_servers_and_stays_in_when_they_are_killed(site, mail):
    settings = {
        "CONFIDE_PORTAL_ORIGIN": ORIGIN["origin"],
        "CONFIDE_SMTP_URI": f"smtp://127.0.0.1:{mail.port}",
        "CONFIDE_MAIL_FROM": "privacy@confide.example",
    }
    one, other = await asyncio.gather(site.served(**settings), site.served(**settings))
    customer = await site.create(one, givenName="Wilhelmina", email=ADDRESS)

    async with browser(one) as asking:
        page = await asking.post("/portal/sign-in", data={"address": ADDRESS}, headers=ORIGIN)
        assert page.status_code == 303, page.text
        asked = dict(asking.cookies)
    taken = await letter(mail)
    assert taken.recipients == (ADDRESS,)
    link = taken.text.split(f"{ORIGIN['origin']}")[1].split()[0]

    async with browser(one) as first, browser(other) as second:
        using = [each.post(link, data={"_": ""}, headers=ORIGIN) for each in (first, second) for _ in range(50)]
        pages = await asyncio.gather(*using)
        held = {**first.cookies, **second.cookies}
    assert sorted(page.status_code for page in pages) == [303] + [400] * 99
    held.pop("confide_portal_asked", None)
    assert list(held) == ["confide_portal"]
    assert await who(one, held)
    assert await who(other, held)

    await asyncio.gather(one.kill(), other.kill())
    again = await site.served(**settings)
    assert await who(again, held)
    assert not await who(again, {"confide_portal": held["confide_portal"][::-1]})
    found = await site.main["portal_sessions"].find({}).to_list(None)
    assert [each["customer_id"] for each in found] == [customer]

    secrets = [
        link.rpartition("/")[2],
        taken.code,
        taken.code.replace(" ", ""),
        ADDRESS,
        *held.values(),
        *asked.values(),
    ]
    written = "".join(each.read_text(errors="replace") for each in site.logs.iterdir())
    assert "/portal" in written
    assert [each for each in secrets if each in written] == []
