"""Every point at which a piece of asynchronous work waits: told one by one, and where to kill the process that does it.

A *place* is where the work stands when it waits: the lines of our own code down to the call that waits. Each counts twice:
when something was asked for (`asked`: it may be done, and nobody hears of it), and when the answer is there (`answered`:
it is done, and nothing was made of it). A place that is come by again, as the steps of an erasure are written down one
after the other, counts again, up to a number: for what waits for others asks them over and over.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path

ROOT = str(Path(__file__).parents[3])
_OURS = tuple(f"{ROOT}/{name}/" for name in ("audit", "customers", "policies", "schema", "server", "vault"))
_AGAIN = 8


class Watch:
    """Notes the places in the order in which they come; kills this process at one of them."""

    def __init__(self, target: str | None = None) -> None:
        self._target = target
        self._calls: Counter[str] = Counter()
        self._seen: dict[str, None] = {}

    @property
    def places(self) -> list[str]:
        """Where it waited. Of the parts in which an answer comes, just the last is one at which all of it is there."""
        last: dict[str, str] = {}
        for each in self._seen:
            call, _, _ = each.rpartition(".")
            last.pop(call, None)
            last[call] = each
        kept = set(last.values())
        return [each for each in self._seen if each in kept]

    def call(self, place: str) -> int:
        """The work begins to wait here; gives for which time."""
        self._calls[place] += 1
        return self._calls[place]

    def note(self, named: str) -> None:
        self._seen[named] = None
        if named == self._target:
            os.kill(os.getpid(), signal.SIGKILL)

    async def over(self, work: Coroutine) -> None:
        """Do this work, with every task that it starts, under this watch."""
        loop = asyncio.get_running_loop()
        _WATCH.set(self)
        loop.set_task_factory(_watched)
        try:
            await asyncio.create_task(work)
        finally:
            loop.set_task_factory(None)


_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


def _watched(loop, coro, **options):
    watch = _WATCH.get()
    return asyncio.Task(coro if watch is None else _Traced(coro, watch), loop=loop, **options)


class _Traced(Coroutine):
    """A coroutine that is told of whenever it waits and goes on."""

    def __init__(self, coro: Coroutine, watch: Watch) -> None:
        self._coro = coro
        self._watch = watch
        self._at = ""
        self._call = self._part = 0

    def send(self, value):
        self._answered()
        return self._asked(self._coro.send(value))

    def throw(self, *how):
        self._answered()
        return self._asked(self._coro.throw(*how))

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator:
        return self._coro.__await__()

    def _asked(self, waits):
        at = _place(self._coro)
        if at != self._at:
            self._at, self._part, self._call = at, 0, self._watch.call(at) if at else 0
            if 0 < self._call <= _AGAIN:
                self._watch.note(f"asked {at} #{self._call}.0")
        return waits

    def _answered(self) -> None:
        self._part += 1
        if 0 < self._call <= _AGAIN:
            self._watch.note(f"answered {self._at} #{self._call}.{self._part}")


def _place(coro) -> str:
    """Where a coroutine waits; empty where none of our code does."""
    ours = []
    while coro is not None:
        kind = next((each for each in _FRAMES if hasattr(coro, f"{each}_frame")), None)
        if kind is None:
            break
        frame = getattr(coro, f"{kind}_frame")
        if frame is not None and frame.f_code.co_filename.startswith(_OURS):
            ours.append(f"{frame.f_code.co_filename.removeprefix(f'{ROOT}/')}:{frame.f_lineno}")
        coro = getattr(coro, _FRAMES[kind])
    return " > ".join(ours)


_FRAMES = {"cr": "cr_await", "gi": "gi_yieldfrom", "ag": "ag_await"}
