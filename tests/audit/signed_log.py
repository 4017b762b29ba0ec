"""A log with a signing key and a witness directory, over a real database."""

import itertools
import os
from datetime import UTC, datetime, timedelta

from audit import (
    AccessLog,
    AccessReader,
    Checkpointer,
    Kind,
    Outcome,
    Record,
    RosterStore,
    SigningKeys,
    WitnessDirectory,
    timestamp,
)
from tests.audit.faults import FaultyCollection
from tests.audit.sealer import MemorySealer

START = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
_ticks = itertools.count()


def make_record(**parts):
    base = {
        "actor": "agent-1",
        "roles": ("support_agent",),
        "kind": Kind.READ,
        "outcome": Outcome.ALLOWED,
        "policy": "p1",
        "time": timestamp(START + timedelta(milliseconds=next(_ticks))),
    }
    return Record(**base | parts)


class SignedLog:
    """What a deployment has: the database, a key file, a witness directory, and processes that append and sign."""

    def __init__(self, database, directory):
        self.database = database
        self.directory = directory
        self.key_path = directory / "audit.key"
        self.witness_path = directory / "witness"
        self.witness_path.mkdir()
        self.clock = 0.0
        self.time = START
        self.logs = []

    def keys(self, log="main"):
        return SigningKeys(self.key_path, log, [MemorySealer()], random=os.urandom)

    def witness(self, log="main"):
        return WitnessDirectory(self.witness_path, log)

    def checkpointer(self, *, witness=True, log="main", **options):
        options = {"directory": self.witness(log) if witness is True else witness or None, **options}
        return Checkpointer(self.database, self.keys(log), now=lambda: self.time, clock=lambda: self.clock, **options)

    async def start(self):
        self.public = await self.keys().create()
        first = self.checkpointer()
        await first.prepare()
        return first

    async def open(self, **options):
        log = await AccessLog.open(self.database, now=lambda: self.time, random=os.urandom, **options)
        self.logs.append(log)
        return log

    async def append(self, log, count=1):
        return [await log.append(make_record()) for _ in range(count)]

    def reader(self):
        return AccessReader.over(self.database, now=lambda: self.time)

    def rosters(self):
        return RosterStore.over(self.database)

    def files(self):
        return {each.name: each.read_bytes() for each in sorted(self.witness_path.iterdir())}


class InsertsFail:
    """A collection whose inserts end as planned; everything else goes to it as it is."""

    def __init__(self, inner, *plans):
        self.planned = FaultyCollection(inner)
        self.planned.inserts.extend(plans)

    async def insert_one(self, document):
        await self.planned.insert_one(document)

    def __getattr__(self, name):
        return getattr(self.planned.inner, name)


def failing_rosters(database, *plans):
    """The stored rosters, whose next inserts end as planned, and what makes late ones land."""
    store = RosterStore.over(database)
    collection = InsertsFail(store._rosters, *plans)
    return RosterStore(collection, store._cosigned), collection.planned._catch_up
