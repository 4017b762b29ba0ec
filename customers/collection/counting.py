"""Counts events on profiles: how many, the first and the last; exactly, though no count can be written twice.

What arrives is added up in memory and written for many profiles at once. Where it is not known whether a write happened,
or a process died before it, that is noted, and the customer's events are counted anew when nothing of theirs is on its
way. Nobody waits for that: neither their batches nor anybody else's.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from customers.collection.event_documents import Happened, is_heard_by_name
from customers.collection.event_store import EventStore
from customers.profiles.joined import MERGED_INTO, OWN, for_joined
from customers.profiles.store import CustomerStore

_AT_ONCE: Final = 100
_SIDE_BY_SIDE: Final = 8
_FEWEST: Final = 5


@dataclass(slots=True)
class Work:
    """What one profile must hear."""

    events: list[Happened] = field(default_factory=list)
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    recount: bool = False
    since: float = 0.0
    """When the first of it came, in seconds of a clock that only grows."""
    batches: dict[str, None] = field(default_factory=dict)

    def add(self, event: Happened) -> None:
        """Count an event, and keep it where it says something."""
        self.count += 1
        if self.first is None or event.at < self.first:
            self.first = event.at
        if self.last is None or event.at > self.last:
            self.last = event.at
        if _says_something(event):
            self.events.append(event)

    def join(self, other: "Work") -> None:
        """Put what came meanwhile behind this."""
        self.events += other.events
        self.count += other.count
        self.first = min((each for each in (self.first, other.first) if each is not None), default=None)
        self.last = max((each for each in (self.last, other.last) if each is not None), default=None)
        self.recount = self.recount or other.recount
        self.batches |= other.batches

    def counts(self) -> dict[str, dict[str, Any]]:
        """The change of the profile's counts."""
        if not self.count or self.recount:
            return {}
        return {
            "$inc": {"event_count": self.count},
            "$min": {"first_event_at": self.first},
            "$max": {"last_event_at": self.last},
        }


class Counts:
    """Writes counts, for one process."""

    def __init__(self, events: EventStore, customers: CustomerStore, failed: Callable[[Exception], None]) -> None:
        self._events = events
        self._customers = customers
        self._failed = failed
        # Whether there may be somebody to count anew; another process may have left them.
        self.owing = True

    async def all(self, works: Mapping[str, Work]) -> dict[str, Work]:
        """Write the counts of many profiles at once; those whose are not written yet.

        That is no change of a profile, so its version stays. Profiles that are several in one are counted one by one.
        """
        plain = {each: work for each, work in works.items() if not work.recount}
        uncounted = {each: work for each, work in works.items() if work.recount}
        # An engine may take its time for each write of a command; several commands are written side by side.
        each_has = max(_FEWEST, -(-len(plain) // _SIDE_BY_SIDE))
        ids = list(plain)
        parts = [ids[start : start + each_has] for start in range(0, len(ids), each_has)]
        for left in await asyncio.gather(*(self._part({each: plain[each] for each in part}) for part in parts)):
            uncounted |= left
        return uncounted

    async def _part(self, works: Mapping[str, Work]) -> dict[str, Work]:
        """Write these counts in one command; those whose are not written yet. Raises nothing."""
        try:
            matched = await self._events.count_all([(_alone(each), work.counts()) for each, work in works.items()])
            if matched == len(works):
                return {}
            found = await self._customers.find(list(works), {OWN: 1, MERGED_INTO: 1})
            others = set(works) - {each["_id"] for each in found if OWN not in each and MERGED_INTO not in each}
            if len(works) - matched == len(others):
                return {each: works[each] for each in others}
        except Exception as error:  # noqa: BLE001 - which of them were written is not known
            self._failed(error)
        for work in works.values():
            work.recount = True
        return dict(works)

    async def one(self, customer_id: str, work: Work) -> None:
        """Write the counts of one profile."""
        update = work.counts()
        if update and not await self._events.count(_alone(customer_id), update):
            document = next(iter(await self._customers.find([customer_id], {OWN: 1, MERGED_INTO: 1})), None)
            if document is None:
                return
            await self._events.count({"_id": customer_id}, for_joined(document, update))
            if (into := document.get(MERGED_INTO)) is not None:
                await self._events.count({"_id": into}, update)
        await self.anew(customer_id, work)

    async def anew(self, customer_id: str, work: Work) -> None:
        """Have a customer's events counted anew, where it is not known which of them were counted.

        When this returns it stands in the database that they are to be, so their batches may be struck off.
        """
        if work.recount:
            await self._events.recount_later(customer_id, next(reversed(work.batches)))
            self.owing = True

    async def settle(self) -> None:
        """Count anew whoever is to be, and of whom nothing is on its way; the others' turn comes later."""
        found = await self._events.recounts(_AT_ONCE)
        self.owing = bool(found)
        done: list[bool] = []
        for start in range(0, len(found), _SIDE_BY_SIDE):
            some = found[start : start + _SIDE_BY_SIDE]
            done += await asyncio.gather(*(self._counted_anew(*each) for each in some))
        if all(done) and len(done) < _AT_ONCE:
            self.owing = False

    async def _counted_anew(self, customer_id: str, token: str) -> bool:
        document = next(iter(await self._customers.find([customer_id], {"event_count": 1, OWN: 1})), None)
        if document is not None:
            if await self._events.any_open(customer_id):
                return False
            count, first, last = await self._events.tally(customer_id)
            # Whoever began meanwhile is in the journal; whoever ended meanwhile has changed the count, or the token.
            if await self._events.any_open(customer_id):
                return False
            before = document.get(OWN, document).get("event_count")
            if count == 0 and not before:
                await self._events.recounted(customer_id, token)
                return True
            update: dict[str, dict[str, Any]] = {"$inc": {"event_count": count - (before or 0)}}
            if first is not None:
                update |= {"$min": {"first_event_at": first}, "$max": {"last_event_at": last}}
            place = f"{OWN}.event_count" if OWN in document else "event_count"
            wanted = {"_id": customer_id, place: {"$exists": False} if before is None else before}
            if not await self._events.count(wanted, for_joined(document, update)):
                return False
        await self._events.recounted(customer_id, token)
        return True


def _alone(customer_id: str) -> dict[str, Any]:
    """A profile that is nobody else's and has no other in it."""
    return {"_id": customer_id, OWN: {"$exists": False}, MERGED_INTO: {"$exists": False}}


def _says_something(event: Happened) -> bool:
    """Whether an event changes more than counts."""
    return not event.quarantined and (event.said is not None or is_heard_by_name(event.type, event.name))
