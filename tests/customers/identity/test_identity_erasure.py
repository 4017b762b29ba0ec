"""Who is erased takes every profile that was merged into theirs along, and no backup brings one back."""

import pytest

from customers.identity.review import Finding
from customers.identity.rules import CaseKind
from tests.customers.faults import Failing
from tests.customers.identity.test_identity_merging import STEWARD, find, merge, raw, told, two, unmerge
from tests.schema.world import OFFICER, objected, order, person
from vault import DataKey, KeyState

COLLECTIONS = ("profiles", "orders", "tickets", "consent_ledger", "blind_index", "merges", "identity_cases")


async def states(world, *customers):
    async with world.vault.reading():
        keys = await world.vault.keys(customers)
    return [keys.get(each) for each in customers]


async def left(world):
    return {name: await world.main[name].count_documents({}) for name in COLLECTIONS}


@pytest.mark.parametrize("asked", [0, 1])
async def test_erasing_a_person_by_any_of_their_ids_destroys_every_key(world, asked):
    one, other = await two(world)
    await world.reviewer.cases.add([Finding(CaseKind.SIMILAR, (one, other))])
    await merge(world, one, other)
    assert all(isinstance(each, DataKey) for each in await states(world, one, other))
    fingerprints = {each.fingerprint for each in await states(world, one, other)}
    erasure = await world.erase((one, other)[asked])
    assert set(erasure.keys) == fingerprints
    assert await states(world, one, other) == [KeyState.ERASED] * 2
    assert set((await left(world)).values()) == {0}
    assert (await told(world, one), await told(world, other)) == (None, None)
    done = [each for each in await world.records() if each.kind == "erasure_done"]
    assert {each.erasure.fingerprint for each in done} >= fingerprints


async def test_who_was_taken_apart_before_stays(world):
    one, other = await two(world)
    before, _ = await raw(world, one)
    await merge(world, one, other)
    await unmerge(world, other)
    await world.erase(other)
    assert await states(world, one, other) == [(await states(world, one))[0], KeyState.ERASED]
    assert (await raw(world, one))[0] == before
    assert await find(world, 1) == one
    assert await find(world, 2) is None


async def test_an_erasure_of_a_joined_person_cut_off_anywhere_is_finished(faulty):
    world, faults = faulty
    met = 0
    for number in range(0, 120, 7):
        people = await world.create(
            *(world.draft(person(3 * number + each), orders=[order(1)]) for each in range(3)),
            world.draft(person(10_000 + number)),
        )
        one, other, third, bystander = people
        await merge(world, one, other)
        await merge(world, one, third)
        kept = await raw(world, bystander)
        faults.arm(number, (Failing.LOST, Failing.DONE)[number % 2])
        try:
            await world.erase(one)
        except Exception:  # noqa: BLE001 - whatever it is, it is finished
            met += 1
        finally:
            faults.disarm()
        calls = len(faults.calls)
        if await told(world, one) is not None:  # nothing was begun, or nobody could be told
            await world.eraser.resume()
            if await told(world, one) is not None:
                await world.erase(one)
        await world.eraser.resume()
        assert await states(world, one, other, third) == [KeyState.ERASED] * 3
        assert {each["_id"] for each in await world.store.find([one, other, third, bystander])} == {bystander}
        assert [await find(world, 3 * number + each) for each in range(3)] == [None] * 3
        assert (await raw(world, bystander))[0] == kept[0]
        if calls < number:
            break
    assert met > 3


async def test_a_backup_from_while_they_were_joined_brings_nobody_back(fresh_world):
    world = fresh_world
    one, other = await two(world)
    await merge(world, one, other)
    backup = {name: await world.main[name].find({}).to_list(None) for name in COLLECTIONS}
    await world.erase(one)
    for name, documents in backup.items():
        if documents:
            await world.main[name].insert_many(documents)
    assert set((await left(world)).values()) != {0}  # negative control: it was brought back
    await world.eraser.replay()
    assert set((await left(world)).values()) == {0}


@pytest.mark.parametrize("erased", [0, 1])
async def test_a_backup_from_while_they_were_joined_hides_nobody_who_was_taken_apart_and_lives(fresh_world, erased):
    """One of the two was erased alone, after the unmerge; the backup is from before that."""
    world = fresh_world
    pair = await two(world)
    before = await raw(world, *pair)
    await merge(world, *pair)
    backup = {name: await world.main[name].find({}).to_list(None) for name in COLLECTIONS}
    await unmerge(world, pair[1])
    gone, alive = pair[erased], pair[1 - erased]
    await world.erase(gone)
    for name, documents in backup.items():
        await world.main[name].delete_many({})
        if documents:
            await world.main[name].insert_many(documents)
    await world.eraser.replay()
    assert {each["_id"] for each in await world.main["profiles"].find({}).to_list(None)} == {alive}
    assert await find(world, 2 - erased) == alive
    assert await find(world, 1 + erased) is None
    (document,) = await world.store.find([alive])
    assert not {"merged_into", "parts", "own"} & document.keys()
    clear = ("order_count", "rights", "consents", "total_spent", "sealed")
    was = next(each for each in map(decoded, before[0]) if each["_id"] == alive)
    assert {name: document[name] for name in clear} == {name: was[name] for name in clear}
    assert await world.main["merges"].count_documents({}) == 0


def decoded(raw_document):
    import bson  # noqa: PLC0415 - beside its use
    from bson.codec_options import CodecOptions  # noqa: PLC0415 - beside its use

    return bson.decode(raw_document, CodecOptions(tz_aware=True))


async def test_whom_another_process_is_erasing_cannot_be_joined(world):
    one, other = await two(world)
    await world.keys["data_keys"].update_one({"_id": other}, {"$set": {"state": "erasing"}})
    with pytest.raises(Exception, match="no such profile"):
        await merge(world, one, other)
    assert not await world.main["merges"].find({}).to_list(None)
    assert STEWARD
    assert OFFICER


async def test_a_part_whose_key_is_gone_is_read_as_if_it_were_not_there(world):
    one, other = await world.create(
        world.draft(person(1, family_name=None)), world.draft(person(2), consents=objected("sales"))
    )
    await merge(world, one, other)
    assert (await told(world, one))["familyName"] == "Family2"
    await world.keys["data_keys"].update_one({"_id": other}, {"$set": {"state": "erasing"}})
    assert (await told(world, one))["familyName"] is None
