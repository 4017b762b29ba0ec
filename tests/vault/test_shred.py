import asyncio
import contextlib
import os
import signal
import sys

import pytest

from tests.vault.population import ERASED, IDS, email, populate, readable, tombstones
from vault import (
    CustomerKeyExistsError,
    CustomerKeyMissingError,
    Epoch,
    ErasureStep,
    ErasureWithdrawnError,
    KeyRingStaleError,
    KeyState,
    KeyStoreStaleError,
    LeaseLostError,
    ShredInterruptedError,
    Tombstone,
)


@pytest.fixture
def documents(databases):
    return databases.main["documents"]


async def test_an_erased_customer_opens_in_no_process_and_everyone_else_does(vaults, documents, databases):
    one, other = await vaults(), await vaults()
    fingerprints = await populate(one, documents)
    assert await readable(other, documents) == set(IDS)
    erasure = await one.shred(ERASED)
    for vault in (one, other):
        assert await readable(vault, documents) == set(IDS) - {ERASED}
        assert await vault.blind.find("email", email(ERASED)) is None
        assert await vault.blind.find("email", email(IDS[0])) == IDS[0]
        async with vault.reading():
            assert (await vault.keys([ERASED]))[ERASED] is KeyState.ERASED
        with pytest.raises(CustomerKeyExistsError):
            await vault.create_keys([ERASED])
    assert erasure.fingerprints == (fingerprints[ERASED],)
    assert erasure.done is ErasureStep.FINISHED
    assert erasure.ring_version == one.contents.version == 2
    assert erasure.finished_at is not None
    record = await databases.keys["data_keys"].find_one({"_id": ERASED})
    assert set(record) == {"_id", "generation", "leaf", "fingerprint", "state", "erased_at"}


async def test_a_key_that_was_held_back_from_before_still_opens_so_reads_must_end(vault, documents):
    """The control for the drain: this is what a read in flight could do."""
    await populate(vault, documents)
    async with vault.reading():
        key = (await vault.keys([ERASED]))[ERASED]
    await vault.shred(ERASED)
    document = await documents.find_one({"_id": ERASED})
    assert key.open(document["sealed"]["contact"], "profiles", ERASED, "contact", 1)


