"""kill -9 of a database engine under a server: requests learn it within their deadline, and it serves again later."""

import asyncio
import time

import pytest

from server.engine import EmbeddedEngine
from tests.server.processes.deployment import NAMES, READER, UPDATE, WRITER, deployed

DEADLINE = 2.5
NAME, EMAIL = "Wilhelmina", "wilhelmina.canary@example.org"


class Engine:
    """An engine that can be killed and come back on its port."""

    def __init__(self, directory) -> None:
        self._directory = directory
        self._running = None

    async def start(self) -> str:
        port = 0 if self._running is None else self._running.port
        self._running = await EmbeddedEngine.start(self._directory, port=port)
        return self._running.uri

    async def kill(self) -> None:
        await self._running.kill()

    async def stop(self) -> None:
        await self._running.stop()


@pytest.fixture
async def engines(tmp_path):
    """Two engines: one for profiles and keys, one for the access log."""
    made = Engine(tmp_path / "profiles"), Engine(tmp_path / "log")
    yield made
    for each in made:
        await each.stop()


@pytest.mark.timeout(90)
async def test_a_killed_engine_is_told_of_by_its_name_and_served_from_again_when_it_is_back(
    engines, processes, tmp_path
):
    profiles, log = engines
    uri, log_uri = await profiles.start(), await log.start()
    async with deployed(tmp_path / "site", processes, uri=uri) as site:
        site.environment |= {"CONFIDE_AUDIT_URI": log_uri, "CONFIDE_READ_DEADLINE_SECONDS": str(DEADLINE)}
        server = await site.served()
        customer = await site.create(server, givenName=NAME, email=EMAIL)
        update = {"input": {"id": customer, "values": {"familyName": "Unacknowledged"}}}

        async def read():
            return await site.ask(server, READER, NAMES, id=customer)

        async def refused(answer, *codes):
            assert answer.code in codes, answer.body
            assert not any((answer.data or {}).values())
            assert answer.seconds < DEADLINE + 1
            assert NAME not in str(answer.body)
            assert EMAIL not in str(answer.body)

        async def served_again():
            deadline = time.monotonic() + 15
            while (answer := await read()).code is not None:
                assert time.monotonic() < deadline, answer.body
                await asyncio.sleep(0.1)
            assert answer.data["profile"]["givenName"] == NAME
            assert answer.data["profile"]["familyName"] is None

        assert (await read()).data["profile"]["email"] == EMAIL, "as long as both engines are there"

        await log.kill()
        for answer in await asyncio.gather(read(), read(), site.ask(server, WRITER, UPDATE, **update)):
            await refused(answer, "AUDIT_UNAVAILABLE")
        await log.start()
        await served_again()

        await profiles.kill()
        for answer in await asyncio.gather(read(), site.ask(server, WRITER, UPDATE, **update)):
            await refused(answer, "DATABASE_UNAVAILABLE")
        assert (await server.client.get("/readyz")).status_code == 503
        assert (await server.client.get("/healthz")).status_code == 200
        await asyncio.sleep(max(0.0, 5.5 - 2 * DEADLINE))
        without_lease = await read()
        await refused(without_lease, "DATABASE_UNAVAILABLE", "KEYS_UNAVAILABLE")
        await profiles.start()
        await served_again()
        assert (await server.client.get("/readyz")).status_code == 200

        assert server.process.code is None, "it is the process that was there from the beginning"
        assert await server.stop() == 0
        assert NAME not in server.process.err
        for code in ("AUDIT_UNAVAILABLE", "DATABASE_UNAVAILABLE"):
            assert f'"event":"request_failed","code":"{code}"' in server.process.err, "who watches the log knows"
