"""Sources in the console: made, given other keys, disabled; what is shown of them, to whom, and what is recorded."""

import html
import re
from datetime import timedelta

import pytest

from audit import Kind, Outcome, Record, timestamp
from customers.collection.plan_file import parse_plan
from customers.collection.source_counts import SourceCount
from customers.collection.sources import SourceKind
from customers.collection.violations import Violation, ViolationKind

KEY = re.compile(r"wk_[A-Za-z0-9_-]{43}")
PATHS = ("/console/sources", "/console/sources/+new", "/console/plans", "/console/violations")


async def made(desk, name="web-shop", **given):
    browser = await desk.administrator()
    await browser.get("/console/sources/+new")
    await browser.post("/console/sources/+new", {"name": name, "kind": "segment", **given})
    return browser


async def test_a_source_is_made_and_its_key_is_shown_once_in_lines_to_paste(own_desk):
    browser = await made(own_desk, origins="https://shop.example\nhttps://www.shop.example")
    assert browser.status == 200, browser.text
    (key,) = set(KEY.findall(browser.page.text))
    assert "It is shown only now" in browser.text
    text = html.unescape(browser.page.text)
    for line in (
        f'Client("{key}", host="http://127.0.0.1:8000", gzip=True)',
        f'writeKey: "{key}", cdnURL: "http://127.0.0.1:8000"',
        f'RudderAnalytics("{key}", {{ dataPlaneUrl: "http://127.0.0.1:8000" }})',
        f"curl http://127.0.0.1:8000/v1/track -u {key}:",
    ):
        assert line in text, line
    source = await own_desk.sources.of_key(key)
    assert (source.name, source.origins) == ("web-shop", ("https://shop.example", "https://www.shop.example"))
    await browser.get("/console/sources/web-shop")
    assert key not in browser.page.text
    assert "WRITE_KEY" in browser.page.text
    await browser.get("/console/sources")
    assert key not in browser.page.text
    (record,) = await own_desk.world.records(actor="kim.administrator", kind=Kind.ADMIN)
    assert (record.operation, record.purpose, record.case) == (
        "ConsoleCreateSource web-shop",
        "data_management",
        "K-1",
    )
    assert record.outcome is Outcome.ALLOWED


async def test_what_is_wrong_with_a_new_source_stands_beside_its_field_and_nothing_is_lost(desk):
    browser = await made(desk, "Web Shop!", origins="shop.example", kind="segment")
    assert browser.status == 400
    for part in ('href="#k-name"', 'href="#k-origins"', 'value="Web Shop!"', ">shop.example</textarea>"):
        assert part in browser.page.text, part
    await browser.post("/console/sources/+new", {"name": "x", "kind": "telepathy"})
    assert (browser.status, "Choose how it sends" in browser.text) == (400, True)
    await browser.post("/console/sources/+new", {"name": "x", "kind": "segment", "plan": "none-such"})
    assert (browser.status, "Choose a plan that there is" in browser.text) == (400, True)
    await made(desk, "taken")
    browser = await made(desk, "taken")
    assert (browser.status, "There is a source of this name" in browser.text) == (400, True)
    assert {each.name for each in await desk.sources.all()} & {"Web Shop!", "x"} == set()


async def test_after_a_rotation_the_old_key_is_good_for_as_long_as_was_said(desk):
    browser = await made(desk, "till")
    (old,) = set(KEY.findall(browser.page.text))
    await browser.get("/console/sources/till")
    await browser.post("/console/sources/till/rotate", {"grace": "48"})
    (new,) = set(KEY.findall(browser.page.text))
    assert new != old
    assert "The key before it is good until" in browser.text
    assert await desk.sources.of_key(old) is not None
    desk.clock.later = timedelta(hours=49)
    assert await desk.sources.of_key(old) is None
    assert await desk.sources.of_key(new) is not None
    desk.clock.later = timedelta()
    await browser.get("/console/sources/till")
    assert "the one before it is good until" in browser.text
    assert not KEY.search(browser.page.text)
    await browser.post("/console/sources/till/rotate", {"grace": "9999"})
    assert browser.status == 400
    assert await desk.sources.of_key(new) is not None, "nothing was done"
    records = await desk.world.records(actor="kim.administrator", kind=Kind.ADMIN)
    assert [each.operation for each in records].count("ConsoleRotateSource till") == 1


PLAN = b'{"name": "%s", "events": {"Seen": {"properties": {"sku": {"category": "user.behavior"%s}}}}}'


