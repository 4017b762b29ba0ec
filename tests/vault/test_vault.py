import asyncio
import sys

import pytest

import vault as face
from tests.vault.population import ERASED, IDS, email, populate, readable
from vault import (
    FileRootKey,
    KeyRingForeignError,
    KeyRingMissingError,
    KeyRingPermissionsError,
    KeyRingStaleError,
    KeyState,
    LeaseLostError,
    RootKeyRefusedError,
    TokenInvalidError,
)
from vault import errors as vault_errors


@pytest.fixture
def documents(databases):
    return databases.main["documents"]


def test_the_face_of_the_package_is_this():
    assert set(face.__all__) == set(vault_errors.__all__) | {
        "AwsKmsRootKey",
        "BlindIndex",
        "Claim",
        "DataKey",
        "EnvironmentRootKey",
        "Epoch",
        "Erasure",
        "ErasureStep",
        "FileRootKey",
        "Fleet",
        "Index",
        "IndexEntries",
        "KeyState",
        "OnStep",
        "Process",
        "Progress",
        "RingStatus",
        "RootKey",
        "Rotation",
        "Tombstone",
        "Vault",
        "VaultStatus",
        "VaultTransitRootKey",
        "root_key_text",
    }
    assert all(hasattr(face, name) for name in face.__all__)


async def test_the_vault_is_imported_without_the_optional_extra():
    program = "import sys, vault; sys.exit(any(name.split('.')[0] in {'boto3', 'botocore'} for name in sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0


# ---- the first start and later ones


async def test_the_first_start_makes_a_ring_and_later_ones_use_it(vaults, site, documents):
    first = await vaults()
    await populate(first, documents)
    await first.stop()
    second = await vaults()
    assert second.contents == await first._file.read()
    assert await readable(second, documents) == set(IDS)


async def test_processes_that_start_for_the_first_time_at_once_share_one_ring(site):
    several = await asyncio.gather(*(site.vault().open() for _ in range(4)))
    assert len({vault.contents.service_key for vault in several}) == 1
    assert len({vault.contents.rings[0].ring_id for vault in several}) == 1


async def test_a_start_that_died_before_the_ring_was_written_is_made_up_for(site, databases, monkeypatch):
    dying = site.vault()

    async def die(*_):
        raise OSError

    dying._file.create = die
    with pytest.raises(OSError):  # noqa: PT011 - the very one that was raised
        await dying.open()
    assert (await databases.keys["meta"].find_one({"_id": "ring_file"}))["version"] == 0
    opened = await site.vault().open()
    assert opened.contents.version == 1
    assert (await databases.keys["meta"].find_one({"_id": "ring_file"}))["version"] == 1


async def test_a_key_store_whose_ring_file_is_missing_does_not_open_and_no_new_ring_is_made(vaults, site, documents):
    vault = await vaults()
    await populate(vault, documents)
    await vault.stop()
    kept = site.ring_path.read_bytes()
    site.ring_path.unlink()
    with pytest.raises(KeyRingMissingError):
        await vaults()
    assert not site.ring_path.exists()
    site.ring_path.write_bytes(kept)
    site.ring_path.chmod(0o600)
    assert await readable(await vaults(), documents) == set(IDS)


async def test_a_key_store_that_forgot_its_ring_does_not_get_a_new_one(vaults, site, documents, databases):
    vault = await vaults()
    await populate(vault, documents)
    await vault.stop()
    await databases.keys["meta"].delete_many({})
    with pytest.raises(KeyRingForeignError):
        await vaults()
    site.ring_path.unlink()
    with pytest.raises(KeyRingMissingError):
        await vaults()


async def test_the_ring_file_of_another_database_is_refused(vaults, site, databases, tmp_path):
    await vaults()
    elsewhere = type(site)(databases.main, databases.audit, tmp_path / "other" / "ring", site.root_path)
    await elsewhere.vault().open()
    site.ring_path.write_bytes(elsewhere.ring_path.read_bytes())
    with pytest.raises(KeyRingForeignError):
        await vaults()


