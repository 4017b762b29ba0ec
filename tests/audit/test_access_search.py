"""Finding entries: exact, newest first, page by page, from indexes."""

import asyncio
import os
from datetime import timedelta

import pytest
from pymongo.errors import AutoReconnect

from audit import (
    AccessLog,
    AccessQuery,
    AccessReader,
    AuditCorruptError,
    AuditUnavailableError,
    Decision,
    Deviation,
    EntryId,
    EntryIdInvalidError,
    EntryNotFoundError,
    Erasure,
    Kind,
    Outcome,
    Position,
    PositionInvalidError,
    Reason,
    ShardIdInvalidError,
    Verdict,
    timestamp,
)
from audit.batch import SEARCH_FIELDS
from audit.store import BatchStore
from tests.audit.conftest import START

OTHER = "B" * 22


async def whole(reader, query, limit=7):
    """Every matching entry, page by page."""
    found, after, pages = [], None, 0
    while True:
        page = await reader.search(query, after=after, limit=limit)
        assert len(page.entries) <= limit
        found += page.entries
        pages += 1
        assert pages < 500
        if page.next is None:
            return found
        after = Position.parse(str(page.next))


async def test_an_entry_is_found_by_its_id(open_log, make_record):
    log = await open_log()
    records = [make_record() for _ in range(5)]
    ids = [await log.append(record) for record in records]
    assert [(await log.get(EntryId.parse(str(each)))).record for each in ids] == records


async def test_an_entry_of_a_large_batch_is_found_by_its_id(open_log, make_record):
    log = await open_log()
    records = [make_record() for _ in range(300)]
    ids = await asyncio.gather(*(log.append(record) for record in records))
    assert (await log.get(ids[17])).record == records[17]
    assert (await log.get(ids[299])).record == records[299]


async def test_an_entry_that_does_not_exist_is_not_found(open_log, make_record):
    log = await open_log()
    await log.append(make_record())
    for missing in (EntryId(log.shard, 1), EntryId(log.shard, 10**9), EntryId("f" * 12, 0)):
        with pytest.raises(EntryNotFoundError):
            await log.get(missing)


@pytest.mark.parametrize(
    "text", ["", "a", "a.1", f"{'a' * 12}.01", f"{'A' * 12}.1", f"{'a' * 12}.-1", f"{'a' * 12}.1\n", f"{'a' * 13}.1"]
)
def test_a_text_that_is_no_entry_id_is_refused(text):
    assert EntryId.parse(f"{'a' * 12}.1") == EntryId("a" * 12, 1)
    with pytest.raises(EntryIdInvalidError):
        EntryId.parse(text)


@pytest.mark.parametrize("text", ["", "x", "é", "AAAA", str(Position(timestamp(START))) + "=", "a" * 10_000])
def test_a_text_that_is_no_position_is_refused(text):
    assert Position.parse(str(Position(timestamp(START), "a" * 12, 3))).index == 3
    with pytest.raises(PositionInvalidError):
        Position.parse(text)


QUERIES = [
    AccessQuery(actor="agent-2"),
    AccessQuery(role="auditor"),
    AccessQuery(client="console"),
    AccessQuery(purpose="audit"),
    AccessQuery(case="T-7"),
    AccessQuery(kind=Kind.EXPORT),
    AccessQuery(subject=OTHER),
    AccessQuery(field="profile.email"),
    AccessQuery(field="profile.region"),
    AccessQuery(decision=Verdict.WITHHELD),
    AccessQuery(field="profile.email", decision=Verdict.MASKED),
    AccessQuery(policy_version="p2"),
    AccessQuery(outcome=Outcome.REFUSED),
    AccessQuery(since=START + timedelta(milliseconds=20)),
    AccessQuery(until=START + timedelta(milliseconds=20)),
    AccessQuery(since=START + timedelta(milliseconds=10), until=START + timedelta(milliseconds=20), actor="agent-2"),
    AccessQuery(actor="agent-2", subject=OTHER),
    AccessQuery(actor="nobody"),
    AccessQuery(),
]


def varied(make_record, number):
    """A record that differs from its neighbours in a way that each query notices."""
    parts = {
        2: {"actor": "agent-2"},
        3: {"roles": ("auditor", "executive"), "client": "console"},
        4: {"purpose": "audit", "case": "T-7"},
        5: {"kind": Kind.EXPORT, "outcome": Outcome.REFUSED},
        6: {"subjects": ("A" * 22, OTHER), "actor": "agent-2"},
        7: {"decisions": (Decision(decision=Verdict.MASKED, fields=("profile.email",), reason=Reason.POLICY),)},
        8: {"filters": ("profile.region",), "policy": "p2"},
        9: {
            "exceptions": (Deviation(subjects=(0,), fields=("profile.email",), reason=Reason.CONSENT),),
            "subjects": (OTHER,),
        },
    }
    return make_record(**parts.get(number % 10, {}))


