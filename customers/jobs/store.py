"""The collection `jobs`: what is to be done, by whom it was taken and until when.

    {_id, kind, about, payload, due, state, slot, attempt, fence, process, lease_until, failure, at, done_at}

One who can write here can have work left undone or done again. There is no personal value in it to read.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from customers.jobs.model import Job, JobState

_DUPLICATE: Final = 11_000
_SLOTS: Final = 256
_AT_ONCE: Final = 100
_HELD: Final = ("_id", "state", "fence", "lease_until")
_KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be added; see `Job` for the fields."""

    kind: str
    key: str
    due: datetime
    about: tuple[str, ...] = ()
    payload: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The name by which it is known."""
        return f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True)
class Buried:
    """A job that was given up on, and when."""

    job: Job
    at: datetime


class JobStore:
    """Adds, takes, and settles jobs. Each change is of one document and holds or does not."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime]) -> None:
        self._jobs = database["jobs"]
        self._now = now
        # Of a long queue only some slots are looked at, so that taking costs what is taken and not what waits.
        self._first = 0
        self._width = _SLOTS

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._jobs.create_index([("state", 1), ("slot", 1), ("due", 1)])
        await self._jobs.create_index([("state", 1), ("lease_until", 1)])
        await self._jobs.create_index([("done_at", 1)])
        await self._jobs.create_index([("about", 1)])

    async def add(self, jobs: Iterable[NewJob]) -> None:
        """Add jobs, durably; those that are known, also done ones, are left as they are."""
        documents = [_document(each, self._now()) for each in jobs]
        for start in range(0, len(documents), _AT_ONCE):
            try:
                await self._jobs.insert_many(documents[start : start + _AT_ONCE], ordered=False)
            except BulkWriteError as error:
                if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                    raise

    async def take(self, kinds: Iterable[str], process: str, *, limit: int, lease: timedelta) -> list[Job]:
        """Take jobs that are due, each for the length of a lease; those of a lease that ended come along."""
        now, taken = self._now(), list[Job]()
        for document in await self._candidates(sorted(kinds), now, limit):
            setting = {"state": JobState.RUNNING, "process": process, "lease_until": now + lease}
            wanted: dict[str, Any] = {key: document[key] for key in _HELD if key in document}
            changed = await self._jobs.update_one(wanted, {"$set": setting, "$inc": {"fence": 1, "attempt": 1}})
            if changed.matched_count:
                taken.append(_job({**document, "attempt": document["attempt"] + 1, "fence": document["fence"] + 1}))
        return taken

    async def _candidates(self, kinds: Sequence[str], now: datetime, limit: int) -> list[dict[str, Any]]:
        wanted = {"state": JobState.RUNNING, "lease_until": {"$lte": now}, "kind": {"$in": kinds}}
        found = await self._jobs.find(wanted).limit(limit).to_list(None)
        looked = 0
        while len(found) < limit and looked < _SLOTS:
            last = min(self._first + self._width, _SLOTS)
            wanted = {
                "state": JobState.WAITING,
                "slot": {"$gte": self._first, "$lt": last},
                "due": {"$lte": now},
                "kind": {"$in": kinds},
            }
            here = await self._jobs.find(wanted, {"_id": 1, "due": 1}).to_list(None)
            looked += last - self._first
            self._first = last % _SLOTS
            if len(here) > 4 * limit:
                self._width = max(1, self._width // 2)
            elif len(here) < limit:
                self._width = min(_SLOTS, self._width * 2)
            chosen = sorted(here, key=lambda each: each["due"])[: limit - len(found)]
            if chosen:
                names = {"_id": {"$in": [each["_id"] for each in chosen]}, "state": JobState.WAITING}
                found += await self._jobs.find(names).to_list(None)
        return sorted(found, key=lambda each: each["due"])[:limit]

    async def renew(self, job: Job, lease: timedelta) -> bool:
        """Hold a job longer; false where it is another's by now."""
        return await self._settle(job, {"$set": {"lease_until": self._now() + lease}})

    async def finish(self, job: Job) -> bool:
        """It is done. It is remembered for a while, so that it is not done again."""
        return await self._settle(job, {"$set": {"state": JobState.DONE, "done_at": self._now()}})

    async def postpone(self, job: Job, until: datetime) -> bool:
        """It is not time yet; the attempt does not count."""
        change = {"$set": {"state": JobState.WAITING, "due": until}, "$inc": {"attempt": -1}}
        return await self._settle(job, change)

    async def retry(self, job: Job, failure: str, at: datetime) -> bool:
        """It failed, and is to be tried again."""
        return await self._settle(job, {"$set": {"state": JobState.WAITING, "due": at, "failure": failure}})

    async def bury(self, job: Job, failure: str) -> bool:
        """It failed for good."""
        return await self._settle(
            job, {"$set": {"state": JobState.DEAD, "failure": failure, "lease_until": self._now()}}
        )

    async def _settle(self, job: Job, change: Mapping[str, Any]) -> bool:
        wanted = {"_id": job.id, "state": JobState.RUNNING, "fence": job.fence}
        return bool((await self._jobs.update_one(wanted, change)).matched_count)

    # ---- for people

    async def get(self, job_id: str) -> Job | None:
        """The job of this name."""
        found = await self._jobs.find_one({"_id": job_id})
        return None if found is None else _job(found)

    async def dead(self, limit: int = 100) -> list[Job]:
        """The jobs that were given up on, the latest first; at most so many."""
        return [each.job for each in await self.buried(limit)]

    async def buried(
        self, limit: int = 100, *, kind: str | None = None, after: tuple[datetime, str] | None = None
    ) -> list["Buried"]:
        """The jobs that were given up on with when that was, the latest first; at most so many.

        Args:
            limit: How many.
            kind: Of this kind alone.
            after: Time and name of the last that was seen; those that follow it.
        """
        wanted: dict[str, Any] = {"state": JobState.DEAD} | ({} if kind is None else {"kind": kind})
        order = [("lease_until", -1), ("_id", -1)]
        found: list[dict[str, Any]] = []
        if after is not None:
            same = wanted | {"lease_until": after[0], "_id": {"$lt": after[1]}}
            found = await self._jobs.find(same).sort(order).limit(limit).to_list(None)
            wanted["lease_until"] = {"$lt": after[0]}
        if len(found) < limit:
            found += await self._jobs.find(wanted).sort(order).limit(limit - len(found)).to_list(None)
        return [Buried(_job(each), each["lease_until"]) for each in found]

    async def count_buried(self) -> dict[str, int]:
        """How many jobs of each kind were given up on."""
        found = await self._jobs.find({"state": JobState.DEAD}, {"_id": 0, "kind": 1}).to_list(None)
        return dict(Counter(each["kind"] for each in found).most_common())

    async def revive(self, job_id: str) -> bool:
        """Have a job that was given up on tried again at once; false where there is none."""
        change = {"$set": {"state": JobState.WAITING, "due": self._now(), "attempt": 0}}
        return bool((await self._jobs.update_one({"_id": job_id, "state": JobState.DEAD}, change)).matched_count)

    async def cancel(self, job_ids: Sequence[str]) -> None:
        """Jobs that need not happen any more; one that is running may yet end."""
        await self._jobs.delete_many({"_id": {"$in": list(job_ids)}})

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove every job about these customers."""
        await self._jobs.delete_many({"about": {"$in": list(customer_ids)}})

    async def prune(self) -> None:
        """Remove jobs that were done long ago."""
        await self._jobs.delete_many({"done_at": {"$lte": self._now() - _KEPT}})


def _document(job: NewJob, now: datetime) -> dict[str, Any]:
    return {
        "_id": job.id,
        "kind": job.kind,
        "about": list(job.about),
        "payload": dict(job.payload or {}),
        "due": job.due,
        "state": JobState.WAITING,
        "slot": zlib.crc32(job.id.encode()) % _SLOTS,
        "attempt": 0,
        "fence": 0,
        "at": now,
    }


def _job(document: Mapping[str, Any]) -> Job:
    return Job(
        document["_id"],
        document["kind"],
        tuple(document["about"]),
        document["payload"],
        document["due"],
        JobState(document["state"]),
        document["attempt"],
        document["fence"],
        document.get("failure"),
    )
