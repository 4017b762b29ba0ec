"""The SDKs, unmodified, against `confide serve`: their events are stored once, and lie sealed."""

import asyncio
from collections import Counter

import pytest

from customers.collection.events import EventType
from tests.server.collection.sdk_runs import (
    LOAD,
    SDKS,
    SENT,
    missing,
    missing_for_the_browser,
    run_sdk,
    shop_page,
)
from tests.server.processes.browsing import CHROMIUM
from tests.server.processes.collect_rounds import Senders

MORE = 250


@pytest.fixture(scope="module")
async def site(shared):
    shared.server = await shared.served()
    shared.url = f"http://127.0.0.1:{shared.server.port}"
    return shared


async def stored(site, source):
    return await site.main["events"].find({"source": source}).to_list(None)


async def new_source(site, name, *more):
    made = await site.confide("sources", "create", name, *more)
    assert made.code == 0, made.err
    return made.out.strip()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("script", SDKS)
async def test_what_an_sdk_sends_is_stored_once_and_sealed(site, script):
    if why := missing(script):
        pytest.skip(why)
    source = script.partition(".")[0].replace("_", "-")
    key = await new_source(site, source)
    person = f"canary-{source}"
    assert await run_sdk(script, site.url, key, person, MORE) == []
    found = await stored(site, source)
    assert Counter(each["type"] for each in found) == SENT + Counter({EventType.TRACK: MORE})
    assert await Senders(site, key).applied() == []
    raw = str(found) + str(await site.main["profiles"].find({}).to_list(None))
    for canary in (person, "Product Viewed", "Somewhere", "company-7", "'gold'"):
        assert canary not in raw
    assert await site.main["violations"].find({}).to_list(None) == []
    assert key not in site.server.process.err


@pytest.mark.timeout(120)
async def test_what_the_browsers_sdk_sends_is_stored_once(site):
    if why := missing_for_the_browser():
        pytest.skip(why)
    playwright = pytest.importorskip("playwright.async_api")
    async with shop_page() as origin, playwright.async_playwright() as started:
        key = await new_source(site, "page", "--origin", origin)
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(origin)
        strategy = {"strategy": "batching", "config": {"size": 100, "timeout": 60_000}}
        await page.evaluate(LOAD, [site.url, key, "canary-page", strategy])
        assert await stored(site, "page") == []
        await page.goto("about:blank")
        async with asyncio.timeout(15):
            while len(found := await stored(site, "page")) < SENT.total():  # noqa: ASYNC110 - another process stores them
                await asyncio.sleep(0.1)
        await browser.close()
    assert Counter(each["type"] for each in found) == SENT
    log = site.server.process.err
    assert '"route":"/v1","method":"GET","status":200' in log, "the settings"
    assert key not in log
