"""An erasure that dies anywhere is finished later, and from its fence on nobody reads the customer."""

import contextlib
from types import SimpleNamespace

import pytest

from audit import AuditUnavailableError, Kind
from customers.errors import EraseNotAllowedError, ProfileNotFoundError
from tests.customers.faults import Failing
from tests.schema.world import AUDITOR, OFFICER, SUPPORT, granted, new_databases, open_world, order, person, ticket
from vault import CustomerKeyMissingError, ErasureStep, ShredInterruptedError

EMAIL = "query ($id: ID!) { profile(id: $id) { email } }"
OWNED = ("orders", "tickets", "consent_ledger", "blind_index")


def whole(world, number):
    return world.draft(
        person(number),
        consents=granted("marketing"),
        external=[f"crm:{number}"],
        orders=[order(1)],
        tickets=[ticket(1)],
    )


async def left(world, customer_id):
    """The collections of the main database that still have something of the customer."""
    found = ["profiles"] if await world.main["profiles"].find_one({"_id": customer_id}) else []
    return found + [name for name in OWNED if await world.main[name].find_one({"customer_id": customer_id})]


@pytest.mark.parametrize("how", [Failing.LOST, Failing.DONE])
async def test_an_erasure_that_fails_anywhere_is_finished_by_the_next_attempt(faulty, how):
    world, faults = faulty
    ids = await world.create(*(whole(world, number) for number in range(60)))
    stays = ids.pop()
    faults.arm(None, None)
    await world.erase(ids.pop())
    calls = list(faults.calls)
    assert {"delete_many profiles", "delete_many orders", "replace_one data_keys"} <= set(calls)
    done = 1
    for at in range(len(calls)):
        customer_id = ids.pop()
        faults.arm(at, how)
        try:
            await world.erase(customer_id)
        except Exception:  # noqa: BLE001 - the driver's or the vault's: it is what is left that counts
            faults.disarm()
            begun = await world.keys["erasures"].find_one({"_id": customer_id, "open": True}) is not None
            seen = (await world.told(EMAIL, *SUPPORT, {"id": customer_id}))["profile"]
            fenced = (await world.keys["data_keys"].find_one({"_id": customer_id}))["state"] != "active"
            assert (seen is None) is fenced, calls[at]
            assert await world.eraser.resume() == int(begun)
            if not begun and not fenced:
                await world.erase(customer_id)
        faults.disarm()
        done += 1
        assert await left(world, customer_id) == []
        assert (await world.told(EMAIL, *SUPPORT, {"id": customer_id}))["profile"] is None
        assert await world.eraser.resume() == 0
        # What the law demands of each was kept, once and no more, and nothing is held for an erasure that is over.
        kept = await world.main["retained"].find({}).to_list(None)
        assert [each["state"] for each in kept] == ["kept"] * done, calls[at]
    assert len({each.erasure.leaf for each in await world.records(kind=Kind.ERASURE_DONE)}) == done
    assert (await world.told(EMAIL, *SUPPORT, {"id": stays}))["profile"]["email"]
    assert len(await left(world, stays)) == 5


async def test_without_the_record_of_its_end_an_erasure_is_not_ended(world, monkeypatch):
    customer_id = await world.one(1)
    append = world.log.append

    async def no_end(record):
        if record.kind is Kind.ERASURE_DONE:
            raise AuditUnavailableError("the test says so")
        return await append(record)

    monkeypatch.setattr(world.eraser._certifier, "_log", SimpleNamespace(append=no_end))
    with pytest.raises(AuditUnavailableError):
        await world.erase(customer_id)
    assert await left(world, customer_id) == []  # nothing waits for it but the word that it is done
    assert (await world.keys["erasures"].find_one({"_id": customer_id}))["open"]
    with pytest.raises(ShredInterruptedError):
        await world.eraser.resume()
    monkeypatch.undo()
    assert await world.eraser.resume() == 1
    assert len(await world.records(kind=Kind.ERASURE_DONE)) == 1


async def test_without_the_record_of_the_intention_nothing_is_begun(fresh_world):
    world = fresh_world
    customer_id = await world.one(1)
    await world.log.close()
    with pytest.raises(AuditUnavailableError):
        await world.erase(customer_id)
    assert await world.keys["erasures"].find_one({}) is None
    assert (await world.keys["data_keys"].find_one({"_id": customer_id}))["state"] == "active"
    assert len(await left(world, customer_id)) == 2


async def test_who_may_not_or_is_not_there_begins_nothing(world):
    customer_id = await world.one(1)
    for who in (SUPPORT, AUDITOR):
        with pytest.raises(EraseNotAllowedError):
            await world.eraser.erase(world.access(*who), customer_id)
    with pytest.raises(ProfileNotFoundError):
        await world.eraser.erase(world.access(*OFFICER), "cus_nobody")
    assert await world.keys["erasures"].find_one({}) is None
    with pytest.raises(CustomerKeyMissingError):
        await world.vault.shred("cus_nobody")


