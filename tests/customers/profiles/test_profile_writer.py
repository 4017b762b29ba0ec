"""A profile is written wholly or not at all, whatever fails where; and nobody else's write is lost."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from pymongo.errors import AutoReconnect

from customers.consent.model import ConsentDecision, ConsentState
from customers.errors import (
    IdentifierTakenError,
    InputInvalidError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.identity.model import Identifier, IdentifierType
from tests.customers.faults import Failing
from tests.schema.selections import EVERY_PROFILE
from tests.schema.world import DECIDED, OFFICER, SUPPORT, granted, order, person, ticket
from vault import UnsealableValueError

FIND = "query ($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { givenName email phone } }"
LISTED = """query ($value: String!) {
  profiles(filter: {identifier: {type: EMAIL, value: $value}}) { nodes { id } }
}"""
OWNED = ("orders", "tickets", "consent_ledger", "blind_index")


def whole(world, number):
    """A draft that makes every kind of document."""
    return world.draft(
        person(number),
        consents=granted("marketing"),
        external=[f"crm:{number}"],
        orders=[order(1), order(2)],
        tickets=[ticket(1)],
    )


async def belongings(world):
    """How many documents of each kind each customer has, the profile included."""
    found = {}
    for name, key in (("profiles", "_id"), *((each, "customer_id") for each in OWNED)):
        for document in await world.main[name].find({}).to_list(None):
            counts = found.setdefault(document[key], {})
            counts[name] = counts.get(name, 0) + 1
    return found


COMPLETE = {"profiles": 1, "orders": 2, "tickets": 1, "consent_ledger": 1, "blind_index": 3}


async def test_a_creation_that_fails_anywhere_leaves_all_or_nothing(faulty):
    world, faults = faulty
    await world.create(whole(world, 0))
    faults.arm(None, None)
    await world.create(whole(world, 1))
    calls = list(faults.calls)
    assert [each for each in calls if "control" not in each] == [
        "insert_many creations",
        "insert_many data_keys",
        "insert_many blind_index",
        "find_one_and_update counters",
        "insert_many orders",
        "insert_many tickets",
        "insert_many consent_ledger",
        "insert_many profiles",
        "delete_many creations",
    ]
    number, kept = 2, 2
    for how in (Failing.LOST, Failing.DONE):
        for at in range(len(calls)):
            faults.arm(at, how)
            created = True
            try:
                await world.create(whole(world, number))
            except Exception:  # noqa: BLE001 - whichever it is, nothing may be half there
                created = False
            faults.disarm()
            found = await belongings(world)
            kept += created
            assert list(found.values()) == [COMPLETE] * kept, (calls[at], how)
            # A retry finds the way free, or the profile there.
            if not created:
                await world.create(whole(world, number))
                kept += 1
            told = await world.told(FIND, *SUPPORT, {"value": f"person{number}@mail{number}.example"})
            assert told["profileByIdentifier"]["givenName"] == f"Given{number}"
            number += 1
    # The insert of the profile itself counts as made where it was, whatever was reported.
    assert kept == number


async def test_a_database_that_goes_away_while_a_profile_is_created_leaves_nothing_a_reader_sees(faulty):
    world, faults = faulty
    await world.create(whole(world, 0))
    before = await world.told(EVERY_PROFILE, *OFFICER)
    faults.arm(None, None)
    await world.create(whole(world, 1))
    calls = list(faults.calls)
    seen = await world.told(EVERY_PROFILE, *OFFICER)
    assert calls.pop() == "delete_many creations"  # by then it is made
    for at in range(len(calls)):
        faults.arm(at, Failing.GONE)
        with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's or the vault's
            await world.create(whole(world, 2 + at))
        faults.disarm()
        assert await world.told(EVERY_PROFILE, *OFFICER) == seen
        value = f"person{2 + at}@mail{2 + at}.example"
        assert await world.told(FIND, *SUPPORT, {"value": value}) == {"profileByIdentifier": None}
        assert (await world.told(LISTED, *OFFICER, {"value": value}))["profiles"]["nodes"] == []
    assert seen != before  # negative control: one that is created is seen


async def test_a_creation_that_is_cancelled_anywhere_leaves_all_or_nothing(faulty):
    world, faults = faulty
    await world.create(whole(world, 0))
    faults.arm(None, None)
    await world.create(whole(world, 1))
    calls, call = list(faults.calls), faults.call
    assert calls.pop() == "delete_many creations"  # by then it is made
    for at in range(len(calls)):
        faults.calls = []

        async def cancelling(*args, at=at):
            if len(faults.calls) == at:
                faults.calls.append("cancelled")
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            return await call(*args)

        faults.call = cancelling
        creating = asyncio.create_task(world.create(whole(world, 2 + at)))
        with pytest.raises(asyncio.CancelledError):
            await creating
        faults.call = call
        assert list((await belongings(world)).values()) == [COMPLETE] * (2 + at)
        await world.create(whole(world, 2 + at))  # the way is free


async def test_a_value_that_turns_out_not_to_be_sealable_leaves_nothing(world):
    """Nothing that was checked is so; the sealing itself would still refuse it, after identifiers were taken."""
    draft = world.draft(person(1), external=["crm:1"])
    with pytest.raises(UnsealableValueError) as error:
        await world.create(replace(draft, values={**draft.values, "traits": {"huge": 2**70}}))
    assert str(2**70) not in str(error.value)
    assert await belongings(world) == {}
    assert len(await world.create(draft)) == 1


async def test_of_creations_of_the_same_address_at_once_exactly_one_wins(world):
    drafts = [world.draft(person(number, email="Same@Mail.example")) for number in range(8)]
    results = await asyncio.gather(*(world.create(each) for each in drafts), return_exceptions=True)
    won = [each for each in results if isinstance(each, list)]
    lost = [each for each in results if isinstance(each, Exception)]
    assert (len(won), {type(each) for each in lost}) == (1, {IdentifierTakenError})
    found = await belongings(world)
    assert list(found) == won[0]
    # The phones of those who lost are free.
    winner = next(at for at, each in enumerate(results) if isinstance(each, list))
    for number in range(8):
        if number != winner:
            await world.create(world.draft({"phone": person(number)["phone"]}))


async def test_of_several_created_together_one_taken_address_keeps_all_from_being_created(world):
    await world.create(world.draft(person(1)))
    before = await world.counted()
    with pytest.raises(IdentifierTakenError):
        await world.create(world.draft(person(2)), world.draft(person(3, email=person(1)["email"])))
    with pytest.raises(IdentifierTakenError):
        await world.create(world.draft(person(4)), world.draft(person(5, email=person(4)["email"])))
    assert await world.counted() == before
    assert len(await world.create(*(world.draft(person(number)) for number in (2, 3, 4, 5)))) == 4


@pytest.mark.parametrize(("role", "purpose"), [("executive", "business_reporting"), ("auditor", "audit"), OFFICER])
async def test_a_profile_of_nothing_is_created_by_nobody(world, role, purpose):
    async with world.vault.reading():
        with pytest.raises(InputInvalidError):
            await world.writer.create(world.access(role, purpose), [world.draft({})])
    assert await belongings(world) == {}
    assert await world.keys["data_keys"].find({}).to_list(None) == []


async def test_a_customer_cannot_create_profiles_though_they_may_write_their_own(world):
    async with world.vault.reading():
        with pytest.raises(WriteNotAllowedError):
            await world.writer.create(
                world.access("customer", "self_service", customer=""), [world.draft({"given_name": "New"})]
            )


async def test_orders_that_come_with_a_profile_make_its_sums(world):
    customer_id = await world.one(1, orders=[order(1, total=1000), order(5, total=250)], tickets=[ticket(1)] * 3)
    query = "query ($id: ID!) { profile(id: $id) { orderCount totalSpent currency firstOrderAt lastOrderAt ticketCount } }"
    told = (await world.told(query, *SUPPORT, {"id": customer_id}))["profile"]
    assert told == {
        "orderCount": 2,
        "totalSpent": "12.50",
        "currency": "EUR",
        "firstOrderAt": "2025-03-02T09:30:00Z",
        "lastOrderAt": "2025-03-06T09:30:00Z",
        "ticketCount": 3,
    }


async def update(world, customer_id, values, *, version=None, who=SUPPORT, **options):
    async with world.vault.reading():
        await world.writer.update(world.access(*who, **options), customer_id, values, version=version)


async def test_changes_made_at_once_are_all_kept(world):
    customer_id = await world.one(1)
    changes = [{"given_name": "A"}, {"family_name": "B"}, {"city": "C"}, {"street": "D"}]
    await asyncio.gather(*(update(world, customer_id, each) for each in changes))
    told = await world.told(
        "query ($id: ID!) { profile(id: $id) { givenName familyName city street version } }",
        *SUPPORT,
        {"id": customer_id},
    )
    assert told["profile"] == {"givenName": "A", "familyName": "B", "city": "C", "street": "D", "version": 5}


async def test_of_changes_of_the_same_version_exactly_one_is_made(world):
    customer_id = await world.one(1)
    changes = [update(world, customer_id, {"given_name": name}, version=1) for name in "ABCDEF"]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sum(each is None for each in results) == 1
    assert {type(each) for each in results if each is not None} == {ProfileConflictError}
    assert (await world.main["profiles"].find_one({}))["version"] == 2


async def test_an_address_that_was_given_up_is_free_and_one_that_was_not_is_not(world):
    first, second = await world.create(world.draft(person(1)), world.draft(person(2)))
    old, other = person(1)["email"], person(2)["email"]
    with pytest.raises(IdentifierTakenError):
        await update(world, first, {"email": other})
    await update(world, first, {"email": "new@mail.example"})
    for value, name in ((old, None), ("NEW@mail.example", "Given1"), (other, "Given2")):
        told = (await world.told(FIND, *SUPPORT, {"value": value}))["profileByIdentifier"]
        assert (told and told["givenName"]) == name
    await update(world, second, {"email": old})
    assert (await world.told(FIND, *SUPPORT, {"value": old}))["profileByIdentifier"]["givenName"] == "Given2"
    await update(world, second, {"email": None, "phone": None})
    assert (await world.told(FIND, *SUPPORT, {"value": old}))["profileByIdentifier"] is None
    held = (await belongings(world))[second]
    assert "blind_index" not in held


async def test_removing_the_primary_address_leaves_the_next_one(world):
    (customer_id,) = await world.create(world.draft(person(1)))
    async with world.vault.reading():
        second = world.writer.identifier(IdentifierType.EMAIL, "Second@Mail.example", "email")
        await world.writer.add_identifier(world.access(*SUPPORT), customer_id, second)
        await world.writer.add_identifier(world.access(*SUPPORT), customer_id, second)
    query = "query ($id: ID!) { profile(id: $id) { email identifiers { value } } }"
    both = (await world.told(query, *SUPPORT, {"id": customer_id}))["profile"]
    assert both["email"] == "person1@mail1.example"
    assert [each["value"] for each in both["identifiers"]][-1] == "second@mail.example"
    await update(world, customer_id, {"email": None})
    assert (await world.told(query, *SUPPORT, {"id": customer_id}))["profile"]["email"] == "second@mail.example"


@pytest.mark.parametrize("how", [Failing.LOST, Failing.DONE])
async def test_a_change_of_address_that_fails_leaves_no_address_of_the_profile_for_others(faulty, how):
    """Whatever fails, the profile can be found by the address it shows, and nobody else can take that."""
    world, faults = faulty
    customer_id = await world.one(1)
    faults.arm(None, None)
    await update(world, customer_id, {"email": "a@mail.example"})
    calls = list(faults.calls)
    assert [calls[0], calls[1], calls[-1]] == [
        "insert_many blind_index",
        "update_one profiles",
        "delete_many blind_index",
    ]
    for at in range(len(calls)):
        faults.arm(at, how)
        with contextlib.suppress(AutoReconnect):
            await update(world, customer_id, {"email": f"new{at}@mail.example"})
        faults.disarm()
        shown = (await world.told("query ($id: ID!) { profile(id: $id) { email } }", *SUPPORT, {"id": customer_id}))[
            "profile"
        ]["email"]
        for value in ("a@mail.example", *(f"new{each}@mail.example" for each in range(at + 1))):
            found = (await world.told(FIND, *SUPPORT, {"value": value}))["profileByIdentifier"]
            assert (found is not None) is (value == shown), (calls[at], value)
        with pytest.raises(IdentifierTakenError):
            await world.create(world.draft({"email": shown}))


async def test_a_null_removes_a_value_and_the_group_that_held_it(world):
    customer_id = await world.one(1)
    nothing = dict.fromkeys(("street", "postal_code", "city"))
    await update(world, customer_id, nothing, who=OFFICER)
    document = await world.main["profiles"].find_one({})
    assert "address" not in document["sealed"]
    await update(world, customer_id, {"loyalty_tier": None}, who=OFFICER)
    assert "loyalty_tier" not in await world.main["profiles"].find_one({})


async def test_traits_are_merged_and_a_null_in_them_removes_one(world):
    customer_id = await world.one(1, overrides={"traits": {"a": 1, "b": {"x": 1}}})
    await update(world, customer_id, {"traits": {"b": None, "c": [1, 2]}}, who=OFFICER)
    told = await world.told("query ($id: ID!) { profile(id: $id) { traits } }", *OFFICER, {"id": customer_id})
    assert told["profile"]["traits"] == {"a": 1, "c": [1, 2]}


async def test_a_write_outside_the_callers_scope_or_rights_is_refused_and_changes_nothing(world):
    near, far = await world.create(world.draft(person(1)), world.draft(person(2, region="apac")))
    before = await world.main["profiles"].find({}).to_list(None)
    sales = ("sales_rep", "account_management")
    with pytest.raises(WriteNotAllowedError):
        await update(world, far, {"given_name": "New"}, who=sales, regions=["emea"])
    with pytest.raises(WriteNotAllowedError):
        await update(world, near, {"given_name": "New", "notes": ["x"]}, who=sales, regions=["emea"])
    with pytest.raises(WriteNotAllowedError):
        await update(world, near, {"given_name": "New"}, who=("customer", "self_service"), customer=far)
    with pytest.raises(ProfileNotFoundError):
        await update(world, "cus_nobody", {"given_name": "New"})
    assert await world.main["profiles"].find({}).to_list(None) == before
    await update(world, near, {"given_name": "New"}, who=sales, regions=["emea"])
    await update(world, far, {"given_name": "New"}, who=("customer", "self_service"), customer=far)


async def test_what_another_source_says_is_added_wholly_or_not_at_all(world):
    customer_id = await world.one(1)
    said = [Identifier(IdentifierType.EXTERNAL_ID, "crm:9")]
    yes = ConsentDecision("marketing", ConsentState.GRANTED, DECIDED, "import")
    unknown = ConsentDecision("world_peace", ConsentState.GRANTED, DECIDED, "import")

    async def absorb(decisions, who):
        async with world.vault.reading():
            await world.writer.absorb(world.access(*who), customer_id, {"given_name": "New"}, said, decisions)

    before = await world.main["profiles"].find_one({})
    with pytest.raises(InputInvalidError):
        await absorb([yes, unknown], ("client_app", "data_import"))
    with pytest.raises(WriteNotAllowedError):
        await absorb([yes], ("sales_rep", "account_management"))
    assert await world.main["profiles"].find_one({}) == before
    await absorb([yes], ("client_app", "data_import"))
    query = "query ($id: ID!) { profile(id: $id) { givenName identifiers { value } consents { purpose state } } }"
    told = (await world.told(query, *SUPPORT, {"id": customer_id}))["profile"]
    assert told["givenName"] == "New"
    assert {"value": "crm:9"} in told["identifiers"]
    assert told["consents"] == [{"purpose": "marketing", "state": "granted"}]


async def test_a_decision_counts_as_a_change_of_the_profile(world):
    customer_id = await world.one(1)
    before = await world.main["profiles"].find_one({})
    async with world.vault.reading():
        decision = ConsentDecision("marketing", ConsentState.GRANTED, DECIDED, "form")
        await world.writer.record_consent(world.access(*SUPPORT), customer_id, decision)
    after = await world.main["profiles"].find_one({})
    assert after["version"] == before["version"] + 1
    assert after["updated_at"] > before["updated_at"]
