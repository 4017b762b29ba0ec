"""The console in real Chromium, over a real `confide serve`: what an auditor does with it, on any screen."""

import contextlib
import zipfile

import pytest
from playwright import async_api as playwright

from audit import AuditError, Receipt, VerifierKey
from tests.server.processes.browsing import CHROMIUM, Watched
from tests.server.processes.deployment import READER, SUPPORT

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.timeout(120),
]
READ = "query CaseWork($id: ID!) { profile(id: $id) { givenName email birthDate nationalId } }"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 700}


@pytest.fixture(scope="module")
async def chromium():
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def site(shared):
    """A deployment with a customer whom some have looked at."""
    shared.server = await shared.served(CONFIDE_CHECKPOINT_SECONDS="86400")
    shared.origin = f"http://127.0.0.1:{shared.server.port}"
    # First of all: the command's end signs what is in the log by then.
    twice = {"familyName": "Okonkwo", "birthDate": "1961-05-14", "street": "Hafenweg 7", "postalCode": "28195"}
    for given, city in (("Adaeze", "Bremen"), ("Adeaze", "BREMEN")):
        await shared.create(shared.server, **twice, givenName=given, city=city, country="DE")
    assert (await shared.confide("quality", "run")).code == 0
    shared.customer = await shared.create(shared.server, givenName="Wilhelmina", email="w@example.org")
    await shared.create(shared.server, givenName="Somebody else")
    for at in range(30):
        answer = await shared.ask(shared.server, SUPPORT, READ, case=f"T-{at}", id=shared.customer)
    shared.entry = answer.entry
    await shared.ask(shared.server, ("marketer", "marketing"), READ, id=shared.customer)
    await shared.ask(shared.server, READER, "query Other { profiles(first: 1) { nodes { id } } }")
    shared.key = VerifierKey.parse((await shared.confide("audit", "key")).out.strip())
    return shared


@contextlib.asynccontextmanager
async def opened(chromium, site, size=WIDE, **options):
    """A page of a new browser, at the console's door."""
    context = await chromium.new_context(viewport=size, **options)
    context.set_default_timeout(15_000)
    try:
        watched = Watched(await context.new_page(), site.origin)
        await watched.page.goto(f"{site.origin}/console/audit")
        yield watched
    finally:
        await context.close()


async def follow(page, selector):
    """Click on what leads to another page, and wait for that."""
    async with page.expect_navigation():
        await page.click(selector)


async def sign_in(page, site, role="auditor", purpose="audit", case="AUD-7"):
    await page.fill("#token", site.token(f"{role}.browser", role))
    await follow(page, "main button")
    await page.check(f"#p-{purpose}")
    await page.fill("#state-case", case)
    await follow(page, "main button")


async def main_text(page):
    return " ".join((await page.inner_text("main")).split())


async def conditions(page):
    """Show the form, which a narrow screen hides behind the results."""
    if not await page.is_visible("#c-actor"):
        await page.click("details.conditions > summary")


async def download(page, selector, to):
    async with page.expect_download() as started:
        await page.click(selector)
    given = await started.value
    await given.save_as(to)
    return given.suggested_filename


