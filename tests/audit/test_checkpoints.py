"""Signing: what a roster covers, and that each follows from the last, whatever races or fails."""

import asyncio
from datetime import timedelta

import pytest

from audit import (
    AccessReader,
    AuditCorruptError,
    AuditInconsistentError,
    AuditUnavailableError,
    Roster,
    RosterStore,
    parse_note,
    verify_note,
)
from audit.batch import batch_id
from audit.checkpoint import require_chain
from audit.tree import EMPTY_ROOT
from tests.audit.faults import Plan
from tests.audit.signed_log import START, failing_rosters, make_record


async def stored_rosters(signed):
    return [parse_note(each.note) async for each in signed.rosters().each()]


async def test_a_roster_lists_every_shard_by_its_number_with_its_head(signed):
    checkpointer = await signed.start()
    first, second = await signed.open(), await signed.open()
    await signed.append(first, 3)
    roster = await checkpointer.checkpoint()
    assert [(each.number, each.shard, each.head, each.closed) for each in roster.entries] == [
        (1, first.shard, first.head(), False),
        (2, second.shard, second.head(), False),
    ]
    assert roster.entries[1].root == EMPTY_ROOT
    note = parse_note((await signed.rosters().read(1)).note)
    assert verify_note(note, [signed.public]) == (signed.public,)
    assert Roster.parse(note.text) == roster


