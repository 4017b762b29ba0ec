"""The processes that may hold keys, and how all of them come to know a change before a call returns.

Every process holds a **lease**: a document it renews. Every kind of change has an **epoch**, a number that only
grows. `Fleet.advance` raises an epoch and returns once every process has applied it and said so, or has lost its
lease. A process without a lease refuses to read, so after `advance` returns nobody acts on the state before it.

No two clocks are compared. A process counts its lease from the moment *before* it sent the renewal that was
acknowledged. Whoever waits for it counts, on its own clock, from the moment *after* it first saw that renewal, waits
longer than the lease, and only then removes the document, and only if the renewal is still the one it saw. So the
lease has ended for its holder before it ends for anybody else (Gray and Cheriton 1989, "Leases"). The clock goes on
counting while a machine sleeps or a process is stopped (`CLOCK_BOOTTIME`): a process stopped in the middle of a read
finds its lease gone when it checks again at the end, and answers nothing.

What one who can write to these collections could do: keep an erasure from returning (by inventing a process), or
make one return before a process has followed (by acknowledging in its name). They cannot make a punctured key open.
"""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from vault.errors import FleetError, LeaseLostError, ReadDeadlineError
from vault.retry import retrying

_LOG = logging.getLogger(__name__)

# How much longer than a lease others wait before they remove it: room for clocks that run at different speeds.
_PATIENCE = 1.2
_BEATS_PER_LEASE = 4


class Epoch(StrEnum):
    """What a process can be asked to follow. The values are stored; they may not be changed or reused."""

    RING = "ring"
    """The key ring file was replaced: load it and forget every key."""
    FENCE = "fence"
    """Wait until every read that was in flight has ended."""
    POLICY = "policy"
    """The policy set changed: load it."""
    REVOCATIONS = "revocations"
    """Tokens or roles were revoked: load the list."""
    DOCUMENTS = "documents"
    """Trusted documents were added or removed: load them."""


# After a fence, reads that had the key already; after a puncture, whoever finished the same erasure with it in hand.
_DRAINED = frozenset({Epoch.FENCE, Epoch.RING})


@dataclass(frozen=True, slots=True)
class Process:
    """One process that holds a lease, as `Fleet.processes` lists it."""

    process_id: str
    pid: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class _Sighting:
    """The renewal last seen of a process, and when it was first seen on this process's own clock."""

    beat: int
    since: float


