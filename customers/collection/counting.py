"""Counts events on profiles: how many, the first and the last; exactly, though no count can be written twice.

What arrives is added up in memory and written for many profiles at once. Where it is not known whether a write happened,
or a process died before it, the customer's events are counted anew, but for those of batches that somebody else has yet
to count: an event names the batch that inserted it. Whoever begins meanwhile is in the journal, and whoever ends
meanwhile has changed the count. So nobody waits for anybody, however much is coming in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from customers.collection.commerce import STEPS
from customers.collection.event_documents import CONSENT_EVENT, Happened
from customers.collection.event_store import EventStore
from customers.collection.events import EventType
from customers.errors import ProfileConflictError
from customers.profiles.joined import MERGED_INTO, OWN, for_joined
from customers.profiles.store import CustomerStore

_TRIES: Final = 8


@dataclass(slots=True)
class Work:
    """What one profile must hear."""

    events: list[Happened] = field(default_factory=list)
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    recount: bool = False
    batches: dict[str, None] = field(default_factory=dict)

    def add(self, event: Happened) -> None:
        """Count an event, and keep it where it says something."""
        self.count += 1
        self.first = event.at if self.first is None else min(self.first, event.at)
        self.last = event.at if self.last is None else max(self.last, event.at)
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

    async def all(self, works: Mapping[str, Work]) -> dict[str, Work]:
        """Write the counts of many profiles at once; those whose are not written yet.

        That is no change of a profile, so its version stays. Profiles that are several in one are counted one by one.
        """
        plain = {each: work for each, work in works.items() if not work.recount}
        uncounted = {each: work for each, work in works.items() if work.recount}
        if not plain:
            return uncounted
        try:
            matched = await self._events.count_all([(_alone(each), work.counts()) for each, work in plain.items()])
        except Exception as error:  # noqa: BLE001 - which of them were written is not known
            self._failed(error)
            matched = -1
        if matched == len(plain):
            return uncounted
        found = await self._customers.find(list(plain), {OWN: 1, MERGED_INTO: 1})
        others = set(plain) - {each["_id"] for each in found if OWN not in each and MERGED_INTO not in each}
        if len(plain) - matched == len(others):
            return uncounted | {each: plain[each] for each in others}
        for work in plain.values():
            work.recount = True
        return uncounted | plain

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
        """Count a customer's events anew, where it is not known which of them were counted."""
        if not work.recount:
            return
        for _ in range(_TRIES):
            document = next(iter(await self._customers.find([customer_id], {"event_count": 1, OWN: 1})), None)
            if document is None:
                return
            # Before and after: a batch that began meanwhile may have been read, and is counted by who began it; one
            # that was counted meanwhile has changed the count, and this is tried again.
            others = await self._events.open_of(customer_id)
            found = await self._events.moments(customer_id)
            others = (others | await self._events.open_of(customer_id)) - work.batches.keys()
            moments = [at for batch, at in found if batch not in others]
            if not moments:
                return
            before = document.get(OWN, document).get("event_count")
            update = {
                "$inc": {"event_count": len(moments) - (before or 0)},
                "$min": {"first_event_at": min(moments)},
                "$max": {"last_event_at": max(moments)},
            }
            place = f"{OWN}.event_count" if OWN in document else "event_count"
            wanted = {"_id": customer_id, place: {"$exists": False} if before is None else before}
            if await self._events.count(wanted, for_joined(document, update)):
                work.recount, work.count = False, 0
                return
        raise ProfileConflictError


def _alone(customer_id: str) -> dict[str, Any]:
    """A profile that is nobody else's and has no other in it."""
    return {"_id": customer_id, OWN: {"$exists": False}, MERGED_INTO: {"$exists": False}}


def _says_something(event: Happened) -> bool:
    """Whether an event changes more than counts."""
    return not event.quarantined and (
        event.said is not None
        or (event.type is EventType.TRACK and (event.name in STEPS or event.name == CONSENT_EVENT))
    )