async def test_an_auditor_finds_an_entry_sees_why_verifies_it_and_takes_its_proof_along(chromium, site, tmp_path):
    async with opened(chromium, site) as watched:
        page = watched.page
        await sign_in(page, site)
        await page.fill("#c-customer", site.customer)
        await page.fill("#c-purpose", "marketing")
        await follow(page, "form.search button")
        assert site.customer not in page.url
        assert await page.locator("table.log tbody tr").count() == 1
        await follow(page, "table.log tbody tr a.row")
        text = await main_text(page)
        assert "marketer.tester, a marketer, read" in text
        assert "Withheld" in text
        assert "Rule 43" in text
        assert "Not proved yet" in text
        await follow(page, "text=Verify now")
        text = await main_text(page)
        assert "Verified: the entry is what was logged" in text
        assert "does not hold" not in text
        assert "Proved under checkpoint" in text
        name = await download(page, "text=Download receipt", tmp_path / "receipt")
        assert await watched.faults() == []
    entry = name.removeprefix("entry-").removesuffix(".tlog-proof")
    receipt = Receipt.parse((tmp_path / "receipt").read_bytes())
    checkpoint = receipt.verify([site.key])
    assert f"{checkpoint.origin.rpartition('/')[2]}.{receipt.index}" == entry
    assert b"marketer.tester" in receipt.record
    # Control: a receipt that was changed proves nothing.
    data = bytearray((tmp_path / "receipt").read_bytes())
    data[len(data) // 2] = ord("B" if data[len(data) // 2] == ord("A") else "A")
    with pytest.raises(AuditError):
        Receipt.parse(bytes(data)).verify([site.key])


async def test_an_auditor_exports_the_log_and_anybody_with_the_key_can_verify_it(chromium, site, tmp_path):
    async with opened(chromium, site) as watched:
        page = watched.page
        await sign_in(page, site)
        await follow(page, "nav >> text=Export")
        await page.check("#f-csv")
        await follow(page, "text=Start the export")
        await page.wait_for_selector("text=The export is ready")
        bundle = tmp_path / await download(page, "main >> text=Download", tmp_path / "bundle")
        (tmp_path / "bundle").rename(bundle)
        assert await watched.faults() == []
    (tmp_path / "audit.pub").write_text(str(site.key))
    verify = ("audit", "verify", bundle, "--key", tmp_path / "audit.pub")
    assert (await site.confide(*verify)).code == 0
    assert any(name.endswith(".csv") for name in zipfile.ZipFile(bundle).namelist())
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(bytes(data))
    assert (await site.confide(*verify)).code != 0, "the control"


async def test_everything_can_be_done_with_the_keyboard(chromium, site):
    async with opened(chromium, site) as watched:
        page = watched.page
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "token"
        await page.keyboard.type(site.token("key.board", "auditor"))
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h1:has-text('What are you here for?')")
        await page.focus("#state-case")
        await page.keyboard.type("AUD-8")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("table.log")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the page"
        await page.keyboard.press("o")
        await page.wait_for_url("**after=*")
        await page.keyboard.press("p")
        assert await page.evaluate("document.activeElement.id") == "frame-purpose"
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.id") == "c-actor"
        await page.keyboard.type("marketer.tester")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**actor=marketer.tester")
        await page.focus("a.row")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=What was decided")
        assert watched.wrong == []


async def walk(page, site):
    """Every kind of page, one after the other; yields the name of each while it is open."""
    at = f"{site.origin}/console"
    yield "sign in"
    await page.fill("#token", "nonsense")
    await follow(page, "main button")
    yield "sign in refused"
    await page.fill("#token", site.token("walker", "auditor"))
    await follow(page, "main button")
    yield "purpose"
    await page.fill("#state-case", "no number at all")
    await follow(page, "main button")
    yield "purpose refused"
    await page.fill("#state-case", "AUD-9")
    await follow(page, "main button")
    yield "log"
    await conditions(page)
    await page.fill("#c-customer", "cus_nobody")
    await follow(page, "form.search button")
    yield "condition refused"
    await page.goto(f"{at}/audit?actor=nobody")
    yield "nothing found"
    await page.goto(f"{at}/audit/{site.entry}")
    yield "entry"
    await follow(page, "text=Verify now")
    assert "Verified" in await main_text(page)
    yield "verified"
    await page.goto(f"{at}/audit/nonsense")
    yield "missing"
    await page.goto(f"{at}/audit?after=nonsense")
    yield "bad place"
    await page.goto(f"{at}/audit/export")
    yield "export"
    await page.fill("#x-since", "soon")
    await follow(page, "text=Start the export")
    yield "export refused"
    await page.fill("#x-since", "")
    await follow(page, "text=Start the export")
    yield "exporting"
    await page.wait_for_selector("main >> text=Download")
    yield "exported"
    await page.goto(f"{at}/audit")
    await follow(page, "text=Sign out")
    await page.fill("#token", site.token("closed.out", "inventory_planner"))
    await follow(page, "main button")
    await page.check("#p-inventory_planning")
    await follow(page, "main button")
    assert "closed to you" in await main_text(page)
    yield "closed"


async def keep(page, site, name):
    """What those who keep data do, each page while it is open; everything is done anew under another name."""
    at = f"{site.origin}/console"
    await follow(page, "text=Sign out")
    await sign_in(page, site, "administrator", "data_management", "K-1")
    await page.goto(f"{at}/sources/+new")
    await follow(page, "main form button")
    yield "new source refused"
    await page.fill("#k-name", name)
    await follow(page, "main form button")
    assert "It is shown only now" in await main_text(page)
    yield "source made"
    await follow(page, "text=Make another key")
    assert "It has another write key" in await main_text(page)
    yield "key rotated"
    for path in ("/sources", "/plans", "/violations", "/quality"):
        await page.goto(f"{at}{path}")
        yield path
    await follow(page, "text=Sign out")
    await sign_in(page, site, "data_steward", "identity_resolution", "K-2")
    await page.goto(f"{at}/people")
    state = "" if await page.locator("a.row").count() else "?state=apart"
    await page.goto(f"{at}/people{state}")
    yield "people"
    await follow(page, "a.row")
    assert "Okonkwo" not in await page.content(), "masked stays masked"
    yield "case"
    await follow(page, "button[value=same]")
    assert "Both ids now lead to one profile" in await main_text(page)
    yield "joined"
    await follow(page, "main >> text=take them apart")
    yield "merge"
    await follow(page, "main form button")
    assert "Both profiles stand alone again" in await main_text(page)
    yield "taken apart"
    await page.goto(f"{at}/merges")
    yield "merges"
    await follow(page, "text=Sign out")
    await sign_in(page, site, "record_keeper", "data_quality", "K-3")
    await page.goto(f"{at}/corrections")
    if await page.locator(".pick input").count():
        assert "BREMEN" in await main_text(page)
        await page.check(".pick input")
        await follow(page, "text=Apply those picked")
        assert "1 value put right" in await main_text(page)
    yield "corrections"


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
async def test_every_page_is_whole_on_every_screen(chromium, site, size, scheme):
    async with opened(chromium, site, size, color_scheme=scheme) as watched:
        async for name in walk(watched.page, site):
            assert await watched.faults() == [], name
        async for name in keep(watched.page, site, f"shop-{scheme}"):
            assert await watched.faults() == [], name
        dark = await watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(22, 25, 29)") is (scheme == "dark")


async def test_everything_works_without_scripts(chromium, site):
    async with opened(chromium, site, java_script_enabled=False) as watched:
        names = [name async for name in walk(watched.page, site)]
        assert names[-1] == "closed"
        assert len([name async for name in keep(watched.page, site, "shop-plain")]) == 14
        assert watched.wrong == []


async def test_what_is_wrong_with_a_page_is_seen(chromium, site):
    """The negative control of the tests above."""
    async with opened(chromium, site, PHONE) as watched:
        before = await watched.faults()
        await watched.page.set_content(
            "<!doctype html><h1>One</h1><h3 id=a>Three</h3><p id=a style='color: red'>Text</p><input><button></button>"
            "<select aria-label=x aria-describedby=nothing></select><img src='https://elsewhere.example/x.png'>"
            f"<pre>{'wide ' * 50}</pre>"
        )
        found = " ".join(await watched.faults())
        assert before == []
    for fault in (
        "sideways",
        "language",
        "one main",
        "no label",
        "no name",
        "nothing",
        "id a",
        "left out",
        "inline style",
    ):
        assert fault in found, fault
    assert "elsewhere.example" in found
