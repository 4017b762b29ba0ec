"""Searches of the access log by how fields left, how requests ended, through what and under which policy."""

import pytest

from audit import Decision, Deviation, Kind, Outcome, Reason, Record, Verdict, timestamp
from schema.service import Asked
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, caller, granted, new_world, utc_now

LOG = "query ($filter: AccessLogFilter) { accessLog(filter: $filter, first: 100) { nodes { actor } } }"
LOOK = "query Look($id: ID!) { profile(id: $id) { email birthDate nationalId } }"
MAIL = "query Mail { profiles { nodes { givenName email } } }"


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


@pytest.fixture(scope="module")
async def busy(mongo_client, tmp_path_factory):
    """Ada, who consented to marketing, and Bob, who did not; and some reading of them by several people."""
    async with new_world(mongo_client, tmp_path_factory.mktemp("busy")) as world:
        world.ids["ada"] = await world.one(1, consents=granted("marketing"))
        world.ids["bob"] = await world.one(2)
        await world.told(LOOK, *SUPPORT, {"id": world.ids["ada"]}, actor="ann")
        await world.told(MAIL, "marketer", "marketing", actor="mia")
        await world.told('{ profiles(filter: {country: {equals: "DE"}}) { nodes { country } } }', "executive",
                         "business_reporting", actor="eve")  # fmt: skip
        await world.ask(MAIL, "auditor", "marketing", actor="tim")
        await world.ask(
            '{ profiles(filter: {loyaltyTier: {equals: "gold"}}) { nodes { id } } }', *SUPPORT, actor="ray"
        )
        await world.told('{ profile(id: "cus_nobody") { email } }', *SUPPORT, actor="nil")
        for version, client in (("0" * 16, "shop"), ("1" * 16, None)):
            await world.log.append(
                Record(
                    actor=f"old-{version[0]}",
                    roles=("client_app",),
                    client=client,
                    kind=Kind.EXPORT,
                    outcome=Outcome.FAILED,
                    policy=version,
                    time=timestamp(utc_now()),
                )
            )
        yield world


@pytest.fixture(scope="module")
def actors(busy):
    """Who did what a search finds, newest first, without what this test's searches and writes leave."""

    async def found(who=AUDITOR, **conditions):
        nodes = (await busy.told(LOG, *who, {"filter": conditions}))["accessLog"]["nodes"]
        return [each["actor"] for each in nodes if not each["actor"].startswith("test-")]

    return found


async def test_entries_are_found_by_the_program_they_came_through(actors):
    assert await actors(client="shop") == ["old-0"]
    assert await actors(client="test") == ["nil", "ray", "tim", "eve", "mia", "ann"]
    assert await actors(client="sho") == []


async def test_entries_are_found_by_how_they_ended(actors):
    assert await actors(outcome="FAILED") == ["old-1", "old-0"]
    assert await actors(outcome="REFUSED") == ["ray"]
    assert await actors(outcome="NOT_FOUND", purpose="customer_service") == ["nil"]
    assert await actors(outcome="ALLOWED", purpose="customer_service") == ["ann"]


async def test_entries_are_found_by_the_policy_that_decided(busy, actors):
    assert await actors(policyVersion="0" * 16) == ["old-0"]
    assert await actors(policyVersion=busy.policies.version, client="test", kind="READ") == [
        "nil", "ray", "tim", "eve", "mia", "ann",
    ]  # fmt: skip
    assert await actors(policyVersion="none") == []


async def test_entries_are_found_by_how_any_of_their_fields_left(actors):
    # nationalId of everybody; givenName and email of Bob alone; and whatever an auditor asks for as marketing.
    assert await actors(decision="WITHHELD", kind="READ") == ["tim", "mia", "ann"]
    assert await actors(decision="MASKED", kind="READ") == ["mia", "ann"]
    assert "ann" in await actors(decision="CLEAR")
    assert "tim" not in await actors(decision="CLEAR")


