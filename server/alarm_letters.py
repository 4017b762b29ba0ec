"""Sends the letters of alarms (`alarms.py`)."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from customers.jobs import Job, JobFailedError, JobRunner, JobStore
from server.alarms import ALARM, letter_about
from server.logs import Event, log
from server.mail import Mailer, MailError, mailer_of
from server.platform import Platform

_LOOK_SECONDS: Final = 2.0


async def tend_alarms(
    platform: Platform, tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]
) -> None:
    """Send the letters of alarms, for ever; nothing where nobody is to have one."""
    settings = platform.settings
    if not settings.alarm_addresses:
        return
    mailer = mailer_of(settings, now=platform.now, random=os.urandom)
    runner = alarm_runner(platform, mailer)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await tried(runner.run_due)


def alarm_runner(platform: Platform, mailer: Mailer | None) -> JobRunner:
    """What sends the letters that are due."""
    settings, glass = platform.settings, platform.break_glass

    async def send(job: Job) -> None:
        addresses, number = settings.alarm_addresses, job.payload["to"]
        if number >= len(addresses):
            return  # somebody who was to know, and is no more
        if mailer is None:
            raise JobFailedError("no_mailer")
        letter = await letter_about(glass, job.payload["opening"], addresses[number], settings.console_origin)
        try:
            await mailer.send(letter)
        except MailError as error:
            raise JobFailedError("mail") from error

    return JobRunner(
        JobStore(platform.main, now=platform.now),
        {ALARM: send},
        platform.vault.fleet.process_id,
        now=platform.now,
        random=os.urandom,
        failed=lambda error: log(Event.JOB_FAILED, error=error),
    )


__all__ = ["alarm_runner", "tend_alarms"]