async def test_searches_find_exactly_what_matches_newest_first(open_log, make_record):
    logs = [await open_log() for _ in range(2)]
    written = []
    for start in range(0, 60, 6):
        records = [varied(make_record, start + n) for n in range(6)]
        ids = await asyncio.gather(*(logs[n % 2].append(record) for n, record in enumerate(records)))
        written += zip(ids, records, strict=True)
    written.sort(key=lambda each: (each[1].time, each[0].shard, each[0].index), reverse=True)
    for query in QUERIES:
        since, until = query.span()
        expected = [
            (entry_id, record)
            for entry_id, record in written
            if query.matches(record) and (since or "") <= record.time and (until is None or record.time < until)
        ]
        found = [(entry.id, entry.record) for entry in await whole(logs[0], query)]
        assert found == expected, query
        assert (query.actor == "nobody") == (expected == [])


async def test_times_of_years_apart_and_ahead_are_found_in_order(open_log, make_record):
    log = await open_log()
    offsets = [-timedelta(days=9000), timedelta(days=4000), timedelta(0), -timedelta(days=2), timedelta(seconds=3)]
    for offset in offsets:
        await log.append(make_record(time=timestamp(START + offset)))
    found = [entry.record.time for entry in await whole(log, AccessQuery(), limit=1)]
    assert found == sorted((timestamp(START + offset) for offset in offsets), reverse=True)


async def test_pages_neither_repeat_nor_skip_when_every_time_is_the_same(open_log, make_record):
    logs = [await open_log() for _ in range(2)]
    for _ in range(15):
        await asyncio.gather(*(log.append(make_record(time=timestamp(START))) for log in logs for _ in range(3)))
    found = [entry.id for entry in await whole(logs[0], AccessQuery(), limit=4)]
    assert len(found) == len(set(found)) == 90


async def test_new_entries_do_not_disturb_a_search_under_way(open_log, make_record):
    log = await open_log()
    first = [await log.append(make_record()) for _ in range(10)]
    page = await log.search(AccessQuery(), limit=5)
    await log.append(make_record())
    rest = await log.search(AccessQuery(), after=page.next, limit=10)
    assert [entry.id for entry in (*page.entries, *rest.entries)] == first[::-1]


async def test_one_call_reads_a_bounded_number_of_batches(open_log, make_record, monkeypatch):
    monkeypatch.setattr("audit.reader._MOST_BATCHES", 32)
    log = await open_log()
    # Each batch has both values and no record has both: the index finds every batch, and nothing matches.
    for second in range(0, 400, 4):
        time = timestamp(START + timedelta(seconds=second))
        await asyncio.gather(
            log.append(make_record(actor="agent-2", time=time)), log.append(make_record(purpose="audit", time=time))
        )
    read = []
    newest = BatchStore.newest

    async def counted(self, wanted, **bounds):
        documents = await newest(self, wanted, **bounds)
        read.append(len(documents))
        return documents

    monkeypatch.setattr(BatchStore, "newest", counted)
    query = AccessQuery(actor="agent-2", purpose="audit")
    page = await log.search(query, limit=5)
    assert page.entries == ()
    assert page.next is not None
    assert 32 <= sum(read) < 64
    # Following the positions still comes to the end, and a query that matches finds all.
    assert await whole(log, query) == []
    assert len(await whole(log, AccessQuery(actor="agent-2"))) == 100


async def test_a_decision_about_one_subject_is_found_for_that_subject_only(open_log, make_record):
    log = await open_log()
    await log.append(
        make_record(
            subjects=("A" * 22, OTHER),
            decisions=(Decision(decision=Verdict.CLEAR, fields=("profile.email",), rule=1),),
            exceptions=(Deviation(subjects=(1,), fields=("profile.email",), reason=Reason.OBJECTION),),
        )
    )

    async def found(subject, decision):
        query = AccessQuery(subject=subject, field="profile.email", decision=decision)
        return bool((await log.search(query)).entries)

    assert await found("A" * 22, Verdict.CLEAR)
    assert not await found("A" * 22, Verdict.WITHHELD)
    assert await found(OTHER, Verdict.WITHHELD)
    assert not await found(OTHER, Verdict.CLEAR)
    assert await found(None, Verdict.CLEAR)


@pytest.mark.parametrize("odd", ['a"b\\c', "\x00", "é\u2028\U0001f511", "\x7f\n"])
async def test_a_value_that_needs_escaping_is_found(open_log, make_record, odd):
    log = await open_log()
    entry_id = await log.append(make_record(actor=odd, case=odd))
    await log.append(make_record())
    found = await log.search(AccessQuery(actor=odd, case=odd))
    assert [entry.id for entry in found.entries] == [entry_id]


