"""Searching the access log in the console: conditions, addresses without customers, pages that lose nothing."""

import asyncio
import re
from datetime import timedelta

import pytest
from graphql import build_schema as parse_schema

from audit import Kind, Outcome, Record, timestamp
from server.console.search import LogShape, read_search
from tests.schema.world import BUILT, utc_now
from tests.server.console.conftest import entry_of


def actors(browser):
    """Who is in the table, from the top."""
    return re.findall(r'data-label="Who"><span class="long">([^<]+)<', browser.page.text)


async def search(browser, **typed):
    await browser.get("/console/audit?actor=nobody-at-all")
    return await browser.post("/console/audit", typed)


async def test_a_row_tells_who_did_what_for_what_and_leads_to_its_entry(desk):
    browser = await desk.auditor()
    await search(browser, actor="mia")
    row = browser.text[browser.text.index("mia marketer Read Mail marketing") :]
    assert row.startswith(
        "mia marketer Read Mail marketing First name and 3 more ● 2 clear ◐ 1 masked ○ 1 withheld 2 ✓ Allowed"
    )
    entry = await entry_of(desk.world, actor="mia")
    assert f"/console/audit/{entry}" in browser.links('[^"]+')


async def test_each_condition_finds_what_it_says_and_nothing_else(desk):
    browser = await desk.auditor()
    ada = desk.world.ids["ada"]

    async def found(**typed):
        return set(actors(await search(browser, **typed)))

    assert await found(actor="mia") == {"mia"}
    assert await found(role="support_agent") == {"ana"}
    assert await found(case="T-1") == {"ana"}
    assert await found(purpose="marketing") == {"mia"}
    assert await found(field="profile.national_id", kind="READ") == {"ana"}
    assert await found(kind="WRITE") == {"test-client_app"}
    assert await found(customer=ada, kind="READ") == {"ana", "mia"}
    assert await found(customer=desk.world.ids["bob"], kind="READ") == {"mia"}
    assert await found(actor="mia", since="2001-01-01", until="2100-01-01 10:00") == {"mia"}
    assert await found(actor="mia", until="2001-01-01") == set()
    assert await found(actor="mia", since="2100-01-01T00:00:00+02:00") == set()
    assert await found(actor="mi") == set()
    assert "No entry is like this" in browser.text
    record = (await desk.world.records(kind=Kind.SEARCH))[-1]
    assert (record.actor, record.operation) == ("hugo.audit", "ConsoleSearch")


async def test_the_search_stays_in_the_form_and_each_condition_can_be_taken_away(desk):
    browser = await desk.auditor()
    await search(browser, actor="mia", purpose="marketing", since="2001-02-03 04:05", kind="READ")
    for text in ('value="mia"', 'value="marketing"', 'value="2001-02-03 04:05"', '<option value="READ" selected>'):
        assert text in browser.page.text
    without = [link for link in browser.links('[^"]*/audit\\?[^"]*') if "actor" not in link and "after" not in link]
    assert any("purpose=marketing" in link and "kind=READ" in link for link in without)
    await browser.get("/console/audit?actor=mia&customer=&nonsense=1&kind=")
    assert actors(browser) == ["mia"]


async def test_no_address_ever_holds_a_customer_and_no_other_session_understands_it(desk):
    browser, ada = await desk.auditor(), desk.world.ids["ada"]
    await search(browser, customer=ada, kind="READ")
    assert set(actors(browser)) == {"ana", "mia"}
    assert f'value="{ada}"' in browser.page.text
    addresses = [each.url for seen in browser.seen for each in (*seen.history, seen)]
    addresses += [each.headers.get("location", "") for seen in browser.seen for each in seen.history]
    assert not [each for each in addresses if ada in str(each)]
    assert not [link for link in browser.links('[^"]+') if ada in link]
    here = str(browser.page.url)
    assert set(actors(await browser.get(here))) == {"ana", "mia"}
    other = await desk.auditor("other.audit")
    await other.get(here)
    assert (other.status, actors(other)) == (400, [])
    assert "Write the id again" in other.text
    await other.get(f"/console/audit?customer={ada}")
    assert other.status == 400


async def test_a_name_of_a_customer_means_them_in_its_own_session_alone(desk):
    (mine, other) = [(await desk.sessions.open(actor, "t"))[1] for actor in ("ann", "bob")]
    name = desk.sessions.name_customer(mine, "cus_39")
    assert (mine.customers.get(name), other.customers.get(name)) == ("cus_39", None)
    assert [mine.customers.get(each) for each in ("", "cus_39", name[:-2], name + "A")] == [None] * 4


@pytest.mark.parametrize(
    ("typed", "name", "text"),
    [
        ({"since": "yesterday"}, "since", "such as 2026-05-14 09:30"),
        ({"since": "2026-13-01"}, "since", "such as 2026-05-14 09:30"),
        ({"until": "0001-01-01T00:00+10:00"}, "until", "such as 2026-05-14 09:30"),
        ({"since": "2026-05-02", "until": "2026-05-01"}, "until", "nothing could be found"),
        ({"kind": "GOSSIP"}, "kind", "Choose one"),
        ({"actor": "x" * 257}, "actor", "at most 256"),
        ({"actor": "a\u202eb"}, "actor", "at most 256"),
        ({"customer": "cus_nobody"}, "customer", "No living customer"),
    ],
)
async def test_what_makes_no_sense_is_told_beside_its_field_and_nothing_is_lost(desk, typed, name, text):
    browser = await desk.auditor()
    await search(browser, **typed, case="T-1")
    assert browser.status == 400
    assert f'href="#c-{name}"' in browser.page.text
    assert re.search(rf'id="c-{name}-error">.*{text}', browser.page.text)
    assert 'aria-invalid="true"' in browser.page.text
    assert 'name="case" value="T-1"' in browser.page.text
    assert actors(browser) == []


