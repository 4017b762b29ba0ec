"""A signed log in a real database, which is tampered with, checked, and put back as it was."""

import asyncio
import copy
import itertools
import os
import re
from dataclasses import dataclass, field

from pymongo import WriteConcern

from audit import (
    AuditError,
    AuditUnavailableError,
    check_log,
    export_bundle,
)
from audit.checkpoint import Roster
from audit.log import AccessLog
from audit.note import parse_note
from audit.verify import verify_bundle
from tests.audit.bundles import record
from tests.audit.signed_log import SignedLog

PARTS = ("batches", "shards", "rosters")


@dataclass
class Found:
    """What was found, by what: the check of the stored log, and the verifier of its export."""

    log: list[str] = field(default_factory=list)
    bundle: list[str] = field(default_factory=list)

    def names(self, where):
        """Who names one of these places first: "log", "bundle", or None."""
        for who, sentences in (("log", self.log), ("bundle", self.bundle)):
            if any(
                re.search(f"{re.escape(place)}(?![0-9])", each, re.IGNORECASE)
                for place in where
                for each in sentences
            ):
                return who
        return None

    def __bool__(self):
        return bool(self.log or self.bundle)


class StoredLog:
    """Four shards, nine rosters, a key change; and behind the last roster an end that nobody has signed yet.

    The first shard was ended by its process, the second by another one, the third still grows, the fourth is empty.
    """

    @classmethod
    async def make(cls, database, directory):
        made = cls()
        made.signed = SignedLog(database, directory)
        made.database = database
        await made.signed.start()
        made.stolen = [(await made.signed.keys().load()).current]
        await made._grow()
        made.stolen.append((await made.signed.keys().load()).current)
        made.documents = {}
        for part in PARTS:
            for each in await database[part].find({}).to_list(None):
                made.documents[part, each["_id"]] = each
        made.rosters = [
            Roster.parse(parse_note(bytes(made.documents["rosters", number]["note"])).text)
            for number in range(1, 1 + sum(part == "rosters" for part, _ in made.documents))
        ]
        made.trusted = str(made.stolen[0].verifier)
        return made

    async def _grow(self):
        numbers = itertools.count()
        checkpointer = self.signed.checkpointer()

        async def grow(log, *groups):
            for count in groups:
                await asyncio.gather(*(log.append(record(next(numbers))) for _ in range(count)))

        logs = []
        names = iter(("3a" * 6, "1b" * 6, "2c" * 6, "0d" * 6))

        async def opened():
            log = await AccessLog.open(
                self.database, now=lambda: self.signed.time, random=os.urandom, shard=next(names)
            )
            logs.append(log)
            return log

        one, two = await opened(), await opened()
        await grow(one, 3, 1, 4, 2)
        await checkpointer.checkpoint()
        await grow(two, 5, 2, 1)
        await grow(one, 4, 3)
        await checkpointer.checkpoint()
        await one.close()
        await grow(two, 4)
        await checkpointer.rotate_key()
        await grow(two, 3, 3)
        await checkpointer.checkpoint()
        await checkpointer.close_shard(two.shard)
        three = await opened()
        await grow(three, 2, 4, 1)
        await checkpointer.checkpoint()
        await opened()
        for groups in ((5, 3), (1,), (4, 4), (2,)):
            await grow(three, *groups)
            await checkpointer.checkpoint()
        await grow(three, 3, 2)
        for log in logs:  # their processes die
            log._writer.cancel()

    async def change(self, changes):
        """Put these documents in the places of those of the same name; None takes one away."""
        await self._replace({name: changes[name] for name in changes})

    async def put_back(self, changes):
        await self._replace({name: self.documents.get(name) for name in changes})

    async def _replace(self, documents):
        # What reads asks for what a majority holds, so a change must be there before anybody looks.
        parts = {
            part: self.database.get_collection(part, write_concern=WriteConcern(w="majority", j=True))
            for part in PARTS
        }
        for part, name in documents:
            await parts[part].delete_one({"_id": name})
        for (part, _), document in documents.items():
            if document is not None:
                await parts[part].insert_one(copy.deepcopy(document))

    async def check(self, *, witness=True):
        """What the check of the stored log says."""
        try:
            found = await check_log(
                self.signed.reader(),
                self.signed.rosters(),
                self.signed.keys(),
                self.signed.checkpointer(witness=witness),
            )
        except AuditUnavailableError:
            raise
        except AuditError as error:
            return [f"{type(error).__name__}: {error}"]
        return list(found.faults)

    async def verify(self, path, *, witness=True):
        """What the verifier says of an export of the log as it is, or why there is none."""
        try:
            with path.open("wb") as file:
                await export_bundle(self.signed.reader(), self.signed.rosters(), file, now=lambda: self.signed.time)
        except AuditUnavailableError:
            raise
        except AuditError as error:
            return [f"{type(error).__name__}: {error}"]
        verdict = verify_bundle(path, self.trusted, witness=self.signed.witness_path if witness else None)
        return [
            f"{fault.member} shard {fault.shard} entry {fault.index}: {fault.sentence}" for fault in verdict.faults
        ]

    async def found(self, tampering, path, *, witness=True, bundle=True):
        """Tamper, look, and put back: first the stored log itself, then, where that does not name it, an export."""
        await self.change(tampering.changes)
        try:
            found = Found(await self.check(witness=witness))
            if bundle and found.names(tampering.where) is None:
                found.bundle = await self.verify(path, witness=witness)
        finally:
            await self.put_back(tampering.changes)
        return found
