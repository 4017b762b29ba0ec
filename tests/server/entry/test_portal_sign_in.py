"""Signing in to the portal: by a link or a code, once, and with nothing told to who only guesses."""

import asyncio

from starlette.requests import Request

from server.access.sign_in_links import MOST_TRIES
from server.console.forms import Site
from server.portal.entry.browser import network_of
from tests.server.entry.doors import ORIGIN, SENDER

SECURE = "__Host-confide_portal"


async def test_a_link_signs_in_and_a_second_time_does_not(door):
    browser = door.browser()
    letter = await door.letter(browser)
    assert letter.recipients == ("ada@door.example",)
    assert (letter.sender, letter.message["from"]) == (SENDER, f"Acme Ltd <{SENDER}>")
    assert (await browser.get(letter.link)).status_code == 200
    assert await browser.who() == "nobody", "looking at the page does nothing: scanners open every link"
    page = await browser.post(letter.link)
    assert (page.status_code, page.headers["location"]) == (303, "/portal/")
    assert await browser.who() == f"{door.people['ada']} False"
    other = door.browser()
    assert (await other.post(letter.link)).status_code == 400
    assert await other.who() == "nobody"


async def test_a_code_signs_in_the_browser_that_asked_and_no_other(door):
    browser, other = door.browser(), door.browser()
    letter = await door.letter(browser)
    assert (await other.post("/sign-in/code", {"code": letter.code})).status_code == 400
    assert await other.who() == "nobody"
    stranger = door.browser()
    await door.letter(stranger, "bob")
    assert (await stranger.post("/sign-in/code", {"code": letter.code})).status_code == 400, "another's code"
    assert (await browser.post("/sign-in/code", {"code": letter.code})).status_code == 303
    assert await browser.who() == f"{door.people['ada']} False"


async def test_of_a_hundred_who_use_one_link_at_once_one_gets_in(door):
    letter = await door.letter(door.browser())
    browsers = [door.browser() for _ in range(100)]
    pages = await asyncio.gather(*(each.post(letter.link) for each in browsers))
    assert sorted(page.status_code for page in pages) == [303] + [400] * 99
    assert await door.platform.main["portal_sessions"].count_documents({}) == 1


async def test_a_link_and_its_code_are_spent_together(door):
    browser, other = door.browser(), door.browser()
    letter = await door.letter(browser)
    await asyncio.gather(other.post(letter.link), browser.post("/sign-in/code", {"code": letter.code}))
    assert sorted([await browser.who(), await other.who()])[1] == "nobody"
    assert await door.platform.main["portal_sessions"].count_documents({}) == 1


async def test_links_and_codes_end_after_ten_minutes(door):
    browser = door.browser()
    letter = await door.letter(browser)
    door.clock.forward(minutes=9, seconds=50)
    assert (await browser.get(letter.link)).status_code == 200
    door.clock.forward(seconds=11)
    assert (await browser.post(letter.link)).status_code == 400
    assert (await browser.post("/sign-in/code", {"code": letter.code})).status_code == 400
    assert await browser.who() == "nobody"


async def test_forged_links_get_the_answer_of_spent_ones(door):
    browser = door.browser()
    letter = await door.letter(browser)
    await browser.post(letter.link)
    spent = (await door.browser().post(letter.link)).text
    whole = letter.link.removeprefix("/sign-in/")
    changed = ("A" if whole[0] != "A" else "B") + whole[1:]
    nonces = lambda text: text.split("<main")[1]  # noqa: E731 - what stands before has a nonce
    for forged in (changed, whole[:-1], whole + "A", "x", "%00", "a" * 4000, "ö", "$ne", "[object]"):
        page = await door.browser().post(f"/sign-in/{forged}")
        assert page.status_code == 400, forged
        assert nonces(page.text) == nonces(spent), forged


async def test_a_code_may_be_tried_a_few_times_and_then_never(door):
    browser = door.browser()
    letter = await door.letter(browser)
    wrong = f"{(int(letter.code.replace(' ', '')) + 1) % 10**8:08d}"
    for _ in range(MOST_TRIES):
        assert (await browser.post("/sign-in/code", {"code": wrong})).status_code == 400
    assert (await browser.post("/sign-in/code", {"code": letter.code})).status_code == 400
    assert await browser.who() == "nobody"


