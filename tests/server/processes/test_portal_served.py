"""The portal of a real server in real Chromium, without JavaScript and without a mouse."""

import asyncio
import email
import email.policy
import re
import zipfile

import pytest
from playwright import async_api as playwright

from tests.server.processes.browsing import CHROMIUM
from tests.server.processes.deployment import SUPPORT

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
]
READ = "query CaseWork($id: ID!) { profile(id: $id) { givenName email } }"
ADDRESS = "wilhelmina@example.org"
MOST_STOPS = 60


async def letter_of(directory, known):
    """The text of a letter that was not there before."""
    for _ in range(600):
        for path in sorted(directory.glob("*.eml")) if directory.exists() else ():
            if path.name not in known:
                known.add(path.name)
                letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                return letter.get_body(("plain",)).get_content()
        await asyncio.sleep(0.1)
    raise AssertionError("there was no letter")


async def tab_to(page, words):
    """Go on by the tabulator to what has this name."""
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if await focused.count() == 0:  # from the last thing on a page to the browser's own
            continue
        named = f"{await focused.inner_text()} {await focused.get_attribute('id') or ''}"
        if words in named:
            return
    shown = await page.inner_text("body")
    raise AssertionError(f"{words} cannot be reached by the keyboard at {page.url}: {shown}")


async def press(page, words):
    await tab_to(page, words)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_a_customer_comes_in_by_a_letter_and_leaves_with_everything_by_keyboard_alone(site, tmp_path):
    server = await site.served(CONFIDE_DEVELOPMENT="true", CONFIDE_MAIL_DIRECTORY=str(tmp_path / "mail"))
    customer = await site.create(server, givenName="Wilhelmina", email=ADDRESS)
    await site.ask(server, SUPPORT, READ, case="T-1", id=customer)
    origin, letters = f"http://localhost:{server.port}", set()
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(
            java_script_enabled=False, viewport={"width": 320, "height": 640}, accept_downloads=True
        )
        asked = []
        context.on("request", lambda request: asked.append(request.url))
        page = await context.new_page()
        page.set_default_timeout(30_000)
        await page.goto(f"{origin}/portal")
        await tab_to(page, "address")
        await page.keyboard.type(ADDRESS)
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        link = re.search(r"/portal/sign-in/\S+", await letter_of(tmp_path / "mail", letters))[0]
        await page.goto(f"{origin}{link}")
        await press(page, "Sign in")
        assert "Wilhelmina, this is what we know about you" in await page.inner_text("h1")
        await press(page, "Who looked")
        assert "Support agent" in await page.inner_text("main")
        await press(page, "Download")
        await press(page, "Make a copy")
        await press(page, "Send")
        code = re.search(r"\b\d{4} ?\d{4}\b", await letter_of(tmp_path / "mail", letters))[0]
        await tab_to(page, "code")
        await page.keyboard.type(code)
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert page.url == f"{origin}/portal/download", "back to what it was for"
        await press(page, "Make a copy")
        await tab_to(page, "Save the files")
        async with page.expect_download() as downloading:
            await page.keyboard.press("Enter")
        path = tmp_path / "my-data.zip"
        await (await downloading.value).save_as(path)
        with zipfile.ZipFile(path) as bundle:
            assert ADDRESS in bundle.read("profile.json").decode()
            assert "Wilhelmina" in bundle.read("index.html").decode()
        await press(page, "Sign out")
        await page.goto(f"{origin}/portal/")
        assert "/portal/sign-in" in page.url
        assert [each for each in asked if not each.startswith(origin)] == []
        await browser.close()
