"""The day's report on the quality of the data, made by whichever process comes first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from customers.quality import PURPOSE, ROLE
from policies import UnknownPurposeError
from server.platform import Platform

# Not at once: a process that has just started has people waiting, and one that lives for a minute makes no report.
_LOOK_SECONDS: Final = 600.0
_ACTOR: Final = "confide"
_OPERATION: Final = "daily quality report"


async def report_daily(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Look now and then whether the day's report is due, for ever.

    Args:
        platform: Whose data.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    while True:
        await asyncio.sleep(look_seconds)
        await tried(lambda: report_if_due(platform))


async def report_if_due(platform: Platform) -> None:
    """Make today's report if it is time, nobody has made it, and the policy lets its maker read for it."""
    quality = platform.services.quality
    if quality is None:
        return
    try:
        access = platform.access(_ACTOR, (ROLE,), PURPOSE, operation=_OPERATION)
    except UnknownPurposeError:
        return  # a policy of the company's own, without it
    await quality.run_if_due(access)
