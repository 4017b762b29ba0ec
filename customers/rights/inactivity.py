"""Erases customers who have had nothing to do with the company for longer than the policy of the house says.

Nobody is erased by this but whom nothing has been heard of since: neither an order, nor a ticket, nor an event, nor a
privacy request, nor any change of their profile, be it by staff; nor have they signed in to the portal. Who has restricted
processing stays (GDPR Article 18(2)), and who waits for an answer to a request: they may need what is there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.access import Access
from customers.collection.event_store import EVENTS
from customers.disclosure import Disclosure
from customers.errors import EraseNotAllowedError, ProfileNotFoundError
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.store import HEARD, Collection, CustomerStore
from customers.rights.erase import Eraser
from customers.rights.requests.errors import RequestHeldError
from customers.rights.requests.store import RequestStore
from policies.retention import earlier

PURPOSE: Final = "retention"
ROLE: Final = "privacy_officer"
_SIGNS: Final = (
    "created_at", "updated_at", "first_order_at", "last_order_at", "first_event_at", "last_event_at", HEARD,
)  # fmt: skip
_NEEDED: Final[Mapping[str, int]] = dict.fromkeys((*_SIGNS, "seq", "rights.restricted", MERGED_INTO, PARTS), 1)
# What is counted on a profile a moment later, or after a crash much later: looked at itself before anybody is erased.
_RECORDS: Final[Mapping[str, str]] = {
    EVENTS: "at",
    Collection.ORDERS.value: "placed_at",
    Collection.TICKETS.value: "opened_at",
}
_PAGE: Final = 500
_AT_ONCE: Final = 25
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Due:
    """Whom a sweep would erase: how many, of how many who were looked at, and since when the first was not heard of."""

    customers: int
    looked_at: int
    before: datetime
    oldest: datetime | None


class InactivitySweep:
    """Finds and erases customers of whom nothing was heard for a period."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        eraser: Eraser,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._store = store
        self._requests = RequestStore(database)
        self._eraser = eraser
        self._now = now

    async def preview(self, period: str) -> Due:
        """Whom a run would erase now; nobody is, and nothing sealed is opened.

        Raises:
            ValueError: Not a period, such as P3Y.
        """
        before = earlier(self._now(), period)
        found, oldest = 0, None
        async for document in self._due(before):
            found += 1
            heard = _heard(document)
            oldest = heard if oldest is None else min(oldest, heard)
        return Due(found, await self._store.last_sequence(), before, oldest)

    async def run(self, access: Access, period: str, *, limit: int | None = None, progress: Progress) -> int:
        """Erase those who are due, up to `limit`; give how many. One that is cut off goes on with the next run.

        Most of an erasure is waiting for every process to follow, so 25 are erased together.

        Args:
            access: Who may erase for the stated purpose.
            period: Since when nothing was heard, such as P3Y.
            limit: How many at most; None for all.
            progress: Told how many are erased, of how many.

        Raises:
            EraseNotAllowedError: The caller may not; nobody was erased.
            ValueError: Not a period.
            vault.VaultError, audit.AuditError: What kept one from being erased; it is finished later, and the next run
                goes on.
        """
        if not access.grant.erase:
            raise EraseNotAllowedError
        before = earlier(self._now(), period)
        due = [document["_id"] async for document in self._due(before)][:limit]
        done = erased = 0
        for start in range(0, len(due), _AT_ONCE):
            group = due[start : start + _AT_ONCE]
            ended = await asyncio.gather(
                *(self._erase(access, each, before) for each in group), return_exceptions=True
            )
            for each in ended:
                if isinstance(each, BaseException):
                    raise each
            erased += ended.count(True)
            done += len(group)
            progress(done, len(due))
        return erased

    async def _erase(self, access: Access, customer_id: str, before: datetime) -> bool:
        """Erase one, if nothing was heard meanwhile."""
        documents = await self._store.find([customer_id], _NEEDED)
        if not await self._silent(documents, before) or await self._recent(documents[0], before):
            return False
        # Of its own: each has an intention of its own in the log.
        own = Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant))
        try:
            await self._eraser.erase(own, customer_id)
        except (ProfileNotFoundError, RequestHeldError):  # another process was faster; or they are under legal hold
            return False
        return True

    async def _due(self, before: datetime) -> AsyncIterator[Mapping[str, Any]]:
        after = 0
        while documents := await self._store.page({}, after=after, limit=_PAGE, projection=_NEEDED):
            for document in await self._silent(documents, before):
                yield document
            after = documents[-1]["seq"]

    async def _silent(self, documents: Sequence[Mapping[str, Any]], before: datetime) -> list[Mapping[str, Any]]:
        """Those of these who are due, and asked for nothing since; nor do they wait for an answer."""
        due = [each for each in documents if _is_due(each, before)]
        if not due:
            return []
        recent = await self._requests.heard([name for each in due for name in _whole(each)], before)
        recent |= await self._came(due, before)
        return [each for each in due if recent.isdisjoint(_whole(each))]

    async def _came(self, documents: Sequence[Mapping[str, Any]], before: datetime) -> set[str]:
        """What was merged into one of these, and has signed in since then under its own number."""
        parts = [name for each in documents for name in each.get(PARTS, ())]
        found = await self._store.find(parts, {HEARD: 1}) if parts else []
        return {each["_id"] for each in found if each.get(HEARD) is not None and _aware(each[HEARD]) >= before}

    async def _recent(self, document: Mapping[str, Any], before: datetime) -> bool:
        """Whether there is something of theirs that their profile does not count yet."""
        for collection, moment in _RECORDS.items():
            wanted = {"customer_id": {"$in": _whole(document)}, moment: {"$gte": before}}
            if await self._database[collection].find_one(wanted, {"_id": 1}) is not None:
                return True
        return False


def _whole(document: Mapping[str, Any]) -> list[str]:
    """The profile of a person, and all that was merged into it."""
    return [document["_id"], *document.get(PARTS, ())]


def _is_due(document: Mapping[str, Any], before: datetime) -> bool:
    if MERGED_INTO in document or (document.get("rights") or {}).get("restricted"):
        return False
    return _heard(document) < before


def _heard(document: Mapping[str, Any]) -> datetime:
    """When something was last heard of a customer; one without any date was heard of just now."""
    moments = [document[name] for name in _SIGNS if document.get(name) is not None]
    return max((_aware(each) for each in moments), default=datetime.max.replace(tzinfo=UTC))


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
