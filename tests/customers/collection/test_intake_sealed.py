"""Nothing an event says lies anywhere in clear, but for what a plan lets; and it goes with its person."""

import logging
from dataclasses import replace

import pytest

from customers.collection.event_documents import heard
from customers.collection.plans import EventRule, PropertyRule, TrackingPlan
from tests.customers.collection.gathering import DAY, gathering, identify, track
from tests.schema.canaries import everything_stored, leaks
from tests.schema.world import CUSTOMER, OFFICER
from vault import EnvelopeError, KeyState

NAME, EMAIL, PHONE = "Canaryella Kanarienvogel", "canary.bird@aviary-canary.example", "+4915199887766"
CANARIES = [
    NAME,
    EMAIL,
    PHONE,
    "Canary Event 4711",
    "canary-user-0815",
    "canary-anonymous-0815",
    "canary-group-0815",
    "canary-message-0815",
    "canary-previous-0815",
    "canary-property-4711",
    "canary-order-4711",
    "Canary Street 12",
    "canarykey",
    "canaryvalue",
    "Canary/5.0 (Canary)",
    "https://shop.example/canary?x=canary",
]
PLAN = TrackingPlan(
    name="shop",
    events={"Viewed": EventRule(properties={"note": PropertyRule("user.behavior.activity", clear=True)})},
)


def story():
    who = {"user": "canary-user-0815", "anonymous": "canary-anonymous-0815"}
    context = {"userAgent": "Canary/5.0 (Canary)", "page": {"url": "https://shop.example/canary?x=canary"}}
    return [
        track("Canary Event 4711", **who, properties={"canarykey": ["canaryvalue"]}, context=context),
        track("Viewed", **who, message="canary-message-0815", properties={"note": f"write to {EMAIL}"}),
        identify({"name": NAME, "email": EMAIL, "phone": PHONE, "address": {"street": "Canary Street 12"}}, **who),
        {**track(**who), "type": "group", "groupId": "canary-group-0815", "traits": {"x": "canary-property-4711"}},
        {**track(**who), "type": "alias", "previousId": "canary-previous-0815"},
        {**track(**who), "type": "page", "name": NAME, "properties": {"x": "canary-property-4711"}},
        track("Order Completed", **who, properties={"order_id": "canary-order-4711", "total": 1, "currency": "EUR"}),
    ]


@pytest.fixture
async def aviary(fresh_world):
    async with gathering(fresh_world) as found:
        await found.parts.plans.put(PLAN, by="test")
        found.source = replace(found.source, plan="shop")
        yield found
        assert found.errors == []


async def stored_bytes(shop):
    return await everything_stored(shop.world.main, shop.world.keys, shop.world.audit)


async def test_nothing_of_an_event_is_stored_or_logged_in_clear_before_or_after_erasure(aviary, caplog):
    caplog.set_level(logging.DEBUG, "confide")
    accepted = await aviary.send(*story())
    assert (accepted.stored, accepted.rejected) == (7, ())
    await aviary.send(*story())  # known again without being kept
    customer_id = await aviary.customer("email", EMAIL)
    query = "query ($id: ID!) { profile(id: $id) { givenName events { nodes { name properties context } } } }"
    shown = str(await aviary.world.told(query, *CUSTOMER, {"id": customer_id}, customer=customer_id))
    assert [each for each in CANARIES if "-0815" not in each and each not in shown] == []
    assert leaks(CANARIES, await stored_bytes(aviary)) == set()
    await aviary.world.erase(customer_id)
    assert leaks(CANARIES, await stored_bytes(aviary)) == set()
    assert leaks(CANARIES, caplog.text.encode()) == set()


async def test_a_value_that_a_plan_lets_stand_in_clear_is_found_there(aviary):
    """Negative control."""
    await aviary.send(track("Viewed", properties={"note": "canary-property-4711"}))
    assert {value for value, _ in leaks(CANARIES, await stored_bytes(aviary))} == {"canary-property-4711"}


async def test_after_an_erasure_no_event_is_there_and_no_copy_of_one_opens(aviary):
    await aviary.send(*story(), track(anonymous="another"))
    customer_id = await aviary.customer("email", EMAIL)
    copies = await aviary.stored(customer_id=customer_id)
    async with aviary.world.vault.reading():
        key = (await aviary.world.vault.keys([customer_id]))[customer_id]
        assert heard(copies[0], key).context or heard(copies[1], key)
        other = (await aviary.world.vault.keys([await aviary.customer(value="another")])).popitem()[1]
        with pytest.raises(EnvelopeError):
            heard(copies[0], other)
    await aviary.world.erase(customer_id)
    assert await aviary.stored(customer_id=customer_id) == []
    assert len(await aviary.stored()) == 1
    await aviary.world.main["events"].insert_many(copies)  # as a restored backup brings them back
    async with aviary.world.vault.reading():
        assert (await aviary.world.vault.keys([customer_id]))[customer_id] is KeyState.ERASED
    told = await aviary.world.told("query ($id: ID!) { profile(id: $id) { id } }", *OFFICER, {"id": customer_id})
    assert told["profile"] is None
    await aviary.world.eraser.replay()
    assert await aviary.stored(customer_id=customer_id) == []


async def test_a_batch_that_is_still_open_does_not_name_who_is_erased(aviary):
    await aviary.send(track())
    customer_id = await aviary.customer()
    await aviary.parts.events.open_batch("bat_x", "gone", DAY, ["evt_x"], [customer_id, "cus_other"])
    await aviary.world.erase(customer_id)
    (batch,) = await aviary.world.main["event_batches"].find({}).to_list(None)
    assert batch["customers"] == ["cus_other"]


async def test_what_a_visitor_did_is_read_with_who_they_turn_out_to_be_and_erased_with_them(aviary):
    await aviary.send(track("Viewed", anonymous="device-1"), track("Viewed", anonymous="device-2"))
    await aviary.send(identify({"firstName": "Ada"}, user="7", anonymous="device-1"))
    await aviary.send(identify({"lastName": "King"}, user="7", anonymous="device-2"), track(user="7", anonymous=None))
    customer_id = await aviary.customer("external_id", "user:7")
    query = "query ($id: ID!) { profile(id: $id) { kind eventCount events(first: 3) { nodes { type } edges { cursor } } } }"
    profile = (await aviary.world.told(query, *OFFICER, {"id": customer_id}))["profile"]
    assert (profile["kind"], profile["eventCount"], len(profile["events"]["nodes"])) == ("customer", 5, 3)
    after = profile["events"]["edges"][-1]["cursor"]
    rest = "query ($id: ID!, $after: String) { profile(id: $id) { events(after: $after) { nodes { type } } } }"
    found = (await aviary.world.told(rest, *OFFICER, {"id": customer_id, "after": after}))["profile"]["events"][
        "nodes"
    ]
    assert len(found) == 2
    assert len({each["customer_id"] for each in await aviary.stored()}) == 2
    await aviary.world.erase(customer_id)
    assert await aviary.stored() == []
    assert await aviary.world.main["profiles"].find_one({}) is None


async def test_a_visitor_is_one_until_somebody_says_who_it_is(aviary):
    await aviary.send(track())
    query = "query ($id: ID!) { profile(id: $id) { kind } }"
    visitor = await aviary.customer()
    assert (await aviary.world.told(query, *OFFICER, {"id": visitor}))["profile"]["kind"] == "visitor"
    await aviary.send(identify({"email": "ada@example.org"}))
    assert (await aviary.world.told(query, *OFFICER, {"id": visitor}))["profile"]["kind"] == "customer"
