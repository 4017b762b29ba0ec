"""A search reads the batches that may hold what it asks for, and no more of them as the log grows."""

import asyncio
import os
import uuid
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandListener

from audit import (
    AccessQuery,
    AccessReader,
    Decision,
    Deviation,
    Kind,
    Outcome,
    Reason,
    Record,
    Verdict,
    encode_record,
    timestamp,
)
from audit.batch import SEARCH_FIELDS, build_batch
from audit.store import BatchStore
from audit.tree import Edge
from server.database import database
from tests.audit.conftest import START

SHARD = "ab" * 6
PERSON, RARE = "P" * 22, "R" * 22
EACH = 20  # records of a batch
SMALL, LARGE = 100, 1000  # batches: 2,000 and 20,000 records
RARELY = (3, 40, 77)  # the batches that hold what the searches are for
OFTEN = 50  # the person is read in each batch of these many


class Fetched(CommandListener):
    """The searches that were sent for batches, and how many documents came."""

    def __init__(self):
        self.finds = 0
        self.documents = 0

    def started(self, _event):
        pass

    def succeeded(self, event):
        cursor = event.reply.get("cursor", {})
        if event.command_name in ("find", "getMore") and cursor.get("ns", "").endswith(".batches"):
            self.finds += event.command_name == "find"
            self.documents += len(cursor.get("firstBatch", cursor.get("nextBatch")))

    def failed(self, _event):
        pass


def usual(number, offset):
    """A record of the sort that every batch is full of."""
    return Record(
        actor=f"agent-{offset % 4}",
        roles=("support_agent",),
        client="console",
        purpose="customer_service",
        case=f"T-{number}",
        kind=(Kind.READ, Kind.WRITE)[offset % 2],
        outcome=(Outcome.ALLOWED, Outcome.NOT_FOUND)[offset % 2],
        policy="p2",
        decisions=(
            Decision(decision=Verdict.CLEAR, fields=("profile.email", "profile.given_name"), rule=1),
            Decision(decision=Verdict.WITHHELD, fields=("profile.phone",), reason=Reason.POLICY),
        ),
        subjects=(f"{number % 40:022d}",),
        time=timestamp(START + timedelta(seconds=10 * number, milliseconds=offset)),
    )


def rare(number):
    """A record that differs from the usual ones in whatever can be searched by."""
    left = {"fields": ("profile.email",), "reason": Reason.CONSENT}
    return Record(
        actor="eve",
        roles=("executive",),
        client="shop",
        purpose="audit",
        case="C-1",
        kind=Kind.EXPORT,
        outcome=Outcome.REFUSED,
        policy="p1",
        decisions=(Decision(decision=Verdict.MASKED, fields=("profile.city",), rule=2),)
        + ((Decision(decision=Verdict.WITHHELD, **left),) if number == RARELY[0] else ()),
        exceptions=() if number == RARELY[0] else (Deviation(decision=Verdict.WITHHELD, subjects=(0,), **left),),
        subjects=(RARE,),
        time=timestamp(START + timedelta(seconds=10 * number, milliseconds=EACH)),
    )


def batch_of(number, edge):
    records = [usual(number, offset) for offset in range(EACH - 1)]
    if number % OFTEN == 0:
        records[7] = usual(number, 7).__class__(**{**fields_of(records[7]), "subjects": (PERSON,), "kind": Kind.READ})
    records.append(rare(number) if number in RARELY else usual(number, EACH - 1))
    return build_batch(SHARD, edge, [(record, encode_record(record)) for record in records])


