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
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 320, "height": 700}
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
async def origin(place, ada):
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
async def opened(chromium, origin, place, ada, *, size=WIDE, **options):
    context = await chromium.new_context(viewport=size, **options)
    context.set_default_timeout(15_000)
    await context.add_cookies([{"name": "held", "value": place.door.let_in(ada), "url": origin}])
    try:
        yield Watched(await context.new_page(), origin)
    finally:
        await context.close()


async def picture(page, name):
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"portal-{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("name", "size", "scheme", "locale"),
    [("", WIDE, "light", "en"), ("-phone", PHONE, "light", "de"), ("-dark", WIDE, "dark", "fr")],
)
async def test_every_page_is_as_it_should_be_on_any_screen(chromium, origin, place, ada, name, size, scheme, locale):
    async with opened(chromium, origin, place, ada, size=size, color_scheme=scheme, locale=locale) as watched:
        page = watched.page
        for each, path in PAGES.items():
            await page.goto(f"{origin}/portal{path}")
            faults = [fault for fault in await watched.faults() if "no language" not in fault]
            assert faults == [], (path, faults)
            await picture(page, f"{each}{name}")
