"""One embedded engine for every Confide of a machine: started by the first, used by all, stopped by the last."""

import asyncio
import contextlib
import fcntl
import os
import signal
import stat
from pathlib import Path

import pytest

from server import embedded
from server.database import close, connect, database
from server.embedded import JoinedEngine, engine_of, free, stopping_with
from server.engine import EmbeddedEngine
from server.errors import EngineLostError, EngineStartError


@contextlib.asynccontextmanager
async def things(engine):
    client = connect(engine.uri)
    try:
        yield database(client, "confide").things
    finally:
        await close(client)


def runs(pid):
    with contextlib.suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def noted(directory):
    return (directory / "engine.lock").read_text().splitlines()


async def test_who_comes_second_uses_the_same_engine_and_it_ends_with_the_last_of_them(tmp_path):
    async with contextlib.AsyncExitStack() as later, contextlib.AsyncExitStack() as earlier:
        first = await earlier.enter_async_context(engine_of(tmp_path))
        second = await later.enter_async_context(engine_of(tmp_path))
        assert isinstance(first, EmbeddedEngine)
        assert isinstance(second, JoinedEngine)
        assert (first.pid, first.uri) == (second.pid, second.uri)
        async with things(first) as mine, things(second) as theirs:
            await mine.insert_one({"_id": 1})
            assert await theirs.find_one({}) == {"_id": 1}
        with pytest.raises(EngineStartError, match="another Confide runs"):
            free(tmp_path)
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("engine.[lu]*")} == {0o600}

        await earlier.aclose()
        assert runs(first.pid), "whoever started it is gone, and it serves those who are there"
        third = await later.enter_async_context(engine_of(tmp_path))
        assert third.pid == first.pid
        async with things(third) as collection:
            assert await collection.find_one({}) == {"_id": 1}
        await later.aclose()
    assert not runs(first.pid)
    assert noted(tmp_path) == ["", "", ""]
    free(tmp_path)  # the control: nobody uses it


async def test_an_engine_whose_starter_was_killed_goes_on_for_others_and_is_left_over_without_them(tmp_path):
    engine = await EmbeddedEngine.start(tmp_path / "engine")
    engine.release()  # as after a kill: it runs, and nothing is locked
    (tmp_path / "engine.lock").write_text(f"{engine.pid}\n999999999\n{engine.port}\n")
    async with contextlib.AsyncExitStack() as others:
        fcntl.flock(others.enter_context((tmp_path / embedded.USERS).open("w")), fcntl.LOCK_SH)
        async with engine_of(tmp_path) as joined:
            assert joined.pid == engine.pid
        assert runs(engine.pid)
    async with engine_of(tmp_path) as another:
        assert another.pid != engine.pid
        assert not runs(engine.pid)


async def test_the_end_of_an_engine_that_another_started_is_told(tmp_path):
    async with contextlib.AsyncExitStack() as second, contextlib.AsyncExitStack() as first:
        started = await first.enter_async_context(engine_of(tmp_path))
        joined = await second.enter_async_context(engine_of(tmp_path))
        stop = asyncio.Event()
        async with stopping_with(joined, stop):
            assert not stop.is_set()
            os.kill(joined.pid, signal.SIGKILL)
            await asyncio.wait_for(stop.wait(), 20)
        await asyncio.wait_for(started.wait(), 20)
        with pytest.raises(EngineStartError):  # nobody starts another while those who lost this one are still there
            await engine_of(tmp_path).__aenter__()
        for each in (second, first):
            with pytest.raises(EngineLostError, match="while it was needed"):
                await each.aclose()


async def test_what_does_not_know_the_password_is_not_taken_for_the_engine(tmp_path):
    async with engine_of(tmp_path):
        other = await EmbeddedEngine.start(tmp_path / "other", authenticate=False)
        told = noted(tmp_path)
        try:
            (tmp_path / "engine.lock").write_text(f"{told[0]}\n{told[1]}\n{other.port}\n")
            with pytest.raises(EngineStartError, match="password"):
                async with engine_of(tmp_path):
                    pass
            (tmp_path / "engine.lock").write_text("\n".join(told) + "\n")
            async with engine_of(tmp_path) as control:
                assert isinstance(control, JoinedEngine)
        finally:
            await other.kill()
