"""Lists are of customers; visitors come when they are asked for, and to ask for them is to read who is one."""

import dataclasses

import pytest

from customers.identity.model import IdentifierType
from customers.profiles.query import ProfileQuery
from tests.schema.world import OFFICER, SUPPORT, new_world

PAGE = """query ($filter: ProfileFilter, $sort: ProfileSort, $first: Int = 100, $after: String) {
  profiles(filter: $filter, sort: $sort, first: $first, after: $after) {
    nodes { id }
    pageInfo { hasNextPage endCursor }
  }
}"""
ANALYST = ("product_analyst", "analytics")
SORTS = [None, {"by": "ORDER_COUNT"}, {"by": "TOTAL_SPENT", "descending": True}]


@pytest.fixture(scope="module")
async def crowd(mongo_client, tmp_path_factory):
    """Nine profiles: every third is a customer's, the others came and said nothing."""
    async with new_world(mongo_client, tmp_path_factory.mktemp("crowd")) as world:
        drafts = []
        for number in range(9):
            named = number % 3 == 0
            draft = world.draft({"given_name": f"N{number}"} if named else {}, external=[f"crm:{number}"] * named)
            if not named:
                identifier = world.writer.identifier(IdentifierType.ANONYMOUS_ID, f"anon-{number}", "anonymous")
                draft = dataclasses.replace(draft, identifiers=(identifier,))
            drafts.append(draft)
        ids = await world.create(*drafts)
        world.ids = {"customers": ids[::3], "visitors": [each for each in ids if each not in ids[::3]], "all": ids}
        yield world


async def listed(world, who=OFFICER, **variables):
    return [each["id"] for each in (await world.told(PAGE, *who, variables))["profiles"]["nodes"]]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("kind", "whom"),
    [
        (None, "customers"),
        (["CUSTOMER"], "customers"),
        ("CUSTOMER", "customers"),
        (["VISITOR"], "visitors"),
        (["CUSTOMER", "VISITOR"], "all"),
    ],
)
async def test_a_list_is_of_those_it_is_asked_for_and_by_default_of_customers(crowd, kind, whom, sort):
    expected = set(crowd.ids[whom])
    for given in ({"kind": kind}, {"kind": kind, "orderCount": {"atLeast": 0}}):
        assert set(await listed(crowd, filter=given, sort=sort)) == expected
    if kind is None:
        assert set(await listed(crowd, sort=sort)) == expected


@pytest.mark.parametrize(("kind", "whom"), [(None, "customers"), (["VISITOR"], "visitors")])
async def test_pages_are_full_whoever_is_left_out_between(crowd, kind, whom):
    found, after = [], None
    while True:
        variables = {"filter": {"kind": kind}, "first": 2, "after": after}
        told = (await crowd.told(PAGE, *OFFICER, variables))["profiles"]
        found.append([each["id"] for each in told["nodes"]])
        if not told["pageInfo"]["hasNextPage"]:
            break
        after = told["pageInfo"]["endCursor"]
    assert [each for page in found for each in page] == crowd.ids[whom]
    assert all(len(each) == 2 for each in found[:-1])


async def test_a_cursor_of_customers_is_none_of_visitors(crowd):
    told = await crowd.told(PAGE, *OFFICER, {"first": 1})
    after = told["profiles"]["pageInfo"]["endCursor"]
    answer = await crowd.ask(PAGE, *OFFICER, {"filter": {"kind": ["VISITOR"]}, "after": after})
    assert answer.errors[0]["extensions"]["code"] == "CURSOR_INVALID"


async def test_an_identifier_finds_whoever_has_it(crowd):
    identifier = {"type": "ANONYMOUS_ID", "value": "anon-1"}
    assert await listed(crowd, filter={"identifier": identifier}) == [crowd.ids["visitors"][0]]
    assert await listed(crowd, filter={"identifier": identifier, "kind": ["CUSTOMER"]}) == []


@pytest.mark.parametrize("kind", [["VISITOR"], ["CUSTOMER", "VISITOR"]])
async def test_to_ask_for_visitors_takes_the_permission_to_filter_by_kind_and_is_recorded(crowd, kind):
    refused = await crowd.ask(PAGE, *SUPPORT, {"filter": {"kind": kind}})
    (error,) = refused.errors
    assert (error["extensions"]["code"], error["extensions"]["fields"]) == ("FILTER_NOT_ALLOWED", ["profile.kind"])
    (await crowd.told(PAGE, *OFFICER, {"filter": {"kind": kind}}))
    asked, told = (await crowd.records())[-2:]
    assert (asked.filters, told.filters) == (("profile.kind",), ("profile.kind",))
    assert (asked.outcome.value, told.outcome.value) == ("refused", "allowed")


@pytest.mark.parametrize("kind", [None, ["CUSTOMER"]])
async def test_a_list_of_customers_takes_no_permission_of_its_own(crowd, kind):
    assert await listed(crowd, SUPPORT, filter={"kind": kind}) == crowd.ids["customers"]
    assert (await crowd.records())[-1].filters == ()


async def test_an_empty_list_of_kinds_is_refused(crowd):
    answer = await crowd.ask(PAGE, *OFFICER, {"filter": {"kind": []}})
    assert answer.errors[0]["extensions"]["code"] == "INPUT_INVALID"


async def test_who_goes_through_the_whole_base_is_not_kept_from_visitors(crowd):
    """Reports on the base ask the gateway without a kind."""
    access = crowd.access(*OFFICER)
    async with crowd.vault.reading():
        page = await crowd.services.gateway.page(access, frozenset({"id"}), ProfileQuery(first=100))
    assert {each["document_id"] for each in page.items} == set(crowd.ids["all"])


async def test_every_order_of_profiles_has_an_index_that_tells_kinds_apart(crowd):
    keys = [[name for name, _ in each["key"]] for each in (await crowd.main["profiles"].index_information()).values()]
    assert ["seq", "kind"] in keys
    assert all(each[-1] == "kind" for each in keys if len(each) > 1)
