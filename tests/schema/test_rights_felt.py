"""A consent, an objection, a restriction or a new policy is felt by the very next request."""

import pytest

from policies.loading import build
from policies.source import read_sources
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, granted, new_world, person

NAME = "query ($id: ID!) { profile(id: $id) { givenName } }"
CONSENT = """mutation ($id: ID!, $choice: ConsentChoice!, $purpose: String!) {
  recordConsent(id: $id, choice: $choice, consent: {purpose: $purpose, source: "test form"}) {
    profile { consents { purpose state source } }
  }
}"""
MARKETER = {"marketing": "marketer", "email_marketing": "marketer", "personalisation": "marketer"}


async def decide(world, choice, purpose, who=SUPPORT, customer_id=None, **options):
    variables = {"id": customer_id or world.ids["one"], "choice": choice, "purpose": purpose}
    return await world.ask(CONSENT, *who, variables, **options)


async def reasons(world, role="marketer", purpose="email_marketing", **options):
    """The name as the role sees it for the purpose, and why not."""
    answer = await world.ask(NAME, role, purpose, {"id": world.ids["one"]}, **options)
    assert answer.errors is None
    why = {each["reason"] for each in answer.extensions["privacy"]["withheld"] if each["reason"] != "POLICY"}
    return answer.data["profile"]["givenName"], why


SEEN = ("Given1", set())


@pytest.fixture
async def one(world):
    world.ids["one"] = await world.one(1)
    return world


async def test_silence_is_no(one):
    for purpose in MARKETER:
        assert await reasons(one, purpose=purpose) == (None, {"CONSENT"})


async def test_a_consent_and_its_withdrawal_are_felt_at_once(one):
    for _ in range(2):
        assert (await decide(one, "GRANTED", "email_marketing")).errors is None
        assert await reasons(one) == SEEN
        assert (await decide(one, "WITHDRAWN", "email_marketing")).errors is None
        assert await reasons(one) == (None, {"CONSENT"})


async def test_consent_to_a_purpose_covers_those_below_it_and_not_those_above_or_beside_it(one):
    await decide(one, "GRANTED", "marketing")
    assert [await reasons(one, purpose=each) for each in MARKETER] == [SEEN] * 3
    await decide(one, "WITHDRAWN", "email_marketing")
    assert [(await reasons(one, purpose=each))[0] for each in MARKETER] == ["Given1", None, "Given1"]
    await decide(one, "WITHDRAWN", "marketing")
    assert [(await reasons(one, purpose=each))[0] for each in MARKETER] == [None] * 3
    await decide(one, "GRANTED", "email_marketing")
    assert [(await reasons(one, purpose=each))[0] for each in MARKETER] == [None, "Given1", None]


async def test_an_objection_ends_a_consent_and_withdrawing_it_does_not_bring_the_consent_back(one):
    await decide(one, "GRANTED", "marketing")
    await decide(one, "OBJECTED", "marketing")
    assert [await reasons(one, purpose=each) for each in MARKETER] == [(None, {"OBJECTION"})] * 3
    await decide(one, "OBJECTION_WITHDRAWN", "marketing")
    assert await reasons(one, purpose="marketing") == (None, {"CONSENT"})
    await decide(one, "GRANTED", "marketing")
    assert await reasons(one) == SEEN


async def test_no_consent_ends_an_objection_to_the_whole_or_to_the_same(one):
    await decide(one, "OBJECTED", "marketing")
    for purpose in ("email_marketing", "marketing"):
        await decide(one, "GRANTED", purpose)
        assert await reasons(one) == (None, {"OBJECTION"})


async def test_a_decision_that_is_told_of_late_does_not_undo_a_newer_one(one):
    query = """mutation ($id: ID!, $choice: ConsentChoice!, $at: Timestamp!) {
      recordConsent(id: $id, choice: $choice, consent: {purpose: "marketing", source: "form", at: $at}) { __typename }
    }"""
    steps = [
        ("WITHDRAWN", "2025-06-01T00:00:00Z", {"CONSENT"}),
        ("GRANTED", "2025-05-01T00:00:00Z", {"CONSENT"}),
        ("GRANTED", "2025-07-01T00:00:00Z", set()),
        ("WITHDRAWN", "2025-06-30T23:59:59Z", set()),
        ("WITHDRAWN", "2025-07-01T00:00:01Z", {"CONSENT"}),
    ]
    for choice, at, why in steps:
        await one.told(query, *SUPPORT, {"id": one.ids["one"], "choice": choice, "at": at})
        assert (await reasons(one))[1] == why, (choice, at)
    assert len(await one.main["consent_ledger"].find({}).to_list(None)) == len(steps)