async def test_plan_and_pages_of_a_source_are_changed_and_what_would_open_data_is_not(own_desk):
    for name, more in ((b"sealing", b""), (b"opening", b', "clear": true')):
        plan = parse_plan(PLAN % (name, more), own_desk.world.policies.catalogue, is_toml=False)
        await own_desk.plans.put(plan, by="tester")
    browser = await made(own_desk, origins="https://shop.example")
    address = "/console/sources/web-shop"
    await browser.get(address)
    await browser.post(f"{address}/change", {"plan": "sealing", "origins": "https://a.example\r\nhttps://b.example"})
    assert (browser.status, "The source is changed" in browser.text) == (200, True), browser.text
    source = await own_desk.sources.named("web-shop")
    assert (source.plan, source.origins) == ("sealing", ("https://a.example", "https://b.example"))
    assert ">https://a.example\nhttps://b.example</textarea>" in browser.page.text

    for values, said in (
        ({"plan": "opening", "origins": "https://a.example"}, "--declassify"),
        ({"plan": "none-such", "origins": "https://a.example"}, "Choose a plan that there is"),
        ({"plan": "sealing", "origins": ""}, "Leave one at least"),
        ({"plan": "sealing", "origins": "a.example"}, "Write one origin a line"),
    ):
        await browser.post(f"{address}/change", values)
        assert (browser.status, said in browser.text) == (400, True), values
        assert await own_desk.sources.named("web-shop") == source
    await browser.post(f"{address}/change", {"plan": "", "origins": "https://a.example"})
    assert (await own_desk.sources.named("web-shop")).plan is None
    records = await own_desk.world.records(actor="kim.administrator", kind=Kind.ADMIN)
    assert [each.operation for each in records].count("ConsoleChangeSource web-shop") == 2


async def test_how_much_a_source_has_sent_is_shown(own_desk):
    browser = await made(own_desk)
    await browser.get("/console/sources/web-shop")
    assert "none yet" in browser.text
    at = own_desk.clock()
    own_desk.source_counts.note("web-shop", SourceCount(1234, 30, 5, 7, at, at))
    await own_desk.source_counts.flush()
    await browser.get("/console/sources/web-shop")
    said = "1,276 received, 1,264 accepted (30 of them again), 5 left out by the plan, 7 refused"
    assert said in browser.text
    await browser.get("/console/sources")
    assert "1,264" in browser.text
    assert "7 refused" in browser.text


async def test_a_source_of_webhooks_says_where_to_send_and_takes_or_makes_its_secret(desk):
    browser = await made(desk, "records", kind="shopify")
    assert not KEY.search(browser.page.text), "Shopify signs, so the key would only confuse"
    assert "http://127.0.0.1:8000/webhooks/records" in browser.text
    assert "Needs its secret" in browser.text
    await browser.post("/console/sources/records/secret", {"grace": "0", "secret": "short"})
    assert browser.status == 400
    assert "short" not in browser.page.text.split("<main", 1)[1]
    await browser.post("/console/sources/records/secret", {"grace": "0", "secret": "a" * 32})
    assert (browser.status, "The secret is set" in browser.text) == (200, True)
    assert "a" * 32 not in browser.page.text
    assert (await desk.sources.signing("records"))[1] == (b"a" * 32,)
    browser = await made(desk, "tickets", kind="standard_webhooks")
    await browser.post("/console/sources/tickets/secret", {"grace": "0", "make": "1"})
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", html.unescape(browser.page.text)))
    assert secret not in html.unescape((await browser.get("/console/sources/tickets")).page.text)
    browser = await made(desk, "events", kind="cloudevents")
    assert KEY.search(browser.page.text)


async def test_disabling_asks_for_the_name_and_then_nothing_is_taken(desk):
    browser = await made(desk, "old-app")
    (key,) = set(KEY.findall(browser.page.text))
    await browser.post("/console/sources/old-app/disable", {"confirm": "old app"})
    assert browser.status == 400
    assert await desk.sources.of_key(key) is not None
    await browser.post("/console/sources/old-app/disable", {"confirm": "old-app"})
    assert (browser.status, "Nothing is taken from it any more" in browser.text) == (200, True)
    assert await desk.sources.of_key(key) is None
    assert (await browser.get("/console/sources/none-such")).status == 404


async def test_the_list_says_when_a_source_was_last_heard_of_and_what_was_wrong(desk):
    await made(desk, "heard")
    at = desk.clock()
    for _ in range(3):
        await desk.world.log.append(
            Record(
                actor="source:heard",
                kind=Kind.WRITE,
                operation="collect",
                outcome=Outcome.ALLOWED,
                policy="p",
                roles=("collector",),
                time=timestamp(at),
            )
        )
    desk.violations.note("heard", [Violation(ViolationKind.UNPLANNED_EVENT)] * 7, at)
    await desk.violations.flush()
    browser = await desk.administrator()
    await browser.get("/console/sources")
    row = re.search(r"<tr[^>]*>(?:(?!</tr>).)*>heard</a>.*?</tr>", browser.page.text, re.DOTALL)[0]
    assert at.strftime("%Y-%m-%d %H:%M") in row
    assert ">7</a>" in row
    await browser.get("/console/sources/heard")
    assert "3 batches" in browser.text


