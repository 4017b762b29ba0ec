"""The access log as GraphQL shows it: to auditors all of it, to customers what is about themselves, to others nothing."""

import base64
from datetime import timedelta

import pytest

from audit import Kind, Outcome
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, granted, new_world, utc_now

ENTRY = (
    "id time actor roles client purpose case kind operation filters subjects outcome policyVersion "
    "decisions { decision fields reason rule subjectCount }"
)
LOG = f"""query ($filter: AccessLogFilter, $first: Int = 100, $after: String) {{
  accessLog(filter: $filter, first: $first, after: $after) {{
    nodes {{ {ENTRY} }}
    edges {{ cursor node {{ id }} }}
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
  }}
}}"""


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


@pytest.fixture(scope="module")
async def busy(mongo_client, tmp_path_factory):
    """Three customers, and some reading of them by several people."""
    async with new_world(mongo_client, tmp_path_factory.mktemp("busy")) as world:
        await work(world)
        yield world


async def work(world):
    world.ids["cyd"] = await world.one(3)
    world.ids["ada"] = await world.one(1, consents=granted("marketing"))
    world.ids["bob"] = await world.one(2)
    look = "query Look($id: ID!) { profile(id: $id) { email birthDate } }"
    for who in ("ada", "bob", "ada"):
        await world.told(look, *SUPPORT, {"id": world.ids[who]}, actor=f"agent-{who}", case="T-1")
    await world.told("query Mail { profiles { nodes { givenName email } } }", "marketer", "marketing", actor="mia")
    filtered = '{ profiles(filter: {country: {equals: "DE"}}) { nodes { country } } }'
    await world.told(filtered, "executive", "business_reporting", actor="eve")
    await world.ask(filtered, "auditor", "audit", actor="tim")  # refused


async def search(world, who=AUDITOR, **conditions):
    return (await world.told(LOG, *who, {"filter": conditions}))["accessLog"]["nodes"]


async def test_an_auditor_sees_who_read_what_of_whom_and_why(busy):
    look = (await search(busy, actor="agent-bob"))[0]
    bob = await busy.reference(busy.ids["bob"])
    expected = {
        "actor": "agent-bob",
        "roles": ["support_agent"],
        "client": "test",
        "purpose": "customer_service",
        "case": "T-1",
        "kind": "read",
        "operation": "Look",
        "filters": [],
        "subjects": [bob],
        "outcome": "allowed",
        "policyVersion": busy.policies.version,
    }
    assert {name: look[name] for name in expected} == expected
    decided = {path: each["decision"] for each in look["decisions"] for path in each["fields"]}
    assert decided == {"profile.id": "clear", "profile.email": "clear", "profile.birth_date": "masked"}
    mail = (await search(busy, actor="mia"))[0]
    apart = [(each["reason"], each["subjectCount"]) for each in mail["decisions"] if each["subjectCount"]]
    assert apart == [("CONSENT", 2), ("CONSENT", 2)]


async def test_each_filter_finds_what_it_says_and_nothing_else(busy):
    async def actors(**conditions):
        return [each["actor"] for each in await search(busy, **conditions)]

    assert await actors(actor="eve") == ["eve"]
    assert await actors(actor="eve' || '1'=='1") == []
    assert await actors(role="marketer") == ["mia"]
    assert await actors(purpose="business_reporting") == ["eve"]
    assert await actors(case="T-1") == ["agent-ada", "agent-bob", "agent-ada"]
    assert await actors(field="profile.country", kind="READ") == ["tim", "eve"]
    assert await actors(field="profile.given_name", kind="READ") == ["mia"]
    assert await actors(case="T-1", customer=busy.ids["ada"]) == ["agent-ada", "agent-ada"]
    assert await actors(kind="WRITE") == ["test-client_app"] * 3
    assert "agent-ada" in await actors(since=(utc_now() - timedelta(hours=1)).isoformat(), case="T-1")
    assert await actors(until=(utc_now() - timedelta(hours=1)).isoformat()) == []
    assert await actors(since=(utc_now() + timedelta(hours=1)).isoformat()) == []