async def test_the_documents_go_only_once_the_key_is_gone(world):
    """Were they removed first, an erasure that stops there would have lost data and erased nobody."""
    customer_id = await world.one(1)
    seen = {}
    step_of = world.eraser._on_step

    async def watched(step, erasure):
        seen[step] = await left(world, customer_id)
        await step_of(step, erasure)

    world.eraser._on_step = watched
    await world.erase(customer_id)
    assert list(seen) == list(ErasureStep)
    assert seen[ErasureStep.TOMBSTONED] == ["profiles", "blind_index"]
    assert seen[ErasureStep.FINISHED] == []


async def test_a_creation_that_died_half_way_is_undone_by_who_finds_it(faulty):
    world, faults = faulty
    stays = (await world.create(whole(world, 1)))[0]
    faults.arm(None, None)
    await world.create(whole(world, 2))
    calls = list(faults.calls)
    for at in range(len(calls)):
        number = 3 + at
        faults.arm(at, Failing.GONE)
        with contextlib.suppress(Exception):
            await world.create(whole(world, number))
        faults.disarm()
        made = await world.main["profiles"].find({}).to_list(None)
        begun = await world.main["creations"].find({}).to_list(None)
        assert await world.eraser.sweep() == 0  # its process lives, and may yet come to the end
        await world.main["creations"].update_many({}, {"$set": {"process": "gone"}})
        left_behind = [each["_id"] for each in begun if each["_id"] not in {one["_id"] for one in made}]
        assert await world.eraser.sweep() == len(left_behind)
        assert await world.main["creations"].find({}).to_list(None) == []
        for customer_id in left_behind:
            assert await left(world, customer_id) == []
            assert (await world.keys["data_keys"].find_one({"_id": customer_id}) or {}).get("state") != "active"
        assert await world.main["profiles"].find({}).to_list(None) == made
        if left_behind:  # the identifiers are free again
            await world.create(whole(world, number))
    assert len(await left(world, stays)) == 5


async def test_many_creations_that_died_are_undone_together_and_one_that_cannot_be_keeps_none_of_the_others(
    world, monkeypatch
):
    ids = await world.create(*(whole(world, number) for number in range(60)))
    stays = ids.pop()
    await world.main["profiles"].delete_many({"_id": {"$in": ids}})
    await world.store.begin([*ids, stays], "gone", world.services.now())
    shred, under_way, most = world.vault.shred, 0, 0

    async def watched(customer_id, on_step):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            if customer_id == ids[7] and stuck:
                raise ShredInterruptedError
            return await shred(customer_id, on_step)
        finally:
            under_way -= 1

    monkeypatch.setattr(world.vault, "shred", watched)
    stuck = True
    with pytest.raises(ShredInterruptedError):
        await world.eraser.sweep()
    begun = {each["_id"] for each in await world.main["creations"].find({}).to_list(None)}
    assert ids[7] in begun
    assert len(begun) == 36, "those that were undone together with it are undone"
    stuck = False
    assert await world.eraser.sweep() == 35
    assert most == 25
    assert await world.main["creations"].find({}).to_list(None) == []
    for customer_id in ids:
        assert await left(world, customer_id) == []
        assert (await world.keys["data_keys"].find_one({"_id": customer_id}))["state"] == "erased"
    assert len(await left(world, stays)) == 5
    assert len(await world.records(kind=Kind.ERASURE_DONE)) == 59


async def test_what_a_restored_database_brings_back_is_removed_before_anybody_reads_it(mongo_client, tmp_path):
    async with new_databases(mongo_client) as parts:
        await restored(parts, tmp_path)


async def restored(parts, tmp_path):
    async with open_world(*parts, tmp_path) as world:
        gone, stays = await world.create(whole(world, 1), whole(world, 2))
        names = ("profiles", *OWNED)
        copies = {name: await world.main[name].find({}).to_list(None) for name in names}
        keys = await world.keys["data_keys"].find({}).to_list(None)
        await world.erase(gone)
        for name, documents in copies.items():
            await world.main[name].delete_many({})
            await world.main[name].insert_many(documents)
        await world.keys["data_keys"].delete_many({})
        await world.keys["data_keys"].insert_many(keys)
        # Even before anything is removed, the key is gone from the ring.
        assert (await world.told(EMAIL, *OFFICER, {"id": gone}))["profile"] is None
    async with open_world(*parts, tmp_path) as world:
        assert set(await left(world, gone)) == set(names)
        await world.eraser.replay()
        assert await left(world, gone) == []
        assert set(await left(world, stays)) == set(names)
        assert (await world.told(EMAIL, *OFFICER, {"id": stays}))["profile"]["email"] == "person2@mail2.example"
        again = (await world.create(whole(world, 1)))[0]
        assert (await world.told(EMAIL, *OFFICER, {"id": again}))["profile"]["email"] == "person1@mail1.example"
