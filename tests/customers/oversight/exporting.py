"""A signed log over a real database, and exports of it for people of several roles."""

import asyncio
import contextlib
import os
from datetime import UTC, datetime, timedelta

from audit import (
    AccessLog,
    AccessQuery,
    AccessReader,
    BundleForm,
    Checkpointer,
    Kind,
    Outcome,
    Record,
    RosterStore,
    SigningKeys,
    timestamp,
)
from customers.caller import Caller
from customers.oversight.asking import access_of
from customers.oversight.exports import AccessLogExports, Stage, Wanted
from policies import load_policies
from tests.audit.sealer import MemorySealer

SHIPPED = load_policies()
ALL = Wanted(query=AccessQuery(), form=BundleForm.JSONL)


class Gate:
    """A log's reader that waits before it gives anything, while the gate is closed."""

    def __init__(self, reader):
        self.reader = reader
        self.way = asyncio.Event()
        self.way.set()

    async def batches(self, shard, size):
        await self.way.wait()
        async for batch in self.reader.batches(shard, size):
            yield batch


class Office:
    """What exports need, over one audit database and one data directory."""

    def __init__(self, database, directory):
        self.database = database
        self.directory = directory
        self.later = timedelta()
        self.failures = []
        self.made = []

    def now(self):
        return datetime.now(UTC) + self.later

    async def open(self):
        self.keys = SigningKeys(self.directory / "audit.keys", "main", [MemorySealer()], random=os.urandom)
        self.public = str(await self.keys.create())
        self.rosters = RosterStore.over(self.database)
        self.checkpointer = Checkpointer(self.database, self.keys, now=self.now)
        await self.checkpointer.prepare()
        self.log = await AccessLog.open(self.database, now=self.now, random=os.urandom)
        self.gate = Gate(AccessReader.over(self.database, now=self.now))
        return self

    async def close(self):
        for each in self.made:
            await each.close()
        await self.log.close()

    @property
    def folder(self):
        return self.directory / "exports"

    def files(self):
        return sorted(each.name.partition(".")[2] for each in self.folder.iterdir())

    async def exports(self, *, log=None, **options):
        """As another process of the deployment would make them."""
        made = AccessLogExports(
            self.folder,
            self.gate,
            self.rosters,
            self.checkpointer,
            log or self.log,
            now=self.now,
            random=os.urandom,
            failed=self.failures.append,
            **options,
        )
        await made.open()
        self.made.append(made)
        return made

    async def append(self, count, **parts):
        await asyncio.gather(*(self.log.append(self.record(number, **parts)) for number in range(count)))

    def record(self, number, **parts):
        given = {
            "actor": f"agent-{number % 5}",
            "roles": ("support_agent",),
            "purpose": "customer_service",
            "kind": Kind.READ,
            "outcome": Outcome.ALLOWED,
            "policy": "p1",
            "time": timestamp(self.now()),
            **parts,
        }
        return Record(**given)

    async def exported(self):
        """The records of exports so far, oldest first."""
        page = await self.log.search(AccessQuery(kind=Kind.EXPORT), limit=100)
        return [entry.record for entry in reversed(page.entries)]


def access(actor="hugo.audit", role="auditor", purpose="audit", **options):
    roles = (role,) if isinstance(role, str) else role
    caller = Caller(actor, roles, "test", None, options.pop("customer", None), frozenset(), None)
    return access_of(SHIPPED, caller, purpose, **options)


async def ended(exports, job, *, who=access, seconds=10.0):
    """The job once nothing more happens to it."""
    async with asyncio.timeout(seconds):
        while True:
            found = await exports.state(who(), job.id)
            if found is None or found.ended:
                return found
            await asyncio.sleep(0.01)


async def reached(exports, job, stage, *, seconds=10.0):
    async with asyncio.timeout(seconds):
        while True:
            found = await exports.state(access(), job.id)
            if found.stage is stage:
                return found
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def office_over(database, directory):
    made = await Office(database, directory).open()
    try:
        yield made
    finally:
        await made.close()


__all__ = ["ALL", "Office", "Stage", "Wanted", "access", "ended", "office_over", "reached"]