async def test_pages_bring_every_entry_once_newest_first(busy):
    everything = await busy.records()
    seen, after = [], None
    until = (utc_now() + timedelta(hours=1)).isoformat()
    while True:
        # Only what was there before this test's own searches, which are recorded too.
        variables = {"filter": {"until": until}, "first": 2, "after": after}
        page = (await busy.told(LOG, *AUDITOR, variables))["accessLog"]
        assert [each["node"]["id"] for each in page["edges"]] == [each["id"] for each in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(seen) == len({each["id"] for each in seen}) == len(everything)
    assert [each["time"] for each in seen] == sorted((each["time"] for each in seen), reverse=True)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"after": "no cursor"}, "CURSOR_INVALID"),
        ({"after": base64.urlsafe_b64encode(b"2026-01-01T00:00:00.000000Z zz 0").decode()}, "CURSOR_INVALID"),
        ({"first": 0}, "INPUT_INVALID"),
        ({"filter": {"since": "yesterday"}}, "INPUT_INVALID"),
        ({"filter": {"since": "2026-01-01T00:00:00"}}, "INPUT_INVALID"),
        ({"filter": {"customer": "cus_nobody"}}, "NOT_FOUND"),
    ],
)
async def test_a_search_that_makes_no_sense_is_refused(world, variables, code):
    answer = await world.ask(LOG, *AUDITOR, variables)
    assert (code_of(answer), answer.data) == ([code], None)
    (record,) = await world.records()
    assert (record.kind, record.outcome.value) == (
        Kind.SEARCH,
        "not_found" if code == "NOT_FOUND" else "refused",
    )


@pytest.mark.parametrize(
    "role", ["support_agent", "marketer", "sales_rep", "executive", "administrator", "client_app"]
)
async def test_who_is_no_auditor_sees_nothing_of_the_log(town, role):
    for purpose in town.policies.purposes:
        answer = await town.ask(LOG, role, purpose)
        assert (code_of(answer), answer.data) == (["FORBIDDEN"], None)


@pytest.mark.parametrize(("role", "purpose"), [AUDITOR, OFFICER, ("privacy_officer", "audit")])
async def test_auditors_and_the_privacy_officer_see_it_for_their_purposes_only(town, role, purpose):
    assert (await town.told(LOG, role, purpose))["accessLog"]["nodes"]
    other = await town.ask(LOG, role, "customer_service")
    assert code_of(other) == ["FORBIDDEN"]


async def test_the_officer_answering_a_request_does_not_see_which_colleague_it_was(busy):
    entries = await search(busy, OFFICER)
    assert entries
    assert {each["actor"] for each in entries} == {None}
    assert {each["client"] for each in entries} == {None}
    refused = await busy.ask(LOG, *OFFICER, {"filter": {"actor": "mia"}})
    assert code_of(refused) == ["FILTER_NOT_ALLOWED"]


async def test_a_search_is_itself_recorded_with_its_conditions_and_its_subject(busy):
    await search(busy, customer=busy.ids["ada"], purpose="marketing")
    record = (await busy.records(kind=Kind.SEARCH))[-1]
    assert record.filters == ("access_entry.purpose", "access_entry.subjects")
    assert record.outcome is Outcome.ALLOWED
    assert record.subjects == (await busy.reference(busy.ids["ada"]),)
    assert busy.ids["ada"] not in str(record)
    decided = {path for each in record.decisions for path in each.fields}
    assert {"access_entry.actor", "access_entry.subjects"} <= decided


async def test_a_customer_sees_who_used_their_data_and_of_other_customers_nothing(busy):
    ada, bob = busy.ids["ada"], busy.ids["bob"]
    answer = await busy.ask(LOG, *CUSTOMER, {"filter": None}, customer=ada)
    assert answer.errors is None
    mine = [each for each in answer.data["accessLog"]["nodes"] if each["kind"] != "search"]
    reference = await busy.reference(ada)
    records = [each for each in await busy.records(subject=reference) if each.kind is not Kind.SEARCH]
    assert [each["time"] for each in mine] == [each.time for each in reversed(records)]
    assert len(records) < len(await busy.records())
    for entry in mine:
        assert (entry["actor"], entry["client"], entry["subjects"]) == (None, None, None)
        assert {each["subjectCount"] for each in entry["decisions"]} == {None}
    # Ada consented to marketing and Bob did not: neither learns it of the other.
    for who, decision in ((ada, {"clear"}), (bob, {"withheld"})):
        told = (await busy.told(LOG, *CUSTOMER, {"filter": {"purpose": "marketing"}}, customer=who))["accessLog"]
        (mail,) = told["nodes"]
        given = [each for each in mail["decisions"] if "profile.given_name" in each["fields"]]
        assert {each["decision"] for each in given} == decision
        assert ("CONSENT" in str(mail)) is (who == bob)


