"""`confide plans`: what it prints, puts, refuses and records."""

import getpass
import json
from datetime import UTC, datetime

import pytest

from audit import Kind, Outcome
from customers.collection.violations import Violation, ViolationKind, ViolationStore

pytestmark = pytest.mark.timeout(120)

SHOP = """
name = "shop"

[events."Order Completed".properties]
total = { category = "user.behavior.purchase_history.order", clear = true, schema = { type = "number" } }
coupon = { category = "user.behavior.purchase_history.order" }
"""


@pytest.fixture
def file(tmp_path):
    """A file of a plan with something in it replaced."""

    def write(old="", new="", name="shop.toml"):
        path = tmp_path / name
        path.write_text(SHOP.replace(old, new) if old else SHOP, encoding="utf-8")
        return path

    return write


async def operations(site):
    found = [each for each in (await site.records()).values() if each.kind is Kind.ADMIN]
    return [(each.operation, each.outcome) for each in sorted(found, key=lambda each: each.time)]


async def test_a_plan_is_checked_without_a_database_and_every_mistake_is_told(shared, file):
    good = await shared.confide("plans", "check", file())
    assert (good.code, good.out) == (0, "")
    assert "1 events, 0 traits; 1 of 2 properties and traits in clear" in good.err
    bad = await shared.confide("plans", "check", file("user.behavior.purchase_history.order", "user.contact.email"))
    assert bad.code == 3
    assert "never stored in clear" in bad.out
    assert bad.err.strip() == "1 fault"


async def test_plans_are_put_listed_shown_and_recorded_and_go_clear_only_with_the_word(shared, file):
    none = await shared.confide("plans", "list")
    assert "There is no plan" in none.err
    assert "version 1" in (await shared.confide("plans", "put", file())).err
    opened = file('order" }', 'order", clear = true }')
    refused = await shared.confide("plans", "put", opened)
    assert refused.code == 1
    assert 'events."Order Completed".coupon' in refused.err
    assert "--declassify" in refused.err
    assert "version 2" in (await shared.confide("plans", "put", opened, "--declassify")).err
    bad = await shared.confide("plans", "put", file("number", "numbre"))
    assert bad.code == 1
    assert "the tracking plan has 1 fault" in bad.err
    listed = (await shared.confide("plans", "list", "--json")).json
    assert [(each["name"], each["version"], each["put_by"]) for each in listed] == [
        ("shop", 2, f"cli:{getpass.getuser()}")
    ]
    shown = await shared.confide("plans", "show", "shop", "--version", "1")
    assert shown.json["events"]["Order Completed"]["properties"]["coupon"] == {
        "category": "user.behavior.purchase_history.order"
    }
    again = file(name="again.json")
    again.write_text((await shared.confide("plans", "show", "shop")).out)
    assert "version 2" in (await shared.confide("plans", "put", again)).err
    assert (await shared.confide("plans", "show", "shop", "--version", "9")).code == 1
    assert (await shared.confide("plans", "show", "other")).code == 1
    assert await operations(shared) == [
        ("confide plans put shop", Outcome.ALLOWED),
        ("confide plans put shop", Outcome.ALLOWED),
        ("confide plans put shop", Outcome.REFUSED),
        ("confide plans put shop --declassify", Outcome.ALLOWED),
        ("confide plans put shop", Outcome.ALLOWED),
    ]


async def test_violations_are_listed_by_source_and_day(shared):
    assert "No violations" in (await shared.confide("plans", "violations")).err
    store = ViolationStore(shared.main)
    now = datetime.now(UTC)
    store.note("web", [Violation(ViolationKind.INVALID_PROPERTY, "Order Completed", "total")] * 3, now)
    store.note("till", [Violation(ViolationKind.UNPLANNED_EVENT)], now)
    await store.flush()
    found = (await shared.confide("plans", "violations", "--json")).json
    assert {(each["source"], each["event"], each["subject"], each["kind"], each["count"]) for each in found} == {
        ("web", "Order Completed", "total", "invalid_property", 3),
        ("till", "unplanned", "", "unplanned_event", 1),
    }
    table = (await shared.confide("plans", "violations", "--source", "web")).out
    assert "Order Completed" in table
    assert "invalid property" in table
    assert "till" not in table
    assert json.dumps(found).count(now.date().isoformat()) >= 2
