"""Sessions of the portal: they outlive a restart and nothing else that should end them, and lead to one person."""

import asyncio
import logging
import re
from dataclasses import replace
from pathlib import Path

from bson import encode

from audit import AccessQuery, AuditUnavailableError
from customers.disclosure import reference_text
from customers.identity.model import IdentifierType
from server.access.portal_sessions import PortalSessionStore
from server.platform import open_platform
from server.portal.entry.tending import tend_door
from server.portal.languages import Languages
from server.portal.pages import Pages
from tests.schema.canaries import leaks
from tests.server.entry.doors import BASE, app_of, entry_of, open_door, uuid_bytes

SECURE = "__Host-confide_portal"


async def test_a_restart_keeps_sessions_and_their_forms(door):
    browser = await door.signed_in()
    heard = (await door.platform.main["profiles"].find_one({"_id": door.people["ada"]}))["heard_at"]
    assert heard.date() == door.platform.now().date(), "retention hears of who comes"
    before = (await browser.get("/confirm")).text.split('name="form_key" value="')[1][:32]
    again = app_of(entry_of(door.platform), Pages(BASE, uuid_bytes, Languages()))
    browser.client._transport.app = again
    assert await browser.who() == f"{door.people['ada']} False"
    assert (await browser.get("/confirm")).text.split('name="form_key" value="')[1][:32] == before


async def test_a_forged_or_changed_cookie_is_nobodys(door):
    browser = await door.signed_in()
    whole = browser.cookies[SECURE]
    kept = await door.platform.main["portal_sessions"].find_one({})
    for forged in (whole[:-1], whole + "A", whole.swapcase(), "A" * 43, kept["_id"].hex(), kept["name"], "", "ö" * 3):
        stranger = door.browser()
        header = f"{SECURE}={forged}".encode()
        page = await stranger.client.get(f"{BASE}/", headers=[(b"cookie", header)])
        assert page.text == "nobody", forged
    plain = await door.browser().client.get(f"{BASE}/", headers={"cookie": f"confide_portal={whole}"})
    assert plain.text == "nobody", "under TLS only a name that no other site of the domain can set"


async def test_a_session_ends_when_it_is_not_used(door):
    browser = await door.signed_in()
    for _ in range(4):
        door.clock.forward(minutes=29)
        assert await browser.who() != "nobody"
    door.clock.forward(minutes=31)
    assert await browser.who() == "nobody"


async def test_a_session_ends_after_eight_hours_however_much_it_is_used(door):
    browser = await door.signed_in()
    for _ in range(19):
        door.clock.forward(minutes=25)
        assert await browser.who() != "nobody"
    door.clock.forward(minutes=6)
    assert await browser.who() == "nobody"


async def test_sessions_are_listed_and_ended_by_their_own_customer_alone(door):
    first = await door.signed_in(**{"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"})
    second = await door.signed_in(**{"user-agent": "<script>alert(1)</script>"})
    stranger = await door.signed_in("bob")
    keeper = door.entry.keeper
    mine, theirs = await keeper.find(first.cookies[SECURE]), await keeper.find(stranger.cookies[SECURE])
    listed = await door.entry.sessions_of(mine)
    assert sorted((each.label, each.current) for each in listed) == [("?", False), ("Firefox, Linux", True)]
    for each in listed:
        await door.entry.end(theirs, each.id)
    assert len(await door.entry.sessions_of(mine)) == 2, "another's names end nothing"
    await door.entry.end(mine, next(each.id for each in listed if not each.current))
    assert await second.who() == "nobody"
    assert await first.who() != "nobody"
    assert await stranger.who() != "nobody"


async def test_signing_out_ends_the_session_for_who_has_its_form_alone(door):
    browser = await door.signed_in()
    secret = browser.cookies[SECURE]
    assert (await browser.post("/sign-out", {"form_key": "x"})).status_code == 403
    assert (await browser.post("/sign-out")).status_code == 403
    assert await browser.who() != "nobody"
    session = await door.entry.keeper.find(secret)
    assert (await browser.post("/sign-out", {"form_key": session.key})).status_code == 303
    assert SECURE not in browser.cookies
    assert await door.entry.keeper.find(secret) is None


async def test_signing_in_again_ends_the_session_that_was(door):
    browser = await door.signed_in()
    secret = browser.cookies[SECURE]
    letter = await door.letter(door.browser(), "bob")
    await browser.post(letter.link)
    assert await browser.who() == f"{door.people['bob']} False"
    assert await door.entry.keeper.find(secret) is None


