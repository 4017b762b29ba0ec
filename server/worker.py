"""The background work of a process: what must happen without anybody asking.

For now: finishing erasures that another process began and did not end, undoing creations that died half way, bringing
merges that were cut off to their end, and forgetting revocations of tokens that have expired. Every job can run in
several processes at once and be cut off at any point. They run once a minute, and as soon as a process is seen to have
gone: it may have left something half done.

Beside them the access log is signed on its own schedule, and shards of processes that died are closed. Once a day the
report on the quality of the data is made, and every hour profiles that are one person are looked for, by one of all
processes.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from pymongo.errors import PyMongoError

from server.alarm_letters import tend_alarms
from server.enrichment import expire_regularly
from server.handing_on import hand_on_requests
from server.logs import Event, log
from server.matching import match_regularly
from server.opendsr import call_back
from server.platform import Platform
from server.portal.entry.tending import tend_door
from server.quality import report_daily
from server.recipients import tell_recipients
from server.requests import tend_requests
from server.retention import sweep_regularly

_EVERY_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_CANCEL_SECONDS = 0.5


@contextlib.asynccontextmanager
async def working(platform: Platform, *, every_seconds: float = _EVERY_SECONDS) -> AsyncIterator[None]:
    """Work in the background for the length of a block."""
    tasks = [
        asyncio.create_task(_work(platform, every_seconds), name="worker"),
        asyncio.create_task(_sign(platform), name="checkpoints"),
        asyncio.create_task(report_daily(platform, _tried), name="quality"),
        asyncio.create_task(match_regularly(platform, _tried), name="matching"),
        asyncio.create_task(expire_regularly(platform, _tried), name="expiry"),
        asyncio.create_task(tend_requests(platform, _tried), name="requests"),
        asyncio.create_task(sweep_regularly(platform, _tried), name="retention"),
        asyncio.create_task(tend_door(platform, _tried), name="door"),
        asyncio.create_task(tell_recipients(platform, _tried), name="recipients"),
        asyncio.create_task(call_back(platform, _tried), name="opendsr"),
        asyncio.create_task(hand_on_requests(platform, _tried), name="webhook requests"),
        asyncio.create_task(tend_alarms(platform, _tried), name="alarms"),
        asyncio.create_task(_announce(platform), name="announcing"),
    ]
    try:
        yield
    finally:
        left = set(tasks)
        while left:
            for task in left:
                task.cancel()
            # More than once: the driver may answer a cancelled call with an error of its own, and the job goes on.
            _, left = await asyncio.wait(left, timeout=_CANCEL_SECONDS)


async def _work(platform: Platform, every_seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    due, known = clock() + every_seconds, set[str]()
    while True:
        await asyncio.sleep(min(_LOOK_SECONDS, every_seconds))
        living = await _living(platform, known)
        if clock() < due and known <= living:
            known = living
            continue
        due, known = clock() + every_seconds, living
        await _tried(platform.services.eraser.resume)
        await _tried(platform.services.eraser.sweep)
        await _tried(platform.services.eraser.expire)
        await _tried(platform.reviewer.resume)
        if await tell_profiles(platform):
            due = clock()  # there may be more of them than are looked at at once
        await _tried(platform.revocations.prune)


async def tell_profiles(platform: Platform) -> int:
    """Have profiles hear of the events that processes which are gone have stored, and not told them of.

    Gives how many batches were taken up; they are told in the background.
    """
    taken = 0

    async def take() -> None:
        nonlocal taken
        while swept := await platform.collecting.applier.sweep():
            taken += swept

    await _tried(take)
    return taken


async def _sign(platform: Platform) -> None:
    """Close what processes that died left open, and sign the log; so often that little can be cut off unseen."""
    while True:
        await asyncio.sleep(platform.settings.checkpoint_seconds)
        await _tried(lambda: close_abandoned(platform))
        await _tried(platform.signed.checkpointer.checkpoint)


async def _announce(platform: Platform) -> None:
    """Name the shard as soon as this process had to move to another, or the others would close that as well."""
    moved = asyncio.Event()
    platform.log.on_move = moved.set
    while True:
        await moved.wait()
        moved.clear()
        await _tried(platform.announce_shard)


async def close_abandoned(platform: Platform) -> None:
    """Close the shards of processes that hold no lease any more."""
    await platform.announce_shard()
    await platform.signed.checkpointer.close_abandoned(living=await platform.living_shards())


async def _living(platform: Platform, known: set[str]) -> set[str]:
    """The processes that hold a lease; those known before while the database does not say."""
    try:
        return {process.process_id for process in await platform.vault.fleet.processes()}
    except PyMongoError:
        return known


async def _tried(job: Callable[[], Awaitable[object]]) -> None:
    try:
        await job()
    except Exception as error:  # noqa: BLE001 - one job's failure must not end the others; it is tried again
        log(Event.JOB_FAILED, logging.WARNING, error=error)
