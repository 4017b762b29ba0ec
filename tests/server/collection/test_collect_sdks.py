"""The SDKs of Segment and RudderStack, unmodified: what they send arrives once, whatever happens on the way."""

from collections import Counter

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from customers.collection.events import EventType
from server.collection.routes import Collection
from tests.server.collection.sdk_runs import (
    LOAD,
    SDKS,
    SENT,
    missing,
    missing_for_the_browser,
    run_sdk,
    serving,
    shop_page,
    until,
)
from tests.server.collection.sending import NOW, BusyError, KeptEvents, refused
from tests.server.processes.browsing import CHROMIUM

pytestmark = pytest.mark.timeout(120)


class KeptOnce(KeptEvents):
    """Drops an event that it has, as the intake does; fails as often as it is told to first."""

    def __init__(self, *failures):
        super().__init__()
        self._failures = list(failures)
        self.requests = 0
        self._known = set()

    async def accept(self, source, events, **more):
        self.requests += 1
        if self._failures:
            raise self._failures.pop(0)
        await super().accept(source, events, **more)
        first = {}
        for name, event in self.events:
            first.setdefault((name, event.message_id), (name, event))
        self.events = list(first.values())

    @property
    def kinds(self):
        return Counter(event.type for _, event in self.events)

    def of(self, kind, name=None):
        return next(event for _, event in self.events if event.type is kind and name in (None, event.name))


def application(collection, kept):
    app = Collection(collection.sources, kept, refused=refused, now=lambda: NOW)
    return Starlette(routes=[Mount("/v1", app)])


def runnable(script):
    if why := missing(script):
        pytest.skip(why)


@pytest.mark.parametrize("script", SDKS)
async def test_what_an_sdk_sends_arrives_as_it_was_meant(collection, script):
    runnable(script)
    kept = KeptOnce()
    async with serving(application(collection, kept)) as url:
        assert await run_sdk(script, url, collection.till, "person-1") == []
    assert kept.rejected == []
    assert kept.kinds == SENT
    assert {source for source, _ in kept.events} == {"till"}
    assert kept.of(EventType.IDENTIFY).traits == {"plan": "gold", "size": 3}
    assert kept.of(EventType.IDENTIFY).context["locale"] == "de"
    viewed = kept.of(EventType.TRACK, "Product Viewed")
    assert viewed.properties == {"sku": "a-1", "price": 12.5}
    assert viewed.user_id == "person-1"
    cart = kept.of(EventType.TRACK, "Cart Opened")
    assert (cart.user_id, cart.anonymous_id) == (None, "anonymous-person-1")
    assert kept.of(EventType.ALIAS).previous_id == "before-person-1"
    assert kept.of(EventType.GROUP).group_id == "company-7"
    assert kept.of(EventType.PAGE).name == "Home"


@pytest.mark.parametrize("failure", [BusyError(1), ConnectionError()], ids=["429", "503"])
@pytest.mark.parametrize("script", SDKS)
async def test_an_sdk_that_is_told_to_come_again_does_and_each_event_arrives_once(collection, script, failure):
    runnable(script)
    kept = KeptOnce(failure)
    async with serving(application(collection, kept)) as url:
        assert await run_sdk(script, url, collection.till, "person-1", more=40) == []
    assert kept.requests > 1
    assert kept.kinds == SENT + Counter({EventType.TRACK: 40})
    numbers = [event.properties["number"] for _, event in kept.events if event.name == "More"]
    assert sorted(numbers) == list(range(40))


@pytest.mark.parametrize("script", SDKS)
async def test_an_sdk_hears_of_a_write_key_that_is_not_good(collection, script):
    """The negative control: what is refused is not taken for delivered."""
    runnable(script)
    kept = KeptOnce()
    async with serving(application(collection, kept)) as url:
        assert await run_sdk(script, url, "wk_nobodys", "person-1")
    assert kept.requests == 0


@pytest.fixture(scope="module")
async def chromium():
    if why := missing_for_the_browser():
        pytest.skip(why)
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


BATCHED = {"strategy": "batching", "config": {"size": 100, "timeout": 300}}
ON_EXIT = {"strategy": "batching", "config": {"size": 100, "timeout": 60_000}}


async def loaded(page, origin, url, key, strategy):
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(origin)
    await page.evaluate(LOAD, [url, key, "person-1", strategy])
    return said


@pytest.mark.parametrize("strategy", [None, BATCHED, ON_EXIT], ids=["one by one", "batched", "on the page's exit"])
async def test_a_page_of_another_origin_sends_with_the_browsers_sdk(chromium, collection, strategy):
    kept = KeptOnce()
    async with shop_page() as origin, serving(application(collection, kept)) as url:
        _, key = await collection.sources.create("page", origins=(origin,))
        page = await chromium.new_page()
        said = await loaded(page, origin, url, key, strategy)
        if strategy is ON_EXIT:
            assert kept.events == []
            await page.goto("about:blank")
        await until(lambda: kept.kinds.total() >= SENT.total())
        await page.close()
    assert kept.kinds == SENT
    assert kept.rejected == []
    assert said == []
    assert {source for source, _ in kept.events} == {"page"}
    viewed = kept.of(EventType.TRACK, "Product Viewed")
    assert viewed.properties == {"sku": "a-1", "price": 12.5}
    assert (viewed.user_id, viewed.context["page"]["url"]) == ("person-1", f"{origin}/")
    cart = kept.of(EventType.TRACK, "Cart Opened")
    assert cart.user_id is None
    assert cart.anonymous_id == viewed.anonymous_id


@pytest.mark.parametrize("failure", [BusyError(1), ConnectionError()], ids=["429", "503"])
async def test_a_page_waits_as_it_is_told_and_sends_again(chromium, collection, failure):
    kept = KeptOnce(failure)
    async with shop_page() as origin, serving(application(collection, kept)) as url:
        _, key = await collection.sources.create("page", origins=(origin,))
        page = await chromium.new_page()
        await loaded(page, origin, url, key, BATCHED)
        await until(lambda: kept.kinds.total() >= SENT.total())
        await page.close()
    assert kept.kinds == SENT


async def test_a_page_whose_origin_no_source_takes_gets_no_settings_and_sends_nothing(chromium, collection):
    """The negative control of the origins: the same page, and a source that does not know it."""
    kept = KeptOnce()
    async with shop_page() as origin, serving(application(collection, kept)) as url:
        page = await chromium.new_page()
        await page.goto(origin)
        told = await page.evaluate(
            "async ([url, key]) => { try { return (await fetch(`${url}/v1/projects/${key}/settings`)).status } "
            "catch { return 'refused' } }",
            [url, collection.shop],
        )
        sent = await page.evaluate(
            "async ([url, key]) => { try { return (await fetch(`${url}/v1/t`, {method: 'POST', "
            "body: JSON.stringify({writeKey: key, userId: 'u', event: 'E'})})).status } catch { return 'refused' } }",
            [url, collection.shop],
        )
        await page.close()
    assert (told, sent) == ("refused", "refused")
    assert kept.requests == 0
