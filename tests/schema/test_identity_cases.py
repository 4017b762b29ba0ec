"""Who is one person is decided over GraphQL: by those who may, with the profiles as their role sees them, recorded."""

import pytest

from customers.identity.review import Finding
from customers.identity.rules import CaseKind
from tests.schema.world import OFFICER, SUPPORT, person

STEWARD = ("data_steward", "identity_resolution")
CASES = """query ($first: Int!, $after: String) { identityCases(first: $first, after: $after) {
  nodes { id kind state openedAt decidedAt }
  pageInfo { hasNextPage endCursor } } }"""
IN_STATE = "query ($state: IdentityCaseState!) { identityCases(state: $state) { nodes { id state decidedAt } } }"
OPENED = """query ($id: ID!) { identityCase(id: $id) { id kind state score evidence { compared level selfSaid } sides { id }
  fields { field compared level values { value verdict damaged origin { field kind source } } } } }"""
MERGE = """mutation ($survivor: ID!, $absorbed: ID!) { mergeProfiles(survivor: $survivor, absorbed: $absorbed) {
  profile { id identifiers { value } } } }"""
UNMERGE = "mutation ($id: ID!) { unmergeProfile(id: $id) { profile { id } } }"
DECIDE = """mutation ($id: ID!, $survivor: ID) { resolveIdentityCase(id: $id, survivor: $survivor) {
  case { state } customers { id } } }"""


def code(answer):
    return answer.errors[0]["extensions"]["code"]


async def queue(world, count=2):
    people = await world.create(
        *(world.draft(person(number), external=[f"crm:{number}"]) for number in range(count + 1))
    )
    first, *others = people
    await world.reviewer.cases.add(
        [Finding(CaseKind.SIMILAR, (first, each), {"name": "close", "birth_date": "same"}, 0.71) for each in others]
    )
    return people


async def cases(world, first=10, after=None, who=STEWARD):
    return (await world.told(CASES, *who, {"first": first, "after": after}))["identityCases"]


async def open_case(world, case, who=STEWARD):
    return (await world.told(OPENED, *who, {"id": case}))["identityCase"]


async def test_a_list_tells_that_there_is_a_case_and_opening_it_is_what_reads_and_is_recorded(world):
    one, other, _ = await queue(world)
    before = await world.records()
    (case, _) = (await cases(world))["nodes"]
    assert (case["kind"], case["state"], case["decidedAt"]) == ("SIMILAR", "OPEN", None)
    assert await world.records() == before
    for told in ("score", "evidence { level }", "customers { id }", "sides { id }"):
        answer = await world.ask(f"{{ identityCases {{ nodes {{ {told} }} }} }}", *STEWARD)
        assert answer.data is None, "a list cannot be asked for what is read of the profiles"
    # The negative control: the opened case tells it, and is recorded.
    assert (await open_case(world, case["id"]))["score"] == 0.71
    (record,) = (await world.records())[len(before) :]
    assert {await world.reference(each) for each in (one, other)} == set(record.subjects)
    assert (record.roles, record.purpose) == (("data_steward",), "identity_resolution")
    read = {field for decision in record.decisions for field in decision.fields}
    assert {"profile.birth_date", "profile.given_name", "profile.phone"} <= read


async def test_an_opened_case_shows_both_profiles_as_the_callers_role_sees_them(world):
    one, other, _ = await queue(world)
    case = await open_case(world, (await cases(world))["nodes"][0]["id"])
    assert (case["kind"], case["state"]) == ("SIMILAR", "OPEN")
    assert case["evidence"] == [
        {"compared": "birth_date", "level": "same", "selfSaid": False},
        {"compared": "name", "level": "close", "selfSaid": False},
    ]
    assert {each["id"] for each in case["sides"]} == {one, other}
    fields = {each["field"]: each for each in case["fields"]}
    assert fields["birth_date"]["level"] == "same"
    for name in ("given_name", "family_name", "email", "birth_date"):
        assert {each["verdict"] for each in fields[name]["values"]} == {"MASKED"}
        assert {person(number).get(name) for number in range(3)}.isdisjoint(
            each["value"] for each in fields[name]["values"]
        )
    for each in fields["national_id"]["values"]:
        assert each == {"value": None, "verdict": "WITHHELD", "damaged": False, "origin": None}
    assert {each["verdict"] for each in fields["region"]["values"]} == {"CLEAR"}


async def test_cases_are_listed_by_what_became_of_them(world):
    await queue(world)
    case, left = (each["id"] for each in (await cases(world))["nodes"])
    await world.told(DECIDE, *STEWARD, {"id": case})
    for state, expected in (("OPEN", left), ("APART", case)):
        (found,) = (await world.told(IN_STATE, *STEWARD, {"state": state}))["identityCases"]["nodes"]
        assert (found["id"], found["state"], found["decidedAt"] is None) == (expected, state, state == "OPEN")
    assert not (await world.told(IN_STATE, *STEWARD, {"state": "MERGED"}))["identityCases"]["nodes"]


