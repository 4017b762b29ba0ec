"""Many small look-ups at once, asked of the database as one.

Requests that run side by side each want a document or two. What they want is put together and fetched by one query:
at once where nothing is on its way, and otherwise when the query before has come back, or after `PATIENCE` if it does
not. So a lone request waits for nobody, and a busy process asks a few large questions instead of many small ones.

What holds for every asker, whoever else is in the batch:

- **Fresh.** A batch is closed before it is sent, so nobody is given what was read before they asked. A fence, a
  withdrawn consent or a new key is felt as if they had asked alone.
- **Their own.** An asker is given what they asked for and nothing else of the batch.
- **Alone in failing.** One who is cancelled or out of time leaves the others waiting undisturbed. Where a batch fails
  for any reason but those that are everybody's (the database is gone), each asks again alone, so what one of them sent
  can fail nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from contextvars import Context
from typing import Final, Generic, TypeVar

from pymongo.errors import ConnectionFailure

__all__ = ["LARGEST", "MOST", "PATIENCE", "Coalescer"]

LARGEST: Final = 16
"""How many one asker may add to a batch; who wants more gains nothing by company."""
MOST: Final = 256
"""How many things are asked for by one query."""
PATIENCE: Final = 0.002
"""Seconds a batch waits for the one before it to come back."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Batch(Generic[K, V]):
    """What is asked together: the keys in the order they came, and who waits for the answer."""

    __slots__ = ("handle", "keys", "waiting")

    def __init__(self) -> None:
        self.keys: dict[K, None] = {}
        self.waiting: list[asyncio.Future[Mapping[K, V] | None]] = []
        self.handle: asyncio.Handle | None = None


class Coalescer(Generic[K, V]):
    """Answers `get` for several at once by one call of `fetch`.

    Args:
        fetch: Gives what there is of these keys, by key. Must not depend on who asks: it runs in a context of its own.
        common: The errors that are everybody's; of any other, each asker of a batch learns by asking alone.
    """

    def __init__(
        self,
        fetch: Callable[[Collection[K]], Awaitable[Mapping[K, V]]],
        *,
        common: tuple[type[Exception], ...] = (ConnectionFailure,),
    ) -> None:
        self._fetch = fetch
        self._common = common
        self._open: _Batch[K, V] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, keys: Collection[K]) -> dict[K, V]:
        """What there is of these keys, by key, as it stands at this moment or later.

        Raises:
            Exception: What `fetch` raised for these very keys, or for a batch of them where it is one of `common`.
        """
        if len(keys) > LARGEST:
            return dict(await self._fetch(keys))
        waiter: asyncio.Future[Mapping[K, V] | None] = asyncio.get_running_loop().create_future()
        batch = self._joined(len(keys))
        batch.keys.update(dict.fromkeys(keys))
        batch.waiting.append(waiter)
        found = await waiter
        if found is None:  # the batch failed, perhaps by what somebody else asked for
            found = await self._fetch(keys)
        return {key: found[key] for key in keys if key in found}

    def _joined(self, more: int) -> _Batch[K, V]:
        """The batch that is not sent yet, with room for this many."""
        batch = self._open
        if batch is not None and len(batch.keys) + more > MOST:
            self._send(batch)
            batch = None
        if batch is None:
            batch = self._open = _Batch()
            loop = asyncio.get_running_loop()
            # The others whose bytes arrived in the same moment run before what is called soon.
            batch.handle = (
                loop.call_later(PATIENCE, self._send, batch) if self._running else loop.call_soon(self._send, batch)
            )
        return batch

    def _send(self, batch: _Batch[K, V]) -> None:
        if batch is self._open:
            self._open = None
        if batch.handle is not None:
            batch.handle.cancel()
        if all(each.done() for each in batch.waiting):  # all were cancelled
            return
        task = asyncio.get_running_loop().create_task(self._run(batch), context=Context())
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def _run(self, batch: _Batch[K, V]) -> None:
        alone = len(batch.waiting) == 1
        try:
            found = await self._fetch(batch.keys)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where it was asked for
            for waiter in batch.waiting:
                if waiter.done():
                    continue
                if alone or isinstance(error, self._common):
                    waiter.set_exception(error)
                else:
                    waiter.set_result(None)
            return
        except asyncio.CancelledError:
            for waiter in batch.waiting:
                waiter.cancel()
            raise
        for waiter in batch.waiting:
            if not waiter.done():
                waiter.set_result(found)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._open is not None and not self._running:
            self._send(self._open)