@pytest.mark.parametrize(
    ("field", "decision", "expected"),
    [
        ("profile.national_id", "WITHHELD", ["ann"]),
        ("profile.national_id", "CLEAR", []),
        ("profile.birth_date", "MASKED", ["ann"]),
        ("profile.birth_date", "WITHHELD", []),
        ("profile.email", "CLEAR", ["nil", "ann"]),
        ("profile.email", "MASKED", ["mia"]),
        # By the policy, and as an exception for one customer.
        ("profile.email", "WITHHELD", ["tim", "mia"]),
        ("profile.given_name", "WITHHELD", ["tim", "mia"]),
        ("profile.given_name", "CLEAR", ["mia"]),
        # Filtered by, and shown: the one is no decision.
        ("profile.country", "CLEAR", ["eve"]),
        ("profile.loyalty_tier", "CLEAR", []),
        ("profile.loyalty_tier", None, ["ray"]),
    ],
)
async def test_with_a_field_the_decision_is_about_that_field(actors, field, decision, expected):
    conditions = {"field": field, "kind": "READ"} | ({"decision": decision} if decision else {})
    assert await actors(**conditions) == expected


async def test_with_a_customer_the_decision_is_the_one_for_that_customer(busy, actors):
    async def of(who, decision):
        return await actors(customer=busy.ids[who], field="profile.given_name", decision=decision, kind="READ")

    assert (await of("ada", "CLEAR"), await of("ada", "WITHHELD")) == (["mia"], [])
    assert (await of("bob", "CLEAR"), await of("bob", "WITHHELD")) == ([], ["mia"])


async def test_a_customer_who_searches_by_decision_learns_of_their_own_alone(busy):
    async def count(who, decision):
        wanted = {"filter": {"decision": decision, "field": "profile.given_name", "purpose": "marketing"}}
        told = await busy.told(LOG, *CUSTOMER, wanted, customer=busy.ids[who])
        return len(told["accessLog"]["nodes"])

    assert [await count("ada", each) for each in ("CLEAR", "WITHHELD")] == [1, 0]
    assert [await count("bob", each) for each in ("CLEAR", "WITHHELD")] == [0, 1]


CONDITIONS = {
    "client": ("test", "client"),
    "decision": ("MASKED", "fields"),
    "field": ("profile.email", "fields"),
    "outcome": ("REFUSED", "outcome"),
    "policyVersion": ("0" * 16, "policy_version"),
}


@pytest.mark.parametrize("name", CONDITIONS)
async def test_a_search_is_recorded_with_the_conditions_it_used(busy, name):
    value, path = CONDITIONS[name]
    await busy.told(LOG, *AUDITOR, {"filter": {name: value, "case": "T-1"}}, actor="searcher")
    record = (await busy.records(kind=Kind.SEARCH))[-1]
    assert (record.actor, record.outcome, record.purpose) == ("searcher", Outcome.ALLOWED, "audit")
    assert set(record.filters) == {"access_entry.case", f"access_entry.{path}"}


@pytest.mark.parametrize("name", CONDITIONS)
async def test_who_may_not_search_by_a_field_is_refused_and_that_is_recorded(busy, name):
    value, path = CONDITIONS[name]
    answer = await busy.ask(LOG, *OFFICER, {"filter": {name: value}}, actor="olga")
    assert (code_of(answer), answer.data) == (["FILTER_NOT_ALLOWED"], None)
    record = (await busy.records(kind=Kind.SEARCH))[-1]
    assert (record.actor, record.outcome, record.filters) == ("olga", Outcome.REFUSED, (f"access_entry.{path}",))


@pytest.mark.parametrize(
    "condition", ['decision: "MASKED"', "decision: LOST", "outcome: allowed", "policyVersion: 7"]
)
async def test_a_condition_that_is_none_is_refused(busy, condition):
    answer = await busy.ask(f"{{ accessLog(filter: {{{condition}}}) {{ nodes {{ id }} }} }}", *AUDITOR)
    assert (code_of(answer), answer.data) == (["INPUT_INVALID"], None)


ENTRY = "query One($id: ID!) { accessEntry(id: $id) { id actor document trace outcome policyVersion } }"
NODE = "query One($id: ID!) { node(id: $id) { __typename id ... on AccessEntry { actor subjects } } }"