async def test_cases_come_page_by_page_and_a_cursor_is_the_callers_own(world):
    await queue(world, 3)
    seen, after = [], None
    for _ in range(3):
        page = await cases(world, 1, after)
        seen += [each["id"] for each in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert len(set(seen)) == 3
    assert not page["pageInfo"]["hasNextPage"]
    assert seen == [each["id"] for each in (await cases(world))["nodes"]]
    answer = await world.ask(CASES, *STEWARD, {"first": 1, "after": after}, actor="somebody else")
    assert code(answer) == "CURSOR_INVALID"
    assert code(await world.ask(CASES, *STEWARD, {"first": 1, "after": "x"})) == "CURSOR_INVALID"


@pytest.mark.parametrize("decision", ["merge", "apart"])
async def test_a_case_is_decided_once(world, decision):
    one, other, _ = await queue(world)
    case = (await cases(world))["nodes"][0]["id"]
    survivor = one if decision == "merge" else None
    told = await world.told(DECIDE, *STEWARD, {"id": case, "survivor": survivor})
    shown = told["resolveIdentityCase"]
    assert shown["case"]["state"] == ("MERGED" if survivor else "APART")
    assert {each["id"] for each in shown["customers"]} == ({one} if survivor else {one, other})
    assert case not in {each["id"] for each in (await cases(world))["nodes"]}
    assert code(await world.ask(DECIDE, *STEWARD, {"id": case, "survivor": one})) == "INPUT_INVALID"
    await world.reviewer.cases.add([Finding(CaseKind.SIMILAR, (other, one))])
    assert len((await cases(world))["nodes"]) == 1, "what was decided is not asked again"


async def test_profiles_are_merged_and_unmerged_and_the_case_knows(world):
    one, other, _ = await queue(world)
    told = await world.told(MERGE, *OFFICER[:1], "identity_resolution", {"survivor": one, "absorbed": other})
    shown = told["mergeProfiles"]["profile"]
    assert shown["id"] == one
    assert {"crm:0", "crm:1"} <= {each["value"] for each in shown["identifiers"]}
    (left,) = (await cases(world))["nodes"]
    told = await world.told(UNMERGE, *STEWARD, {"id": other})
    assert told["unmergeProfile"]["profile"]["id"] == other
    assert (await cases(world))["nodes"] == [left]
    assert (await world.main["identity_cases"].find_one({"seq": 1}))["state"] == "apart"


async def test_who_may_not_join_profiles_learns_and_changes_nothing(world):
    one, other, _ = await queue(world)
    case = (await cases(world))["nodes"][0]["id"]
    for who in (
        SUPPORT,
        OFFICER,
        ("data_steward", "customer_service"),
        ("auditor", "audit"),
        ("marketer", "marketing"),
    ):
        assert code(await world.ask(CASES, *who, {"first": 5})) == "WRITE_NOT_ALLOWED"
        assert code(await world.ask(OPENED, *who, {"id": case})) == "WRITE_NOT_ALLOWED"
        assert code(await world.ask(MERGE, *who, {"survivor": one, "absorbed": other})) == "WRITE_NOT_ALLOWED"
        assert code(await world.ask(UNMERGE, *who, {"id": other})) == "WRITE_NOT_ALLOWED"
        assert code(await world.ask(DECIDE, *who, {"id": "cas_x"})) == "WRITE_NOT_ALLOWED"
    assert not await world.main["merges"].find({}).to_list(None)
    assert len((await cases(world))["nodes"]) == 2


async def test_what_cannot_be_joined_is_told_without_a_value(world):
    one, other, third = await queue(world)
    refused = {
        "same": {"survivor": one, "absorbed": one},
        "nobody": {"survivor": one, "absorbed": "cus_nobody"},
    }
    assert code(await world.ask(MERGE, *STEWARD, refused["same"])) == "INPUT_INVALID"
    assert code(await world.ask(MERGE, *STEWARD, refused["nobody"])) == "NOT_FOUND"
    assert code(await world.ask(UNMERGE, *STEWARD, {"id": one})) == "INPUT_INVALID"
    assert code(await world.ask(DECIDE, *STEWARD, {"id": "cas_nothing"})) == "NOT_FOUND"
    assert code(await world.ask(OPENED, *STEWARD, {"id": "cas_nothing"})) == "NOT_FOUND"
    case = (await cases(world))["nodes"][0]["id"]
    answer = await world.ask(DECIDE, *STEWARD, {"id": case, "survivor": third})
    assert code(answer) == "INPUT_INVALID"
    assert third not in str(answer.errors)
    await world.told(MERGE, *STEWARD, {"survivor": one, "absorbed": other})
    assert code(await world.ask(MERGE, *STEWARD, {"survivor": other, "absorbed": third})) == "INPUT_INVALID"


async def test_cases_about_somebody_who_was_erased_are_gone(world):
    one, other, _ = await queue(world)
    await world.erase(other)
    (case,) = (await cases(world))["nodes"]
    assert other not in {each["id"] for each in (await open_case(world, case["id"]))["sides"]}
    await world.erase(one)
    assert (await cases(world))["nodes"] == []
    assert await world.main["identity_cases"].count_documents({}) == 0
