"""Comparing the witness directory with the database at a start: what it lacks, and who else is at work meanwhile."""

import asyncio

import pytest

from audit import RosterStore, WitnessCorruptError, WitnessLackingError, WitnessNewError
from tests.audit.test_witness_directory import grown


async def start_check(signed, **options):
    """What a start is told."""
    told = []
    checkpointer = signed.checkpointer(**options)
    checkpointer.on_unwitnessed = told.append
    await checkpointer.check_witness()
    return checkpointer, [type(each) for each in told]


async def test_an_emptied_directory_is_filled_by_nobody_but_who_adopts_it(signed):
    await grown(signed)
    whole = signed.files()
    assert (await start_check(signed))[1] == [], "the control"
    for name in whole.keys() - {"witness.txt"}:
        (signed.witness_path / name).unlink()
    for refused in (signed.checkpointer().check_witness, signed.checkpointer().checkpoint):
        with pytest.raises(WitnessNewError, match="confide audit adopt-witness"):
            await refused()
        assert signed.files().keys() == {"witness.txt"}, "nothing was written"
    with pytest.raises(WitnessNewError):
        await signed.checkpointer().rotate_key()
    newest = await signed.rosters().newest()
    await signed.checkpointer().adopt_witness()
    assert signed.files() == whole
    assert (await start_check(signed))[1] == []
    assert await signed.rosters().newest() == newest, "and nothing was signed meanwhile"


async def test_the_first_roster_of_all_may_be_missing_after_a_crash(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    whole = signed.files()
    (signed.witness_path / "roster-000000000001.note").unlink()
    assert (await start_check(signed))[1] == [WitnessLackingError]
    await signed.checkpointer().checkpoint()
    assert signed.files() == whole


@pytest.mark.parametrize("left", [1, 2])
async def test_a_directory_that_lost_its_rosters_is_told_of_at_the_start_and_filled_again(signed, left):
    await grown(signed)
    whole = signed.files()
    assert (await start_check(signed))[1] == [], "the control"
    for name in [each for each in whole if each.startswith("key") or each[7:19] > f"{left:012d}"]:
        (signed.witness_path / name).unlink(missing_ok=name != "witness.txt")
    (signed.witness_path / "witness.txt").write_bytes(whole["witness.txt"])
    checkpointer, told = await start_check(signed)
    assert told == [WitnessLackingError]
    await checkpointer.checkpoint()
    assert signed.files() == whole
    assert (await start_check(signed))[1] == []


async def test_a_lost_key_change_is_told_of_and_written_again(signed):
    await grown(signed)
    whole = signed.files()
    (signed.witness_path / "key-000000000001.note").unlink()
    checkpointer, told = await start_check(signed)
    assert told == [WitnessLackingError]
    await checkpointer.checkpoint()
    assert signed.files() == whole


async def test_one_roster_that_is_missing_is_told_of_be_it_a_crash_or_somebody_that_kept_it_away(signed):
    await grown(signed)
    whole = signed.files()
    (signed.witness_path / "roster-000000000003.note").unlink()
    checkpointer, told = await start_check(signed)
    assert told == [WitnessLackingError]
    await checkpointer.checkpoint()
    assert signed.files() == whole


async def test_one_roster_that_another_process_is_just_writing_is_nothing_to_tell(signed):
    await grown(signed)
    last = signed.witness_path / "roster-000000000003.note"
    note = last.read_bytes()
    last.unlink()
    start = asyncio.create_task(start_check(signed))
    await asyncio.sleep(0.3)
    last.write_bytes(note)
    assert (await start)[1] == []


async def test_a_process_that_runs_misses_the_roster_it_wrote_last(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    await checkpointer.checkpoint(always=True)
    (signed.witness_path / "roster-000000000002.note").unlink()
    with pytest.raises(WitnessCorruptError, match="roster-000000000002"):
        await checkpointer.checkpoint(always=True)


async def test_a_key_that_changes_while_a_server_starts_stops_neither(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()

    class Turning(RosterStore):
        turned = 0

        async def read(self, sequence):
            found = await super().read(sequence)  # the last thing of a state
            if not self.turned:
                self.turned += 1
                self.change = await checkpointer.rotate_key()  # by another process, once this one has read
            return found

    store = Turning.over(signed.database)
    assert (await start_check(signed, rosters=store))[1] == []
    assert store.change.new == (await signed.keys().load()).current.verifier
    store.turned = 0
    await signed.checkpointer(rosters=store).checkpoint(always=True)
    assert (await signed.rosters().newest()) == 4
