"""Joins two profiles that are one person, and takes them apart again.

Nothing is sealed anew: the absorbed profile stays as it is under its own key and says into whom it went; the survivor says
who its parts are; reads put them together. What lies in clear is put together on the survivor, and what it was before is
in the journal, so taking apart restores both.

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

from audit import AccessLog, Kind
from customers.access import Access, in_scope
from customers.disclosure import Disclosure
from customers.errors import (
    MergeNotPossibleError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.identity.journal import Author, Entry, Journal, MergeState
from customers.identity.model import new_id
from customers.identity.rules import MAX_PARTS
from customers.profiles.adding import COUNTED
from customers.profiles.joined import (
    MERGED_AS,
    MERGED_INTO,
    OWN,
    PARTS,
    PERSON,
    VISITOR,
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
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from policies import PolicySet, Verdict
from vault import DataKey, Vault

PATH = "profile.identifiers"
PURPOSE = "identity_resolution"
_TRIES = 12
_ABANDONED = timedelta(seconds=10)

_SAME = "a profile cannot be merged into itself"
_PART = "one of the two is part of another profile already: merge that one"
_APART = "this profile was not merged into another"
_LATER = "the profile it was merged into was merged into another since: take that apart first"
_MANY = f"one profile can be joined of at most {MAX_PARTS} others"


class Merger:
    """Merges and unmerges; inside `Vault.reading`, so that an erasure of one of the two waits for it."""

    def __init__(
        self,
        store: CustomerStore,
        journal: Journal,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        parted: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> None:
        """Over what is open already.

        Args:
            store: The profiles.
            journal: Keeps what is begun.
            vault: The keys.
            log: The access log.
            policies: The policy in force.
            now: The time.
            random: Gives that many random bytes.
            parted: Called with profiles that were taken apart: whoever is signed in may be the other by now.
        """
        self._store = store
        self._journal = journal
        self._vault = vault
        self._log = log
        self._policies = policies
        self._now = now
        self._random = random
        self._parted = parted

    # ---- by a person

    async def merge(self, access: Access, survivor_id: str, absorbed_id: str) -> None:
        """Join two profiles; the survivor's values count where both have one.

        Raises:
            WriteNotAllowedError: The caller may not, for this purpose or for one of these customers.
            ProfileNotFoundError: One of them is not there, or erased.
            MergeNotPossibleError: They cannot be joined; it says why.
            ProfileConflictError: Others changed them again and again meanwhile.
            audit.AuditUnavailableError: It could not be recorded; nothing was changed.
        """
        check(access)
        if survivor_id == absorbed_id:
            raise MergeNotPossibleError(_SAME)
        found = {each["_id"]: each for each in await self._store.find([survivor_id, absorbed_id])}
        if len(found) < 2:  # noqa: PLR2004 - the two
            raise ProfileNotFoundError
        survivor, absorbed = found[survivor_id], found[absorbed_id]
        if MERGED_INTO in survivor or MERGED_INTO in absorbed:
            raise MergeNotPossibleError(_PART)
        if len(survivor.get(PARTS, ())) + len(absorbed.get(PARTS, ())) + 1 > MAX_PARTS:
            raise MergeNotPossibleError(_MANY)
        await self._record(access, [survivor, absorbed])
        begun = [self._entry(survivor, absorbed, PERSON)]
        (entry,) = await self._journal.begin(begun, _author(access), self._now())
        await self._join(entry)

    async def unmerge(self, access: Access, absorbed_id: str) -> str:
        """Take a profile out of the one it was merged into, and give the id of that one.

        Both are as they were before, to the byte. What was changed since stays with the survivor; what the customer said
        no to since holds for both.

        Raises:
            As `merge`.
        """
        check(access)
        documents = await self._store.find([absorbed_id])
        if not documents:
            raise ProfileNotFoundError
        entry = await self._journal.standing(absorbed_id)
        if entry is None or MERGED_INTO not in documents[0]:
            raise MergeNotPossibleError(_APART)
        if entry.survivor != documents[0][MERGED_INTO]:
            raise MergeNotPossibleError(_LATER)
        survivors = await self._store.find([entry.survivor])
        if not survivors:
            raise ProfileNotFoundError
        await self._record(access, survivors, restricted=True)
        undoing = await self._journal.undo(entry, _author(access))
        if undoing is None:
            raise ProfileConflictError
        await self._part(undoing)
        return entry.survivor

    # ---- by the rules

    async def absorb(self, access: Access, visitors: Mapping[str, str]) -> None:
        """Have visitors become part of the people they turned out to be; the caller has recorded it.

        However many, it is the same number of commands, unless somebody changes one of them at this moment.

        Args:
            access: On whose behalf, for the journal.
            visitors: The person, by visitor.
        """
        documents = {each["_id"]: each for each in await self._store.find([*visitors, *set(visitors.values())])}
        pairs = [
            (documents[person], documents[visitor])
            for visitor, person in visitors.items()
            if person in documents and visitor in documents and MERGED_INTO not in documents[visitor]
        ]
        if not pairs:
            return
        now, purposes = self._now(), self._policies().purposes
        becoming = {survivor["_id"]: {**clear_of(survivor), "version": survivor["version"]} for survivor, _ in pairs}
        leaving: list[tuple[Document, Mapping[str, Any]]] = []
        begun: list[dict[str, Any]] = []
        for survivor, visitor in pairs:
            was = becoming[survivor["_id"]]
            version, left = int(was["version"]) + 1, int(visitor["version"]) + 1
            becoming[survivor["_id"]] = {**joined(was, visitor, VISITOR, purposes, now), "version": version}
            leaving.append((as_it_is(visitor), _leaving(survivor["_id"], VISITOR, left)))
            begun.append(
                {
                    **self._entry(survivor, visitor, VISITOR),
                    "before": {"survivor": was, "absorbed": {"version": left - 1}},
                    "after": {"survivor": version, "absorbed": left},
                }
            )
        entries = await self._journal.begin(begun, _author(access), now)
        changes = [
            (as_it_is(documents[each]), difference({**clear_of(documents[each]), "version": None}, after))
            for each, after in becoming.items()
        ]
        alone = all(PARTS not in visitor for _, visitor in pairs)
        if (
            alone
            and await self._store.update_many(leaving) == len(leaving)
            and await self._store.update_many(changes) == len(changes)
        ):
            await self._vault.blind.lead_to({each.absorbed: each.survivor for each in entries})
            await self._journal.finish([each.id for each in entries], MergeState.MERGED, self._now())
            return
        for each in entries:
            await self._join(each)

    # ---- the steps

    def _entry(self, survivor: Document, absorbed: Document, kind: str) -> dict[str, Any]:
        return {
            "_id": new_id("mrg_", self._random),
            "kind": kind,
            "survivor": survivor["_id"],
            "absorbed": absorbed["_id"],
            "moved": list(absorbed.get(PARTS, ())),
        }

    async def _join(self, entry: Entry) -> None:
        """Bring a merge to its end, wherever it stands."""
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
                change = _leaving(entry.survivor, entry.kind, version + 1)
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

    async def _part(self, entry: Entry) -> None:
        """Bring the end of a merge to its end, wherever it stands."""
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
                    await (self._join if entry.state is MergeState.BEGUN else self._part)(entry)
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

    # ---- who may, and the record of it

    async def record(self, access: Access, customer_ids: Sequence[str]) -> None:
        """Make it durable that somebody decided about these profiles, as far as they are there, without a merge."""
        await self._record(access, await self._store.find(customer_ids), restricted=True)

    async def _record(self, access: Access, documents: Sequence[Document], *, restricted: bool = False) -> None:
        """Make the record durable, of every profile that the merge is about.

        Args:
            access: Who does it, and why.
            documents: The profiles.
            restricted: Whether it may be done of somebody whose rights forbid the purpose, as putting right what was
                joined by mistake.
        """
        alternatives = access.grant.write[PATH].alternatives
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
        disclosure.add_fields({PATH: (Verdict.CLEAR, alternatives[0].rule)})
        ids = [each for document in documents for each in (document["_id"], *document.get(PARTS, ()))]
        keys = await self._vault.keys(ids)
        for document in documents:
            key = keys.get(document["_id"])
            if not isinstance(key, DataKey):
                raise ProfileNotFoundError
            circumstances = circumstances_of(document, access.caller, access.grant, self._now())
            scoped = any(in_scope(each.scope, circumstances) for each in alternatives)
            if not scoped or (circumstances.reason is not None and not restricted):
                raise WriteNotAllowedError([PATH])
            parts = [keys.get(each) for each in document.get(PARTS, ())]
            disclosure.add_subject(
                key.audit_reference, parts=[each.audit_reference for each in parts if isinstance(each, DataKey)]
            )
        await self._log.append(disclosure.record(self._now()))


def check(access: Access) -> None:
    """Refuse whoever may not join profiles, or not for the purpose they state."""
    if PURPOSE not in access.grant.purpose.lineage or not access.grant.write[PATH]:
        raise WriteNotAllowedError([PATH])


def _author(access: Access) -> Author:
    request = access.disclosure.request
    return Author(request.caller.actor, request.purpose, request.case)


def _leaving(survivor: str, kind: str, version: int) -> dict[str, Any]:
    """What makes a profile part of another."""
    return {"$set": {MERGED_INTO: survivor, MERGED_AS: kind, "version": version}}


def _returning(version: int, owed: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a profile one of its own again."""
    return {"$set": {"version": version, **owed}, "$unset": {MERGED_INTO: "", MERGED_AS: ""}}
