"""Carries out jobs that are due, some at a time, until it is stopped."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from customers.jobs.model import Job, JobFailedError, JobHopelessError, JobPostponedError, Retries
from customers.jobs.store import JobStore

Handler = Callable[[Job], Awaitable[None]]
"""Does a job, perhaps not for the first time. Whatever it raises is a failure, and tried again."""

_UNEXPECTED: Final = "unexpected"
_LOST: Final = "process_lost"
_RENEWALS: Final = 3


class JobRunner:
    """Takes jobs and has them done.

    Args:
        store: Where they are.
        handlers: By the kind of job; jobs of other kinds are left to other processes.
        process: The name of this process.
        now: The time.
        random: Gives that many random bytes.
        failed: Told of each failure that no handler foresaw.
        retries: How failed jobs are tried again.
        at_once: How many jobs are under way at the same time.
        lease: How long a job is held without news; renewed while it goes on.
    """

    def __init__(
        self,
        store: JobStore,
        handlers: Mapping[str, Handler],
        process: str,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        failed: Callable[[Exception], None],
        retries: Retries | None = None,
        at_once: int = 8,
        lease: timedelta = timedelta(seconds=60),
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._process = process
        self._now = now
        self._random = random
        self._failed = failed
        self._retries = retries or Retries()
        self._at_once = at_once
        self._lease = lease

    async def run_due(self) -> int:
        """Do what is due now, and say how many jobs that was."""
        count = 0
        while jobs := await self._store.take(self._handlers, self._process, limit=self._at_once, lease=self._lease):
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(self._do(job))
            count += len(jobs)
        return count

    async def run(self, *, every_seconds: float = 1.0) -> None:
        """Do what is due, look again after a while, and so on until this is cancelled."""
        while True:
            try:
                await self.run_due()
            except Exception as error:  # noqa: BLE001 - the database is away; it is tried again
                self._failed(error)
            await asyncio.sleep(every_seconds)

    async def _do(self, job: Job) -> None:
        """Do one job; who loses the lease meanwhile stops, and changes nothing any more."""
        if job.attempt > self._retries.most:
            # Each process that took it was lost, perhaps because of it.
            await self._settled(self._store.bury(job, _LOST))
            return
        task = asyncio.create_task(self._handled(job))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=self._lease.total_seconds() / _RENEWALS)
                if not task.done() and not await self._renewed(job):
                    break
        finally:
            # Only what did not end: stopping what has ended does nothing.
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})

    async def _renewed(self, job: Job) -> bool:
        try:
            return await self._store.renew(job, self._lease)
        except Exception as error:  # noqa: BLE001 - not known: whoever holds it next does it again
            self._failed(error)
            return False

    async def _handled(self, job: Job) -> None:
        try:
            await self._handlers[job.kind](job)
        except JobPostponedError as later:
            await self._settled(self._store.postpone(job, later.until))
        except JobHopelessError as error:
            await self._settled(self._store.bury(job, error.code))
        except JobFailedError as error:
            await self._settled(self._again(job, error.code, error.after))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one job's failure
            self._failed(error)
            await self._settled(self._again(job, _UNEXPECTED, timedelta(0)))
        else:
            await self._settled(self._store.finish(job))

    async def _settled(self, change: Awaitable[bool]) -> None:
        """Write how it ended; where that fails the lease runs out, and the job is done again."""
        try:
            await change
        except Exception as error:  # noqa: BLE001 - as it says
            self._failed(error)

    async def _again(self, job: Job, code: str, after: timedelta) -> bool:
        if job.attempt >= self._retries.most:
            return await self._store.bury(job, code)
        pause = max(after, self._retries.pause(job.attempt, self._random))
        return await self._store.retry(job, code, self._now() + pause)
