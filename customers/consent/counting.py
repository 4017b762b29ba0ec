"""How many customers said what about each purpose: for whoever watches over consent, and for whoever plans by it.

Everybody's present decisions are looked at in turn, a thousand at a time; nothing of anybody is kept but the sums, and
those for a few minutes.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from customers.access import Access
from customers.consent.model import Rights, refusal
from customers.errors import ReadNotAllowedError
from policies import Purpose, Scope, Verdict

FEWEST: Final = 11
"""Smaller numbers are not told to whoever may only see numbers: a count is not to point at people."""
PATH: Final = "profile.consents"
EXPIRED: Final = "expired"
_KEPT: Final = timedelta(minutes=5)


class People(Protocol):
    """Who there is: the profiles that are not part of others, with `rights` and `consents`."""

    def consents(self) -> AsyncIterator[Mapping[str, Any]]:
        """Each of them."""


@dataclass(frozen=True, slots=True)
class ConsentCount:
    """How many customers last said this about this purpose.

    Attributes:
        purpose: The purpose; `*` of restrictions.
        channel: For which channel alone they said it.
        state: What they said; `expired` of a consent that has ended.
        customers: How many; None where it is fewer than `FEWEST` and the caller may only see counts.
    """

    purpose: str
    channel: str | None
    state: str
    customers: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """All counts, and when they were made."""

    counts: tuple[ConsentCount, ...]
    at: datetime


class ConsentCounter:
    """Counts, for one process; a count is made once for all who ask within minutes."""

    def __init__(self, people: People, *, now: Callable[[], datetime]) -> None:
        self._people = people
        self._now = now
        self._held: dict[str, tuple[datetime, Counter[tuple[str, str | None, str]]]] = {}
        self._turn = asyncio.Lock()

    async def counts(self, access: Access) -> Counted:
        """The counts that this caller may see; whoever calls records it.

        Customers whose rights do not allow the caller's purpose are not counted.

        Raises:
            ReadNotAllowedError: The caller may neither see everybody's privacy choices for this purpose nor count by them.
        """
        best = next((each for each in access.grant.read[PATH].alternatives if each.scope is Scope.ANY), None)
        if best is None and all(each.scope is not Scope.ANY for each in access.grant.filter[PATH].alternatives):
            raise ReadNotAllowedError([PATH])
        at, found = await self._counted(access.grant.purpose)
        exact = best is not None and best.verdict is Verdict.CLEAR
        return Counted(
            tuple(
                ConsentCount(purpose, channel, state, number if exact or number >= FEWEST else None)
                for (purpose, channel, state), number in sorted(found.items(), key=lambda each: _place(each[0]))
            ),
            at,
        )

    async def _counted(self, purpose: Purpose) -> tuple[datetime, Counter[tuple[str, str | None, str]]]:
        async with self._turn:
            now = self._now()
            held = self._held.get(purpose.name)
            if held is not None and now - held[0] < _KEPT:
                return held
            found: Counter[tuple[str, str | None, str]] = Counter()
            async for each in self._people.consents():
                if refusal(Rights.of_document(each.get("rights") or {}), purpose, now) is None:
                    found.update(_said(entry, now) for entry in each.get("consents", ()))
            self._held[purpose.name] = now, found
            return now, found


def _place(key: tuple[str, str | None, str]) -> tuple[str, str, str]:
    return key[0], key[1] or "", key[2]


def _said(entry: Mapping[str, Any], now: datetime) -> tuple[str, str | None, str]:
    ends = entry.get("expires_at")
    over = entry["state"] == "granted" and ends is not None and ends <= now
    return entry["purpose"], entry.get("channel"), EXPIRED if over else entry["state"]
