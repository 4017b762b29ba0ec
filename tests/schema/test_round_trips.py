"""A page costs the same few round trips to the database whatever its size, and so do orders and tickets with it."""

from types import SimpleNamespace

import pytest

from tests.schema.counting import counting_client
from tests.schema.selections import EVERYTHING
from tests.schema.world import OFFICER, SUPPORT, granted, new_world, order, person, ticket

TWELVE = "id givenName familyName email phone street postalCode city country birthDate language loyaltyTier"
CHILDREN = "orders(first: 10) { nodes { id total shippingAddress } } tickets(first: 10) { nodes { id subject } }"
PAGE = f"""query ($filter: ProfileFilter, $sort: ProfileSort, $first: Int!) {{
  profiles(filter: $filter, sort: $sort, first: $first) {{
    nodes {{ {TWELVE} {CHILDREN} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""


@pytest.fixture(scope="module")
async def crowd(mongo_uri, tmp_path_factory):
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("crowd")) as world:
        drafts = [
            world.draft(
                person(number),
                consents=granted("marketing"),
                orders=[order(each) for each in range(1, 2 + number % 4)],
                tickets=[ticket(1)] * (number % 3),
            )
            for number in range(130)
        ]
        await world.create(*drafts)
        yield world, commands
    await client.close()


async def cost(world, commands, query, role, purpose, variables=None):
    commands.taken()
    told = await world.told(query, role, purpose, variables)
    return commands.taken(), told


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"filter": {"country": {"equals": "DE"}}},
        {"sort": {"by": "TOTAL_SPENT", "descending": True}},
        {"filter": {"orderCount": {"atLeast": 1}}, "sort": {"by": "CREATED_AT"}},
    ],
)
async def test_a_page_of_a_hundred_takes_as_many_round_trips_as_a_page_of_ten(crowd, variables):
    world, commands = crowd
    ten, told_ten = await cost(world, commands, PAGE, *OFFICER, {**variables, "first": 10})
    hundred, told_hundred = await cost(world, commands, PAGE, *OFFICER, {**variables, "first": 100})
    assert (len(told_ten["profiles"]["nodes"]), len(told_hundred["profiles"]["nodes"])) == (10, 100)
    assert sum(len(each["orders"]["nodes"]) for each in told_hundred["profiles"]["nodes"]) > 200
    assert sorted(hundred) == sorted(ten)
    assert sorted(ten) == ["find data_keys", "find orders", "find profiles", "find tickets", "insert batches"]


async def test_the_record_goes_out_after_the_keys_were_fetched_and_is_the_last_thing_sent(crowd):
    world, commands = crowd
    sent, _ = await cost(world, commands, PAGE, *OFFICER, {"first": 100})
    assert sent.index("find profiles") < sent.index("find data_keys")
    assert sent[-1] == "insert batches"


async def test_one_profile_takes_one_query_for_the_document_and_one_for_the_key(crowd):
    world, commands = crowd
    customer_id = (await world.main["profiles"].find_one({"ticket_count": 2}))["_id"]
    query = f"query ($id: ID!) {{ profile(id: $id) {{ {TWELVE} }} }}"
    sent, _ = await cost(world, commands, query, *SUPPORT, {"id": customer_id})
    assert sent == ["find profiles", "find data_keys", "insert batches"]
    everything = f"query ($id: ID!) {{ profile(id: $id) {{ {EVERYTHING} }} }}"
    sent, _ = await cost(world, commands, everything, *OFFICER, {"id": customer_id})
    assert sorted(sent[2:-1]) == ["find orders", "find tickets"]
    by_email = f'{{ profileByIdentifier(type: EMAIL, value: "person1@mail1.example") {{ {TWELVE} }} }}'
    sent, told = await cost(world, commands, by_email, *SUPPORT)
    assert told["profileByIdentifier"]["givenName"] == "Given1"
    assert sent == ["find blind_index", "find profiles", "find data_keys", "insert batches"]


async def test_several_customers_of_one_document_are_looked_up_together_and_one_after_the_other_alone(crowd):
    world, commands = crowd
    ids = [each["_id"] for each in await world.main["profiles"].find({}).limit(8).to_list(None)]
    query = "query (" + ", ".join(f"$i{at}: ID!" for at in range(8)) + ") { "
    query += " ".join(f"a{at}: profile(id: $i{at}) {{ email }}" for at in range(8)) + " }"
    sent, _ = await cost(world, commands, query, *SUPPORT, {f"i{at}": each for at, each in enumerate(ids)})
    assert sent == ["find profiles", "find data_keys", "insert batches"]
    commands.taken()
    for each in ids:  # negative control: the count does grow for what is not asked together
        await world.told("query ($id: ID!) { profile(id: $id) { email } }", *SUPPORT, {"id": each})
    assert commands.taken().count("find profiles") == 8


async def test_the_group_that_nobody_asked_for_does_not_leave_the_database(crowd, monkeypatch):
    """What is not selected, or not granted, is not fetched."""
    world, _ = crowd
    fetched = []
    find = world.store._profiles.find

    def watched(query, projection, **options):
        fetched.append(set(projection))
        return find(query, projection, **options)

    monkeypatch.setattr(world.store, "_profiles", SimpleNamespace(find=watched))
    await world.told("{ profiles(first: 5) { nodes { givenName nationalId } } }", *SUPPORT)
    (projection,) = fetched
    assert {each for each in projection if each.startswith("sealed")} == {"sealed.name"}


async def test_where_values_came_from_takes_no_round_trip_of_its_own(crowd):
    world, commands = crowd
    query = "{ profiles(first: 100) { nodes { id provenance { field kind source at } quality { score } } } }"
    taken, told = await cost(world, commands, query, *OFFICER)
    assert all(each["provenance"] for each in told["profiles"]["nodes"])
    assert sorted(taken) == ["find data_keys", "find profiles", "insert batches"]
