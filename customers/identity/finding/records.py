"""What is known of each profile from the last run, whose turn a run is, and the parameters that were learnt.

Nothing here holds a value of anybody: a profile's `mark` is a hash of its sealed bytes, which tells that they changed, and
parameters are sealed, as the names that many share stand in them. docs/formats/match-tokens.md describes the documents.

What one who can write here could do: have profiles looked at again, or not; put older parameters back.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from customers.identity.finding.errors import MatchingRunningError
from customers.identity.forgetting import RECORDS
from customers.identity.matching import Parameters, ParametersInvalidError
from vault import TokenInvalidError, Vault

LEASE: Final = timedelta(minutes=2)
_RUN: Final = "run"
_DROPPED: Final = "dropped"
_SEALED_FOR: Final = "match_parameters"
_KEPT: Final = 5
_AT_ONCE: Final = 100
_LOST_RACES: Final = frozenset({11_000, 112})
"""A duplicate key; a conflict of two writers."""


@dataclass(frozen=True, slots=True)
class MatchRecord:
    """One profile as the last run saw it.

    Attributes:
        id, seq, version: The profile's.
        mark: What its compared fields were, as a hash of sealed bytes.
        policy: The version of the policy under which it was looked at.
        epoch: The epoch of its tokens.
        due: Whether it is to be compared.
    """

    id: str
    seq: int
    version: int
    mark: bytes
    policy: str
    epoch: int
    due: bool


class MatchRecords:
    """The collections `match_records` and `match_runs`."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._records = database[RECORDS]
        self._runs = database["match_runs"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._records.create_index("seq")
        await self._records.create_index([("due", 1), ("seq", 1)])

    # ---- one run at a time

    async def claim(self) -> str:
        """The right to run, until `LEASE` from now.

        Raises:
            MatchingRunningError: Another process has it.
        """
        now, token = self._now(), self._random(16).hex()
        with contextlib.suppress(DuplicateKeyError):
            await self._runs.insert_one({"_id": _RUN, "token": None, "until": now})
        answer = await self._runs.update_one(
            {"_id": _RUN, "until": {"$lte": now}}, {"$set": {"token": token, "until": now + LEASE}}
        )
        if not answer.matched_count:
            raise MatchingRunningError
        return token

    async def extend(self, token: str) -> None:
        """Keep the right a little longer.

        Raises:
            MatchingRunningError: It lapsed, and another process has it.
        """
        mine = {"_id": _RUN, "token": token}
        if not (await self._runs.update_one(mine, {"$set": {"until": self._now() + LEASE}})).matched_count:
            raise MatchingRunningError

    async def release(self, token: str) -> None:
        """Give the right back."""
        await self._runs.update_one({"_id": _RUN, "token": token}, {"$set": {"token": None, "until": self._now()}})

    # ---- epochs

    async def dropped(self) -> int:
        """Below which epoch the rows of the index were removed."""
        found = await self._runs.find_one({"_id": _DROPPED})
        return 0 if found is None else int(found["epoch"])

    async def set_dropped(self, epoch: int) -> None:
        """Note that there are no rows of epochs below this one any more."""
        await self._runs.update_one({"_id": _DROPPED}, {"$set": {"epoch": epoch}}, upsert=True)

    # ---- profiles

    async def between(self, after: int, last: int) -> dict[str, MatchRecord]:
        """The records of the profiles in a window of the sequence, by id."""
        window = {"seq": {"$gt": after, "$lte": last}}
        return {each["_id"]: _record(each) for each in await self._records.find(window).to_list(None)}

    async def of(self, customer_ids: Sequence[str]) -> dict[str, MatchRecord]:
        """The records of these profiles, by id."""
        found: dict[str, MatchRecord] = {}
        for start in range(0, len(customer_ids), _AT_ONCE):
            mine = {"_id": {"$in": list(customer_ids[start : start + _AT_ONCE])}}
            found |= {each["_id"]: _record(each) for each in await self._records.find(mine).to_list(None)}
        return found

    async def due(self, after: int, last: int, limit: int) -> list[MatchRecord]:
        """Up to `limit` records that are to be compared, in the order of the sequence from a place in it."""
        found: list[dict[str, Any]] = []
        width = 2 * limit
        while len(found) < limit and after < last:
            window = {"due": True, "seq": {"$gt": after, "$lte": after + width}}
            found += await self._records.find(window).sort("seq", 1).limit(limit - len(found)).to_list(None)
            after, width = after + width, 4 * width
        return [_record(each) for each in found]

    async def put(self, records: Sequence[MatchRecord], *, new: Collection[str] = ()) -> None:
        """Keep records as they are now; inside the `reading` block in which their keys were found active.

        Args:
            records: The records.
            new: The ids of those there was none of when it was looked; writing them is several times as fast.
        """
        fresh = set(new)
        refused = await self._insert([{"_id": each.id, **_stored(each)} for each in records if each.id in fresh])
        changes = [
            UpdateOne({"_id": each.id}, {"$set": _stored(each)}, upsert=True)
            for each in records
            if each.id not in fresh or each.id in refused
        ]
        if changes:
            await self._records.bulk_write(changes, ordered=False)

    async def _insert(self, documents: Sequence[dict[str, Any]]) -> set[str]:
        """Insert records; give the ids of those that there are by now."""
        try:
            if documents:
                await self._records.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            faults = error.details["writeErrors"]
            if any(fault["code"] not in _LOST_RACES for fault in faults):
                raise
            return {documents[fault["index"]]["_id"] for fault in faults}
        return set()

    async def compared(self, customer_ids: Sequence[str]) -> None:
        """Note that these were compared with all their candidates."""
        for start in range(0, len(customer_ids), _AT_ONCE):
            mine = {"_id": {"$in": list(customer_ids[start : start + _AT_ONCE])}}
            await self._records.update_many(mine, {"$set": {"due": False}})

    async def clear(self) -> None:
        """Forget everybody, so that the next run looks at all of them."""
        await self._records.delete_many({})


@dataclass(frozen=True, slots=True)
class Learnt:
    """Parameters that were learnt: which, when, and how many profiles there were."""

    number: int
    learnt_at: datetime
    records: int
    parameters: Parameters


class ParameterStore:
    """The collection `match_parameters`: the newest few, each sealed as a whole."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], vault: Vault, *, now: Callable[[], datetime]) -> None:
        self._parameters = database["match_parameters"]
        self._vault = vault
        self._now = now

    async def newest(self) -> Learnt | None:
        """The newest that can be used; None where nothing was learnt."""
        for each in sorted(await self._parameters.find({}).to_list(None), key=lambda held: -int(held["_id"])):
            with contextlib.suppress(TokenInvalidError, ParametersInvalidError, msgspec.DecodeError):
                number = int(each["_id"])
                payload = self._vault.open_token(_SEALED_FOR, each["sealed"], _context(number))
                held = Parameters.from_document(msgspec.json.decode(payload))
                return Learnt(number, each["learnt_at"], int(each["records"]), held)
        return None

    async def keep(self, parameters: Parameters, records: int) -> Learnt:
        """Keep parameters as the newest, and forget those of long ago.

        Raises:
            pymongo.errors.DuplicateKeyError: Another process was faster.
        """
        numbers = sorted(int(each["_id"]) for each in await self._parameters.find({}, {"_id": 1}).to_list(None))
        number, now = (numbers[-1] + 1 if numbers else 1), self._now()
        payload = msgspec.json.encode(parameters.as_document())
        sealed = self._vault.seal_token(_SEALED_FOR, payload, _context(number))
        await self._parameters.insert_one(
            {"_id": number, "schema": 1, "learnt_at": now, "records": records, "sealed": sealed}
        )
        await self._parameters.delete_many({"_id": {"$lte": number - _KEPT}})
        return Learnt(number, now, records, parameters)


def _context(number: int) -> bytes:
    return f"match_parameters {number}".encode()


def _stored(record: MatchRecord) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "version": record.version,
        "mark": record.mark,
        "policy": record.policy,
        "epoch": record.epoch,
        "due": record.due,
    }


def _record(document: Mapping[str, Any]) -> MatchRecord:
    return MatchRecord(
        id=document["_id"],
        seq=int(document["seq"]),
        version=int(document["version"]),
        mark=bytes(document["mark"]),
        policy=document["policy"],
        epoch=int(document["epoch"]),
        due=bool(document["due"]),
    )
