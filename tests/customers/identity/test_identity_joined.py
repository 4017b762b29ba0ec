"""Clear fields of two profiles put together and taken apart: pure, so every combination is tried."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from customers.consent.model import Channel, ConsentDecision, ConsentState, Rights, refusal
from customers.consent.store import shown
from customers.profiles.joined import (
    OWN,
    PARTS,
    PERSON,
    VISITOR,
    clear_of,
    difference,
    for_joined,
    joined,
    own_count,
    parted,
    tightened,
)
from policies import load_policies

PURPOSES = load_policies().purposes
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(0, 900).map(lambda each: NOW - timedelta(days=each))
SOME = st.sampled_from(["marketing", "email_marketing", "analytics", "sales", "personalisation"])
DECISIONS = st.builds(
    lambda purpose, state, at: {"purpose": purpose, "state": state, "at": at, "source": "form"},
    SOME,
    st.sampled_from(["granted", "withdrawn", "objected"]),
    DAYS,
)


def rights(consents, restricted):
    """What decisions amount to, each the only one about its purpose."""
    consented = {
        name
        for each in consents
        if each["state"] == "granted"
        for name, purpose in PURPOSES.items()
        if each["purpose"] in purpose.lineage
    }
    objected = {each["purpose"] for each in consents if each["state"] == "objected"}
    gone = {name for name, purpose in PURPOSES.items() if objected & set(purpose.lineage)}
    return Rights(frozenset(consented - gone), frozenset(objected), restricted).document()


@st.composite
def profiles(draw, name):
    """A profile's clear part."""
    consents = draw(st.lists(DECISIONS, max_size=3, unique_by=lambda each: each["purpose"]))
    orders = draw(st.integers(0, 4))
    dates = sorted(draw(st.lists(DAYS, min_size=orders, max_size=orders)))
    counted = {"order_count": orders, "ticket_count": draw(st.integers(0, 3)), "total_spent": 100 * orders}
    currency = draw(st.sampled_from(["EUR", "USD"]))
    dated = {"first_order_at": dates[0], "last_order_at": dates[-1], "currency": currency} if dates else {}
    return {
        "_id": name,
        "version": 3,
        "updated_at": NOW,
        **counted,
        **dated,
        **draw(st.dictionaries(st.sampled_from(["region", "country"]), st.sampled_from(["a", "b"]))),
        **draw(st.sampled_from([{}, {"event_count": 7, "first_event_at": NOW, "last_event_at": NOW}])),
        "rights": rights(consents, draw(st.booleans())),
        "consents": consents,
    }


KINDS = st.sampled_from([PERSON, VISITOR])


def plain(document):
    return {name: value for name, value in clear_of(document).items() if name != "updated_at"}


@given(profiles("a"), profiles("b"), KINDS)
def test_taking_apart_gives_what_was_put_together(a, b, kind):
    both = {**a, **joined(a, b, kind, PURPOSES, NOW)}
    assert both[PARTS] == ["b"]
    assert plain(both) != plain(a)
    assert plain(parted(both, [{**b, "merged_as": kind}], b, PURPOSES, NOW)) == plain(a)


@given(profiles("a"), profiles("b"), profiles("c"), KINDS, KINDS, st.booleans())
def test_of_two_parts_either_can_go_first(a, b, c, first, second, swapped):
    parts = [{**b, "merged_as": first}, {**c, "merged_as": second}]
    both = {**a, **joined(a, b, first, PURPOSES, NOW)}
    three = {**both, **joined(both, c, second, PURPOSES, NOW)}
    leaving, staying = reversed(parts) if swapped else parts
    kind = staying["merged_as"]
    alone = {**a, **joined(a, staying, kind, PURPOSES, NOW)}
    left = parted(three, parts, leaving, PURPOSES, NOW)
    assert {name: left[name] for name in plain(alone) if name != "rights"} == {
        name: value for name, value in plain(alone).items() if name != "rights"
    }
    assert left["rights"] == alone["rights"]


@given(profiles("a"), profiles("b"), KINDS, st.sampled_from(sorted(PURPOSES)))
def test_nothing_is_allowed_that_either_refused(a, b, kind, purpose):
    both = Rights.of_document(joined(a, b, kind, PURPOSES, NOW)["rights"])
    mine, theirs = Rights.of_document(a["rights"]), Rights.of_document(b["rights"])
    asked = PURPOSES[purpose]
    if refusal(both, asked, NOW) is None:
        assert refusal(mine, asked, NOW) is None
        if kind == PERSON:
            assert refusal(theirs, asked, NOW) is None
        else:  # who never said anything about it has not refused it
            said = {each["purpose"] for each in b["consents"] if each["state"] != "granted"}
            assert not said & set(asked.lineage) or purpose in theirs.consented or asked.basis != "consent"