async def test_an_objection_stops_what_rests_on_legitimate_interests_and_not_a_contract(one):
    sales = {"role": "sales_rep", "purpose": "account_management", "regions": ["emea"]}
    assert await reasons(one, **sales) == SEEN
    await decide(one, "OBJECTED", "sales")
    assert await reasons(one, **sales) == (None, {"OBJECTION"})
    assert await reasons(one, *SUPPORT) == SEEN
    await decide(one, "OBJECTED", "customer_service")
    assert await reasons(one, *SUPPORT) == SEEN


async def test_a_restriction_leaves_only_what_the_law_leaves(one):
    await decide(one, "GRANTED", "marketing")
    assert await reasons(one) == SEEN
    await one.main["profiles"].update_one({"_id": one.ids["one"]}, {"$set": {"rights.restricted": True}})
    assert await reasons(one) == (None, {"RESTRICTED"})
    assert await reasons(one, *SUPPORT) == (None, {"RESTRICTED"})
    assert await reasons(one, *OFFICER) == SEEN
    assert await reasons(one, *CUSTOMER, customer=one.ids["one"]) == SEEN
    await one.main["profiles"].update_one({"_id": one.ids["one"]}, {"$set": {"rights.restricted": False}})
    assert await reasons(one, *SUPPORT) == SEEN


async def test_rights_that_are_missing_count_against_reading(one):
    await one.main["profiles"].update_one({"_id": one.ids["one"]}, {"$unset": {"rights": ""}})
    assert await reasons(one, *SUPPORT) == (None, {"RESTRICTED"})


async def test_a_refusing_customer_is_not_found_by_what_they_refuse(one):
    listed = '{ profiles(filter: {loyaltyTier: {equals: "gold"}}) { nodes { id } } }'
    found = '{ profiles(filter: {identifier: {type: EMAIL, value: "person1@mail1.example"}}) { nodes { id } } }'
    sales = ("sales_rep", "account_management")

    async def nodes(query, role, purpose, **options):
        return len((await one.told(query, role, purpose, **options))["profiles"]["nodes"])

    assert await nodes(listed, "marketer", "marketing") == 0
    await decide(one, "GRANTED", "marketing")
    assert await nodes(listed, "marketer", "marketing") == 1
    assert await nodes(found, *sales, regions=["emea"]) == 1
    assert await nodes(found, *sales, regions=["apac"]) == 0
    await decide(one, "OBJECTED", "sales")
    assert await nodes(found, *sales, regions=["emea"]) == 0
    assert await nodes(found, *SUPPORT) == 1


async def test_the_profile_shows_the_latest_decision_for_each_purpose_and_the_ledger_all_of_them(one):
    for choice in ("GRANTED", "WITHDRAWN", "GRANTED", "OBJECTED"):
        answer = await decide(one, choice, "marketing")
    answer = await decide(one, "GRANTED", "personalisation")
    assert answer.data["recordConsent"]["profile"]["consents"] == [
        {"purpose": "marketing", "state": "objected", "source": "test form"},
        {"purpose": "personalisation", "state": "granted", "source": "test form"},
    ]
    ledger = await one.main["consent_ledger"].find({}).to_list(None)
    assert [each["state"] for each in ledger] == ["granted", "withdrawn", "granted", "objected", "granted"]


async def test_who_may_not_write_consents_records_none(one):
    before = await one.main["consent_ledger"].find({}).to_list(None)
    for role, purpose in (AUDITOR, ("marketer", "marketing"), ("executive", "business_reporting")):
        answer = await decide(one, "GRANTED", "marketing", (role, purpose))
        assert answer.errors[0]["extensions"] == {"code": "WRITE_NOT_ALLOWED", "fields": ["profile.consents"]}
    other = await decide(one, "GRANTED", "marketing", CUSTOMER, customer="cus_other")
    assert other.errors[0]["extensions"]["code"] == "WRITE_NOT_ALLOWED"
    assert await one.main["consent_ledger"].find({}).to_list(None) == before
    assert await reasons(one) == (None, {"CONSENT"})


