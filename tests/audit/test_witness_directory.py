"""The witness directory: what it keeps, and every way in which it and the database can disagree."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from audit import (
    AuditBehindWitnessError,
    AuditInconsistentError,
    WitnessCorruptError,
    WitnessDirectory,
    WitnessForeignError,
    WitnessMissingError,
    WitnessNewError,
    WitnessUnreadableError,
    WitnessUnwritableError,
)
from audit.batch import batch_id
from tests.audit.signed_log import SignedLog

COLLECTIONS = ("batches", "shards", "rosters")
NOBODY = 65534


@pytest.fixture
def directory(tmp_path):
    made = WitnessDirectory(tmp_path, "main")
    made.begin()
    return made


@contextlib.contextmanager
def read_only(path):
    """The directory can be read and not written, also where the tests run as root."""
    path.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o755)


async def dump(signed):
    return {name: await signed.database[name].find({}).to_list(None) for name in COLLECTIONS}


async def restore(signed, backup):
    for name, documents in backup.items():
        await signed.database[name].delete_many({})
        if documents:
            await signed.database[name].insert_many(documents)


async def grown(signed):
    """A log with two shards, one closed, three rosters and a change of keys."""
    checkpointer = await signed.start()
    first, second = await signed.open(), await signed.open()
    await signed.append(first, 2)
    await checkpointer.checkpoint()
    await signed.append(second, 2)
    await first.close()
    await checkpointer.rotate_key()
    await signed.append(second, 1)
    await checkpointer.checkpoint()
    return second


async def test_the_directory_holds_every_roster_and_key_change_byte_for_byte(signed):
    await grown(signed)
    files = signed.files()
    assert files.pop("witness.txt") == b"confide.audit.witness/v1\nmain\n"
    assert sorted(files) == [
        "key-000000000001.note",
        "roster-000000000001.note",
        "roster-000000000002.note",
        "roster-000000000003.note",
    ]
    async for stored in signed.rosters().each():
        assert files[f"roster-{stored.sequence:012d}.note"] == stored.note
    assert (await signed.checkpointer().check_witness()).sequence == 3


async def test_a_log_that_was_never_signed_and_an_empty_directory_agree(signed):
    checkpointer = await signed.start()
    assert await checkpointer.check_witness() is None
    await checkpointer.checkpoint()
    assert (await checkpointer.check_witness()).sequence == 1


async def test_a_database_put_back_from_a_backup_is_behind(signed):
    log = await grown(signed)
    backup = await dump(signed)
    await signed.append(log)
    await signed.checkpointer().checkpoint()
    await signed.checkpointer().check_witness()
    await restore(signed, backup)
    for call in (signed.checkpointer().check_witness, signed.checkpointer().checkpoint):
        with pytest.raises(AuditBehindWitnessError, match="3 rosters, and 4 in the witness; restore a newer backup"):
            await call()


async def test_a_database_without_the_last_key_change_is_behind(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    backup = await dump(signed)
    key = signed.key_path.read_bytes()
    await checkpointer.rotate_key()
    await restore(signed, backup)
    for _ in range(2):  # with the new key file and with the old
        with pytest.raises(AuditBehindWitnessError):
            await signed.checkpointer().check_witness()
        signed.key_path.write_bytes(key)


async def test_an_emptied_database_is_behind(signed):
    await grown(signed)
    await restore(signed, dict.fromkeys(COLLECTIONS, ()))
    with pytest.raises(AuditBehindWitnessError):
        await signed.checkpointer().check_witness()


async def test_rosters_kept_and_the_log_cut_off_is_found(signed):
    log = await grown(signed)
    await signed.database.batches.delete_one({"_id": batch_id(log.shard, 2)})
    with pytest.raises(AuditBehindWitnessError, match="shard 2 is shorter"):
        await signed.checkpointer().check_witness()


async def test_an_end_that_was_taken_away_is_found(signed):
    await grown(signed)
    await signed.database.batches.delete_one({"end": {"$exists": True}})
    with pytest.raises(AuditBehindWitnessError, match="shard 1 is shorter, or was not closed"):
        await signed.checkpointer().check_witness()


async def test_a_shard_that_was_taken_away_is_found(signed):
    log = await grown(signed)
    await signed.database.shards.delete_one({"_id": log.shard})
    with pytest.raises(AuditBehindWitnessError, match="shard 2 is missing"):
        await signed.checkpointer().check_witness()


async def test_a_shard_with_another_number_is_found(signed):
    log = await grown(signed)
    await signed.database.shards.update_one({"_id": log.shard}, {"$set": {"number": 9}})
    with pytest.raises(AuditInconsistentError, match="number"):
        await signed.checkpointer().check_witness()


async def test_a_shard_rewritten_with_hashes_that_fit_is_found(signed):
    log = await grown(signed)
    forger = await signed.open()
    await signed.append(forger, 3)
    for document in await signed.database.batches.find({"shard": forger.shard}).to_list(None):
        forged = document | {"_id": batch_id(log.shard, document["first"]), "shard": log.shard}
        await signed.database.batches.replace_one({"_id": forged["_id"]}, forged)
    with pytest.raises(AuditInconsistentError, match="shard 2 has another root"):
        await signed.checkpointer().check_witness()


async def test_a_fork_with_the_same_sequence_is_found_by_whoever_comes_second(signed, tmp_path_factory):
    checkpointer = await signed.start()
    log = await signed.open()
    await checkpointer.checkpoint()
    backup = await dump(signed)
    await signed.append(log)
    await checkpointer.checkpoint()
    await restore(signed, backup)
    await signed.checkpointer(witness=False).checkpoint(always=True)  # the log goes on without its witness
    for call in (signed.checkpointer().check_witness, signed.checkpointer().checkpoint):
        with pytest.raises(AuditInconsistentError, match="roster 2 is another one; keep both as they are"):
            await call()


async def test_a_directory_that_is_not_there_is_missing_and_nothing_is_signed(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    signed.witness_path.rename(signed.directory / "elsewhere")
    for call in (checkpointer.check_witness, checkpointer.checkpoint):
        with pytest.raises(WitnessMissingError, match="mount it, or create"):
            await call()
    signed.witness_path.write_text("a file")
    with pytest.raises(WitnessMissingError, match="not a directory"):
        await checkpointer.check_witness()
    assert await signed.rosters().newest() == 1


async def test_an_empty_mount_point_is_not_taken_for_a_new_witness(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    await signed.append(log)
    await checkpointer.checkpoint()
    shutil.rmtree(signed.witness_path)
    signed.witness_path.mkdir()
    for call in (signed.checkpointer().check_witness, signed.checkpointer().checkpoint):
        with pytest.raises(WitnessNewError, match="adopt"):
            await call()
    await signed.checkpointer().adopt_witness()
    assert len(signed.files()) == 2
    assert (await signed.checkpointer().check_witness()).sequence == 1


async def test_the_witness_of_another_log_is_refused(signed):
    WitnessDirectory(signed.witness_path, "other").begin()
    with pytest.raises(WitnessForeignError):
        await (await signed.start()).checkpoint()


async def test_a_directory_that_cannot_be_written_stops_nothing_but_says_so_and_is_caught_up(databases):
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    signed = SignedLog(databases.audit, place)
    try:
        checkpointer = await signed.start()
        log = await signed.open()
        await checkpointer.checkpoint()
        await signed.append(log)
        os.chown(place, NOBODY, NOBODY) if os.geteuid() == 0 else None
        (place / "audit.key").chmod(0o600)
        if os.geteuid() == 0:
            os.chown(place / "audit.key", NOBODY, NOBODY)
        with read_only(signed.witness_path), pytest.raises(WitnessUnwritableError, match="the log catches up"):
            await checkpointer.checkpoint()
        assert await signed.rosters().newest() == 2
        assert len(signed.files()) == 2
        await checkpointer.checkpoint()
        assert "roster-000000000002.note" in signed.files()
        assert not [name for name in signed.files() if name.startswith(".")]
        signed.witness_path.chmod(0)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        with pytest.raises(WitnessUnreadableError, match="make it readable"):
            await signed.checkpointer().check_witness()
    finally:
        if os.geteuid() == NOBODY:
            os.seteuid(0)
        for each in signed.logs:
            await each.close()
        shutil.rmtree(place)


async def test_a_witness_on_another_file_system_works_alike(signed):
    here = signed.directory.stat().st_dev
    others = (Path("/dev/shm"), Path(tempfile.gettempdir()))  # noqa: S108 - the test's own are in one of them
    other = next((each for each in others if each.is_dir() and each.stat().st_dev != here), None)
    if other is None:
        pytest.skip("there is no second file system")
    place = Path(tempfile.mkdtemp(dir=other))
    try:
        await signed.start()
        checkpointer = signed.checkpointer(witness=WitnessDirectory(place, "main"))
        await checkpointer.checkpoint()
        await checkpointer.rotate_key()
        assert (await checkpointer.check_witness()).sequence == 2
    finally:
        shutil.rmtree(place)


async def test_what_the_directory_missed_is_written_later(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    alone = signed.checkpointer(witness=False)
    for _ in range(2):
        await alone.checkpoint(always=True)
    await alone.rotate_key()
    assert (await checkpointer.check_witness()).sequence == 1
    await checkpointer.checkpoint()
    assert len(signed.files()) == 1 + 4 + 1


async def test_a_key_change_that_a_crash_kept_from_the_directory_is_written_later(signed):
    checkpointer = await signed.start()
    await checkpointer.rotate_key()
    (signed.witness_path / "key-000000000001.note").unlink()
    await signed.checkpointer().checkpoint()
    assert "key-000000000001.note" in signed.files()


@pytest.mark.parametrize("kept", [0, 1, 100])
async def test_a_file_that_a_crash_cut_off_is_completed(directory, kept):
    whole = b"x" * 200
    (directory.path / "roster-000000000001.note").write_bytes(whole[:kept])
    directory.write_roster(1, whole)
    assert directory.roster(1) == whole


async def test_a_file_is_never_changed(directory):
    directory.write_roster(1, b"roster")
    before = (directory.path / "roster-000000000001.note").stat()
    directory.write_roster(1, b"roster")
    assert (directory.path / "roster-000000000001.note").stat() == before
    for other in (b"another", b"rost", b""):
        with pytest.raises(AuditInconsistentError):
            directory.write_roster(1, other)
    assert directory.roster(1) == b"roster"


async def test_a_file_that_is_missing_or_damaged_is_named(signed):
    await grown(signed)
    saved = signed.files()
    for name, data, pattern in (
        ("roster-000000000001.note", None, "roster-000000000001"),
        ("roster-000000000002.note", None, "roster-000000000002"),
        ("roster-000000000003.note", b"x" * 100, "roster 3 is another"),
        ("key-000000000001.note", b"x" * 100, "key change 1"),
        ("witness.txt", None, "witness.txt"),
    ):
        path = signed.witness_path / name
        path.unlink() if data is None else path.write_bytes(data)
        with pytest.raises((WitnessCorruptError, AuditInconsistentError), match=pattern):
            await signed.checkpointer().check_witness()
        path.write_bytes(saved[name])
    assert await signed.checkpointer().check_witness()


@pytest.mark.parametrize("name", ["roster-000000000003.note", "key-000000000001.note"])
@pytest.mark.parametrize("kept", [0, 1, 100])
async def test_the_newest_file_cut_off_by_a_crash_stops_nothing_and_is_completed(signed, name, kept):
    await grown(signed)
    path, whole = signed.witness_path / name, signed.files()[name]
    path.write_bytes(whole[:kept])
    checkpointer = signed.checkpointer()
    assert (await checkpointer.check_witness()).sequence == 3
    await checkpointer.checkpoint()
    assert path.read_bytes() == whole


async def test_behind_a_file_that_was_cut_off_the_one_before_it_is_compared(signed):
    await grown(signed)
    before, newest = (signed.witness_path / f"roster-{number:012d}.note" for number in (2, 3))
    newest.write_bytes(b"")
    before.write_bytes(before.read_bytes().replace(b"T09", b"T10"))
    with pytest.raises(AuditInconsistentError, match="roster 2 is another one"):
        await signed.checkpointer().check_witness()


async def test_without_links_a_file_is_whole_from_when_it_has_its_name(directory, monkeypatch):
    def link(*_arguments, **_options):
        raise OSError(errno.EPERM, "no links here")

    seen = []
    replace = Path.replace
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(Path, "replace", lambda new, path: seen.append(new.read_bytes()) or replace(new, path))
    directory.write_roster(1, b"roster")
    assert seen == [b"roster"]
    assert directory.roster(1) == b"roster"
    with pytest.raises(AuditInconsistentError):
        directory.write_roster(1, b"another")
    assert not [each for each in directory.path.iterdir() if each.name.startswith(".")]


async def test_other_files_in_the_directory_do_not_matter(signed):
    await grown(signed)
    for name in ("README", "roster-1.note", ".roster-000000000009.note.1", "roster-000000000009.note.bak"):
        (signed.witness_path / name).write_text("other")
    assert (await signed.checkpointer().check_witness()).sequence == 3


async def test_a_roster_that_nobody_signed_is_not_given_to_the_witness(signed):
    checkpointer = await signed.start()
    await checkpointer.checkpoint()
    await signed.checkpointer(witness=False).checkpoint(always=True)
    stored = await signed.rosters().read(2)
    await signed.database.rosters.update_one({"_id": 2}, {"$set": {"note": stored.note.replace(b"T09", b"T10")}})
    with pytest.raises(Exception, match="roster 2"):
        await signed.checkpointer().checkpoint()
    assert "roster-000000000002.note" not in signed.files()