async def test_a_customer_cannot_widen_the_search_to_others(busy):
    ada, bob = busy.ids["ada"], busy.ids["bob"]
    for conditions in ({"customer": bob}, {"customer": ada}, {"actor": "mia"}):
        answer = await busy.ask(LOG, *CUSTOMER, {"filter": conditions}, customer=ada)
        assert (code_of(answer), answer.data) == (["FILTER_NOT_ALLOWED"], None)
    nobody = await busy.ask(LOG, *CUSTOMER)  # the role without being a customer
    assert code_of(nobody) == ["FORBIDDEN"]
    unknown = await busy.ask(LOG, *CUSTOMER, customer="cus_nobody")
    assert code_of(unknown) == ["NOT_FOUND"]


async def test_the_entries_of_an_erased_customer_can_be_found_by_nobody(busy):
    cyd = busy.ids["cyd"]
    reference = await busy.reference(cyd)
    assert await search(busy, customer=cyd)
    await busy.erase(cyd)
    answer = await busy.ask(LOG, *AUDITOR, {"filter": {"customer": cyd}})
    assert code_of(answer) == ["NOT_FOUND"]
    own = await busy.ask(LOG, *CUSTOMER, customer=cyd)
    assert code_of(own) == ["NOT_FOUND"]
    # The entries are still there, under a reference that nobody can compute any more.
    assert await busy.records(subject=reference)


@pytest.mark.parametrize("order", ["accessLog { nodes { id } } ONE", "ONE accessLog { nodes { id } }"])
async def test_a_request_that_searches_and_reads_a_customer_is_recorded_as_a_read(busy, order):
    query = "query Both($id: ID!) { " + order.replace("ONE", "profile(id: $id) { email }") + " }"
    await busy.told(query, *OFFICER, {"id": busy.ids["ada"]}, actor="olga")
    record = (await busy.records(actor="olga"))[-1]
    assert (record.kind, record.subjects) == (Kind.READ, (await busy.reference(busy.ids["ada"]),))
    assert {"profile.email", "access_entry.id"} <= {path for each in record.decisions for path in each.fields}


@pytest.mark.parametrize("refused", ['b: profileByIdentifier(type: EMAIL, value: "a@b.cd") { id }', "b: me { id }"])
async def test_a_search_that_was_answered_is_recorded_as_allowed_whatever_became_of_its_neighbours(busy, refused):
    answer = await busy.ask(f"query Both {{ a: accessLog(first: 3) {{ nodes {{ id actor }} }} {refused} }}", *AUDITOR)
    assert answer.errors, "the control: something of it was refused"
    assert len(answer.data["a"]["nodes"]) == 3, "and something left"
    record = (await busy.records(kind=Kind.SEARCH))[-1]
    assert record.operation == "Both"
    assert record.outcome is Outcome.ALLOWED


async def test_a_search_that_was_refused_is_recorded_as_refused(busy):
    answer = await busy.ask("query Mine { accessLog(first: 3) { nodes { id } } b: me { id } }", *SUPPORT)
    assert answer.data is None or answer.data["accessLog"] is None
    assert [each.outcome for each in await busy.records() if each.operation == "Mine"] == [Outcome.REFUSED]


async def test_a_customer_does_not_see_what_staff_called_their_query_or_case(busy):
    names = "query Find_Berta_Born_1971($id: ID!) { profile(id: $id) { email } }"
    ada = busy.ids["ada"]
    await busy.told(names, *SUPPORT, {"id": ada}, case="Berta:1971")
    own = (await busy.told(LOG, *CUSTOMER, {"filter": {"kind": "READ"}}, customer=ada))["accessLog"]["nodes"]
    assert own
    assert "Berta" not in str(own)
    everybody = await search(busy, case="Berta:1971")
    assert "Find_Berta_Born_1971" in str(everybody), "the control: it is there, for the auditor"
