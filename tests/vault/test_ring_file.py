import asyncio
import dataclasses
import os
import subprocess
import sys

import pytest

from tests.vault.transit_server import TOKEN, transit_server
from vault import (
    EnvironmentRootKey,
    KeyRingCorruptError,
    KeyRingError,
    KeyRingForeignError,
    KeyRingLockedError,
    KeyRingMissingError,
    KeyRingPermissionsError,
    KeyRingStaleError,
    LeafPuncturedError,
    RootKeyRefusedError,
    RootKeyUnavailableError,
    SecretExposedError,
    VaultTransitRootKey,
    root_key_text,
)
from vault import ring_file as module
from vault.ring_file import RingFile

FILE_ID = b"i" * 16


def root_key():
    return EnvironmentRootKey("ROOT", {"ROOT": root_key_text(os.urandom)}, random=os.urandom)


@pytest.fixture
def root():
    return root_key()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "ring"


@pytest.fixture
def file(path, root):
    return RingFile(path, [root], random=os.urandom)


@pytest.fixture
async def created(file):
    return await file.create(FILE_ID)


def punctured(leaf):
    def change(contents):
        return dataclasses.replace(contents, rings=tuple(ring.puncture(leaf) for ring in contents.rings))

    return change


def everything_in(directory):
    return b"".join(each.read_bytes() for each in sorted(directory.iterdir()) if each.is_file())


async def test_the_file_gives_back_what_was_put_in(file, created, path):
    assert await file.read(file_id=FILE_ID, floor=1) == created
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(KeyRingError):
        await file.create(FILE_ID)


async def test_no_secret_stands_in_the_file_or_in_what_it_prints(file, created, path):
    secrets = [created.service_key, *created.index_keys.values(), created.rings[0].to_bytes()[-32:]]
    for secret in secrets:
        assert secret not in path.read_bytes()
        assert secret.hex() not in repr(created)
        assert repr(secret) not in repr(created)
    with pytest.raises(SecretExposedError):
        created.__reduce_ex__(4)
    assert FILE_ID in path.read_bytes(), "the control: what is in clear is found by the same search"


async def test_a_change_counts_the_version_and_is_read_by_others(file, created, path, root):
    after = await file.update(punctured(5))
    assert after.version == 2
    assert await RingFile(path, [root], random=os.urandom).read(floor=2) == after
    with pytest.raises(LeafPuncturedError):
        after.rings[0].leaf_key(5)
    assert after.rings[0].leaf_key(6) == created.rings[0].leaf_key(6)


async def test_a_change_of_nothing_writes_nothing(file, created, path):
    before = path.read_bytes()
    assert await file.update(lambda contents: contents) == created
    assert path.read_bytes() == before


async def test_changes_at_once_in_one_process_are_all_kept(path, root, created):
    files = [RingFile(path, [root], random=os.urandom) for _ in range(8)]
    await asyncio.gather(*(file.update(punctured(number)) for number, file in enumerate(files)))
    contents = await files[0].read()
    assert contents.version == 9
    assert all(contents.rings[0].is_punctured(number) for number in range(8))


async def test_changes_at_once_in_two_processes_are_all_kept(file, path, tmp_path):
    secret = root_key_text(os.urandom)
    program = (
        "import asyncio, dataclasses, os, sys, pathlib\n"
        "from vault import EnvironmentRootKey\n"
        "from vault.ring_file import RingFile\n"
        "root = EnvironmentRootKey('ROOT', os.environ, random=os.urandom)\n"
        "file = RingFile(pathlib.Path(sys.argv[1]), [root], random=os.urandom)\n"
        "async def main():\n"
        "    for leaf in range(int(sys.argv[2]), int(sys.argv[2]) + 10):\n"
        "        await file.update(lambda c: dataclasses.replace(c, rings=tuple(r.puncture(leaf) for r in c.rings)))\n"
        "asyncio.run(main())\n"
    )
    root = EnvironmentRootKey("ROOT", {"ROOT": secret}, random=os.urandom)
    file = RingFile(path, [root], random=os.urandom)
    await file.create(FILE_ID)
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - it is waited for in a thread
            [sys.executable, "-c", program, str(path), str(first)], env=os.environ | {"ROOT": secret}
        )
        for first in (0, 100)
    ]
    for process in processes:
        assert await asyncio.to_thread(process.wait) == 0
    contents = await file.read()
    assert contents.version == 21
    assert all(contents.rings[0].is_punctured(leaf) for first in (0, 100) for leaf in range(first, first + 10))


