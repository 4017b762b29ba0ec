"""Joins two profiles that are one person, and takes them apart again.

Nothing is sealed anew: the absorbed profile stays as it is under its own key and says into whom it went; the survivor says
who its parts are; reads put them together. What lies in clear is put together on the survivor, and what it was before is
in the journal, so taking apart restores both. In which steps, and how far they hold when cut off, is `merge_steps`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
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
from customers.identity.journal import Author, Journal, MergeState
from customers.identity.merge_steps import MergeSteps, going_into
from customers.identity.model import new_id
from customers.identity.rules import MAX_PARTS
from customers.profiles.joined import (
    MERGED_INTO,
    PARTS,
    PERSON,
    VISITOR,
    Document,
    as_it_is,
    clear_of,
    difference,
    joined,
)
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from policies import PolicySet, Verdict
from vault import DataKey, Vault

PATH = "profile.identifiers"
PURPOSE = "identity_resolution"

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
        self._steps = MergeSteps(store, journal, vault, policies, now=now, parted=parted)

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
        await self._steps.join(entry)

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
        await self._steps.part(undoing)
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
            leaving.append((as_it_is(visitor), going_into(survivor["_id"], VISITOR, left)))
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
            await self._steps.join(each)

    def _entry(self, survivor: Document, absorbed: Document, kind: str) -> dict[str, Any]:
        return {
            "_id": new_id("mrg_", self._random),
            "kind": kind,
            "survivor": survivor["_id"],
            "absorbed": absorbed["_id"],
            "moved": list(absorbed.get(PARTS, ())),
        }

    # ---- what was cut off, and what was erased

    async def resume(self) -> int:
        """As `MergeSteps.resume`."""
        return await self._steps.resume()

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """As `MergeSteps.forget`."""
        await self._steps.forget(customer_ids)

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
