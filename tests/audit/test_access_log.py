"""Appending: durable before it returns, in company, and right about what the database did."""

import asyncio
import contextlib
import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import (
    AccessLog,
    AuditClosedError,
    AuditCorruptError,
    AuditForkError,
    AuditUnavailableError,
    EntryId,
    RecordTooLargeError,
    decode_record,
    encode_record,
    timestamp,
)
from audit.batch import MAX_RECORDS, Fault, build_batch, check_batch
from audit.end import End, is_end, parse_end
from audit.store import BatchStore
from audit.tree import Edge
from tests.audit.conftest import START
from tests.audit.faults import FaultyCollection, MemoryCollection, Plan


def stored_entries(batches):
    """Every record's bytes in tree order, after checking each batch as an auditor would."""
    edge, records = Edge(), []
    for _, document in sorted(batches.inner.documents.items()):
        if is_end(document):
            assert parse_end(document).edge == edge
            continue
        batch = check_batch(document, edge)
        assert not isinstance(batch, Fault)
        edge = batch.edge
        records += batch.records
    return records


async def outcomes(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_a_record_is_stored_when_append_returns(memory_log, batches, make_record):
    record = make_record()
    entry_id = await memory_log.append(record)
    assert entry_id == EntryId("a" * 12, 0)
    assert stored_entries(batches) == [encode_record(record)]


async def test_append_does_not_return_before_the_database_has_confirmed(batches, make_record):
    gate = asyncio.Event()

    class Gated(MemoryCollection):
        async def insert_one(self, document):
            await gate.wait()
            await super().insert_one(document)

    log = AccessLog(BatchStore(Gated(), MemoryCollection()), "a" * 12, now=lambda: START)
    appending = asyncio.create_task(log.append(make_record()))
    await asyncio.sleep(0.02)
    assert not appending.done()
    gate.set()
    assert await appending == EntryId("a" * 12, 0)
    await log.close()


async def test_records_that_arrive_during_an_insert_share_the_next_one(memory_log, batches, make_record):
    ids = await asyncio.gather(*(memory_log.append(make_record()) for _ in range(100)))
    assert sorted(each.index for each in ids) == list(range(100))
    assert batches.inserted <= 2


async def test_each_append_gets_the_id_of_its_own_record(memory_log, batches, make_record):
    records = [make_record(actor=f"agent-{n}") for n in range(50)]
    ids = await asyncio.gather(*(memory_log.append(record) for record in records))
    stored = stored_entries(batches)
    assert all(decode_record(stored[each.index]) == record for each, record in zip(ids, records, strict=True))


async def test_a_batch_holds_at_most_256_records(memory_log, batches, make_record):
    await asyncio.gather(*(memory_log.append(make_record()) for _ in range(600)))
    sizes = [len(document["records"]) for document in batches.inner.documents.values()]
    assert sum(sizes) == 600
    assert max(sizes) <= MAX_RECORDS


async def test_a_batch_holds_at_most_a_mebibyte(memory_log, batches, make_record):
    big = tuple(f"{n:022d}" for n in range(10_000))
    await asyncio.gather(*(memory_log.append(make_record(subjects=big)) for _ in range(10)))
    assert all(sum(map(len, each["records"])) <= 1024 * 1024 for each in batches.inner.documents.values())
    assert len(stored_entries(batches)) == 10


async def test_a_batch_spans_less_than_five_seconds_even_when_clocks_jump(memory_log, batches, make_record):
    times = [START.replace(day=day, second=second) for day in (24, 4, 14) for second in (0, 4, 6, 1)]
    await asyncio.gather(*(memory_log.append(make_record(time=timestamp(time))) for time in times))
    assert [decode_record(data).time for data in stored_entries(batches)] == [timestamp(time) for time in times]
    for document in batches.inner.documents.values():
        assert document["from"][:17] == document["to"][:17]
        assert float(document["to"][17:-1]) - float(document["from"][17:-1]) < 5


async def test_a_record_that_is_too_large_is_refused_and_the_others_go_on(memory_log, make_record):
    huge = make_record(subjects=tuple(f"{n:022d}" for n in range(12_000)))
    results = await outcomes([memory_log.append(huge), memory_log.append(make_record())])
    assert isinstance(results[0], RecordTooLargeError)
    assert results[1] == EntryId("a" * 12, 0)


async def test_a_lost_insert_is_tried_again(memory_log, batches, make_record):
    batches.inserts.append(Plan.LOST)
    assert (await memory_log.append(make_record())).index == 0
    assert batches.inserted == 2
    assert len(stored_entries(batches)) == 1


async def test_an_insert_done_but_reported_as_failed_counts_once(memory_log, batches, make_record):
    batches.inserts.append(Plan.UNREPORTED)
    assert (await memory_log.append(make_record())).index == 0
    assert (await memory_log.append(make_record())).index == 1
    assert len(stored_entries(batches)) == 2


async def test_an_insert_that_lands_after_it_was_looked_for_counts_once(memory_log, batches, make_record):
    batches.inserts.append(Plan.LATE)
    batches.reads.append(Plan.LOST)
    assert (await memory_log.append(make_record())).index == 0
    assert len(stored_entries(batches)) == 1


@pytest.mark.parametrize("plan", [Plan.HUNG, Plan.HUNG_DONE])
async def test_an_insert_that_never_answers_fails_its_waiters_in_time(memory_log, batches, make_record, plan):
    batches.inserts.append(plan)
    with pytest.raises(AuditUnavailableError):
        await asyncio.wait_for(memory_log.append(make_record()), 2)
    # The next one finds out what became of it, and the tree is right either way.
    index = (await memory_log.append(make_record(actor="agent-2"))).index
    assert index == (1 if plan is Plan.HUNG_DONE else 0)
    assert len(stored_entries(batches)) == index + 1


async def test_every_waiter_hears_when_the_database_is_gone(memory_log, batches, make_record):
    batches.inserts.extend([Plan.LOST] * 100)
    batches.reads.extend([Plan.LOST] * 100)
    results = await outcomes([memory_log.append(make_record()) for _ in range(300)])
    assert all(isinstance(each, AuditUnavailableError) for each in results)
    assert batches.inner.documents == {}


async def test_appending_works_again_when_the_database_is_back(memory_log, batches, make_record):
    batches.inserts.extend([Plan.LOST] * 100)
    batches.reads.extend([Plan.LOST] * 100)
    with pytest.raises(AuditUnavailableError):
        await memory_log.append(make_record())
    batches.inserts.clear()
    batches.reads.clear()
    assert (await memory_log.append(make_record())).index == 0


async def test_an_error_names_no_host_and_no_value(memory_log, batches, make_record):
    batches.inserts.extend([Plan.LOST] * 100)
    batches.reads.extend([Plan.LOST] * 100)
    with pytest.raises(AuditUnavailableError) as caught:
        await memory_log.append(make_record(actor="agent-secret"))
    assert "secret" not in str(caught.value)


async def test_a_batch_given_up_on_that_landed_is_kept_and_followed(memory_log, batches, make_record):
    batches.inserts.extend([Plan.UNREPORTED, *[Plan.LOST] * 100])
    batches.reads.extend([Plan.LOST] * 100)
    with pytest.raises(AuditUnavailableError):
        await memory_log.append(make_record(actor="agent-early"))
    batches.inserts.clear()
    batches.reads.clear()
    assert (await memory_log.append(make_record(actor="agent-later"))).index == 1
    assert [decode_record(data).actor for data in stored_entries(batches)] == ["agent-early", "agent-later"]


async def test_a_lost_race_is_an_error_and_overwrites_nothing(memory_log, batches, make_record):
    await memory_log.append(make_record())
    theirs = make_record(actor="agent-other")
    edge = memory_log._edge
    foreign = build_batch(memory_log.shard, edge, [(theirs, encode_record(theirs))]).document()
    await batches.inner.insert_one(foreign)
    with pytest.raises(AuditForkError):
        await memory_log.append(make_record())
    assert batches.inner.documents[foreign["_id"]] == foreign
    with pytest.raises(AuditForkError):
        await memory_log.append(make_record())


async def test_two_logs_on_one_shard_cannot_both_append(batches, make_record):
    store = BatchStore(batches, MemoryCollection())
    logs = [AccessLog(store, "b" * 12, now=lambda: START) for _ in range(2)]
    results = await outcomes([log.append(make_record()) for log in logs])
    assert sorted(type(each).__name__ for each in results) == ["AuditForkError", "EntryId"]
    assert len(stored_entries(batches)) == 1
    for log in logs:
        await log.close()


async def test_a_cancelled_waiter_does_not_break_its_batch(memory_log, batches, make_record):
    tasks = [asyncio.create_task(memory_log.append(make_record())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await outcomes(tasks)
    assert all(isinstance(each, EntryId) for each in results[1::2])
    assert all(isinstance(each, asyncio.CancelledError) for each in results[::2])
    assert (await memory_log.append(make_record())).index == len(stored_entries(batches)) - 1


async def test_a_full_queue_makes_appenders_wait_and_loses_none(batches, make_record, monkeypatch):
    monkeypatch.setattr("audit.log._WAITING", 8)
    log = AccessLog(BatchStore(batches, MemoryCollection()), "c" * 12, now=lambda: START)
    tasks = [asyncio.create_task(log.append(make_record())) for _ in range(100)]
    await asyncio.sleep(0)
    assert len(log._queue) == 8
    assert len({each.index for each in await asyncio.gather(*tasks)}) == 100
    await log.close()


async def test_closing_writes_what_waits_and_then_refuses(batches, make_record):
    shards = MemoryCollection()
    await shards.insert_one({"_id": "d" * 12})
    log = AccessLog(BatchStore(batches, shards), "d" * 12, now=lambda: START)
    tasks = [asyncio.create_task(log.append(make_record())) for _ in range(300)]
    await asyncio.sleep(0)
    await log.close()
    assert len({each.index for each in await asyncio.gather(*tasks)}) == 300
    assert len(stored_entries(batches)) == 300
    with pytest.raises(AuditClosedError):
        await log.append(make_record())
    assert shards.documents["d" * 12]["size"] == 300
    assert shards.documents["d" * 12]["root"] == log.head().root
    await log.close()


async def test_a_failure_nobody_foresaw_reaches_the_waiters_and_the_log_lives_on(memory_log, batches, make_record):
    async def broken(document):
        raise RuntimeError

    batches.inner.insert_one, original = broken, batches.inner.insert_one
    with pytest.raises(AuditUnavailableError):
        await memory_log.append(make_record())
    batches.inner.insert_one = original
    assert (await memory_log.append(make_record())).index == 0


failures = st.sampled_from([Plan.DONE, Plan.DONE, Plan.LOST, Plan.UNREPORTED, Plan.LATE])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    inserts=st.lists(failures, max_size=30),
    reads=st.lists(failures, max_size=30),
    seed=st.integers(0, 2**32),
    patience=st.sampled_from([0.015, 0.2]),
)
def test_whatever_fails_every_confirmed_record_is_in_its_place(make_record, inserts, reads, seed, patience):
    async def run():
        batches = FaultyCollection(MemoryCollection())
        batches.inserts.extend(inserts)
        batches.reads.extend(reads)
        log = AccessLog(
            BatchStore(batches, MemoryCollection()), "e" * 12, now=lambda: START, patience_seconds=patience
        )
        pick = random.Random(seed)  # noqa: S311 - schedules, not secrets
        confirmed = {}

        async def appender(name):
            for turn in range(3):
                record = make_record(actor=f"agent-{name}-{turn}")
                try:
                    entry_id = await log.append(record)
                except AuditUnavailableError:
                    continue
                confirmed[entry_id.index] = encode_record(record)
                await asyncio.sleep(pick.random() / 1000)

        await asyncio.gather(*(appender(name) for name in range(6)))
        with contextlib.suppress(AuditUnavailableError):
            await log.close()
        await batches._catch_up()
        stored = stored_entries(batches)
        assert all(stored[index] == data for index, data in confirmed.items())
        assert len(set(stored)) == len(stored)

    asyncio.run(run())


async def test_indexes_rise_within_a_caller(memory_log, make_record):
    ids = [await memory_log.append(make_record()) for _ in range(10)]
    assert all(a.index < b.index for a, b in pairwise(ids))


@pytest.mark.parametrize("plan", [Plan.LOST, Plan.UNREPORTED, Plan.LATE])
async def test_a_closing_log_ends_its_shard_once_whatever_becomes_of_the_insert(
    memory_log, batches, make_record, plan
):
    await memory_log.append(make_record())
    batches.inserts.append(plan)
    await memory_log.close()
    ends = [each for each in batches.inner.documents.values() if is_end(each)]
    assert [parse_end(each).edge.size for each in ends] == [1]
    assert len(stored_entries(batches)) == 1


async def test_a_log_without_a_way_to_a_new_shard_stops_where_another_ended_its_own(memory_log, batches, make_record):
    await memory_log.append(make_record())
    await batches.inner.insert_one(End(memory_log.shard, memory_log._edge, timestamp(START)).document())
    with pytest.raises(AuditForkError):
        await memory_log.append(make_record())
    assert len(stored_entries(batches)) == 1


@pytest.mark.parametrize("change", [{"size": 2}, {"root": bytes(32)}, {"end": "now"}, {"v": 2}, {"records": []}])
def test_what_is_no_end_is_refused(change):
    document = End("a" * 12, Edge(), timestamp(START)).document()
    assert parse_end(document).edge == Edge()
    with pytest.raises(AuditCorruptError):
        parse_end(document | change)
