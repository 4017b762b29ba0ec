"""Backups of databases from before an erasure, put back after it."""

import shutil

import pytest

from server.root_keys import ring_path
from server.settings import Settings
from tests.server.processes.deployment import ERASE, NAMES, READER
from tests.server.processes.erasure_rounds import NAME, given_out

EMAIL, KEPT = "erased@example.org", "kept@example.org"
PARTS = ("main", "keys", "audit")


class Backup:
    """Every document of a deployment's databases, read and put back through the driver."""

    def __init__(self, site) -> None:
        self._site = site
        self._documents = {}

    async def take(self):
        for part in PARTS:
            database = getattr(self._site, part)
            names = await database.list_collection_names()
            self._documents[part] = {name: await database[name].find({}).to_list(None) for name in names}
        return self

    async def restore(self, *parts):
        for part in parts:
            database = getattr(self._site, part)
            for name in await database.list_collection_names():
                await database[name].delete_many({})
                if documents := self._documents[part].get(name):
                    await database[name].insert_many(documents)


@pytest.fixture(scope="module")
async def erased(shared):
    """A stopped deployment that has erased one of two customers, with what it was before and after."""
    server = await shared.served()
    shared.kept = await shared.create(server, givenName=NAME, email=KEPT)
    shared.customer = await shared.create(server, givenName=NAME, email=EMAIL)
    assert await server.stop() == 0
    shared.ring = ring_path(Settings(data_dir=shared.data))
    shared.before, shared.ring_before = await Backup(shared).take(), shared.ring.read_bytes()
    server = await shared.served()
    assert (await shared.ask(server, READER, ERASE, id=shared.customer)).code is None
    assert await server.stop() == 0
    shared.after, shared.ring_after = await Backup(shared).take(), shared.ring.read_bytes()
    shared.witness = shared.data / "witness"
    shutil.copytree(shared.witness, shared.directory / "witness-after")
    return shared


@pytest.fixture
async def site(erased):
    """The deployment as it was right after the erasure."""
    yield erased
    await erased.after.restore(*PARTS)
    erased.ring.write_bytes(erased.ring_after)
    shutil.rmtree(erased.witness)
    shutil.copytree(erased.directory / "witness-after", erased.witness)


async def documents_of(site):
    """Where there is something of the erased customer in the main database."""
    found = [
        name
        for name in ("orders", "tickets", "consent_ledger", "blind_index")
        if await site.main[name].find_one({"customer_id": site.customer}) is not None
    ]
    return found + ["profiles"] * (await site.main["profiles"].find_one({"_id": site.customer}) is not None)


async def refused_until_a_new_witness_is_taken(site):
    """An old access log is not served from; who has no newer one begins, on purpose, with a new witness."""
    ended = await site.confide("serve")
    assert ended.code == 1
    assert "the database holds less of the log than the witness has seen" in ended.err
    assert NAME not in ended.err
    shutil.rmtree(site.witness)
    site.witness.mkdir()
    assert "the witness's directory is empty" in (await site.confide("serve")).err
    assert (await site.confide("audit", "adopt-witness")).code == 0


@pytest.mark.parametrize("parts", [("main",), ("keys",), ("main", "keys"), ("audit",), PARTS], ids="-".join)
async def test_what_a_backup_brings_back_of_an_erased_customer_is_gone_again_before_anything_is_served(site, parts):
    await site.before.restore(*parts)
    if "main" in parts:
        assert await documents_of(site) == ["blind_index", "profiles"], "the control: it did bring them back"
    if "keys" in parts:
        assert (await site.keys["data_keys"].find_one({"_id": site.customer}))["state"] == "active"
    if "audit" in parts:
        await refused_until_a_new_witness_is_taken(site)
    server = await site.served()
    assert await documents_of(site) == []
    assert (await site.keys["data_keys"].find_one({"_id": site.customer}))["state"] == "erased"
    assert await given_out(site, server, site.customer, EMAIL) == []
    kept = await site.ask(server, READER, NAMES, id=site.kept)
    assert kept.data["profile"]["email"] == KEPT, "everybody else is there"
    again = await site.create(server, givenName=NAME, email=EMAIL)
    assert again != site.customer, "the address is free for a new customer"
    assert await server.stop() == 0


@pytest.mark.parametrize("parts", [(), ("main",), ("keys",), ("main", "keys")], ids="-".join)
async def test_with_the_key_ring_from_before_the_erasure_nothing_is_served_whatever_was_restored(site, parts):
    await site.before.restore(*parts)
    site.ring.write_bytes(site.ring_before)
    ended = await site.confide("serve")
    assert ended.code == 1
    assert "key ring" in ended.err
    assert "would undo erasures" in ended.err
    assert NAME not in ended.err
