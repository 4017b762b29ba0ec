"""Where each enrichment's run has got to: the collection `enrichment_runs`. Counts, and no name or value of anybody.

What one who can write here could do: have people looked up again, or left out until the next run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.enrichment.errors import EnrichmentRunningError

SCHEMA_VERSION: Final = 1
LEASE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Begun:
    """The right to run an enrichment until `LEASE` from now, and where to begin."""

    name: str
    token: str
    after: int
    counts: Mapping[str, int]


class RunStore:
    """The collection `enrichment_runs`."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._runs = database["enrichment_runs"]
        self._now = now
        self._random = random

    async def begin(self, name: str, digest: str) -> Begun:
        """Begin a run, or go on with one of the same definition that did not come to its end.

        Raises:
            EnrichmentRunningError: Another process runs it.
        """
        now, token = self._now(), self._random(16).hex()
        running = {"token": token, "until": now + LEASE}
        new = {"schema": SCHEMA_VERSION, "digest": digest, "after": 0, "counts": {}, "running": running}
        try:
            await self._runs.insert_one({"_id": name, **new})
        except DuplicateKeyError:
            held = await self._runs.find_one({"_id": name})
            standing = None if held is None else held.get("running")
            if held is None or (standing is not None and standing["until"] > now):
                raise EnrichmentRunningError from None
            goes_on = held["digest"] == digest and "finished_at" not in held
            mine = {"_id": name, "running.token": None if standing is None else standing["token"]}
            change: dict[str, Any] = (
                {"$set": {"running": running}} if goes_on else {"$set": new, "$unset": {"finished_at": ""}}
            )
            if not (await self._runs.update_one(mine, change)).matched_count:
                raise EnrichmentRunningError from None
            if goes_on:
                return Begun(name, token, held["after"], held["counts"])
        return Begun(name, token, 0, {})

    async def reached(self, begun: Begun, after: int, counts: Mapping[str, int]) -> None:
        """Note that everybody up to a sequence number is done, and keep the right a little longer.

        Raises:
            EnrichmentRunningError: It lapsed, and another process has it.
        """
        change = {"after": after, "counts": dict(counts), "running.until": self._now() + LEASE}
        if not (await self._runs.update_one(self._mine(begun), {"$set": change})).matched_count:
            raise EnrichmentRunningError

    async def extend(self, begun: Begun) -> None:
        """Keep the right a little longer; one that lapsed is noticed by `reached`."""
        await self._runs.update_one(self._mine(begun), {"$set": {"running.until": self._now() + LEASE}})

    async def end(self, begun: Begun, *, finished: bool) -> None:
        """Give up the right; the next run begins anew if this one is finished, or goes on."""
        change: dict[str, Any] = {"$unset": {"running": ""}}
        if finished:
            change["$set"] = {"finished_at": self._now()}
        await self._runs.update_one(self._mine(begun), change)

    def _mine(self, begun: Begun) -> dict[str, Any]:
        return {"_id": begun.name, "running.token": begun.token}
