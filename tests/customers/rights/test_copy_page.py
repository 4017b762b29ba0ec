"""The page in a copy: everything in words, harmless whatever was written, whole without the rest, and for everybody."""

import pytest
from playwright import async_api as playwright

from customers.rights import readable
from tests.customers.rights.test_portability import copies, fetched, mine  # noqa: F401 - a fixture
from tests.schema.world import granted, order, person, ticket
from tests.server.processes.browsing import CHROMIUM, Watched

SHOWN = 40
HOSTILE = '<script>document.title="taken"</script><img src="http://elsewhere.example/x" onerror="document.title=1">'


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(readable, "SHOWN", SHOWN)


async def page_of(world, copies, **values):  # noqa: F811 - the fixture
    draft = world.draft(
        person(1, **values),
        consents=granted("marketing"),
        orders=[order(each) for each in range(SHOWN + 20)],
        tickets=[ticket(1, subject=HOSTILE)],
    )
    (customer_id,) = await world.create(draft)
    copy_id = await copies.make(mine(world, customer_id), customer_id)
    bundle = await fetched(world, copies, mine(world, customer_id), customer_id, copy_id)
    return bundle.read("index.html").decode(), bundle


async def test_the_page_says_what_is_known_where_from_and_what_is_left_out(world, copies):  # noqa: F811
    page, bundle = await page_of(world, copies)
    for said in (
        "E-mail address",
        "person1@mail1.example",
        "Your orders",
        "Street 1",
        "marketing",
        "a program of ours",
    ):
        assert said in page, said
    assert "What is not in it" in page
    assert page.count("<tr>") < SHOWN + 40, "a long list is cut,"
    assert "all are in <code>orders.csv</code>" in page, "and says where the rest is"
    assert bundle.read("orders.csv").count(b"\n") == SHOWN + 21


async def test_what_anybody_wrote_is_text_on_the_page(world, copies):  # noqa: F811
    page, _ = await page_of(world, copies, given_name=HOSTILE, notes=[HOSTILE], traits={HOSTILE: HOSTILE})
    assert page.count("&lt;script&gt;") == 5
    assert "<script" not in page
    assert "<img" not in page
    assert "unsafe" not in page
    assert page.index("Content-Security-Policy") < page.index("<style>")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
@pytest.mark.timeout(120)
async def test_the_page_opens_from_a_disk_in_a_browser_without_a_fault(world, copies, tmp_path):  # noqa: F811
    text, _ = await page_of(world, copies, given_name=HOSTILE)
    file = tmp_path / "index.html"
    file.write_text(text)
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size, scheme in (((1280, 900), "light"), ((320, 700), "dark")):
            context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            watched = Watched(await context.new_page(), f"file://{tmp_path}")
            await watched.page.goto(file.as_uri())
            assert await watched.page.title() == "A copy of your data"
            assert await watched.faults() == []
            # The negative control: what the policy of the page does not let in is told.
            await watched.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img alt=x src=x.png>')")
            await watched.page.wait_for_timeout(300)
            assert watched.wrong
            await context.close()
        await browser.close()


def test_a_list_of_nothing_says_so(world):
    assert "Nothing." in readable.list_opening("orders", (), world.policies.catalogue)
