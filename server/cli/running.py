"""Runs a command's coroutine against an open platform."""

import asyncio
import getpass
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from server.logs import configure
from server.platform import Platform, open_platform
from server.settings import Settings, load_settings

T = TypeVar("T")


def with_platform(
    work: Callable[[Platform], Awaitable[T]], *, settings: Settings | None = None, replay: bool = True
) -> T:
    """Open the platform, do the work, close it. Logs only warnings, so that the command's own output stands alone."""
    found = settings or load_settings()
    configure("WARNING")

    async def run() -> T:
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with open_platform(found, replay=replay) as platform:
            return await work(platform)

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:  # by SIGTERM
        raise KeyboardInterrupt from None


def operator() -> str:
    """Who types: the operating system's name of the user, as an actor of the access log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"