def boot_seconds() -> float:
    """Seconds on a clock that nobody sets and that counts while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fleet:
    """This process's lease, and the epochs it follows."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = boot_seconds,
        lease_seconds: float = 5.0,
        poll_seconds: float = 0.2,
        read_seconds: float = 10.0,
    ) -> None:
        """Nothing is read or written before `start`.

        Args:
            database: The key store; `processes` and `control` live there.
            now: The time, for people to read; no decision rests on it.
            clock: Seconds on a clock that only grows, and grows while the process is stopped.
            lease_seconds: How long one renewal lasts: the longest an erasure waits for a process that died.
            poll_seconds: How often a process looks for new epochs.
            read_seconds: The longest one read may take.
        """
        self._processes = database["processes"]
        self._control = database["control"]
        self._now = now
        self._clock = clock
        self._lease = lease_seconds
        self._poll = poll_seconds
        self._read_deadline = read_seconds
        self._grace = lease_seconds + read_seconds
        self.process_id = uuid.uuid4().hex
        self._callbacks: dict[Epoch, list[Callable[[], Awaitable[None]]]] = {epoch: [] for epoch in Epoch}
        self._on_lost: list[Callable[[], None]] = []
        self._reads: set[asyncio.Event] = set()
        self._applied: dict[Epoch, int] = {}
        self._applying: dict[Epoch, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: dict[str, _Sighting] = {}
        self._last_look = float("-inf")
        self._leased_until = float("-inf")
        self._wake = asyncio.Event()
        self._closing = False
        self._stopping = False
        self._serving = False
        self._joined = False
        self.lost = asyncio.Event()
        """Set once this process can never read again: it must end, or start anew."""

    def on(self, epoch: Epoch, apply: Callable[[], Awaitable[None]]) -> None:
        """Have `apply` run at start and whenever `epoch` grows, before this process says that it has followed.

        If it keeps failing for longer than a lease and a read, this process gives up its lease.
        """
        self._callbacks[epoch].append(apply)

    def on_lost(self, forget: Callable[[], None]) -> None:
        """Have `forget` run as soon as this process knows that its lease is gone for good."""
        self._on_lost.append(forget)

    async def start(self) -> None:
        """Take a lease and apply every epoch; from here on reads are served.

        The lease comes first and the epochs are read after it, so a change made meanwhile is either seen here or
        waits for this process.

        Raises:
            FleetError: It was started before. A process that lost its lease starts with a new `Fleet`.
        """
        if self._joined:
            raise FleetError("this process has already joined once; start anew with a new vault")
        self._joined = True
        sent = self._clock()
        await self._processes.insert_one(
            {
                "_id": self.process_id,
                "beat": 0,
                "lease_seconds": self._lease,
                "acknowledged": {},
                "pid": os.getpid(),
                "started_at": self._now(),
            }
        )
        self._leased_until = sent + self._lease
        self._tasks.append(asyncio.create_task(self._keep_lease(), name="confide lease"))
        try:
            epochs = await self._epochs()
            for epoch in Epoch:
                for apply in self._callbacks[epoch]:
                    await apply()
            await self._acknowledge(epochs)
        except BaseException:
            await self.stop()
            raise
        self._applied = epochs
        self._serving = True
        self._tasks.append(asyncio.create_task(self._follow(), name="confide epochs"))

    async def stop(self) -> None:
        """Refuse new reads, wait for those in flight, and give the lease back."""
        self._closing = True
        if self._joined and not self.lost.is_set():
            await self.drain()
        self._serving = False
        self._stopping = True
        self._leased_until = float("-inf")
        tasks = {*self._tasks, *self._applying.values()}
        while tasks:
            for task in tasks:
                task.cancel()
            # More than once: the driver may answer a cancelled call with an error of its own.
            _, tasks = await asyncio.wait(tasks, timeout=self._poll)
        if self._joined:
            # Unreachable now, it is removed by others once the lease is over.
            with contextlib.suppress(PyMongoError):
                await self._processes.delete_one({"_id": self.process_id})

    # ---- reading

    def check_lease(self) -> None:
        """Return if this process may read now.

        Raises:
            LeaseLostError: It has no lease: not started, stopped, cut off for too long, or put out by others.
        """
        if not self._serving or self._clock() >= self._leased_until:
            raise LeaseLostError("this process holds no lease on the keys and may not read")

    def check_reading(self) -> None:
        """Return if this process may read now and is inside a `reading` block.

        That the block is the caller's own is not seen; what is caught is a caller that has none.

        Raises:
            LeaseLostError: As `check_lease`.
            FleetError: No read is in flight.
        """
        self.check_lease()
        if not self._reads:
            raise FleetError("keys are fetched, and identifiers claimed, inside `reading`")

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """One read: fetching keys, decrypting, and whatever must not outlive an erasure.

        The lease is checked on entry and again on the way out, after the decrypting: what was decrypted may only
        be used once the block has ended well. Do not call `advance` inside: it would wait for this very read.

        Raises:
            LeaseLostError: There was no lease on entry, or none any more at the end.
            ReadDeadlineError: The block took longer than `read_seconds`.
        """
        self.check_lease()
        if self._closing:
            raise LeaseLostError("this process is stopping and begins no more reads")
        ended = asyncio.Event()
        began = self._clock()
        self._reads.add(ended)
        timeout = asyncio.timeout(self._read_deadline)
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if timeout.expired():
                raise ReadDeadlineError("the read took too long and was given up") from error
            raise
        finally:
            self._reads.discard(ended)
            ended.set()
        self.check_lease()
        if self._clock() - began > self._read_deadline:
            raise ReadDeadlineError("the read took too long and was given up")

    async def drain(self) -> None:
        """Wait until every read that is in flight now has ended; later ones are not waited for."""
        for ended in tuple(self._reads):
            await ended.wait()

    # ---- changes

    async def advance(self, epoch: Epoch) -> int:
        """Have every live process follow, and return the new epoch when each has, or has lost its lease.

        Whatever the epoch stands for must be in place before. Takes one poll interval where every process is
        well, and a little more than a lease where one is not.

        Raises:
            LeaseLostError: This process lost its own lease meanwhile.
        """
        await retrying(lambda: self._control.update_one({"_id": "epochs"}, {"$inc": {epoch: 1}}, upsert=True))
        reached = (await self._epochs()).get(epoch, 0)
        self._wake.set()
        while True:
            processes = await self._look()
            if not any(process["acknowledged"].get(epoch, 0) < reached for process in processes):
                break
            await asyncio.sleep(self._poll / 4)
        if self.lost.is_set():
            raise LeaseLostError("this process lost its lease while others followed")
        return reached

    async def processes(self) -> list[Process]:
        """The processes that hold a lease, or did until a moment ago."""
        found = await self._processes.find({}).to_list(None)
        return [Process(one["_id"], one["pid"], one["started_at"]) for one in found]

    # ---- the lease

    async def _keep_lease(self) -> None:
        while not (self._stopping or self.lost.is_set()):
            try:
                async with asyncio.timeout(self._lease):
                    await self._renew()
                    await self._look()
                pause = self._lease / _BEATS_PER_LEASE
            except (PyMongoError, TimeoutError):
                pause = min(self._poll, self._lease / _BEATS_PER_LEASE)
            await asyncio.sleep(pause)

    async def _renew(self) -> None:
        """Renew the lease. One that ran out but that nobody removed may be renewed: nobody has acted on its end."""
        sent = self._clock()
        answer = await self._processes.update_one({"_id": self.process_id}, {"$inc": {"beat": 1}})
        if answer.matched_count:
            self._leased_until = max(self._leased_until, sent + self._lease)
        elif not self._stopping:
            self._lose()

    def _lose(self) -> None:
        self._serving = False
        self._leased_until = float("-inf")
        if not self.lost.is_set():
            _LOG.error("this process lost its lease on the keys and stops reading")
            self.lost.set()
            for forget in self._on_lost:
                forget()

    async def _look(self) -> list[dict[str, Any]]:
        """Every process that holds a lease; those that did not renew it for too long are removed."""
        processes = await self._processes.find({}).to_list(None)
        now = self._clock()
        if now - self._last_look > self._lease / 2:
            # We were away ourselves (stopped, asleep, cut off), and so perhaps was everyone: begin counting anew.
            self._seen = {}
        self._last_look = now
        seen, living = {}, []
        for process in processes:
            key, beat = process["_id"], process["beat"]
            before = self._seen.get(key)
            sighting = before if before is not None and before.beat == beat else _Sighting(beat, now)
            if now - sighting.since > process["lease_seconds"] * _PATIENCE:
                removed = await self._processes.delete_one({"_id": key, "beat": beat})
                if removed.deleted_count:
                    _LOG.warning("a process did not renew its lease and was put out")
                    continue
            seen[key] = sighting
            living.append(process)
        self._seen = seen
        return living

    # ---- the epochs

    async def _epochs(self) -> dict[Epoch, int]:
        found = await self._control.find_one({"_id": "epochs"}) or {}
        return {epoch: found[epoch] for epoch in Epoch if epoch in found}

    async def _acknowledge(self, epochs: dict[Epoch, int]) -> None:
        changes = {f"acknowledged.{epoch}": number for epoch, number in epochs.items()}
        if not changes:
            return
        answer = await retrying(lambda: self._processes.update_one({"_id": self.process_id}, {"$set": changes}))
        if not answer.matched_count:
            self._lose()
            raise LeaseLostError("this process was put out before it could follow")

    async def _follow(self) -> None:
        while not (self._stopping or self.lost.is_set()):
            self._wake.clear()
            with contextlib.suppress(PyMongoError):
                for epoch, number in (await self._epochs()).items():
                    if number > self._applied.get(epoch, 0) and epoch not in self._applying:
                        task = asyncio.create_task(self._apply(epoch, number), name=f"confide {epoch} {number}")
                        self._applying[epoch] = task
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._poll)

    async def _apply(self, epoch: Epoch, number: int) -> None:
        began = self._clock()
        try:
            while not (self._stopping or self.lost.is_set()):
                try:
                    for apply in self._callbacks[epoch]:
                        await apply()
                    if epoch in _DRAINED:
                        async with asyncio.timeout(self._grace):
                            await self.drain()
                    await self._acknowledge({epoch: number})
                    self._applied[epoch] = number
                except Exception as error:  # noqa: BLE001 - whatever it was, we have not followed
                    _LOG.warning("could not follow %s: %s", epoch, type(error).__name__)
                    if self._clock() - began > self._grace:
                        await self._resign()
                    await asyncio.sleep(self._poll)
                else:
                    return
        finally:
            del self._applying[epoch]

    async def _resign(self) -> None:
        """Give the lease up: this process cannot follow, and must not keep the others waiting."""
        self._lose()
        with contextlib.suppress(PyMongoError):
            await self._processes.delete_one({"_id": self.process_id})
