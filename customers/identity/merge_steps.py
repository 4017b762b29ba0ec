"""The steps in which profiles are joined and taken apart, and how what was cut off comes to its end.

A merge is made in steps that can each be repeated, so whatever cuts it off, the worker goes on (`resume`):

1. the journal says what is about to be done;
2. the absorbed profile says into whom it went: from here on it is not shown alone, and what is written of it goes there;
3. the survivor's clear fields and parts are changed, with what they were before in the journal;
4. what finds the absorbed profile finds the survivor;
5. the journal says that it is done.

It is taken apart in the other order. Documents are only changed in the version in which they were read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from customers.errors import ProfileConflictError, ProfileNotFoundError
from customers.identity.journal import Entry, Journal, MergeState
from customers.profiles.adding import COUNTED
from customers.profiles.joined import (
    MERGED_AS,
    MERGED_INTO,
    OWN,
    PARTS,
    Document,
    as_it_is,
    clear_of,
    difference,
    joined,
    parted,
    same_counts,
    settled,
    tightened,
)
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import Vault

_TRIES = 12
_ABANDONED = timedelta(seconds=10)


class MergeSteps:
    """Takes the steps; inside `Vault.reading`, so that an erasure of one of the two waits for them."""

    def __init__(
        self,
        store: CustomerStore,
        journal: Journal,
        vault: Vault,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        parted: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> None:
        """As for `Merger`."""
        self._store = store
        self._journal = journal
        self._vault = vault
        self._policies = policies
        self._now = now
        self._parted = parted

    async def join(self, entry: Entry) -> None:
        """Bring a merge to its end, wherever it stands.

        Raises:
            ProfileNotFoundError: One of the two is erased.
            ProfileConflictError: One of them went elsewhere meanwhile, or was changed again and again.
        """
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(0.002 * 2 ** min(attempt, 6))
            found = {each["_id"]: each for each in await self._store.find([entry.survivor, entry.absorbed])}
            survivor, absorbed = found.get(entry.survivor), found.get(entry.absorbed)
            if survivor is None or absorbed is None:
                await self.forget([each for each in (entry.survivor, entry.absorbed) if each not in found])
                raise ProfileNotFoundError
            if MERGED_INTO in survivor or absorbed.get(MERGED_INTO, entry.survivor) != entry.survivor:
                await self._give_up(entry, absorbed)
                raise ProfileConflictError
            if MERGED_INTO not in absorbed:
                version = int(absorbed["version"])
                change = going_into(entry.survivor, entry.kind, version + 1)
                if not await self._store.update_many([(as_it_is(absorbed), change)]):
                    continue
                absorbed = {**absorbed, MERGED_INTO: entry.survivor, "version": version + 1}
            if entry.absorbed not in survivor.get(PARTS, ()) and not await self._take_in(entry, survivor, absorbed):
                continue
            await self._store.move(absorbed.get(PARTS, ()), entry.survivor)
            await self._vault.blind.lead_to({entry.absorbed: entry.survivor})
            await self._journal.finish([entry.id], MergeState.MERGED, self._now())
            return
        raise ProfileConflictError

    async def _take_in(self, entry: Entry, survivor: Document, absorbed: Document) -> bool:
        version = int(survivor["version"])
        before = {**clear_of(survivor), "version": version}
        after = {
            **joined(survivor, absorbed, entry.kind, self._policies().purposes, self._now()),
            "version": version + 1,
        }
        await self._journal.note(
            entry,
            before={"survivor": before, "absorbed": {"version": int(absorbed["version"]) - 1}},
            after={"survivor": version + 1, "absorbed": int(absorbed["version"])},
            moved=list(absorbed.get(PARTS, ())),
        )
        return bool(await self._store.update_many([(as_it_is(survivor), difference(before, after))]))

    async def _give_up(self, entry: Entry, absorbed: Document) -> None:
        """Leave a merge that cannot be made: one of the two went elsewhere meanwhile."""
        if absorbed.get(MERGED_INTO) == entry.survivor:
            version = int(absorbed["version"])
            await self._store.update_many([(as_it_is(absorbed), _returning(version - 1, {}))])
        await self._journal.finish([entry.id], MergeState.UNDONE, self._now())

    async def part(self, entry: Entry) -> None:
        """Bring the end of a merge to its end, wherever it stands.

        Raises:
            ProfileConflictError: One of the two was changed again and again meanwhile.
        """
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(0.002 * 2 ** min(attempt, 6))
            found = {each["_id"]: each for each in await self._store.find([entry.survivor, entry.absorbed])}
            survivor, absorbed = found.get(entry.survivor), found.get(entry.absorbed)
            if absorbed is None:
                await self.forget([entry.absorbed])
                return
            await self._vault.blind.lead_back(entry.absorbed, entry.moved)
            if survivor is not None and entry.absorbed in survivor.get(PARTS, ()):
                owed = await self._let_go(entry, survivor, absorbed)
                if owed is None:
                    continue
                entry = owed
            if MERGED_INTO in absorbed:
                version = int(absorbed["version"])
                exact = version == entry.after.get("absorbed") and not entry.owed
                left = int(entry.before["absorbed"]["version"]) if exact else version + 1
                if not await self._store.update_many([(as_it_is(absorbed), _returning(left, entry.owed))]):
                    continue
            await self._store.move(entry.moved, entry.absorbed)
            if self._parted is not None:
                await self._parted([entry.survivor, entry.absorbed])
            await self._journal.finish([entry.id], MergeState.UNDONE, self._now())
            return
        raise ProfileConflictError

    async def _let_go(self, entry: Entry, survivor: Document, absorbed: Document) -> Entry | None:
        """Take a part out of its survivor; None if that was changed meanwhile."""
        version, now, purposes = int(survivor["version"]), self._now(), self._policies().purposes
        held = {**clear_of(survivor), "version": version}
        was = entry.before.get("survivor", {})
        if version == entry.after.get("survivor") and same_counts(
            survivor, joined(was, absorbed, entry.kind, purposes, now)
        ):
            after, owed = dict(was), {}
        else:
            parts = await self._store.find(survivor[PARTS])
            after = {**parted(survivor, parts, absorbed, purposes, now), "version": version + 1}
            decided = was.get(OWN, was).get("consents", ())
            owed = {
                **tightened(absorbed, decided, survivor.get(OWN, survivor).get("consents", ()), purposes),
                **settled(survivor, parts, absorbed),
            }
            if owed and survivor.get(COUNTED):
                # Steps that the survivor's sum counts are not to be counted by the part's once more.
                owed[COUNTED] = [*absorbed.get(COUNTED, ()), *survivor[COUNTED]]
        await self._journal.note(entry, owed=owed)
        if not await self._store.update_many([(as_it_is(survivor), difference(held, after))]):
            return None
        return await self._journal.get(entry.id)

    # ---- what was cut off, and what was erased

    async def resume(self) -> int:
        """Bring every merge that was cut off to its end; give how many."""
        entries = await self._journal.open_entries(self._now(), _ABANDONED)
        for entry in entries:
            async with self._vault.reading():
                try:
                    await (self.join if entry.state is MergeState.BEGUN else self.part)(entry)
                except (ProfileConflictError, ProfileNotFoundError):
                    continue
        return len(entries)

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Take erased customers out of everybody else's profile, before their own documents go.

        Who was merged into one of them and is not erased is on their own again: a backup may have brought that back.
        """
        gone = set(customer_ids)
        for entry in await self._journal.naming(customer_ids):
            if entry.state is MergeState.UNDONE:
                continue
            if entry.absorbed in gone and entry.survivor not in gone:
                await self._without(entry)
            elif entry.survivor in gone and entry.absorbed not in gone:
                await self._alone(entry)
        await self._journal.remove(customer_ids)

    async def _without(self, entry: Entry) -> None:
        for _ in range(_TRIES):
            found = {each["_id"]: each for each in await self._store.find([entry.survivor, entry.absorbed])}
            survivor = found.get(entry.survivor)
            if survivor is None or entry.absorbed not in survivor.get(PARTS, ()):
                return
            absorbed = found.get(entry.absorbed, {"_id": entry.absorbed, PARTS: list(entry.moved)})
            parts = await self._store.find(survivor[PARTS])
            version = int(survivor["version"])
            after = parted(survivor, parts, absorbed, self._policies().purposes, self._now())
            change = difference({**clear_of(survivor), "version": None}, {**after, "version": version + 1})
            if await self._store.update_many([(as_it_is(survivor), change)]):
                return
        raise ProfileConflictError

    async def _alone(self, entry: Entry) -> None:
        for _ in range(_TRIES):
            documents = await self._store.find([entry.absorbed])
            if not documents or documents[0].get(MERGED_INTO) != entry.survivor:
                return
            await self._vault.blind.lead_back(entry.absorbed, entry.moved)
            version = int(documents[0]["version"])
            if await self._store.update_many([(as_it_is(documents[0]), _returning(version + 1, {}))]):
                await self._store.move(entry.moved, entry.absorbed)
                return
        raise ProfileConflictError


def going_into(survivor: str, kind: str, version: int) -> dict[str, Any]:
    """What makes a profile part of another."""
    return {"$set": {MERGED_INTO: survivor, MERGED_AS: kind, "version": version}}


def _returning(version: int, owed: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a profile one of its own again."""
    return {"$set": {"version": version, **owed}, "$unset": {MERGED_INTO: "", MERGED_AS: ""}}
