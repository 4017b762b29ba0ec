"""Unsubscribing by one click, and Global Privacy Control, over HTTP and without signing in."""

import dataclasses
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette

from customers.consent.model import Channel, Rights
from customers.consent.unsubscribe import Unsubscriber
from server.consenting import consent_routes
from server.consenting_words import WORDS, Words
from server.portal.languages import LANGUAGES
from server.telemetry.vocabulary import Route, route_of
from tests.schema.world import granted, new_world

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def site(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path) as world:
        out = Unsubscriber(world.writer, world.vault, lambda: world.policies, now=lambda: datetime.now(UTC))
        app = Starlette(routes=consent_routes(SimpleNamespace(unsubscriber=out)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site.example") as browser:
            yield SimpleNamespace(world=world, out=out, browser=browser)


async def channels(site, customer_id):
    document = await site.world.main["profiles"].find_one({"_id": customer_id})
    return set(Rights.of_document(document["rights"]).channels("email_marketing"))


async def test_looking_does_nothing_and_one_click_unsubscribes(site):
    one = await site.world.one(1, consents=granted("marketing"))
    path = f"/unsubscribe/{site.out.token(one, 'email_marketing', Channel.EMAIL)}"
    ledger = site.world.main["consent_ledger"]
    before = await ledger.find({}).to_list(None)
    for _ in range(2):
        page = await site.browser.get(path)
        assert (page.status_code, page.text.count('<form method="post">')) == (200, 1)
    head = await site.browser.head(path)
    assert head.status_code == 200
    assert await ledger.find({}).to_list(None) == before
    assert await channels(site, one) == set(Channel)
    for _ in range(2):
        done = await site.browser.post(path, data=ONE_CLICK)
        assert done.status_code == 200
        assert "E-mail marketing" in done.text
        assert await channels(site, one) == set(Channel) - {Channel.EMAIL}
    assert len(await ledger.find({"source": "unsubscribe"}).to_list(None)) == 1
    (record,) = await site.world.records(purpose="self_service")
    assert (record.actor, record.subjects) == ("customer", (await site.world.reference(one),))
    for sent in (page, done):
        policy = sent.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (sent.headers["referrer-policy"], sent.headers["cache-control"]) == ("no-referrer", "no-store")
        assert not re.search(r"https?://|cus_", sent.text)


@pytest.mark.parametrize(
    ("sent", "code", "button"),
    [
        ({}, "en", "Stop this"),
        ({"accept-language": "de-AT,de;q=0.9,en;q=0.5"}, "de", "Damit aufhören"),
        ({"accept-language": "it, fr;q=0.8"}, "fr", "Arrêter"),
        ({"accept-language": 'xx;q=nonsense,"><script>'}, "en", "Stop this"),
    ],
)
async def test_the_page_is_in_the_language_that_the_browser_prefers(site, sent, code, button):
    one = await site.world.one(1, consents=granted("marketing"))
    path = f"/unsubscribe/{site.out.token(one, 'email_marketing', Channel.EMAIL)}"
    page = await site.browser.get(path, headers=sent)
    assert f'<html lang="{code}">' in page.text
    assert button in page.text
    assert page.headers["content-language"] == code
    assert "<script" not in page.text
    other = {"en": "fr", "de": "en", "fr": "de"}[code]
    asked = await site.browser.get(f"{path}?lang={other}", headers=sent)
    assert f'<html lang="{other}">' in asked.text, "a link says which it wants"
    bad = await site.browser.get("/unsubscribe/x", headers=sent)
    assert (bad.status_code, WORDS[code].bad in bad.text) == (404, True)
    done = await site.browser.post(path, data=ONE_CLICK, headers=sent)
    assert WORDS[code].done in done.text


def test_each_language_says_everything_and_no_two_say_the_same():
    assert set(WORDS) == set(LANGUAGES)
    for name in (each.name for each in dataclasses.fields(Words) if each.name != "channels"):
        said = [getattr(words, name) for words in WORDS.values()]
        assert len(set(said)) == len(said), name
        assert len({each.count("{what}") for each in said}) == 1, name
    assert all(set(words.channels) == set(Channel) for words in WORDS.values())


async def test_every_bad_token_gets_one_answer(site):
    one, gone = await site.world.one(1, consents=granted("marketing")), await site.world.one(2)
    good = site.out.token(one, "email_marketing", Channel.EMAIL)
    erased = site.out.token(gone, "email_marketing", Channel.EMAIL)
    await site.world.erase(gone)
    bad = [
        erased,
        good[:-1],
        good[::-1],
        good + "A",
        "x",
        "x" * 5000,
        "%00",
        "%C3%A9",
        "<script>alert(1)</script>".replace("/", "%2F"),
        site.out.token(one, "no_such_purpose", Channel.EMAIL),
        site.world.vault.seal_token("cursor", b"anything", b"v1"),
    ]
    answers = [await site.browser.post(f"/unsubscribe/{each}", data=ONE_CLICK) for each in bad]
    assert {(each.status_code, each.text) for each in answers} == {(404, answers[0].text)}
    assert await channels(site, one) == set(Channel)
    working = await site.browser.post(f"/unsubscribe/{good}", data=ONE_CLICK)
    assert working.text != answers[0].text


async def test_what_cannot_be_recorded_is_not_done_and_said_so(site):
    one = await site.world.one(1, consents=granted("marketing"))
    path = f"/unsubscribe/{site.out.token(one, 'email_marketing', Channel.EMAIL)}"
    await site.world.log.close()
    answer = await site.browser.post(path, data=ONE_CLICK)
    assert answer.status_code == 503
    assert "nothing has changed" in answer.text
    assert await channels(site, one) == set(Channel)


async def test_the_signal_of_browsers_is_said_to_be_heard(site):
    answer = await site.browser.get("/.well-known/gpc.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["gpc"] is True
    datetime.strptime(answer.json()["lastUpdate"], "%Y-%m-%d").replace(tzinfo=UTC)


def test_no_token_reaches_the_log_or_a_metric():
    assert route_of("/unsubscribe/secret") is Route.UNSUBSCRIBE
    assert route_of("/unsubscribed") is Route.OTHER
