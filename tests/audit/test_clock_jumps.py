"""A clock that jumps ten days, forwards or back: what is said changes, what can be proved does not."""

from datetime import timedelta

import pytest

from audit import AccessQuery, EntryId, Receipt, check_log, export_bundle, timestamp, verify_bundle
from tests.audit.signed_log import START, make_record
from tests.audit.test_second_verifier import second

JUMPS = ((0, 10, 0), (0, -10, 0), (10, 0, -10), (-10, 10, -10))


async def append(signed, log, days):
    """Three records as of a day, and a roster of that day."""
    signed.time = START + timedelta(days=days)
    times = [signed.time + timedelta(seconds=second) for second in range(3)]
    return [await log.append(make_record(time=timestamp(time))) for time in times]


@pytest.mark.parametrize("jumps", JUMPS)
async def test_after_a_jump_the_log_is_whole_and_both_verifiers_say_so(signed, tmp_path, jumps):
    checkpointer = await signed.start()
    log = await signed.open()
    for days in jumps:
        entries = await append(signed, log, days)
        await checkpointer.checkpoint()
    found = await check_log(signed.reader(), signed.rosters(), signed.keys(), signed.checkpointer())
    assert found, found.faults
    receipt = Receipt.parse(await checkpointer.receipt(entries[0]))
    receipt.verify([signed.public])

    day = START + timedelta(days=jumps[1], hours=-1), START + timedelta(days=jumps[1], hours=1)
    for query in (None, AccessQuery(since=day[0], until=day[1])):
        path = tmp_path / "bundle.zip"
        with path.open("wb") as file:
            await export_bundle(signed.reader(), signed.rosters(), file, now=lambda: signed.time, query=query)
        verdict = verify_bundle(path, str(signed.public), witness=signed.witness_path)
        assert verdict, verdict.faults
        assert verdict.records == (9 if query is None else 3)
        assert second(path, str(signed.public), signed.witness_path)


@pytest.mark.parametrize("jumps", JUMPS)
async def test_after_a_jump_every_record_is_found_once_by_its_own_time(signed, jumps):
    await signed.start()
    log = await signed.open()
    for days in jumps:
        await append(signed, log, days)
    reader = signed.reader()
    for days in (-10, 0, 10):
        day = START + timedelta(days=days)
        query = AccessQuery(actor="agent-1", since=day, until=day + timedelta(hours=1))
        assert len((await reader.search(query)).entries) == 3 * jumps.count(days)
    everything, after = [], None
    while True:
        page = await reader.search(AccessQuery(), after=after, limit=2)
        everything += page.entries
        if (after := page.next) is None:
            break
    assert {entry.id for entry in everything} == {EntryId(log.shard, index) for index in range(9)}
    assert [entry.record.time for entry in everything] == sorted((e.record.time for e in everything), reverse=True)


async def test_a_jump_closes_no_shard_that_is_alive(signed):
    """Whether a process is taken for dead is decided by a clock that never goes back."""
    checkpointer = await signed.start()
    log = await signed.open()
    for days in (0, 10, -10, 0):
        await append(signed, log, days)
        assert await checkpointer.close_abandoned() == []
    assert log.head().size == 12
