"""Until when a privacy request must be answered. Pure.

Every moment that is uncertain is taken to be the earlier one: public holidays count as business days, and a term that
ends on a Sunday is not drawn out to Monday, though the law would allow both (Regulation 1182/71 Art. 3(4); California
Code of Civil Procedure § 12a).
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from customers.rights.requests.model import Kind, Regime

_MONTHS: Final = 12
_FRIDAY: Final = 4
_CONFIRM_DAYS: Final = 10
_OPT_OUT_DAYS: Final = 15
_DAYS: Final = timedelta(days=45)
_KEPT_MONTHS: Final = 24
# What is done without knowing for sure who asks (11 CCR §§ 7026(d), 7027(e)): at once, without confirming or extending.
_AT_ONCE: Final = frozenset({Kind.OPT_OUT, Kind.OBJECTION, Kind.RESTRICTION})


@dataclass(frozen=True, slots=True)
class Clock:
    """The terms of one request.

    Attributes:
        due_at: Until when it must be answered.
        longest: Until when at most, once the person was told that it takes longer; None where it may not.
        confirm_by: Until when the person must be told that it was received; None where the law names no term.
    """

    due_at: datetime
    longest: datetime | None
    confirm_by: datetime | None


def clock(regime: Regime, kind: Kind, received_at: datetime) -> Clock:
    """The terms of a request.

    GDPR: one month, and two further ones with notice (Art. 12(3)). CPRA: 45 days, and 45 more with notice, with its
    receipt confirmed within 10 business days (11 CCR § 7021); 15 business days for opting out of sale and sharing and
    for limiting use (11 CCR §§ 7026(f), 7027(g)).

    Args:
        regime: The law that the person relies on.
        kind: What is asked for.
        received_at: When it was received, also where nobody looked at it then.
    """
    match regime:
        case Regime.GDPR:
            return Clock(add_months(received_at, 1), add_months(received_at, 3), None)
        case Regime.CPRA:
            if kind in _AT_ONCE:
                return Clock(add_business_days(received_at, _OPT_OUT_DAYS), None, None)
            confirm_by = add_business_days(received_at, _CONFIRM_DAYS)
            return Clock(received_at + _DAYS, received_at + 2 * _DAYS, confirm_by)


def kept_until(closed_at: datetime) -> datetime:
    """Until when the proof of a request is kept: 24 months after it ended (11 CCR § 7101(a))."""
    return add_months(closed_at, _KEPT_MONTHS)


def reminders(clock_: Clock) -> tuple[datetime, ...]:
    """When to remind of a request: two days before its receipt must be confirmed, a week and a day before it is due."""
    early = () if clock_.confirm_by is None else (clock_.confirm_by - timedelta(days=2),)
    return (*early, clock_.due_at - timedelta(days=7), clock_.due_at - timedelta(days=1))


def add_months(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of that month where it has no such day."""
    whole = moment.month - 1 + months
    year, month = moment.year + whole // _MONTHS, whole % _MONTHS + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def add_business_days(moment: datetime, days: int) -> datetime:
    """The same hour so many days from Monday to Friday later; the day itself does not count."""
    for _ in range(days):
        moment += timedelta(days=1)
        while moment.weekday() > _FRIDAY:
            moment += timedelta(days=1)
    return moment
