"""A key store from before some customers existed: nothing is served by it until what it does not know is removed."""

import contextlib

import pytest

from audit import Kind
from customers.errors import IdentifierTakenError
from customers.rights.reconcile import Reconciler, Reconciliation
from tests.customers.rights.test_eraser import EMAIL, OWNED, left, whole
from tests.schema.world import OFFICER, open_world
from vault import KeyRingStaleError, KeyStoreStaleError

NAMES = ("profiles", *OWNED)
NOTHING = Reconciliation(profiles=1, without_key=0, others=0, tombstones=0)


async def copy_of(database, names):
    return {name: await database[name].find({}).to_list(None) for name in names}


async def put_back(database, copies):
    for name, documents in copies.items():
        await database[name].delete_many({})
        if documents:
            await database[name].insert_many(documents)


def quiet(_done, _total):
    pass


def reconciler(world):
    return Reconciler(world.main, world.vault, world.eraser)


@pytest.fixture
async def restored(databases, tmp_path):
    """One customer whom the key store knows, one who came after its backup, and one who came and was erased.

    The documents of all three are back; of the first they never left.
    """

    @contextlib.asynccontextmanager
    async def opened():
        async with open_world(databases.main, databases.keys, databases.audit, tmp_path) as world:
            yield world

    async with opened() as world:
        kept = await world.create(whole(world, 1))
        keys = await copy_of(world.keys, ("data_keys", "control", "erasures"))
        lost, erased = await world.create(whole(world, 2), whole(world, 3))
        documents = await copy_of(world.main, NAMES)
        await world.erase(erased)
        await put_back(world.main, documents)
        await put_back(world.keys, keys)
    async with opened() as world:
        world.kept, world.lost, world.erased = kept[0], lost, erased
        yield world


async def test_a_key_store_that_does_not_know_an_erased_customer_is_refused(restored):
    assert set(await left(restored, restored.erased)) == set(NAMES), "they are back"
    with pytest.raises(KeyStoreStaleError):
        await restored.eraser.replay()


async def test_what_the_key_store_does_not_know_is_removed_and_the_next_start_passes(restored):
    with pytest.raises(IdentifierTakenError):
        await restored.create(whole(restored, 3))
    counted = await reconciler(restored).count(quiet)
    assert counted == Reconciliation(profiles=3, without_key=2, others=0, tombstones=1)
    assert set(await left(restored, restored.erased)) == set(NAMES), "counting removes nothing"
    assert await reconciler(restored).remove(quiet) == counted
    await restored.eraser.replay()
    for gone in (restored.lost, restored.erased):
        assert await left(restored, gone) == []
    assert set(await left(restored, restored.kept)) == set(NAMES)
    assert (await restored.told(EMAIL, *OFFICER, {"id": restored.kept}))["profile"]["email"]
    (again,) = await restored.create(whole(restored, 3))
    assert (await restored.told(EMAIL, *OFFICER, {"id": again}))["profile"]["email"]
    tombstone = await restored.keys["data_keys"].find_one({"state": "erased"})
    (record,) = await restored.records(kind=Kind.ERASURE_DONE)
    assert (tombstone["leaf"], tombstone["fingerprint"]) == (record.erasure.leaf, record.erasure.fingerprint)


async def test_where_all_is_known_there_is_nothing_to_do(restored):
    await reconciler(restored).remove(quiet)
    found = await reconciler(restored).count(quiet)
    assert (found, bool(found)) == (NOTHING, False)
    assert await reconciler(restored).remove(quiet) == NOTHING
    assert set(await left(restored, restored.kept)) == set(NAMES)


@pytest.mark.parametrize("name", OWNED)
async def test_what_is_left_of_a_customer_without_a_profile_is_found_in_every_collection(restored, name):
    await reconciler(restored).remove(quiet)
    known = {"customer_id": restored.kept}
    for customer_id in ("cus_2", "cus_77", "cus_m", "cus_zz", "somebody"):
        await restored.main[name].insert_one({"_id": f"left {customer_id}", "customer_id": customer_id})
    before = await restored.main[name].count_documents(known)
    found = await reconciler(restored).remove(quiet)
    assert (found.others, found.without_key) == (5, 0)
    assert await restored.main[name].count_documents({}) == await restored.main[name].count_documents(known) == before


async def test_one_that_died_is_finished_by_the_next(restored):
    class DeathError(Exception):
        pass

    def die(done, _total):
        if done == 3:
            raise DeathError

    with pytest.raises(DeathError):
        await reconciler(restored).remove(die)
    with pytest.raises(KeyStoreStaleError):
        await restored.eraser.replay()
    assert (await reconciler(restored).remove(quiet)).tombstones == 1
    await restored.eraser.replay()


async def test_an_access_log_of_another_deployment_changes_nothing(restored, monkeypatch):
    from vault import Tombstone  # noqa: PLC0415 - only here

    async def of_another(_unfinished=()):
        yield Tombstone(leaf=40, fingerprint="f" * 32)

    monkeypatch.setattr(restored.eraser, "tombstones", of_another)
    with pytest.raises(KeyRingStaleError):
        await reconciler(restored).remove(quiet)
    assert set(await left(restored, restored.lost)) == set(NAMES)
