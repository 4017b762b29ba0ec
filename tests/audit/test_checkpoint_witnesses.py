"""Witnesses on other machines that are slow, away, wrong or ahead: what they hold up, and what they do not."""

import asyncio
import time

import pytest

from audit import (
    AuditBehindWitnessError,
    AuditInconsistentError,
    Checkpoint,
    KeyKind,
    Receipt,
    SigningKey,
    SigningKeyError,
    WitnessError,
    WitnessRefusedError,
    WitnessUnreachableError,
    WitnessUnwritableError,
)
from audit.witness_directory import WitnessDirectory

WITNESS = SigningKey.from_seed("witness.example/w1", b"w" * 32, KeyKind.COSIGNATURE)


class Memory:
    """A witness that keeps the largest size of each tree, and does what it is told before it answers."""

    def __init__(self):
        self.sizes = {}
        self.asked = 0
        self.before = None

    async def cosign(self, checkpoint, consistency):
        self.asked += 1
        if self.before is not None:
            await self.before()
        wanted = Checkpoint.parse(checkpoint.text)
        old = self.sizes.get(wanted.origin, 0)
        if old > wanted.size:
            raise AuditBehindWitnessError("the witness has signed more")
        await consistency(old)
        self.sizes[wanted.origin] = wanted.size
        return (WITNESS.cosign(checkpoint.text, 1),)


def failing(error):
    witness = Memory()

    async def fail():
        raise error

    witness.before = fail
    return witness


def told_by(checkpointer):
    told = []
    checkpointer.on_unwitnessed = told.append
    return told


@pytest.fixture
async def log(signed):
    await signed.start()
    made = await signed.open()
    await signed.append(made)
    return made


async def forever():
    await asyncio.Event().wait()


async def test_a_witness_that_never_ends_its_answer_holds_up_nothing_for_long(signed, log):
    witness = Memory()
    witness.before = forever
    checkpointer = signed.checkpointer(cosigners=[witness], cosign_seconds=0.3)
    told = told_by(checkpointer)
    began = time.monotonic()
    await checkpointer.checkpoint()
    await checkpointer.check_witness()
    assert time.monotonic() - began < 3
    assert [type(each) for each in told] == [WitnessUnreachableError] * 2
    witness.before = None
    await checkpointer.checkpoint()
    assert await signed.rosters().cosigned(log.shard, 1), "the control: it is given what it missed"


async def test_the_log_is_signed_while_a_witness_is_being_asked(signed, log):
    witness, reached = Memory(), asyncio.Event()

    async def hang():
        reached.set()
        await forever()

    witness.before = hang
    checkpointer = signed.checkpointer(cosigners=[witness], cosign_seconds=60)
    first = asyncio.create_task(checkpointer.checkpoint())
    await reached.wait()
    await signed.append(log)
    second = asyncio.create_task(checkpointer.checkpoint())
    for _ in range(500):
        if await signed.rosters().newest() == 2:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the second checkpoint waits for the first")
    for task in (first, second):
        task.cancel()
    await asyncio.wait([first, second])


async def test_many_shards_and_a_slow_witness_take_no_longer_than_a_round(signed, log):
    for _ in range(4):
        await signed.append(await signed.open())
    witness = Memory()
    witness.before = lambda: asyncio.sleep(0.2)
    checkpointer = signed.checkpointer(cosigners=[witness], cosign_seconds=0.3)
    told = told_by(checkpointer)
    began = time.monotonic()
    await checkpointer.checkpoint()
    assert time.monotonic() - began < 2
    assert [type(each) for each in told] == [WitnessUnreachableError]
    for _ in range(3):
        await checkpointer.checkpoint()
    assert len(witness.sizes) == 5, "each round goes on where the last one ended"


@pytest.mark.parametrize("error", [WitnessUnreachableError("away"), WitnessRefusedError("who is that?")])
async def test_receipts_checkpoints_and_starts_do_not_need_the_other_machine(signed, log, error):
    witness = failing(error)
    checkpointer = signed.checkpointer(cosigners=[witness])
    told = told_by(checkpointer)
    (entry_id,) = await signed.append(log)
    assert Receipt.parse(await checkpointer.receipt(entry_id)).verify([signed.public]).size == 2
    assert (await checkpointer.checkpoint(always=True)).sequence == 2
    assert (await checkpointer.check_witness()).sequence == 2
    assert told == [error] * 3
    assert witness.asked == 3, "who fails is not asked about every shard"
    witness.before = None
    await checkpointer.checkpoint()
    assert Receipt.parse(await checkpointer.receipt(entry_id)).verify([WITNESS.verifier]).size == 2


