"""The alarm of broken glass: a line in the log at once, and a letter to everybody who is to know.

A letter holds who, when and until when, and the number to look it up by; never why, which may be about somebody.
"""

import html
import logging
from collections.abc import Sequence
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.jobs import JobStore, NewJob
from customers.oversight.break_glass import Alarm, BreakGlass, Opening
from server.clock import Now
from server.logs import Event, log
from server.mail import Letter

ALARM: Final = "break_glass_alarm"


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


__all__ = ["ALARM", "alarm_of", "letter_about"]