async def test_tries_at_once_are_counted_too(door):
    browser = door.browser()
    letter = await door.letter(browser)
    number = int(letter.code.replace(" ", ""))
    guesses = [f"{(number + each) % 10**8:08d}" for each in range(1, 41)]
    await asyncio.gather(*(browser.post("/sign-in/code", {"code": each}) for each in guesses))
    [kept] = await door.platform.main["sign_in_links"].find({}).to_list(None)
    assert kept["tries"] == MOST_TRIES


async def test_a_code_that_was_never_sent_is_nothing_nor_zeros(door):
    browser = door.browser()
    await browser.post("/sign-in", {"address": "nobody@door.example"})
    assert await door.send() == []
    for code in ("", "0", "00000000", "x" * 300, "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"):
        assert (await browser.post("/sign-in/code", {"code": code})).status_code == 400
    assert await browser.who() == "nobody"


async def test_known_and_unknown_addresses_get_the_same_answers(door):
    seen = []
    for address in ("ada@door.example", "nobody@door.example"):
        browser = door.browser()
        asked = await browser.post("/sign-in", {"address": address})
        waiting = await browser.get("/sign-in/code")
        wrong = await browser.post("/sign-in/code", {"code": "12345678"})
        heads = [
            {
                name: value
                for name, value in page.headers.items()
                if name not in ("set-cookie", "content-security-policy")
            }
            for page in (asked, waiting, wrong)
        ]
        texts = [page.text.partition("<main")[2] for page in (asked, waiting, wrong)]
        lengths = {name: len(value) for name, value in browser.cookies.items()}
        seen.append((asked.status_code, wrong.status_code, heads, texts, lengths))
    assert seen[0] == seen[1]
    kept = await door.platform.main["sign_in_links"].find({}).to_list(None)
    assert {name: type(value) for name, value in kept[0].items()} == {
        name: type(value) for name, value in kept[1].items()
    }, "and the same is written"


async def test_what_is_no_address_is_told_so_and_nothing_is_sent(door):
    for address in (
        "",
        "ada",
        "ada@",
        "a b@door.example",
        "ada@door.example\r\nBcc: x@y.example",
        "x" * 5000 + "@a.b",
    ):
        page = await door.browser().post("/sign-in", {"address": address})
        assert page.status_code == 400, address
    page = await door.browser().post("/sign-in", {"address": '"><script>alert(1)</script>@a.b'})
    assert "<script" not in page.text, "what was typed is there to be mended, and is text"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;@a.b" in page.text
    assert await door.platform.main["sign_in_links"].count_documents({}) == 0
    assert await door.send() == []


async def test_another_spelling_of_an_address_is_sent_to_as_the_profile_has_it(door):
    browser = door.browser()
    await browser.post("/sign-in", {"address": "  ADA@Door.Example "})
    [letter] = await door.send()
    assert letter.recipients == ("ada@door.example",)


async def test_forms_of_another_origin_do_nothing(door):
    browser = door.browser()
    letter = await door.letter(browser)
    for origin in ("https://evil.example", "null", "http://my.example", f"{ORIGIN}.evil.example", None):
        for path in ("/sign-in", "/sign-in/code", letter.link, "/sign-out", "/confirm", "/confirm/code"):
            page = await browser.post(path, {"address": "ada@door.example", "code": letter.code}, origin=origin)
            assert page.status_code == 403, (origin, path)
    page = await browser.post(letter.link, headers={"sec-fetch-site": "cross-site"})
    assert page.status_code == 403
    assert await door.send() == []
    assert (await browser.post(letter.link)).status_code == 303, "and the link is still good"


async def test_after_signing_in_one_goes_on_to_a_page_of_the_portal_alone(door):
    for following, there in (
        ("/portal/looked", "/portal/looked"),
        ("https://evil.example/", "/portal/"),
        ("//evil.example", "/portal/"),
        ("/portal/../console", "/portal/"),
        ("/portal\\evil", "/portal/"),
        ("/portal/sign-out", "/portal/"),
        ("javascript:alert(1)", "/portal/"),
    ):
        browser = door.browser()
        letter = await door.letter(browser)
        page = await browser.post("/sign-in/code", {"code": letter.code, "next": following})
        assert page.headers["location"] == there
        await door.platform.main["sign_in_links"].delete_many({})


async def test_a_letter_asked_for_too_often_is_not_sent_and_nothing_tells(door):
    answers = set()
    for _ in range(8):
        browser = door.browser()
        page = await browser.post("/sign-in", {"address": "ada@door.example"})
        answers.add((page.status_code, page.headers["location"], len(browser.cookies)))
    assert len(answers) == 1
    assert len(await door.send()) == 5
    door.clock.forward(minutes=16)
    await door.letter(door.browser())