async def test_customers_decide_for_themselves_even_where_processing_is_restricted(one):
    await one.main["profiles"].update_one({"_id": one.ids["one"]}, {"$set": {"rights.restricted": True}})
    assert (await decide(one, "GRANTED", "marketing", CUSTOMER, customer=one.ids["one"])).errors is None
    # An agent writes down what the customer says, though the agent may not read the profile.
    answer = await decide(one, "WITHDRAWN", "marketing")
    assert (answer.errors, answer.data["recordConsent"]["profile"]) == (None, {"consents": None})


@pytest.mark.parametrize("purpose", ["world_peace", "", "a@b.example"])
async def test_a_decision_about_a_purpose_that_is_none_is_refused(one, purpose):
    before = await one.counted()
    answer = await decide(one, "GRANTED", purpose)
    assert answer.errors[0]["extensions"]["code"] == "INPUT_INVALID"
    created = await one.ask(
        'mutation ($c: [ConsentInput!]!) { createProfile(input: {values: {givenName: "New"}, consents: $c}) '
        "{ profile { id } } }",
        "client_app",
        "data_import",
        {"c": [{"purpose": purpose, "source": "form"}]},
    )
    assert created.errors[0]["extensions"]["code"] == "INPUT_INVALID"
    assert await one.counted() == before


@pytest.mark.parametrize(
    ("consent", "field"),
    [
        ({"source": " "}, "source"),
        ({"source": "x" * 201}, "source"),
        ({"source": "form", "at": "2999-01-01T00:00:00Z"}, "at"),
        ({"source": "form", "at": "2020-01-01"}, "at"),
        ({"source": "form", "at": "SECRET"}, "at"),
    ],
)
async def test_a_decision_needs_a_source_and_a_time_that_has_been(one, consent, field):
    query = (
        "mutation ($id: ID!, $c: ConsentInput!) { recordConsent(id: $id, choice: GRANTED, consent: $c) "
        "{ profile { id } } }"
    )
    answer = await one.ask(query, *SUPPORT, {"id": one.ids["one"], "c": {"purpose": "marketing", **consent}})
    assert answer.errors[0]["extensions"] == {"code": "INPUT_INVALID", "field": field}
    assert "SECRET" not in str(answer)


async def test_decisions_made_at_once_are_all_kept(one):
    import asyncio  # noqa: PLC0415 - only here

    purposes = ["email_marketing", "personalisation", "sales"]
    answers = await asyncio.gather(*(decide(one, "GRANTED", each) for each in purposes))
    assert [each.errors for each in answers] == [None] * 3
    document = await one.main["profiles"].find_one({"_id": one.ids["one"]})
    assert {each["purpose"] for each in document["consents"]} == set(purposes)
    assert set(purposes) <= set(document["rights"]["consented"])


async def test_a_new_policy_decides_the_next_request(one):
    sources = read_sources()
    assert await reasons(one, *SUPPORT) == SEEN
    lines = [line for line in sources["rules.csv"].splitlines() if b"customer_service, user.name, read" not in line]
    tightened = build({**sources, "rules.csv": b"\n".join(lines)})
    one.policies = tightened
    answer = await one.ask(NAME, *SUPPORT, {"id": one.ids["one"]})
    assert answer.data["profile"]["givenName"] is None
    assert answer.extensions["privacy"]["policy"] == tightened.version
    assert [each["reason"] for each in answer.extensions["privacy"]["withheld"]] == ["POLICY"]
    assert (await one.records())[-1].policy == tightened.version


async def test_a_cursor_outlives_a_new_policy_and_shows_what_the_new_one_allows(mongo_client, tmp_path):
    page = "query ($a: String) { profiles(first: 1, after: $a) { nodes { givenName } pageInfo { endCursor } } }"
    async with new_world(mongo_client, tmp_path) as world:
        await world.create(*(world.draft(person(each), consents=granted("marketing")) for each in range(2)))
        first = (await world.told(page, *SUPPORT))["profiles"]
        assert first["nodes"] == [{"givenName": "Given0"}]
        sources = read_sources()
        world.policies = build(
            {**sources, "rules.csv": sources["rules.csv"] + b"\np, support_agent, *, user.name, *, any, deny\n"}
        )
        second = (await world.told(page, *SUPPORT, {"a": first["pageInfo"]["endCursor"]}))["profiles"]
        assert second["nodes"] == [{"givenName": None}]
