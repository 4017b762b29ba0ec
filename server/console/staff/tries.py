"""How often somebody tries to sign in with one name, and how long the next try has to wait.

Documents of `staff_tries` in the keys database: `{_id: a digest of the name, v: 1, failures, not_before, expires_at}`.
Names are counted whether there is such an account or not, so the count tells nobody which exist. A try is counted
before it is looked at, by compare-and-swap: a hundred at once are not a hundred tries for the price of one. What
somebody who can write to the collection could achieve: keep an account out, or try on without a pause.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from server.console.staff.errors import TooManyTriesError

FREE: Final = 5
_FIRST: Final = timedelta(seconds=30)
_LONGEST: Final = timedelta(minutes=15)
_REMEMBERED: Final = timedelta(hours=24)
_COLLECTION: Final = "staff_tries"
_MOST_RACES: Final = 50


def pause(failures: int) -> timedelta:
    """How long after this many failures in a row the next try has to wait: nothing, then 30 s, 1, 2, 4 … 15 minutes."""
    if failures < FREE:
        return timedelta(0)
    return min(_FIRST * (1 << min(failures - FREE, 16)), _LONGEST)


class Tries:
    """Counts tries with a name."""

    def __init__(
        self,
        keys: AsyncDatabase[dict[str, Any]],
        digest: Callable[..., bytes],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._documents = keys[_COLLECTION]
        self._digest = digest
        self._now = now
        self._prepared = False

    async def begin(self, name: str) -> None:
        """Count one try with this name as failed; `succeeded` takes it back.

        Raises:
            TooManyTriesError: It comes too soon after those that failed, and is not counted.
        """
        await self._prepare()
        key, now = self._key(name), self._now()
        await self._documents.delete_many({"expires_at": {"$lte": now}})
        for _ in range(_MOST_RACES):
            found = await self._documents.find_one({"_id": key})
            failures = 0 if found is None else int(found["failures"])
            wait = timedelta(0) if found is None or failures < FREE else found["not_before"] - now
            if wait > timedelta(0):
                raise TooManyTriesError(max(1, round(wait.total_seconds())))
            values = {
                "v": 1,
                "failures": failures + 1,
                "not_before": now + pause(failures + 1),
                "expires_at": now + _REMEMBERED,
            }
            if found is None:
                try:
                    await self._documents.insert_one({"_id": key, **values})
                except DuplicateKeyError:
                    continue
                return
            changed = await self._documents.update_one({"_id": key, "failures": failures}, {"$set": values})
            if changed.matched_count:
                return
        raise TooManyTriesError(round(_FIRST.total_seconds()))

    async def _prepare(self) -> None:
        if not self._prepared:
            await self._documents.create_index("expires_at")
            self._prepared = True

    async def succeeded(self, name: str) -> None:
        """Forget the tries with this name."""
        await self._documents.delete_one({"_id": self._key(name)})

    def _key(self, name: str) -> bytes:
        return self._digest("staff sign-in", name)


__all__ = ["FREE", "Tries", "pause"]
