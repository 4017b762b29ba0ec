"""An export of a hundred thousand entries takes no more memory than a small one, and lets everything else go on."""

import asyncio
import time
import tracemalloc

import pytest

from audit import BundleForm, encode_record, export_bundle, verify_bundle
from audit.batch import MAX_RECORDS, Batch
from audit.roster_store import StoredRoster
from audit.tree import Edge, leaf_hash
from tests.audit.bundles import START, Log, record

SHARD = "ab" * 6


class Large:
    """A log of one shard, whose batches are made as they are read: none is kept."""

    def __init__(self, count, step=MAX_RECORDS):
        some = [encode_record(record(number)) for number in range(step)]
        self.log, self.step = Log(), step
        self.log.shards[SHARD] = (some * (count // step + 1))[:count]
        self.log.sign()
        self.leaves = tuple(map(leaf_hash, some))

    async def batches(self, shard, size):
        edge = Edge()
        records = self.log.shards[shard]
        while edge.size < size:
            first, some = edge.size, tuple(records[edge.size : edge.size + self.step])
            leaves = self.leaves[: len(some)]
            edge = edge.extend(leaves)
            yield Batch(shard, first, edge, leaves, some, {})

    async def each(self):
        yield StoredRoster(1, self.log.rosters[0])


async def export(source, path, form=BundleForm.JSONL):
    with path.open("wb") as out:
        await export_bundle(source, source, out, now=lambda: START, form=form, directory=path.parent)


async def peak_of(count, path):
    source = Large(count)
    tracemalloc.start()
    await export(source, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


async def test_memory_is_the_same_for_ten_thousand_entries_and_for_a_hundred_thousand(tmp_path):
    path = tmp_path / "bundle.zip"
    small = await peak_of(10_000, path)
    large = await peak_of(100_000, path)
    assert large < small + 256 * 1024, (small, large)
    found = verify_bundle(path, Large(1).log.trusted)
    assert found, found.faults
    assert found.records == 100_000


async def lateness(work):
    """How late the event loop comes to what is due, in seconds, while the work is done: all measures, sorted."""
    late, going = [], True

    async def watch():
        while going:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append(time.perf_counter() - began - 0.002)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    await work
    going = False
    await watching
    return sorted(late)


@pytest.mark.parametrize("form", [BundleForm.JSONL, BundleForm.CSV])
async def test_requests_go_on_while_a_hundred_thousand_entries_are_exported(tmp_path, form):
    late = await lateness(export(Large(100_000), tmp_path / "bundle.zip", form))
    assert len(late) > 50
    # Bounds for a machine that is busy with other things as well.
    assert late[len(late) // 2] < 0.03
    assert late[-1] < 0.5


async def test_work_that_holds_the_loop_is_seen():
    """Negative control."""

    async def holding():
        for _ in range(60):
            await asyncio.sleep(0)
            time.sleep(0.04)  # noqa: ASYNC251 - that is what shall be seen

    late = await lateness(holding())
    assert late[len(late) // 2] > 0.03
