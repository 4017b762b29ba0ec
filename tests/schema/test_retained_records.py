"""What is kept by law is shown for a legal obligation alone, to whom the policy allows, page by page, and recorded."""

import pytest

from tests.schema.world import AUDITOR, OFFICER, SUPPORT, order, person

RECORDS = """query ($first: Int!, $after: String) { retainedRecords(first: $first, after: $after) {
    nodes { id object rule law keptUntil values { field value } } pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture
async def kept(world):
    """Three people who were erased, with an invoice each."""
    ids = await world.create(*(world.draft(person(number), orders=(order(number),)) for number in (1, 2, 3)))
    for each in ids:
        await world.erase(each)
    return world


async def page(world, who, first=10, after=None):
    return await world.ask(RECORDS, *who, {"first": first, "after": after})


async def test_the_privacy_officer_sees_each_record_once_page_by_page_and_it_is_recorded(kept):
    seen, after = [], None
    for more in (True, False):
        answer = await page(kept, OFFICER, 2, after)
        assert answer.errors is None
        told = answer.data["retainedRecords"]
        seen += told["nodes"]
        after = told["pageInfo"]["endCursor"]
        assert told["pageInfo"]["hasNextPage"] is more
    values = [{each["field"]: each["value"] for each in record["values"]} for record in seen]
    assert [each["order.total"] for each in values] == ["28.74", "28.75", "28.76"]
    assert [each["profile.family_name"] for each in values] == ["Family1", "Family2", "Family3"]
    assert {(each["rule"], each["object"], each["keptUntil"][:10]) for each in seen} == {
        ("invoices", "order", "2035-12-31")
    }
    reads = [each for each in await kept.records(kind="read") if "profile.family_name" in str(each.decisions)]
    assert [len(each.subjects) for each in reads] == [2, 1]
    assert {each.purpose for each in reads} == {"privacy_request"}


async def test_for_any_other_reason_nothing_is_shown_and_the_attempt_is_recorded(kept):
    for who in (SUPPORT, ("marketer", "marketing"), AUDITOR, ("support_agent", "tax")):
        answer = await page(kept, who)
        assert [each["extensions"]["code"] for each in answer.errors] == ["PURPOSE_NOT_ALLOWED"], who
        assert "Family" not in str(answer)
        assert (await kept.records())[-1].outcome == "refused"


async def test_a_cursor_is_of_its_own_caller_and_list(kept):
    after = (await page(kept, OFFICER, 1)).data["retainedRecords"]["pageInfo"]["endCursor"]
    for wrong in ("x", after[:-2] + "AA"):
        answer = await page(kept, OFFICER, 1, wrong)
        assert [each["extensions"]["code"] for each in answer.errors] == ["CURSOR_INVALID"]
    assert (await page(kept, OFFICER, 1, after)).errors is None, "the control"


async def test_where_nothing_is_kept_there_is_nothing(world):
    answer = await page(world, OFFICER)
    assert answer.data["retainedRecords"]["nodes"] == []
