"""Looking somebody up sends the same to the databases whether or not they are found, so that time does not tell."""

import pytest

from tests.schema.counting import counting_client
from tests.schema.world import SUPPORT, new_world, objected, person

SALES = ("sales_rep", "sales")
ONE = """query ($value: String!) {
  profileByIdentifier(type: EMAIL, value: $value) { id givenName email phone region orderCount }
}"""
LISTED = """query ($value: String!) {
  profiles(filter: {identifier: {type: EMAIL, value: $value}}) { nodes { id givenName email } pageInfo { endCursor } }
}"""
NARROWED = """query ($value: String!) {
  profiles(filter: {identifier: {type: EMAIL, value: $value}, region: {equals: "emea"}}) {
    nodes { id givenName email }
  }
}"""
WORK = ["find blind_index", "find profiles", "find data_keys", "insert batches"]


@pytest.fixture(scope="module")
async def people(mongo_uri, tmp_path_factory):
    """One of each kind: found, erased, left (the index still points at them), abroad, objecting, half erased."""
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("work")) as world:
        refusal = objected("customer_service", "sales")
        there, erased, stale, abroad, objecting, fenced = await world.create(
            world.draft(person(1)),
            world.draft(person(2)),
            world.draft(person(3)),
            world.draft(person(4, region="apac")),
            world.draft(person(5), consents=refusal),
            world.draft(person(6)),
        )
        await world.erase(erased)
        async with world.vault.reading():
            await world.vault.blind.claim("email", "stale@mail.example", stale)
            await world.vault.blind.claim("email", "returned@mail.example", erased)
        await world.main["profiles"].delete_one({"_id": stale})
        await world.keys["data_keys"].update_one({"_id": fenced}, {"$set": {"state": "erasing"}})
        world.ids = {"there": there, "abroad": abroad, "objecting": objecting}
        yield world, commands
    await client.close()


NOT_FOUND = {
    "nobody": "nobody@mail.example",
    "erased": "person2@mail2.example",
    "erased, and the index came back": "returned@mail.example",
    "no document": "stale@mail.example",
    "being erased": "person6@mail6.example",
}
HIDDEN = {"in no region of the caller's": "person4@mail4.example", "objecting": "person5@mail5.example"}


async def sent_for(people, query, asking, value, **who):
    world, commands = people
    commands.taken()
    told = await world.told(query, *asking, {"value": value}, **who)
    (found,) = told.values()
    nodes = found["nodes"] if found is not None and "nodes" in found else [found] * (found is not None)
    return commands.taken(), len(nodes)


@pytest.mark.parametrize("query", [ONE, LISTED, NARROWED])
async def test_a_look_up_that_finds_nobody_sends_what_one_that_finds_somebody_sends(people, query):
    hit, found = await sent_for(people, query, SUPPORT, "person1@mail1.example")
    assert (hit, found) == (WORK, 1)
    for case, value in NOT_FOUND.items():
        assert await sent_for(people, query, SUPPORT, value) == (hit, 0), case


@pytest.mark.parametrize("query", [ONE, LISTED, NARROWED])
async def test_a_customer_whom_the_caller_may_not_find_takes_the_work_of_one_who_does_not_exist(people, query):
    emea = {"regions": ["emea"]}
    hit, found = await sent_for(people, query, SALES, "person1@mail1.example", **emea)
    assert (hit, found) == (WORK, 1)
    for case, value in {**NOT_FOUND, **HIDDEN}.items():
        assert await sent_for(people, query, SALES, value, **emea) == (hit, 0), case


async def test_a_look_up_that_stops_at_the_index_is_seen_here(people, monkeypatch):
    """Negative control: the shorter way, which time would tell from the longer one."""
    world, _ = people
    gateway = world.services.gateway
    find, by_identifier = gateway._find, gateway.by_identifier

    async def hurried(access, names, identifier):
        if await find(access, identifier) is None:
            return None
        return await by_identifier(access, names, identifier)

    monkeypatch.setattr(gateway, "by_identifier", hurried)
    sent, _ = await sent_for(people, ONE, SUPPORT, NOT_FOUND["nobody"])
    assert sent != WORK
