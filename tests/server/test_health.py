"""Health: what is told, to anybody who asks, and what is not."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette

from server.health import CheckName, Readiness, State, health_routes

CANARY = "mongodb://canary:secret@10.0.0.1"


async def holds() -> None:
    await asyncio.sleep(0)


async def fails() -> None:
    raise ConnectionError(CANARY)


async def hangs() -> None:
    await asyncio.sleep(60)


async def will_not_be_cancelled() -> None:
    for _ in range(100):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue


def not_even_async():
    raise RuntimeError(CANARY)


async def ask(path, checks, method="GET"):
    app = Starlette(routes=health_routes(checks, seconds=0.1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://confide") as client:
        return await client.request(method, path)


async def test_a_process_that_can_serve_says_so():
    answer = await ask("/readyz", {CheckName.DATABASE: holds, CheckName.LEASE: holds})
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "lease": "ok"}}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("check", "state"),
    [(fails, "failed"), (not_even_async, "failed"), (hangs, "timeout"), (will_not_be_cancelled, "timeout")],
)
async def test_a_check_that_does_not_hold_is_named_and_nothing_more(check, state):
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer = await ask("/readyz", {CheckName.DATABASE: check, CheckName.KEYS: holds})
    assert loop.time() - started < 0.5
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"database": state, "keys": "ok"}}
    assert "canary" not in answer.text


async def test_a_check_that_hangs_is_ended():
    ended = asyncio.Event()

    async def hanging():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    assert (await ask("/readyz", {CheckName.DATABASE: hanging})).status_code == 503
    await asyncio.wait_for(ended.wait(), 1)


async def test_a_process_is_alive_whatever_its_checks_say():
    answer = await ask("/healthz", {CheckName.DATABASE: fails})
    assert (answer.status_code, answer.json()) == (200, {"alive": True})
    assert (await ask("/healthz", {}, "HEAD")).status_code == 200
    assert (await ask("/readyz", {}, "POST")).status_code == 405


async def test_many_who_ask_at_once_cost_one_run_of_the_checks():
    runs = []

    async def counted():
        runs.append(1)
        await asyncio.sleep(0.02)

    readiness = Readiness({CheckName.DATABASE: counted})
    answers = await asyncio.gather(*(readiness.states() for _ in range(100)))
    assert await readiness.states() == {CheckName.DATABASE: State.OK}
    assert (len(runs), len(answers)) == (1, 100)


async def test_an_asker_who_goes_away_does_not_end_the_run_for_the_others():
    async def slow():
        await asyncio.sleep(0.05)

    readiness = Readiness({CheckName.DATABASE: slow})
    first, second = (asyncio.create_task(readiness.states()) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == {CheckName.DATABASE: State.OK}
