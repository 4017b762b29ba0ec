"""Runs a command's coroutine against an open platform."""

import asyncio
import os
import pwd
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from server.access.claims import COMMAND_PREFIX
from server.cli.stopping import until_told
from server.logs import configure
from server.platform import Platform, open_platform
from server.settings import Settings, load_settings

T = TypeVar("T")


def with_platform(
    work: Callable[[Platform], Coroutine[Any, Any, T]], *, settings: Settings | None = None, replay: bool = True
) -> T:
    """Open the platform, do the work, close it. Logs only warnings, so that the command's own output stands alone."""
    found = settings or load_settings()
    configure("WARNING")

    try:
        return asyncio.run(until_told(open_platform(found, replay=replay), work))
    except asyncio.CancelledError:  # by SIGTERM
        raise KeyboardInterrupt from None


def operator() -> str:
    """Who types: the operating system's name of the user, as an actor of the access log; no variable changes it."""
    try:
        return f"{COMMAND_PREFIX}{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"{COMMAND_PREFIX}{os.getuid()}"
