"""Staff in real Chromium: by an identity provider on loopback, with a local account, and through broken glass.

With CONFIDE_PICTURES set to a directory, pictures of the pages are put there.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import httpx
import pyotp
import pytest
from playwright import async_api as playwright

from tests.server.processes.browsing import CHROMIUM, Watched
from tests.server.processes.deployment import free_port
from tests.server.processes.starting import PROGRAM

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(180),
]
PASSWORD = "quiet harbour lantern seven"
PICTURES = os.environ.get("CONFIDE_PICTURES")
REASON = "Somebody on line two is hurt, and the ambulance must know where to go."


@pytest.fixture(scope="module")
async def provider():
    """An OpenID Connect provider in a process of its own."""
    origin = f"http://127.0.0.1:{free_port()}"
    person = json.dumps({"sub": "ana", "groups": ["confide-support"]})
    command = [
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "-p",
        origin.rpartition(":")[2],
        "-n",
        "--user-claims",
        person,
    ]
    quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(sys.executable, *command, **quiet)
    deadline = time.monotonic() + 60
    async with httpx.AsyncClient() as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                await client.get(f"{origin}/.well-known/openid-configuration")
                break
            await asyncio.sleep(0.1)
    yield origin
    process.terminate()
    await process.wait()


@pytest.fixture(scope="module")
async def site(shared, provider):
    """A deployment with that provider, and one account of its own, whose owner is invited."""
    command = [str(PROGRAM), "staff", "add", "bob", "--role", "auditor", "--invite"]
    pipes = {"stdout": asyncio.subprocess.PIPE}
    adding = await asyncio.create_subprocess_exec(*command, env=shared.environment, cwd=shared.directory, **pipes)
    said, _ = await adding.communicate()
    assert adding.returncode == 0
    shared.invitation = said.decode().strip()
    settings = {"issuer": provider, "client_id": "confide", "roles": {"confide-support": ["support_agent"]}}
    server = await shared.served(
        CONFIDE_STAFF_OIDC=json.dumps({**settings, "label": "Example"}), CONFIDE_STAFF_OIDC_SECRET="ours"
    )
    shared.origin = f"http://127.0.0.1:{server.port}"
    return shared


@pytest.fixture
async def page(site):
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(30_000)
        opened = await context.new_page()
        await opened.goto(f"{site.origin}/console/")
        yield opened
        await browser.close()


async def clean(page, site, name=None):
    """Nothing is wrong with the page that is open, on a phone either."""
    for size, which in (({"width": 320, "height": 700}, "-phone"), ({"width": 1280, "height": 900}, "")):
        await page.set_viewport_size(size)
        assert await Watched(page, site.origin).faults() == [], which
        if name and PICTURES:
            await page.screenshot(path=Path(PICTURES) / f"{name}{which}.png", full_page=True)


async def enrolled(page, site):
    """Take up the account that there is an invitation for; the authenticator's secret."""
    await page.goto(f"{site.origin}/console/enrol")
    await clean(page, site, "staff-enrol")
    await page.fill("#name", "bob")
    await page.fill("#invitation", site.invitation)
    await page.click("main button")
    await page.wait_for_selector("svg.qr")
    await clean(page, site, "staff-enrol-choose")
    await page.click("summary")
    secret = (await page.inner_text("details code")).replace(" ", "")
    for name in ("#new", "#again"):
        await page.fill(name, PASSWORD)
    await page.fill("#code", pyotp.TOTP(secret).now())
    await page.click("main form button")
    await page.wait_for_selector("text=Sign out")
    return secret


async def test_staff_come_in_by_both_doors_and_break_the_glass(page, site):
    await clean(page, site)
    await page.click("text=Sign in with Example")
    await page.click("button[value=ana]")
    await page.wait_for_url(f"{site.origin}/console/**")
    await page.wait_for_selector("text=What are you here for?")
    assert "sso:ana" in await page.inner_text("header")
    await page.goto(f"{site.origin}/console/account")
    assert "through the identity provider" in await page.inner_text("main")
    await clean(page, site)

    await page.goto(f"{site.origin}/console/break-glass")
    await clean(page, site, "break-glass")
    await page.fill("#glass-reason", REASON)
    await page.click("text=Break the glass and raise the alarm")
    await page.wait_for_selector("aside.glass")
    assert "Break-glass access is open" in await page.inner_text("aside.glass")
    await clean(page, site)
    await page.click("aside.glass a")
    assert REASON in await page.inner_text("main")
    await clean(page, site, "break-glass-open")
    await page.click("text=End it now")
    await page.wait_for_load_state()
    assert await page.locator("aside.glass").count() == 0

    await page.click("text=Sign out")
    secret = await enrolled(page, site)

    await page.click("text=Sign out")
    await page.wait_for_selector("#name")
    await page.fill("#name", "bob")
    await page.fill("#password", "not the right one")
    await page.fill("#code", "000000")
    await page.click("form[action$='/local'] button")
    await page.wait_for_selector("#problem")
    assert await page.input_value("#name") == "bob"
    await clean(page, site)
    await page.fill("#password", PASSWORD)
    # The next code: that of now was spent with the invitation.
    await page.fill("#code", pyotp.TOTP(secret).at(int(time.time()) + 30))
    await page.click("form[action$='/local'] button")
    await page.wait_for_selector("text=Sign out")
    await page.goto(f"{site.origin}/console/account")
    assert "staff:bob" in await page.inner_text("main")
    assert "Change your password" in await page.inner_text("main")
    await clean(page, site)
    # Who reviews sees how many wait, beside the navigation.
    await page.goto(f"{site.origin}/console/purpose?next=/console/break-glass")
    await page.check("main input[value=audit]")
    await page.click("main button")
    await page.wait_for_url(f"{site.origin}/console/break-glass")
    assert REASON in await page.inner_text("main")
    assert "1" in await page.inner_text("nav .count")
    await clean(page, site, "break-glass-review")
