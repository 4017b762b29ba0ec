"""Looks regularly for profiles that are one person, by whichever process comes first."""

import asyncio
from collections.abc import Awaitable, Callable

from customers.errors import ReadNotAllowedError, WriteNotAllowedError
from customers.identity.finding import PURPOSE, READER, STEWARD, MatchingRunningError, MatchReport
from policies import UnknownPurposeError
from server.platform import Platform

_ACTOR = "confide"
_OPERATION = "identity matching"


async def match_regularly(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
) -> None:
    """Look as often as the settings say, for ever; each process begins when it has run for as long.

    Args:
        platform: Whose data.
        tried: Runs a job, and tells the log where it fails.
    """
    minutes = platform.settings.identity_match_minutes
    while minutes:
        await asyncio.sleep(60.0 * minutes)
        await tried(lambda: match_once(platform))


async def match_once(platform: Platform) -> MatchReport | None:
    """Look now; None where another process is at it, or the policy does not let anybody."""
    try:
        access = platform.access(_ACTOR, READER, PURPOSE, operation=_OPERATION)
        joining = None
        if platform.settings.identity_auto_merge:
            joining = platform.access(_ACTOR, STEWARD, PURPOSE, operation=_OPERATION)
        return await platform.matching.run(access, joining)
    except (UnknownPurposeError, ReadNotAllowedError, WriteNotAllowedError, MatchingRunningError):
        return None