async def test_readers_never_see_a_file_half_replaced(file, created, path, root):
    done = asyncio.Event()

    async def read():
        versions = []
        other = RingFile(path, [root], random=os.urandom)
        while not done.is_set():
            versions.append((await other.read()).version)
        return versions

    reading = [asyncio.create_task(read()) for _ in range(3)]
    for leaf in range(40):
        await file.update(punctured(leaf))
    done.set()
    for versions in await asyncio.gather(*reading):
        assert versions == sorted(versions)
        assert len(versions) > 5


# ---- refusals


async def test_a_missing_file_and_a_path_that_is_no_file_are_refused(file, path, tmp_path, root):
    with pytest.raises(KeyRingMissingError):
        await file.read()
    with pytest.raises(KeyRingMissingError):
        await file.update(lambda contents: contents)
    path.mkdir(parents=True)
    with pytest.raises(KeyRingError):
        await file.read()
    target = tmp_path / "target"
    await RingFile(target, [root], random=os.urandom).create(FILE_ID)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(KeyRingError):
        await RingFile(tmp_path / "link", [root], random=os.urandom).read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
async def test_a_file_that_others_may_reach_is_refused(file, created, path, mode):
    path.chmod(mode)
    with pytest.raises(KeyRingPermissionsError):
        await file.read()
    with pytest.raises(KeyRingPermissionsError):
        await file.update(punctured(1))
    path.chmod(0o400)
    await file.read()


async def test_the_file_of_another_database_is_refused(file, created):
    with pytest.raises(KeyRingForeignError):
        await file.read(file_id=b"j" * 16)
    with pytest.raises(KeyRingForeignError):
        await file.update(punctured(1), file_id=b"j" * 16)


async def test_an_older_copy_of_the_file_is_refused(file, created, path):
    old = path.read_bytes()
    await file.update(punctured(5))
    path.write_bytes(old)
    with pytest.raises(KeyRingStaleError):
        await file.read(floor=2)
    with pytest.raises(KeyRingStaleError):
        await file.update(punctured(6), floor=2)
    contents = await file.read(floor=1)
    contents.rings[0].leaf_key(5)  # the control: the old copy does derive what was punctured


async def test_no_byte_of_the_file_can_be_changed_or_cut(file, created, path):
    data = path.read_bytes()
    for at in range(0, len(data), 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises((KeyRingCorruptError, RootKeyRefusedError, KeyRingForeignError)):
            await file.read(file_id=FILE_ID)
    for size in range(0, len(data), 7):
        path.write_bytes(data[:size])
        with pytest.raises((KeyRingCorruptError, RootKeyRefusedError)):
            await file.read(file_id=FILE_ID)
    path.write_bytes(data + b"\0")
    with pytest.raises(KeyRingCorruptError):
        await file.read()
    path.write_bytes(data)
    await file.read()


async def test_a_version_raised_by_hand_is_refused(file, created, path):
    data = path.read_bytes()
    path.write_bytes(data[:21] + (9).to_bytes(8) + data[29:])
    with pytest.raises(KeyRingCorruptError):
        await file.read(floor=9)


async def test_another_root_key_is_refused(created, path):
    with pytest.raises(RootKeyRefusedError):
        await RingFile(path, [root_key()], random=os.urandom).read()
    with pytest.raises(RootKeyRefusedError):
        await RingFile(path, [], random=os.urandom).read()


async def test_a_root_key_that_cannot_be_reached_leaves_the_file_as_it_was(tmp_path):
    with transit_server() as (engine, address):
        engine.create("confide")
        path = tmp_path / "ring"
        file = RingFile(path, [VaultTransitRootKey(address, "confide", TOKEN)], random=os.urandom)
        await file.create(FILE_ID)
        before = path.read_bytes()
        engine.sealed = True
        for attempt in (file.read(), file.update(punctured(1))):
            with pytest.raises(RootKeyUnavailableError):
                await attempt
        assert path.read_bytes() == before
        engine.sealed = False
        engine.encrypt = lambda *_: (503, ["in standby"])
        with pytest.raises(RootKeyUnavailableError):
            await file.update(punctured(1))
        assert path.read_bytes() == before


async def test_a_file_that_stays_locked_is_refused(file, created, monkeypatch):
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.1)
    async with file._locked():
        with pytest.raises(KeyRingLockedError):
            await file.update(punctured(1))
    await file.update(punctured(1))


# ---- rotation of the root key


async def test_after_the_root_key_is_rotated_the_old_one_is_refused(file, created, path, root):
    new = root_key()
    after = await file.update(lambda contents: contents, root_key=new)
    assert after.root_key == new.describe()
    assert after.rings == created.rings
    assert await RingFile(path, [new], random=os.urandom).read(floor=2) == after
    with pytest.raises(RootKeyRefusedError):
        await RingFile(path, [root], random=os.urandom).read()
    both = RingFile(path, [root, new], random=os.urandom)
    assert await both.read() == after, "a process that was given both beforehand goes on"
    await file.update(punctured(1))


