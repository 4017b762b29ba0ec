"""No answer leaves before its record is durable: no log, no answer; and the record says what the answer held."""

from types import SimpleNamespace

import pytest

from audit import AuditUnavailableError, Kind, Outcome
from tests.schema.world import (
    AUDITOR,
    IMPORTER,
    OFFICER,
    SUPPORT,
    granted,
    objected,
    order,
    person,
    ticket,
)

PAGE = "query Page { profiles(first: 100) { nodes { email givenName orders { nodes { total } } } } }"


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def contents(database):
    """Every document of a database, but for counters that leave gaps and intentions that came to nothing."""
    names = set(await database.list_collection_names()) - {"counters", "creations"}
    return {name: await database[name].find({}).to_list(None) for name in sorted(names)}


@pytest.fixture
async def one(world):
    world.ids["one"] = await world.one(1, consents=granted("marketing"), orders=[order(1)], tickets=[ticket(1)])
    return world


class FailingStore:
    """The log's store, whose database takes nothing any more."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def insert(self, _document):
        raise AuditUnavailableError("the test says so")


READS = [
    ("query ($id: ID!) { profile(id: $id) { email } }", *SUPPORT),
    ("query ($id: ID!) { profile(id: $id) { nationalId } }", *SUPPORT),
    ('{ profile(id: "cus_nobody") { email } }', *SUPPORT),
    ("{ profiles { nodes { email } } }", *SUPPORT),
    ('{ profiles(filter: {loyaltyTier: {equals: "gold"}}) { nodes { email } } }', *SUPPORT),  # refused
    ('{ profileByIdentifier(type: EMAIL, value: "person1@mail1.example") { email } }', *SUPPORT),
    ("{ accessLog { nodes { id } } }", *AUDITOR),
    ('{ accessEntry(id: "aaaaaaaaaaaa.0") { id } }', *AUDITOR),
]
CREATE = 'mutation { createProfile(input: {values: {givenName: "New"}}) { profile { id } } }'
UPDATE = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {givenName: "New"}}) { profile { id } } }'
ADD = """mutation ($id: ID!) {
  addIdentifier(id: $id, identifier: {type: EMAIL, value: "b@b.example"}) { profile { id } }
}"""
REMOVE = """mutation ($id: ID!) {
  removeIdentifier(id: $id, identifier: {type: EMAIL, value: "person1@mail1.example"}) { profile { id } }
}"""
CONSENT = """mutation ($id: ID!) {
  recordConsent(id: $id, choice: WITHDRAWN, consent: {purpose: "marketing", source: "test"}) { profile { id } }
}"""
ERASE = "mutation ($id: ID!) { eraseCustomer(id: $id, confirm: $id) { id } }"
WRITES = [
    (CREATE, *IMPORTER),
    (UPDATE, *SUPPORT),
    (ADD, *SUPPORT),
    (REMOVE, *SUPPORT),
    (CONSENT, *SUPPORT),
    (ERASE, *OFFICER),
]


@pytest.mark.parametrize(("query", "role", "purpose"), [*READS, *WRITES])
async def test_without_the_log_nothing_is_answered_and_nothing_is_written(one, monkeypatch, query, role, purpose):
    variables = {"id": one.ids["one"]} if "$id" in query else {}
    before = await contents(one.main)
    monkeypatch.setattr(one.log, "_store", FailingStore(one.log._store))
    monkeypatch.setattr(one.log, "_patience", 0.05)
    answer = await one.ask(query, role, purpose, variables)
    assert code_of(answer) == ["AUDIT_UNAVAILABLE"]
    assert (answer.data, answer.extensions) == (None, None)
    assert await contents(one.main) == before
    assert await one.keys["erasures"].find({}).to_list(None) == []


async def test_a_log_that_was_closed_answers_nothing(fresh_world):
    await fresh_world.log.close()
    answer = await fresh_world.ask("{ profiles { nodes { email } } }", *SUPPORT)
    assert (code_of(answer), answer.data) == (["AUDIT_UNAVAILABLE"], None)


@pytest.mark.parametrize(("query", "role", "purpose"), WRITES)
async def test_the_same_writes_change_something_while_the_log_is_there(one, query, role, purpose):
    """Negative control."""
    before = await contents(one.main)
    await one.told(query, role, purpose, {"id": one.ids["one"]} if "$id" in query else {})
    assert await contents(one.main) != before


async def test_a_page_of_a_hundred_leaves_one_record(world):
    await world.create(*(world.draft(person(number), orders=[order(number)]) for number in range(100)))
    before = len(await world.records())
    told = await world.told(PAGE, *SUPPORT)
    assert len(told["profiles"]["nodes"]) == 100
    records = await world.records()
    assert len(records) == before + 1
    assert len(set(records[-1].subjects)) == 100


async def test_the_record_says_who_why_and_what_of_whom_was_decided_by_which_rule(world):
    agreed = await world.one(1, consents=granted("marketing"))
    silent = await world.one(2)
    against = await world.one(3, consents=(*granted("marketing"), *objected("marketing")))
    abroad = await world.one(4, overrides={"region": "apac"}, consents=granted("marketing"))
    query = "query Campaign { profiles { nodes { givenName email phone } } }"
    answer = await world.ask(query, "marketer", "email_marketing", case="C-1", actor="mia")
    (record,) = await world.records(kind=Kind.READ)
    assert answer.extensions["privacy"]["entry"] == f"{world.log.shard}.{world.log.head().size - 1}"
    assert (record.actor, record.roles, record.client) == ("mia", ("marketer",), "test")
    assert (record.purpose, record.case, record.operation) == ("email_marketing", "C-1", "Campaign")
    assert (record.policy, record.outcome) == (world.policies.version, Outcome.ALLOWED)
    decided = {path: (each.decision.value, each.reason) for each in record.decisions for path in each.fields}
    assert decided == {
        "profile.given_name": ("clear", None),
        "profile.id": ("clear", None),
        "profile.email": ("masked", None),
        "profile.phone": ("withheld", "POLICY"),
    }
    rules = {path: each.rule for each in record.decisions for path in each.fields}
    masking = world.policies.rules[rules["profile.email"] - 1]
    assert (masking.role, masking.category, masking.action) == ("marketer", "user.contact.email", "read_masked")
    assert rules["profile.phone"] is None
    references = [await world.reference(each) for each in (agreed, silent, against, abroad)]
    assert list(record.subjects) == references
    told = {
        (each.decision.value, each.reason.value, path, record.subjects[at])
        for each in record.exceptions
        for path in each.fields
        for at in each.subjects
    }
    expected = set()
    for who, reason in ((references[1], "CONSENT"), (references[2], "OBJECTION")):
        expected |= {("withheld", reason, path, who) for path in ("profile.given_name", "profile.email")}
        expected |= {("masked", reason, "profile.id", who)}
    assert told == expected


async def test_the_record_names_the_fields_that_were_filtered_and_sorted_by(world):
    await world.one(1)
    query = (
        '{ profiles(filter: {region: {equals: "emea"}, orderCount: {atLeast: 0}}, sort: {by: TOTAL_SPENT}) '
        "{ nodes { country } } }"
    )
    await world.told(query, *SUPPORT)
    (record,) = await world.records(kind=Kind.READ)
    assert record.filters == ("profile.order_count", "profile.region", "profile.total_spent")
    await world.told('{ profileByIdentifier(type: PHONE, value: "+4915112000001") { id } }', *SUPPORT)
    assert (await world.records(kind=Kind.READ))[-1].filters == ("profile.phone",)


@pytest.mark.parametrize(
    ("query", "role", "purpose", "code", "kind", "filters"),
    [
        ('{ profiles(filter: {loyaltyTier: {equals: "gold"}}) { nodes { id } } }', *SUPPORT, "FILTER_NOT_ALLOWED",
         Kind.READ, ("profile.loyalty_tier",)),
        ("{ profiles(sort: {by: CREATED_AT}) { nodes { id } } }", "marketer", "marketing", "SORT_NOT_ALLOWED",
         Kind.READ, ("profile.created_at",)),
        ('{ profileByIdentifier(type: EMAIL, value: "a@b.example") { id } }', "marketer", "marketing",
         "FILTER_NOT_ALLOWED", Kind.READ, ("profile.email",)),
        ("{ accessLog { nodes { id } } }", *SUPPORT, "FORBIDDEN", Kind.SEARCH, ()),
        ('{ accessLog(filter: {actor: "mia"}) { nodes { id } } }', *OFFICER, "FILTER_NOT_ALLOWED",
         Kind.SEARCH, ("access_entry.actor",)),
        ('mutation { createProfile(input: {values: {givenName: "A"}}) { profile { id } } }', "executive",
         "business_reporting", "WRITE_NOT_ALLOWED", Kind.WRITE, ()),
        ('mutation { eraseCustomer(id: "cus_x", confirm: "cus_x") { id } }', *SUPPORT, "ERASE_NOT_ALLOWED",
         Kind.ERASURE_INTENT, ()),
    ],
)  # fmt: skip
async def test_what_was_refused_is_recorded_as_refused(world, query, role, purpose, code, kind, filters):
    answer = await world.ask(query, role, purpose)
    assert code_of(answer) == [code]
    (record,) = await world.records()
    assert (record.kind, record.outcome, record.filters, record.subjects) == (kind, Outcome.REFUSED, filters, ())
    assert answer.extensions["privacy"]["entry"] == f"{world.log.shard}.{world.log.head().size - 1}"


async def test_asking_for_somebody_who_is_not_there_is_recorded_as_that(world):
    await world.told('{ profile(id: "cus_nobody") { email } }', *SUPPORT)
    await world.told('{ profileByIdentifier(type: EMAIL, value: "no@body.example") { email } }', *SUPPORT)
    assert [each.outcome for each in await world.records()] == [Outcome.NOT_FOUND] * 2


async def test_a_write_is_recorded_before_it_is_made_with_the_fields_it_changes(one, monkeypatch):
    seen = []

    async def append(record):
        seen.append((record.kind, (await one.main["profiles"].find_one({}))["version"]))
        return await one.log.append(record)

    monkeypatch.setattr(one.writer._writable, "_log", SimpleNamespace(append=append))
    query = (
        'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {givenName: "New", city: null}}) '
        "{ profile { givenName } } }"
    )
    told = await one.told(query, *SUPPORT, {"id": one.ids["one"]})
    assert told["updateProfile"]["profile"]["givenName"] == "New"
    assert seen == [(Kind.WRITE, 1)]
    write = (await one.records(kind=Kind.WRITE))[-1]
    assert {path for each in write.decisions for path in each.fields} == {"profile.given_name", "profile.city"}
    assert write.subjects == (await one.reference(one.ids["one"]),)
    assert (await one.records())[-1].kind is Kind.READ
