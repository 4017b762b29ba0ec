"""Pages of profiles: each filter and order says what it does, and paging gives every customer exactly once."""

import base64
import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.schema.selections import READING
from tests.schema.world import OFFICER, SUPPORT, granted, new_world, order, person, ticket

PAGE = """query ($filter: ProfileFilter, $sort: ProfileSort, $first: Int = 100, $after: String) {
  profiles(filter: $filter, sort: $sort, first: $first, after: $after) {
    edges { cursor node { givenName } }
    nodes { givenName }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
START = datetime(2020, 1, 1, tzinfo=UTC)
NUMBER = 30


def attributes(number):
    """What customer `number` of the street is like: many ties, some without orders."""
    return {
        "region": ("emea", "apac", "amer")[number % 3],
        "country": ("DE", "JP", "US", "FR")[number % 4],
        "tier": ("gold", "silver")[number % 2],
        "channel": ("web", "shop", "fair")[number * 7 % 3],
        "orders": number % 5,
        "cents": [1000 + 100 * (number % 4)] * (number % 5),
        "created": START + timedelta(days=number // 3),
    }


def draft(world, number):
    like = attributes(number)
    orders = [order(1 + at, total=cents) for at, cents in enumerate(like["cents"])]
    clear = {
        "region": like["region"],
        "country": like["country"],
        "loyalty_tier": like["tier"],
        "acquisition_channel": like["channel"],
    }
    values = {**clear, "given_name": f"N{number}", "email": f"n{number}@street.example"}
    return world.draft(values, orders=orders, created_at=like["created"], external=[f"crm:{number}"])


@pytest.fixture(scope="session")
async def street(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("street")) as made:
        await made.create(*(draft(made, number) for number in range(NUMBER)))
        yield made


async def page(world, who=OFFICER, **variables):
    return (await world.told(PAGE, *who, variables))["profiles"]


def numbers(told):
    assert [each["node"] for each in told["edges"]] == told["nodes"]
    return [int(each["givenName"][1:]) for each in told["nodes"]]


async def every_page(world, first, who=OFFICER, **variables):
    found, after = [], None
    while True:
        told = await page(world, who, first=first, after=after, **variables)
        info = told["pageInfo"]
        assert len(told["nodes"]) <= first
        assert info["hasPreviousPage"] is (after is not None)
        found += numbers(told)
        if not info["hasNextPage"]:
            return found
        assert info["endCursor"]
        after = info["endCursor"]


FILTERS = [
    ({"region": {"equals": "apac"}}, lambda a: a["region"] == "apac"),
    ({"region": {"oneOf": ["apac", "amer"]}}, lambda a: a["region"] != "emea"),
    ({"region": {"oneOf": []}}, lambda _: False),
    ({"region": {"equals": "apac", "oneOf": ["emea"]}}, lambda _: False),
    ({"country": {"equals": "FR"}}, lambda a: a["country"] == "FR"),
    ({"loyaltyTier": {"equals": "gold"}}, lambda a: a["tier"] == "gold"),
    ({"acquisitionChannel": {"oneOf": ["fair"]}}, lambda a: a["channel"] == "fair"),
    ({"orderCount": {"atLeast": 2}}, lambda a: a["orders"] >= 2),
    ({"orderCount": {"atLeast": 1, "below": 3}}, lambda a: 1 <= a["orders"] < 3),
    ({"totalSpent": {"atLeast": "26.00"}}, lambda a: sum(a["cents"]) >= 2600),
    ({"totalSpent": {"below": "26"}}, lambda a: sum(a["cents"]) < 2600),
    ({"totalSpent": {"atLeast": "0", "below": "0.1"}}, lambda a: sum(a["cents"]) == 0),
    ({"createdAt": {"since": "2020-01-05T00:00:00Z"}}, lambda a: a["created"] >= START + timedelta(days=4)),
    ({"createdAt": {"before": "2020-01-05T01:00:00+01:00"}}, lambda a: a["created"] < START + timedelta(days=4)),
    ({"lastOrderAt": {"since": "2025-03-04T00:00:00Z"}}, lambda a: a["orders"] >= 3),
    ({"region": {"equals": "emea"}, "country": {"equals": "DE"}}, lambda a: a["region"] + a["country"] == "emeaDE"),
    ({}, lambda _: True),
    (None, lambda _: True),
    ({"region": None}, lambda _: True),
    ({"region": {"equals": "$gt"}}, lambda _: False),
]


@pytest.mark.parametrize(("filter_by", "holds"), FILTERS)
async def test_a_filter_gives_exactly_those_it_describes_in_order_of_creation(street, filter_by, holds):
    expected = [number for number in range(NUMBER) if holds(attributes(number))]
    assert numbers(await page(street, filter=filter_by)) == expected
    assert await every_page(street, 11, filter=filter_by) == expected


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("by", "value"),
    [
        ("CREATED_AT", lambda a: a["created"]),
        ("ORDER_COUNT", lambda a: a["orders"]),
        ("TOTAL_SPENT", lambda a: sum(a["cents"])),
        ("LAST_ORDER_AT", lambda a: a["orders"] or None),
    ],
)
async def test_an_order_holds_over_all_pages_and_ties_are_in_order_of_creation(street, by, value, descending):
    sort = {"by": by, "descending": descending}
    with_value = [number for number in range(NUMBER) if value(attributes(number)) is not None]
    expected = sorted(with_value, key=lambda each: (value(attributes(each)), each), reverse=descending)
    assert await every_page(street, 7, sort=sort) == expected
    narrowed = {"totalSpent": {"atLeast": "10.00", "below": "40.00"}, "orderCount": {"atLeast": 1, "below": 4}}
    kept = [
        each for each in expected if 1000 <= sum(attributes(each)["cents"]) < 4000 and attributes(each)["orders"] < 4
    ]
    assert await every_page(street, 5, sort=sort, filter=narrowed) == kept


@pytest.mark.parametrize("first", [1, 7, 29, 30, 31, 100])
async def test_every_customer_is_on_one_page_whatever_its_size(street, first):
    assert await every_page(street, first) == list(range(NUMBER))


async def test_an_edges_own_cursor_leads_to_what_follows_it(street):
    sort = {"by": "TOTAL_SPENT", "descending": True}
    edges = (await page(street, sort=sort))["edges"]
    names = [each["node"]["givenName"] for each in edges]
    for at in (0, 10, len(edges) - 1):
        rest = await page(street, sort=sort, after=edges[at]["cursor"])
        assert [each["givenName"] for each in rest["nodes"]] == names[at + 1 :]
    info = (await page(street, sort=sort, first=5))["pageInfo"]
    again = await page(street, sort=sort, after=info["startCursor"], first=5)
    assert [each["givenName"] for each in again["nodes"]] == names[1:6]


async def test_a_profile_is_found_by_each_of_its_identifiers_and_is_the_only_one(street):
    for kind, value in (("EMAIL", "N7@Street.Example"), ("EXTERNAL_ID", "crm:7")):
        found = await page(street, filter={"identifier": {"type": kind, "value": value}})
        assert numbers(found) == [7]
        assert found["pageInfo"]["hasNextPage"] is False
        after = found["pageInfo"]["endCursor"]
        beyond = await page(street, filter={"identifier": {"type": kind, "value": value}}, after=after)
        assert numbers(beyond) == []
    both = {"identifier": {"type": "EMAIL", "value": "n7@street.example"}, "loyaltyTier": {"equals": "gold"}}
    assert numbers(await page(street, filter=both)) == []
    assert numbers(await page(street, filter={**both, "loyaltyTier": {"equals": "silver"}})) == [7]
    nobody = {"identifier": {"type": "EMAIL", "value": "nobody@street.example"}}
    assert numbers(await page(street, filter=nobody)) == []


@pytest.mark.parametrize("first", [0, -1, 101, 2**31 - 1])
async def test_a_page_has_one_to_a_hundred(street, first):
    for query, variables in (
        (PAGE, {"first": first}),
        (PAGE.replace("$first: Int = 100, ", "").replace("$first", str(first)), None),
    ):
        answer = await street.ask(query, *OFFICER, variables)
        assert answer.data is None
        (error,) = answer.errors
        assert error["extensions"] == {"code": "INPUT_INVALID", "field": "first"}
        assert error["message"] == "`first` must lie between 1 and 100."


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"filter": {"createdAt": {"since": "2020-01-05"}}}, "createdAt"),
        ({"filter": {"createdAt": {"since": "SECRET"}}}, "createdAt"),
        ({"filter": {"totalSpent": {"below": "1e3"}}}, "totalSpent"),
        ({"filter": {"totalSpent": {"below": "-1"}}}, "totalSpent"),
        ({"filter": {"totalSpent": {"below": "1.234"}}}, "totalSpent"),
        ({"filter": {"region": {"equals": "x" * 257}}}, "region"),
        ({"filter": {"region": {"equals": "a\0b"}}}, "region"),
        ({"filter": {"region": {"oneOf": ["x"] * 101}}}, "region"),
        ({"filter": {"region": {"equals": "\ud800"}}}, None),
        ({"filter": {"identifier": {"type": "EMAIL", "value": "SECRET"}}}, "value"),
        ({"filter": {"identifier": {"type": "EMAIL", "value": "\ud800@example.com"}}}, None),
        ({"filter": {"identifier": {"type": "PHONE", "value": "SECRET"}}}, "value"),
        ({"filter": {"colour": {"equals": "SECRET"}}}, None),
        ({"sort": {"by": "SECRET"}}, None),
    ],
)
async def test_a_condition_that_makes_no_sense_is_refused_and_not_repeated(street, variables, field):
    answer = await street.ask(PAGE, *OFFICER, variables)
    assert answer.data is None
    (error,) = answer.errors
    assert error["extensions"]["code"] == "INPUT_INVALID"
    assert error["extensions"].get("field") == field
    assert "SECRET" not in str(answer)


async def cursor_of(world, who=OFFICER, **variables):
    return (await page(world, who, first=3, **variables))["pageInfo"]["endCursor"]


async def code_with(world, cursor, who=OFFICER, actor=None, **variables):
    answer = await world.ask(PAGE, *who, {"after": cursor, **variables}, actor=actor)
    return None if answer.errors is None else answer.errors[0]["extensions"]["code"]


async def test_a_cursor_is_good_for_its_own_query_only(street):
    gold = {"filter": {"loyaltyTier": {"equals": "gold"}}}
    cursor = await cursor_of(street, **gold)
    assert await code_with(street, cursor, **gold) is None
    others = [
        {},
        {"filter": {"loyaltyTier": {"equals": "silver"}}},
        {"filter": {"loyaltyTier": {"oneOf": ["gold"]}}},
        {**gold, "sort": {"by": "CREATED_AT"}},
        {"filter": {**gold["filter"], "region": {"equals": "emea"}}},
        {"filter": {**gold["filter"], "identifier": {"type": "EMAIL", "value": "n1@street.example"}}},
    ]
    for other in others:
        assert await code_with(street, cursor, **other) == "CURSOR_INVALID", other
    assert await code_with(street, cursor, actor="somebody else", **gold) == "CURSOR_INVALID"
    assert (
        await code_with(street, cursor, ("privacy_officer", "legal_obligation"), **gold) != "CURSOR_INVALID"
    )  # refused
    plain = await cursor_of(street, SUPPORT)
    assert await code_with(street, plain, SUPPORT) is None
    assert await code_with(street, plain, (SUPPORT[0], "order_support")) == "CURSOR_INVALID"
    found = {"filter": {"identifier": {"type": "EMAIL", "value": "n1@street.example"}}}
    found_cursor = await cursor_of(street, **found)
    assert await code_with(street, found_cursor) == "CURSOR_INVALID"
    other = {"filter": {"identifier": {"type": "EMAIL", "value": "n2@street.example"}}}
    assert await code_with(street, found_cursor, **other) == "CURSOR_INVALID"


async def test_a_broken_cursor_is_refused(street):
    cursor = await cursor_of(street)
    noise = random.Random(7)  # noqa: S311 - no secret
    broken = [
        "",
        "x",
        "é",
        "\ud800",
        "A" * 5000,
        cursor[:-1],
        cursor[1:],
        cursor + "A",
        cursor + "=",
        cursor.swapcase(),
    ]
    for _ in range(40):
        at = noise.randrange(len(cursor))
        other = noise.choice([each for each in "ABCabc012-_" if each != cursor[at]])
        broken.append(cursor[:at] + other + cursor[at + 1 :])
    for each in broken:
        assert await code_with(street, each) == "CURSOR_INVALID", each
    assert await code_with(street, cursor) is None


def readings(cursor):
    """Every way to look into a cursor without a key."""
    padded = cursor + "=" * (-len(cursor) % 4)
    raw = base64.urlsafe_b64decode(padded)
    return [cursor.encode(), raw, raw[::-1]]


async def test_a_cursor_shows_no_value_and_is_never_the_same_twice(world):
    spent = 1_234_567_890
    await world.create(
        *(world.draft({"given_name": f"N{number}"}, orders=[order(1, total=spent)]) for number in range(3))
    )
    sort = {"by": "TOTAL_SPENT"}
    cursors = {await cursor_of(world, sort=sort) for _ in range(5)}
    assert len(cursors) == 5
    value = str(spent).encode()
    needles = [value, spent.to_bytes(4, "big"), spent.to_bytes(4, "little"), spent.to_bytes(8, "big")]
    for cursor in cursors:
        for reading in readings(cursor):
            assert not any(needle in reading for needle in needles)
    # Negative control: an unsealed cursor would be seen through.
    plain = base64.urlsafe_b64encode(b"\x92\xce" + spent.to_bytes(4, "big") + b"\x01").decode()
    assert any(needle in reading for reading in readings(plain) for needle in needles)


async def test_paging_goes_on_over_customers_who_go_while_it_does(world):
    ids = await world.create(*(world.draft({"given_name": f"N{number}"}) for number in range(14)))
    first = await page(world, first=4)
    assert numbers(first) == [0, 1, 2, 3]
    for gone in (3, 4, 6, 7, 8):  # the cursor's own customer, the next, and the middle of the next page
        await world.erase(ids[gone])
    second = await page(world, first=4, after=first["pageInfo"]["endCursor"])
    assert numbers(second) == [5, 9, 10, 11]
    third = await page(world, first=4, after=second["pageInfo"]["endCursor"])
    assert (numbers(third), third["pageInfo"]["hasNextPage"]) == ([12, 13], False)


async def test_a_customer_whose_key_is_gone_is_left_out_and_paging_goes_on(world):
    """Between the fence and the removal of the documents a customer's documents are there and their key is not."""
    ids = await world.create(*(world.draft({"given_name": f"N{number}"}) for number in range(9)))
    for at, state in ((2, "erasing"), (3, "erasing"), (4, "erased"), (5, "erasing")):
        await world.keys["data_keys"].update_one({"_id": ids[at]}, {"$set": {"state": state}})
    found, after, sizes = [], None, []
    while True:
        told = await page(world, first=2, after=after)
        found += numbers(told)
        sizes.append(len(told["nodes"]))
        if not told["pageInfo"]["hasNextPage"]:
            break
        after = told["pageInfo"]["endCursor"]
    assert found == [0, 1, 6, 7, 8]
    assert sizes == [2, 0, 0, 2, 1]


