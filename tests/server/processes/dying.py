"""Runs in processes of their own that kill themselves at the very write that a test names: no signal comes too late."""

import asyncio
import os
import signal
from datetime import timedelta
from multiprocessing import get_context

from pymongo import monitoring

_WRITES = frozenset({"insert", "update", "delete", "findAndModify"})
_OF_TIME = frozenset({"processes", "control"})
"""Collections that are written as time passes, and not by what is run."""
KILLED = -signal.SIGKILL


class _Death(monitoring.CommandListener):
    """Kills this process at a write: before it is sent, or when it was made and nobody has heard of it."""

    def __init__(self, writes, *, made):
        self.armed = False
        self._left = writes
        self._made = made
        self._counting = set()

    def started(self, event):
        if not self.armed or event.command_name not in _WRITES or event.command[event.command_name] in _OF_TIME:
            return
        self._left -= 1
        if self._left == 0 and not self._made:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            self._counting.add(event.request_id)

    def succeeded(self, event):
        if event.request_id in self._counting:
            os.kill(os.getpid(), signal.SIGKILL)

    def failed(self, event):
        self.succeeded(event)


async def run_until_death(settings, work, writes, *, made):
    """Run in a process that dies at this write; gives its exit code: `KILLED`, or 0 where there were fewer.

    Args:
        settings: Of the platform to open.
        work: A coroutine function at the top of a module, given the platform.
        writes: The number of the write, from 1.
        made: Whether it dies once the write is made, or before.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["server.platform", __name__, work.__module__])
    process = context.Process(target=_live, args=(settings, work, writes, made))
    process.start()
    try:
        await asyncio.to_thread(process.join)
        return process.exitcode
    finally:
        process.close()


def _live(settings, work, writes, made):
    from customers.identity import merge_steps, review  # noqa: PLC0415 - in the process that dies

    # What another left is gone on with at once: that one is dead, and nothing waits for it to answer.
    merge_steps._ABANDONED = review._ABANDONED = timedelta(0)
    death = _Death(writes, made=made)
    monitoring.register(death)
    asyncio.run(_lived(settings, work, death))


async def _lived(settings, work, death):
    from server.platform import open_platform  # noqa: PLC0415 - as above

    async with open_platform(settings) as platform:
        death.armed = True
        await work(platform)
        death.armed = False
