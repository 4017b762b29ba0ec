"""Kills what serves under load, again and again, and compares what clients were told with what is stored."""

import asyncio
import contextlib
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx

from tests.server.processes.deployment import (
    CONSENT,
    CREATE,
    FIND,
    READER,
    UPDATE,
    WRITER,
    Answer,
    Deployment,
    Server,
)
from tests.server.processes.ledger import Expected, Ledger, Told
from tests.server.processes.log_watch import LogWatch

READ = "query Read($id: ID!) { profile(id: $id) { givenName email consents { purpose source } } }"
_CHOICES = ("GRANTED", "WITHDRAWN")
_MISSED_SECONDS = 30.0
_OTHERS = 30


class UnansweredError(Exception):
    """The server ended before it answered."""


@dataclass
class Load:
    """Clients that create, change and read customers, each its own, and remember what they were told."""

    site: Deployment
    dice: random.Random = field(default_factory=random.Random)
    clients: int = 6
    ledger: Ledger = field(default_factory=Ledger)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _mine: dict[int, list[Expected]] = field(default_factory=dict)
    """The customers of each client."""
    _touched: dict[str, Expected] = field(default_factory=dict)
    """Those asked about since the last time that nobody was asked, by e-mail address."""
    _unanswered: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The names and owners of customers whose creation was not answered, by e-mail address."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, server: Server) -> None:
        """Work until the server is gone."""
        await asyncio.gather(*(self._client(server, number) for number in range(self.clients)))

    async def _client(self, server: Server, number: int) -> None:
        try:
            while True:
                await self._step(server, number, self._mine.setdefault(number, []))
        except UnansweredError:
            return

    async def _step(self, server: Server, number: int, mine: list[Expected]) -> None:
        choice = self.dice.random()
        if not mine or choice < 0.2:
            await self.create(server, number)
        elif choice < 0.5:
            await self.update(server, self.dice.choice(mine))
        elif choice < 0.75:
            await self.consent(server, self.dice.choice(mine))
        else:
            await self._read(server, self.dice.choice(mine))

    async def answered(self, count: int, seconds: float = 5.0) -> None:
        """Wait for so many answers more."""
        enough = len(self.ledger.told) + count
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self.ledger.told) < enough:
                    self._news.clear()
                    await self._news.wait()

    async def settle(self, server: Server) -> int:
        """Ask again for what was not answered; give how many customers cannot be created any more."""
        blocked = 0
        for email, (name, number) in list(self._unanswered.items()):
            answer = await self._ask(
                server, WRITER, CREATE, {"input": {"values": {"email": email, "givenName": name}}}
            )
            if answer.code == "IDENTIFIER_TAKEN":
                found = await self._ask(server, READER, FIND, {"value": email})
                customer = found.data["profileByIdentifier"]
            else:
                customer = answer.data["createProfile"]["profile"]
            if customer is None:
                blocked += 1
                continue
            self._created(customer["id"], email, name, number)
        # All that may have changed, and some of the others: all of them are compared with what is stored at the end.
        known = list(self.ledger.customers.values())
        some = self.dice.sample(known, min(len(known), _OTHERS))
        for expected in {each.email: each for each in (*self._touched.values(), *some)}.values():
            await self._read(server, expected)
        self._touched.clear()
        return blocked

    async def create(self, server: Server, number: int) -> None:
        serial = next(self._numbers)
        name = f"Name {serial}"
        email = f"customer{serial}@example.org"
        self._unanswered[email] = name, number
        answer = await self._ask(server, WRITER, CREATE, {"input": {"values": {"email": email, "givenName": name}}})
        if answer.code is None:
            self._created(answer.data["createProfile"]["profile"]["id"], email, name, number)

    def _created(self, customer_id: str, email: str, name: str, number: int) -> None:
        del self._unanswered[email]
        made = self.ledger.customers[email] = Expected(customer_id, email, [name], number)
        self._mine.setdefault(number, []).append(made)
        self._touched[email] = made

    async def update(self, server: Server, whose: Expected) -> None:
        self._touched[whose.email] = whose
        name = f"Name {next(self._numbers)}"
        variables = {"input": {"id": whose.id, "values": {"givenName": name}}}
        try:
            answer = await self._ask(server, WRITER, UPDATE, variables)
        except UnansweredError:
            whose.unanswered(name)
            raise
        if answer.code is None:
            whose.acknowledged(name)

    async def consent(self, server: Server, whose: Expected) -> None:
        self._touched[whose.email] = whose
        source = f"form {next(self._numbers)}"
        consent = {"purpose": "marketing", "source": source}
        variables = {"id": whose.id, "choice": self.dice.choice(_CHOICES), "consent": consent}
        try:
            answer = await self._ask(server, WRITER, CONSENT, variables)
        except UnansweredError:
            whose.doubtful += 1
            whose.doubtful_consents.append(source)
            raise
        if answer.code is None:
            whose.changes += 1
            whose.consents.append(source)

    async def _read(self, server: Server, whose: Expected) -> None:
        answer = await self._ask(server, READER, READ, {"id": whose.id})
        if answer.code is not None:
            return
        profile = answer.data["profile"]
        if profile is None or profile["email"] != whose.email or profile["givenName"] not in whose.names:
            self.ledger.reads.append("a read gave something else than what was written")
            return
        shown = {each["source"] for each in profile["consents"] or ()}
        if whose.consents and not shown & {whose.consents[-1], *whose.doubtful_consents}:
            self.ledger.reads.append("a read did not know of the newest decision")

    async def _ask(self, server: Server, who: tuple[str, str], query: str, variables: dict) -> Answer:
        case = f"{self.site.run}-{next(self._numbers)}"
        try:
            answer = await self.site.ask(server, who, query, case=case, **variables)
        except httpx.TransportError as error:
            raise UnansweredError from error
        if answer.entry is not None:
            # A refused write is recorded, and nothing was written.
            wrote = "mutation" in query and answer.code is None
            self.ledger.told.append(Told(case, answer.entry, wrote))
            self._news.set()
        elif answer.data is not None:
            self.ledger.reads.append("an answer with data names no record")
        return answer