async def test_orders_and_tickets_come_in_pages_newest_first(world):
    customer_id = await world.one(
        1,
        consents=granted("marketing"),
        orders=[order(each) for each in range(1, 71)],
        tickets=[ticket(1), ticket(2)],
    )
    query = """query ($id: ID!, $first: Int!, $after: String) { profile(id: $id) {
      orders(first: $first, after: $after) {
        nodes { giftMessage }
        edges { cursor node { giftMessage } }
        pageInfo { hasNextPage hasPreviousPage endCursor }
      }
    } }"""
    for size in (1, 9, 32, 33, 70, 100):
        seen, after = [], None
        while True:
            variables = {"id": customer_id, "first": size, "after": after}
            told = (await world.told(query, SUPPORT[0], "order_support", variables))["profile"]["orders"]
            assert [each["node"] for each in told["edges"]] == told["nodes"]
            seen += [int(each["giftMessage"].split()[-1]) for each in told["nodes"]]
            after = told["pageInfo"]["endCursor"]
            if not told["pageInfo"]["hasNextPage"]:
                break
            if size == 1 and len(seen) > 3:
                seen = list(range(70, 0, -1))
                break
        assert seen == list(range(70, 0, -1))
    for cursor in ("x", "", "bjotMQ==", base64.urlsafe_b64encode(b"n:99999999999").decode(), "é", "\ud800"):
        answer = await world.ask(query, SUPPORT[0], "order_support", {"id": customer_id, "first": 1, "after": cursor})
        assert answer.data["profile"] is None or answer.data["profile"]["orders"] is None
        assert answer.errors[0]["extensions"]["code"] == "CURSOR_INVALID"
    both = """query ($id: ID!) { profile(id: $id) {
      a: orders(first: 1) { nodes { giftMessage total } } b: orders(first: 2) { nodes { total } }
      tickets { nodes { subject } }
    } }"""
    told = (await world.told(both, SUPPORT[0], "order_support", {"id": customer_id}))["profile"]
    assert told["a"]["nodes"] == [{"giftMessage": "Viel Freude 70", "total": "29.43"}]
    assert told["b"]["nodes"] == [{"total": "29.43"}, {"total": "29.42"}]
    assert [each["subject"] for each in told["tickets"]["nodes"]] == ["Where is parcel 2", "Where is parcel 1"]


