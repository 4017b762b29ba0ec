"""The privacy officer's and support's pages in real Chromium, on any screen, and without scripts.

With CONFIDE_PICTURES set to a directory, pictures of the pages are put there.
"""

import contextlib
import os
import re
from pathlib import Path

import pytest
from playwright import async_api as playwright

from tests.server.processes.browsing import CHROMIUM, Watched

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 700}
PICTURES = os.environ.get("CONFIDE_PICTURES")
EVIL = "<x-canary onload=1>"


@pytest.fixture(scope="module")
async def chromium():
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def site(shared):
    """A deployment with one customer for each walk, whose name is a piece of markup."""
    shared.server = await shared.served(CONFIDE_FOUR_EYES='["erasure"]')
    shared.origin = f"http://127.0.0.1:{shared.server.port}"
    shared.customers = {
        name: await shared.create(
            shared.server,
            givenName=EVIL,
            familyName="Okonkwo",
            email=f"{name}@example.org",
            birthDate="1961-05-14",
            nationalId="DE-77",
        )
        for name in ("light", "dark", "plain")
    }
    return shared


@contextlib.asynccontextmanager
async def opened(chromium, site, size=WIDE, **options):
    context = await chromium.new_context(viewport=size, **options)
    context.set_default_timeout(30_000)
    try:
        yield Watched(await context.new_page(), site.origin)
    finally:
        await context.close()


async def follow(page, selector):
    """Click on what leads to another page, and wait for that."""
    async with page.expect_navigation():
        await page.click(selector)


async def sign_in(page, site, actor, role, purpose, case):
    await page.goto(f"{site.origin}/console/purpose")
    if await page.locator("button:text-is('Sign out')").count():
        await follow(page, "button:text-is('Sign out')")
    await page.fill("#token", site.token(actor, role))
    await follow(page, "form:has(#token) button")
    await page.goto(f"{site.origin}/console/purpose")
    await page.check(f"#p-{purpose}")
    await page.fill("#state-case", case)
    await follow(page, "main form button")


async def said(page):
    return " ".join((await page.inner_text("main")).split())


async def step(page, label):
    """Do what may stand in a part that is folded away."""
    button = page.locator(f"button:text-is('{label}')")
    if not await button.is_visible():
        await page.locator("details", has=button).locator("summary").click()
    async with page.expect_navigation():
        await button.click()


async def find(page, at, by, value):
    """Look somebody up."""
    await page.goto(f"{at}/customers")
    await page.select_option("#l-by", by)
    await page.fill("#l-value", value)
    await follow(page, "main form button")


async def support(page, site, name):
    """What support does, each page while it is open; yields what it is."""
    at = f"{site.origin}/console"
    await sign_in(page, site, "ana", "support_agent", "customer_service", "")
    await page.goto(f"{at}/customers")
    yield "no case"
    await page.fill("#l-case", "T-1")
    await follow(page, "main form button")
    await find(page, at, "email", "nobody@example.org")
    yield "nobody"
    await find(page, at, "email", f"{name}@example.org")
    text = await said(page)
    assert f"{EVIL} Okonkwo" in text
    assert "1961 year only" in text
    assert "DE-77" not in await page.content()
    assert site.customers[name] not in page.url
    yield "customer"
    for label in ("Orders", "Support requests", "Activity"):
        await follow(page, f"main nav a:text-is('{label}')")
        yield label


async def officers(page, site, name):
    """What two privacy officers do."""
    at = f"{site.origin}/console"
    await sign_in(page, site, f"gro-{name}", "privacy_officer", "privacy_request", "PRV-1")
    await find(page, at, "email", f"{name}@example.org")
    await follow(page, "main a:text-is('Consent ledger')")
    yield "ledger"
    await page.go_back()
    await follow(page, "main a:text-is('New privacy request')")
    await page.check("#kind-ERASURE")
    await page.fill("#k-reason", EVIL)
    yield "new request"
    await follow(page, "main form button")
    assert EVIL in await said(page)
    request = page.url.partition("?")[0]
    yield "request received"
    await page.check("#how-CONTACT")
    await step(page, "Confirm")
    await step(page, "Begin")
    assert "What stays of this person:" in await said(page)
    yield "request in progress"
    await page.fill("#word", "erase")
    await step(page, "Agree to the erasure")
    assert "A second person has to complete it" in await said(page)
    yield "agreed"
    await follow(page, "main a:text-is('The customer')")
    yield "customer for the officer"
    await follow(page, "main nav a:text-is('Privacy requests')")
    assert "Erasure" in await said(page)
    yield "requests of the customer"
    for path in ("/requests", "/consents", "/matrix?purpose=identity_resolution", "/processing", "/failed"):
        await page.goto(f"{at}{path}")
        yield path
    await sign_in(page, site, f"lea-{name}", "privacy_officer", "privacy_request", "PRV-2")
    await page.goto(request)
    await page.fill("#word", "erase")
    await step(page, "Erase them now")
    assert "nobody any more: they were erased" in await said(page)
    yield "erased"
    await find(page, at, "number", site.customers[name])
    assert "They were erased" in await said(page)
    yield "nobody any more"


async def walk(page, site, name):
    """All of it."""
    for part in (support, officers):
        async for each in part(page, site, name):
            yield each


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
async def test_every_page_of_the_officer_is_whole_on_every_screen(chromium, site, size, scheme):
    async with opened(chromium, site, size, color_scheme=scheme) as watched:
        async for name in walk(watched.page, site, scheme):
            assert await watched.faults() == [], name
            assert await watched.page.locator("x-canary").count() == 0, name
            if PICTURES:
                plain = re.sub(r"[^a-z]+", "-", name.lower()).strip("-")
                await watched.page.screenshot(path=Path(PICTURES) / f"{plain}-{scheme}.png", full_page=True)


async def test_an_erasure_by_two_officers_works_without_scripts(chromium, site):
    async with opened(chromium, site, java_script_enabled=False) as watched:
        names = [name async for name in walk(watched.page, site, "plain")]
        assert names[-1] == "nobody any more"
        assert watched.wrong == []
