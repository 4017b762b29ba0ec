"""Data quality in the console: the report with its trend, and corrections applied with a click, each recorded."""

import html
import re
from datetime import date, timedelta

from audit import Kind
from server.console.plot import plotted
from tests.schema.world import person
from tests.server.console.test_console_pages import CANARY, RAW, shown

SHOUTED = {"given_name": "WILHELMINA", "city": "BREMEN", "street": "Hafenweg  7"}


async def shouting(desk, *values):
    """People whose values could be written better, and today's report, which suggests it."""
    world = desk.world
    number = 300 + 10 * len(world.ids)
    ids = await world.create(*(world.draft(person(number + at, **each)) for at, each in enumerate(values)))
    world.ids.update({f"shouting{each}": each for each in ids})
    await world.services.quality.run(world.access("record_keeper", "data_quality"), again=True)
    return ids


async def value_of(desk, customer, name):
    told = await desk.world.told(
        f"query One($id: ID!) {{ profile(id: $id) {{ {name} }} }}", "record_keeper", "data_quality", {"id": customer}
    )
    return told["profile"][name]


def suggestions(browser):
    """What is suggested on the page: the buttons' values, by what stands there now."""
    rows = re.findall(r"<tr role=\"row\">\n<td.*?</tr>", browser.page.text, re.DOTALL)
    return {
        html.unescape(re.search(r'class="value long">([^<]*)<', row)[1]): re.search(r'value="apply:([^"]+)"', row)[1]
        for row in rows
    }


async def test_without_a_report_the_page_says_how_one_comes(own_desk):
    for who in (own_desk.record_keeper, own_desk.administrator):
        browser = await who()
        await browser.get("/console/quality")
        assert (browser.status, "There is no report yet" in browser.text) == (200, True)
        assert "confide quality run" in browser.text


async def test_the_report_is_shown_with_its_trend_as_a_line_and_as_a_table(own_desk):
    await shouting(own_desk, *[SHOUTED] * 12)
    days = own_desk.world.main["quality_days"]
    today = await days.find_one({})
    for ago in range(1, 6):
        day = (date.fromisoformat(today["day"]) - timedelta(days=ago)).isoformat()
        await days.insert_one({**today, "_id": f"{today['_id']}{ago}", "day": day})
    browser = await own_desk.administrator()
    await browser.get("/console/quality")
    assert browser.status == 200
    assert "14 profiles looked at" in browser.text
    assert browser.page.text.count('<path class="line') == 2 * 4, "one for wide screens, one for small ones"
    assert '<title id="title-wide">Scores by day</title>' in browser.page.text
    assert "Score stayed at" in browser.page.text
    assert len(re.findall(r'<th scope="row" role="rowheader">\d{4}-\d\d-\d\d</th>', browser.page.text)) == 6
    assert "capitals; a guess" in browser.text
    assert ">12<" in browser.page.text
    assert "style=" not in browser.page.text
    newest = (await own_desk.world.records(actor="kim.administrator"))[-1]
    assert newest.operation == "ConsoleQuality"
    assert (await browser.get("/console/quality?days=31")).status == 404
    for ago in range(6, 365):
        day = (date.fromisoformat(today["day"]) - timedelta(days=ago)).isoformat()
        await days.insert_one({**today, "_id": f"{today['_id']}{ago}", "day": day})
    for query, shown_days in (("30", 30), ("90", 30), ("365", 53)):
        await browser.get(f"/console/quality?days={query}")
        assert len(re.findall(r'<th scope="row" role="rowheader">\d{4}-', browser.page.text)) == shown_days
        assert len(browser.page.content) < 60_000


async def test_few_are_told_as_few_and_never_as_a_bar(own_desk):
    await shouting(own_desk, SHOUTED)
    browser = await own_desk.administrator()
    await browser.get("/console/quality")
    assert "fewer than 11" in browser.text.lower()