async def test_a_ring_file_that_others_may_read_or_under_another_root_key_is_refused(vaults, site, tmp_path):
    await vaults()
    site.ring_path.chmod(0o644)
    with pytest.raises(KeyRingPermissionsError):
        await vaults()
    site.ring_path.chmod(0o600)
    with pytest.raises(RootKeyRefusedError):
        await vaults(root_keys=[FileRootKey.create(tmp_path / "another", random=lambda size: b"r" * size)])
    await vaults()


async def test_no_refusal_names_a_path_or_a_secret(vaults, site):
    await vaults()
    site.ring_path.chmod(0o644)
    with pytest.raises(KeyRingPermissionsError) as caught:
        await vaults()
    assert str(site.ring_path) not in str(caught.value)


# ---- tokens


async def test_a_token_opens_in_every_process_for_its_use_alone(vaults):
    one, other = await vaults(), await vaults()
    token = one.seal_token("cursor", b"position", b"query")
    assert other.open_token("cursor", token, b"query") == b"position"
    for purpose, context in (("link", b"query"), ("cursor", b"another")):
        with pytest.raises(TokenInvalidError):
            other.open_token(purpose, token, context)


async def test_a_vault_that_was_stopped_or_put_out_holds_nothing(vaults, documents):
    vault = await vaults()
    await populate(vault, documents)
    await readable(vault, documents)
    assert vault._keys.cached
    vault.fleet._lose()
    assert vault._keys.cached == 0
    for refused in (
        lambda: vault.contents,
        lambda: vault.seal_token("cursor", b"", b""),
        lambda: vault.tokens("email", "ada@example.com"),
    ):
        with pytest.raises(LeaseLostError):
            refused()
    await vault._ring.load()
    with pytest.raises(LeaseLostError):
        _ = vault.contents


def test_a_value_is_normalised_as_the_index_does_it(site):
    vault = site.vault(region="DE")
    assert vault.normalise("email", "Ada@EXAMPLE.com") == vault.normalise("email", "ada@example.com")
    assert vault.normalise("phone", "030 901820") == "+4930901820"


# ---- backup and status


async def test_a_backup_from_before_an_erasure_is_refused_and_the_newest_is_not(vaults, site, documents, tmp_path):
    vault = await vaults()
    await populate(vault, documents)
    target = tmp_path / "backup"
    await vault.backup(target)
    stale = target.read_bytes()
    await vault.shred(ERASED)
    assert await vault.backup(target) == target
    await vault.stop()
    newest = target.read_bytes()
    site.ring_path.write_bytes(stale)
    with pytest.raises(KeyRingStaleError):
        await vaults()
    site.ring_path.write_bytes(newest)
    assert await readable(await vaults(), documents) == set(IDS) - {ERASED}


async def test_the_status_tells_what_there_is_and_no_secret(vaults, documents, site):
    one = await vaults()
    await vaults()
    await populate(one, documents)
    await one.shred(ERASED)
    status = await one.status()
    assert (status.file_version, status.processes, status.erasures_open) == (2, 2, 0)
    (ring,) = status.rings
    assert (ring.version, ring.nodes, ring.punctured) == (2, 32, 1)
    assert status.index_epochs == (1,)
    assert status.leaves_taken >= len(IDS)
    assert status.file_bytes == site.ring_path.stat().st_size
    assert status.rotations == ()
    shown = repr(status)
    assert one.contents.service_key.hex() not in shown
    assert email(ERASED) not in shown


async def test_an_older_load_that_ends_late_does_not_bring_the_older_ring_back(vault, documents):
    await populate(vault, documents)
    older = vault.contents
    await vault.shred(ERASED)
    vault._ring.use(older)
    assert vault.contents.version == 2
    async with vault.reading():
        assert (await vault.keys([ERASED]))[ERASED] is KeyState.ERASED
