"""Suggested corrections over GraphQL: who sees them, what a click writes, what stays dismissed; and a profile's quality."""

import asyncio

import pytest

from audit import Kind
from tests.customers.quality.people import KEEPER, good, people, report
from tests.schema.world import OFFICER, SUPPORT, granted

QUEUE = """query Queue($first: Int! = 25, $after: String, $fields: [String!]) {
  corrections(first: $first, after: $after, fields: $fields) {
    nodes { id profileId field kind current suggested foundAt }
    pageInfo { hasNextPage endCursor }
  }
}"""
APPLY = "mutation Apply($id: ID!) { applyCorrection(id: $id) { profile { id familyName city country version } } }"
DISMISS = "mutation Dismiss($id: ID!) { dismissCorrection(id: $id) { profile { id } } }"
QUALITY = """query Quality($id: ID!) { profile(id: $id) {
  id quality { score completeness validity staleness issues { field kind } } } }"""
REPORT = """{ dataQuality {
  latest { day profiles score issues { field kind profiles } duplicates { share pairs sure } } trend(days: 7) { day } } }"""


async def queue(world, who=KEEPER, **variables):
    return (await world.told(QUEUE, *who, variables))["corrections"]


async def spoiled(world, **values):
    (customer,) = await people(world, 1, **values)
    await report(world)
    return customer


def codes(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def test_a_suggestion_says_what_is_there_and_what_would_be(world):
    customer = await spoiled(world, city="BREMEN", country="UK")
    found = (await queue(world))["nodes"]
    assert [
        (each["profileId"], each["field"], each["kind"], each["current"], each["suggested"]) for each in found
    ] == [
        (customer, "city", "CASE", "BREMEN", "Bremen"),
        (customer, "country", "COUNTRY", "UK", "GB"),
    ]


async def test_a_click_writes_it_with_its_case_and_keeps_what_was_there_for_the_person_alone(world):
    customer = await spoiled(world, city="BREMEN")
    (row,) = (await queue(world))["nodes"]
    told = await world.told(APPLY, *KEEPER, {"id": row["id"]}, case="DQ-17")
    assert told["applyCorrection"]["profile"]["city"] == "Bremen"
    (write,) = [each for each in await world.records(purpose="data_quality") if each.kind is Kind.WRITE]
    assert (write.case, write.operation, write.actor) == ("DQ-17", "Apply", "test-record_keeper")
    assert write.subjects == (await world.reference(customer),)
    written = {path for decision in write.decisions for path in decision.fields}
    assert written == {"profile.city", "profile.traits"}
    traits = "query ($id: ID!) { profile(id: $id) { traits city } }"
    officer = (await world.told(traits, *OFFICER, {"id": customer}))["profile"]
    assert officer == {"traits": {"original.city": "BREMEN"}, "city": "Bremen"}
    assert (await world.told(traits, *KEEPER, {"id": customer}))["profile"] == {"traits": None, "city": "Bremen"}
    assert (await queue(world))["nodes"] == []
    assert (await report(world)).corrections == ()


async def test_a_suggestion_that_does_not_hold_any_more_is_not_shown_and_not_applied(world):
    customer = await spoiled(world, city="BREMEN")
    (row,) = (await queue(world))["nodes"]
    update = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {city: "HAMBURG"}}) { profile { id } } }'
    await world.told(update, *SUPPORT, {"id": customer})
    assert (await queue(world))["nodes"] == []
    assert codes(await world.ask(APPLY, *KEEPER, {"id": row["id"]})) == ["NOT_FOUND"]
    await report(world)
    assert [each["suggested"] for each in (await queue(world))["nodes"]] == ["Hamburg"]


async def test_of_many_clicks_at_once_one_writes(world):
    await spoiled(world, city="BREMEN")
    (row,) = (await queue(world))["nodes"]
    answers = await asyncio.gather(*[world.ask(APPLY, *KEEPER, {"id": row["id"]}) for _ in range(5)])
    failed = [code for each in answers for code in codes(each)]
    assert len(failed) == 4
    assert set(failed) <= {"CONFLICT", "NOT_FOUND"}


async def test_what_was_dismissed_is_not_suggested_again_until_it_changes(world):
    customer = await spoiled(world, family_name="DOE")
    (row,) = (await queue(world))["nodes"]
    await world.told(DISMISS, *KEEPER, {"id": row["id"]})
    assert codes(await world.ask(DISMISS, *KEEPER, {"id": row["id"]})) == ["NOT_FOUND"]
    assert codes(await world.ask(APPLY, *KEEPER, {"id": row["id"]})) == ["NOT_FOUND"]
    await report(world)
    assert (await queue(world))["nodes"] == []
    update = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {familyName: "ROE"}}) { profile { id } } }'
    await world.told(update, *SUPPORT, {"id": customer})
    await report(world)
    assert [each["suggested"] for each in (await queue(world))["nodes"]] == ["Roe"]


async def test_the_queue_is_paged_and_its_cursors_are_bound_to_who_asks(world):
    ids = await people(world, 5, city="BREMEN")
    await report(world)
    first = await queue(world, first=2)
    second = await queue(world, first=2, after=first["pageInfo"]["endCursor"])
    third = await queue(world, first=2, after=second["pageInfo"]["endCursor"])
    pages = [first, second, third]
    assert [each["pageInfo"]["hasNextPage"] for each in pages] == [True, True, False]
    assert [row["profileId"] for each in pages for row in each["nodes"]] == ids
    other = {"first": 2, "after": first["pageInfo"]["endCursor"], "fields": ["city"]}
    assert codes(await world.ask(QUEUE, *KEEPER, other)) == ["CURSOR_INVALID"]
    assert codes(await world.ask(QUEUE, *KEEPER, {"fields": ["national_id"]})) == ["INPUT_INVALID"]


