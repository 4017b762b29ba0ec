"""No purpose, an unknown one or one the caller may not state: a clear refusal before anything is read."""

import pytest

from audit import Kind, Outcome
from tests.schema.counting import counting_client
from tests.schema.world import OFFICER, SUPPORT, granted, new_world, person


@pytest.fixture(scope="module")
async def counted(mongo_uri, tmp_path_factory):
    """An empty platform, and what it sends to the database."""
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("counted")) as made:
        yield made, commands
    await client.close()


READS = [
    '{ profile(id: "cus_x") { email } }',
    '{ profile(id: "cus_x") { version } }',
    '{ node(id: "cus_x") { id } }',
    "{ profiles { nodes { email } } }",
    "{ profiles { pageInfo { hasNextPage } } }",
    '{ profileByIdentifier(type: EMAIL, value: "a@b.example") { id } }',
    "{ me { email } }",
    "{ accessLog { nodes { id } } }",
    '{ accessEntry(id: "aaaaaaaaaaaa.0") { id } }',
    '{ node(id: "aaaaaaaaaaaa.0") { id } }',
    "query A { ...F } fragment F on Query { profiles { nodes { email } } }",
    'mutation { createProfile(input: {values: {givenName: "Ada"}}) { profile { id } } }',
    'mutation { updateProfile(input: {id: "cus_x", values: {givenName: "Ada"}}) { __typename } }',
    'mutation { eraseCustomer(id: "cus_x", confirm: "cus_x") { id } }',
]
REFUSALS = [
    (None, None, "PURPOSE_REQUIRED"),
    ("", None, "PURPOSE_REQUIRED"),
    ("  ", None, "PURPOSE_REQUIRED"),
    ("world_peace", None, "PURPOSE_UNKNOWN"),
    ("Customer_Service", None, "PURPOSE_UNKNOWN"),
    ("privacy_request", {"customer_service"}, "PURPOSE_NOT_ALLOWED"),
    ("customer_service", {"order_support"}, "PURPOSE_NOT_ALLOWED"),
    ("customer_service", set(), "PURPOSE_NOT_ALLOWED"),
]


@pytest.mark.parametrize(("purpose", "purposes", "code"), REFUSALS)
async def test_without_a_purpose_of_the_callers_nothing_is_read(counted, purpose, purposes, code):
    world, commands = counted
    commands.taken()
    for query in READS:
        answer = await world.ask(query, "privacy_officer", purpose, purposes=purposes)
        assert [each["extensions"]["code"] for each in answer.errors] == [code], query
        assert (answer.data, answer.extensions) == (None, None)
    # That somebody asked for a purpose that is not theirs is recorded; what is no purpose is noise.
    assert commands.taken() == (["insert batches"] * len(READS) if code == "PURPOSE_NOT_ALLOWED" else [])
    # Negative control: the same documents with a purpose do reach the database.
    for query in READS:
        await world.ask(query, *OFFICER)
        assert commands.taken(), query


ERASE = 'mutation Gone { eraseCustomer(id: "cus_x", confirm: "cus_x") { id } }'
LOOK = 'query Look { profile(id: "cus_x") { email } }'
WRITE = 'mutation Put { createProfile(input: {values: {givenName: "Ada"}}) { profile { id } } }'


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [(LOOK, Kind.READ, "Look"), (WRITE, Kind.WRITE, "Put"), (ERASE, Kind.ERASURE_INTENT, "Gone")],
)
async def test_a_purpose_that_the_caller_may_not_state_leaves_a_record_of_the_attempt(world, query, kind, name):
    who = ("privacy_officer", "privacy_request")
    for case in ("T-4711", "Ada Lovelace called"):
        answer = await world.ask(query, *who, purposes={"customer_service"}, actor="mallory", case=case)
        assert answer.errors[0]["extensions"]["code"] == "PURPOSE_NOT_ALLOWED"
    tried, again = await world.records(actor="mallory")
    assert (tried.outcome, tried.kind, tried.operation, tried.purpose) == (Outcome.REFUSED, kind, name, who[1])
    assert (tried.case, again.case) == ("T-4711", None)
    assert (tried.decisions, tried.subjects, tried.filters) == ((), (), ())
    assert tried.document is not None


