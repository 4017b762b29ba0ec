"""The alarm of broken glass: a line in the log at once, and a letter to everybody who is to know.

What nobody has reviewed a day, three days and a week after it was over is told of again, in the same two ways.

A letter holds who, when and until when, and the number to look it up by; never why, which may be about somebody.
"""

import html
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.jobs import JobStore, NewJob
from customers.oversight.break_glass import Alarm, BreakGlass, Opening
from server.clock import Now
from server.logs import Event, log
from server.mail import Letter

ALARM: Final = "break_glass_alarm"
REMINDER: Final = "break_glass_reminder"
_AFTER: Final = (timedelta(days=1), timedelta(days=3), timedelta(days=7))


def alarm_of(main: AsyncDatabase[dict[str, Any]], addresses: Sequence[str], now: Now) -> Alarm:
    """What tells of an opening, durably, before it opens anything."""
    jobs = JobStore(main, now=now)

    async def alarm(opening: Opening) -> None:
        log(Event.BREAK_GLASS, logging.WARNING, check="opened")
        due = now()
        await jobs.add(
            NewJob(ALARM, f"{opening.id}:{number}", due, payload={"opening": opening.id, "to": number})
            for number in range(len(addresses))
        )
        # One of each for the server's log, which needs no address.
        await jobs.add(
            NewJob(
                REMINDER,
                f"{opening.id}:{after.days}:{'log' if number is None else number}",
                opening.until + after,
                payload={"opening": opening.id, "to": number},
            )
            for after in _AFTER
            for number in (None, *range(len(addresses)))
        )

    return alarm


async def letter_about(glass: BreakGlass, name: str, to: str, origin: str | None) -> Letter:
    """The letter that says that somebody broke the glass."""
    opening = await glass.one(name)
    where = f"{origin or ''}/console/break-glass"
    if opening is None:  # recorded and told, and then it was not opened
        said = [f"Somebody tried to open break-glass access (number {name})."]
    else:
        minute = "%Y-%m-%d %H:%M UTC"
        said = [
            f"{opening.actor} broke the glass: until {opening.until.strftime(minute)} they may see personal data.",
            f"Since {opening.opened_at.strftime(minute)}. Number {name}. Entry {opening.entry} of the access log.",
        ]
    said.append(f"Everything they read is recorded under this number. Review it afterwards: {where}")
    return Letter(
        to=to,
        subject="Break-glass access was opened",
        text="\n\n".join(said) + "\n",
        html="".join(f"<p>{html.escape(each)}</p>" for each in said),
        language="en",
    )


async def letter_of_review(glass: BreakGlass, name: str, to: str, origin: str | None) -> Letter | None:
    """The letter that says that nobody has reviewed an opening; None where somebody has, or it is not there."""
    opening = await glass.one(name)
    if opening is None or opening.review is not None:
        return None
    since = opening.opened_at.strftime("%Y-%m-%d %H:%M UTC")
    said = [
        f"{opening.actor} broke the glass on {since}, and nobody has said yet whether that was justified.",
        f"Number {name}; customers seen: {opening.people}.",
        f"Somebody else than they has to review it: {origin or ''}/console/break-glass",
    ]
    return Letter(
        to=to,
        subject="Break-glass access waits to be reviewed",
        text="\n\n".join(said) + "\n",
        html="".join(f"<p>{html.escape(each)}</p>" for each in said),
        language="en",
    )


__all__ = ["ALARM", "REMINDER", "alarm_of", "letter_about", "letter_of_review"]