async def test_stepping_up_takes_a_code_of_this_session_and_changes_what_the_browser_holds(door):
    browser, other = await door.signed_in(), await door.signed_in()
    secret = browser.cookies[SECURE]
    page = await browser.form("/confirm", {"next": "/portal/download"})
    assert page.headers["location"] == "/portal/confirm/code?next=%2Fportal%2Fdownload"
    [letter] = await door.send()
    assert "/sign-in/" not in letter.text, "what confirms is a code, and signs nobody in"
    assert (await other.form("/confirm/code", {"code": letter.code})).status_code == 400, "another session's"
    page = await browser.form("/confirm/code", {"code": letter.code, "next": "/portal/download"})
    assert (page.status_code, page.headers["location"]) == (303, "/portal/download")
    assert await browser.who() == f"{door.people['ada']} True"
    assert browser.cookies[SECURE] != secret
    assert await door.entry.keeper.find(secret) is None, "who had the old one is out"
    assert await other.who() == f"{door.people['ada']} False"
    door.clock.forward(minutes=11)
    assert await browser.who() == f"{door.people['ada']} False"


async def test_a_code_to_confirm_signs_nobody_in_and_one_to_sign_in_confirms_nothing(door):
    browser = await door.signed_in()
    await browser.form("/confirm")
    [letter] = await door.send()
    assert (await browser.post("/sign-in/code", {"code": letter.code})).status_code == 400
    signing = await door.letter(door.browser())
    assert (await browser.form("/confirm/code", {"code": signing.code})).status_code == 400
    assert (await browser.form("/confirm/code", {"code": letter.code})).status_code == 303


async def test_asking_once_too_often_leaves_the_last_code_good(door):
    browser = await door.signed_in()
    letters = []
    for _ in range(5):
        await browser.form("/confirm")
        letters += await door.send()
    *_, before, last = letters
    await browser.form("/confirm")
    assert await door.send() == [], "the sixth is not sent"
    # Control: a code that a later letter replaced.
    assert (await browser.form("/confirm/code", {"code": before.code})).status_code == 400
    assert (await browser.form("/confirm/code", {"code": last.code})).status_code == 303


async def test_what_confirming_is_for_is_said(door):
    browser = await door.signed_in()
    address = (await browser.get("/confirm?next=/portal/correct/email")).text
    everything = (await browser.get("/confirm?next=/portal/delete/confirm")).text
    assert ("new address" in address, "cannot be undone" in address) == (True, False)
    assert ("new address" in everything, "cannot be undone" in everything) == (False, True)


async def test_confirming_at_once_steps_one_session_up(door):
    browser = await door.signed_in()
    await browser.form("/confirm")
    [letter] = await door.send()
    secret = browser.cookies[SECURE]
    made = await asyncio.gather(*(door.entry.keeper.confirm(secret, letter.code) for _ in range(20)))
    assert len([each for each in made if each]) == 1
    assert await door.platform.main["portal_sessions"].count_documents({}) == 1


async def test_nobody_confirms_without_the_form_of_their_session(door):
    browser, stranger = await door.signed_in(), await door.signed_in("bob")
    theirs = (await door.entry.keeper.find(stranger.cookies[SECURE])).key
    for key in ("", "x", theirs):
        assert (await browser.post("/confirm", {"form_key": key})).status_code == 403
        assert (await browser.post("/confirm/code", {"form_key": key, "code": "12345678"})).status_code == 403
    assert await door.send() == []
    assert (await door.browser().get("/confirm")).status_code == 303
    assert (await door.browser().post("/confirm")).headers["location"].startswith("/portal/sign-in")


async def test_an_erasure_ends_sessions_and_links_and_letters_that_wait(door):
    gone = await door.person(f"gone{len(door.people)}")
    name = next(each for each, number in door.people.items() if number == gone)
    browser, waiting, asked = await door.signed_in(name), door.browser(), door.browser()
    letter = await door.letter(waiting, name)
    await browser.form("/confirm")
    await door.send()
    stays = await door.signed_in("bob")
    await asked.post("/sign-in", {"address": f"{name}@door.example"})  # its letter is not sent yet
    await door.erase(name)
    for collection in ("sign_in_links", "portal_sessions"):
        left = await door.platform.main[collection].find({}).to_list(None)
        assert not any(leaks((gone,), encode(each)) for each in left), collection
    assert await browser.who() == "nobody"
    assert (await waiting.post(letter.link)).status_code == 400
    assert (await waiting.post("/sign-in/code", {"code": letter.code})).status_code == 400
    assert await door.send() == [], "and whoever asked before is sent nothing"
    assert await stays.who() == f"{door.people['bob']} False"


async def test_an_operator_ends_every_session_of_a_customer(door):
    browser, other = await door.signed_in(), await door.signed_in("bob")
    door.clock.forward(seconds=1)
    await door.platform.revocations.revoke_subject(door.people["ada"])
    await door.platform.revocations.load()
    assert await browser.who() == "nobody"
    assert await other.who() != "nobody"
    door.clock.forward(seconds=1)
    assert await (await door.signed_in()).who() != "nobody"


