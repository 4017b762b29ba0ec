"""What the portal's door has done in the background: letters are sent, and what has ended is removed."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from customers.jobs import JobRunner, JobStore, Retries
from server.access.portal_sessions import PortalSessionStore
from server.access.sign_in_links import LinkStore
from server.logs import Event, log
from server.mail import DirectoryMailer, Mailer, mailer_of
from server.platform import Platform
from server.portal.copy_counts import CopyCounts
from server.portal.entry.keeper import LETTER
from server.portal.entry.letters import LetterJob
from server.portal.entry.writing import Writer
from server.portal.languages import Languages
from server.settings import Settings

_LOOK_SECONDS: Final = 1.0
_PRUNE_SECONDS: Final = 60.0
# What is not sent within a quarter of an hour nobody waits for any more.
_RETRIES: Final = Retries(most=10, first=timedelta(seconds=2), longest=timedelta(minutes=5))
_BASE: Final = "/portal"


def portal_address(settings: Settings) -> str | None:
    """Where the portal is, for links in letters; None where there is none.

    Never what a request says of itself: a letter with a link to wherever somebody wishes would let them in.
    """
    if settings.portal_origin is not None:
        return f"{settings.portal_origin.rstrip('/')}{_BASE}"
    return f"http://localhost:{settings.port}{_BASE}" if settings.development else None


def letter_runner(platform: Platform, mailer: Mailer | None, address: str) -> JobRunner:
    """What sends the letters that are due."""
    writer = Writer(Languages(), address, platform.settings.controller)
    return JobRunner(
        JobStore(platform.main, now=platform.now),
        {LETTER: LetterJob(platform, mailer, writer, random=os.urandom)},
        platform.vault.fleet.process_id,
        now=platform.now,
        random=os.urandom,
        failed=lambda error: log(Event.JOB_FAILED, error=error),
        retries=_RETRIES,
    )


async def tend_door(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Send letters and remove what has ended, for ever; nothing where there is no portal.

    Args:
        platform: Whose customers.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look for letters.
    """
    address = portal_address(platform.settings)
    if address is None:
        return
    mailer = mailer_of(platform.settings, now=platform.now, random=os.urandom)
    runner = letter_runner(platform, mailer, address)
    links = LinkStore(platform.main, now=platform.now, random=os.urandom)
    sessions = PortalSessionStore(platform.main, now=platform.now, random=os.urandom)
    counts = CopyCounts(platform.main, platform.services.gateway, platform.vault, platform.now)
    await tried(counts.prepare)
    clock = asyncio.get_running_loop().time
    due = clock()
    while True:
        await tried(runner.run_due)
        if clock() >= due:
            due = clock() + _PRUNE_SECONDS
            await tried(links.prune)
            await tried(sessions.prune)
            await tried(counts.prune)
            if isinstance(mailer, DirectoryMailer):
                await tried(lambda: asyncio.to_thread(mailer.sweep))
        await asyncio.sleep(look_seconds)


__all__ = ["letter_runner", "portal_address", "tend_door"]
