"""The portal in real Chromium: by keyboard, at 320 px, in dark mode, without scripts, and with nothing for axe to say.

With CONFIDE_PICTURES set to a directory, pictures of the pages are put there.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
import uvicorn
from playwright import async_api as playwright

from tests.server.processes.browsing import CHROMIUM, Watched

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
]
WIDE, PHONE = {"width": 900, "height": 820}, {"width": 320, "height": 700}
PICTURES = os.environ.get("CONFIDE_PICTURES")
PAGES = {
    "data": "/", "looked": "/looked", "choices": "/choices", "requests": "/requests", "ask": "/requests/new",
    "download": "/download", "delete": "/delete", "delete-word": "/delete/confirm", "correct": "/correct/birth_date",
    "orders": "/orders", "sessions": "/sessions",
}  # fmt: skip


@pytest.fixture(scope="module")
async def chromium():
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def origin(place, eleanor):
    server = uvicorn.Server(uvicorn.Config(place.app, port=0, log_config=None, lifespan="off"))
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it offers nothing to wait for
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@contextlib.asynccontextmanager
async def opened(chromium, origin, place, who, *, size=WIDE, **options):
    context = await chromium.new_context(viewport=size, **options)
    context.set_default_timeout(15_000)
    await context.add_cookies([{"name": "held", "value": place.door.let_in(who), "url": origin}])
    try:
        yield Watched(await context.new_page(), origin)
    finally:
        await context.close()


async def picture(page, name):
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"portal-{name}.png", full_page="asked" in name)


@pytest.mark.parametrize(
    ("name", "size", "scheme", "locale"),
    [("", WIDE, "light", "en"), ("-phone", PHONE, "light", "de"), ("-dark", WIDE, "dark", "fr")],
)
async def test_every_page_is_as_it_should_be_on_any_screen(
    chromium, origin, place, eleanor, name, size, scheme, locale
):
    async with opened(chromium, origin, place, eleanor, size=size, color_scheme=scheme, locale=locale) as watched:
        page = watched.page
        for each, path in PAGES.items():
            await page.goto(f"{origin}/portal{path}")
            faults = [fault for fault in await watched.faults() if "no language" not in fault]
            assert faults == [], (path, faults)
            await picture(page, f"{each}{name}")


async def test_a_page_that_is_not_as_it_should_be_is_found(chromium, origin, place, eleanor):
    """The control of the test above."""
    async with opened(chromium, origin, place, eleanor, size=PHONE) as watched:
        page = watched.page
        await page.goto(f"{origin}/portal/download")
        await page.evaluate("""() => {
          document.querySelector("main").insertAdjacentHTML("beforeend",
            `<input><pre>${"x".repeat(200)}</pre><h4>Too deep</h4><a href='/portal'></a>`);
        }""")
        faults = " ".join(await watched.faults())
        for found in ("scrolls sideways", "no label", "no name", "a level is left out", "axe: label"):
            assert found in faults, found


async def test_a_page_in_real_chromium_asks_for_less_than_a_hundred_kilobytes(chromium, origin, place, eleanor):
    async with opened(chromium, origin, place, eleanor) as watched:
        sizes = []
        watched.page.on("response", lambda response: sizes.append(asyncio.create_task(response.body())))
        for path in PAGES.values():
            sizes.clear()
            await watched.page.goto(f"{origin}/portal{path}", wait_until="networkidle")
            whole = sum(len(each) for each in await asyncio.gather(*sizes))
            assert 1_000 < whole < 100_000, (path, whole)


async def test_what_follows_a_form_is_as_it_should_be_too(chromium, origin, place):
    mine = await place.create(902, overrides={"given_name": "Ines"})
    async with opened(chromium, origin, place, mine, size=PHONE, locale="en") as watched:
        page = watched.page

        async def sent(path, button, **fields):
            await page.goto(f"{origin}/portal{path}")
            for name, value in fields.items():
                await page.fill(f"#{name}", value)
            async with page.expect_navigation():
                await page.click(button)
            assert await watched.faults() == [], page.url

        await sent("/correct/birth_date", "main button", value="yesterday")
        await picture(page, "error-phone")
        assert await page.get_attribute("#value", "aria-invalid") == "true"
        await sent("/requests/new", "main button")
        await sent("/delete/confirm", "main button", word="no")
        await sent("/choices", "main .press button")
        await sent("/choices", "main .press button")
        assert "You took it back on" in await page.inner_text("main")
        await page.goto(f"{origin}/portal/download")
        assert "You have shown that it is you." in await page.inner_text("main")
        await sent("/download", "main button")
        await sent("/delete/confirm", "main button", word="Delete")
        await picture(page, "asked-phone")
        async with page.expect_navigation():
            await page.click("main .note a")
        assert await watched.faults() == []
        await picture(page, "progress-phone")
        for path in ("/delete", "/requests", "/looked?own=1", "/nowhere"):
            await page.goto(f"{origin}/portal{path}")
            assert await watched.faults() == [], path
