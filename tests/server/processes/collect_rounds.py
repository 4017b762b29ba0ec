"""Kills what takes events in, again and again under load, and compares what senders were told with what is stored."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from tests.server.processes.deployment import Deployment, Server, utc_now
from tests.server.processes.kill_rounds import Outcome, _spread
from tests.server.processes.log_watch import LogWatch

SOURCE = "kill-rounds"
_PEOPLE = 24
_MOST = 40
_APPLIED_SECONDS = 120.0
_AGAIN = frozenset({429, 500, 503})


async def new_source(site: Deployment, name: str = SOURCE) -> str:
    """A source's write key."""
    made = await site.confide("sources", "create", name)
    assert made.code == 0, made.err
    return made.out.strip()


@dataclass
class Senders:
    """Libraries that send batches and send again what was not answered, and remember what they were told.

    Each event's time is its own, a millisecond after the one before, so that a stored event is known by it however much
    of it is sealed.
    """

    site: Deployment
    key: str
    dice: random.Random = field(default_factory=random.Random)
    clients: int = 4
    began: datetime = field(default_factory=lambda: _whole(utc_now() - timedelta(days=10)))
    acknowledged: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)
    batches: int = 0
    again: int = 0
    """Batches that were sent again: unanswered, refused for now, or on purpose."""
    wrong: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _unanswered: list[list[int]] = field(default_factory=list)
    _answered: list[list[int]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, server: Server) -> None:
        """Send until the server is gone."""
        await asyncio.gather(*(self._client(server) for _ in range(self.clients)))

    async def _client(self, server: Server) -> None:
        while True:
            if self._answered and self.dice.random() < 0.15:
                numbers = self.dice.choice(self._answered)  # a library that did not hear the answer
            else:
                numbers = [next(self._numbers) for _ in range(self.dice.randint(1, _MOST))]
            if not await self._deliver(server, numbers):
                self._unanswered.append(numbers)
                return

    async def settle(self, server: Server) -> None:
        """Send again what was not answered, as every library does."""
        waiting, self._unanswered = self._unanswered, []
        for numbers in waiting:
            self.again += 1
            if not await self._deliver(server, numbers):
                self._unanswered.append(numbers)

    async def answered(self, count: int, seconds: float = 20.0) -> None:
        """Wait for so many answers more."""
        enough = self.batches + count
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.batches < enough:
                    self._news.clear()
                    await self._news.wait()

    async def _deliver(self, server: Server, numbers: list[int]) -> bool:
        """Send a batch until it is taken; whether it was, before the server was gone."""
        self.sent.update(numbers)
        body = {"batch": [self.event(number) for number in numbers]}
        while True:
            try:
                answer = await server.client.post("/v1/batch", json=body, auth=(self.key, ""))
            except httpx.TransportError:
                return False
            if answer.status_code == 200 and answer.content == b'{"success": true}':
                break
            if answer.status_code not in _AGAIN or "retry-after" not in answer.headers:
                self.wrong.append(f"a batch was answered {answer.status_code}")
                return True
            self.again += 1
            await asyncio.sleep(0.2)
        self.acknowledged.update(numbers)
        self._answered.append(numbers)
        self.batches += 1
        self._news.set()
        return True

    def event(self, number: int) -> dict[str, object]:
        """The event of a number, the same whenever it is asked for."""
        person = number * 7919 % _PEOPLE
        moment = self.began + timedelta(milliseconds=number)
        event: dict[str, object] = {"messageId": f"m-{number}", "timestamp": moment.isoformat()}
        match number % 10:
            case 0:
                traits = {"email": f"person{person}@example.org", "plan": "gold"}
                return {**event, "type": "identify", "userId": f"u-{person}", "traits": traits}
            case 1:
                return {**event, "type": "page", "anonymousId": f"a-{person}", "name": "Home"}
            case 2:
                both = {"userId": f"u-{person}", "anonymousId": f"a-{person}"}
                return {**event, **both, "type": "track", "event": "Signed In"}
            case _:
                properties = {"sku": f"s-{number}", "price": number / 100}
                return {
                    **event,
                    "type": "track",
                    "userId": f"u-{person}",
                    "event": "Product Viewed",
                    "properties": properties,
                }

    async def faults(self) -> list[str]:
        """What is stored and should not be, or the other way round; each profile counts what it has, and no more."""
        documents = await self.site.main["events"].find({}, {"at": 1, "customer_id": 1}).to_list(None)
        stored = Counter(round((each["at"] - self.began) / timedelta(milliseconds=1)) for each in documents)
        lost = self.acknowledged - stored.keys()
        found = list(self.wrong)
        if lost:
            found.append(f"{len(lost)} acknowledged events are lost")
        if doubled := [number for number, times in stored.items() if times > 1]:
            found.append(f"{len(doubled)} events are stored twice")
        if unknown := stored.keys() - self.sent:
            found.append(f"{len(unknown)} events are stored that nobody sent")
        return [*found, *await self._profiles(Counter(each["customer_id"] for each in documents))]

    async def _profiles(self, events: Counter[str]) -> list[str]:
        profiles = {each["_id"]: each for each in await self.site.main["profiles"].find({}).to_list(None)}
        keys = {each["_id"] for each in await self.site.keys["data_keys"].find({"state": "active"}).to_list(None)}
        found = []
        if homeless := events.keys() - profiles.keys():
            found.append(f"the events of {len(homeless)} customers have no profile")
        if keyless := events.keys() - keys:
            found.append(f"the events of {len(keyless)} customers have no key")
        counted = sum(each.get("event_count", 0) for each in profiles.values())
        if counted != events.total():
            found.append(f"the profiles count {counted} events, and there are {events.total()}")
        return found

    async def applied(self, seconds: float = _APPLIED_SECONDS) -> list[str]:
        """Wait until every profile has heard of its events; a fault where for so long none does that had not."""
        for name, fault in (("event_batches", "batches are never applied"), ("event_recounts", "are never counted")):
            fewest, deadline = None, time.monotonic() + seconds
            while left := await self.site.main[name].find({}, {"_id": 1}).to_list(None):
                if fewest is None or len(left) < fewest:
                    fewest, deadline = len(left), time.monotonic() + seconds
                if time.monotonic() > deadline:
                    return [f"{len(left)} {fault}"]
                await asyncio.sleep(0.1)
        return []


