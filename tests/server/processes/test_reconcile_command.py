"""A key store restored from before a customer who was erased since: `serve` refuses, `keys reconcile` mends it."""

import pytest

from audit import Kind
from tests.server.processes.deployment import ERASE, NAMES, READER, deployed
from tests.server.processes.erasure_rounds import NAME
from tests.server.processes.test_restored_backups import Backup

pytestmark = pytest.mark.timeout(120)
EMAIL = "erased@example.org"


@pytest.fixture(scope="module")
async def restored(shared):
    """A stopped deployment of three customers: one that the key store knows, and two who came after its backup."""
    server = await shared.served()
    shared.kept = await shared.create(server, givenName=NAME, email="kept@example.org")
    before = await Backup(shared).take()
    shared.lost = await shared.create(server, givenName=NAME, email="lost@example.org")
    shared.erased = await shared.create(server, givenName=NAME, email=EMAIL)
    full = await Backup(shared).take()
    assert (await shared.ask(server, READER, ERASE, id=shared.erased)).code is None
    assert await server.stop() == 0
    await before.restore("keys")
    await full.restore("main")
    return shared


async def profiles(site):
    return {each["_id"] for each in await site.main["profiles"].find({}, {"_id": 1}).to_list(None)}


async def refused(site, *words, arguments=("keys", "reconcile", "--yes"), **changed):
    ended = await site.confide(*arguments, **changed)
    assert ended.code == 1, ended.err
    for word in words:
        assert word in ended.err
    assert NAME not in ended.err
    assert await profiles(site) == {site.kept, site.lost, site.erased}, "nothing was removed"


async def test_the_server_does_not_start_and_says_what_to_do(restored):
    await refused(restored, "key store is older", "confide keys reconcile", arguments=("serve",))


async def test_more_than_a_fifth_of_all_profiles_is_not_removed_without_force(restored):
    await refused(restored, "2 of 3 profiles", "1 erasures", "--force")


async def test_without_a_yes_nothing_is_removed(restored):
    await refused(restored, "2 of 3 profiles", arguments=("keys", "reconcile", "--force"))


async def test_databases_of_two_deployments_are_refused(restored, processes, mongo_client, mongo_uri, tmp_path):
    force = ("keys", "reconcile", "--yes", "--force")
    async with deployed(tmp_path / "other", processes, mongo_client, mongo_uri) as other:
        await (await other.served()).stop()
        keys = other.environment["CONFIDE_KEYS_DATABASE"]
        await refused(restored, "another database", arguments=force, CONFIDE_KEYS_DATABASE=keys)
        ring = str(other.data)
        await refused(restored, "another database", arguments=force, CONFIDE_DATA_DIR=ring)
    await refused(restored, "no key ring", arguments=force, CONFIDE_DATA_DIR=str(tmp_path / "none"))


async def test_what_the_key_store_does_not_know_is_removed_on_the_record_and_the_server_starts(restored):
    ended = await restored.confide("keys", "reconcile", "--yes", "--force")
    assert ended.code == 0, ended.err
    assert "Removed 2 profiles" in ended.err
    assert await profiles(restored) == {restored.kept}
    recorded = [each for each in (await restored.records()).values() if each.kind is Kind.ADMIN]
    assert [each.operation for each in recorded] == ["confide keys reconcile"], "once, and not where it was refused"
    server = await restored.served()
    answer = await restored.ask(server, READER, NAMES, id=restored.kept)
    assert answer.data["profile"]["givenName"] == NAME
    again = await restored.create(server, givenName=NAME, email=EMAIL)
    assert again not in (restored.lost, restored.erased), "the address is free"
    beside = await restored.confide("keys", "reconcile", "--yes")
    assert (beside.code, "Another process" in beside.err) == (1, True), beside.err
    assert await server.stop() == 0
    ended = await restored.confide("keys", "reconcile")
    assert (ended.code, "nothing to do" in ended.err) == (0, True), ended.err