async def test_a_cursor_of_orders_opens_for_its_own_list_caller_and_purpose_only(world):
    orders = [order(1), order(2), order(3)]
    one, other = await world.create(world.draft(person(1), orders=orders), world.draft(person(2), orders=orders))
    query = """query ($id: ID!, $after: String) { profile(id: $id) {
      orders(first: 1, after: $after) { nodes { total } edges { cursor } pageInfo { startCursor endCursor } }
      tickets { nodes { id } }
    } }"""

    async def asked(customer_id, after=None, *, kind="orders", role=SUPPORT[0], purpose="order_support", **who):
        text = query if kind == "orders" else query.replace("orders(", "x: tickets(").replace("total", "id")
        answer = await world.ask(text, role, purpose, {"id": customer_id, "after": after}, **who)
        return answer.data["profile"], [each["extensions"]["code"] for each in answer.errors or ()]

    first, _ = await asked(one)
    cursor = first["orders"]["pageInfo"]["endCursor"]
    known = {cursor, first["orders"]["edges"][0]["cursor"], first["orders"]["pageInfo"]["startCursor"]}
    assert len(known) == 3, "each is sealed anew, so that equal places do not look equal"
    for each in known:
        second, errors = await asked(one, each)
        assert (second["orders"]["nodes"], errors) == ([{"total": "28.75"}], [])
    for refused in (
        asked(other, cursor),
        asked(one, cursor, kind="tickets"),
        asked(one, cursor, purpose="customer_service"),
        asked(one, cursor, actor="somebody-else"),
        asked(one, cursor[:-6] + ("AAAAAA" if not cursor.endswith("AAAAAA") else "BBBBBB")),
    ):
        profile, errors = await refused
        assert errors == ["CURSOR_INVALID"]
        assert profile.get("orders") is profile.get("x") is None
    # Negative control, and what cursors once were: an ordinal that anybody can write.
    assert (await asked(one, base64.urlsafe_b64encode(b"n:2").decode()))[1] == ["CURSOR_INVALID"]


