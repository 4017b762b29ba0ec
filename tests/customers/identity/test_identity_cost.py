"""Reading joined profiles costs one more query, only where there are any, and tells nobody of whom may not be found."""

from collections import Counter

import pytest

from tests.customers.identity.test_identity_merging import STEWARD, merge
from tests.schema.counting import counting_client
from tests.schema.world import OFFICER, SUPPORT, new_world, order, person

SALES = ("sales_rep", "sales")
PAGE = "{ profiles(first: 20) { nodes { id givenName orders(first: 5) { nodes { id } } } } }"
ONE = "query ($id: ID!) { profile(id: $id) { id givenName email } }"
BY_EMAIL = "query ($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { id givenName email } }"
LISTED = """query ($value: String!) { profiles(filter: {identifier: {type: EMAIL, value: $value}}) {
  nodes { id givenName } } }"""
PLAIN = ["find blind_index", "find profiles", "find data_keys", "insert batches"]
JOINED = ["find blind_index", "find profiles", "find profiles", "find data_keys", "insert batches"]


@pytest.fixture(scope="module")
async def joined(mongo_uri, tmp_path_factory):
    """A person of three profiles in emea, one of two in apac, and two alone."""
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("joined")) as world:
        people = await world.create(
            *(
                world.draft(person(number, region="apac" if number in (3, 4) else "emea"), orders=[order(number + 1)])
                for number in range(7)
            )
        )
        await merge(world, people[0], people[1])
        await merge(world, people[0], people[2])
        await merge(world, people[3], people[4])
        world.ids = dict(enumerate(people))
        yield world, commands
    await client.close()


async def sent(joined, query, who, variables=None, **given):
    world, commands = joined
    commands.taken()
    told = await world.told(query, *who, variables, **given)
    return commands.taken(), next(iter(told.values()))


async def test_a_page_with_joined_profiles_takes_one_more_query_and_no_more_for_keys(joined):
    world, _ = joined
    with_parts, page = await sent(joined, PAGE, OFFICER)
    assert [len(each["orders"]["nodes"]) for each in page["nodes"]] == [3, 2, 1, 1]
    assert Counter(each for each in with_parts if each != "find counters") == {
        "find profiles": 2,
        "find data_keys": 1,
        "find orders": 1,
        "insert batches": 1,
    }
    alone, page = await sent(joined, ONE, OFFICER, {"id": world.ids[6]})
    assert page["id"] == world.ids[6]
    assert alone == PLAIN[1:]


async def test_the_id_of_one_who_was_joined_takes_a_query_more_to_follow(joined):
    world, _ = joined
    commands, found = await sent(joined, ONE, OFFICER, {"id": world.ids[2]})
    assert found["id"] == world.ids[0]
    assert Counter(commands)["find data_keys"] == 1
    assert Counter(commands)["find profiles"] == 3


@pytest.mark.parametrize("query", [BY_EMAIL, LISTED])
async def test_looking_for_somebody_joined_whom_the_caller_may_not_find_is_like_looking_for_nobody(joined, query):
    emea = {"regions": ["emea"]}
    for number, expected in ((5, PLAIN), (0, JOINED), (1, JOINED)):
        assert (await sent(joined, query, SALES, {"value": person(number)["email"]}, **emea))[0] == expected
    for value in ("nobody@mail.example", person(3)["email"], person(4)["email"]):
        commands, found = await sent(joined, query, SALES, {"value": value}, **emea)
        assert (commands, found) == (PLAIN, None if query is BY_EMAIL else {"nodes": []})
    commands, found = await sent(joined, query, SUPPORT, {"value": person(4)["email"]})
    assert commands == JOINED  # negative control: there is somebody to find
    assert found


async def test_the_index_can_be_made_anew_while_profiles_are_joined(joined):
    world, _ = joined

    async def entries():
        async for customer_id, identifiers in world.writer.all_identifiers():
            yield customer_id, [(each.type.value, each.value) for each in identifiers]

    await world.vault.rotate_index(entries())
    for number, expected in ((0, 0), (1, 0), (2, 0), (4, 3), (5, 5)):
        found = (await sent(joined, BY_EMAIL, OFFICER, {"value": person(number)["email"]}))[1]
        assert found["id"] == world.ids[expected]
    async with world.vault.reading():
        await world.reviewer.unmerge(world.access(*STEWARD), world.ids[4])
    assert (await sent(joined, BY_EMAIL, OFFICER, {"value": person(4)["email"]}))[1]["id"] == world.ids[4]
