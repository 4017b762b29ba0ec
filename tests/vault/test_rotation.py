import asyncio
import os

import pytest

from tests.vault.population import ERASED, IDS, email, populate, readable, tombstones
from vault import (
    EnvironmentRootKey,
    FleetError,
    KeyRingForeignError,
    Rotation,
    RotationInProgressError,
    RotationInterruptedError,
    root_key_text,
)
from vault import rotation as module
from vault.errors import RootKeyRefusedError


class DeathError(Exception):
    """The process ends here."""


@pytest.fixture
def documents(databases):
    return databases.main["documents"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several batches for a dozen customers."""
    monkeypatch.setattr(module, "_LEAVES_AT_ONCE", 5)


async def records_of(databases):
    return await databases.keys["data_keys"].find({}).to_list(None)


async def entries():
    for customer_id in IDS:
        yield customer_id, [("email", email(customer_id))]


# ---- the root key


async def test_a_rotated_root_key_is_needed_from_then_on_and_the_old_one_is_refused(vaults, site, documents):
    vault = await vaults()
    await populate(vault, documents)
    new = EnvironmentRootKey("ROOT", {"ROOT": root_key_text(os.urandom)}, random=os.urandom)
    await vault.rotate_root(new)
    assert (await vault.status()).root_key == new.describe()
    assert await readable(vault, documents) == set(IDS), "the same process goes on"
    with pytest.raises(RootKeyRefusedError):
        await vaults()
    assert await readable(await vaults(root_keys=[new]), documents) == set(IDS)


async def test_processes_that_have_both_root_keys_go_on_over_a_rotation(vaults, site, documents):
    new = EnvironmentRootKey("ROOT", {"ROOT": root_key_text(os.urandom)}, random=os.urandom)
    one = await vaults()
    other = await vaults(root_keys=[*one._file._root_keys, new])
    await populate(one, documents)
    await one.rotate_root(new)
    await one.shred(ERASED)
    for vault in (one, other):
        assert await readable(vault, documents) == set(IDS) - {ERASED}


# ---- the ring


async def test_rotating_the_ring_rewraps_every_key_and_gives_up_the_old_ring(vaults, documents, databases):
    one, other = await vaults(), await vaults()
    fingerprints = await populate(one, documents)
    (old,) = one.contents.rings
    before = await records_of(databases)
    told = []
    await one.rotate_ring(lambda done, total: told.append((done, total)))
    for vault in (one, other):
        assert len(vault.contents.rings) == 1
        assert vault.contents.rings[0].ring_id != old.ring_id
        assert await readable(vault, documents) == set(IDS)
        async with vault.reading():
            keys = await vault.keys(IDS)
        assert {customer_id: key.fingerprint for customer_id, key in keys.items()} == fingerprints
    after = await records_of(databases)
    assert {bytes(record["ring"]) for record in after} == {one.contents.rings[0].ring_id}
    assert not {record["wrapped"] for record in before} & {record["wrapped"] for record in after}
    total = told[-1][1]
    assert [done for done, _ in told] == [*range(5, total, 5), total]
    assert await one._rotator.running() == []
    await databases.keys["data_keys"].replace_one({"_id": IDS[0]}, before[0])
    with pytest.raises(KeyRingForeignError):
        await readable(other, documents)


async def test_everything_is_readable_while_the_ring_is_rotated(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    rotating = asyncio.create_task(one.rotate_ring())
    reads = 0
    while not rotating.done():
        for vault in (one, other):
            assert await readable(vault, documents) == set(IDS)
        reads += 1
    await rotating
    assert reads > 3


async def test_keys_created_while_the_ring_is_rotated_are_under_the_new_one(vaults, documents, databases):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    rotating = asyncio.create_task(one.rotate_ring())
    created = 0
    while not rotating.done():
        await other.create_keys([f"cus_later_{created}"])
        created += 1
    await rotating
    async with one.reading():
        assert len(await one.keys([f"cus_later_{number}" for number in range(created)])) == created > 1


async def test_an_erased_customer_stays_erased_over_a_rotation_of_the_ring(vaults, documents, databases):
    vault = await vaults()
    await populate(vault, documents)
    old_record = await vault._keys.record(ERASED)
    erasure = await vault.shred(ERASED)
    await vault.rotate_ring()
    assert vault.contents.rings[0].is_punctured(erasure.leaf)
    assert await vault.purge_returned(tombstones(erasure)) == [ERASED]
    await databases.keys["data_keys"].replace_one({"_id": ERASED}, old_record)
    with pytest.raises(KeyRingForeignError):
        await readable(vault, documents)
    assert await vault.purge_returned(tombstones(erasure)) == [ERASED]
    assert await readable(vault, documents) == set(IDS) - {ERASED}


@pytest.mark.parametrize("late", [0, 1, 2, 3])
async def test_an_erasure_in_the_middle_of_a_rotation_is_not_undone_by_it(vaults, documents, databases, late):
    """The key was read to be rewrapped, by either ring; the erasure runs; then the rewrapping is written."""
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    rewrap, erasures = one._keys.rewrap, []

    async def rewrap_late(record, ring):
        if record["_id"] == ERASED and not erasures:
            erasures.append(asyncio.create_task(other.shred(ERASED)))
            await asyncio.sleep(0.1 * late)
        return await rewrap(record, ring)

    one._keys.rewrap = rewrap_late
    await one.rotate_ring()
    await asyncio.wait_for(erasures[0], 10)
    for vault in (one, other):
        assert await readable(vault, documents) == set(IDS) - {ERASED}
        assert all(ring.is_punctured(4) for ring in vault.contents.rings)
    record = await one._keys.record(ERASED)
    assert record["state"] == "erased"
    assert "wrapped" not in record


async def test_a_rewrapping_that_comes_after_an_erasure_changes_nothing(vault, documents, databases):
    """The compare-and-set itself, and what would happen without it."""
    await populate(vault, documents)
    record = await vault._keys.record(ERASED)
    fresh = module.KeyRing.fresh(os.urandom)
    rings = vault.contents.rings
    await vault._keys.fence(ERASED)
    assert await vault._keys.rewrap(record, fresh) is False
    await vault._keys.bury(ERASED, leaf=record["leaf"], generation=1, fingerprint=None)
    vault._keys.use(rings)
    assert await vault._keys.rewrap(record, fresh) is False
    assert "wrapped" not in await vault._keys.record(ERASED)
    await databases.keys["data_keys"].update_one({"_id": ERASED}, {"$set": {"wrapped": b"a rewrapping"}})
    assert "wrapped" in await vault._keys.record(ERASED), "the control: without the comparison it would be back"


@pytest.mark.parametrize("fatal", ["after the new ring", "in the middle", "before the old one goes", "at the end"])
async def test_a_rotation_of_the_ring_that_dies_goes_on_in_the_next_process(
    vaults, documents, databases, fatal, monkeypatch
):
    first = await vaults()
    await populate(first, documents)
    (oldest,) = first.contents.rings
    die_in_rotation(first, fatal, monkeypatch)
    with pytest.raises(DeathError):
        await first.rotate_ring()
    monkeypatch.undo()
    monkeypatch.setattr(module, "_LEAVES_AT_ONCE", 5)
    assert await readable(await vaults(), documents) == set(IDS), "both rings are usable meanwhile"
    await first.stop()
    second = await vaults()
    newest = second.contents.rings[0]
    assert newest.ring_id != oldest.ring_id
    assert (await second.status()).rotations == (Rotation.RING,)
    await second.rotate_ring()
    assert [ring.ring_id for ring in second.contents.rings] == [newest.ring_id], "the same rotation, not a new one"
    assert await readable(second, documents) == set(IDS)
    assert {bytes(record["ring"]) for record in await records_of(databases)} == {newest.ring_id}
    assert (await second.status()).rotations == ()


def die_in_rotation(vault, fatal, monkeypatch):
    async def die(*_, **__):
        raise DeathError

    rotator = vault._rotator
    if fatal == "after the new ring":
        monkeypatch.setattr(rotator, "_everybody_follows", die)
    elif fatal == "in the middle":
        rewrap = rotator._rewrap

        async def rewrap_once(start, end):
            await rewrap(start, end)
            monkeypatch.setattr(rotator, "_rewrap", die)

        monkeypatch.setattr(rotator, "_rewrap", rewrap_once)
    elif fatal == "before the old one goes":
        monkeypatch.setattr(vault._keys, "any_wrapped_by", die)
    else:
        note = rotator._note

        async def note_and_prepare(rotation, **facts):
            await note(rotation, **facts)
            if facts.get("next_leaf", 0) >= await vault._keys.leaves_taken():
                monkeypatch.setattr(vault.fleet, "advance", die)

        monkeypatch.setattr(rotator, "_note", note_and_prepare)


async def test_two_processes_do_not_rotate_at_once_and_one_may_take_over_when_the_other_is_gone(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    rotating = asyncio.create_task(one.rotate_ring())
    await asyncio.sleep(0.05)
    for vault in (one, other):
        with pytest.raises(RotationInProgressError):
            await vault.rotate_ring()
    await rotating
    await other.rotate_ring()
    assert await readable(one, documents) == set(IDS)


async def test_a_rotation_without_a_lease_does_not_rewrap(vaults, site, documents, databases):
    vault = await vaults()
    await populate(vault, documents)
    before = await records_of(databases)
    await vault.stop()
    with pytest.raises(FleetError):
        await vault.rotate_ring()
    assert await records_of(databases) == before


# ---- the index keys


async def test_rotating_the_index_moves_every_identifier_and_forgets_the_old_epoch(vaults, documents, databases):
    one, other = await vaults(), await vaults()
    await populate(one, documents)
    before = {row["_id"] for row in await databases.main["blind_index"].find({}).to_list(None)}
    told = []
    await one.rotate_index(entries(), total=len(IDS), progress=lambda done, total: told.append((done, total)))
    assert told == [(number, len(IDS)) for number in range(1, len(IDS) + 1)]
    for vault in (one, other):
        assert tuple(vault.contents.index_keys) == (2,)
        for customer_id in IDS:
            assert await vault.blind.find("email", email(customer_id)) == customer_id
    rows = await databases.main["blind_index"].find({}).to_list(None)
    assert not before & {row["_id"] for row in rows}
    assert {row["epoch"] for row in rows} == {2}
    assert not any("pending" in row for row in rows)
    await other.rotate_index(entries())
    assert await one.blind.find("email", email(IDS[0])) == IDS[0]


async def test_identifiers_claimed_released_and_erased_during_a_rotation_come_out_right(vaults, documents):
    one, other = await vaults(), await vaults()
    await populate(one, documents)

    async def entries_with_changes():
        async for customer_id, identifiers in entries():
            if customer_id == IDS[3]:
                async with other.reading():
                    await other.blind.claim("email", "new@example.com", IDS[0])
                await other.blind.release("email", email(IDS[5]), IDS[5])
                await other.shred(ERASED)
            yield customer_id, identifiers

    await one.rotate_index(entries_with_changes())
    for vault in (one, other):
        assert await vault.blind.find("email", "new@example.com") == IDS[0]
        assert await vault.blind.find("email", email(IDS[5])) is None
        assert await vault.blind.find("email", email(ERASED)) is None
        assert await vault.blind.find("email", email(IDS[6])) == IDS[6]


async def test_a_rotation_of_the_index_that_dies_or_misses_someone_loses_nobody(vaults, documents):
    first = await vaults()
    await populate(first, documents)

    async def entries_until_death():
        async for each in entries():
            if each[0] == IDS[7]:
                raise DeathError
            yield each

    with pytest.raises(DeathError):
        await first.rotate_index(entries_until_death())
    await first.stop()
    second = await vaults()
    assert (await second.status()).rotations == (Rotation.INDEX,)
    assert (await second.status()).index_epochs == (2, 1)
    for customer_id in IDS:
        assert await second.blind.find("email", email(customer_id)) == customer_id

    async def entries_without_one():
        async for each in entries():
            if each[0] != IDS[9]:
                yield each

    with pytest.raises(RotationInterruptedError):
        await second.rotate_index(entries_without_one())
    assert await second.blind.find("email", email(IDS[9])) == IDS[9]
    await second.rotate_index(entries())
    assert (await second.status()).index_epochs == (2,)
    for customer_id in IDS:
        assert await second.blind.find("email", email(customer_id)) == customer_id
