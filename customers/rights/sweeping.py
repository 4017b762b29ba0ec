"""Removes what is kept for no purpose any longer, one limit after the other: people, events, and parts of records.

Whoever nothing was heard of is erased as anybody is (`InactivitySweep`). Of those who stay, old events go as a whole and of
old orders and tickets the sealed groups that a limit names. What is removed is recorded in the access log before, with the
limit's purpose standing behind the policy's `retention`. Of a person who stays the key stays too: what a backup of before
brings back of them can be read until the next sweep. Nothing is removed of whoever restricted processing (GDPR Article
18(2)) or is under legal hold.

How far each limit has come stands in `retention_runs` (docs/formats/retention-runs.md). A sweep that dies goes on there, in
whichever process comes next.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from audit import AccessLog, Outcome
from audit import Kind as RecordKind
from customers.access import Access
from customers.collection.event_store import EVENTS, EventStore
from customers.disclosure import Disclosure
from customers.errors import EraseNotAllowedError
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.store import Collection, CustomerStore
from customers.rights.inactivity import InactivitySweep, Progress
from customers.rights.requests.store import RequestStore
from policies import Verdict
from policies.limits import Limit
from policies.retention import earlier
from vault import DataKey, Vault

_PAGE: Final = 500
_AT_ONCE: Final = 100
_LEASE: Final = timedelta(minutes=5)
_SCHEMA: Final = 1
_COLLECTIONS: Final[Mapping[str, str]] = {
    "event": EVENTS,
    "order": Collection.ORDERS.value,
    "ticket": Collection.TICKETS.value,
}
_NEEDED: Final = {"seq": 1, "rights.restricted": 1, MERGED_INTO: 1, PARTS: 1}


class SweepState(StrEnum):
    """How far a limit has come. The values are stored; they may not be changed or reused."""

    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Swept:
    """The last run of a limit.

    Attributes:
        limit: Its name.
        state: How far it has come.
        looked_at: How many customers were looked at (of a limit of people: how many of those due are erased),
        of: of how many.
        removed: How many people or records.
        before: What is older was removed.
        started_at: When it began.
        finished_at: When it ended, or None.
    """

    limit: str
    state: SweepState
    looked_at: int
    of: int
    removed: int
    before: datetime
    started_at: datetime
    finished_at: datetime | None


class RetentionSweep:
    """Runs limits; one process at a time runs one."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        people: InactivitySweep,
        vault: Vault,
        log: AccessLog,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._runs = database["retention_runs"]
        self._store = store
        self._people = people
        self._events = EventStore(database)
        self._requests = RequestStore(database)
        self._vault = vault
        self._log = log
        self._now = now

    async def last(self) -> dict[str, Swept]:
        """The last run of each limit that ever ran, by its name."""
        return {each["_id"]: _swept(each) for each in await self._runs.find({}).to_list(None)}

    async def is_due(self, limit: Limit, every: timedelta) -> bool:
        """Whether a limit never ran, was cut off, or ended so long ago."""
        found = (await self.last()).get(limit.name)
        return found is None or found.finished_at is None or found.finished_at + every <= self._now()

    async def run(self, access: Access, limit: Limit, *, progress: Progress) -> Swept | None:
        """Remove what a limit no longer lets be kept; None where another process is at it.

        Args:
            access: Who may erase for the stated purpose.
            limit: Which.
            progress: Told how many are done, of how many.

        Raises:
            EraseNotAllowedError: The caller may not; nothing was removed.
            vault.VaultError, audit.AuditError, pymongo.errors.PyMongoError: It goes on with the next run.
        """
        if not access.grant.erase:
            raise EraseNotAllowedError
        run = await self._taken(limit)
        if run is None:
            return None
        if limit.object == "profile":
            await self._erase(access, limit, run, progress)
        else:
            await self._clear(access, limit, run, progress)
        finished = {"state": SweepState.DONE.value, "finished_at": self._now(), "lease_until": self._now()}
        mine = {"_id": limit.name, "process": self._vault.fleet.process_id}
        await self._runs.update_one(mine, {"$set": finished})
        return (await self.last())[limit.name]

    # ---- people

    async def _erase(self, access: Access, limit: Limit, run: dict[str, Any], progress: Progress) -> None:
        while True:
            # Some at a time, so that how far it came is written down and the lease is held.
            due = (await self._people.preview(limit.period)).customers
            erased = await self._people.run(access, limit.period, limit=_AT_ONCE, progress=lambda *_: None)
            run["removed"] += erased
            run["looked_at"] = run["removed"]
            run["of"] = max(run["of"], run["removed"] + due - erased)
            await self._hold(limit, run)
            progress(run["looked_at"], run["of"])
            if not erased:
                return

    # ---- records

    async def _clear(self, access: Access, limit: Limit, run: dict[str, Any], progress: Progress) -> None:
        run["of"] = await self._store.last_sequence()
        while documents := await self._store.page({}, after=run["seq"], limit=_PAGE, projection=_NEEDED):
            free = await self._free(documents)
            run["removed"] += await self._clear_of(access, limit, run["before"], free)
            run["seq"] = documents[-1]["seq"]
            run["looked_at"] = run["seq"]
            await self._hold(limit, run)
            progress(run["looked_at"], run["of"])

    async def _free(self, documents: Sequence[Mapping[str, Any]]) -> list[str]:
        """The customers of whom something may be removed; one person's profiles are bound together.

        A profile that was merged has the rights of the one it is in, and a request names the profile it was opened for.
        """
        into = {each["_id"]: each.get(MERGED_INTO, each["_id"]) for each in documents}
        others = await self._store.find(sorted(set(into.values()) - set(into)), _NEEDED)
        known = {each["_id"]: each for each in (*documents, *others)}
        person = {whole: {whole, *known.get(whole, {}).get(PARTS, ())} for whole in into.values()}
        bound = {name for name, each in known.items() if (each.get("rights") or {}).get("restricted")}
        bound |= await self._requests.held(sorted(set(into).union(*person.values())))
        return [name for name, whole in into.items() if not {name, *person[whole]} & bound]

    async def _clear_of(self, access: Access, limit: Limit, before: datetime, customer_ids: Sequence[str]) -> int:
        wanted: dict[str, Any] = {"customer_id": {"$in": list(customer_ids)}, limit.moment or "": {"$lte": before}}
        found = (
            await self._database[_COLLECTIONS[limit.object]]
            .find(wanted, {"customer_id": 1, **{f"sealed.{group}": 1 for group in limit.groups}})
            .to_list(None)
        )
        if limit.fields:
            found = [each for each in found if each.get("sealed")]
        for start in range(0, len(found), _AT_ONCE):
            await self._remove(access, limit, found[start : start + _AT_ONCE])
        return len(found)

    async def _remove(self, access: Access, limit: Limit, documents: Sequence[Mapping[str, Any]]) -> None:
        owners = sorted({each["customer_id"] for each in documents})
        await self._record(access, limit, owners)
        names = {"_id": {"$in": [each["_id"] for each in documents]}}
        collection = self._database[_COLLECTIONS[limit.object]]
        if limit.fields:
            await collection.update_many(names, {"$unset": {f"sealed.{group}": "" for group in limit.groups}})
            return
        # First: once they are gone nobody knows whose they were.
        for owner in owners:
            await self._events.recount_later(owner, f"retention:{documents[0]['_id']}")
        await collection.delete_many(names)

    async def _record(self, access: Access, limit: Limit, owners: Sequence[str]) -> None:
        """Durable before anything goes: what is removed, and whose."""
        noted = Disclosure(access.disclosure.request, access.grant, kind=RecordKind.WRITE)
        paths = [each.path for each in limit.fields] or [f"{limit.object}.id"]
        noted.add_fields(dict.fromkeys(paths, (Verdict.CLEAR, access.grant.erase.alternatives[0].rule)))
        async with self._vault.reading():
            for key in (await self._vault.keys(owners)).values():
                if isinstance(key, DataKey):
                    noted.add_subject(key.audit_reference)
        await self._log.append(noted.record(self._now(), Outcome.ALLOWED))

    # ---- how far it is

    async def _taken(self, limit: Limit) -> dict[str, Any] | None:
        """Begin a run, or go on with one that was cut off; None where another process holds it."""
        now, process = self._now(), self._vault.fleet.process_id
        held = {"process": process, "lease_until": now + _LEASE}
        fresh: dict[str, Any] = {
            "schema": _SCHEMA,
            "state": SweepState.RUNNING.value,
            "purpose": limit.purpose,
            "before": earlier(now, limit.period),
            "seq": 0,
            "looked_at": 0,
            "of": 0,
            "removed": 0,
            "started_at": now,
            "finished_at": None,
        }
        found = await self._runs.find_one({"_id": limit.name})
        if found is None:
            try:
                await self._runs.insert_one({"_id": limit.name, **fresh, **held})
            except DuplicateKeyError:
                return None
            return fresh
        goes_on = found["state"] == SweepState.RUNNING.value
        mine = {"_id": limit.name, "process": found["process"], "lease_until": found["lease_until"]}
        if found["lease_until"] > _like(now, found["lease_until"]) and goes_on:
            return None
        changed = await self._runs.update_one(mine, {"$set": {**({} if goes_on else fresh), **held}})
        if not changed.matched_count:
            return None
        return {name: found.get(name, value) for name, value in fresh.items()} if goes_on else fresh

    async def _hold(self, limit: Limit, run: Mapping[str, Any]) -> None:
        """Write down how far it is, and hold it on."""
        reached = {name: run[name] for name in ("seq", "looked_at", "of", "removed")}
        mine = {"_id": limit.name, "process": self._vault.fleet.process_id}
        await self._runs.update_one(mine, {"$set": {**reached, "lease_until": self._now() + _LEASE}})


def _swept(found: Mapping[str, Any]) -> Swept:
    return Swept(
        limit=found["_id"],
        state=SweepState(found["state"]),
        looked_at=found["looked_at"],
        of=found["of"],
        removed=found["removed"],
        before=found["before"],
        started_at=found["started_at"],
        finished_at=found["finished_at"],
    )


def _like(moment: datetime, other: datetime) -> datetime:
    return moment if other.tzinfo is not None else moment.replace(tzinfo=None)
