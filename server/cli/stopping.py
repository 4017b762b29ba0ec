"""Work that SIGTERM and Ctrl-C end, whatever it is at; what it works with is closed in peace."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

T = TypeVar("T")
Opened = TypeVar("Opened")

_AGAIN_SECONDS = 1.0


async def until_told(
    opening: AbstractAsyncContextManager[Opened], work: Callable[[Opened], Coroutine[Any, Any, T]]
) -> T:
    """Open, work, close, and give what the work gives.

    Raises:
        asyncio.CancelledError: It was told to stop, and has.
    """
    told = asyncio.Event()
    task = asyncio.current_task()
    opened = False

    def tell() -> None:
        told.set()
        if task is not None and not opened:
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tell)
    async with opening as found:
        opened = True
        return await _ended(asyncio.create_task(work(found), name="work"), told)


async def _ended(work: asyncio.Task[T], told: asyncio.Event) -> T:
    """What the work gives; cancelled when told, and more than once if need be.

    A driver that waits for its socket by `asyncio.wait_for` loses a cancellation that comes when the socket does (until
    Python 3.12), and works on.
    """
    telling = asyncio.create_task(told.wait(), name="told")
    try:
        await asyncio.wait({work, telling}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        telling.cancel()
        while not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=_AGAIN_SECONDS)
    return await work
