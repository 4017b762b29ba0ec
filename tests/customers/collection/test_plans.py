"""Tracking plans out of their files, and their versions."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from customers.collection.errors import (
    PlanConflictError,
    PlanDeclassifiesError,
    PlanInvalidError,
    PlanNotFoundError,
)
from customers.collection.plan_file import load_plan, parse_plan, stored_plan
from customers.collection.plans import NEVER_CLEAR, Mode, PlanStore, as_document, declassified, may_be_clear
from policies import load_policies

CATALOGUE = load_policies().catalogue
ORDER = "user.behavior.purchase_history.order"
SHOP = """
name = "shop"
description = "What the web shop sends."

[modes]
unplanned_event = "quarantine"
unplanned_property = "omit"
invalid_property = "block"

[events."Order Completed"]
description = "An order was paid."
label = "Orders"

[events."Order Completed".properties]
total = { category = "user.behavior.purchase_history.order", clear = true, required = true, schema = { type = "number" } }
email = { category = "user.contact.email", label = "Your address" }

[events."$page".properties]
path = { category = "user.behavior", clear = true }

[traits]
shoe_size = { category = "user.account", schema = { type = "integer", minimum = 15, maximum = 60 } }
"""


def plan_of(text=SHOP, catalogue=CATALOGUE):
    return parse_plan(text.encode(), catalogue, is_toml=True)


def faults_of(text, *, is_toml=True):
    with pytest.raises(PlanInvalidError) as caught:
        parse_plan(text if isinstance(text, bytes) else text.encode(), CATALOGUE, is_toml=is_toml)
    return caught.value.faults


def rule(**values):
    """A plan with one property of these values."""
    return json.dumps({"name": "shop", "events": {"Seen": {"properties": {"it": {"category": ORDER, **values}}}}})


def test_a_plan_says_what_its_file_says():
    plan = plan_of()
    assert (plan.name, plan.version, plan.description) == ("shop", 0, "What the web shop sends.")
    assert plan.modes.unplanned_event is Mode.QUARANTINE
    assert plan.modes.unplanned_property is Mode.OMIT
    assert plan.modes.invalid_property is Mode.BLOCK
    event = plan.events["Order Completed"]
    assert (event.label, event.required) == ("Orders", {"total"})
    assert event.properties["total"].clear
    assert not event.properties["email"].clear
    assert event.properties["email"].category == "user.contact.email"
    assert plan.traits["shoe_size"].schema == {"type": "integer", "minimum": 15, "maximum": 60}


def test_the_same_plan_in_json_is_the_same_plan_and_so_is_the_document_of_it(tmp_path):
    plan = plan_of()
    text = json.dumps(as_document(plan))
    assert parse_plan(text.encode(), CATALOGUE, is_toml=False) == plan
    for name, content in (("plan.json", text), ("plan.toml", SHOP)):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        assert load_plan(path, CATALOGUE) == plan


def test_the_example_of_the_page_is_a_plan():
    page = (Path(__file__).parents[3] / "docs" / "tracking-plans.md").read_text(encoding="utf-8")
    plan = plan_of(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    assert set(plan.events) == {"Order Completed", "$page"}
    for category in NEVER_CLEAR:
        assert f"`{category}`" in page


def test_every_fault_is_listed_with_its_place():
    faults = faults_of(
        """
        name = "Shop!"
        colour = "red"
        [modes]
        unplanned_event = "ignore"
        unplaned_property = "omit"
        [events."Order Completed".properties]
        one = { category = "user.shoe" }
        two = { category = "user.contact.email", clear = true }
        three = { category = "system.operations" }
        four = { schema = {} }
        five = { category = "user.behavior", schema = { type = "strin" } }
        six = { category = "user.behavior", clear = "yes" }
        "se.ven" = { category = "user.behavior" }
        eight = 8
        nine = { category = "user.behavior", klear = true }
        [events.identify]
        [events."$other"]
        [traits.size]
        category = "user.behavior"
        label = 3
        """
    )
    text = "\n".join(faults)
    for place in (
        "name: must be",
        "colour: is unknown",
        "modes.unplanned_event: must be one of allow, omit, block, quarantine",
        "modes.unplaned_property: is unknown",
        'events."Order Completed".properties.one.category: must be a category',
        'events."Order Completed".properties.two.clear: values of the category user.contact.email are never',
        'events."Order Completed".properties.three.category',
        'events."Order Completed".properties.four.category',
        'events."Order Completed".properties.five.schema: /type',
        'events."Order Completed".properties.six.clear: must be true or false',
        'events."Order Completed".properties."se.ven": a property\'s name',
        'events."Order Completed".properties.eight: must be an object',
        'events."Order Completed".properties.nine.klear: is unknown',
        "events.identify: violations without a name",
        'events."$other": an event\'s name',
        "traits.size.label: must be a text",
    ):
        assert place in text, place
    assert len(faults) == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a plan is an object"),
        ('{"name": "a", "name": "b"}', "stands twice"),
        ('{"name": "a", "events": NaN}', "not JSON"),
        ("{", "cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "a", "modes": {"unplanned_event": []}}', "must be one of"),
        ('{"name": ["a"], "traits": {"t": {"category": ["user"]}}}', "must be a category"),
        ('{"name": "a", "events": []}', "events: must be an object"),
        ('{"name": "a", "events": {"": {}}}', "an event's name"),
        ('{"name": "a", "events": {"\\ud800": {}}}', "an event's name"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (rule(schema={"$ref": "https://example.com/x"}), "nothing is fetched"),
        (rule(schema={"pattern": "(?=a)"}), "linear time"),
        (json.dumps({"name": "a", "events": {str(n): {} for n in range(2001)}}), "more than 2000"),
        (
            json.dumps({"name": "a", "traits": {f"t{n}": {"category": "user.account"} for n in range(501)}}),
            "more than 500",
        ),
        ('{"name": "a", "description": "' + "x" * 1001 + '"}', "at most 1000"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_its_reason(text, words):
    assert any(words in fault for fault in faults_of(text, is_toml=False))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    for path, words in ((tmp_path / "none.json", "cannot be read"), (tmp_path / "plan.yaml", "a plan is a .toml")):
        if path.suffix == ".yaml":
            path.write_text("name: shop")
        with pytest.raises(PlanInvalidError, match=words):
            load_plan(path, CATALOGUE)


def test_dates_of_toml_are_no_values_of_a_schema():
    assert any(
        "must be JSON" in fault
        for fault in faults_of(
            'name = "a"\n[traits.t]\ncategory = "user.account"\nschema = { const = 2026-05-14 }',
        )
    )


@pytest.mark.parametrize(
    ("category", "clear"),
    [
        *(
            (category, False)
            for category in (*NEVER_CLEAR, "user", "user.contact.email", "user.contact.address.country")
        ),
        # Sealed by the catalogue itself, or too wide a word for what it seals.
        *((category, False) for category in ("user.unique_id", "user.demographic", "user.demographic.date_of_birth")),
        *((category, True) for category in (ORDER, "user.behavior", "user.account.loyalty", "user.location.coarse")),
        ("user.unique_id.pseudonymous", True),
    ],
)
def test_only_harmless_categories_may_be_clear(category, clear):
    assert may_be_clear(category, CATALOGUE) is clear
    text = rule(category=category, clear=True)
    if clear:
        assert parse_plan(text.encode(), CATALOGUE, is_toml=False)
    else:
        assert any("never stored in clear" in fault for fault in faults_of(text, is_toml=False))
    assert parse_plan(rule(category=category).encode(), CATALOGUE, is_toml=False)


def test_a_category_below_one_that_is_never_clear_is_never_clear_either():
    for category in (*NEVER_CLEAR, "user.demographic.date_of_birth", "user.unique_id"):
        assert not may_be_clear(f"{category}.of_our_own", CATALOGUE)
    assert may_be_clear("user.behavior.of_our_own", CATALOGUE)


class FewerCategories:
    """A catalogue that has lost some."""

    def __init__(self, lost):
        self.categories = {name: words for name, words in CATALOGUE.categories.items() if name not in lost}
        self.fields = CATALOGUE.fields


def test_a_stored_plan_whose_category_is_gone_is_read_with_the_property_unclassified_and_sealed():
    found = (
        stored_plan(as_document(plan_of()), FewerCategories({ORDER})).events["Order Completed"].properties["total"]
    )
    assert (found.category, found.clear) == ("user.unclassified", False)
    document = as_document(plan_of())
    document["events"]["Order Completed"]["properties"]["email"]["clear"] = True
    found = stored_plan(document, CATALOGUE).events["Order Completed"].properties["email"]
    assert (found.category, found.clear) == ("user.unclassified", False)


NOW = datetime(2026, 5, 14, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def store(databases, clock):
    found = PlanStore(databases.main, catalogue=CATALOGUE, now=lambda: NOW, clock=clock)
    await found.prepare()
    return found


def changed(old, new):
    return plan_of(SHOP.replace(old, new))


SEALED = changed("clear = true, required", "required")


async def test_every_version_has_a_number_of_its_own_and_stays(store):
    first = await store.put(plan_of(), by="ana")
    second = await store.put(changed("Your address", "Your e-mail address"), by="ben")
    assert (first.version, second.version) == (1, 2)
    found = await store.versions("shop")
    assert [(each.plan.version, each.put_by, each.put_at) for each in found] == [(2, "ben", NOW), (1, "ana", NOW)]
    assert (await store.version("shop", 1)).plan == first
    assert (await store.newest())[0].plan == second
    with pytest.raises(PlanNotFoundError):
        await store.version("shop", 3)
    assert await store.versions("other") == []


async def test_a_plan_that_changes_nothing_is_no_new_version(store):
    assert (await store.put(plan_of(), by="ana")).version == 1
    assert (await store.put(plan_of(), by="ben")).version == 1
    assert len(await store.versions("shop")) == 1


async def test_what_was_sealed_goes_clear_only_when_somebody_says_so(store):
    await store.put(SEALED, by="ana")
    with pytest.raises(PlanDeclassifiesError) as caught:
        await store.put(plan_of(), by="ana")
    assert caught.value.paths == ('events."Order Completed".total',)
    assert len(await store.versions("shop")) == 1
    assert (await store.put(plan_of(), by="ana", declassify=True)).version == 2
    # The other way needs no word.
    assert (await store.put(SEALED, by="ana")).version == 3


async def test_leaving_a_property_out_for_a_version_does_not_hide_that_it_goes_clear(store):
    await store.put(SEALED, by="ana")
    without = "\n".join(line for line in SHOP.splitlines() if not line.startswith("total"))
    await store.put(plan_of(without), by="ana")
    with pytest.raises(PlanDeclassifiesError):
        await store.put(plan_of(), by="ana")


async def test_a_new_property_may_be_clear_at_once(store):
    without = "\n".join(line for line in SHOP.splitlines() if not line.startswith("total"))
    await store.put(plan_of(without), by="ana")
    assert (await store.put(plan_of(), by="ana")).version == 2


def test_declassified_looks_at_the_last_version_that_had_it():
    assert declassified([plan_of(), SEALED], plan_of()) == ()
    assert declassified([SEALED, plan_of()], plan_of()) == ('events."Order Completed".total',)


async def test_of_two_that_put_at_once_one_is_told_or_both_have_versions(databases, clock):
    stores = [PlanStore(databases.main, catalogue=CATALOGUE, now=lambda: NOW, clock=clock) for _ in range(4)]
    plans = [changed("Your address", f"Address {number}") for number in range(4)]
    found = await asyncio.gather(
        *(store.put(plan, by="x") for store, plan in zip(stores, plans, strict=True)), return_exceptions=True
    )
    assert all(isinstance(each, PlanConflictError) or each.version for each in found)
    kept = await stores[0].versions("shop")
    assert sorted(each.plan.version for each in kept) == list(range(1, len(kept) + 1))
    assert len(kept) == sum(not isinstance(each, PlanConflictError) for each in found)


async def test_the_current_plan_is_at_most_a_second_old_and_read_no_more_often(databases, store, clock):
    assert await store.current("shop") is None
    other = PlanStore(databases.main, catalogue=CATALOGUE, now=lambda: NOW, clock=clock)
    await other.put(plan_of(), by="ana")
    assert await store.current("shop") is None
    clock.seconds += 1.0
    first = await store.current("shop")
    assert first.version == 1
    await other.put(SEALED, by="ana")
    assert await store.current("shop") is first
    clock.seconds += 0.9
    assert await store.current("shop") is first
    clock.seconds += 0.1
    assert (await store.current("shop")).version == 2
    clock.seconds += 5
    assert await store.current("shop") is await store.current("shop")


async def test_the_one_who_puts_a_plan_has_it_at_once(store):
    await store.current("shop")
    await store.put(plan_of(), by="ana")
    assert (await store.current("shop")).version == 1
