"""A working in-memory collection, and one around any collection whose writes and reads fail as planned."""

import asyncio
import contextlib
import copy
from collections import deque
from enum import Enum, auto

from pymongo.errors import AutoReconnect, DuplicateKeyError


class Plan(Enum):
    """What becomes of one call."""

    DONE = auto()
    LOST = auto()  # not done, and reported as failed
    UNREPORTED = auto()  # done, and reported as failed
    LATE = auto()  # reported as failed, and done at the next call
    HUNG = auto()  # never answers, not done
    HUNG_DONE = auto()  # never answers, done


class MemoryCollection:
    """What the log's writing needs of a collection: unique `_id`s, insert_one, find_one by `_id`, update_one."""

    def __init__(self):
        self.documents = {}

    async def insert_one(self, document):
        await asyncio.sleep(0)
        if document["_id"] in self.documents:
            raise DuplicateKeyError("E11000 duplicate key")
        self.documents[document["_id"]] = copy.deepcopy(document)

    async def find_one(self, wanted):
        await asyncio.sleep(0)
        return copy.deepcopy(self.documents.get(wanted["_id"]))

    async def update_one(self, wanted, change):
        await asyncio.sleep(0)
        if wanted["_id"] in self.documents:
            self.documents[wanted["_id"]].update(change["$set"])


class FaultyCollection:
    """`inner`, with each coming insert and read ending as planned; when a plan is used up, all goes well."""

    def __init__(self, inner):
        self.inner = inner
        self.inserts = deque()
        self.reads = deque()
        self.inserted = 0
        self._late = deque()

    async def insert_one(self, document):
        await self._catch_up()
        self.inserted += 1
        await self._end(self.inserts, lambda: self.inner.insert_one(document))

    async def find_one(self, wanted):
        await self._catch_up()
        return await self._end(self.reads, lambda: self.inner.find_one(wanted))

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def _end(self, plans, call):
        plan = plans.popleft() if plans else Plan.DONE
        if plan in (Plan.DONE, Plan.UNREPORTED, Plan.HUNG_DONE):
            result = await call()
        if plan is Plan.DONE:
            return result
        if plan in (Plan.HUNG, Plan.HUNG_DONE):
            await asyncio.Event().wait()
        if plan is Plan.LATE:
            self._late.append(call)
        raise AutoReconnect("connection closed: secret-host:27017")

    async def _catch_up(self):
        while self._late:
            with contextlib.suppress(DuplicateKeyError):
                await self._late.popleft()()
