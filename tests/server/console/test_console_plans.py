"""Tracking plans and violations in the console: as people read them, with nothing that anybody wrote becoming markup."""

import re
from datetime import timedelta

from customers.collection.plans import EventRule, Mode, Modes, PropertyRule, TrackingPlan
from customers.collection.violations import Violation, ViolationKind
from tests.server.console.test_console_pages import CANARY, RAW, shown

ORDER = "user.behavior.purchase_history.order"


def plan(name="shop", **given):
    properties = {
        "order_id": PropertyRule(ORDER, {"type": "string", "maxLength": 64}, clear=True, required=True),
        "greeting": PropertyRule("user.content.private", label="Your gift message"),
    }
    return TrackingPlan(
        name,
        description="What the web shop sends.",
        events={"Order Completed": EventRule("An order was paid.", "Your orders", properties), "$page": EventRule()},
        traits={"shoe_size": PropertyRule("user.account", {"type": "integer", "minimum": 15, "maximum": 60})},
        modes=given.get("modes", Modes(Mode.ALLOW, Mode.OMIT, Mode.QUARANTINE)),
    )


async def test_a_plan_is_shown_as_people_read_it(desk):
    await desk.plans.put(plan(), by="ops")
    await desk.sources.create("shop-web", plan="shop")
    browser = await desk.administrator()
    await browser.get("/console/plans")
    assert "2 events, 1 trait; 1 of 3 values in clear" in browser.text
    await browser.get("/console/plans/shop")
    for part in (
        "Other properties left out; the rest is kept omit",
        "Order Completed",
        "An order was paid. For customers: Your orders.",
        "order_id required Each of your orders user.behavior.purchase_history.order ● In clear string, up to 64 characters",
        "greeting Your gift message Private messages user.content.private ○ Sealed anything",
        "Page viewed No properties",
        "Traits of a person Traits of a person: traits Trait",
        "integer, at least 15, at most 60",
        "shop-web : no violations in 7 days",
    ):
        assert part in browser.text, part


async def test_each_version_stays_to_be_seen(desk):
    await desk.plans.put(plan("versioned"), by="ops")
    await desk.plans.put(plan("versioned", modes=Modes(Mode.BLOCK)), by="ops")
    browser = await desk.administrator()
    await browser.get("/console/plans/versioned")
    assert "version 2" in browser.text
    assert "the whole event is refused block" in browser.text
    await browser.get("/console/plans/versioned/1")
    assert "This version is not in force any more" in browser.text
    for path in (
        "versioned/3",
        "versioned/0",
        "versioned/x",
        "none-such",
        "versioned?from=x",
        "versioned?from=9999999",
    ):
        assert (await browser.get(f"/console/plans/{path}")).status == 404, path


async def test_a_very_large_plan_goes_on_page_by_page_and_no_page_is_large(desk):
    wide = {f"property_{number:03}": PropertyRule(ORDER, {"enum": ["x" * 90] * 9}) for number in range(250)}
    events = {f"Event {number:03}": EventRule("d" * 900, "l" * 900) for number in range(60)}
    large = TrackingPlan("large", events={**events, "Wide": EventRule(properties=wide)})
    await desk.plans.put(large, by="ops")
    browser, seen, names = await desk.administrator(), set(), set()
    await browser.get("/console/plans/large")
    for _ in range(10):
        assert len(browser.page.content) < 75_000
        seen |= set(re.findall(r"property_\d\d\d", browser.page.text))
        names |= set(re.findall(r"Event \d\d\d", browser.page.text))
        following = browser.links(r"\?from=[^\"]*")
        if not following:
            break
        await browser.get(f"/console/plans/large{following[0]}")
    assert (len(seen), len(names)) == (250, 60)