async def test_an_attempt_that_cannot_be_recorded_is_not_told_apart_from_any_other_request(fresh_world):
    await fresh_world.log.close()
    answer = await fresh_world.ask(LOOK, *SUPPORT, purposes=set())
    assert [each["extensions"]["code"] for each in answer.errors] == ["AUDIT_UNAVAILABLE"]


async def test_what_needs_no_purpose_is_answered_and_not_recorded_whatever_is_stated(world):
    told = await world.told("{ policy { version } }", *SUPPORT, purposes=set(), actor="mallory")
    assert told["policy"]["version"]
    assert await world.records(actor="mallory") == []


async def test_a_purpose_may_be_stated_by_who_may_state_one_above_it(town):
    variables = {"id": town.ids["agreed"]}
    query = "query ($id: ID!) { profile(id: $id) { email } }"
    told = await town.told(query, SUPPORT[0], "order_support", variables, purposes={"customer_service"})
    assert told["profile"]["email"] == "person1@mail1.example"
    policy = await town.told("{ policy { purposes { name } } }", SUPPORT[0], None, purposes={"customer_service"})
    names = {each["name"] for each in policy["policy"]["purposes"]}
    assert names == {"customer_service", "order_support", "complaint_handling"}


async def test_asking_about_the_schema_or_ones_own_policy_takes_no_purpose_and_leaves_no_record(counted):
    world, commands = counted
    before = world.log.head()
    commands.taken()
    for purpose in (None, "world_peace", SUPPORT[1]):
        for query in ("{ __schema { queryType { name } } }", "{ __typename }", "{ policy { version } }"):
            answer = await world.ask(query, SUPPORT[0], purpose)
            assert answer.errors is None
    assert commands.taken() == []
    assert world.log.head() == before


async def test_the_policy_query_tells_what_the_caller_may_do_for_a_purpose(town):
    query = "query ($p: String) { policy(purpose: $p) { purpose mayErase fields { field read rule filter write } } }"
    told = (await town.told(query, SUPPORT[0], None, {"p": SUPPORT[1]}))["policy"]
    fields = {each["field"]: each for each in told["fields"]}
    assert fields["profile.email"] == {
        "field": "profile.email", "read": "clear", "rule": 2, "filter": True, "write": True,
    }  # fmt: skip
    assert fields["profile.national_id"]["read"] == "withheld"
    assert fields["profile.birth_date"]["read"] == "masked"
    assert not told["mayErase"]
    assert (await town.told(query, OFFICER[0], OFFICER[1]))["policy"]["mayErase"]
    unknown = await town.ask(query, SUPPORT[0], None, {"p": "world_peace"})
    assert unknown.errors[0]["extensions"]["code"] == "PURPOSE_UNKNOWN"


async def test_a_case_is_a_number_and_stands_in_the_record(world):
    customer_id = await world.one(1, consents=granted("marketing"))
    query = "query Look($id: ID!) { profile(id: $id) { email } }"
    for case in ("T-4711", " T-4711 "):
        await world.told(query, *SUPPORT, {"id": customer_id}, case=case)
    assert [each.case for each in await world.records(case="T-4711")] == ["T-4711"] * 2
    for sentence in ("Ada Lovelace called", "a@b.example", "x" * 65, "é"):
        refused = await world.ask(query, *SUPPORT, {"id": customer_id}, case=sentence)
        assert refused.errors[0]["extensions"]["code"] == "INPUT_INVALID"
        assert sentence not in str(refused.errors)
    assert person(1)["email"] not in str(await world.records())
