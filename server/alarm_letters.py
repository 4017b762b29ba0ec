"""Sends the letters of alarms (`alarms.py`)."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final

from customers.jobs import Job, JobFailedError, JobRunner, JobStore
from server.alarms import ALARM, REMINDER, letter_about, letter_of_review
from server.logs import Event, log
from server.mail import Letter, Mailer, MailError, mailer_of
from server.platform import Platform

_LOOK_SECONDS: Final = 2.0


async def tend_alarms(
    platform: Platform, tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]
) -> None:
    """Send the letters of alarms, and remind of what nobody has reviewed, for ever."""
    settings = platform.settings
    mailer = mailer_of(settings, now=platform.now, random=os.urandom) if settings.alarm_addresses else None
    runner = alarm_runner(platform, mailer)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await tried(runner.run_due)


class _Letters:
    """Writes and sends letters about openings, each to the one address that its job names."""

    def __init__(self, platform: Platform, mailer: Mailer | None) -> None:
        self._addresses = platform.settings.alarm_addresses
        self._origin = platform.settings.console_origin
        self._glass = platform.break_glass
        self._mailer = mailer

    async def alarm(self, job: Job) -> None:
        """Of an opening, at once."""
        address = self._address_of(job)
        if address is not None:
            await self._send(await letter_about(self._glass, job.payload["opening"], address, self._origin))

    async def remind(self, job: Job) -> None:
        """Of an opening that nobody has reviewed."""
        if job.payload["to"] is None:
            opening = await self._glass.one(job.payload["opening"])
            if opening is not None and opening.review is None:
                # Which one stands at the top of the console's page; a line of a log names none.
                log(Event.BREAK_GLASS, logging.WARNING, check="not_reviewed")
            return
        address = self._address_of(job)
        if address is None:
            return
        letter = await letter_of_review(self._glass, job.payload["opening"], address, self._origin)
        if letter is not None:
            await self._send(letter)

    def _address_of(self, job: Job) -> str | None:
        """To whom it goes; None of somebody who was to know, and is no more."""
        number: int = job.payload["to"]
        return self._addresses[number] if number < len(self._addresses) else None

    async def _send(self, letter: Letter) -> None:
        if self._mailer is None:
            raise JobFailedError("no_mailer")
        try:
            await self._mailer.send(letter)
        except MailError as error:
            raise JobFailedError("mail") from error


def alarm_runner(platform: Platform, mailer: Mailer | None) -> JobRunner:
    """What sends the letters that are due."""
    letters = _Letters(platform, mailer)
    return JobRunner(
        JobStore(platform.main, now=platform.now),
        {ALARM: letters.alarm, REMINDER: letters.remind},
        platform.vault.fleet.process_id,
        now=platform.now,
        random=os.urandom,
        failed=lambda error: log(Event.JOB_FAILED, error=error),
    )


__all__ = ["alarm_runner", "tend_alarms"]
