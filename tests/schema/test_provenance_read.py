"""Origins are told of what the caller may read, cost no query, hold no value, and follow every write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from customers.profiles.provenance import Origin, OriginKind
from customers.profiles.sealing import provenance_of
from policies import LawfulBasis
from tests.customers.collection.gathering import DAY, at, gathering, identify
from tests.customers.identity.test_identity_merging import merge, unmerge
from tests.schema.canaries import everything_stored, leaks
from tests.schema.selections import ONE_PROFILE, fields_of
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT, granted, person

ONE = """query ($id: ID!) { profile(id: $id) {
  city country provenance { field kind source at basis licence expiresAt } } }"""
UPDATE = """mutation ($id: ID!, $values: ProfileValues!) { updateProfile(input: {id: $id, values: $values}) {
  profile { city provenance { field kind source } } } }"""
IMPORTED = Origin(OriginKind.IMPORT, "crm.csv", datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
ENRICHED = replace(
    IMPORTED,
    kind=OriginKind.ENRICHMENT,
    source="places",
    basis=LawfulBasis.CONSENT,
    licence="ODbL-1.0",
    expires_at=datetime(2030, 1, 1, tzinfo=UTC),
)


async def origins(world, subject, who=OFFICER, **more):
    found = (await world.told(ONE, *who, {"id": subject}, **more))["profile"]["provenance"]
    return None if found is None else {each.pop("field"): each for each in found}


async def change(world, subject, values, who=OFFICER, **more):
    return await world.told(UPDATE, *who, {"id": subject, "values": values}, **more)


async def writing(world, customer, values, origin=None, **more):
    async with world.vault.reading():
        await world.writer.update(world.access(*OFFICER), customer, values, origin=origin, **more)


async def test_every_field_says_from_where_when_and_on_which_basis(world):
    draft = replace(world.draft(person(1), external=["crm:1"]), origin=IMPORTED)
    (customer,) = await world.create(draft)
    told = await origins(world, customer)
    tracked = {*person(1), "identifiers", "traits.shoe"} - {"traits"}
    assert set(told) == tracked
    assert {tuple(each.values()) for each in told.values()} == {
        ("IMPORT", "crm.csv", "2026-01-02T03:04:05.678000Z", None, None, None)
    }
    await writing(world, customer, {"city": "Ulm"}, ENRICHED)
    assert (await origins(world, customer))["city"] == {
        "kind": "ENRICHMENT",
        "source": "places",
        "at": "2026-01-02T03:04:05.678000Z",
        "basis": "consent",
        "licence": "ODbL-1.0",
        "expiresAt": "2030-01-01T00:00:00Z",
    }
    document = await world.main["profiles"].find_one({"_id": customer})
    assert document["expires_at"] == ENRICHED.expires_at


async def test_whoever_writes_is_the_origin_and_a_removed_value_has_none(world):
    customer = await world.one()
    await change(world, customer, {"country": "FR"})
    before = await origins(world, customer)
    assert (before["city"]["kind"], before["country"]["kind"]) == ("CLIENT", "STAFF")
    await change(world, customer, {"city": "Ulm", "notes": None, "phone": None}, customer=customer)
    await change(world, customer, {"street": "Weg 1"}, actor="service:app")
    after = await origins(world, customer)
    kinds = {name: each["kind"] for name, each in after.items()}
    assert (kinds["city"], kinds["street"], kinds["country"]) == ("CUSTOMER", "CLIENT", "STAFF")
    assert set(before) - set(after) == {"notes", "phone"}
    assert {each["basis"] for each in after.values()} == {"legal_obligation", "contract"}


@pytest.mark.parametrize("who", [SUPPORT, ("marketer", "marketing"), ("sales_rep", "sales"), CUSTOMER])
async def test_an_origin_is_told_exactly_of_what_may_be_read(world, who):
    customer = await world.one(consents=granted("marketing"))
    more = {"customer": customer} if who == CUSTOMER else {"regions": ["apac"]}
    told = await origins(world, customer, who, **more)
    names = set(await origins(world, customer))
    shown = (await world.told(ONE_PROFILE, *who, {"id": customer}, **more))["profile"]
    fields = {path.removeprefix("profile."): shown[field] for field, path in fields_of("Profile").items()}
    readable = {name for name in names if fields[name.partition(".")[0]] is not None}
    assert set(told) == readable
    assert readable != names or who == CUSTOMER, "control: something is withheld from the others"


async def test_of_whoever_withdrew_or_of_the_wrong_purpose_no_origin_is_told(world):
    customer = await world.one()
    assert await origins(world, customer, ("marketer", "marketing")) is None
    answer = await world.ask(ONE, "marketer", "marketing", {"id": customer})
    reasons = {each["reason"] for each in answer.extensions["privacy"]["withheld"]}
    assert "CONSENT" in reasons, "which is said as for the values"


async def test_telling_origins_is_recorded_as_reading_the_fields(world):
    customer = await world.one()
    query = "query ($id: ID!) { profile(id: $id) { provenance { field } } }"
    await world.told(query, *SUPPORT, {"id": customer})
    record = (await world.records())[-1]
    read = {path for decision in record.decisions for path in decision.fields}
    grant = world.policies.decide((SUPPORT[0],), SUPPORT[1])
    assert {"profile.email", "profile.birth_date"} <= read
    assert all(
        not path.startswith("profile.") or path.startswith("profile.traits:") or grant.read[path] for path in read
    )
    assert record.subjects == (await world.reference(customer),)


async def test_an_older_event_does_not_change_what_staff_wrote_and_a_later_one_does(world):
    async with gathering(world) as shop:
        await shop.send(identify({"firstName": "Ada", "city": "x"}, **at(1)))
        customer = await shop.customer()
        values = {"given_name": "Augusta", "traits": {"city": "y"}}
        await writing(world, customer, values, Origin(OriginKind.STAFF, "console", DAY + timedelta(minutes=5)))
        await shop.send(identify({"firstName": "Old", "city": "z"}, **at(4)))
        told = await world.told(
            "query ($id: ID!) { profile(id: $id) { givenName traits } }", *OFFICER, {"id": customer}
        )
        assert told["profile"] == {"givenName": "Augusta", "traits": {"city": "y"}}
        await shop.send(identify({"firstName": "New"}, **at(6)))
        found = await origins(world, customer)
        assert (found["given_name"]["kind"], found["given_name"]["source"]) == ("EVENT", "shop")
        assert found["traits.city"]["kind"] == "STAFF"
        # The same holds the other way round: what is written as of an earlier moment is heard as of then.
        await writing(world, customer, {"given_name": "Older"}, Origin(OriginKind.IMPORT, "crm", DAY))
        assert (await origins(world, customer))["given_name"]["kind"] == "EVENT"
        assert shop.errors == []


async def test_what_was_removed_is_not_brought_back_by_an_older_word(world):
    async with gathering(world) as shop:
        await shop.send(identify({"firstName": "Ada"}, **at(1)))
        customer = await shop.customer()
        await writing(
            world, customer, {"given_name": None}, Origin(OriginKind.CUSTOMER, "portal", DAY + timedelta(hours=1))
        )
        await shop.send(identify({"firstName": "Ada", "lastName": "King"}, **at(2)))
        assert set(await origins(world, customer)) & {"given_name", "family_name"} == {"family_name"}


async def test_of_a_merged_person_each_value_has_the_origin_of_the_profile_it_stands_in(world):
    one, other = await world.create(
        replace(world.draft(person(1, city=None)), origin=replace(IMPORTED, source="one")),
        replace(world.draft(person(2)), origin=replace(IMPORTED, source="two")),
    )
    await merge(world, one, other)
    told = await origins(world, one)
    assert (told["street"]["source"], told["city"]["source"]) == ("one", "two")
    await writing(world, one, {"city": None}, replace(IMPORTED, at=IMPORTED.at + timedelta(days=1)))
    assert "city" not in await origins(world, one)
    await unmerge(world, other)
    assert "city" not in await origins(world, other), "what was taken away from the person stays away"
    assert (await origins(world, other))["street"]["source"] == "two"


async def test_no_value_stands_among_the_origins_and_none_of_them_outside_the_seal(world):
    canaries = {
        "given_name": "CANARYELLA",
        "street": "Canary  Wharf 4711",
        "notes": ["canarynote"],
        "traits": {"perch": "canarytrait"},
        "email": "canary@aviary.example",
    }
    draft = replace(world.draft(person(1, **canaries)), origin=replace(IMPORTED, source="CANARYSOURCE"))
    (customer,) = await world.create(draft)
    await change(world, customer, {"street": "Neuer   Weg 4712", "email": "canary2@aviary.example"})
    document = await world.main["profiles"].find_one({"_id": customer})
    async with world.vault.reading():
        key = (await world.vault.keys([customer]))[customer]
        told = repr(provenance_of(document, key).stored()).encode()
    values = ("CANARYELLA", "Canary  Wharf", "canarynote", "canarytrait", "canary@", "canary2@", "Neuer")
    assert leaks(values, told) == set()
    assert leaks(["CANARYSOURCE"], told), "control: what stands there is found"
    assert leaks(["CANARYSOURCE"], await everything_stored(world.main, world.audit)) == set()


async def test_the_first_of_several_expiries_stands_in_clear_and_goes_with_the_values(world):
    customer = await world.one()
    stored = world.main["profiles"]
    assert "expires_at" not in await stored.find_one({"_id": customer})
    now = datetime.now(UTC)
    later = replace(ENRICHED, at=now, expires_at=ENRICHED.expires_at + timedelta(days=9))
    await writing(world, customer, {"city": "Ulm"}, later)
    await writing(world, customer, {"street": "Weg 1"}, replace(ENRICHED, at=now))
    assert (await stored.find_one({"_id": customer}))["expires_at"] == ENRICHED.expires_at
    await change(world, customer, {"street": "Weg 2"})
    assert (await stored.find_one({"_id": customer}))["expires_at"] == later.expires_at
    await change(world, customer, {"city": None})
    assert "expires_at" not in await stored.find_one({"_id": customer})


async def test_damaged_origins_cost_themselves_and_nothing_else(world):
    customer = await world.one()
    document = await world.main["profiles"].find_one({"_id": customer})
    broken = document["sealed"]["provenance"][:-1] + bytes([document["sealed"]["provenance"][-1] ^ 1])
    await world.main["profiles"].update_one({"_id": customer}, {"$set": {"sealed.provenance": broken}})
    answer = await world.ask(ONE, *OFFICER, {"id": customer})
    assert [each["path"] for each in answer.errors] == [["profile", "provenance"]]
    assert answer.errors[0]["extensions"]["code"] == "DATA_DAMAGED"
    assert answer.data["profile"]["city"] == "City1"
    # Who does not ask does not open them.
    assert (await world.told("query ($id: ID!) { profile(id: $id) { city } }", *OFFICER, {"id": customer}))["profile"]