async def test_rosters_follow_one_another_and_only_where_something_changed(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    made = [await checkpointer.checkpoint()]
    assert await checkpointer.checkpoint() == made[0]
    for count in (1, 5, 300):
        await asyncio.gather(*(log.append(make_record()) for _ in range(count)))
        made.append(await checkpointer.checkpoint())
    made.append(await checkpointer.checkpoint(always=True))
    require_chain(made)
    assert [each.sequence for each in made] == [1, 2, 3, 4, 5]
    assert [each.entries[0].size for each in made] == [0, 1, 6, 306, 306]
    assert made[-1].entries[0].head == log.head()


async def test_a_log_without_shards_is_signed_too(signed):
    assert (await (await signed.start()).checkpoint()).entries == ()


async def test_the_head_a_roster_has_is_the_one_that_recomputing_finds(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    for _ in range(3):
        await asyncio.gather(*(log.append(make_record()) for _ in range(50)))
    (entry,) = (await checkpointer.checkpoint()).entries
    check = await AccessReader.over(signed.database, now=lambda: START).verify_shard(entry.shard, known=entry.head)
    assert check
    assert check.head == entry.head


@pytest.mark.parametrize("days", [10, -10])
async def test_a_clock_that_jumps_ten_days_changes_what_is_said_and_not_what_holds(signed, days):
    checkpointer = await signed.start()
    log = await signed.open()
    made = []
    for jump in (0, days, 0):
        signed.time = START + timedelta(days=jump)
        await signed.append(log)
        made.append(await checkpointer.checkpoint())
    require_chain(made)
    assert made[1].time == f"2026-05-{14 + days:02d}T09:30:00.000000Z"
    await signed.checkpointer().check_witness()


async def test_two_processes_at_once_make_one_chain_and_lose_nothing(signed):
    await signed.start()
    logs = [await signed.open() for _ in range(3)]
    processes = [signed.checkpointer() for _ in range(3)]

    async def work(process, log):
        for _ in range(5):
            await signed.append(log)
            await process.checkpoint()

    await asyncio.gather(*(work(*pair) for pair in zip(processes, logs, strict=True)))
    notes = await stored_rosters(signed)
    rosters = [Roster.parse(note.text) for note in notes]
    require_chain(rosters)
    assert [each.size for each in rosters[-1].entries] == [5, 5, 5]
    assert len([name for name in signed.files() if name.startswith("roster")]) == len(rosters)


async def test_the_loser_of_a_race_goes_on_from_the_winners_roster(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    rival = signed.checkpointer()

    class Beaten(RosterStore):
        beaten = False

        async def insert(self, roster):
            if not self.beaten:
                self.beaten = True
                await signed.append(log)
                await rival.checkpoint()
            return await super().insert(roster)

    store = Beaten.over(signed.database)
    slow = signed.checkpointer(rosters=store)
    await signed.append(log)
    assert (await slow.checkpoint()).sequence == 1  # the rival's covers all there is
    await signed.append(log)
    store.beaten = False
    made = await slow.checkpoint(always=True)
    assert made.sequence == 3
    assert made.entries[0].size == 4
    assert (await checkpointer.checkpoint()).sequence == 3


async def test_a_roster_whose_insert_is_lost_is_reported_and_made_again(signed):
    await signed.start()
    log = await signed.open()
    await signed.append(log)
    store, _ = failing_rosters(signed.database, Plan.LOST)
    checkpointer = signed.checkpointer(rosters=store)
    with pytest.raises(AuditUnavailableError):
        await checkpointer.checkpoint()
    assert await signed.rosters().read(1) is None
    assert not [name for name in signed.files() if name.startswith("roster")]
    assert (await checkpointer.checkpoint()).sequence == 1


async def test_a_roster_whose_insert_is_done_but_reported_as_failed_counts(signed):
    await signed.start()
    log = await signed.open()
    await signed.append(log)
    store, _ = failing_rosters(signed.database, Plan.UNREPORTED)
    assert (await signed.checkpointer(rosters=store).checkpoint()).sequence == 1
    assert len(await stored_rosters(signed)) == 1


async def test_a_roster_that_lands_late_is_gone_on_from(signed):
    await signed.start()
    log = await signed.open()
    await signed.append(log)
    store, catch_up = failing_rosters(signed.database, Plan.LATE)
    checkpointer = signed.checkpointer(rosters=store)
    with pytest.raises(AuditUnavailableError):
        await checkpointer.checkpoint()
    signed.time += timedelta(seconds=1)
    await signed.append(log)
    await catch_up()
    made = await checkpointer.checkpoint()
    assert (made.sequence, made.entries[0].size) == (2, 2)
    require_chain([Roster.parse(each.text) for each in await stored_rosters(signed)])


async def test_what_was_signed_and_is_gone_is_not_signed_away(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log, 3)
    await checkpointer.checkpoint()
    await signed.database.batches.delete_one({"_id": batch_id(log.shard, 2)})
    with pytest.raises(AuditInconsistentError, match="shard 1 holds less"):
        await checkpointer.checkpoint(always=True)
    assert await signed.rosters().read(2) is None


async def test_what_was_signed_and_is_rewritten_is_not_signed_again(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log, 2)
    await checkpointer.checkpoint()
    other = await signed.open()
    await signed.append(other, 3)
    await signed.database.batches.delete_many({"shard": log.shard})
    for document in await signed.database.batches.find({"shard": other.shard}).to_list(None):
        document |= {"_id": batch_id(log.shard, document["first"]), "shard": log.shard}
        await signed.database.batches.insert_one(document)
    with pytest.raises(AuditInconsistentError, match="shard 1 is not what"):
        await checkpointer.checkpoint()


@pytest.mark.parametrize("change", ["missing", "leaves", "edge", "root"])
async def test_what_did_not_grow_out_of_what_was_signed_is_not_signed(signed, change):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log, 1)
    await checkpointer.checkpoint()
    await signed.append(log, 3)
    name = {"_id": batch_id(log.shard, 2)}
    batch = await signed.database.batches.find_one(name)
    if change == "missing":
        await signed.database.batches.delete_one(name)
    elif change == "edge":
        await signed.database.batches.update_one(name, {"$set": {"edge": [bytes(32) for _ in batch["edge"]]}})
    else:
        await signed.database.batches.update_one(name, {"$set": {change: bytes(32)}})
    with pytest.raises(AuditCorruptError):
        await checkpointer.checkpoint()
    await signed.database.batches.replace_one(name, batch, upsert=True)
    assert (await checkpointer.checkpoint()).entries[0].size == 4


async def test_a_roster_that_the_log_did_not_sign_is_not_gone_on_from(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    await signed.open()
    made = await signed.rosters().read(1)
    changed = made.note.replace(b"T09:30", b"T09:31")
    await signed.database.rosters.update_one({"_id": 1}, {"$set": {"note": changed}})
    with pytest.raises(AuditCorruptError):
        await signed.checkpointer(witness=False).checkpoint()


async def test_a_missing_roster_is_noticed(signed):
    checkpointer = await signed.start()
    for _ in range(6):
        await checkpointer.checkpoint(always=True)
    await signed.database.rosters.delete_one({"_id": 3})
    with pytest.raises(AuditCorruptError):
        await signed.checkpointer(witness=False).checkpoint()


async def test_the_newest_roster_is_found_from_wherever_one_begins(signed):
    checkpointer = await signed.start()
    store = signed.rosters()
    for sequence in range(1, 12):
        assert await store.newest() == sequence - 1
        await checkpointer.checkpoint(always=True)
        for known in range(sequence + 1):
            assert await store.newest(known) == sequence
