"""Lets profiles hear of their events, right after those are stored: traits, choices, orders, counts.

Whatever an event says can be said again: the latest word counts for a field, a choice, and each step of an order has a
name. Counts cannot be repeated; they are added up in memory, one write for however many events of a customer arrived
meanwhile. Where it is not known whether such a write happened, or the process died before it, the customer's events are
counted anew (`Counts.anew`).

What was stored and not yet heard of is bounded by the intake, and stands in the journal of batches until every profile
has heard. So a process that dies leaves nothing undone that another one cannot find (`sweep`).
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from customers.collection.counting import Counts, Work
from customers.collection.event_documents import Happened, heard
from customers.collection.event_store import Document, EventStore
from customers.collection.source_counts import SourceCountStore
from customers.collection.sources import SourceStore
from customers.collection.telling import Teller
from customers.collection.violations import ViolationStore
from customers.consent.store import ConsentStore
from customers.profiles.adding import OrderAdder
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import DataKey, EnvelopeError, Vault

_AT_ONCE: Final = 200
_PAUSE_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.05
"""How long what arrives gathers, so that a customer who does several things is written once."""
_ABANDONED: Final = timedelta(seconds=60)
_SWEPT_AT_ONCE: Final = 20
_COUNT_SECONDS: Final = 0.2
"""How long counts gather; who does much meanwhile is written once."""
_LONGEST_REST: Final = 0.3
_NOTE_SECONDS: Final = 1.0
_CROWDED: Final = 10_000
"""With so many waiting there is no rest."""


class Applier:
    """Has profiles hear of events, for one process. `start` it, and `close` it before the vault is stopped."""

    def __init__(
        self,
        *,
        events: EventStore,
        customers: CustomerStore,
        consents: ConsentStore,
        orders: OrderAdder,
        sources: SourceStore,
        violations: ViolationStore,
        source_counts: SourceCountStore,
        vault: Vault,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
        failed: Callable[[Exception], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._violations = violations
        self._source_counts = source_counts
        self._vault = vault
        self._now = now
        self._failed = failed
        self._counts = Counts(events, customers, failed)
        self._teller = Teller(
            customers=customers,
            consents=consents,
            orders=orders,
            sources=sources,
            violations=violations,
            counts=self._counts,
            vault=vault,
            policies=policies,
            now=now,
            failed=failed,
        )
        self._clock = clock
        self._waiting: dict[str, Work] = {}
        self._speaking: dict[str, None] = {}
        self._count_at = 0.0
        self._settle_at = 0.0
        self._note_at = 0.0
        self._open: dict[str, set[str]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def backlog(self) -> int:
        """How many profiles have something to hear."""
        return len(self._waiting)

    def take(self, batch: str, events: Sequence[Happened], *, recount: bool = False) -> None:
        """Have profiles hear of these events, which are stored; returns at once.

        Args:
            batch: Their batch, which is struck off the journal when all have heard.
            events: Those that are new.
            recount: Whether it is not known if they were counted before.
        """
        people: set[str] = set()
        now = self._clock()
        for event in events:
            work = self._waiting.get(event.customer_id)
            if work is None:
                work = self._waiting[event.customer_id] = Work(since=now)
            work.add(event)
            if work.events:
                self._speaking[event.customer_id] = None
            work.recount = work.recount or recount
            work.batches[batch] = None
            people.add(event.customer_id)
        self._open[batch] = people
        self._idle.clear()
        self._wake.set()

    def start(self) -> None:
        """Begin to work in the background."""
        self._task = asyncio.create_task(self._run(), name="events")

    async def settle(self) -> None:
        """Wait until every profile has heard of what was taken so far, and what was wrong with it is counted."""
        await self._idle.wait()
        await self._flush()

    async def close(self, seconds: float = 5.0) -> None:
        """Have everybody hear who can within this time; the rest stands in the journal."""
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):  # counts of what was wrong, not events
            await self._flush()

    async def sweep(self) -> int:
        """Take up what processes that are gone, or broken connections, have left in the journal; how many batches."""
        mine = self._vault.fleet.process_id
        others = {process.process_id for process in await self._vault.fleet.processes()} - {mine}
        late = self._now() - _ABANDONED
        swept = 0
        self._counts.owing = True
        for batch in await self._events.open_batches(but=self._open, processes=others):
            if swept >= _SWEPT_AT_ONCE:
                break
            if batch["_id"] not in self._open and (batch["process"] != mine or batch["at"] <= late):
                self.take(batch["_id"], await self._read_back(batch), recount=True)
                swept += 1
        return swept

    async def _read_back(self, batch: Document) -> list[Happened]:
        """The events of a batch that are there, with what they say; those of people who are erased say nothing."""
        documents = await self._events.find(batch["events"])
        found: list[Happened] = []
        async with self._vault.reading():
            keys = await self._vault.keys({each["customer_id"] for each in documents})
            for document in documents:
                key = keys.get(document["customer_id"])
                if isinstance(key, DataKey):
                    with contextlib.suppress(EnvelopeError):  # damaged; whoever reads it is told so
                        found.append(heard(document, key))
        return found

    # ---- the work

    async def _flush(self) -> None:
        """Write the counts that batches and profiles have noted."""
        await self._violations.flush()
        await self._source_counts.flush()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            await self._settle_counts()
            if not self._waiting:
                await self._rest()
                continue
            works = self._next()
            if not works:
                await asyncio.sleep(_GATHER_SECONDS)
                continue
            began = self._clock()
            try:
                left = await self._teller.tell(works)
            except Exception as error:  # noqa: BLE001 - whatever it is, the work is kept and tried again
                self._failed(error)
                left = works
                for work in works.values():  # what was written of it is not known
                    work.recount = True
            await self._strike_off({each: work for each, work in works.items() if each not in left})
            for customer_id, work in left.items():
                if (newer := self._waiting.get(customer_id)) is not None:
                    work.join(newer)
                self._put(customer_id, work)
            self._count_at = self._clock() + min(self._clock() - began, _LONGEST_REST)
            if left:
                await asyncio.sleep(0 if self._closing else _PAUSE_SECONDS)

    async def _settle_counts(self) -> None:
        """Now and then, count anew whoever is to be."""
        if self._counts.owing and self._clock() >= self._settle_at and not self._closing:
            try:
                await self._counts.settle()
            except Exception as error:  # noqa: BLE001 - as above
                self._failed(error)
            self._settle_at = self._clock() + _PAUSE_SECONDS

    def _next(self) -> dict[str, Work]:
        """Whom to tell next: first those to whom events say something, then, when it is time, those who are counted.

        A count takes an engine as long as three events do. So counts gather for a moment, and counting takes no more than
        half of the time while there is room; those who have waited longest come first.
        """
        ids = dict.fromkeys(itertools.islice(self._speaking, _AT_ONCE))
        now, crowded = self._clock(), len(self._waiting) > _CROWDED
        longest = now - next(iter(self._waiting.values())).since
        if self._closing or crowded or (longest >= _COUNT_SECONDS and now >= self._count_at):
            for customer_id in self._waiting:
                if len(ids) >= _AT_ONCE:
                    break
                ids[customer_id] = None
        for customer_id in ids:
            self._speaking.pop(customer_id, None)
        return {customer_id: self._waiting.pop(customer_id) for customer_id in ids}

    def _put(self, customer_id: str, work: Work) -> None:
        self._waiting[customer_id] = work
        if work.events:
            self._speaking[customer_id] = None

    async def _rest(self) -> None:
        """Wait until there is something to tell, and a moment longer for what comes with it."""
        self._wake.clear()
        await self._strike_off({})
        if not self._waiting and not self._open and not self._counts.owing:
            self._idle.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._wake.wait()
        if not self._closing:
            await asyncio.sleep(_GATHER_SECONDS)

    async def _strike_off(self, told: Mapping[str, Work]) -> None:
        """Strike batches off of which everybody has heard; what cannot be now is, next time."""
        for customer_id, work in told.items():
            for batch in work.batches:
                self._open[batch].discard(customer_id)
        done = [batch for batch, people in self._open.items() if not people]
        try:
            if done:
                await self._events.close_batches(done)
            if self._clock() >= self._note_at:
                self._note_at = self._clock() + _NOTE_SECONDS
                await self._flush()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(error)
            return
        for batch in done:
            del self._open[batch]
