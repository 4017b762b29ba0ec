"""Changing the signing key while others sign, and when it fails midway."""

import asyncio

import pytest

from audit import (
    AuditUnavailableError,
    Roster,
    SigningKeyStaleError,
    parse_note,
    verify_note,
)
from audit.history import History
from audit.signing import verify_key_change
from tests.audit.faults import Plan
from tests.audit.signed_log import failing_rosters


async def stored_rosters(signed):
    return [parse_note(each.note) async for each in signed.rosters().each()]


async def test_after_a_key_change_rosters_are_signed_by_the_new_key_and_the_chain_leads_there(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log)
    await checkpointer.checkpoint()
    change = await checkpointer.rotate_key()
    await signed.append(log)
    await signed.checkpointer().checkpoint()
    assert change.old == signed.public
    first, second, third = await stored_rosters(signed)
    assert verify_note(first, [change.old])
    assert verify_note(second, [change.old])
    assert verify_note(third, [change.new])
    assert change.roster == Roster.parse(second.text).digest()
    stored = parse_note(signed.files()["key-000000000001.note"])
    assert verify_key_change(stored, signed.public) == change
    loaded = await signed.keys().load()
    assert (loaded.first, loaded.current.verifier, loaded.next) == (signed.public, change.new, None)


async def test_keys_change_many_times(signed):
    checkpointer = await signed.start()
    changes = [await checkpointer.rotate_key() for _ in range(4)]
    trusted = signed.public
    for number in range(1, 5):
        note = parse_note(signed.files()[f"key-{number:012d}.note"])
        trusted = verify_key_change(note, trusted).new
    assert trusted == changes[-1].new
    state = await History(signed.rosters(), "main").state(signed.public)
    assert (state.chain.changes, state.chain.tip) == (4, trusted)
    assert await signed.checkpointer().check_witness() == state.newest.roster


async def test_two_processes_that_change_the_key_at_once_change_it_twice_and_lose_no_key(signed):
    await signed.start()
    log = await signed.open()
    await asyncio.gather(signed.checkpointer().rotate_key(), signed.checkpointer().rotate_key(), signed.append(log))
    assert (await signed.checkpointer().checkpoint()).entries[0].size == 1
    assert (await History(signed.rosters(), "main").state(signed.public)).chain.changes == 2


async def test_a_process_that_signs_while_the_key_changes_uses_the_right_one(signed):
    await signed.start()
    log = await signed.open()
    other = signed.checkpointer()

    async def sign():
        for _ in range(6):
            await signed.append(log)
            await other.checkpoint()

    await asyncio.gather(sign(), signed.checkpointer().rotate_key())
    assert await signed.checkpointer().check_witness()
    history = History(signed.rosters(), "main")
    state = await history.state(signed.public)
    assert [each async for each, _ in history.each(1, state.sequence, state.chain)]


@pytest.mark.parametrize("plan", [Plan.LOST, Plan.UNREPORTED, Plan.LATE])
async def test_a_key_change_that_fails_midway_loses_neither_key(signed, plan):
    await signed.start()
    log = await signed.open()
    store, catch_up = failing_rosters(signed.database, plan)
    checkpointer = signed.checkpointer(rosters=store)
    if plan is Plan.UNREPORTED:
        await checkpointer.rotate_key()
    else:
        with pytest.raises(AuditUnavailableError):
            await checkpointer.rotate_key()
        await catch_up()
    await signed.append(log)
    assert (await signed.checkpointer().checkpoint()).entries[0].size == 1
    state = await History(signed.rosters(), "main").state(signed.public)
    loaded = await signed.keys().load()
    assert state.chain.changes == (plan is not Plan.LOST)
    assert loaded.current.verifier == state.chain.tip
    await signed.checkpointer().rotate_key()
    assert (await History(signed.rosters(), "main").state(signed.public)).chain.changes == state.chain.changes + 1


async def test_an_old_copy_of_the_key_file_does_not_sign(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    copy = signed.key_path.read_bytes()
    await checkpointer.rotate_key()
    signed.key_path.write_bytes(copy)
    with pytest.raises(SigningKeyStaleError):
        await signed.checkpointer().checkpoint(always=True)
