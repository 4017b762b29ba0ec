"""Numbering and closing shards."""

import asyncio
from datetime import timedelta

import pytest

from audit import (
    AccessReader,
    AuditInconsistentError,
    AuditUnavailableError,
    EntryId,
    EntryNotFoundError,
)
from audit.batch import batch_id
from audit.store import BatchStore
from tests.audit.faults import Plan
from tests.audit.signed_log import START, InsertsFail, make_record


async def test_a_shard_that_ended_in_order_is_closed_and_stays_as_it_is(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log, 3)
    await log.close()
    (entry,) = (await checkpointer.checkpoint()).entries
    assert entry.closed
    assert entry.head == log.head()
    assert (await checkpointer.checkpoint(always=True)).entries == (entry,)
    check = await AccessReader.over(signed.database, now=lambda: START).verify_shard(log.shard, known=entry.head)
    assert check


async def test_a_dead_process_leaves_a_shard_that_another_closes(signed):
    checkpointer = await signed.start()
    dead, alive = await signed.open(), await signed.open()
    await signed.append(dead, 3)
    assert await checkpointer.close_abandoned(living=[alive.shard]) == [dead.head()]
    assert await checkpointer.close_abandoned(living=[alive.shard]) == []
    assert [each.closed for each in (await checkpointer.checkpoint()).entries] == [True, False]


async def test_a_shard_that_does_not_grow_for_long_enough_is_closed_and_one_that_grows_is_not(signed):
    await signed.start()
    idle, busy, own = [await signed.open() for _ in range(3)]
    checkpointer = signed.checkpointer(idle_seconds=60, own_shard=lambda: own.shard)
    for clock in (0, 40, 59.9):
        signed.clock = clock
        await signed.append(busy)
        signed.time += timedelta(days=10)  # times say nothing about it
        assert await checkpointer.close_abandoned() == []
    signed.clock = 60
    await signed.append(busy)
    assert await checkpointer.close_abandoned() == [idle.head()]


async def test_a_process_that_was_taken_for_dead_goes_on_in_a_new_shard(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    (before,) = await signed.append(log)
    assert await checkpointer.close_shard(log.shard) == log.head()
    after = await asyncio.gather(*(log.append(make_record()) for _ in range(20)))
    assert {each.shard for each in after} == {log.shard} != {before.shard}
    assert sorted(each.index for each in after) == list(range(20))
    roster = await checkpointer.checkpoint()
    assert [(each.number, each.size, each.closed) for each in roster.entries] == [(1, 1, True), (2, 20, False)]
    reader = AccessReader.over(signed.database, now=lambda: START)
    assert [(await reader.get(each)).id for each in (before, *after)] == [before, *after]


async def test_closing_races_with_appending_and_no_record_is_lost(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    shards = set()

    async def append():
        ids = []
        for _ in range(60):
            ids += await signed.append(log)
        return ids

    async def close():
        for _ in range(10):
            shards.add(log.shard)
            await checkpointer.close_shard(log.shard)
            await asyncio.sleep(0.01)

    ids, _ = await asyncio.gather(append(), close())
    assert len(set(ids)) == 60
    roster = await checkpointer.checkpoint()
    assert sum(each.size for each in roster.entries) == 60
    reader = AccessReader.over(signed.database, now=lambda: START)
    for entry in roster.entries:
        assert await reader.verify_shard(entry.shard, known=entry.head)


@pytest.mark.parametrize("plan", [Plan.LOST, Plan.UNREPORTED])
async def test_an_end_whose_insert_fails_either_way_is_there_once(signed, plan):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log)
    checkpointer._store._batches = InsertsFail(checkpointer._store._batches, plan)
    if plan is Plan.LOST:
        with pytest.raises(AuditUnavailableError):
            await checkpointer.close_shard(log.shard)
    assert (await checkpointer.close_shard(log.shard)).size == 1
    assert (await checkpointer.checkpoint()).entries[0].closed


async def test_an_entry_behind_an_end_is_found(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log)
    await checkpointer.close_shard(log.shard)
    forged = await signed.database.batches.find_one({"_id": batch_id(log.shard, 0)})
    await signed.database.batches.insert_one(forged | {"_id": batch_id(log.shard, 2), "first": 2, "size": 3})
    reader = AccessReader.over(signed.database, now=lambda: START)
    assert not await reader.verify_shard(log.shard)
    with pytest.raises(EntryNotFoundError):
        await reader.get(EntryId(log.shard, 1))


async def test_shards_opened_at_once_are_numbered_without_a_gap(signed):
    checkpointer = await signed.start()
    await asyncio.gather(*(signed.open() for _ in range(12)))
    assert [each.number for each in (await checkpointer.checkpoint()).entries] == list(range(1, 13))


async def test_shards_of_the_first_version_get_numbers(signed):
    await signed.database.shards.insert_many(
        [
            {"_id": name * 12, "v": 1, "opened_at": f"2026-05-1{n}T00:00:00.000000Z"}
            for n, name in ((2, "a"), (1, "b"))
        ]
    )
    await asyncio.gather(*(BatchStore.over(signed.database).prepare() for _ in range(4)))
    log = await signed.open()
    store = BatchStore.over(signed.database)
    assert await store.numbered() == [(1, "b" * 12), (2, "a" * 12), (3, log.shard)]


async def test_a_number_that_is_missing_is_noticed(signed):
    checkpointer = await signed.start()
    logs = [await signed.open() for _ in range(3)]
    await signed.database.shards.delete_one({"_id": logs[1].shard})
    with pytest.raises(AuditInconsistentError, match="number"):
        await checkpointer.checkpoint()