async def test_violations_are_added_up_with_what_to_do_and_without_any_value(desk):
    at, old = desk.clock(), desk.clock() - timedelta(days=20)
    wrong = [
        *[Violation(ViolationKind.EMAIL_IN_CLEAR, "Order Completed", "coupon")] * 3,
        *[Violation(ViolationKind.UNPLANNED_PROPERTY, "Order Completed", place=3)] * 5,
    ]
    desk.violations.note("web", wrong, at)
    desk.violations.note("web", [wrong[0]] * 2, at - timedelta(days=2))
    desk.violations.note("till", [Violation(ViolationKind.UNPLANNED_EVENT)], old)
    await desk.violations.flush()
    browser = await desk.record_keeper()
    await browser.get("/console/violations?source=web")
    rows = re.findall(r"<tr role=\"row\">\n<th scope=\"row\".*?</tr>", browser.page.text, re.DOTALL)
    assert len(rows) == 2
    assert "coupon" in rows[0]
    assert ">5<" in rows[0]
    assert "classify the property as what it is" in rows[0]
    assert "property 3" in rows[1]
    assert "10 violations, of 2 kinds" in browser.text
    await browser.get("/console/violations?source=till")
    assert "Nothing was wrong with what till sent" in browser.text
    await browser.get("/console/violations?source=till&days=30")
    assert "An unplanned event" in browser.text
    assert (await browser.get("/console/violations?days=8")).status == 404


async def test_many_violations_go_on_page_by_page(desk):
    kinds = [Violation(ViolationKind.INVALID_PROPERTY, f"Event {number:03}", "x") for number in range(120)]
    desk.violations.note("many", kinds, desk.clock())
    await desk.violations.flush()
    browser, seen = await desk.administrator(), set()
    await browser.get("/console/violations?source=many")
    while True:
        assert len(browser.page.content) < 60_000
        seen |= set(re.findall(r"Event \d\d\d", browser.page.text))
        following = browser.links(r"/console/violations\?[^\"]*from=[^\"]*")
        if not following:
            break
        await browser.get(following[0])
    assert len(seen) == 120


async def test_nothing_that_a_plan_or_a_sender_says_becomes_markup(desk):
    hostile = TrackingPlan(
        "hostile",
        description=f"plan {CANARY}",
        events={
            f"event {CANARY}": EventRule(
                f"told {CANARY}",
                f"label {CANARY}",
                {f"name {CANARY}": PropertyRule(ORDER, {"enum": [f"enum {CANARY}"]}, label=f"words {CANARY}")},
            )
        },
    )
    await desk.plans.put(hostile, by=f"putter {CANARY}")
    # What a store holds that somebody else wrote to: names that the code itself would never have let in.
    await desk.world.main["sources"].insert_one(
        {
            "_id": f"source {CANARY}",
            "kind": "segment",
            "plan": f"plan {CANARY}",
            "id_system": f"system {CANARY}",
            "origins": [f"origin {CANARY}"],
            "consent": {f"category {CANARY}": f"purpose {CANARY}"},
            "created_at": desk.clock(),
            "disabled": False,
            "keys": [],
        }
    )
    wrong = [Violation(ViolationKind.INVALID_PROPERTY, f"event {CANARY}", f"property {CANARY}")]
    desk.violations.note(f"source {CANARY}", wrong, desk.clock())
    await desk.violations.flush()
    browser = await desk.administrator()
    await browser.get("/console/plans")
    assert shown(browser.page, f"plan {CANARY}")
    assert shown(browser.page, f"putter {CANARY}")
    await browser.get("/console/plans/hostile")
    for text in ("event", "told", "label", "name", "enum", "words", "putter"):
        assert shown(browser.page, f"{text} {CANARY}".replace('"', '\\"')) or shown(
            browser.page, f"{text} {CANARY}"
        ), text
    await browser.get("/console/sources")
    assert shown(browser.page, f"source {CANARY}")
    (link,) = [each for each in browser.links(r"/console/sources/[^\"]*") if "canary" in each]
    await browser.get(link)
    for text in ("source", "system", "origin", "category", "purpose"):
        assert shown(browser.page, f"{text} {CANARY}"), text
    await browser.get("/console/violations", params={"source": f"source {CANARY}"})
    for text in ("source", "event", "property"):
        assert shown(browser.page, f"{text} {CANARY}"), text
    for path in (
        f"/console/violations?source={CANARY}",
        f"/console/plans/{CANARY}",
        f"/console/sources?after={CANARY}",
    ):
        await browser.get(path)
        assert not RAW.search(browser.page.text), path
    await browser.post("/console/sources/+new", {"name": CANARY, "kind": CANARY, "origins": CANARY, "plan": CANARY})
    assert (browser.status, shown(browser.page, CANARY)) == (400, True)
    await desk.world.main["sources"].delete_one({"_id": f"source {CANARY}"})