# ---- old copies


async def test_the_replaced_file_is_overwritten_before_it_goes(file, created, path, monkeypatch):
    with path.open("rb") as previous:
        before = previous.read()
        await file.update(punctured(5))
        previous.seek(0)
        assert previous.read() == bytes(len(before))
    assert sorted(each.name for each in path.parent.iterdir()) == ["ring", "ring.lock"]


@pytest.mark.parametrize("dies_at", ["link", "replace", "zero"])
async def test_what_a_crash_leaves_is_destroyed_by_the_next_change(file, created, path, monkeypatch, dies_at):
    class DeathError(Exception):
        pass

    def die(*_, **__):
        raise DeathError

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        if dies_at == "link":
            patch.setattr(module.os, "link", die)
        elif dies_at == "replace":
            patch.setattr(module.Path, "replace", die)
        else:
            calls = []
            destroy = module._destroy_leftovers
            patch.setattr(module, "_destroy_leftovers", lambda at: die() if calls else calls.append(destroy(at)))
        with pytest.raises(DeathError):
            await file.update(punctured(5))
    left = everything_in(path.parent)
    assert before in left, "the control: the crash did leave the old file"
    reached = await file.read()
    assert reached.version == (2 if dies_at == "zero" else 1), "the file is one or the other, whole"
    done = await file.update(punctured(5))
    assert done.rings[0].is_punctured(5)
    assert before not in everything_in(path.parent)
    assert sorted(each.name for each in path.parent.iterdir()) == ["ring", "ring.lock"]


async def test_a_cancelled_change_keeps_the_lock_until_the_disk_is_done(file, created, path, root):
    for pause in (0, 0.001, 0.003, 0.006, 0.01):
        change = asyncio.create_task(file.update(punctured(int(pause * 1000))))
        await asyncio.sleep(pause)
        change.cancel()
        await asyncio.gather(change, return_exceptions=True)
        await file.update(punctured(1000 + int(pause * 1000)))
        assert (await file.read()).rings[0].is_punctured(1000 + int(pause * 1000))


# ---- backups


async def test_a_backup_is_the_newest_file_and_the_one_before_it_is_destroyed(file, created, tmp_path, path, root):
    directory = tmp_path / "backups"
    directory.mkdir()
    written = await file.backup(directory)
    assert written == directory / "ring.backup"
    old = written.read_bytes()
    await file.update(punctured(5))
    with written.open("rb") as previous:
        assert await file.backup(written) == written
        previous.seek(0)
        assert previous.read() == bytes(len(old))
    assert [each.name for each in directory.iterdir()] == ["ring.backup"]
    assert written.stat().st_mode & 0o777 == 0o600
    assert (await RingFile(written, [root], random=os.urandom).read(floor=2)).rings[0].is_punctured(5)


async def test_a_backup_overwrites_nothing_but_a_backup_of_the_same_ring(file, created, tmp_path, path, root):
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    other.chmod(0o600)
    with pytest.raises(KeyRingForeignError):
        await file.backup(other)
    assert other.read_text() == "mine"
    foreign = tmp_path / "foreign"
    await RingFile(foreign, [root], random=os.urandom).create(b"j" * 16)
    with pytest.raises(KeyRingForeignError):
        await file.backup(foreign)
    with pytest.raises(KeyRingError):
        await file.backup(path)
    await file.read()


# ---- frozen vector


async def test_the_format_is_the_documented_one(tmp_path):
    """Written by the first version; see docs/formats/ring-file.md. It must open for ever."""
    path = tmp_path / "ring"
    path.write_bytes(bytes.fromhex(VECTOR))
    path.chmod(0o600)
    root = EnvironmentRootKey("ROOT", {"ROOT": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}, random=os.urandom)
    contents = await RingFile(path, [root], random=os.urandom).read(file_id=bytes(range(16)), floor=2)
    assert contents.version == 2
    assert contents.root_key == "environment:" + contents.root_key.rpartition(":")[2]
    assert contents.service_key.hex() == SERVICE_KEY
    assert {epoch: key.hex() for epoch, key in contents.index_keys.items()} == INDEX_KEYS
    assert [ring.is_punctured(leaf) for ring in contents.rings for leaf in (6, 7, 8)] == [False, True, False]
    assert contents.rings[0].leaf_key(6).hex() == LEAF_6


