"""Sources and how much they have sent are shown to whoever keeps data, page by page, and who looks is recorded."""

import pytest

from customers.collection.source_counts import SourceCount
from tests.customers.collection.gathering import gathering, track
from tests.schema.world import AUDITOR, OFFICER, SUPPORT, utc_now

KEEPER = ("administrator", "data_management")
SOURCES = """query ($first: Int!, $after: String) { eventSources(first: $first, after: $after) {
    nodes { name kind plan origins disabled createdAt
            events { received accepted duplicates omitted refused firstAt lastAt } }
    pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture
async def shop(world):
    await world.main["source_counts"].delete_many({})
    async with gathering(world, origins=("https://shop.example",)) as found:
        await found.sources.create("till")
        yield found


async def page(shop, who=KEEPER, first=10, after=None):
    return await shop.world.ask(SOURCES, *who, {"first": first, "after": after})


async def test_what_each_source_has_sent_is_told(shop):
    await shop.send(track(message="m"), track(message="m"), 5, received_at=utc_now())
    answer = await page(shop)
    assert answer.errors is None
    web, till = answer.data["eventSources"]["nodes"]
    assert (web["name"], web["kind"], web["plan"], web["disabled"]) == ("shop", "segment", None, False)
    assert web["origins"] == ["https://shop.example"]
    at = web["events"].pop("lastAt")
    assert at == web["events"].pop("firstAt") is not None
    assert web["events"] == {"received": 3, "accepted": 2, "duplicates": 1, "omitted": 0, "refused": 1}
    nothing = dict.fromkeys(("received", "accepted", "duplicates", "omitted", "refused"), 0)
    assert till["events"] == {**nothing, "firstAt": None, "lastAt": None}
    record = (await shop.world.records())[-1]
    assert (record.outcome, record.purpose, record.subjects) == ("allowed", "data_management", ())
    assert [each.fields for each in record.decisions] == [("system.operations",)]


async def test_pages_hold_each_source_once_and_a_cursor_is_its_own_callers(shop):
    shop.parts.source_counts.note("till", SourceCount(stored=1))
    first = (await page(shop, first=1)).data["eventSources"]
    assert [each["name"] for each in first["nodes"]] == ["shop"]
    assert first["pageInfo"]["hasNextPage"] is True
    after = first["pageInfo"]["endCursor"]
    second = (await page(shop, first=1, after=after)).data["eventSources"]
    assert [each["name"] for each in second["nodes"]] == ["till"]
    assert second["pageInfo"]["hasNextPage"] is False
    answer = await page(shop, first=1, after=after[:-2] + "AA")
    assert [each["extensions"]["code"] for each in answer.errors] == ["CURSOR_INVALID"]
    answer = await page(shop, first=101)
    assert answer.errors


@pytest.mark.parametrize("who", [SUPPORT, OFFICER, AUDITOR, ("marketer", "marketing"), ("customer", "self_service")])
async def test_to_everybody_else_nothing_is_shown_and_the_attempt_is_recorded(shop, who):
    answer = await page(shop, who)
    assert [each["extensions"]["code"] for each in answer.errors] == ["FORBIDDEN"]
    assert "till" not in str(answer)
    assert (await shop.world.records())[-1].outcome == "refused"
