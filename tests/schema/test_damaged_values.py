"""A sealed group that is not the one that belongs in its place is an error of its own fields, and of nothing else."""

import logging

import pytest

from schema.errors import ErrorCode
from schema.service import GraphQLService
from server.logs import Event, JsonFormatter, log
from tests.schema.world import BUILT, DOCUMENTS, OFFICER, SUPPORT, order, person
from vault import EnvelopeError

PAGE = "{ profiles(first: 100) { nodes { id givenName familyName email notes nationalId city } } }"
MORE = """query ($id: ID!) {
  profile(id: $id) { identifiers { type value } traits orders { nodes { id total giftMessage } } }
}"""
FIND = "query ($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { id } }"
EIGHTY = 80
HIT = 37


@pytest.fixture
async def street(world):
    """Eighty customers; gives the place in the page of the one whose sealed values the test damages."""
    world.ids = dict(enumerate(await world.create(*(world.draft(person(each)) for each in range(EIGHTY)))))
    told = await world.told(PAGE, *OFFICER)
    return next(at for at, each in enumerate(told["profiles"]["nodes"]) if each["id"] == world.ids[HIT])


def flipped(envelope):
    return envelope[:-1] + bytes([envelope[-1] ^ 1])


async def damage(world, collection, query, *groups, how=flipped):
    document = await world.main[collection].find_one(query)
    changes = {f"sealed.{group}": how(document["sealed"][group]) for group in groups}
    await world.main[collection].update_one({"_id": document["_id"]}, {"$set": changes})


async def test_one_damaged_group_costs_its_own_fields_and_the_rest_of_the_page_is_answered(world, street):
    whole = await world.told(PAGE, *OFFICER)
    await damage(world, "profiles", {"_id": world.ids[HIT]}, "name")
    answer = await world.ask(PAGE, *OFFICER)
    expected = [dict(each) for each in whole["profiles"]["nodes"]]
    expected[street] |= {"givenName": None, "familyName": None}
    assert answer.data["profiles"]["nodes"] == expected
    assert {tuple(each["path"]) for each in answer.errors} == {
        ("profiles", "nodes", street, name) for name in ("givenName", "familyName")
    }
    assert {each["extensions"]["code"] for each in answer.errors} == {"DATA_DAMAGED"}
    # A fault of integrity is not taken for a decision: nothing says that it was withheld.
    assert answer.extensions["privacy"]["withheld"] == []


@pytest.mark.parametrize("how", [flipped, lambda envelope: envelope[:20], lambda _: b""])
async def test_whatever_the_damage_it_is_told_as_damage_and_recorded_like_any_read(world, street, how):
    before = len(await world.records())
    await damage(world, "profiles", {"_id": world.ids[HIT]}, "name", "contact", "notes", how=how)
    answer = await world.ask(PAGE, *OFFICER)
    assert len(answer.errors) == 4
    assert answer.data["profiles"]["nodes"][street]["city"] == f"City{HIT}"
    records = await world.records()
    assert len(records) == before + 1
    assert len(records[-1].subjects) == EIGHTY
    assert str(records[-1].outcome) == "allowed"


async def test_what_the_caller_may_not_read_is_not_opened_and_so_its_damage_is_not_told(world, street):
    await damage(world, "profiles", {"_id": world.ids[HIT]}, "government")
    assert (await world.ask(PAGE, *SUPPORT)).errors is None
    answer = await world.ask(PAGE, *OFFICER)  # negative control: who may read it is told
    assert [tuple(each["path"]) for each in answer.errors] == [("profiles", "nodes", street, "nationalId")]


async def test_lists_objects_and_orders_are_told_of_alike(world):
    customer = await world.one(orders=[order(1), order(2)], external=["crm:1"])
    whole = (await world.told(MORE, *OFFICER, {"id": customer}))["profile"]
    await damage(world, "profiles", {"_id": customer}, "identifiers", "unclassified")
    await damage(world, "orders", {"customer_id": customer, "ordinal": 1}, "notes")
    answer = await world.ask(MORE, *OFFICER, {"id": customer})
    assert {tuple(each["path"]) for each in answer.errors} == {
        ("profile", "identifiers"),
        ("profile", "traits"),
        ("profile", "orders", "nodes", 1, "giftMessage"),
    }
    whole["orders"]["nodes"][1]["giftMessage"] = None
    assert answer.data["profile"] == {**whole, "identifiers": None, "traits": None}
    # Whether the identifier is theirs cannot be seen, so the look-up fails and does not say that there is nobody.
    answer = await world.ask(FIND, *SUPPORT, {"value": person(1)["email"]})
    assert [each["extensions"]["code"] for each in answer.errors] == ["DATA_DAMAGED"]


async def test_the_log_is_told_once_by_type_and_place_and_without_whose_it_was(world, street):
    told = []
    service = GraphQLService(BUILT, DOCUMENTS, world.services, failed=lambda *each: told.append(each))
    world.graphql, before = service, world.graphql
    try:
        await world.told(PAGE, *OFFICER)
        assert told == []  # negative control
        for number in (HIT, HIT + 1):
            await damage(world, "profiles", {"_id": world.ids[number]}, "name", "contact")
        answer = await world.ask(PAGE, *OFFICER)
    finally:
        world.graphql = before
    assert len(answer.errors) == 6
    ((code, cause, trace),) = told
    assert (code, type(cause), trace) == (ErrorCode.DATA_DAMAGED, EnvelopeError, None)
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(JsonFormatter().format(record))
    logging.getLogger("confide").addHandler(handler)
    try:
        log(Event.REQUEST_FAILED, logging.ERROR, error=cause, code=code)
    finally:
        logging.getLogger("confide").removeHandler(handler)
    assert "EnvelopeError" in lines[0]
    assert "data_key.py:" in lines[0]
    assert "cus_" not in lines[0]
