"""Back pressure: how much may be on its way in at once. Whatever is beyond is refused at once, never queued unbounded.

The bounds are of one process: so many batches are at work, so many wait for their turn, and a turn that takes too long
is given up. The bytes of bodies on their way are bounded where they arrive (`server/collection`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from customers.errors import IntakeBusyError


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """How much one process takes in at once.

    Attributes:
        at_work: Batches that talk to the database at the same time.
        waiting: Batches that wait for that.
        backlog: Customers whose profiles wait to hear of events that are stored.
        seconds: How long one batch may take once it is at work.
        retry_after: When to send again what was refused, in seconds.
    """

    at_work: int = 4
    waiting: int = 32
    backlog: int = 20_000
    seconds: float = 8.0
    retry_after: float = 2.0


class Gate:
    """Lets in what fits."""

    def __init__(self, limits: IntakeLimits) -> None:
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.at_work)
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """The batches that wait right now."""
        return self._waiting

    def busy(self) -> IntakeBusyError:
        """What to say to whoever does not fit."""
        return IntakeBusyError(self._limits.retry_after)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """One batch at work for the length of the block, after its turn has come.

        Raises:
            IntakeBusyError: As many wait as may.
        """
        if self._slots.locked() and self._waiting >= self._limits.waiting:
            raise self.busy()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()
