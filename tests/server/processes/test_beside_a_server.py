"""Commands work beside a server that runs the embedded engine, as they do beside one on MongoDB."""

import asyncio
import os
import signal

import httpx
import pytest

from tests.server.processes.deployment import FIND, NAMES, READER, deployed
from tests.server.processes.test_stopping import engines_over

NAME = "Wilhelmina"


@pytest.fixture
async def alone(processes, tmp_path):
    """A deployment on the embedded engine, which whoever comes first starts."""
    async with deployed(tmp_path / "site", processes) as site:
        yield site
    for engine in engines_over(site.data):
        os.kill(engine, signal.SIGKILL)


async def sent(server, key, **event):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        return await client.post("/v1/identify", json=event, auth=(key, ""))


@pytest.mark.timeout(120)
async def test_what_is_made_imported_and_erased_beside_a_server_is_so_for_the_server(alone, tmp_path):
    server = await alone.served()
    customer = await alone.create(server, givenName=NAME)
    (engine,) = engines_over(alone.data)

    made = await alone.confide("sources", "create", "shop")
    assert made.code == 0, made.err
    deadline = asyncio.get_running_loop().time() + 20
    while (answer := await sent(server, made.out.strip(), userId="u-1")).status_code != 200:
        assert asyncio.get_running_loop().time() < deadline, answer.text
        await asyncio.sleep(0.2)

    people, mapping = tmp_path / "people.csv", tmp_path / "people.toml"
    people.write_text(f"mail,first\nw@example.org,{NAME}\n")
    mapping.write_text('[columns]\nmail = "email"\nfirst = "given_name"\n')
    imported = await alone.confide("import", people, "--mapping", mapping, "--json")
    assert imported.code == 0, imported.err
    assert (await alone.ask(server, READER, FIND, value="w@example.org")).data["profileByIdentifier"] is not None

    assert (await alone.ask(server, READER, NAMES, id=customer)).data["profile"]["givenName"] == NAME
    erased = await alone.confide("erase", customer, "--yes")
    assert erased.code == 0, erased.err
    after = await alone.ask(server, READER, NAMES, id=customer)
    assert (after.data or {}).get("profile") is None, "an erasure returns when every server has followed"

    assert engines_over(alone.data) == [engine], "there is only ever one"
    assert await server.stop() == 0
    assert engines_over(alone.data) == []


@pytest.mark.timeout(120)
async def test_a_server_that_came_second_serves_on_when_the_first_is_killed_and_leaves_nothing_running(alone):
    first = await alone.served()
    second = await alone.served()
    customer = await alone.create(first, givenName=NAME)
    await first.kill()
    answer = await alone.ask(second, READER, NAMES, id=customer)
    assert answer.data["profile"]["givenName"] == NAME
    assert await second.stop() == 0
    assert engines_over(alone.data) == []
