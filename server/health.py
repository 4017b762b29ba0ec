"""`/healthz`: the process is alive. `/readyz`: it can serve. Neither says anything about how it is built."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.logs import Event, log

_SECONDS: Final = 2.0
# Anybody may ask, so asking often must not cost the databases more.
_REMEMBERED_SECONDS: Final = 1.0
_NO_STORE: Final = {"cache-control": "no-store"}


class CheckName(StrEnum):
    """What must hold for a process to serve."""

    DATABASE = "database"
    KEYS = "keys"
    AUDIT = "audit"
    RING = "ring"
    LEASE = "lease"
    ACCESS = "access"


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"


# Returns when it holds, and raises when it does not.
Check = Callable[[], Awaitable[object]]


class Readiness:
    """Runs the checks, side by side, once however many ask."""

    def __init__(self, checks: Mapping[CheckName, Check], *, seconds: float = _SECONDS) -> None:
        self._checks = checks
        self._seconds = seconds
        self._running: asyncio.Task[dict[CheckName, State]] | None = None
        self._states: dict[CheckName, State] = {}
        self._until = float("-inf")

    async def states(self) -> dict[CheckName, State]:
        """How each check stands, at most a second ago."""
        if asyncio.get_running_loop().time() < self._until:
            return self._states
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="readiness")
        return await asyncio.shield(self._running)

    async def _run(self) -> dict[CheckName, State]:
        try:
            tasks = {name: asyncio.create_task(_held(check)) for name, check in self._checks.items()}
            if tasks:
                await asyncio.wait(tasks.values(), timeout=self._seconds)
            self._states = {name: _state(name, task) for name, task in tasks.items()}
            self._until = asyncio.get_running_loop().time() + _REMEMBERED_SECONDS
            return self._states
        finally:
            self._running = None


async def _held(check: Check) -> None:
    await check()


def _state(name: CheckName, task: "asyncio.Task[None]") -> State:
    if not task.done():
        # Not awaited: a check that does not let itself be cancelled must not hold up the answer.
        task.cancel()
        task.add_done_callback(_forget)
        log(Event.CHECK_FAILED, logging.WARNING, check=name.value)
        return State.TIMEOUT
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        log(Event.CHECK_FAILED, logging.WARNING, check=name.value, error=error)
        return State.FAILED
    return State.OK


def _forget(task: "asyncio.Task[None]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()


def health_routes(checks: Mapping[CheckName, Check], *, seconds: float = _SECONDS) -> list[Route]:
    """The two routes.

    Args:
        checks: What `/readyz` asks; each returns when it holds and raises when it does not.
        seconds: How long the checks may take together.
    """
    readiness = Readiness(checks, seconds=seconds)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True}, headers=_NO_STORE)

    async def readyz(_: Request) -> Response:
        states = await readiness.states()
        ready = all(state is State.OK for state in states.values())
        content = {"ready": ready, "checks": {name.value: state.value for name, state in states.items()}}
        return JSONResponse(content, 200 if ready else 503, headers=_NO_STORE)

    return [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