async def test_an_address_that_is_not_theirs_any_more_opens_nothing(door):
    await door.person("moves")
    letter = await door.letter(door.browser(), "moves")
    await door.platform.vault.blind.release("email", "moves@door.example", door.people["moves"])
    browser = door.browser()
    assert (await browser.post(letter.link)).status_code == 400
    async with door.platform.vault.reading():
        await door.platform.vault.blind.claim("email", "moves@door.example", door.people["bob"])
    await browser.post("/sign-in", {"address": "moves@door.example"})
    assert await door.send() == [], "an entry of the index whose profile does not hold the address is sent nothing"


async def test_links_codes_and_cookies_stand_nowhere_in_clear(door, caplog):
    caplog.set_level(logging.DEBUG)
    browser = door.browser()
    letter = await door.letter(browser)
    asked = browser.cookies["__Host-confide_portal_asked"]
    confirming = await door.signed_in("bob")
    await confirming.form("/confirm")
    [code] = await door.send()
    secrets = [letter.link.removeprefix("/sign-in/"), asked, confirming.cookies[SECURE], "ada@door.example"]
    secrets += [each.code.replace(" ", "") for each in (letter, code)]
    secrets += [each.code for each in (letter, code)]
    platform = door.platform
    for database in (platform.main, platform.keys, platform.audit):
        for name in await database.list_collection_names():
            for document in await database[name].find({}).to_list(None):
                assert not leaks(secrets, encode(document)), name
    said = "\n".join(each.getMessage() for each in caplog.records if each.name.startswith(("confide", "server")))
    assert not any(each in said for each in secrets)
    planted = await platform.main["jobs"].find_one({})
    assert leaks(secrets, encode({**planted, "payload": {"link": secrets[0]}})), "what is looked for is found"


async def test_that_a_letter_was_sent_and_somebody_signed_in_is_recorded(door):
    browser = await door.signed_in()
    assert await browser.who() != "nobody"
    async with door.platform.vault.reading():
        key = (await door.platform.vault.keys([door.people["ada"]]))[door.people["ada"]]
    found = await door.platform.log.search(AccessQuery(subject=reference_text(key.audit_reference)), limit=2)
    signed_in, letter = (each.record for each in found.entries)
    assert (signed_in.operation, signed_in.actor, signed_in.purpose) == ("sign_in", "customer", "self_service")
    assert (letter.operation, letter.actor, letter.roles) == ("sign_in_letter", "customer", ("customer",))
    assert "profile.email" in {path for each in letter.decisions for path in each.fields}


async def test_what_has_ended_is_removed(door):
    await door.signed_in()
    main = door.platform.main

    async def tried(job):
        await job()

    door.clock.forward(minutes=45)
    await _tended(door, tried)
    assert await main["portal_sessions"].count_documents({}) == 0
    assert await main["sign_in_links"].count_documents({}) == 1
    door.clock.forward(minutes=20)
    await _tended(door, tried)
    assert await main["sign_in_links"].count_documents({}) == 0


async def _tended(door, tried):
    """Tend the door until it has once gone through everything."""
    gone = asyncio.Event()

    async def watched(job):
        await tried(job)
        watched.count += 1
        if watched.count == 5:
            gone.set()

    watched.count = 0
    task = asyncio.create_task(tend_door(door.platform, watched, look_seconds=60))
    await gone.wait()
    task.cancel()
    await asyncio.wait({task})


async def test_nobody_is_let_in_without_a_record_and_the_link_stays_good(door, monkeypatch):
    browser = door.browser()
    letter = await door.letter(browser)

    async def failing(_record):
        raise AuditUnavailableError("the test says so")

    with monkeypatch.context() as patched:
        patched.setattr(door.platform.log, "append", failing)
        page = await browser.post(letter.link)
        assert (page.status_code, page.headers["retry-after"]) == (503, "2")
        assert await browser.who() == "nobody"
        await door.browser().post("/sign-in", {"address": "bob@door.example"})
        assert await door.send() == [], "nor is a letter written whose reading could not be recorded"
    assert (await browser.post(letter.link)).status_code == 303


async def test_the_address_of_a_merged_profile_lets_in_the_person_that_it_is(door):
    first, second = await door.person("whole"), await door.person("part")
    before = await door.signed_in("part")
    async with door.platform.vault.reading():
        await door.platform.reviewer.merge(door.access("data_steward", "identity_resolution"), first, second)
    after = await door.signed_in("part")
    assert await after.who() == f"{first} False"
    assert await before.who() == f"{second} False", "who was in stays in, and is the same person to every read"
    mine, theirs = [await door.entry.keeper.find(each.cookies[SECURE]) for each in (after, before)]
    listed = [await door.entry.sessions_of(each) for each in (mine, theirs)]
    assert [sorted(each.id for each in rows) for rows in listed] == [sorted((mine.id, theirs.id))] * 2, "together"
    third = await door.signed_in("part")
    await door.entry.end(theirs, (await door.entry.keeper.find(third.cookies[SECURE])).id)
    assert await third.who() == "nobody", "and ended from either"
    await door.erase("whole")
    assert await after.who() == await before.who() == "nobody"
    assert await door.platform.main["portal_sessions"].count_documents({}) == 0