async def test_long_lists_of_sources_go_on_page_by_page(desk):
    for number in range(30):
        await desk.sources.create(f"many-{number:02}")
    browser = await desk.administrator()
    seen = set()
    await browser.get("/console/sources")
    while True:
        seen |= set(re.findall(r'href="/console/sources/(many-\d\d)"', browser.page.text))
        following = browser.links(r"/console/sources\?after=[^\"]*")
        if not following:
            break
        await browser.get(following[0])
    assert len(seen) == 30


@pytest.mark.parametrize("who", ["record_keeper", "steward"])
async def test_who_keeps_data_sees_sources_and_changes_none(desk, who):
    await made(desk, f"seen-by-{who.replace('_', '-')}")
    name = f"seen-by-{who.replace('_', '-')}"
    browser = await getattr(desk, who)()
    for path in (*PATHS, f"/console/sources/{name}"):
        assert (await browser.get(path)).status == 200, path
        assert "Disable this source" not in browser.text
    for path, form in (
        ("/console/sources/+new", {"name": "mine", "kind": "segment"}),
        (f"/console/sources/{name}/change", {"plan": "", "origins": "https://a.example"}),
        (f"/console/sources/{name}/rotate", {"grace": "0"}),
        (f"/console/sources/{name}/secret", {"grace": "0", "secret": "a" * 20}),
        (f"/console/sources/{name}/disable", {"confirm": name}),
    ):
        await browser.post(path, form)
        assert (browser.status, "closed to you" in browser.text) == (403, True), path
        assert not KEY.search(browser.page.text)
    assert not (await desk.sources.named(name)).disabled
    assert await desk.sources.named("mine") is None
    refused = [each for each in await desk.world.records(actor=f"kim.{who}") if each.outcome is Outcome.REFUSED]
    refused = refused or [
        each
        for each in await desk.world.records()
        if each.outcome is Outcome.REFUSED and each.operation.startswith("Console")
    ]
    assert len(refused) >= 4


@pytest.mark.parametrize(
    ("role", "purpose"), [("marketer", "marketing"), ("auditor", "audit"), ("support_agent", "customer_service")]
)
async def test_to_everybody_else_these_pages_are_closed_and_the_attempt_is_recorded(desk, role, purpose):
    browser = await desk.keeping(role, purpose)
    for path in PATHS:
        before = len(await desk.world.records(actor=f"kim.{role}"))
        await browser.get(path)
        assert (browser.status, "closed to you" in browser.text) == (403, True), path
        records = (await desk.world.records(actor=f"kim.{role}"))[before:]
        assert [each.outcome for each in records] == [Outcome.REFUSED]
    for label in ("Sources", "Tracking plans", "People to review"):
        assert f">{label}</a>" not in browser.page.text


async def test_an_administrator_who_states_another_purpose_is_led_to_the_one_that_opens_them(desk):
    browser = desk.browser()
    await browser.sign_in(desk.token("ida", ["administrator", "auditor"]), "/console/sources")
    await browser.state("audit", following="/console/sources")
    assert (browser.status, "What opens them for you" in browser.text) == (403, True)
    assert 'name="purpose" value="data_management"' in browser.page.text
    await browser.state("data_management", following="/console/sources")
    assert browser.status == 200


async def test_every_look_is_recorded_before_it_is_shown(own_desk):
    browser = await own_desk.administrator()
    await own_desk.world.log.close()
    for path in PATHS:
        await browser.get(path)
        assert browser.status == 503, path
    await browser.post("/console/sources/+new", {"name": "unrecorded", "kind": "segment"})
    assert not KEY.search(browser.page.text)


async def test_an_auditor_reads_in_plain_words_what_an_administrator_did(desk):
    await made(desk, "told-of")
    auditor = await desk.auditor()
    await auditor.get("/console/audit?actor=kim.administrator")
    links = auditor.links(r"/console/audit/[0-9a-f]{12}\.\d+")
    told = [(await auditor.get(link)).text for link in links[:4]]
    assert any(
        "kim.administrator, an administrator, administered the platform for data management" in each for each in told
    )
    assert any("looked at how data comes in for data management" in each for each in told)
    assert any("How the platform works system.operations" in each for each in told)


@pytest.mark.parametrize("kind", SourceKind)
async def test_every_kind_of_source_has_its_words(desk, kind):
    browser = await made(desk, f"kind-{kind.value.replace('_', '-')}", kind=kind.value)
    assert browser.status == 200
    assert "unsafe" not in browser.page.headers["content-security-policy"]
    assert len(browser.page.content) < 60_000
