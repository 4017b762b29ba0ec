"""The stored rosters: one document each, `_id` its sequence, only ever inserted. So a lost race is a duplicate key.

A change of the signing key is stored with the last roster of the old key, in the same document: one insert decides
both, and no process that read that roster can go on signing with the old key. `cosigned` keeps, for a shard at a size,
the checkpoint with the signatures of HTTP witnesses.

What one who can write here could achieve: remove rosters from the end or all of them, which the witness shows; not
write one that verifies.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from audit.batch import batch_id
from audit.errors import AuditCorruptError, AuditUnavailableError
from audit.store import database_errors

_VERSION = 1

Document = dict[str, Any]
Collection = AsyncCollection[Document]


@dataclass(frozen=True, slots=True, order=True)
class StoredChange:
    """A key change's sequence, from 1, and its note."""

    sequence: int
    note: bytes


@dataclass(frozen=True, slots=True)
class StoredRoster:
    """A roster's sequence and its note, and the key change that follows it."""

    sequence: int
    note: bytes
    change: StoredChange | None = None

    def document(self) -> Document:
        """The document as it is stored. Fields may not be renamed or removed."""
        plain = {"_id": self.sequence, "v": _VERSION, "sequence": self.sequence, "note": self.note}
        if self.change is None:
            return plain
        return {**plain, "key_change": self.change.sequence, "change": self.change.note}


class RosterStore:
    """The stored rosters. Every method raises AuditUnavailableError when the database fails."""

    def __init__(self, rosters: Collection, cosigned: Collection) -> None:
        self._rosters = rosters
        self._cosigned = cosigned

    @classmethod
    def over(cls, database: AsyncDatabase[Document]) -> "RosterStore":
        """The store in `database`: writes wait for a majority's journals, reads see only what a majority holds."""
        concerns: dict[str, Any] = {
            "write_concern": WriteConcern(w="majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        return cls(database.get_collection("rosters", **concerns), database.get_collection("cosigned", **concerns))

    async def prepare(self) -> None:
        """Create the indexes; a second time changes nothing."""
        async with database_errors():
            await self._rosters.create_index([("sequence", 1)], name="sequence")
            await self._rosters.create_index([("key_change", 1)], name="key_change", sparse=True)

    async def newest(self, known: int = 0) -> int:
        """The sequence of the newest roster, 0 where there is none, by O(log n) reads.

        Args:
            known: A sequence that is stored, or 0.

        Raises:
            AuditCorruptError: One is missing in between.
        """
        low, step = known, 1
        while await self._has(low + step):
            low, step = low + step, 2 * step
        high = low + step  # `low` is there and `high` is not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self._has(middle) else (low, middle)
        async with database_errors():
            later = await self._rosters.find({"sequence": {"$gt": low}}, {"_id": 1}).to_list(None)
        if not later:
            return low
        newest = max(map(_sequence, later))
        if newest - low != len(later):
            raise AuditCorruptError(f"roster {low + 1} is missing")
        return newest  # they were stored while we looked

    async def read(self, sequence: int) -> StoredRoster | None:
        """The roster with this sequence.

        Raises:
            AuditCorruptError: What is stored there is not of the shape of one.
        """
        async with database_errors():
            document = await self._rosters.find_one({"_id": sequence})
        return None if document is None else _parse(document)

    async def insert(self, roster: StoredRoster) -> bool:
        """Store the roster, durably; False when another has its sequence. An insert of unknown outcome is looked up.

        Raises:
            AuditUnavailableError: It could not be confirmed. It may be stored yet: whoever goes on, goes on from what
                is.
        """
        try:
            async with database_errors():
                with contextlib.suppress(DuplicateKeyError):
                    await self._rosters.insert_one(roster.document())
                    return True
        except AuditUnavailableError:
            found = await self.read(roster.sequence)
            if found is None:
                raise
            return found == roster
        return await self.read(roster.sequence) == roster  # an earlier try of ours may have landed

    async def each(self, first: int = 1, last: int | None = None) -> AsyncIterator[StoredRoster]:
        """The rosters from `first` to `last`, or to the newest, one in memory at a time.

        Raises:
            AuditCorruptError: One of those up to `last` is missing.
        """
        sequence = first
        while last is None or sequence <= last:
            found = await self.read(sequence)
            if found is None:
                if last is not None:
                    raise AuditCorruptError(f"roster {sequence} is missing")
                return
            yield found
            sequence += 1

    async def changes(self) -> list[tuple[int, StoredChange]]:
        """Every key change with the sequence of the roster that it follows, in order."""
        async with database_errors():
            wanted = {"key_change": {"$gt": 0}}
            documents = await self._rosters.find(wanted, {"key_change": 1, "change": 1}).to_list(None)
        return sorted((_sequence(each), _change(each)) for each in documents)

    async def keep_cosigned(self, shard: str, size: int, note: bytes) -> None:
        """Keep a cosigned checkpoint; the first for a shard and size stays."""
        async with database_errors():
            try:
                await self._cosigned.insert_one({"_id": batch_id(shard, size), "v": _VERSION, "note": note})
            except DuplicateKeyError:
                return

    async def cosigned(self, shard: str, size: int) -> bytes | None:
        """The cosigned checkpoint of a shard at a size."""
        async with database_errors():
            found = await self._cosigned.find_one({"_id": batch_id(shard, size)})
        return None if found is None else bytes(found["note"])

    async def _has(self, sequence: int) -> bool:
        async with database_errors():
            return await self._rosters.find_one({"_id": sequence}, {"_id": 1}) is not None


def _parse(document: Document) -> StoredRoster:
    sequence = _sequence(document)
    try:
        change = _change(document) if "key_change" in document else None
        roster = StoredRoster(sequence, bytes(document["note"]), change)
        whole = roster.document() == document and isinstance(document["sequence"], int)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise AuditCorruptError(f"roster {sequence} is not stored in the shape of one")
    return roster


def _sequence(document: Document) -> int:
    if not isinstance(document["_id"], int):
        raise AuditCorruptError("a document among the rosters is none")
    return document["_id"]


def _change(document: Document) -> StoredChange:
    try:
        if isinstance(document["key_change"], int):
            return StoredChange(document["key_change"], bytes(document["change"]))
    except (KeyError, TypeError, ValueError):
        pass
    raise AuditCorruptError(f"the key change with roster {_sequence(document)} is not of the shape of one")
