"""Signing in with real Chromium to the whole server: by keyboard, on any screen, and with nothing for axe to say.

With CONFIDE_PICTURES set to a directory, pictures of the pages are put there.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
import uvicorn
from playwright import async_api as playwright

from server import telemetry
from server.http import application, listen
from server.settings import Settings
from tests.server.entry.doors import open_door
from tests.server.processes.browsing import CHROMIUM, Watched

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
]
WIDE, PHONE = {"width": 1100, "height": 900}, {"width": 320, "height": 700}
PICTURES = os.environ.get("CONFIDE_PICTURES")


@pytest.fixture(scope="module")
async def served(mongo_uri, mongo_client, tmp_path_factory):
    """The whole server, and the door's short ways."""
    listening = listen(Settings(port=0))
    port = listening.getsockname()[1]
    changed = {"portal_origin": None, "development": True, "port": port}
    async with open_door(mongo_uri, mongo_client, tmp_path_factory.mktemp("served"), **changed) as door:
        app = application(door.platform, telemetry.start(None, version="0"))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        server.capture_signals = contextlib.nullcontext
        serving = asyncio.create_task(server.serve([listening]))
        yield door, f"http://localhost:{port}"
        server.should_exit = True
        await serving


@pytest.fixture
async def door(served):
    yield served[0]
    await served[0].clean()


@pytest.fixture
def origin(served):
    return served[1]


@pytest.fixture(scope="module")
async def chromium():
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def opened(chromium, origin, *, size=WIDE, **options):
    context = await chromium.new_context(viewport=size, **options)
    context.set_default_timeout(15_000)
    try:
        yield Watched(await context.new_page(), origin)
    finally:
        await context.close()


async def seen(watched, name):
    """What is wrong with the page that is open; a picture of it where that is wanted."""
    if PICTURES:
        await watched.page.screenshot(path=Path(PICTURES) / f"portal-{name}.png", full_page=True)
    return [fault for fault in await watched.faults() if "no language" not in fault]


async def sent(page, doing):
    """Do what sends a form, and wait for the page that answers."""
    async with page.expect_navigation():
        await doing


async def letter(door, *, link=True):
    [taken] = await door.send()
    return taken.text.split("/portal/sign-in/")[1].split()[0] if link else taken.code


@pytest.mark.parametrize(
    ("size", "scheme", "locale"), [(WIDE, "light", "en"), (PHONE, "light", "de"), (WIDE, "dark", "fr")]
)
async def test_the_door_is_as_it_should_be_on_any_screen(door, origin, chromium, size, scheme, locale):
    which = f"{locale}-{scheme}"
    async with opened(chromium, origin, size=size, color_scheme=scheme, locale=locale) as watched:
        page = watched.page
        await page.goto(f"{origin}/portal/")
        assert page.url.startswith(f"{origin}/portal/sign-in")
        assert await seen(watched, f"sign-in-{which}") == []
        await page.fill("#address", "ada@door")
        await sent(page, page.press("#address", "Enter"))
        assert await page.locator(".problem").count() == 1
        assert await seen(watched, f"sign-in-wrong-{which}") == []
        await page.fill("#address", "ada@door.example")
        await sent(page, page.press("#address", "Enter"))
        assert await seen(watched, f"sign-in-code-{which}") == []
        link = await letter(door)
        await page.fill("#code", "0")
        await sent(page, page.press("#code", "Enter"))
        assert await seen(watched, f"sign-in-code-wrong-{which}") == []
        await page.goto(f"{origin}/portal/sign-in/{link}")
        assert await seen(watched, f"sign-in-link-{which}") == []
        await sent(page, page.click("main button"))
        assert page.url == f"{origin}/portal/"
        await page.goto(f"{origin}/portal/sign-in/{link}")
        await sent(page, page.click("main button"))
        assert await seen(watched, f"sign-in-over-{which}") == []
        await page.goto(f"{origin}/portal/confirm?next=/portal/download")
        assert await seen(watched, f"confirm-{which}") == []
        await sent(page, page.click("main button"))
        assert await seen(watched, f"confirm-code-{which}") == []
        await page.fill("#code", await letter(door, link=False))
        await sent(page, page.press("#code", "Enter"))
        assert page.url == f"{origin}/portal/download"


async def test_what_needs_it_is_asked_for_once_more_and_signing_out_ends_it(door, origin, chromium):
    async with opened(chromium, origin, java_script_enabled=False) as watched:
        page = watched.page
        await page.goto(f"{origin}/portal/delete")
        await page.fill("#address", "bob@door.example")
        await sent(page, page.press("#address", "Enter"))
        [taken] = await door.send()
        await page.fill("#code", taken.code)
        await sent(page, page.press("#code", "Enter"))
        assert page.url == f"{origin}/portal/delete"
        await page.goto(f"{origin}/portal/delete/confirm")
        assert "/portal/confirm?next=" in page.url
        assert (await page.goto(f"{origin}/portal/sessions")).status == 200
        await sent(page, page.get_by_role("button", name="Sign out").first.click())
        assert page.url == f"{origin}/portal/sign-in"
        assert (await page.goto(f"{origin}/portal/")).url.startswith(f"{origin}/portal/sign-in")
