"""A server whose embedded engine dies ends and says so; it does not stay to refuse everything."""

import os
import signal
import time

import pytest

from tests.server.processes.deployment import NAMES, READER, deployed
from tests.server.processes.test_stopping import engines_over

NAME = "Wilhelmina"


@pytest.fixture
async def alone(processes, tmp_path):
    """A deployment on the embedded engine, which `confide serve` starts itself."""
    async with deployed(tmp_path / "site", processes) as site:
        yield site
    for engine in engines_over(site.data):
        os.kill(engine, signal.SIGKILL)


@pytest.mark.timeout(90)
async def test_a_server_whose_engine_is_killed_says_so_and_ends_and_the_next_has_everything(alone):
    server = await alone.served()
    customer = await alone.create(server, givenName=NAME)
    (engine,) = engines_over(alone.data)
    os.kill(engine, signal.SIGKILL)
    began = time.monotonic()
    assert await server.process.wait(60) == 1
    assert time.monotonic() - began < 30
    *log, told = server.process.err.splitlines()
    assert any('"event":"engine_lost"' in line for line in log)
    assert "the embedded engine was ended by signal 9 while it was needed" in told
    assert "start Confide again" in told
    assert "Traceback" not in server.process.err

    again = await alone.served()
    assert (await alone.ask(again, READER, NAMES, id=customer)).data["profile"]["givenName"] == NAME
    assert await again.stop() == 0
    assert "engine_lost" not in again.process.err, "negative control: an engine that is stopped is not lost"