async def test_an_erasure_waits_for_reads_in_flight_in_every_process(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    order = []
    async with other.reading():
        key = (await other.keys([ERASED]))[ERASED]
        erasing = asyncio.create_task(one.shred(ERASED))
        erasing.add_done_callback(lambda _: order.append("erased"))
        await asyncio.sleep(0.3)
        async with one.reading():
            assert (await one.keys([ERASED]))[ERASED] is KeyState.ERASING, "no new read gets the key"
        document = await documents.find_one({"_id": ERASED})
        assert key.open(document["sealed"]["contact"], "profiles", ERASED, "contact", 1)
        order.append("read")
    await erasing
    assert order == ["read", "erased"]


async def test_an_erased_customer_stays_erased_for_a_process_that_was_cut_off(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    await readable(other, documents)

    async def never(*_):
        raise OSError

    other.fleet._acknowledge = never
    other.fleet._renew = never
    other.fleet._tasks[0].cancel()
    await asyncio.wait_for(one.shred(ERASED), 10)
    with pytest.raises(LeaseLostError):
        await readable(other, documents)


async def test_erasing_twice_gives_the_same_erasure_and_calls_nothing(vault, documents):
    await populate(vault, documents)
    first = await vault.shred(ERASED)

    async def fail(step, erasure):
        pytest.fail("a step of an erasure that had finished")

    assert await vault.shred(ERASED, fail) == first
    assert await vault.resume_shreds(fail) == []


async def test_erasing_in_two_processes_at_once_erases_once(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    first, second = await asyncio.gather(one.shred(ERASED), other.shred(ERASED))
    assert (first.leaf, first.fingerprints) == (second.leaf, second.fingerprints)
    assert await readable(one, documents) == set(IDS) - {ERASED}
    assert one.contents.version == 2


async def test_many_erasures_at_once_all_finish(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    await asyncio.gather(*(vault.shred(each) for vault, each in zip([one, other] * 3, IDS[:6], strict=True)))
    for vault in (one, other):
        assert await readable(vault, documents) == set(IDS[6:])


async def test_there_is_nothing_to_erase_of_one_who_was_never_there(vault):
    with pytest.raises(CustomerKeyMissingError):
        await vault.shred("cus_nobody")


async def test_every_step_is_told_in_order_and_the_fingerprint_from_the_first(vault, documents):
    fingerprints = await populate(vault, documents)
    told = []

    async def on_step(step, erasure):
        told.append((step, erasure.fingerprints, erasure.ring_version))

    await vault.shred(ERASED, on_step)
    assert [step for step, _, _ in told] == list(ErasureStep)
    assert {fingerprint for _, fingerprint, _ in told} == {(fingerprints[ERASED],)}
    assert [version for _, _, version in told] == [None] * 3 + [2] * 5


async def test_an_erasure_that_is_withdrawn_as_it_begins_leaves_everything_as_it_was(vault, documents):
    await populate(vault, documents)

    async def withdraw(step, _erasure):
        if step is ErasureStep.INTENT:
            raise ErasureWithdrawnError

    with pytest.raises(ErasureWithdrawnError):
        await vault.shred(ERASED, withdraw)
    assert not await vault.is_being_erased([ERASED])
    assert await readable(vault, documents) == set(IDS)

    async def die(_step, _erasure):
        raise DeathError

    with pytest.raises(DeathError):
        await vault.shred(ERASED, die)
    assert await vault.is_being_erased([ERASED])
    assert await vault.resume_shreds(withdraw) == []
    assert not await vault.is_being_erased([ERASED])
    assert await readable(vault, documents) == set(IDS)
    await vault.shred(ERASED)
    assert await readable(vault, documents) == set(IDS) - {ERASED}


async def test_an_erasure_that_another_process_went_on_with_is_not_withdrawn_nor_one_gone_on_with_that_was(
    vaults, documents
):
    one, other = await vaults(), await vaults()
    await populate(one, documents)

    async def late(step, _erasure):
        if step is ErasureStep.INTENT:
            await other.shred(ERASED)
            raise ErasureWithdrawnError

    assert (await one.shred(ERASED, late)).customer_id == ERASED
    assert await readable(one, documents) == set(IDS) - {ERASED}
    second = next(each for each in IDS if each != ERASED)

    async def withdraw(step, _erasure):
        if step is ErasureStep.INTENT:
            raise ErasureWithdrawnError

    async def slow(step, _erasure):
        assert step is ErasureStep.INTENT, "it goes on though it was withdrawn"
        with pytest.raises(ErasureWithdrawnError):
            await other.shred(second, withdraw)

    with pytest.raises(ErasureWithdrawnError):
        await one.shred(second, slow)
    assert second in await readable(one, documents)


class DeathError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("before_work", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("fatal", list(ErasureStep))
async def test_an_erasure_that_dies_at_any_step_is_finished_by_the_next_start(
    vaults, documents, databases, fatal, before_work
):
    """Dies before a step's work, or with the work done and not recorded; resumed by a new process."""
    first = await vaults()
    fingerprints = await populate(first, documents)

    async def die(step, _erasure):
        if step is fatal:
            raise DeathError

    dying = die_before(first, fatal) if before_work else first.shred(ERASED, die)
    with pytest.raises(DeathError):
        await dying
    await first.stop()

    second = await vaults()
    told = []

    async def on_step(step, erasure):
        told.append(step)
        assert erasure.fingerprints == (fingerprints[ERASED],)

    if before_work and fatal is ErasureStep.INTENT:
        assert await second.resume_shreds(on_step) == [], "it was never begun"
        assert ERASED in await readable(second, documents)
        await second.shred(ERASED, on_step)
    else:
        (erasure,) = await second.resume_shreds(on_step)
        assert erasure.done is ErasureStep.FINISHED
        assert erasure.customer_id == ERASED
    assert told == list(ErasureStep)[list(ErasureStep).index(fatal) :]
    assert await readable(second, documents) == set(IDS) - {ERASED}
    assert await second.blind.find("email", email(ERASED)) is None
    assert all(ring.is_punctured(4) for ring in second.contents.rings)
    assert (await second.status()).erasures_open == 0
    again = await second.shred(ERASED)
    assert again.fingerprints == (fingerprints[ERASED],)


async def die_before(vault, fatal):
    """Erase, and end just before the work of one step."""
    shredder = vault._shredder
    names = {
        ErasureStep.INTENT: "_begin",
        ErasureStep.FENCED: "_fence",
        ErasureStep.DRAINED: "_drain",
        ErasureStep.PUNCTURED: "_destroy",
        ErasureStep.FOLLOWED: "_follow",
        ErasureStep.TOMBSTONED: "_bury",
        ErasureStep.RELEASED: "_release",
        ErasureStep.FINISHED: "_finish",
    }

    async def die(*_):
        raise DeathError

    setattr(shredder, names[fatal], die)
    await vault.shred(ERASED)


async def test_an_erasure_that_cannot_go_on_does_not_keep_the_others(vaults, documents):
    first = await vaults()
    await populate(first, documents)

    async def die(step, _erasure):
        raise DeathError

    for each in IDS[:3]:
        with pytest.raises(DeathError):
            await first.shred(each, die)

    async def stumble(step, erasure):
        if erasure.customer_id == IDS[0]:
            raise DeathError

    with pytest.raises(ShredInterruptedError):
        await first.resume_shreds(stumble)
    assert (await first.status()).erasures_open == 1
    assert await readable(first, documents) == set(IDS[3:]) | {IDS[0]}
    await first.resume_shreds()
    assert await readable(first, documents) == set(IDS[3:])


# ---- processes that do not answer


@contextlib.asynccontextmanager
async def process_of(site, uri, *options):
    """A process with a vault of its own, and a way to ask it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.vault.vault_process",
        site.main.name, site.keys.name, site.root_path.parent, ERASED, *options,
        env=os.environ | {"URI": uri}, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def ask(line):
        process.stdin.write(f"{line}\n".encode())
        return await hear()

    async def hear():
        return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()

    try:
        assert await hear() == "ready"
        yield process, ask
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()
        process._transport.close()


@pytest.mark.parametrize("careless", [False, True])
async def test_a_process_stopped_in_a_read_across_an_erasure_gives_nothing_out_when_it_wakes(
    vaults, site, documents, mongo_uri, careless
):
    """The careless process, which does not look at its lease, is the control: it would."""
    vault = await vaults()
    await populate(vault, documents)
    async with process_of(site, mongo_uri, *(["--careless"] if careless else [])) as (process, ask):
        assert await ask("read") == email(ERASED)
        assert await ask("hold") == "holding"
        process.send_signal(signal.SIGSTOP)
        await asyncio.wait_for(vault.shred(ERASED), 15)
        process.send_signal(signal.SIGCONT)
        assert await ask("use") == (email(ERASED) if careless else "LeaseLostError")
        assert await ask("read") == ("erased" if careless else "LeaseLostError")


async def test_a_process_in_the_middle_of_a_read_is_waited_for_and_follows(vaults, site, documents, mongo_uri):
    vault = await vaults()
    await populate(vault, documents)
    async with process_of(site, mongo_uri) as (_, ask):
        assert await ask("hold") == "holding"
        erasing = asyncio.create_task(vault.shred(ERASED))
        await asyncio.sleep(0.5)
        assert not erasing.done()
        assert await ask("use") == email(ERASED)
        await asyncio.wait_for(erasing, 10)
        assert await ask("read") == "erased"


# ---- what a backup brings back


async def test_a_newer_key_store_refuses_the_ring_of_before(vaults, site, documents):
    vault = await vaults()
    await populate(vault, documents)
    old = site.ring_path.read_bytes()
    await vault.shred(ERASED)
    await vault.stop()
    site.ring_path.write_bytes(old)
    with pytest.raises(KeyRingStaleError):
        await vaults()


async def test_a_leaf_that_a_restored_counter_gives_again_is_passed_over_when_it_is_punctured(
    vaults, documents, databases
):
    vault = await vaults()
    await populate(vault, documents)
    await vault.shred(ERASED)
    await databases.keys["data_keys"].delete_many({})
    await databases.keys["control"].update_one({"_id": "leaves"}, {"$set": {"next": 0}})
    await databases.keys["erasures"].delete_many({})
    restored = await vaults()
    created = await restored.create_keys(IDS)
    assert 4 not in {key.leaf for key in created.values()}
    assert len(created) == len(IDS)


async def test_purging_takes_any_number_of_tombstones_and_touches_nobody_else(vault, documents):
    await populate(vault, documents)
    erasures = [await vault.shred(each) for each in IDS[:2]]

    async def many():
        for _ in range(1100):
            async for each in tombstones(*erasures):
                yield each

    assert set(await vault.purge_returned(many())) == set(IDS[:2])
    assert await readable(vault, documents) == set(IDS[2:])
    with pytest.raises(KeyRingStaleError):
        await vault.purge_returned(one_more())


async def test_a_key_store_that_has_no_record_of_an_erased_leaf_is_refused_until_it_is_told(vaults, documents):
    vault = await vaults()
    await populate(vault, documents)
    erasures = [await vault.shred(each) for each in IDS[:2]]
    assert await vault.unknown_tombstones(tombstones(*erasures)) == [], "the control: both have records"
    await vault._keys.records.delete_one({"_id": IDS[0]})
    with pytest.raises(KeyStoreStaleError):
        await vault.purge_returned(tombstones(*erasures))
    unknown = await vault.unknown_tombstones(tombstones(*erasures, *erasures))
    assert [each.leaf for each in unknown] == [erasures[0].leaf]
    assert await vault.without_key(IDS[:3]) == [IDS[0]]
    for _ in range(2):
        await vault.bury_unknown(unknown)
    assert set(await vault.purge_returned(tombstones(*erasures))) == {f"leaf:{erasures[0].leaf}", IDS[1]}
    assert await readable(vault, documents) == set(IDS[2:])
    with pytest.raises(KeyRingStaleError):
        await vault.unknown_tombstones(one_more())


async def one_more():
    yield Tombstone(leaf=7, fingerprint="f" * 32)


async def test_other_epochs_are_untouched_by_an_erasure(vaults, documents):
    loaded = []

    async def load():
        loaded.append(True)

    vault = await vaults()
    vault.fleet.on(Epoch.POLICY, load)
    await populate(vault, documents)
    await vault.shred(ERASED)
    assert loaded == []