CONDITIONS = {
    "profile.region": {"region": {"equals": "emea"}},
    "profile.country": {"country": {"equals": "DE"}},
    "profile.loyalty_tier": {"loyaltyTier": {"equals": "gold"}},
    "profile.acquisition_channel": {"acquisitionChannel": {"equals": "web"}},
    "profile.order_count": {"orderCount": {"atLeast": 0}},
    "profile.total_spent": {"totalSpent": {"atLeast": "0"}},
    "profile.created_at": {"createdAt": {"since": "2000-01-01T00:00:00Z"}},
    "profile.last_order_at": {"lastOrderAt": {"since": "2000-01-01T00:00:00Z"}},
    "profile.email": {"identifier": {"type": "EMAIL", "value": "n1@street.example"}},
}


async def test_a_field_that_the_caller_may_not_filter_or_sort_by_is_refused_and_never_ignored(street):
    """All conditions at once, so every refused one must be named; then one that is refused alone."""
    everything = {name: value for each in CONDITIONS.values() for name, value in each.items()}
    for role in set(street.policies.roles) - {"break_glass"}:  # which is taken from whoever brings it
        for purpose in street.policies.purposes:
            category = {field.path: field.category for field in street.policies.catalogue.object("profile")}
            refused = sorted(
                path
                for path in CONDITIONS
                if not any(
                    READING.allows([role], purpose, category[path], "filter", each)
                    for each in ("any", "region", "own")
                )
            )
            answer = await street.ask(PAGE, role, purpose, {"filter": everything, "first": 1})
            if not refused:
                assert answer.errors is None
                continue
            (error,) = answer.errors
            assert (error["extensions"]["code"], error["extensions"]["fields"]) == ("FILTER_NOT_ALLOWED", refused)
            assert answer.data is None


@pytest.mark.parametrize("path", CONDITIONS)
async def test_each_condition_alone_is_refused_to_who_may_not_filter_by_it_and_taken_from_who_may(street, path):
    refused = await street.ask(PAGE, "auditor", "audit", {"filter": CONDITIONS[path]})
    assert refused.errors[0]["extensions"]["fields"] == [path]
    assert (await street.ask(PAGE, *OFFICER, {"filter": CONDITIONS[path]})).errors is None


async def test_two_refused_conditions_are_both_named(street):
    variables = {"filter": {"region": {"equals": "emea"}, "country": {"equals": "DE"}}, "sort": {"by": "CREATED_AT"}}
    answer = await street.ask(PAGE, "auditor", "audit", variables)
    assert answer.errors[0]["extensions"]["fields"] == ["profile.country", "profile.created_at", "profile.region"]


def test_the_street_has_ties_and_holes():
    assert len({person(1)["email"], person(2)["email"]}) == 2
    counts = [attributes(number)["orders"] for number in range(NUMBER)]
    assert 0 in counts
    assert len(set(counts)) < NUMBER