async def test_letters_asked_for_at_once_are_no_more_than_one_after_another(door):
    browsers = [door.browser(network=f"198.51.{number}.7") for number in range(40)]
    await asyncio.gather(*(each.post("/sign-in", {"address": "ada@door.example"}) for each in browsers))
    noted = await door.platform.main["sign_in_links"].count_documents({"silent": False})
    assert noted > 5, "several were asked for before the first was written down, or this shows nothing"
    assert len(await door.send()) == 5


async def test_nobody_is_kept_out_by_who_goes_on_asking_for_their_address(door):
    sent = []
    for number in range(14):  # every three minutes, for three quarters of an hour
        await door.browser(network=f"198.51.{number}.7").post("/sign-in", {"address": "ada@door.example"})
        sent.append(len(await door.send()))
        door.clock.forward(minutes=2)
    assert 0 in sent, "it is too much"
    assert sum(sent[-8:]) >= 5, "and letters go on to be sent, each with a link that lets their owner in"


async def test_nobody_is_kept_from_confirming_by_who_asks_at_the_door(door):
    browser = await door.signed_in()
    for _ in range(65):
        await door.browser().post("/sign-in", {"address": "ada@door.example"})
    await door.send()
    await door.browser().post("/sign-in", {"address": "ada@door.example"})
    assert await door.send() == [], "at the door it is too much for the address and for the network"
    for _ in range(5):
        await browser.form("/confirm")
        [letter] = await door.send()
    assert (await browser.form("/confirm/code", {"code": letter.code})).status_code == 303
    await browser.form("/confirm")
    assert await door.send() == [], "whoever is in has five of their own, and no more"


async def test_a_network_that_asks_too_much_is_answered_and_another_is_served(door):
    answers = set()
    for number in range(65):
        browser = door.browser(network="198.51.100.9")
        page = await browser.post("/sign-in", {"address": f"a{number}@door.example"})
        answers.add((page.status_code, page.headers["location"], len(browser.cookies)))
    assert len(answers) == 1
    assert await door.platform.main["sign_in_links"].count_documents({}) == 60
    neighbour = door.browser(network="198.51.100.200")
    await neighbour.post("/sign-in", {"address": "ada@door.example"})
    assert await door.send() == [], "of the same network"
    await door.letter(door.browser(network="192.0.2.1"))


async def test_nobody_signs_in_over_a_connection_that_others_can_read(door, monkeypatch):
    monkeypatch.setattr(door.entry, "site", Site("http://my.example"))
    browser = door.browser(base="http://my.example")
    page = await browser.post("/sign-in", {"address": "ada@door.example"}, origin="http://my.example")
    assert page.status_code == 403
    assert await door.send() == []


async def test_cookies_are_for_this_server_alone(door):
    browser = door.browser()
    letter = await door.letter(browser)
    page = await browser.post(letter.link)
    given = [each for each in page.headers.get_list("set-cookie") if each.startswith(f"{SECURE}=")]
    assert len(given) == 1
    said = given[0].lower()
    assert all(part in said for part in ("secure", "httponly", "samesite=lax", "path=/"))
    assert "domain" not in said
    assert "max-age" not in said


def _request(client, *forwarded):
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return Request({"type": "http", "headers": headers, "client": None if client is None else (client, 1)})


def test_a_network_is_told_by_the_proxies_that_are_ours_and_by_nobody_else():
    assert network_of(_request("203.0.113.7", "198.51.100.1"), 0) == "203.0.113.0/24", (
        "what a client says is not believed"
    )
    assert network_of(_request("10.0.0.1", "198.51.100.1"), 1) == "198.51.100.0/24"
    assert network_of(_request("10.0.0.1", "192.0.2.9, 198.51.100.1"), 1) == "198.51.100.0/24"
    assert network_of(_request("10.0.0.1", "192.0.2.9", "198.51.100.1, 10.0.0.2"), 2) == "198.51.100.0/24"
    assert (
        network_of(_request("10.0.0.1", "198.51.100.1"), 2) == network_of(_request("10.0.0.1", "x"), 1) == "nowhere"
    )
    assert network_of(_request("2001:db8:1:2:3::4"), 0) == network_of(_request("2001:db8:1:2::1"), 0)
    assert network_of(_request("2001:db8:1:3::1"), 0) != network_of(_request("2001:db8:1:2::1"), 0)
    assert network_of(_request("::ffff:203.0.113.7"), 0) == "203.0.113.0/24"
    assert network_of(_request(None), 0) == "nowhere"
