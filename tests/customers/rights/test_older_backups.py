"""Every backup from before a key was destroyed, of each database alone and of both, is unreadable, and cleared at a start.

Backups are taken before the erasure, after each of its steps, and after it, when what the law demands lies in them too;
they are put back once that has had its time as well. A key store that does not know a destroyed key is refused.
"""

from datetime import UTC, datetime

import pytest

from tests.schema.world import OFFICER, SUPPORT, granted, new_databases, open_world, order, person, ticket
from vault import DataKey, EnvelopeError, ErasureStep, KeyStoreStaleError, LeafPuncturedError

EMAIL = "query ($id: ID!) { profile(id: $id) { email orders(first: 5) { nodes { id } } } }"
OWNED = ("orders", "tickets", "consent_ledger", "blind_index")
AFTER = datetime(2036, 6, 1, tzinfo=UTC)


async def taken(world):
    """Every document there is in the two databases that hold people."""
    found = {}
    for part in ("main", "keys"):
        database = getattr(world, part)
        names = await database.list_collection_names()
        found[part] = {name: await database[name].find({}).to_list(None) for name in names}
    return found


async def put_back(world, backup, parts):
    for part in parts:
        database = getattr(world, part)
        for name in await database.list_collection_names():
            if name == "processes":  # who is alive now
                continue
            await database[name].delete_many({})
            if documents := backup[part].get(name):
                await database[name].insert_many(documents)


@pytest.fixture(scope="module")
async def history(mongo_client, tmp_path_factory):
    """Two customers, of whom one is erased, and what was kept of both of them; with a backup of each moment."""
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    directory = tmp_path_factory.mktemp("history")
    async with new_databases(mongo_client) as parts:
        async with open_world(*parts, directory, now=lambda: moment[0]) as world:
            drafts = (
                world.draft(
                    person(number), consents=granted("marketing"), orders=(order(1),), tickets=(ticket(number),)
                )
                for number in (1, 2)
            )
            gone, stays = await world.create(*drafts)
            backups = {"before": await taken(world)}
            on_step = world.eraser._on_step

            async def watched(step, erasure):
                await on_step(step, erasure)
                backups[step] = await taken(world)

            world.eraser._on_step = watched
            await world.erase(gone)
            world.eraser._on_step = on_step
            backups["kept"] = await taken(world)
            (record,) = await world.main["retained"].find({}).to_list(None)
            async with world.vault.reading():
                assert isinstance((await world.vault.keys([record["key"]]))[record["key"]], DataKey)
            moment[0] = AFTER
            await world.eraser.expire()
            last = await taken(world)
        yield parts, directory, lambda: moment[0], backups, last, gone, stays, record["key"]


def test_there_is_a_backup_of_each_step_and_the_person_or_their_invoices_are_in_all_of_them(history):
    *_, backups, _, gone, _, kept = history
    assert list(backups) == ["before", *ErasureStep, "kept"]
    for name, backup in backups.items():
        profiles = {each["_id"] for each in backup["main"]["profiles"]}
        keys = {each["key"] for each in backup["main"].get("retained", [])}
        assert (gone in profiles) or (kept in keys), name
        wrapped = {each["_id"] for each in backup["keys"]["data_keys"] if "wrapped" in each}
        assert wrapped & {gone, kept}, name


async def test_no_key_in_any_backup_opens_anything_of_who_is_erased_or_of_what_was_kept(history):
    parts, directory, now, backups, _, gone, stays, kept = history
    async with open_world(*parts, directory, now=now) as world:
        tried = opened = 0
        for backup in backups.values():
            for record in backup["keys"]["data_keys"]:
                if "wrapped" not in record:
                    continue
                if record["_id"] in (gone, kept):
                    tried += 1
                    with pytest.raises(LeafPuncturedError):
                        world.vault._keys.unwrap(record)
                    continue
                # The control: everybody else's opens, and opens theirs alone.
                assert record["_id"] == stays
                key = world.vault._keys.unwrap(record)
                for profile in backup["main"]["profiles"]:
                    group = profile["sealed"]["contact"]
                    if profile["_id"] == stays:
                        assert key.open(group, "profiles", stays, "contact", 1)["email"] == "person2@mail2.example"
                        opened += 1
                    else:
                        with pytest.raises(EnvelopeError):
                            key.open(group, "profiles", profile["_id"], "contact", 1)
        assert tried >= len(backups)
        assert opened == len(backups)


@pytest.mark.parametrize("which", [("main",), ("keys",), ("main", "keys")], ids="-".join)
@pytest.mark.parametrize("name", ["before", ErasureStep.DRAINED, ErasureStep.TOMBSTONED, "kept"])
async def test_what_a_backup_brings_back_is_gone_again_when_the_platform_has_started_or_it_does_not_start(
    history, name, which
):
    parts, directory, now, backups, last, gone, stays, kept = history
    refused = "keys" in which and kept not in {each["_id"] for each in backups[name]["keys"]["data_keys"]}
    assert refused == ("keys" in which and name == "before")
    async with open_world(*parts, directory, now=now) as world:
        await put_back(world, backups[name], which)
        # Nothing is read before that, either.
        assert (await world.told(EMAIL, *OFFICER, {"id": gone}))["profile"] is None
    async with open_world(*parts, directory, now=now) as world:
        unfinished = await world.keys["erasures"].find({"open": True}, {"leaf": 1}).to_list(None)
        if refused:
            with pytest.raises(KeyStoreStaleError):
                await world.eraser.replay([each["leaf"] for each in unfinished])
            await put_back(world, last, ("main", "keys"))
            return
        await world.eraser.replay([each["leaf"] for each in unfinished])
        await world.eraser.resume()
        await world.eraser.expire()
        assert await world.main["profiles"].find_one({"_id": gone}) is None
        for collection in OWNED:
            assert await world.main[collection].find_one({"customer_id": gone}) is None, collection
        assert await world.main["retained"].find({}).to_list(None) == []
        states = {each["_id"]: each["state"] for each in await world.keys["data_keys"].find({}).to_list(None)}
        assert {name for name, state in states.items() if state == "active"} == {stays}
        assert (await world.told(EMAIL, *SUPPORT, {"id": stays}))["profile"]["email"] == "person2@mail2.example"
        await put_back(world, last, ("main", "keys"))
