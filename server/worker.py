"""The background work of a process: what must happen without anybody asking.

For now: finishing erasures that another process began and did not end, and forgetting revocations of tokens that
have expired. Every job can run in several processes at once and be cut off at any point.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from server.logs import Event, log
from server.platform import Platform

_EVERY_SECONDS = 60.0


@contextlib.asynccontextmanager
async def working(platform: Platform, *, every_seconds: float = _EVERY_SECONDS) -> AsyncIterator[None]:
    """Work in the background for the length of a block."""
    task = asyncio.create_task(_work(platform, every_seconds), name="worker")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _work(platform: Platform, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        await _tried(platform.services.eraser.resume)
        await _tried(platform.revocations.prune)


async def _tried(job: Callable[[], Awaitable[object]]) -> None:
    try:
        await job()
    except Exception as error:  # noqa: BLE001 - one job's failure must not end the others; it is tried again
        log(Event.JOB_FAILED, logging.WARNING, error=error)