@pytest.mark.parametrize(
    "who",
    [
        ("administrator", "data_management"), ("auditor", "audit"), ("marketer", "marketing"), ("sales_rep", "sales"),
        ("data_steward", "data_quality"), ("record_keeper", "marketing"), ("product_analyst", "analytics"),
    ],
)  # fmt: skip
async def test_nobody_else_sees_decides_or_is_told_that_there_is_one(world, who):
    await spoiled(world, family_name="DOE")
    (row,) = (await queue(world))["nodes"]
    assert codes(await world.ask(QUEUE, *who, regions=["emea"])) == ["FORBIDDEN"]
    for mutation in (APPLY, DISMISS):
        real = await world.ask(mutation, *who, {"id": row["id"]}, regions=["emea"])
        made_up = await world.ask(mutation, *who, {"id": "cor_0"}, regions=["emea"])
        assert codes(real) == codes(made_up) == ["FORBIDDEN"]


async def test_only_fields_that_may_be_seen_in_clear_have_suggestions(world):
    """A steward of identities sees countries in clear and names behind masks."""
    await spoiled(world, family_name="DOE", country="UK")
    steward = ("data_steward", "identity_resolution")
    assert [each["field"] for each in (await queue(world, steward))["nodes"]] == ["country"]
    rows = {each["field"]: each["id"] for each in (await queue(world))["nodes"]}
    assert codes(await world.ask(APPLY, *steward, {"id": rows["family_name"]})) == ["NOT_FOUND"]
    assert codes(await world.ask(APPLY, *steward, {"id": rows["country"]})) == ["WRITE_NOT_ALLOWED"]
    assert codes(await world.ask(DISMISS, *steward, {"id": rows["country"]})) == ["WRITE_NOT_ALLOWED"]


async def test_whoever_restricts_the_use_of_their_data_leaves_the_page(world):
    await spoiled(world, family_name="DOE")
    (row,) = (await queue(world))["nodes"]
    await world.main["profiles"].update_one({}, {"$set": {"rights.restricted": True}})
    page = await queue(world)
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([], False)
    assert codes(await world.ask(APPLY, *KEEPER, {"id": row["id"]})) == ["NOT_FOUND"]


async def test_a_profile_tells_its_quality_in_the_same_read_and_the_record_says_what_that_took(world):
    customer = await spoiled(world, email="ana@gmial.com", city=None)
    found = (await world.told(QUALITY, *KEEPER, {"id": customer}))["profile"]["quality"]
    assert found["issues"] == [{"field": "email", "kind": "MISTYPED"}], "who never ordered needs no city"
    assert found["completeness"] == 100
    assert found["validity"] < 100
    record = (await world.records(purpose="data_quality"))[-1]
    assert record.operation == "Quality"
    read = {path for decision in record.decisions for path in decision.fields}
    assert {"profile.email", "profile.birth_date", "profile.order_count"} <= read


async def test_quality_is_judged_by_what_the_caller_sees_in_clear_and_by_nothing_else(world):
    """Two people who differ only in what is masked or withheld are of the same quality."""
    fine, spoilt = await world.create(
        world.draft(good(1), consents=granted("marketing")),
        world.draft(good(2, email=None, family_name="xxx"), consents=granted("marketing")),
    )
    marketer = ("marketer", "marketing")
    # A marketer may name nobody; so they read the page.
    page = "{ profiles { nodes { quality { score completeness validity issues { field kind } } } } }"
    one, two = (await world.told(page, *marketer))["profiles"]["nodes"]
    assert one == two
    assert one["quality"] is not None
    told = [(await world.told(QUALITY, *KEEPER, {"id": each}))["profile"]["quality"] for each in (fine, spoilt)]
    assert told[0] != told[1], "control: who may see it is told"


async def test_quality_is_null_where_nothing_may_be_looked_at(world):
    customer = (await world.create(world.draft(good(1), restricted=True)))[0]
    assert (await world.told(QUALITY, *KEEPER, {"id": customer}))["profile"]["quality"] is None
    page = "{ profiles { nodes { id quality { score } } } }"
    assert (await world.told(page, "auditor", "audit"))["profiles"]["nodes"] == []


async def test_quality_of_a_damaged_profile_is_an_error_and_not_a_guess(world):
    one, two = await people(world, 2)
    stolen = await world.main["profiles"].find_one({"_id": two})
    await world.main["profiles"].update_one({"_id": one}, {"$set": {"sealed.name": stolen["sealed"]["name"]}})
    answer = await world.ask(QUALITY, *KEEPER, {"id": one})
    assert codes(answer) == ["DATA_DAMAGED"]
    assert answer.data["profile"]["quality"] is None
    found = await report(world)
    assert found.damaged is None, "and the report counts it apart"


async def test_the_report_is_told_to_those_who_look_after_the_platform_and_to_nobody_else(world):
    await people(world, 11, country="UK")
    await people(world, 2, 100, city="xxx")
    await report(world)
    told = (await world.told(REPORT, "administrator", "data_management"))["dataQuality"]
    assert told["latest"]["profiles"] == 13
    assert told["latest"]["issues"] == [
        {"field": "country", "kind": "unknown_country", "profiles": 11},
        {"field": "city", "kind": "placeholder", "profiles": "fewer than 11"},
    ]
    assert [each["day"] for each in told["trend"]] == [told["latest"]["day"]]
    for who in (("marketer", "marketing"), ("auditor", "audit"), ("executive", "business_reporting")):
        assert set(codes(await world.ask(REPORT, *who))) == {"FORBIDDEN"}
    wrong = await world.ask("{ dataQuality { trend(days: 0) { day } } }", *KEEPER)
    assert codes(wrong) == ["INPUT_INVALID"]
