"""A database that fails where a test says: before a call is made, after it was made, or from some call on."""

from enum import StrEnum

from pymongo.errors import AutoReconnect


class Failing(StrEnum):
    LOST = "lost"  # the call never arrived
    DONE = "done"  # the call was made, and reported as failed
    GONE = "gone"  # neither this call nor any after it arrives


class Faults:
    """Counts the calls of the databases that share it, and fails one of them."""

    def __init__(self):
        self.calls = []
        self._at, self._how = None, None

    def arm(self, at, how):
        self.calls, self._at, self._how = [], at, how

    def disarm(self):
        self._at = None

    async def call(self, name, method, args, kwargs):
        number = len(self.calls)
        self.calls.append(name)
        if self._at is None or number < self._at or (number > self._at and self._how is not Failing.GONE):
            return await method(*args, **kwargs)
        if self._how is Failing.DONE:
            await method(*args, **kwargs)
        raise AutoReconnect("the test says so")


class FaultyDatabase:
    """A database whose collections fail; calls that find are left alone, for they change nothing."""

    def __init__(self, database, faults):
        self._database, self._faults = database, faults

    def __getitem__(self, name):
        return _FaultyCollection(self._database[str(name)], self._faults)

    def __getattr__(self, name):
        return getattr(self._database, name)


class _FaultyCollection:
    _WRITES = frozenset(
        {
            "insert_one",
            "insert_many",
            "update_one",
            "update_many",
            "replace_one",
            "delete_one",
            "delete_many",
            "find_one_and_update",
            "bulk_write",
        }
    )

    def __init__(self, collection, faults):
        self._collection, self._faults = collection, faults

    def __getattr__(self, name):
        method = getattr(self._collection, name)
        if name not in self._WRITES or self._collection.name == "processes":
            return method

        async def call(*args, **kwargs):
            return await self._faults.call(f"{name} {self._collection.name}", method, args, kwargs)

        return call
