"""The access log of one writing process: group commit into a shard of its own."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit.batch import (
    MAX_BYTES,
    MAX_RECORDS,
    MAX_SPAN_SECONDS,
    Batch,
    Fault,
    build_batch,
    check_batch,
    span_seconds,
)
from audit.end import End, is_end
from audit.entry import Entry, EntryId, Head, Page, Position, Tombstone, require_shard
from audit.errors import AuditClosedError, AuditForkError, AuditUnavailableError
from audit.query import AccessQuery
from audit.reader import AccessReader, ShardCheck
from audit.record import Record, encode_record, timestamp
from audit.store import BatchStore
from audit.tree import Edge

_SHARD_BYTES = 6
_WAITING = 4096
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Pending:
    record: Record
    data: bytes
    waiter: "asyncio.Future[EntryId]"


class _EndedError(Exception):
    """Another process ended the shard, taking this one for dead."""


class AccessLog:
    """Appends records, each durable before `append` returns, and reads what any process appended.

    One task writes. While one insert is on its way, what arrives gathers and becomes the next batch, so a commit
    carries more the busier the log is and nothing waits for company. The tree in memory moves only when a batch is
    known to be stored: an insert of unknown outcome is read back by its `_id`, which the database holds at most once.

    A process that was taken for dead finds its shard ended and goes on in a new one; nobody who appends notices.
    """

    def __init__(
        self,
        store: BatchStore,
        shard: str,
        *,
        now: Callable[[], datetime],
        patience_seconds: float = 5.0,
        next_shard: Callable[[], str] | None = None,
    ) -> None:
        self._store = store
        self._reader = AccessReader(store, now)
        self._shard = require_shard(shard)
        self._now = now
        self._patience = patience_seconds
        self._next_shard = next_shard
        self.on_commit: Callable[[int], None] = lambda _records: None
        """Told how many records each commit had."""
        self.on_move: Callable[[], None] = lambda: None
        """Told when `shard` is another, because this one had been closed."""
        self._edge = Edge()
        # Edges of batches for the place after `_edge` whose insert may yet turn out to have happened.
        self._doubtful: set[Edge] = set()
        self._queue: deque[_Pending] = deque()
        self._room = asyncio.Semaphore(_WAITING)
        self._wake = asyncio.Event()
        self._closing = False
        self._forked = False
        self._writer = asyncio.create_task(self._write(), name=f"access log {shard}")

    @classmethod
    async def open(
        cls,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        shard: str | None = None,
        patience_seconds: float = 5.0,
    ) -> "AccessLog":
        """Create the indexes, enter a new shard and start writing to it.

        Args:
            database: Where the log lives.
            now: The present, with a time zone.
            random: So many random bytes, for the shard's id.
            shard: The new shard's id, when not random.
            patience_seconds: How long a commit may take before its records count as not written.

        Raises:
            AuditForkError: The shard exists; a restart opens a new one.
            AuditUnavailableError: The database failed.
            ShardIdInvalidError: `shard` is not a shard id.
        """
        name = require_shard(random(_SHARD_BYTES).hex() if shard is None else shard)
        store = BatchStore.over(database)
        await store.prepare()
        if not await store.open_shard(name, now()):
            raise AuditForkError("this shard was opened before; a restart opens a new one")
        return cls(
            store,
            name,
            now=now,
            patience_seconds=patience_seconds,
            next_shard=lambda: random(_SHARD_BYTES).hex(),
        )

    @property
    def shard(self) -> str:
        """The id of the shard that this log appends to now."""
        return self._shard

    def head(self) -> Head:
        """How far this log's shard has come."""
        return Head(self._shard, self._edge.size, self._edge.root())

    async def append(self, record: Record) -> EntryId:
        """Append `record`; on return it is in the journals of a majority.

        When the caller is cancelled, or an error says that the record could not be confirmed, it may be in the log
        all the same. It is never missing from the log when this returned.

        Raises:
            AuditUnavailableError: It could not be confirmed; nothing that rests on it may leave.
            AuditClosedError: The log is closing.
            AuditForkError: Another writer was found in this shard; this log appends no more.
            RecordInvalidError: It has no canonical bytes, or is too large.
        """
        data = encode_record(record)
        await self._room.acquire()
        if self._closing or self._forked:
            self._room.release()
            raise self._refusal()
        waiter: asyncio.Future[EntryId] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(record, data, waiter))
        self._wake.set()
        return await waiter

    async def close(self) -> None:
        """Write what waits, end the writing task and the shard. A second time does nothing.

        Raises:
            AuditUnavailableError: The shard could not be ended, so another process will; every waiter has had its
                answer.
        """
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._writer})
        if self._forked:
            return  # the shard's end is the other writer's to note
        await self._end()

    async def get(self, entry_id: EntryId) -> Entry:
        """The entry; see AccessReader.get."""
        return await self._reader.get(entry_id)

    async def search(self, query: AccessQuery, *, after: Position | None = None, limit: int = 50) -> Page:
        """Matching entries, newest first; see AccessReader.search."""
        return await self._reader.search(query, after=after, limit=limit)

    def tombstones(self) -> AsyncIterator[Tombstone]:
        """Every destroyed key; see AccessReader.tombstones."""
        return self._reader.tombstones()

    async def verify_shard(self, shard: str, *, known: Head | None = None) -> ShardCheck:
        """Recompute a shard; see AccessReader.verify_shard."""
        return await self._reader.verify_shard(shard, known=known)

    async def _write(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            pending = self._take()
            try:
                first = await self._commit(pending)
            except AuditForkError:
                self._forked = True
                self._give_up(pending)
            except Exception:  # noqa: BLE001 - whatever went wrong, every waiter must hear, and the next be served
                # The database does not answer: those who queued meanwhile would wait as long again for nothing.
                self._give_up(pending)
            else:
                self.on_commit(len(pending))
                for index, each in enumerate(pending, first):
                    if not each.waiter.done():
                        each.waiter.set_result(EntryId(self._shard, index))
            # Those just answered may have more to append; let them into the next batch.
            await asyncio.sleep(0)

    def _take(self) -> list[_Pending]:
        """The next batch: as much of the queue as fits in one."""
        taken: list[_Pending] = []
        size, oldest, newest = 0, "", ""
        while self._queue and len(taken) < MAX_RECORDS:
            each = self._queue[0]
            size += len(each.data)
            time = each.record.time
            oldest, newest = min(oldest or time, time), max(newest, time)
            if taken and (size > MAX_BYTES or span_seconds(oldest, newest) >= MAX_SPAN_SECONDS):
                break
            taken.append(self._queue.popleft())
            self._room.release()
        return taken

    async def _commit(self, pending: list[_Pending]) -> int:
        """Store the records and move the edge; the index of the first.

        Raises:
            AuditForkError: Something else is stored where they belong.
            TimeoutError: They could not be confirmed in time. They may be stored: `_doubtful` remembers.
        """
        entries = [(each.record, each.data) for each in pending]
        async with asyncio.timeout(self._patience):
            batch = build_batch(self._shard, self._edge, entries)
            pause = _FIRST_PAUSE
            while True:
                try:
                    stored = await self._insert(batch)
                except _EndedError:
                    await self._move()
                    batch = build_batch(self._shard, self._edge, entries)
                    continue
                if stored is None:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    continue
                self._edge = stored.edge
                self._doubtful.clear()
                if stored == batch:
                    return batch.first
                # An earlier batch, given up on, did land. It stays; ours follows it.
                batch = build_batch(self._shard, self._edge, entries)

    async def _insert(self, batch: Batch) -> Batch | None:
        """Insert the batch. What is then known to be stored in its place: it, or an earlier one; None for neither.

        Raises:
            AuditForkError: Another writer's batch is.
            _EndedError: The shard's end is, so that no batch of ours can be there.
        """
        document = batch.document()
        self._doubtful.add(batch.edge)
        try:
            if await self._store.insert(document):
                return batch
            found = await self._store.read(batch.id)
        except AuditUnavailableError:
            found = await self._read_back(batch.id)
        if found is None:
            return None
        if is_end(found):
            raise _EndedError
        stored = check_batch(found, self._edge)
        if isinstance(stored, Fault) or stored.edge not in self._doubtful:
            raise AuditForkError("another writer appended to this shard")
        return stored

    async def _move(self) -> None:
        """Go on in a new shard.

        Raises:
            AuditForkError: There is no way to name one.
            AuditUnavailableError: It could not be opened; the next commit tries again.
        """
        if self._next_shard is None:
            raise AuditForkError("this shard was closed by another process")
        name = require_shard(self._next_shard())
        if await self._store.open_shard(name, self._now()):
            self._shard, self._edge = name, Edge()
            self._doubtful.clear()
            self.on_move()

    async def _end(self) -> None:
        """Put the shard's end where its next batch would be, behind any batch that was given up on and did land."""
        now = self._now()
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    if await self._ended(End(self._shard, self._edge, timestamp(now))):
                        break
                    await asyncio.sleep(_FIRST_PAUSE)
        except TimeoutError:
            raise AuditUnavailableError("the shard's end could not be confirmed") from None
        except AuditForkError:
            return  # the shard's end is the other writer's to note
        await self._store.close_shard(self.head(), now)

    async def _ended(self, end: End) -> bool:
        """Whether the shard is now known to be ended, by this or by another process."""
        try:
            if await self._store.insert(end.document()):
                return True
            found = await self._store.read(end.id)
        except AuditUnavailableError:
            found = await self._read_back(end.id)
        if found is None or is_end(found):
            return found is not None
        stored = check_batch(found, self._edge)
        if isinstance(stored, Fault) or stored.edge not in self._doubtful:
            raise AuditForkError("another writer appended to this shard")
        self._edge = stored.edge
        return False

    async def _read_back(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._store.read(name)
        except AuditUnavailableError:
            return None

    def _give_up(self, pending: list[_Pending]) -> None:
        """Tell these, and all who wait behind them, that their records could not be confirmed."""
        while self._queue:
            pending.append(self._queue.popleft())
            self._room.release()
        for each in pending:
            if not each.waiter.done():
                each.waiter.set_exception(self._refusal())

    def _refusal(self) -> AuditForkError | AuditUnavailableError:
        if self._forked:
            return AuditForkError("another writer appended to this shard; this log appends no more")
        if self._closing:
            return AuditClosedError("the access log is closed")
        return AuditUnavailableError("the access record could not be confirmed")