async def test_one_click_applies_a_correction_and_it_is_recorded(desk):
    (customer,) = await shouting(desk, SHOUTED)
    browser = await desk.record_keeper()
    await browser.get("/console/corrections?field=given_name")
    found = suggestions(browser)
    assert "Wilhelmina" in browser.text
    await browser.post("/console/corrections", {"do": f"apply:{found['WILHELMINA']}", "field": "given_name"})
    assert "1 value put right" in browser.text
    assert "WILHELMINA" not in browser.page.text
    assert await value_of(desk, customer, "givenName") == "Wilhelmina"
    writes = await desk.world.records(actor="kim.record_keeper", kind=Kind.WRITE)
    assert (writes[-1].operation, writes[-1].case, len(writes[-1].subjects)) == ("ConsoleApplyCorrection", "K-1", 1)
    await browser.post("/console/corrections", {"do": f"apply:{found['WILHELMINA']}"})
    assert "1 suggestion had gone" in browser.text


async def test_several_are_applied_at_once_and_what_was_not_picked_stays(desk):
    first, second = await shouting(desk, {"city": "LÜBECK"}, {"city": "KIEL"})
    browser = await desk.record_keeper()
    await browser.get("/console/corrections?field=city")
    found = suggestions(browser)
    picked = {f"pick.{found[each]}": "1" for each in ("LÜBECK",)}
    await browser.post("/console/corrections", {**picked, "do": "apply:", "field": "city"})
    assert "1 value put right" in browser.text
    assert (await value_of(desk, first, "city"), await value_of(desk, second, "city")) == ("Lübeck", "KIEL")
    await browser.post("/console/corrections", {f"pick.{found['KIEL']}": "1", "do": "dismiss:", "field": "city"})
    assert "1 suggestion dismissed" in browser.text
    assert await value_of(desk, second, "city") == "KIEL"
    assert "KIEL" not in suggestions(await browser.get("/console/corrections?field=city"))
    await browser.post("/console/corrections", {"do": "apply:"})
    assert (browser.status, "Pick at least one" in browser.text) == (400, True)
    assert (await browser.get("/console/corrections?field=email")).status == 404


async def test_long_queues_go_on_page_by_page(own_desk):
    await shouting(own_desk, *[{"city": f"ORT {number:02}"} for number in range(45)])
    browser, seen = await own_desk.record_keeper(), set()
    await browser.get("/console/corrections?field=city")
    while True:
        assert len(browser.page.content) < 60_000
        seen |= set(suggestions(browser))
        following = browser.links(r"/console/corrections\?[^\"]*after=[^\"]*")
        if not following:
            break
        await browser.get(following[0])
    assert len(seen) == 45


async def test_who_may_not_see_values_sees_no_correction(desk):
    await shouting(desk, SHOUTED)
    for role, purpose in (("administrator", "data_management"), ("data_steward", "identity_resolution")):
        browser = await desk.keeping(role, purpose)
        await browser.get("/console/corrections")
        assert (browser.status, "closed to you" in browser.text) == (403, True)
        assert "WILHELMINA" not in browser.page.text
        assert ">Corrections</a>" not in browser.page.text


async def test_no_value_becomes_markup(desk):
    await shouting(desk, {"city": CANARY.upper(), "family_name": f"{CANARY}  "})
    browser = await desk.record_keeper()
    await browser.get("/console/corrections")
    assert shown(browser.page, CANARY.upper()) or shown(browser.page, f"{CANARY}  ")
    assert not re.search("<x-canary", browser.page.text, re.IGNORECASE)
    await browser.post("/console/corrections", {"do": f"apply:{CANARY}", "field": CANARY})
    assert not RAW.search(browser.page.text)
    await browser.post("/console/corrections", {f"pick.{CANARY}": "1", "do": "apply:"})
    assert not RAW.search(browser.page.text)


def test_a_line_is_broken_where_a_day_has_no_value_and_names_do_not_lie_on_each_other():
    days = [date(2026, 11, day) for day in (1, 2, 3, 5)]
    plot = plotted(
        [
            ("A", "a", list(zip(days, (10, None, 30, 100), strict=True))),
            ("B", "b", list(zip(days, (99, 99, 99, 99), strict=True))),
        ]
    )
    assert [line.path.count("M") for line in plot.lines] == [2, 1]
    assert abs(plot.lines[0].label_y - plot.lines[1].label_y) >= 14
    assert (
        plot.summary
        == "A rose from 10 to 100 between 2026-11-01 and 2026-11-05; B stayed at 99 between 2026-11-01 and 2026-11-05"
    )
    assert all(0 <= point.y <= 160 and 0 <= point.x <= 640 for line in plot.lines for point in line.points)
    assert plotted([("A", "a", [(days[0], 5)])]) is None
    assert plotted([]) is None
