"""Requests whose body never ends: they are given up in time, and keep nobody else from being answered."""

import asyncio
import contextlib
import socket
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from schema.over_http import GraphQLOverHTTP
from server.health import health_routes
from tests.schema import sample
from tests.server.processes.deployment import SUPPORT

STALLED = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def stalled():
    """Gives what opens stalled requests, and closes all of them in the end."""
    writers = []

    async def open_one(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        writer.write(STALLED)
        return reader

    try:
        yield open_one
    finally:
        for writer in writers:
            writer.close()


async def status(reader):
    return int((await asyncio.wait_for(reader.readline(), 10)).split()[1])


async def health(port):
    """The status of /healthz for one who comes anew."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEALTH)
    found = await status(reader)
    writer.close()
    return found


async def test_a_body_that_stalls_is_answered_408_in_time_and_one_that_comes_is_served(shared):
    server = await shared.served(CONFIDE_BODY_SECONDS="0.5")
    async with stalled() as open_one:
        began = time.monotonic()
        reader = await open_one(server.port)
        assert await status(reader) == 408
        assert 0.5 <= time.monotonic() - began < 5
        assert b"connection: close" in await asyncio.wait_for(reader.read(), 5), "and the connection is closed"
    assert (await shared.ask(server, SUPPORT, "{ __typename }")).data == {"__typename": "Query"}
    assert await server.stop() == 0


async def test_however_many_bodies_stall_health_and_requests_are_answered(shared):
    """More than all the connections that the server has, within a deadline that none of them reaches."""
    server = await shared.served(CONFIDE_BODY_SECONDS="300")
    async with stalled() as open_one:
        for _ in range(12):
            opened = [await open_one(server.port) for _ in range(100)]
            assert await health(server.port) == 200
        assert not any(reader.at_eof() for reader in opened), "the control: the newest are waited for still"
        assert (await shared.ask(server, SUPPORT, "{ __typename }")).data == {"__typename": "Query"}
    assert await server.stop() == 0


@contextlib.asynccontextmanager
async def small(**options):
    """A server of twenty connections."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/graphql", GraphQLOverHTTP(sample.run, **options)), *health_routes({})])
    config = uvicorn.Config(app, log_config=None, lifespan="off", limit_concurrency=20, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve([listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize(("most", "answer"), [(10, 200), (1000, 503)], ids=["bounded", "the-control"])
async def test_without_a_bound_on_stalled_bodies_health_is_refused(most, answer):
    async with small(body_seconds=300, max_arriving=most) as port, stalled() as open_one:
        for _ in range(25):
            await open_one(port)
        await asyncio.sleep(0.2)
        assert await health(port) == answer


async def test_a_head_that_never_ends_is_given_up_and_one_that_comes_is_served(shared):
    server = await shared.served(CONFIDE_BODY_SECONDS="0.5")
    for half in (b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: a"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        began = time.monotonic()
        writer.write(half)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert 0.4 <= time.monotonic() - began < 5
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(HEALTH[:10])
    await asyncio.sleep(0.1)
    writer.write(HEALTH[10:])
    assert await status(reader) == 200, "the control: one that comes in two pieces is served"
    writer.close()
