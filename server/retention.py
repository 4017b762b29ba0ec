"""Retention as the commands and the worker use it: the limits in force, and removing what they no longer let be kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from customers.profiles.store import CustomerStore
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep, Progress
from customers.rights.sweeping import RetentionSweep, Swept
from policies import UnknownPurposeError
from policies.limits import Limit, load_limits
from server.logs import Event, log
from server.platform import Platform

_LOOK_SECONDS: Final = 60.0
_ACTOR: Final = "confide"
_OPERATION: Final = "retention sweep"


def people_of(platform: Platform) -> InactivitySweep:
    """What erases those of whom nothing was heard."""
    return InactivitySweep(platform.main, CustomerStore(platform.main), platform.services.eraser, now=platform.now)


def sweep_of(platform: Platform) -> RetentionSweep:
    """What runs limits."""
    return RetentionSweep(
        platform.main,
        CustomerStore(platform.main),
        people_of(platform),
        platform.vault,
        platform.log,
        now=platform.now,
    )


def limits_of(platform: Platform) -> tuple[Limit, ...]:
    """The limits in force.

    Raises:
        PolicyInvalidError: The file cannot be used; the message has every fault.
    """
    return load_limits(platform.settings.policy_dir, platform.policies.current)


async def sweep(
    platform: Platform, limits: tuple[Limit, ...], *, actor: str = _ACTOR, progress: Callable[[Limit], Progress]
) -> list[Swept]:
    """Run these limits, one after the other; those that another process is at are left to it.

    Raises:
        EraseNotAllowedError, UnknownPurposeError: The policy lets nobody do that.
        vault.VaultError, audit.AuditError, pymongo.errors.PyMongoError: The next run goes on.
    """
    done: list[Swept] = []
    for limit in limits:
        access = platform.access(actor, (ROLE,), PURPOSE, operation=_OPERATION, case=f"limit:{limit.name}")
        swept = await sweep_of(platform).run(access, limit, progress=progress(limit))
        if swept is not None:
            done.append(swept)
            log(Event.RETENTION_SWEPT, check=limit.name, count=swept.removed)
    return done


async def sweep_due(platform: Platform) -> list[Swept]:
    """Run the limits that are due, if the worker shall, and the policy has a purpose for it."""
    every = timedelta(hours=platform.settings.retention_hours)
    if not every:
        return []
    sweeping = sweep_of(platform)
    due = tuple([each for each in limits_of(platform) if await sweeping.is_due(each, every)])
    try:
        return await sweep(platform, due, progress=lambda _limit: lambda _done, _of: None)
    except UnknownPurposeError:
        return []  # a policy of the company's own, without it


async def sweep_regularly(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Look now and then whether a limit is due, for ever.

    Args:
        platform: Whose data.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    while platform.settings.retention_hours:
        await asyncio.sleep(look_seconds)
        await tried(lambda: sweep_due(platform))
