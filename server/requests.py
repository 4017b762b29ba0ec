"""Privacy requests in the background: reminders of those that are due soon, and the end of old proofs and copies."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from customers.jobs import Job, JobRunner, JobStore
from customers.rights.requests import REMINDER
from server.logs import Event, log
from server.platform import Platform

_LOOK_SECONDS: Final = 60.0


async def tend_requests(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Remind of requests and remove old proofs now and then, for ever.

    Args:
        platform: Whose requests.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    while True:
        await asyncio.sleep(look_seconds)
        await tried(lambda: remind(platform))
        await tried(platform.requests.prune)
        await tried(lambda: asyncio.to_thread(platform.copies.sweep))


async def remind(platform: Platform) -> int:
    """Log of each request that is due soon and still open; give how many reminders were looked at."""

    async def reminded(job: Job) -> None:
        request = await platform.requests.due(job.payload["request"])
        if request is not None:
            # Which one stands in the queue; a line of a log names no request.
            log(Event.PRIVACY_REQUEST_DUE, check=request.kind.value)

    runner = JobRunner(
        JobStore(platform.main, now=platform.now),
        {REMINDER: reminded},
        platform.vault.fleet.process_id,
        now=platform.now,
        random=os.urandom,
        failed=lambda error: log(Event.JOB_FAILED, error=error),
    )
    return await runner.run_due()
