"""A cursor of the access log tells nobody when or where anything was recorded, and leads on in its own search alone."""

import base64

import pytest

from audit import PositionInvalidError
from audit.entry import Position
from tests.schema.canaries import leaks
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT

LOG = """query ($filter: AccessLogFilter, $first: Int = 1, $after: String) {
  accessLog(filter: $filter, first: $first, after: $after) {
    nodes { id } edges { cursor } pageInfo { endCursor hasNextPage }
  }
}"""
LOOK = "query ($id: ID!) { profile(id: $id) { email } }"


@pytest.fixture
async def read(world):
    """Ada, of whom three agents read."""
    world.ids["ada"] = await world.one(1)
    for name in ("ann", "bea", "cay"):
        await world.told(LOOK, *SUPPORT, {"id": world.ids["ada"]}, actor=name)
    return world


async def page(world, who=AUDITOR, after=None, actor="tim", **given):
    answer = await world.ask(LOG, *who, {**given, "after": after}, actor=actor)
    if answer.errors:
        return answer.errors[0]["extensions"]["code"]
    return answer.data["accessLog"]


async def test_no_cursor_holds_a_time_a_shard_or_a_number(read):
    told = await page(read)
    entry = told["nodes"][0]["id"]
    shard = entry.partition(".")[0]
    plain = Position.parse(str(Position("2026-05-14T00:00:00.000000Z", shard, 1)))
    assert leaks({shard}, base64.urlsafe_b64decode(f"{plain}==")), "negative control: so it was"
    for cursor in (told["edges"][0]["cursor"], told["pageInfo"]["endCursor"]):
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        assert not leaks({shard, entry, "2026-", "2027-"}, cursor.encode() + raw)
        with pytest.raises(PositionInvalidError):
            Position.parse(cursor)


async def test_a_search_goes_on_by_its_cursor(read):
    found, after = [], None
    for _ in range(3):
        told = await page(read, AUDITOR, after, filter={"role": "support_agent", "kind": "READ"})
        found += [each["id"] for each in told["nodes"]]
        after = told["pageInfo"]["endCursor"]
    assert len(set(found)) == 3


async def test_a_cursor_is_of_one_search_by_one_actor_for_one_purpose(read):
    mine = {"role": "support_agent"}
    after = (await page(read, filter=mine))["pageInfo"]["endCursor"]
    assert (await page(read, after=after, filter=mine))["nodes"], "negative control"
    assert await page(read, after=after, filter=mine, actor="tom") == "CURSOR_INVALID"
    assert await page(read, after=after, filter={"role": "marketer"}) == "CURSOR_INVALID"
    assert await page(read, after=after) == "CURSOR_INVALID"
    everything = (await page(read))["pageInfo"]["endCursor"]
    assert (await page(read, after=everything))["nodes"], "negative control"
    assert await page(read, OFFICER, everything) == "CURSOR_INVALID"


async def test_a_place_that_was_made_up_is_none(read):
    entry = (await page(read))["nodes"][0]["id"]
    shard, _, number = entry.partition(".")
    made_up = str(Position("2026-05-14T00:00:00.000000Z", shard, int(number)))
    for cursor in (made_up, base64.urlsafe_b64encode(made_up.encode()).decode()):
        assert await page(read, after=cursor) == "CURSOR_INVALID"


async def test_a_customer_learns_from_a_cursor_nothing_of_what_lies_between(read):
    ada = read.ids["ada"]
    answer = await read.ask(LOG, *CUSTOMER, {"first": 1}, customer=ada)
    told = answer.data["accessLog"]
    assert told["pageInfo"]["hasNextPage"]
    again = await read.ask(LOG, *CUSTOMER, {"first": 1, "after": told["pageInfo"]["endCursor"]}, customer=ada)
    assert again.data["accessLog"]["nodes"] != told["nodes"]
    other = await read.one(2)
    refused = await read.ask(LOG, *CUSTOMER, {"after": told["pageInfo"]["endCursor"]}, customer=other)
    assert [each["extensions"]["code"] for each in refused.errors] == ["CURSOR_INVALID"]
