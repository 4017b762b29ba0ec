"""What is done quickly comes to the same as what is done at length."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from customers.collection.checking import CompiledPlan, _as_planned
from customers.collection.compiled_rules import CompiledProperty
from customers.collection.detector import find_in, hints_of, is_short
from customers.collection.events import MAX_DEPTH, Rejection
from customers.collection.plan_schemas import compiled
from customers.collection.plans import EventRule, PropertyRule, TrackingPlan
from customers.profiles.joined import MERGED_INTO, OWN
from policies import load_policies
from tests.customers.collection.gathering import gathering, track
from vault import VaultError

CATALOGUE = load_policies().catalogue
TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
TEXTS = st.text(alphabet="abcdé@%+04 .-\uff20\uff11", max_size=24) | st.text(max_size=24)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
).filter(lambda value: not isinstance(value, float) or math.isfinite(value))


@given(TEXTS | VALUES, st.sampled_from(["id", "phone"]))
@settings(max_examples=300)
def test_where_a_glance_sees_nothing_there_is_nothing_to_find(value, name):
    if is_short(value):
        assert find_in(value, hints_of(name)) is None


def test_a_glance_does_not_pass_over_what_there_is():
    """Negative control: the test above is about more than empty values."""
    for value in (
        "ada@example.org",
        "4111 1111 1111 1111",
        "%61da%40example.org",
        "ad\uff10\uff20x.org",
        4111111111111111.0,
    ):
        assert not is_short(value)


@given(st.sampled_from(TYPES), VALUES)
@settings(max_examples=200)
def test_a_type_that_says_enough_says_what_the_validator_says(kind, value):
    types = CompiledProperty("x", PropertyRule("user.behavior", {"type": kind})).types
    assert types
    if type(value) in types:
        assert compiled({"type": kind}).is_valid(value)


@pytest.mark.parametrize(
    "more", [{"minLength": 2}, {"enum": ["a"]}, {"type": ["string", "null"]}, {"$ref": "#/$defs/a"}]
)
def test_of_a_schema_that_says_more_than_a_type_no_type_says_enough(more):
    assert CompiledProperty("x", PropertyRule("user.behavior", {"type": "string", **more})).types == frozenset()


PROPERTIES = {
    "sku": PropertyRule("user.behavior", {"type": "string"}, clear=True, required=True),
    "price": PropertyRule("user.behavior", {"type": "number", "minimum": 0}, clear=True),
    "count": PropertyRule("user.behavior", {"type": "integer"}, clear=True),
    "search": PropertyRule("user.content"),
    "gift": PropertyRule("user.content", {"type": "boolean"}),
}
SENT = st.sampled_from([*PROPERTIES, "loose", "more", "not a name", "a.b", "é"])


@given(st.dictionaries(SENT, TEXTS | VALUES | st.sampled_from([1.0, 2**64, float("nan"), "ada@example.org"])))
@settings(max_examples=400)
def test_one_walk_says_what_two_say(sent):
    quick = CompiledPlan(TrackingPlan("shop", events={"Seen": EventRule(properties=PROPERTIES)}), CATALOGUE)
    found = quick.check("track", "Seen", sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("customers.collection.checking._as_planned", lambda *_: None)
        assert repr(quick.check("track", "Seen", sent)) == repr(found)


def test_one_walk_is_enough_for_an_event_as_it_should_be():
    """Negative control: the test above compares two ways and not one with itself."""
    rule = CompiledPlan(TrackingPlan("shop", events={"Seen": EventRule(properties=PROPERTIES)}), CATALOGUE)
    rule = rule._rule("track", "Seen")
    assert _as_planned(rule, {"sku": "A-1", "search": "tea", "gift": True, "loose": None}) is not None
    assert _as_planned(rule, {"sku": "A-1", "price": 1.0}) is None
    assert _as_planned(rule, {"sku": "ada@example.org"}) is None
    assert _as_planned(rule, {"gift": True}) is None


def test_what_is_required_is_missed_where_types_say_enough():
    rule = EventRule(properties={"sku": PropertyRule("user.behavior", {"type": "string"}, clear=True, required=True)})
    plan = CompiledPlan(TrackingPlan("shop", events={"Seen": rule}), CATALOGUE)
    assert plan.check("track", "Seen", {"sku": "A"}).violations == ()
    assert [each.kind for each in plan.check("track", "Seen", {}).violations] == ["missing_property"]
    assert [each.kind for each in plan.check("track", "Seen", {"sku": 1}).violations] == ["invalid_property"]


@pytest.fixture
async def shop(world):
    async with gathering(world) as found:
        yield found


async def test_an_event_is_as_deep_as_is_understood_and_no_deeper(shop):
    def nested(levels):
        return {"deep": nested(levels - 1)} if levels > 1 else {"deep": 1}

    deepest = track(context=nested(MAX_DEPTH))
    braces = track(context=nested(3), properties={"text": "{[" * 20})
    too_deep = track(context=nested(MAX_DEPTH + 1))
    accepted = await shop.send(deepest, braces, too_deep)
    assert accepted.stored == 2
    assert [(each.place, each.violation.kind) for each in accepted.rejected] == [(2, Rejection.TOO_DEEP)]


async def test_a_count_is_made_anew_where_it_cannot_be_seen_who_was_missed(shop, monkeypatch):
    """One of two profiles is written, and the look for the other one fails: neither may count twice."""
    await shop.send(track(anonymous="a-1"), track(anonymous="a-2"))
    events, customers = shop.parts.events, shop.parts.applier._teller._customers
    count_all, find, failures = events.count_all, customers.find, iter([True])

    async def partly(changes):
        return await count_all(changes[:1]) if len(changes) == 2 else await count_all(changes)

    async def unseen(ids, projection=None):
        if projection == {OWN: 1, MERGED_INTO: 1} and next(failures, False):
            raise AutoReconnect("the test says so")
        return await find(ids, projection)

    monkeypatch.setattr(events, "count_all", partly)
    monkeypatch.setattr(customers, "find", unseen)
    await shop.send(track(anonymous="a-1"), track(anonymous="a-2"))
    assert next(failures, None) is None, "it failed"
    for value in ("a-1", "a-2"):
        assert (await shop.profile(await shop.customer(value=value)))["event_count"] == 2
    shop.errors.clear()


async def test_counts_are_made_anew_where_the_time_to_read_was_over_behind_them(shop, monkeypatch):
    await shop.send(track())
    told, ended = shop.parts.applier._teller.tell, iter([True])

    async def too_late(works):
        left = await told(works)
        if next(ended, False):
            raise VaultError("the read took too long and was given up")
        return left

    monkeypatch.setattr(shop.parts.applier._teller, "tell", too_late)
    await shop.send(track())
    assert (await shop.profile(await shop.customer()))["event_count"] == 2
    shop.errors.clear()
