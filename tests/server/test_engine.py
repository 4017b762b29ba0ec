"""The embedded engine keeps what it acknowledged, and serves nobody but the owner of its data."""

import asyncio
import contextlib
import shutil
import stat
from pathlib import Path

import pytest
from pymongo.errors import OperationFailure

from server.database import close, connect, database
from server.engine import EmbeddedEngine, being_set_up
from server.engine_password import only_account
from server.errors import EngineStartError

# The protocol's codes.
NOBODY, WRONG = 13, 18


@contextlib.asynccontextmanager
async def running(directory, **options):
    """An engine that is killed in the end: stopping takes seconds."""
    engine = await EmbeddedEngine.start(directory, **options)
    try:
        yield engine
    finally:
        await engine.kill()


@contextlib.asynccontextmanager
async def things(uri):
    client = connect(uri)
    try:
        yield database(client, "confide").things
    finally:
        await close(client)


CALLS = (
    lambda client: client.confide.things.find_one({}),
    lambda client: client.confide.things.insert_one({"role": "administrator"}),
    lambda client: client.admin.command("createUser", "eve", pwd="x", roles=["root"]),
)


async def refusals(uri, calls=CALLS):
    """What a read, a write and the making of an account are refused with; None for what is let through."""
    found = []
    for call in calls:
        client = connect(uri)  # a new one each time: after a refusal a driver waits for seconds before it asks again
        try:
            await call(client)
            found.append(None)
        except OperationFailure as error:
            found.append(error.code)
        finally:
            await close(client)
    return found


def without_password(engine):
    return f"mongodb://127.0.0.1:{engine.port}/?retryWrites=false"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


async def test_acknowledged_write_survives_a_kill_of_the_engine(tmp_path):
    async with running(tmp_path / "data") as engine, things(engine.uri) as collection:
        await collection.insert_one({"_id": 1, "value": "kept"})
    async with running(tmp_path / "data") as engine, things(engine.uri) as collection:
        assert await collection.find_one({"_id": 1}) == {"_id": 1, "value": "kept"}


async def test_who_does_not_know_the_password_can_neither_read_nor_write_nor_make_an_account(tmp_path):
    async with running(tmp_path / "data") as engine:
        password = (tmp_path / "data.password").read_text()
        assert await refusals(engine.uri.replace(password, "wrong")) == [WRONG] * 3
        assert await refusals(without_password(engine)) == [NOBODY] * 3
        async with things(engine.uri) as collection:
            assert await collection.find_one({}) is None
        assert password not in (tmp_path / "data.log").read_text()
        assert password not in Path(f"/proc/{engine.pid}/cmdline").read_text()
    assert not any(password.encode() in file.read_bytes() for file in (tmp_path / "data").iterdir())
    async with running(tmp_path / "open", authenticate=False) as engine:
        assert await refusals(without_password(engine)) == [None] * 3, "the control: without a password anybody can"
    assert not (tmp_path / "open.password").exists()


async def test_only_its_owner_can_reach_what_the_engine_writes_also_where_it_was_not_so(tmp_path):
    data, log, password = tmp_path / "data", tmp_path / "data.log", tmp_path / "data.password"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    log.touch(0o644)
    assert (mode(data), mode(log)) == (0o755, 0o644), "the control"
    async with running(data):
        assert (mode(data), mode(log), mode(password)) == (0o700, 0o600, 0o600)


async def test_a_configuration_that_lies_where_confide_was_started_is_not_taken(tmp_path, monkeypatch):
    configuration = 'host = "no.such.host.invalid"\nstorage_path = ['
    (tmp_path / "secantusd.toml").write_text(configuration)
    monkeypatch.chdir(tmp_path)
    async with running(Path("data")) as engine, things(engine.uri) as collection:
        await collection.insert_one({"_id": 1})
    (tmp_path / "data" / "secantusd.toml").write_text(configuration)
    with pytest.raises(EngineStartError, match="ended with status"):  # the control: it would not start with it
        await EmbeddedEngine.start(tmp_path / "data")


async def test_the_password_is_made_once_and_the_start_that_makes_it_is_told_of_too(tmp_path):
    pids = []
    async with running(tmp_path / "data", on_process=pids.append) as first:
        assert [len(pids), pids[-1]] == [2, first.pid]
    async with running(tmp_path / "data", on_process=pids.append) as second:
        assert [len(pids), pids[-1]] == [3, second.pid]
        assert first.uri.split("@")[0] == second.uri.split("@")[0]
    assert not Path(f"/proc/{pids[0]}").exists()


async def test_data_from_before_there_were_passwords_get_one_and_other_accounts_go(tmp_path):
    async with running(tmp_path / "data", authenticate=False) as engine, things(engine.uri) as collection:
        await collection.insert_one({"_id": 1})
        await collection.database.client.admin.command("createUser", "eve", pwd="x", roles=["root"])
    async with running(tmp_path / "data") as engine:
        async with things(engine.uri) as collection:
            assert await collection.find_one({}) == {"_id": 1}
        assert await refusals(without_password(engine)) == [NOBODY] * 3
        assert (
            await refusals(f"mongodb://eve:x@127.0.0.1:{engine.port}/?retryWrites=false&authSource=admin") == [18] * 3
        )


@pytest.mark.parametrize("strangers", [1, 0], ids=["a-stranger", "the-control"])
async def test_a_set_up_during_which_somebody_else_connected_does_not_count(tmp_path, strangers):
    engine, streams = await EmbeddedEngine._run(tmp_path, 0, tmp_path / "log", None, lambda _: None)
    theirs = [await asyncio.open_connection("127.0.0.1", engine.port) for _ in range(strangers)]
    try:
        if strangers:
            with pytest.raises(EngineStartError, match="somebody else"):
                await only_account(*streams, "password")
        else:
            await only_account(*streams, "password")
    finally:
        await engine.kill()
        for _, writer in (streams, *theirs):
            writer.close()


async def test_what_a_set_up_that_did_not_end_has_left_is_not_used(tmp_path):
    data = tmp_path / "data"
    async with running(tmp_path / "planted", authenticate=False) as engine, things(engine.uri) as collection:
        await collection.insert_one({"_id": "planted"})
    shutil.move(tmp_path / "planted", being_set_up(data))
    async with running(data) as engine, things(engine.uri) as collection:
        assert await collection.find_one({}) is None
    assert not being_set_up(data).exists()


async def test_a_password_that_is_anothers_or_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "data.password"
    async with running(tmp_path / "data"):
        password = file.read_text()
    file.chmod(0o640)
    with pytest.raises(EngineStartError, match="others than its owner"):
        await EmbeddedEngine.start(tmp_path / "data")
    file.chmod(0o600)
    file.write_text("another")
    with pytest.raises(EngineStartError, match="does not accept the password") as refused:
        await EmbeddedEngine.start(tmp_path / "data")
    assert password not in str(refused.value)
    file.unlink()
    async with running(tmp_path / "data") as engine:
        assert file.read_text() not in (password, "another"), "removed, it is made anew"
        assert await refusals(without_password(engine)) == [NOBODY] * 3


async def test_each_test_gets_empty_databases(databases):
    assert await databases.main.list_collection_names() == []