@dataclass(frozen=True)
class Outcome:
    """How the rounds ended."""

    kills: int
    answers: int
    writes: int
    customers: int
    blocked: int
    """Creations that were cut off and could be asked for again only after a while."""
    faults: list[str]
    note: str = ""

    @property
    def summary(self) -> str:
        return (
            f"{self.kills} kills: {self.answers} answers with {self.writes} acknowledged writes to {self.customers} "
            f"customers, {len(self.faults)} faults, {self.blocked} creations not possible again at once; {self.note}"
        )


async def kill_server(
    site: Deployment,
    *,
    kills: int,
    seed: int,
    clients: int = 6,
    every: int = 100,
    say: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Kill `confide serve` under load so many times; each next one starts over what the last one left.

    The log is signed every second, so that kills hit that too. After each kill every shard that grew is recomputed
    and every answer's record is looked up; after `every` kills, and at the end, all is exported and verified.
    """
    load = Load(site, random.Random(seed), clients)  # noqa: S311 - a test's dice
    watch = LogWatch(site)
    site.environment["CONFIDE_CHECKPOINT_SECONDS"] = "1"
    server = await site.served()
    blocked = looked = 0
    faults: list[str] = []
    starts: list[float] = []
    for kill in range(1, kills + 1):
        running = asyncio.create_task(load.run(server))
        await load.answered(load.dice.randint(5, 60))
        await asyncio.sleep(load.dice.uniform(0.0, 0.02))
        await server.kill()
        await running
        faults += await watch.look(load.ledger.told[looked:])
        looked = len(load.ledger.told)
        began = time.monotonic()
        server = await site.served()
        starts.append(time.monotonic() - began)
        blocked += await load.settle(server)
        if kill % every == 0:
            faults += await watch.verify(load.ledger.told[:])
            say(f"{kill} kills: {looked} answers, {len(faults)} faults, {_spread(starts[-every:])}")
    # What was left half made is undone once its process is missed.
    deadline = time.monotonic() + _MISSED_SECONDS
    while left := await load.settle(server):
        if time.monotonic() > deadline:
            load.ledger.reads.append(f"{left} creations that were cut off can never be asked for again")
            break
        await asyncio.sleep(0.5)
    await server.stop()
    faults += await watch.verify(load.ledger.told)
    told = load.ledger.told
    return Outcome(
        kills,
        len(told),
        sum(each.wrote for each in told),
        len(load.ledger.customers),
        blocked,
        [*faults, *await load.ledger.faults(site)],
        f"the log was exported and verified {watch.verified} times; {len(watch.heads)} shards, {_spread(starts)}",
    )


def _spread(starts: Sequence[float]) -> str:
    return f"a start took {statistics.median(starts):.2f} s, at most {max(starts):.2f} s"