def _whole(moment: datetime) -> datetime:
    """To the millisecond, which is what a database keeps."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def kill_collector(
    site: Deployment,
    *,
    kills: int,
    seed: int,
    clients: int = 4,
    answers: int = 25,
    every: int = 100,
    say: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Kill `confide serve` so many times while it takes events in; each next one starts over what the last one left.

    Each is killed a moment after it took two to `answers` batches.

    Senders send again what was not answered, and some of what was. In the end every acknowledged event is there once,
    each profile has heard of each of its events once, and the access log verifies.
    """
    key = await new_source(site)
    senders = Senders(site, key, random.Random(seed), clients)  # noqa: S311 - a test's dice
    watch = LogWatch(site)
    server = await site.served()
    faults: list[str] = []
    starts: list[float] = []
    for kill in range(1, kills + 1):
        running = asyncio.create_task(senders.run(server))
        await senders.answered(senders.dice.randint(2, answers))
        await asyncio.sleep(senders.dice.uniform(0.0, 0.05))
        await server.kill()
        await running
        faults += await watch.look([])
        began = time.monotonic()
        server = await site.served()
        starts.append(time.monotonic() - began)
        await senders.settle(server)
        if kill % every == 0:
            found = [*await senders.applied(), *await senders.faults(), *await watch.verify([])]
            faults += found
            for each in found:
                say(f"FAULT after {kill} kills: {each}")
            say(f"{kill} kills: {len(senders.acknowledged)} events, {len(faults)} faults, {_spread(starts[-every:])}")
    faults += [*await senders.applied(), *await senders.faults()]
    await server.stop()
    faults += await watch.verify([])
    return Outcome(
        kills,
        senders.batches,
        len(senders.acknowledged),
        _PEOPLE,
        0,
        faults,
        f"{senders.again} batches were sent again; the log was exported and verified {watch.verified} times; "
        f"{_spread(starts)}",
    )
