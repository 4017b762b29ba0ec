"""So many requests are worked on at once, and the others wait their turn before anything of theirs is begun.

A read has a deadline, as an erasure waits for it (`vault.Fleet.reading`). Were a thousand begun at once, all would run out
of time together and nothing would be answered; so those beyond what a process can do at once wait in the order in which
they came, and their deadline begins with their turn. What is asked of roles, policy and consent is asked then too; and who
they are is asked again, as they may be revoked while they wait.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from schema.errors import TimeoutExceededError

__all__ = ["AT_ONCE", "PATIENCE_SECONDS", "Turns"]

AT_ONCE = 64
PATIENCE_SECONDS = 20.0


class Turns:
    """Gives `at_once` turns at a time.

    Args:
        at_once: How many may be taken at once.
        patience: How long one may wait for a turn, in seconds.
    """

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE_SECONDS) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience = patience

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[bool]:
        """A turn, for the length of a block, and whether it was waited for.

        Raises:
            TimeoutExceededError: None came in time; nothing was begun.
        """
        waited = self._free.locked()
        if waited:
            try:
                async with asyncio.timeout(self._patience):
                    await self._free.acquire()
            except TimeoutError:
                raise TimeoutExceededError from None
        else:
            await self._free.acquire()  # at once
        try:
            yield waited
        finally:
            self._free.release()