async def test_somebody_who_was_erased_can_be_searched_for_by_nobody(desk):
    gone = await desk.world.one(7)
    browser = await desk.auditor()
    assert (await search(browser, customer=gone)).status == 200
    await desk.world.erase(gone)
    await search(browser, customer=gone)
    assert (browser.status, "was erased cannot be searched for" in browser.text) == (400, True)


async def test_the_officer_is_told_which_condition_the_purpose_does_not_allow(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("gro", "privacy_officer"))
    await browser.state("privacy_request")
    assert (browser.status, actors(browser)) == (200, [])
    assert "Not shown" in browser.text
    assert "mia" not in browser.text
    await search(browser, actor="mia")
    assert browser.status == 400
    assert "your role may not search by this" in browser.text
    await browser.state("audit", following="/console/audit?actor=mia")
    assert actors(browser) == ["mia"]  # control


async def fill(world, count, actor):
    start = utc_now()
    for number in range(count):
        moment = timestamp(start - timedelta(seconds=count - number))
        await world.log.append(record(actor, moment, case=f"C-{number}"))


def record(actor, moment, case=None):
    return Record(
        actor=actor, case=case, kind=Kind.READ, outcome=Outcome.ALLOWED, policy="p", roles=("auditor",), time=moment
    )


async def test_older_pages_bring_every_entry_once_newest_first(desk):
    await fill(desk.world, 60, "busy.bee")
    browser = await desk.auditor()
    await browser.get("/console/audit?actor=busy.bee")
    seen, pages = [], 0
    while True:
        cases = re.findall(r">(C-\d+)<", browser.page.text)
        seen += cases
        pages += 1
        assert ("Newest" in browser.text) is (pages > 1)
        older = browser.links(r"[^\"]*after=[^\"]*")
        if not older:
            break
        assert "actor=busy.bee" in older[0]
        await browser.get(older[0])
    assert seen == [f"C-{number}" for number in reversed(range(60))]
    assert pages == 3
    assert "these are the oldest" in browser.text


async def test_a_stretch_without_any_entry_says_so_and_goes_on(own_desk):
    world = own_desk.world
    await world.log.append(record("ann", timestamp(utc_now() - timedelta(hours=1)), "C-1"))
    # Batches that hold both names, though never in one record: each has to be looked at.
    for number in range(140):
        moment = timestamp(utc_now() - timedelta(seconds=600 - number))
        pair = (record("first", moment), record("ann", moment, "other"), record("other", moment, "C-1"))
        await asyncio.gather(*map(world.log.append, pair))
    browser = await own_desk.auditor()
    await browser.get("/console/audit?actor=ann&case=C-1")
    assert "Nothing in this stretch of the log" in browser.text
    assert "Keep searching" in browser.text
    for _ in range(5):
        if actors(browser):
            break
        await browser.get("/console/audit" + browser.links(r"[^\"]*after=[^\"]*")[0].removeprefix("/console/audit"))
    assert actors(browser) == ["ann"]


async def test_a_cursor_that_no_search_gave_out_is_refused(desk):
    browser = await desk.auditor()
    await browser.get("/console/audit?after=nonsense")
    assert (browser.status, "Start again from the newest" in browser.text) == (400, True)


def schema_with(fields="", filters=""):
    """A schema like ours with more in the log's types."""
    text = BUILT.schema.as_str()
    text = text.replace("type AccessEntry implements Node {", f"type AccessEntry implements Node {{ {fields} ", 1)
    text = text.replace("input AccessLogFilter {", f"input AccessLogFilter {{ {filters} ", 1)

    class Built:
        schema = type("Schema", (), {"_schema": parse_schema(text + " enum Left { CLEAR MASKED WITHHELD }")})

    return Built


def test_a_condition_that_the_schema_gains_appears_in_the_form():
    now = LogShape.of(BUILT)
    had = {each.name for each in now.conditions}
    more = {name: f"{name}: String = null" for name in ("client", "policyVersion", "outcome") if name not in had}
    if "decision" not in had:
        more["decision"] = "decision: Left = null"
    shape = LogShape.of(schema_with(filters=" ".join(more.values())))
    assert {each.name for each in shape.conditions} >= had | {"client", "policyVersion", "outcome", "decision"}
    assert shape.condition("nonsense") is None
    found = read_search(shape, {"decision": "MASKED", "client": "shop", "policyVersion": "p", "nonsense": "x"})
    assert set(found.filter) == {"decision", "client", "policyVersion"}


def test_a_field_that_the_schema_gains_is_asked_for():
    had = LogShape.of(BUILT).selection.split()
    more = " ".join(f"{name}: String" for name in ("trace", "document") if name not in had)
    shape = LogShape.of(schema_with(fields=more))
    assert {"trace", "document"} <= set(shape.selection.split())
    assert "trace" in shape.document("X")


async def test_the_consoles_queries_stay_within_the_default_limits_of_a_server_without_introspection():
    from schema.documents import Documents  # noqa: PLC0415 - only here
    from schema.limits import Limits  # noqa: PLC0415 - only here
    from server.console.reading import _POLICY  # noqa: PLC0415 - only here

    documents = Documents(BUILT.schema, Limits(), introspection=False, suggestions=False)
    for text, first in ((LogShape.of(BUILT).document("ConsoleSearch"), 25), (_POLICY, None)):
        assert documents.prepare(text).cost(None, {"first": first}).cost < 10_000