VECTOR = (
    "4346524601000102030405060708090a0b0c0d0e0f0000000000000002001c00000062656e7669726f6e6d656e743a643731663761303839"
    "393336653334650101000000007c4c6a82777cdad1893fcd3502a10eefb1c9c534c9d139acee067ffcf99e577ebbfcbece6b72790f2525b9"
    "ee6e2d4c9566af37446bed321f4dfbb5318bb9b9c93e5ae8259872d612d1da756c1684d75401e4aa1e48545237d6ceb4fd010100000000bb"
    "3a511a547986905fc70da76af196a054efeb10b01939c4d9f5b08a3caeda3710c7600899d0d516c0588fac28d07784b13061f18efc14ced7"
    "a0fcad63dd7f473a282873c519d60c17e5d248b0dbc6f445641b60cc3368cb2878077faa273e7372a4e50f221f5bf191821f14b42940c625"
    "797bec2bac29373c5d5000b858fc53925e8b885f6e3f49dee0493568d7c2e67d12b9619f7c11576b1bc073e80d05a54c84f5a641905177e3"
    "c6eccbb9fc518746793e5b4ad8c31d821612a0db2a075dd08e2a2ddf5336d35c9ed55ea610224feb6d67628284c38a308c85c7c9d12cce02"
    "7b95105c592d701f5725af59fcccf4be64cc17b10030f47c1d3dea12e176e51cf21ad90a1ad717ccddff9a2001d990b12b84b5ac70794200"
    "4e74d4144def2917bfbd9795b27e8e2308d03282e01cbdf7cdaf1f69e93aa557dbccda21c91d97fa5209026b22abff3d35dbaa6c24a93b22"
    "004b35df5d45f7a299aaa3e9f65f3935342bbd22cd858b170e39045baad86ec5216c6904bcbb32463db39ceebe0fdaf537aaf5240f80a55d"
    "a601186fd4260295e31b414bd491d069f429cfb41feff4900e786707a539f4e9e25700ece345d43a2651a517603302f3fbec66bb268b7f75"
    "af266b882b2bd61ca52c0f34b04cf5ce891a72ce5723482d0dbbce68eb118ddf17ac8e38b597d173a6e48387458bef0171373fe6a812669c"
    "4bc85960f7926a0b5e7c4d6b52faaf95e76696020fbabd7c909fc5cb1d1c947e8b0369560f5bb6daed8ab654639290f2fff1bfedb6f9604d"
    "a1bffca6b6e9353e50ab4f31f7142bf38708276cb649c8d1031192d3feaa3b302e0cae073d6b8396fed7bb7f9ec5a4591c3f660af33868a5"
    "2ae986d8317421399f1d27fd09116a20f8e2f7ae1667176a70407b8fd8a603eaa0bdac8f674a4a35c4fc491aa0a29b7cc338510a7849d96f"
    "c9cbaf7a096c35fcf97d1043862f524d45baa5836e6a378edd5f4f4a641b3993d5a5d1d4c3aeb11f270ec6c997c1eb1d260627ecb0dbcb05"
    "5d1efbf6a941cb9e0d3e6b0c5fb73992709f1913936d279a54173484174ad64e3d9020ba529c6dfe18536b058ecfa9e33c1b441fae774164"
    "b259d3b9951f12cee37dacf9d6396a6c635bf47ce079a7676a2a317add59f651e44b892efc64e546e2bf4d53dc134aff6ab3c3386383adb1"
    "cc7757667890fd1c13e3f91c0a7b194864719d1aa42054cca7e941b08d939bf7d4e28da5489521e67ef1eb598073a0c572c679eac280f4a1"
    "a5418ac14d198aa2c69ba40d6f9d9b03fcb9a4d6d377ac369b42bb76a9e948f0ae2121600038e236209946170ec15d4c4f26494d22eecf29"
    "81979ce1ad720cfeaa56c8ac591a5ce90c01faeb3f6cc0b67c41c08df1b1c81b995028c484f25a60ba474b4ce1e691ba41f9fd9a06b025cf"
    "61e2f7d2d8acce20d3c660d9c5c95ce9ad10043e4b33a0edbd573bc8b4c22e70d0f44f208933770f29fc02fd2f0e2b90858fd4800671129d"
    "a9914ce1b156c1e224c73064da9c54fa194486c162b07ed74a5cca528e0f9a13f2a54ee929cd49c4b5a78799ea806dc9b482091d666d7698"
    "f01db1915e250b4dc1a5875f2b01aa36b30eeef7a27a7289ed9fc62bdcf9c8bcfeae28cc0c4aea34ca8dca4e3cee874ec561eb0155044290"
    "a8389dcdb5a5aec387c0f9d232296747c914242ff002f2b5e9"
)
SERVICE_KEY = "6a414d970401bdede7ab9c36ac6065d5a7d188ae3914a5684791bd288f0337cf"
INDEX_KEYS = {1: "26c0fd48e152604affe6c1d695496cba197bc0e138c6b0dff9a8b2b14a48a0af"}
LEAF_6 = "9d98acda81991230f6ecbc597c59e21e11dd9b12ff51492c988ee603c2cd027f"
