"""Imported rows become profiles: new ones are created together, known ones changed, and each row is whole or refused."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from customers.collection import Fault, ProfileRow, Result, RowOutcome
from customers.collection.service import ImportWriter
from customers.identity.model import Identifier, IdentifierType
from tests.schema.counting import counting_client
from tests.schema.world import OFFICER, SUPPORT, granted, new_world, person, utc_now
from vault import ReadDeadlineError

FIND = """query ($value: String!) { profileByIdentifier(type: EMAIL, value: $value) {
  id givenName city region version email phone identifiers { type value } consents { purpose state source }
} }"""
CREATED, UPDATED, UNCHANGED = map(RowOutcome, (Result.CREATED, Result.UPDATED, Result.UNCHANGED))
TAKEN = RowOutcome(Result.REJECTED, Fault.IDENTIFIER_TAKEN)
REFUSED = RowOutcome(Result.REJECTED, Fault.REFUSED)


def email(value):
    return Identifier(IdentifierType.EMAIL, value)


def phone(value):
    return Identifier(IdentifierType.PHONE, value)


def external(value):
    return Identifier(IdentifierType.EXTERNAL_ID, value)


def row(number, *identifiers, consents=None, **values):
    return ProfileRow(number, number, values, identifiers, consents or {})


async def write(world, *rows, role="client_app", purpose="data_import", **who):
    writer = ImportWriter(world.writer, world.vault, world.access(role, purpose, **who), now=utc_now)
    return await writer.write(rows)


async def found(world, value):
    return (await world.told(FIND, *OFFICER, {"value": value}))["profileByIdentifier"]


async def profiles(world):
    return (await world.counted()).get("profiles", 0)


async def test_new_people_are_created_and_can_be_found_by_all_they_came_with(world):
    rows = [
        row(2, email("ada@mail.example"), external("crm:1"), given_name="Ada", city="London", region="emea"),
        row(3, phone("+4915112000001"), given_name="Bob"),
    ]
    assert await write(world, *rows) == [CREATED, CREATED]
    ada = await found(world, "ada@mail.example")
    assert (ada["givenName"], ada["city"], ada["region"], ada["email"]) == (
        "Ada",
        "London",
        "emea",
        "ada@mail.example",
    )
    assert [each["value"] for each in ada["identifiers"]] == ["ada@mail.example", "crm:1"]
    assert await profiles(world) == 2


async def test_known_people_are_changed_and_keep_what_the_row_does_not_say(world):
    customer_id = await world.one(1)
    known = email(person(1)["email"])
    assert await write(world, row(2, known, external("crm:1"), given_name="New")) == [UPDATED]
    told = await found(world, known.value)
    assert (told["id"], told["givenName"], told["city"]) == (customer_id, "New", "City1")
    assert {"type": "external_id", "value": "crm:1"} in told["identifiers"]
    assert told["phone"] == person(1)["phone"]


async def test_writing_the_same_rows_again_changes_nothing_but_versions(world):
    rows = [
        row(2, email("a@mail.example"), external("crm:1"), given_name="Ada", consents={"marketing": True}),
        row(3, email("b@mail.example"), given_name="Bob"),
    ]
    assert await write(world, *rows) == [CREATED, CREATED]
    before = await found(world, "a@mail.example")
    assert await write(world, *rows) == [UPDATED, UNCHANGED]  # of consents each word is noted
    after = await found(world, "a@mail.example")
    assert {**after, "version": 1} == {**before, "version": 1}
    assert await profiles(world) == 2


async def test_two_rows_about_the_same_person_make_one_profile_and_the_later_one_counts(world):
    rows = [
        row(2, email("ada@mail.example"), given_name="Ada", city="London"),
        row(3, email("bob@mail.example"), given_name="Bob"),
        row(4, external("crm:1"), email("ada@mail.example"), given_name="Augusta"),
        row(5, external("crm:1"), city="Paris"),
    ]
    assert await write(world, *rows) == [CREATED, CREATED, UPDATED, UPDATED]
    ada = await found(world, "ada@mail.example")
    assert (ada["givenName"], ada["city"]) == ("Augusta", "Paris")
    assert await profiles(world) == 2


async def test_a_row_whose_identifiers_are_two_customers_is_rejected_and_changes_neither(world):
    ids = await world.create(world.draft(person(1)), world.draft(person(2)))
    before = [await world.main["profiles"].find_one({"_id": each}) for each in ids]
    torn = row(3, email(person(1)["email"]), phone(person(2)["phone"]), given_name="Torn")
    rows = [
        row(2, email("new@mail.example"), given_name="New"),
        torn,
        row(4, email("b@mail.example"), given_name="B"),
    ]
    assert await write(world, *rows) == [CREATED, TAKEN, CREATED]
    assert [await world.main["profiles"].find_one({"_id": each}) for each in ids] == before


async def test_rows_that_share_an_identifier_between_two_new_people_end_as_one(world):
    """Row 2 and 3 have nothing in common until row 4 says that they are one: which is then refused, not merged."""
    rows = [
        row(2, email("a@mail.example"), given_name="A"),
        row(3, phone("+4915112000009"), given_name="B"),
        row(4, email("a@mail.example"), phone("+4915112000009"), given_name="C"),
    ]
    assert await write(world, *rows) == [CREATED, CREATED, TAKEN]
    assert (await found(world, "a@mail.example"))["givenName"] == "A"


async def test_an_identifier_that_was_taken_in_the_meantime_rejects_that_row_alone(world, monkeypatch):
    """Somebody claims an address between the look and the write."""
    await world.one(1)

    async def nobody(_identifiers):
        return {}

    monkeypatch.setattr(world.vault.blind, "find_many", nobody)
    rows = [
        row(2, email("a@mail.example"), given_name="A"),
        row(3, email(person(1)["email"]), given_name="Late"),
        row(4, email("c@mail.example"), given_name="C"),
    ]
    assert await write(world, *rows) == [CREATED, TAKEN, CREATED]
    monkeypatch.undo()
    assert (await found(world, person(1)["email"]))["givenName"] == "Given1"
    assert await profiles(world) == 3


async def test_consents_are_recorded_for_new_and_known_people_and_the_narrower_word_counts(world):
    said = {"email_marketing": False, "marketing": True}
    both = [
        row(2, email("new@mail.example"), given_name="New", consents=said),
        row(3, email(person(1)["email"]), consents=said),
    ]
    await world.one(1)
    assert await write(world, *both) == [CREATED, UPDATED]
    for value, name in (("new@mail.example", "New"), (person(1)["email"], "Given1")):
        told = await found(world, value)
        states = {each["purpose"]: (each["state"], each["source"]) for each in told["consents"]}
        assert states == {"marketing": ("granted", "import"), "email_marketing": ("withdrawn", "import")}
        seen = "query ($id: ID!) { profile(id: $id) { givenName } }"
        for purpose, shown in (("marketing", name), ("personalisation", name), ("email_marketing", None)):
            answer = await world.told(seen, "marketer", purpose, {"id": told["id"]})
            assert answer["profile"]["givenName"] == shown


async def test_what_the_caller_may_not_write_is_refused_row_by_row_and_nothing_of_it_is_written(world):
    await world.create(world.draft(person(1)), world.draft(person(2), restricted=True))
    before = await world.main["profiles"].find({}).to_list(None)
    rows = [
        row(2, email(person(1)["email"]), given_name="New", consents={"marketing": True}),  # sales may not
        row(3, email("new@mail.example"), given_name="New"),  # no region, so not in one of theirs
    ]
    sales = {"role": "sales_rep", "purpose": "account_management", "regions": ["emea"]}
    assert await write(world, *rows, **sales) == [REFUSED, REFUSED]
    restricted = row(4, email(person(2)["email"]), given_name="New")
    assert await write(world, restricted) == [REFUSED]
    assert await world.main["profiles"].find({}).to_list(None) == before
    assert await found(world, "new@mail.example") is None


async def test_a_value_that_cannot_be_stored_rejects_its_row_and_names_the_field(world):
    await world.one(1)
    rows = [
        row(2, email("a@mail.example"), country="Atlantis"),
        row(3, email(person(1)["email"]), birth_date="yesterday"),
        row(4, email("b@mail.example"), given_name="B"),
        row(5, email("c@mail.example"), given_name="C", traits={"a": [2**70]}),
    ]
    first, second, third, fourth = await write(world, *rows)
    assert (first.result, first.fault, first.field) == (Result.REJECTED, Fault.INVALID_VALUE, "country")
    assert (second.result, second.fault) == (Result.REJECTED, Fault.INVALID_VALUE)
    assert third == CREATED
    assert (fourth.fault, fourth.field) == (Fault.INVALID_VALUE, "traits")


class Slow:
    """The writer over a database on a slow disk: a change takes a while."""

    def __init__(self, writer, seconds):
        self._writer, self._seconds = writer, seconds

    def __getattr__(self, name):
        return getattr(self._writer, name)

    async def absorb(self, *args, **kwargs):
        await asyncio.sleep(self._seconds)
        await self._writer.absorb(*args, **kwargs)

    async def absorb_many(self, access, said, *, origin):
        await asyncio.sleep(self._seconds * len(said))
        return await self._writer.absorb_many(access, said, origin=origin)


async def test_a_batch_of_changes_may_take_longer_than_a_read_and_one_change_may_not(fresh_world):
    world = fresh_world
    rows = [row(number, email(f"n{number}@mail.example"), given_name="N") for number in range(2, 8)]
    assert await write(world, *rows) == [CREATED] * 6
    rows = [row(each.number, *each.identifiers, given_name="M") for each in rows]
    world.vault.fleet._read_deadline = deadline = 0.9
    access = world.access("client_app", "data_import")
    slow = ImportWriter(Slow(world.writer, deadline / 5), world.vault, access, now=utc_now)
    assert await slow.write(rows) == [UPDATED] * 6
    never = ImportWriter(Slow(world.writer, deadline * 2), world.vault, access, now=utc_now)
    with pytest.raises(ReadDeadlineError):
        await never.write(rows[:1])


async def test_without_the_log_an_import_stops_and_writes_nothing(fresh_world):
    await fresh_world.log.close()
    with pytest.raises(Exception, match="closed"):
        await write(fresh_world, row(2, email("a@mail.example"), given_name="A"))
    assert await profiles(fresh_world) == 0


async def test_a_batch_of_a_hundred_new_rows_leaves_one_record(world):
    rows = [row(number, email(f"n{number}@mail.example"), given_name=f"N{number}") for number in range(2, 102)]
    assert await write(world, *rows) == [CREATED] * 100
    (record,) = await world.records()
    assert len(record.subjects) == 100
    assert (await found(world, "n50@mail.example"))["givenName"] == "N50"
    page = await world.told("{ profiles(first: 100) { nodes { givenName } } }", *SUPPORT)
    assert [each["givenName"] for each in page["profiles"]["nodes"]] == [f"N{number}" for number in range(2, 102)]


async def test_a_batch_of_known_people_is_one_record_and_as_many_commands_as_two_of_them(mongo_uri, tmp_path):
    def told(city, count):
        return [row(number, email(f"n{number}@mail.example"), city=city) for number in range(2, 2 + count)]

    client, commands = counting_client(mongo_uri)
    async with client, new_world(client, tmp_path) as world:
        assert await write(world, *told("Bremen", 40)) == [CREATED] * 40
        sent = []
        for city, count in (("Paris", 40), ("Rom", 2)):
            before = len(await world.records())
            commands.taken()
            assert await write(world, *told(city, count)) == [UPDATED] * count
            sent.append([each for each in commands.taken() if not each.startswith("getMore")])
            (record,) = (await world.records())[before:]
            assert len(record.subjects) == count
            assert "profile.city" in {path for each in record.decisions for path in each.fields}
            assert (await found(world, "n3@mail.example"))["city"] == city
        many, few = sent
        assert sorted(many) == sorted(few)
        assert len(many) < 8


async def test_what_the_same_source_said_within_a_day_is_not_written_again_and_later_it_is(world):
    known = row(2, email("ada@mail.example"), city="Bremen", traits={"shoe": "38"})
    later = utc_now()

    async def write_at(source, moment, **changed):
        access = world.access("client_app", "data_import")
        writer = ImportWriter(world.writer, world.vault, access, now=lambda: moment, source=source)
        (outcome,) = await writer.write([replace(known, values={**known.values, **changed})])
        return outcome

    assert await write_at("crm", later) == CREATED
    (before,) = await world.main["profiles"].find({}).to_list(None)
    assert await write_at("crm", later + timedelta(hours=1)) == UNCHANGED
    (after,) = await world.main["profiles"].find({}).to_list(None)
    assert after == before, "to the byte"
    assert len(await world.records()) == 2, "that it was looked at is recorded all the same"
    for source, hours, changed in (
        ("shop", 1, {}),  # another source
        ("shop", 26, {}),  # a day later: it still holds
        ("shop", 27, {"city": "Paris"}),
        ("shop", 27, {"traits": {"shoe": "39"}}),
        ("shop", 27, {"given_name": "Ada"}),
    ):
        assert await write_at(source, later + timedelta(hours=hours), **changed) == UPDATED, (source, hours, changed)
        (now,) = await world.main["profiles"].find({}).to_list(None)
        assert now["version"] == after["version"] + 1
        after = now
    assert (await found(world, "ada@mail.example"))["city"] == "Bremen"


async def test_two_rows_of_one_customer_by_different_names_are_written_one_after_the_other(world):
    (customer_id,) = await world.create(world.draft(person(1), external=["crm:1"]))
    rows = [row(2, email(person(1)["email"]), city="Bremen"), row(3, external("crm:1"), city="Paris")]
    assert await write(world, *rows) == [UPDATED, UPDATED]
    assert (await found(world, person(1)["email"]))["city"] == "Paris"
    (document,) = await world.main["profiles"].find({"_id": customer_id}).to_list(None)
    assert document["version"] == 3


async def test_an_erased_customer_who_is_imported_again_is_somebody_new(world):
    old = await world.one(1, consents=granted("marketing"))
    await world.erase(old)
    assert await write(world, row(2, email(person(1)["email"]), given_name="Again")) == [CREATED]
    told = await found(world, person(1)["email"])
    assert told["id"] != old
    assert (told["givenName"], told["consents"]) == ("Again", [])
