"""Bodies on their way in: each has a deadline, and only so many are waited for at once.

So bodies that never end hold a bounded number of connections for a bounded time, and those that come at once are read
whatever else is going on. GraphQL, the console's forms and the collection of events each have a number of their own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Arriving:
    """Where bodies are received; when one too many comes, the one that was waited for longest is given up.

    Args:
        seconds: How long a body may take to arrive.
        most: How many may be on their way at once.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._deadlines: dict[asyncio.Timeout, None] = {}

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Receive one body inside.

        Raises:
            TimeoutError: It did not arrive in time, or was waited for longest when there were too many.
        """
        async with asyncio.timeout(self._seconds) as deadline:
            if len(self._deadlines) >= self._most:
                oldest = next(iter(self._deadlines))
                del self._deadlines[oldest]
                if not oldest.expired():  # else its deadline has passed, and it is about to say so
                    oldest.reschedule(asyncio.get_running_loop().time())
            self._deadlines[deadline] = None
            try:
                yield
            finally:
                self._deadlines.pop(deadline, None)