async def test_a_search_for_what_no_record_can_hold_finds_nothing(open_log, make_record):
    log = await open_log()
    await log.append(make_record())
    assert (await log.search(AccessQuery(actor="\ud800"))).entries == ()


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_a_sensible_size(open_log, limit):
    log = await open_log()
    with pytest.raises(ValueError, match="1 to 1000"):
        await log.search(AccessQuery(), limit=limit)


async def test_tombstones_are_every_finished_erasure_and_nothing_else(open_log, make_record):
    log = await open_log()
    for leaf in range(3):
        erasure = Erasure(fingerprint=f"key-{leaf}", leaf=leaf, ring="00")
        await log.append(make_record(kind=Kind.ERASURE_INTENT, erasure=erasure))
        await asyncio.gather(
            log.append(make_record()), log.append(make_record(kind=Kind.ERASURE_DONE, erasure=erasure))
        )
    other = await open_log()
    found = [tombstone async for tombstone in other.tombstones()]
    assert [(each.leaf, each.fingerprint, each.ring) for each in found] == [(n, f"key-{n}", "00") for n in range(3)]
    assert (await other.get(found[0].id)).record.time == found[0].time


async def test_opening_again_changes_no_index_and_takes_a_new_shard(databases, open_log):
    first = await open_log()
    before = await databases.audit.batches.index_information()
    second = await open_log()
    assert await databases.audit.batches.index_information() == before
    assert first.shard != second.shard
    assert {f"{name}_order" for name in SEARCH_FIELDS} <= set(before)
    assert await AccessReader.over(databases.audit, now=lambda: START).shards() == sorted([first.shard, second.shard])


async def test_a_shard_is_opened_once(databases, open_log):
    await open_log(shard="0123456789ab")
    with pytest.raises(Exception, match="opened before"):
        await open_log(shard="0123456789ab")
    with pytest.raises(ShardIdInvalidError):
        await open_log(shard="0123456789AB")


async def test_a_stored_batch_that_is_none_stops_a_search(databases, open_log, make_record):
    log = await open_log()
    entry_id = await log.append(make_record())
    await databases.audit.batches.update_one({"shard": log.shard}, {"$set": {"records": [b"{}"]}})
    with pytest.raises(AuditCorruptError):
        await log.search(AccessQuery())
    with pytest.raises(AuditCorruptError):
        await log.get(entry_id)


class Unreachable:
    """A collection whose database is gone."""

    def __getattr__(self, name):
        def call(*_args, **_options):
            raise AutoReconnect("secret-host")

        return call


async def test_every_read_says_unavailable_when_the_database_is_gone():
    reader = AccessReader(BatchStore(Unreachable(), Unreachable()), lambda: START)

    async def first_tombstone():
        return [tombstone async for tombstone in reader.tombstones()]

    for call in (
        lambda: reader.get(EntryId("a" * 12, 0)),
        lambda: reader.search(AccessQuery()),
        lambda: reader.verify_shard("a" * 12),
        lambda: reader.leaf_hashes("a" * 12, 1),
        reader.shards,
        first_tombstone,
    ):
        with pytest.raises(AuditUnavailableError) as caught:
            await call()
        assert "secret" not in str(caught.value)


async def test_opening_says_unavailable_when_the_database_is_gone():
    class Gone:
        def get_collection(self, *_args, **_options):
            return Unreachable()

    with pytest.raises(AuditUnavailableError):
        await AccessLog.open(Gone(), now=lambda: START, random=os.urandom)


async def test_what_is_about_any_reference_of_a_subject_is_found_once(open_log, make_record):
    log = await open_log()
    mine, part, other = "M" * 22, "P" * 22, "Q" * 22
    wanted = [
        await log.append(make_record(subjects=subjects))
        for subjects in ((mine,), (part,), (other, part), (mine, part), (other,))
    ][:-1]

    query = AccessQuery(subject=mine, parts=(part,))
    assert sorted(str(each.id) for each in await whole(log, query, limit=1)) == sorted(map(str, wanted))
    # Controls: without the part, and of somebody else.
    assert len(await whole(log, AccessQuery(subject=mine))) == 2
    assert len(await whole(log, AccessQuery(subject=other))) == 2
    excepted = Deviation(decision=Verdict.WITHHELD, fields=("profile.email",), reason=Reason.CONSENT, subjects=(0,))
    await log.append(make_record(subjects=(part,), exceptions=(excepted,)))
    withheld = AccessQuery(subject=mine, parts=(part,), field="profile.email", decision=Verdict.WITHHELD)
    assert len(await whole(log, withheld)) == 1
