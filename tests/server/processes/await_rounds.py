"""Work that is killed at every point at which it waits: an erasure, the completion of a request, the telling of it.

Each place has a world of its own, which stands as every other does: a person is in it of whom there is something
everywhere. A process does the work there until it is killed at its place; the next one has to bring it to its end. Then
nothing of the person is in any document or byte, and the rest is as it should be.
"""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customers.rights.requests import Kind
from tests.customers.outgoing.answering import Answering, always, answering, response
from tests.server.processes.deployment import Deployment
from tests.server.processes.erased_bytes import Scanner
from tests.server.processes.starting import Started
from tests.server.processes.watched_work import WORDS
from tests.server.processes.worlds import Ground, Snapshot, taken, world

_PROGRAM = "tests.server.processes.watched_work:main"
_SECONDS = 180.0
_TRIES = 3
_KILLED = -9
# What is scanned together, with the engine that it was in.
_TOGETHER = 48

Say = Callable[[str], None]
Grounds = Callable[[], AbstractAsyncContextManager[Ground]]
Spoil = Callable[[Deployment, Sequence[str]], Awaitable[object]]
"""Does harm before the next process starts; is given the ids of the person's profiles."""


@dataclass
class Killed:
    """How the kills of some work ended."""

    work: str
    places: int = 0
    chosen: int = 0
    killed: int = 0
    failed: int = 0
    """Processes that ended by an error of their own, as where the machine has too much to do; others went on."""
    looks: int = 0
    """How often every byte was looked at."""
    faults: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        return (
            f"{self.work} waits at {self.places} places, was killed at {self.killed} of {self.chosen} and finished by "
            f"another process ({self.failed} processes failed by themselves); every byte looked at {self.looks} times, "
            f"{len(self.faults)} faults"
        )


class Rounds:
    """Kills one kind of work at its places, some at once."""

    def __init__(self, work: str, grounds: Grounds, server: Answering, free: asyncio.Semaphore) -> None:
        self._work, self._grounds, self._server = work, grounds, server
        self._free = free
        self.result = Killed(work)

    async def prepared(self, files: Path) -> tuple[Snapshot, list[str]]:
        """The world as it stands before the work; and where the work waits, once it came to its end."""
        async with self._grounds() as ground, contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(self._world(ground, "first"))
            snapshot = await taken(first, files, await self._said(first, "prepare"))
            watched = await stack.enter_async_context(self._world(ground, "watched", snapshot))
            seen = list(dict.fromkeys(await self._said(watched, "do", snapshot.said["name"])))
            await self._finished(watched, snapshot)
            await self._scan([watched], ground)
        self.result.places = len(seen)
        return snapshot, seen

    async def kill(self, snapshot: Snapshot, places: Sequence[str], spoil: Spoil | None = None) -> list[str]:
        """Kill it at these places, each in a world of its own, and look at every byte; give where it did not come by."""
        async with self._grounds() as ground, contextlib.AsyncExitStack() as stack:
            sites = [
                await stack.enter_async_context(self._world(ground, f"world-{at}", snapshot))
                for at, _ in enumerate(places)
            ]
            came_by = await asyncio.gather(
                *(self._at(site, snapshot, place, spoil) for site, place in zip(sites, places, strict=True))
            )
            await self._scan(sites, ground)
        return [place for place, came in zip(places, came_by, strict=True) if not came]

    async def _at(self, site: Deployment, snapshot: Snapshot, place: str, spoil: Spoil | None) -> bool:
        """Kill it at this place, and have it finished; whether it came by."""
        async with self._free:
            process = await self._started(site, "do", snapshot.said["name"], place)
            code = await process.wait(_SECONDS)
            self.result.failed += code not in (0, _KILLED)
            if spoil is not None:
                await spoil(site, snapshot.said["ids"])
            await self._finished(site, snapshot)
        self.result.killed += code == _KILLED
        return code == _KILLED

    async def _finished(self, site: Deployment, snapshot: Snapshot) -> None:
        """Have the next process bring it to its end, and say what is wrong."""
        finish = ("finish", snapshot.said["name"], *snapshot.said["ids"])
        for _ in range(_TRIES - 1):
            process = await self._started(site, *finish)
            if await process.wait(_SECONDS) == 0:
                said = json.loads(process.out)
                break
            self.result.failed += 1
        else:
            said = await self._said(site, *finish)
        heard = b"".join(self._server.heard)
        untold = [each for each in said["told"] if each.encode() not in heard]
        self.result.faults += said["faults"] + ["a recipient was not told"] * len(untold)

    async def _scan(self, sites: Sequence[Deployment], ground: Ground) -> None:
        self.result.faults += await Scanner(*sites, engine=ground.files).faults(list(WORDS))
        self.result.looks += 1

    def _world(
        self, ground: Ground, name: str, snapshot: Snapshot | None = None
    ) -> AbstractAsyncContextManager[Deployment]:
        settings = {
            "CONFIDE_OUTGOING_ALLOWED": json.dumps([self._server.url("")]),
            # Only of a request for it does a second person say that somebody is erased.
            "CONFIDE_FOUR_EYES": json.dumps([Kind.ERASURE] if self._work == Kind.ERASURE else []),
        }
        return world(ground, f"{self._work}-{name}", snapshot, **settings)

    async def _started(self, site: Deployment, part: str, *arguments: str) -> Started:
        return await site.run_own(_PROGRAM, part, self._work, *arguments)

    async def _said(self, site: Deployment, part: str, *arguments: str) -> Any:
        """What a process says that comes to its end."""
        process = await self._started(site, part, *arguments)
        if await process.wait(_SECONDS):
            raise AssertionError(process.err[-3000:])
        return json.loads(process.out)


def some(places: list[str], most: int | None, dice: random.Random) -> list[str]:
    """The places, or so many of them from the first to the last."""
    if most is None or most >= len(places):
        return places
    # One of each stretch of the way, so that every step has some.
    cuts = [round(each * len(places) / most) for each in range(most + 1)]
    return [places[dice.randrange(low, high)] for low, high in itertools.pairwise(cuts)]


async def kill_awaits(
    works: Sequence[str],
    grounds: Grounds,
    directory: Path,
    *,
    most: int | None,
    seed: int,
    at_once: int = 6,
    say: Say = lambda _line: None,
) -> list[Killed]:
    """Kill these works at every place, or at so many of them."""
    async with answering(always(response())) as server:
        free = asyncio.Semaphore(at_once)

        async def kill(work: str) -> Killed:
            rounds = Rounds(work, grounds, server, free)
            snapshot, seen = await rounds.prepared(directory / f"as-{work}-began")
            left = some(seen, most, random.Random(seed))  # noqa: S311 - a test's dice
            rounds.result.chosen = len(left)
            # Not every run comes by each place: a connection that is free is not waited for.
            for _ in range(_TRIES):
                missed = []
                for start in range(0, len(left), _TOGETHER):
                    missed += await rounds.kill(snapshot, left[start : start + _TOGETHER])
                    say(rounds.result.summary)
                left = missed
            return rounds.result

        return await asyncio.gather(*map(kill, works))