async def test_the_other_machines_failure_is_told_and_the_directorys_is_raised(signed, log, monkeypatch):
    checkpointer = signed.checkpointer(cosigners=[failing(WitnessUnreachableError("away"))])
    told = told_by(checkpointer)

    def full(*_arguments):
        raise WitnessUnwritableError("full")

    monkeypatch.setattr(WitnessDirectory, "write_roster", full)
    with pytest.raises(WitnessUnwritableError):
        await checkpointer.checkpoint()
    assert [type(each) for each in told] == [WitnessUnreachableError]
    assert await signed.rosters().newest() == 1


async def test_a_server_that_starts_while_another_has_more_signed_is_not_behind(signed, log):
    witness = Memory()
    other = signed.checkpointer(cosigners=[witness])
    await other.checkpoint()
    starting = Memory()
    starting.sizes = witness.sizes

    async def overtaken():
        if starting.asked <= 3:
            await signed.append(log)
            await other.checkpoint()

    starting.before = overtaken
    checkpointer = signed.checkpointer(cosigners=[starting])
    told = told_by(checkpointer)
    for call in (checkpointer.check_witness, lambda: checkpointer.checkpoint(always=True)):
        starting.asked = 0
        await signed.append(log)
        assert await call()
        assert starting.asked == 4
    assert told == []


async def test_a_larger_size_that_reading_again_does_not_explain_stops_a_start_and_is_told_later(signed, log):
    witness = failing(AuditBehindWitnessError("999999"))
    checkpointer = signed.checkpointer(cosigners=[witness])
    told = told_by(checkpointer)
    assert (await checkpointer.checkpoint()).sequence == 1
    assert [type(each) for each in told] == [AuditBehindWitnessError]
    with pytest.raises(AuditBehindWitnessError):
        await checkpointer.check_witness()


async def test_another_tree_stops_a_start_and_is_told_later(signed, log):
    checkpointer = signed.checkpointer(cosigners=[failing(AuditInconsistentError("another tree"))])
    told = told_by(checkpointer)
    await checkpointer.checkpoint()
    assert [type(each) for each in told] == [AuditInconsistentError]
    with pytest.raises(AuditInconsistentError):
        await checkpointer.check_witness()


async def test_a_change_of_keys_that_no_witness_could_be_given_is_done_once(signed, log, monkeypatch):
    checkpointer = signed.checkpointer(cosigners=[failing(WitnessRefusedError("which key?"))])
    await checkpointer.checkpoint()
    told = told_by(checkpointer)

    def full(*_arguments):
        raise WitnessUnwritableError("full")

    with monkeypatch.context() as patched:
        patched.setattr(WitnessDirectory, "write_roster", full)
        change = await checkpointer.rotate_key()
    assert [type(each) for each in told] == [WitnessUnwritableError]
    assert (await signed.keys().load()).current.verifier == change.new
    assert "key-000000000001.note" not in signed.files()
    await checkpointer.checkpoint()
    assert "key-000000000001.note" in signed.files()
    assert await checkpointer.check_witness()


async def test_a_timeout_of_what_the_lock_is_held_for_is_not_the_locks(signed):
    keys = signed.keys()
    with pytest.raises(TimeoutError):
        async with keys.locked(), asyncio.timeout(0):
            await forever()
    async with keys.locked():
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("audit.signing_keys._LOCK_SECONDS", 0.05)
            with pytest.raises(SigningKeyError, match="locked"):
                async with signed.keys().locked():
                    pass


async def test_a_directory_that_is_gone_is_raised_before_anything_is_signed(signed, log):
    witness = Memory()
    checkpointer = signed.checkpointer(cosigners=[witness])
    signed.witness_path.rename(signed.directory / "elsewhere")
    with pytest.raises(WitnessError):
        await checkpointer.checkpoint()
    assert witness.asked == 0