async def ids(busy, **query):
    nodes = (await busy.told("query ($filter: AccessLogFilter) { accessLog(filter: $filter) { nodes { id } } }",
                             *AUDITOR, {"filter": query}))["accessLog"]["nodes"]  # fmt: skip
    return [each["id"] for each in nodes]


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_an_entry_is_told_by_its_id_with_its_query_and_its_trace(busy):
    documents = set()
    for country in ("DE", "FR"):
        query = f'query Traced {{ profiles(filter: {{country: {{equals: "{country}"}}}}) {{ nodes {{ country }} }} }}'
        asked = Asked(query, None, None, SUPPORT[1], None, TRACE)
        given = await busy.graphql.answer(asked, caller(SUPPORT[0], actor="tracy"))
        entry = given.extensions["privacy"]["entry"]
        told = (await busy.told(ENTRY, *AUDITOR, {"id": entry}))["accessEntry"]
        documents.add(told.pop("document"))
        assert told == {
            "id": entry,
            "actor": "tracy",
            "trace": TRACE,
            "outcome": "allowed" if country == "DE" else "not_found",
            "policyVersion": busy.policies.version,
        }
    (document,) = documents  # the same query, whatever was asked for with it
    assert len(bytes.fromhex(document)) == 32
    record = (await busy.records())[-1]
    assert (record.kind, record.filters, record.subjects) == (Kind.SEARCH, ("access_entry.id",), ())
    decided = {path for each in record.decisions for path in each.fields}
    assert {"access_entry.document", "access_entry.trace"} <= decided


async def test_an_entry_is_a_node_as_a_profile_is(busy):
    (entry,) = await ids(busy, actor="mia")
    told = (await busy.told(NODE, *AUDITOR, {"id": entry}))["node"]
    assert (told["__typename"], told["id"], told["actor"], len(told["subjects"])) == ("AccessEntry", entry, "mia", 2)
    assert (await busy.records())[-1].kind is Kind.SEARCH
    told = (await busy.told(NODE, *SUPPORT, {"id": busy.ids["ada"]}))["node"]
    assert told == {"__typename": "Profile", "id": busy.ids["ada"]}


@pytest.mark.parametrize(
    "entry", ["", "x", "cus_nobody", f"{'f' * 12}.0", f"{'f' * 12}.{'9' * 12}", f"{'f' * 12}.{'9' * 30}"]
)
async def test_an_entry_that_does_not_exist_is_null(busy, entry):
    assert (await busy.told(ENTRY, *AUDITOR, {"id": entry}))["accessEntry"] is None


async def test_an_entry_is_for_those_alone_who_may_search(busy):
    (entry,) = await ids(busy, actor="mia")
    for query in (ENTRY, NODE):
        for wanted in (entry, f"{'f' * 12}.0"):
            answer = await busy.ask(query, *SUPPORT, {"id": wanted}, actor="curious")
            assert code_of(answer) == ["FORBIDDEN"]
    record = (await busy.records())[-1]
    assert (record.actor, record.kind, record.outcome) == ("curious", Kind.SEARCH, Outcome.REFUSED)
    # What the officer may not see for a request stays out, as in a search.
    told = (await busy.told(ENTRY, *OFFICER, {"id": entry}))["accessEntry"]
    assert (told["id"], told["actor"]) == (entry, None)


async def test_a_customer_is_told_of_an_entry_about_themselves_and_of_no_other(busy):
    (mail,), (look,) = await ids(busy, actor="mia"), await ids(busy, actor="ann")
    query = "query ($id: ID!) { accessEntry(id: $id) { id actor subjects decisions { decision reason } } }"

    async def told(entry, who):
        return (await busy.told(query, *CUSTOMER, {"id": entry}, customer=busy.ids[who]))["accessEntry"]

    assert (await told(look, "ada"))["id"] == look
    assert await told(look, "bob") is None
    for who in ("ada", "bob"):
        entry = await told(mail, who)
        assert (entry["actor"], entry["subjects"]) == (None, None)
        assert ("CONSENT" in str(entry)) is (who == "bob")


async def test_exceptions_of_a_later_batch_are_found_among_many_others(world):
    """By the index: the batches hold the field, and the decision, and only one record holds both together."""
    quiet = Decision(decision=Verdict.CLEAR, fields=("profile.email",), rule=1)
    masked = Decision(decision=Verdict.MASKED, fields=("profile.city",), rule=1)
    apart = Deviation(decision=Verdict.MASKED, fields=("profile.email",), reason=Reason.CONSENT, subjects=(0,))
    for number in range(12):
        await world.log.append(
            Record(
                actor=f"n-{number}",
                roles=(),
                kind=Kind.READ,
                outcome=Outcome.ALLOWED,
                policy="p1",
                decisions=(quiet, masked),
                exceptions=(apart,) if number == 5 else (),
                subjects=("A" * 22,),
                time=timestamp(utc_now()),
            )
        )
    wanted = {"field": "profile.email", "decision": "MASKED", "since": timestamp(world.since)}
    told = await world.told(LOG, *AUDITOR, {"filter": wanted})
    assert [each["actor"] for each in told["accessLog"]["nodes"]] == ["n-5"]