async def test_profiles_that_are_taken_apart_sign_out_whoever_was_in(door):
    first, second = await door.person("apart"), await door.person("apart_too")
    steward = door.access("data_steward", "identity_resolution")
    async with door.platform.vault.reading():
        await door.platform.reviewer.merge(steward, first, second)
    browser, waiting = await door.signed_in("apart_too"), await door.letter(door.browser(), "apart_too")
    assert await browser.who() == f"{first} False", "as long as they are one"
    async with door.platform.vault.reading():
        await door.platform.reviewer.unmerge(steward, second)
    assert await browser.who() == "nobody", "the mailbox of the one would open the other"
    assert (await door.browser().post(waiting.link)).status_code == 400
    assert await (await door.signed_in("apart_too")).who() == f"{second} False"
    assert await (await door.signed_in("apart")).who() == f"{first} False"


async def test_a_session_whose_address_is_another_persons_by_now_is_nobodys(door):
    await door.person("handed_on")
    browser, control = await door.signed_in("handed_on"), await door.signed_in()
    secret = browser.cookies[SECURE]
    await browser.form("/confirm")
    [letter] = await door.send()
    rows = {"customer_id": door.people["handed_on"]}
    tokens = (await door.platform.main["portal_sessions"].find_one(rows))["tokens"]
    await door.platform.main["blind_index"].update_many(
        {"_id": {"$in": tokens}}, {"$set": {"customer_id": door.people["bob"]}}
    )
    assert await browser.who() == "nobody"
    assert await door.entry.keeper.confirm(secret, letter.code) is None
    assert await control.who() == f"{door.people['ada']} False"
    await door.platform.main["blind_index"].delete_many({"_id": {"$in": tokens}})
    assert await browser.who() == f"{door.people['handed_on']} False", (
        "an address that was only given up ends nothing"
    )


async def test_a_server_that_starts_anew_knows_who_is_signed_in(mongo_uri, mongo_client, tmp_path):
    async with open_door(mongo_uri, mongo_client, tmp_path) as door:
        browser = await door.signed_in()
        session = await door.entry.keeper.find(browser.cookies[SECURE])
        # Another process, with the same databases and the same ring.
        async with open_platform(door.platform.settings) as again:
            found = await entry_of(again).keeper.find(browser.cookies[SECURE])
        assert (found, found.key) == (session, session.key)
        await door.clean()


async def test_what_is_stored_is_what_the_format_says(door):
    browser = await door.signed_in()
    await browser.form("/confirm")
    said = Path(__file__).parents[3] / "docs" / "formats" / "portal-sessions.md"
    links, sessions = said.read_text().split("\n## ")[1:3]
    for text, name in ((links, "sign_in_links"), (sessions, "portal_sessions")):
        rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        named = {each for row in rows for each in re.findall(r"`(\w+)`", row)}
        found = await door.platform.main[name].find({}).to_list(None)
        assert set().union(*found) == named, name
        assert {each["v"] for each in found} == {1}


async def test_what_a_browser_holds_is_found_by_its_sha256_as_ever(door):
    """A frozen vector: sessions of before an update are found after it."""
    secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    frozen = bytes.fromhex("ea866a757e4c38babfa8127cbe9a409d3e1f93a00ff1488ff735fcf917afffd0")
    sessions = PortalSessionStore(door.platform.main, now=door.clock, random=uuid_bytes)
    await sessions.open(secret, door.people["ada"], [bytes(32)], "?")
    assert (await door.platform.main["portal_sessions"].find_one({}))["_id"] == frozen


async def test_an_address_that_only_a_page_has_named_opens_nobody_elses_user_id(door):
    writer, sent = door.platform.services.writer, []
    for number, (proven, known) in enumerate(((False, True), (True, True), (False, False))):
        address = writer.identifier(IdentifierType.EMAIL, f"page{number}@door.example", "value")
        identifiers = [replace(address, proven=proven)]
        if known:
            identifiers.append(writer.identifier(IdentifierType.EXTERNAL_ID, f"user:page{number}", "value"))
        draft = writer.draft({"given_name": f"Page{number}"}, identifiers, [])
        async with door.platform.vault.reading():
            await writer.create(door.access("client_app", "data_import"), [draft])
        await door.browser().post("/sign-in", {"address": f"page{number}@door.example"})
        sent.append([each.recipients[0] for each in await door.send()])
    assert sent == [[], ["page1@door.example"], ["page2@door.example"]]