@given(profiles("a"), profiles("b"), KINDS)
def test_what_is_counted_after_a_merge_is_the_survivors_own(a, b, kind):
    both = {**a, **joined(a, b, kind, PURPOSES, NOW)}
    update = for_joined(both, {"$inc": {"order_count": 1, "total_spent": 500}, "$max": {"last_order_at": NOW}})
    assert for_joined(a, {"$inc": {"order_count": 1}}) == {"$inc": {"order_count": 1}}
    assert update["$inc"] == {
        "order_count": 1,
        "total_spent": 500,
        "own.order_count": 1,
        "own.total_spent": 500,
    }
    later = {**both, "order_count": both["order_count"] + 1}
    later[OWN] = {**both[OWN], "order_count": both[OWN]["order_count"] + 1}
    assert own_count(later, "order_count") == a["order_count"] + 1
    assert parted(later, [b], b, PURPOSES, NOW)["order_count"] == a["order_count"] + 1
    careless = {**both, "order_count": both["order_count"] + 1}  # whoever counts without `for_joined`
    assert parted(careless, [b], b, PURPOSES, NOW)["order_count"] == a["order_count"] + 1


@given(profiles("a"), profiles("b"))
def test_totals_of_different_currencies_are_not_added(a, b):
    both = joined(a, b, PERSON, PURPOSES, NOW)
    if a.get("currency") and b.get("currency") and a["currency"] != b["currency"]:
        assert (both["total_spent"], both["currency"]) == (a["total_spent"], a["currency"])
    else:
        assert both["total_spent"] == a["total_spent"] + b["total_spent"]


@given(profiles("a"), st.lists(DECISIONS, max_size=3, unique_by=lambda each: each["purpose"]))
def test_only_a_no_that_came_since_is_owed(document, since):
    owed = tightened(document, [], since, PURPOSES)
    refusals = [each for each in since if each["state"] != "granted"]
    assert bool(owed) == bool(refusals)
    if owed:
        now = Rights.of_document(owed["rights"])
        before = Rights.of_document(document["rights"])
        assert now.consented <= before.consented
        assert before.objected <= now.objected
    assert tightened(document, since, since, PURPOSES) == {}


@given(profiles("a"), profiles("b"))
def test_a_difference_makes_the_one_of_the_other(a, b):
    change = difference(a, b)
    made = {**a, **change.get("$set", {})}
    for name in change.get("$unset", {}):
        del made[name]
    assert made == b
    assert difference(a, a) == {}


SAID = st.lists(
    st.tuples(
        st.sampled_from([ConsentState.GRANTED, ConsentState.WITHDRAWN]),
        st.one_of(st.none(), st.sampled_from([Channel.EMAIL, Channel.SMS])),
        st.one_of(st.none(), st.integers(1, 3).map(lambda days: NOW + timedelta(days=days))),
    ),
    max_size=4,
)


def saying(name, said):
    """A profile of somebody who said this of e-mail marketing, in this order."""
    held, consents = Rights(), []
    for state, channel, end in said:
        end = end if state is ConsentState.GRANTED else None  # noqa: PLW2901 - only a consent ends
        decision = ConsentDecision("email_marketing", state, NOW, "form", channel, None, end)
        held, consents = held.after(decision, PURPOSES), shown(consents, decision)
    return {"_id": name, "rights": held.document(), "consents": consents}


def reached(document, days):
    held, asked = Rights.of_document(document["rights"]), PURPOSES["email_marketing"]
    return {each for each in Channel if held.allows(asked, each, NOW + timedelta(days=days))}


@given(SAID, SAID, st.sampled_from([PERSON, VISITOR]))
def test_a_person_is_reached_only_as_both_profiles_allow_and_as_they_did_once_they_are_apart(mine, theirs, kind):
    survivor, absorbed = saying("cus_a", mine), saying("cus_b", theirs)
    one = joined(survivor, absorbed, kind, PURPOSES, NOW)
    asked = kind == PERSON or theirs
    for days in range(4):
        allowed = reached(one, days)
        if kind == PERSON:
            assert allowed == reached(survivor, days) & reached(absorbed, days)
        elif not asked:
            assert allowed == reached(survivor, days)
        else:
            assert allowed <= reached(survivor, days)
        # What is shown as given and has not ended is what is allowed.
        now = NOW + timedelta(days=days)
        live = [
            each
            for each in one.get("consents", ())
            if each["state"] == "granted" and (each.get("expires_at") is None or each["expires_at"] > now)
        ]
        named = {each.get("channel") for each in live}
        assert allowed <= (set(Channel) if None in named else named)
    part = {**absorbed, "merged_into": "cus_a", "merged_as": kind}
    apart = parted({**one, "_id": "cus_a"}, [part], part, PURPOSES, NOW)
    for days in range(4):
        assert reached(apart, days) == reached(survivor, days)
