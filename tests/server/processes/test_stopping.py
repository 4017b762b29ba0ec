"""Servers end well: what was asked is answered, nothing is left running, and a killed one is no hindrance."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from server import embedded
from server.engine import EmbeddedEngine
from tests.server.processes.deployment import ERASE, NAMES, READER, deployed

NAME = "Wilhelmina"


def engines_over(directory):
    """The processes that run an engine over the data in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(directory / "engine") in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


@pytest.fixture
async def alone(processes, tmp_path):
    """A deployment on the embedded engine, which `confide serve` starts itself."""
    async with deployed(tmp_path / "site", processes) as site:
        yield site
    for engine in engines_over(site.data):
        os.kill(engine, signal.SIGKILL)


@pytest.mark.timeout(60)
async def test_a_server_that_is_told_to_stop_answers_what_was_asked_and_leaves_nothing_running(alone):
    server = await alone.served(script=True)
    customer = await alone.create(server, givenName=NAME, email="wilhelmina@example.org")
    another = await alone.create(server, givenName=NAME)
    assert len(engines_over(alone.data)) == 1
    second = await alone.confide("serve", CONFIDE_PORT=str(server.port))
    assert second.code == 1
    (line,) = second.err.splitlines()
    assert str(server.port) in line
    assert len(engines_over(alone.data)) == 1

    reads = [asyncio.create_task(alone.ask(server, READER, NAMES, id=customer)) for _ in range(30)]
    erasing = asyncio.create_task(alone.ask(server, READER, ERASE, id=another))
    await asyncio.sleep(0.4)  # long enough for all of them to have reached the server, on a busy machine too
    server.process.signal(signal.SIGTERM)
    for answer in await asyncio.gather(*reads):
        assert answer.data["profile"]["givenName"] == NAME
    assert (await erasing).data["eraseCustomer"]["keyFingerprints"]
    assert await server.process.wait(20) == 0
    with pytest.raises(httpx.ConnectError):
        await server.client.get("/healthz")
    assert engines_over(alone.data) == []


@pytest.mark.timeout(60)
async def test_a_killed_server_leaves_an_engine_that_the_next_one_stops(alone):
    server = await alone.served()
    customer = await alone.create(server, givenName=NAME)
    (left,) = engines_over(alone.data)
    await server.kill()
    assert engines_over(alone.data) == [left], "the control: it is still running"
    server = await alone.served()
    (engine,) = engines_over(alone.data)
    assert engine != left
    answer = await alone.ask(server, READER, NAMES, id=customer)
    assert answer.data["profile"]["givenName"] == NAME
    assert await server.stop() == 0
    assert engines_over(alone.data) == []


def test_a_number_that_was_an_engine_s_and_is_another_process_s_by_now_is_left_alone(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (tmp_path / "engine.lock").write_text(str(bystander.pid))
        embedded.free(tmp_path)
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.timeout(60)
async def test_a_server_whose_database_is_gone_can_still_be_stopped(processes, tmp_path):
    engine = await EmbeddedEngine.start(tmp_path / "engine")
    async with deployed(tmp_path / "site", processes, uri=engine.uri) as site:
        server = await site.served(CONFIDE_READ_DEADLINE_SECONDS="1")
        await engine.kill()
        server.process.signal(signal.SIGTERM)
        assert await server.process.wait(20) == 1
        *_, line = server.process.err.splitlines()
        assert line.startswith("confide: ")
        assert "CONFIDE_MONGO_URI" in line