def fields_of(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


SEARCHES = {
    "actor": AccessQuery(actor="eve"),
    "role": AccessQuery(role="executive"),
    "client": AccessQuery(client="shop"),
    "purpose": AccessQuery(purpose="audit"),
    "case": AccessQuery(case="C-1"),
    "kind": AccessQuery(kind=Kind.EXPORT),
    "outcome": AccessQuery(outcome=Outcome.REFUSED),
    "policy version": AccessQuery(policy_version="p1"),
    "field": AccessQuery(field="profile.city"),
    "decision": AccessQuery(decision=Verdict.MASKED),
    "field and decision": AccessQuery(field="profile.email", decision=Verdict.WITHHELD),
    "subject": AccessQuery(subject=RARE),
    "subject and actor": AccessQuery(subject=RARE, actor="eve"),
    "several": AccessQuery(purpose="audit", role="executive", kind=Kind.EXPORT, decision=Verdict.MASKED),
    "span": AccessQuery(since=START + timedelta(seconds=30), until=START + timedelta(seconds=60)),
}


async def read(log, query, limit=50):
    """What a search finds, page by page, and how many batches were fetched for it."""
    before, found, after = log.fetched.documents, [], None
    while True:
        page = await log.reader.search(query, after=after, limit=limit)
        found += page.entries
        after = page.next
        if after is None:
            return found, log.fetched.documents - before


@pytest.fixture(scope="module")
async def log(mongo_uri):
    """A log of 20,000 records, and what each search found and fetched when it had 2,000."""
    fetched = Fetched()
    client = AsyncMongoClient(mongo_uri, tz_aware=True, event_listeners=[fetched])
    audit = database(client, f"t{uuid.uuid4().hex[:12]}_audit")
    store = BatchStore.over(audit)
    await store.prepare()
    made = SimpleNamespace(audit=audit, fetched=fetched, small={})
    made.reader = AccessReader(store, lambda: START + timedelta(seconds=10 * LARGE))
    edge = Edge()
    for start in range(0, LARGE, SMALL):
        documents = []
        for number in range(start, start + SMALL):
            batch = batch_of(number, edge)
            edge = batch.edge
            documents.append(batch.document())
        await audit.batches.insert_many(documents)
        if start == 0:
            made.small = {name: await read(made, query) for name, query in SEARCHES.items()}
    yield made
    if "CONFIDE_MONGO_URI" in os.environ:  # an engine of the tests' own ends with them, sooner than it drops this
        await client.drop_database(audit.name)
    await client.close()


@pytest.mark.parametrize("name", SEARCHES)
async def test_a_selective_search_fetches_no_more_batches_of_a_log_ten_times_as_long(log, name):
    found, fetched = await read(log, SEARCHES[name])
    assert (found, fetched) == log.small[name]
    if name == "span":
        assert len(found) == 3 * EACH
        assert fetched <= 5
    else:
        assert [entry.record.subjects for entry in found] == [(RARE,)] * 3
        assert fetched == len(RARELY)


@pytest.mark.parametrize("name", sorted(SEARCHES.keys() - {"span"}))
async def test_a_condition_that_is_not_looked_up_in_an_index_costs_the_whole_log(log, name, monkeypatch):
    """Negative control: the entries are the same, and every batch is fetched for them."""
    monkeypatch.setattr(AccessQuery, "looked_up", lambda _query: ({},))
    found, fetched = await read(log, SEARCHES[name])
    assert found == log.small[name][0]
    assert fetched >= LARGE


async def test_without_the_pairs_a_field_and_a_decision_are_looked_for_in_every_batch(log, monkeypatch):
    """Negative control of `decided`: each batch holds the field, and the decision, of other records."""
    monkeypatch.setattr(AccessQuery, "looked_up", lambda query: ({"fields": query.field},))
    _, fetched = await read(log, SEARCHES["field and decision"])
    assert fetched >= LARGE


async def test_all_reads_of_one_person_are_one_look_up_in_an_index(log):
    before = log.fetched.finds
    found, fetched = await read(log, AccessQuery(subject=PERSON, kind=Kind.READ))
    assert len(found) == fetched == LARGE // OFTEN
    assert {entry.record.subjects for entry in found} == {(PERSON,)}
    assert log.fetched.finds - before == 1
    # Negative control: what is not asked of one person is looked for a little way back first.
    before = log.fetched.finds
    await read(log, AccessQuery(actor="eve"))
    assert log.fetched.finds - before > 1


async def stages(log, wanted):
    """How the database goes about finding what is wanted."""
    found, waiting = (
        [],
        [(await log.audit.command({"explain": {"find": "batches", "filter": wanted}}))["queryPlanner"]],
    )
    while waiting:
        plan = waiting.pop()
        for key, value in plan.items():
            if key in ("winningPlan", "inputStage", "queryPlan") and isinstance(value, dict):
                found.append((value.get("stage"), value.get("indexName")))
                waiting.append(value)
    return found


async def test_the_database_finds_each_condition_by_the_index_that_is_for_it(log):
    for name in SEARCH_FIELDS:
        assert ("IXSCAN", f"{name}_order") in await stages(log, {name: "x"})
    # Negative control: nothing leads to a trace.
    assert "IXSCAN" not in {stage for stage, _ in await stages(log, {"trace": "x"})}


@pytest.mark.parametrize(
    ("query", "looked_up"),
    [
        (AccessQuery(actor="a", subject=PERSON, kind=Kind.EXPORT, case="T-1"), "subjects"),
        (AccessQuery(actor="a", kind=Kind.READ, outcome=Outcome.ALLOWED), "actors"),
        (AccessQuery(purpose="audit", outcome=Outcome.REFUSED), "outcomes"),
        (AccessQuery(purpose="audit", outcome=Outcome.ALLOWED), "purposes"),
        (AccessQuery(actor="a", field="profile.email", decision=Verdict.WITHHELD), "decided"),
        (AccessQuery(actor="a", field="profile.email", decision=Verdict.CLEAR), "actors"),
        (AccessQuery(field="profile.email", decision=Verdict.CLEAR, purpose="audit"), "decided"),
        (AccessQuery(role="auditor", decision=Verdict.CLEAR), "roles"),
        (AccessQuery(kind=Kind.READ, outcome=Outcome.ALLOWED), "kinds"),
    ],
)
def test_of_several_conditions_the_rarest_is_looked_up(query, looked_up):
    first, *older = query.looked_up()
    assert list(first) == [looked_up]
    assert older == ([{"decided": None}] if looked_up == "decided" else [])


@pytest.fixture
async def old_and_new(databases):
    """A shard of four batches, the first two of them as version 1 wrote them; the rare record in batches 0 and 3."""
    store = BatchStore.over(databases.audit)
    await store.prepare()
    edge = Edge()
    for number in range(4):
        records = [usual(number, offset) for offset in range(3)]
        if number in (0, 3):
            records.append(replace_time(rare(number), number))
        batch = build_batch(SHARD, edge, [(record, encode_record(record)) for record in records])
        if number < 2:
            search = {name: value for name, value in batch.search.items() if name != "decided"}
            batch = replace(batch, version=1, search=search)
        edge = batch.edge
        await databases.audit.batches.insert_one(batch.document())
    return AccessReader(store, lambda: START + timedelta(seconds=60))


def replace_time(record, number):
    return Record(
        **{**fields_of(record), "time": timestamp(START + timedelta(seconds=10 * number, milliseconds=900))}
    )


async def test_batches_of_the_first_version_are_searched_too(old_and_new, databases):
    stored = await databases.audit.batches.find({}, {"v": 1, "decided": 1}).to_list(None)
    assert sorted((each["v"], "decided" in each) for each in stored) == [(1, False)] * 2 + [(2, True)] * 2
    for name, query in SEARCHES.items():
        page = await old_and_new.search(query)
        assert [entry.id.index for entry in page.entries] == [13, 3] or name == "span", name
    assert await old_and_new.verify_shard(SHARD)


async def test_a_search_that_asked_for_the_pair_alone_would_miss_what_is_older(old_and_new, monkeypatch):
    """Negative control of the batches that do not say."""
    monkeypatch.setattr(AccessQuery, "looked_up", lambda _query: ({"decided": "profile.email withheld"},))
    page = await old_and_new.search(SEARCHES["field and decision"])
    assert [entry.id.index for entry in page.entries] == [13]


async def test_a_log_goes_on_after_batches_of_the_first_version(old_and_new, open_log, make_record):
    log = await open_log()
    left = Decision(decision=Verdict.WITHHELD, fields=("profile.email",), reason=Reason.POLICY)
    await asyncio.gather(*(log.append(make_record(decisions=(left,))) for _ in range(3)))
    found = (await log.search(SEARCHES["field and decision"])).entries
    assert [entry.id.shard for entry in found].count(SHARD) == 2
    assert len(found) == 5
