"""The proof that an erasure reaches every copy of the databases: on an engine of its own, with its files copied."""

import base64
import contextlib
import dataclasses
import shutil

import pytest

from server.database import close, connect, database
from server.engine import embedded_engine
from tests.vault.conftest import new_site
from tests.vault.population import ERASED, IDS, email, populate, readable, tombstones
from vault import KeyRingStaleError


@contextlib.asynccontextmanager
async def running(directory, tmp_path, site=None):
    """An engine of its own over `directory`, with a started vault; everything is stopped at the end."""
    async with embedded_engine(directory) as engine:
        client = connect(engine.uri)
        main, keys = database(client, "main"), database(client, "keys")
        site = new_site(main, keys, tmp_path) if site is None else dataclasses.replace(site, main=main, keys=keys)
        vault = await site.vault().start()
        try:
            yield vault, main["documents"], site
        finally:
            await vault.stop()
            await close(client)


def bytes_of(directory):
    return b"".join(each.read_bytes() for each in sorted(directory.rglob("*")) if each.is_file())


@pytest.mark.timeout(120)
async def test_all_database_files_from_before_an_erasure_with_todays_ring_open_everyone_but_the_erased(tmp_path):
    """What erasure promises, whole: the copy holds the erased customer's key record, and it is worth nothing."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with running(data, tmp_path) as (vault, documents, site):
        fingerprints = await populate(vault, documents)
        async with vault.reading():
            keys = await vault.keys(IDS)
        secrets = [key._secret for key in keys.values()]
        leaf_keys = [vault.contents.rings[0].leaf_key(key.leaf) for key in keys.values()]
    shutil.copytree(data, copy)
    old_ring = site.ring_path.read_bytes()

    async with running(data, tmp_path, site) as (vault, documents, _):
        assert await readable(vault, documents) == set(IDS)
        erasure = await vault.shred(ERASED)
        assert await readable(vault, documents) == set(IDS) - {ERASED}

    # No file of the database, before or after, holds a value or a key in clear.
    for directory in (data, copy):
        raw = bytes_of(directory)
        for canary in (b"canary-", *secrets, *leaf_keys):
            assert canary not in raw
        for canary in (secrets[4], leaf_keys[4]):
            assert base64.b64encode(canary).rstrip(b"=") not in raw
            assert canary.hex().encode() not in raw
        assert fingerprints[IDS[0]].encode() not in raw
        assert ERASED.encode() in raw, "the control: the scan finds what is there"

    shutil.rmtree(data)
    shutil.copytree(copy, data)
    async with running(data, tmp_path, site) as (vault, documents, _):
        record = await vault._keys.record(ERASED)
        assert record["state"] == "active", "its old key record is back"
        assert record["wrapped"]
        assert await readable(vault, documents) == set(IDS) - {ERASED}
        assert not any(ring.is_punctured(leaf) for ring in vault.contents.rings for leaf in range(12) if leaf != 4)
        assert await vault.purge_returned(tombstones(erasure)) == [ERASED]
        assert (await vault._keys.record(ERASED))["state"] == "erased"
        assert await vault.blind.find("email", email(ERASED)) is None
        assert await vault.purge_returned(tombstones(erasure)) == [ERASED]
        assert await readable(vault, documents) == set(IDS) - {ERASED}

    # The control: with the ring of before, the same copy does open, and the audit log's tombstones show it.
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    site.ring_path.write_bytes(old_ring)
    async with running(data, tmp_path, site) as (vault, documents, _):
        assert await readable(vault, documents) == set(IDS)
        with pytest.raises(KeyRingStaleError):
            await vault.purge_returned(tombstones(erasure))


@pytest.mark.timeout(60)
async def test_the_scan_for_canaries_finds_one_that_is_planted(tmp_path):
    """The control of the scan: the engine's files are neither compressed nor encoded past finding."""
    data = tmp_path / "data"
    async with running(data, tmp_path) as (vault, documents, _):
        keys = await vault.create_keys(IDS[:1])
        secret = keys[IDS[0]]._secret
        await documents.insert_one({"_id": "planted", "clear": email(IDS[0]), "key": secret})
    raw = bytes_of(data)
    assert email(IDS[0]).encode() in raw
    assert secret in raw
