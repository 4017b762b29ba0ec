"""Whatever way a value comes, it is stored in its usual spelling, and what came is kept where few see it."""

from datetime import UTC, datetime, timedelta

import pytest

from customers.profiles.provenance import Origin, OriginKind
from tests.customers.collection.gathering import at, gathering, identify, seen
from tests.schema.world import OFFICER, SUPPORT

CREATE = """mutation ($values: ProfileValues!) { createProfile(input: {values: $values}) {
  profile { id givenName street postalCode city country phone } } }"""
UPDATE = """mutation ($id: ID!, $values: ProfileValues!) { updateProfile(input: {id: $id, values: $values}) {
  profile { id givenName street postalCode city country phone } } }"""
TRAITS = "query ($id: ID!) { profile(id: $id) { traits provenance { field source } } }"
CAME = {
    "givenName": "Jose\u0301",
    "street": " Am  Wall  1 ",
    "postalCode": "D-28195",
    "city": "Bremen",
    "country": "Deutschland",
    "phone": "0421 1234567",
}
STORED = {
    "givenName": "Jos\u00e9",
    "street": "Am Wall 1",
    "postalCode": "28195",
    "city": "Bremen",
    "country": "DE",
    "phone": "+494211234567",
}
ORIGINALS = {
    "original.given_name": "Jose\u0301",
    "original.street": " Am  Wall  1 ",
    "original.postal_code": "D-28195",
    "original.country": "Deutschland",
    "original.phone": "0421 1234567",
}


async def told(world, customer):
    return (await world.told(TRAITS, *OFFICER, {"id": customer}))["profile"]


@pytest.fixture
async def bremen(world):
    made = (await world.told(CREATE, *OFFICER, {"values": CAME}))["createProfile"]["profile"]
    return made.pop("id"), made


async def test_a_new_profile_is_spelt_as_usual_and_what_came_is_kept_for_few(world, bremen):
    customer, made = bremen
    assert made == STORED
    assert (await told(world, customer))["traits"] == ORIGINALS
    seen_by_support = await world.told("query ($id: ID!) { profile(id: $id) { traits } }", *SUPPORT, {"id": customer})
    assert seen_by_support["profile"]["traits"] is None


async def test_a_change_is_spelt_as_usual_in_the_country_there_is_by_a_caller_who_may_not_write_traits(world, bremen):
    customer, _ = bremen
    values = {"postalCode": "d 20095", "city": "Hamburg\u200b"}
    changed = (await world.told(UPDATE, *SUPPORT, {"id": customer, "values": values}))["updateProfile"]["profile"]
    assert (changed["postalCode"], changed["city"]) == ("20095", "Hamburg")
    kept = (await told(world, customer))["traits"]
    assert kept == {**ORIGINALS, "original.postal_code": "d 20095", "original.city": "Hamburg\u200b"}


async def test_what_came_goes_when_another_value_comes(world, bremen):
    customer, _ = bremen
    values = {"street": "Neuer Weg 2", "country": "FR", "phone": None}
    await world.told(UPDATE, *OFFICER, {"id": customer, "values": values})
    kept = await told(world, customer)
    assert set(kept["traits"]) == {"original.given_name", "original.postal_code"}
    fields = {each["field"] for each in kept["provenance"]}
    assert fields.isdisjoint({"traits.original.street", "phone", "traits.original.phone"})
    assert "traits.original.given_name" in fields


async def test_what_is_not_understood_or_usual_already_stays_as_it_is(world):
    values = {"givenName": "DeShawn", "city": "s-Hertogenbosch", "postalCode": "x 1", "country": "NL"}
    made = (await world.told(CREATE, *OFFICER, {"values": values}))["createProfile"]["profile"]
    assert {name: made[name] for name in values} == values
    assert (await told(world, made["id"]))["traits"] is None


async def test_events_are_spelt_as_usual_too_and_the_latest_word_keeps_its_own_original(world):
    async with gathering(world) as shop:
        address = {"country": "Deutschland", "postalCode": "D-28195", "street": "Am  Wall 1"}
        await shop.send(identify({"address": address}, **at(1)))
        found = await seen(shop)
        assert (found["country"], found["postalCode"], found["street"]) == ("DE", "28195", "Am Wall 1")
        assert found["traits"] == {name: ORIGINALS[name] for name in ("original.country", "original.postal_code")} | {
            "original.street": "Am  Wall 1"
        }
        await shop.send(identify({"address": {"country": "fr", "street": "Rue  X"}}, **at(0)))
        after = await seen(shop)
        assert {name: after[name] for name in (*STORED, "traits")} == {
            name: found[name] for name in (*STORED, "traits")
        }
        await shop.send(identify({"address": {"country": "fr", "street": "Rue X", "postalCode": "F 75001"}}, **at(2)))
        found = await seen(shop)
        assert (found["country"], found["postalCode"], found["street"]) == ("FR", "75001", "Rue X")
        assert found["traits"] == {"original.postal_code": "F 75001"}
        assert shop.errors == []


async def test_an_older_word_does_not_replace_what_is_kept_of_a_later_one(world, bremen):
    customer, made = bremen
    old = Origin(OriginKind.IMPORT, "crm", datetime.now(UTC) - timedelta(days=1))
    async with world.vault.reading():
        await world.writer.update(
            world.access(*OFFICER), customer, {"street": "Old  Way", "country": "Spain"}, origin=old
        )
    assert (await told(world, customer))["traits"] == ORIGINALS
    query = "query ($id: ID!) { profile(id: $id) { street country } }"
    found = (await world.told(query, *OFFICER, {"id": customer}))["profile"]
    assert found == {name: made[name] for name in ("street", "country")}
