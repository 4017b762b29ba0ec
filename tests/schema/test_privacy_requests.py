"""Privacy requests through GraphQL: the person's own, and the officer's queue."""

import pytest

from customers.rights.requests import Kind
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT

OPEN = """
mutation ($id: ID!, $kind: PrivacyRequestKind!, $reason: String, $regime: PrivacyRegime! = GDPR) {
  openPrivacyRequest(customer: $id, request: {kind: $kind, reason: $reason, regime: $regime}) { id state dueAt confirmBy }
}
"""
MINE = "{ myPrivacyRequests { id kind state words { reason } steps { what entry } } }"
QUEUE = """
query ($first: Int!, $after: String, $filter: PrivacyRequestFilter) {
  privacyRequests(first: $first, after: $after, filter: $filter) {
    nodes { id kind state customer overdue extendable words { reason } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def opened(world, customer_id, kind="ERASURE", **variables):
    asked = {"id": customer_id, "kind": kind, **variables}
    return (await world.told(OPEN, *CUSTOMER, asked, customer=customer_id))["openPrivacyRequest"]


async def step(world, name, request_id, extra="", actor="ana"):
    query = (
        f'mutation {{ {name}PrivacyRequest(id: "{request_id}"{extra}) {{ id state law agreedBy result customer }} }}'
    )
    return (await world.told(query, *OFFICER, actor=actor))[f"{name}PrivacyRequest"]


@pytest.fixture
def two_persons(world):
    """Erasures take two."""
    world.four_eyes.add(Kind.ERASURE)
    yield world
    world.four_eyes.clear()


def codes(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def test_a_person_opens_a_request_and_sees_it_with_its_evidence(world):
    mine, other = await world.one(1), await world.one(2)
    made = await opened(world, mine, reason="no more")
    assert made["state"] == "CONFIRMED"
    [seen] = (await world.told(MINE, *CUSTOMER, customer=mine))["myPrivacyRequests"]
    assert (seen["id"], seen["kind"], seen["words"]) == (made["id"], "ERASURE", [{"reason": "no more"}])
    assert all(each["entry"] for each in seen["steps"])
    assert (await world.told(MINE, *CUSTOMER, customer=other))["myPrivacyRequests"] == []
    assert codes(await world.ask(OPEN, *CUSTOMER, {"id": mine, "kind": "ACCESS"}, customer=other)) == ["NOT_FOUND"]
    assert codes(await world.ask(MINE, *OFFICER)) == ["FORBIDDEN"]


async def test_the_officer_takes_a_request_to_its_end_with_a_second_person(two_persons):
    world = two_persons
    mine = await world.one(1)
    made = await opened(world, mine)
    assert (await step(world, "begin", made["id"]))["state"] == "IN_PROGRESS"
    first = await step(world, "complete", made["id"])
    assert (first["state"], first["agreedBy"]) == ("IN_PROGRESS", "ana")
    query = f'mutation {{ completePrivacyRequest(id: "{made["id"]}") {{ id }} }}'
    again = await world.ask(query, *OFFICER, actor="ana")
    assert codes(again) == ["SECOND_PERSON_NEEDED"]
    assert again.errors[0]["extensions"]["request"] == made["id"]
    done = await step(world, "complete", made["id"], actor="ben")
    assert (done["state"], done["customer"]) == ("COMPLETED", None)
    assert done["result"] == (await world.main["certificates"].find_one({}))["_id"]
    assert await world.main["profiles"].find_one({"_id": mine}) is None


ERASE = "mutation ($id: ID!) { eraseCustomer(id: $id, confirm: $id) { certificate keyFingerprints } }"


async def test_nobody_erases_somebody_alone_where_two_must_agree(two_persons):
    world, mine = two_persons, await two_persons.one(1)
    first = await world.ask(ERASE, *OFFICER, {"id": mine}, actor="ana")
    assert codes(first) == ["SECOND_PERSON_NEEDED"]
    waiting = first.errors[0]["extensions"]["request"]
    again = await world.ask(ERASE, *OFFICER, {"id": mine}, actor="ana")
    assert (codes(again), again.errors[0]["extensions"]["request"]) == (["SECOND_PERSON_NEEDED"], waiting)
    one = f'{{ privacyRequest(id: "{waiting}") {{ state agreedBy verification source result steps {{ what entry }} }} }}'
    seen = (await world.told(one, *OFFICER))["privacyRequest"]
    assert (seen["state"], seen["agreedBy"], seen["verification"]) == ("IN_PROGRESS", "ana", "OWN_MOTION")
    assert [each["what"] for each in seen["steps"]] == ["opened", "confirmed", "begun", "agreed"]
    assert all(each["entry"] for each in seen["steps"])
    assert await world.main["profiles"].find_one({"_id": mine}) is not None
    receipt = (await world.told(ERASE, *OFFICER, {"id": mine}, actor="ben"))["eraseCustomer"]
    done = (await world.told(one, *OFFICER))["privacyRequest"]
    assert (done["state"], done["result"]) == ("COMPLETED", receipt["certificate"])
    assert await world.main["profiles"].find_one({"_id": mine}) is None
    world.four_eyes.clear()  # the control: one person erases where one is enough
    other = await world.one(2)
    assert (await world.told(ERASE, *OFFICER, {"id": other}, actor="ana"))["eraseCustomer"]["keyFingerprints"]


async def test_who_erases_is_the_first_or_second_to_agree_to_what_the_person_asked_for(two_persons):
    world, mine = two_persons, await two_persons.one(1)
    made = await opened(world, mine)
    first = await world.ask(ERASE, *OFFICER, {"id": mine}, actor="ana")
    assert first.errors[0]["extensions"]["request"] == made["id"]
    assert codes(await world.ask(ERASE, *SUPPORT, {"id": mine}, actor="eve")) == ["ERASE_NOT_ALLOWED"]
    await step(world, "hold", made["id"], ", held: true")
    assert codes(await world.ask(ERASE, *OFFICER, {"id": mine}, actor="ben")) == ["INPUT_INVALID"]
    await step(world, "hold", made["id"], ", held: false")
    assert (await step(world, "complete", made["id"], actor="ben"))["state"] == "COMPLETED"


async def test_completing_stands_alone_in_its_operation(world):
    made = await opened(world, await world.one(1))
    both = ((name, f'{name}PrivacyRequest(id: "{made["id"]}") {{ id }}') for name in ("complete", "begin"))
    query = "mutation {" + " ".join(f"{name}: {field}" for name, field in both) + "}"
    assert codes(await world.ask(query, *OFFICER)) == ["INPUT_INVALID"]


@pytest.mark.parametrize(
    ("name", "extra", "state"),
    [
        ("extend", ", reason: NUMBER", "CONFIRMED"),
        ("hold", ", held: true", "CONFIRMED"),
        ("deny", ", reason: UNFOUNDED", "DENIED"),
        ("cancel", "", "CANCELLED"),
    ],
)
async def test_each_verb_is_the_officers_and_nobody_elses(world, name, extra, state):
    mine = await world.one(1)
    made = await opened(world, mine)
    query = f'mutation {{ {name}PrivacyRequest(id: "{made["id"]}"{extra}) {{ id }} }}'
    refused = codes(await world.ask(query, *SUPPORT))
    assert refused in (["WRITE_NOT_ALLOWED"], ["NOT_FOUND"])
    assert (await step(world, name, made["id"], extra))["state"] == state


async def test_a_request_of_an_agent_is_confirmed_by_an_authority_alone(world):
    mine = await world.one(1)
    query = f'mutation {{ openPrivacyRequest(customer: "{mine}", request: {{kind: ACCESS, agent: "Ltd"}}) {{ id state }} }}'
    made = (await world.told(query, *OFFICER))["openPrivacyRequest"]
    assert made["state"] == "RECEIVED"
    wrong = f'mutation {{ confirmPrivacyRequest(id: "{made["id"]}", how: DOCUMENT) {{ id }} }}'
    assert codes(await world.ask(wrong, *OFFICER)) == ["INPUT_INVALID"]
    assert (await step(world, "confirm", made["id"], ", how: AUTHORITY"))["state"] == "CONFIRMED"
    one = f'{{ privacyRequest(id: "{made["id"]}") {{ agent words {{ agent }} }} }}'
    assert (await world.told(one, *OFFICER))["privacyRequest"]["words"] == [{"agent": "Ltd"}]
    assert codes(await world.ask(one, *CUSTOMER, customer=mine)) == ["FORBIDDEN"]
    assert codes(await world.ask('{ privacyRequest(id: "req_no") { id } }', *OFFICER)) == ["NOT_FOUND"]


async def test_the_queue_comes_in_pages_whose_cursor_is_of_this_query(world):
    made = [await opened(world, await world.one(number), "ACCESS", reason="why") for number in range(3)]
    variables, seen = {"first": 2}, []
    while True:
        page = (await world.told(QUEUE, *OFFICER, variables))["privacyRequests"]
        seen += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = page["pageInfo"]["endCursor"]
    assert [each["id"] for each in seen] == [each["id"] for each in made]
    assert all(each["words"] == [] and each["extendable"] and not each["overdue"] for each in seen)
    assert codes(await world.ask(QUEUE, *OFFICER, {**variables, "filter": {"kind": "ERASURE"}})) == ["CURSOR_INVALID"]
    assert codes(await world.ask(QUEUE, *SUPPORT, {"first": 2})) == ["FORBIDDEN"]
    bad = {"first": 2, "filter": {"dueBefore": "soon"}}
    assert codes(await world.ask(QUEUE, *OFFICER, bad)) == ["INPUT_INVALID"]
    none = {"first": 2, "filter": {"dueBefore": "2020-01-01T00:00:00Z"}}
    assert (await world.told(QUEUE, *OFFICER, none))["privacyRequests"]["nodes"] == []
