"""Erases a customer: shreds their keys, and removes what is left of them.

The record of the intention is durable before the first step and the record of the end before the last one counts as
done. Every step can be repeated, so an erasure that died is finished at the next start (`resume`), and what a restored
backup brought back is removed again (`replay`).

A customer into whom others were merged is erased with all of them: each has a key of its own, and each is shredded.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from audit import AccessLog, Kind, Outcome
from customers.access import Access, in_scope
from customers.consent.store import ConsentStore
from customers.disclosure import Disclosure
from customers.errors import CustomersError, EraseNotAllowedError, ProfileConflictError, ProfileNotFoundError
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from customers.rights.certificate import Certificate, decode_certificate
from customers.rights.certificates import CertificateStore
from customers.rights.certifying import Certifier, Telling
from customers.rights.keeping import RETENTION_ID, Keeper, Preview, summed
from customers.rights.reach import REACHED
from customers.rights.retained import RetainedStore
from policies import Verdict
from vault import CustomerKeyMissingError, DataKey, Erasure, ErasureStep, ErasureWithdrawnError, Tombstone, Vault

_AT_ONCE = 500
_SHREDDED_AT_ONCE = 25
Forget = Callable[[Sequence[str]], Awaitable[None]]
"""Removes what else there is of customers, before their documents go."""


Free = Callable[[Sequence[str]], Awaitable[None]]
"""Returns if these customers may be erased now, and raises where what is known of them must be kept."""

_CREATION_TAKES = timedelta(minutes=2)
# Of a key that was destroyed before any record there is now: nobody can compute it any more.
_UNKNOWN_FINGERPRINT = ""


class Eraser:
    """Erasure of whole customers."""

    def __init__(
        self,
        store: CustomerStore,
        consents: ConsentStore,
        vault: Vault,
        log: AccessLog,
        *,
        policy_version: Callable[[], str],
        now: Callable[[], datetime],
        certificates: CertificateStore,
        keeper: Keeper,
        retained: RetainedStore,
        deployment: str,
        forget: Sequence[Forget] = (),
        free: Free | None = None,
        telling: Telling | None = None,
    ) -> None:
        """Wire it.

        Args:
            store: The documents.
            consents: The ledger.
            vault: The keys.
            log: Where it is recorded.
            policy_version: The version of the policy in force.
            now: The time.
            certificates: Where certificates are kept.
            keeper: Keeps what the law demands.
            retained: Where that is kept.
            deployment: The name of the access log, for certificates.
            forget: What removes the rest.
            free: Says whether somebody may be erased now; None where nothing is ever held.
            telling: Tells those who are to be told of an erasure; nobody is where there is none.
        """
        self._forget = forget
        self._free = free
        self._store = store
        self._consents = consents
        self._vault = vault
        self._log = log
        self._now = now
        self._keeper = keeper
        self._retained = retained
        self._telling = telling
        self._certifier = Certifier(
            log, certificates, keeper, telling, deployment=deployment, policy_version=policy_version, now=now
        )

    async def erase(self, access: Access, customer_id: str, *, only: Collection[str] | None = None) -> Certificate:
        """Erase a customer, and give the certificate. When this returns, no process can decrypt anything of them.

        The id of one who was merged into another is that person's, who is erased with everything that is theirs.

        Not to be called inside `Vault.reading`: it waits until every read has ended.

        Args:
            access: Who erases, and why.
            customer_id: Whom.
            only: The profiles that this person must be, no more and no fewer; None for whatever they are.

        Raises:
            ProfileConflictError: They are other profiles than `only` by now; nothing was erased.
            EraseNotAllowedError: The caller may not; nothing was erased.
            ProfileNotFoundError: There is no such customer, or they are erased already.
            RequestHeldError: What is known of them is under legal hold; nothing was erased.
            audit.AuditUnavailableError: The intention could not be recorded; nothing was erased.
            vault.VaultError: It was begun and will be finished by the worker or at the next start.
        """
        if not access.grant.erase:
            raise EraseNotAllowedError
        async with self._vault.reading():
            documents = await self._store.find([customer_id])
            if documents and MERGED_INTO in documents[0]:
                customer_id = documents[0][MERGED_INTO]
                documents = await self._store.find([customer_id])
            key = (await self._vault.keys([customer_id])).get(customer_id)
            if not documents or not isinstance(key, DataKey):
                raise ProfileNotFoundError
            circumstances = circumstances_of(documents[0], access.caller, access.grant, self._now())
            if not any(in_scope(each.scope, circumstances) for each in access.grant.erase.alternatives):
                raise EraseNotAllowedError
            await self._require_free([customer_id, *documents[0].get(PARTS, ())])
            disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.ERASURE_INTENT)
            disclosure.add_fields({access.grant.erase.path: (Verdict.CLEAR, access.grant.erase.alternatives[0].rule)})
            # No reference to the customer: next to the record of the end it would link the two for ever.
            access.disclosure.entry = str(await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED)))
        try:
            erasure = await self._vault.shred(customer_id, partial(self._on_first_steps, only))
        except ErasureWithdrawnError as withdrawn:
            if isinstance(withdrawn.__cause__, CustomersError):
                raise withdrawn.__cause__ from None
            await self._require_free(await self.whole(customer_id))  # what holds it was found by another process
            raise
        if not erasure.reference:  # somebody else erased them meanwhile, and a backup knows it
            raise ProfileNotFoundError
        return decode_certificate(await self._certifier.certified(erasure))

    async def preview(self, access: Access, customer_id: str) -> Preview:
        """What an erasure of this customer would remove, and what it would keep: shown beforehand. Nothing is changed.

        For those who may erase them, and for the customers themselves. Recorded as a read before it is given.

        Raises:
            EraseNotAllowedError: The caller may not know.
            ProfileNotFoundError: There is no such customer, or they are erased.
            audit.AuditUnavailableError: It could not be recorded.
        """
        async with self._vault.reading():
            whole = await self.whole(customer_id)
            documents = await self._store.find(whole[:1])
            keys = await self._vault.keys(whole)
            if not documents or not isinstance(keys.get(whole[0]), DataKey):
                raise ProfileNotFoundError
            circumstances = circumstances_of(documents[0], access.caller, access.grant, self._now())
            if not circumstances.own and not any(
                in_scope(each.scope, circumstances) for each in access.grant.erase.alternatives
            ):
                raise EraseNotAllowedError
            found, counts = await self._keeper.found(whole[0])
            disclosure = Disclosure(access.disclosure.request, access.grant)
            paths = {"profile.id", *(f"{kind}.id" for kind in counts)}
            rule = next((each.rule for each in access.grant.erase.alternatives), None)
            disclosure.add_fields(dict.fromkeys(paths, (Verdict.CLEAR, rule)))
            for key in keys.values():
                if isinstance(key, DataKey):
                    disclosure.add_subject(key.audit_reference)
            await self._log.append(disclosure.record(self._now()))
        return Preview(profiles=len(whole), records=counts, kept=summed(found), reached=REACHED)

    @property
    def retained(self) -> RetainedStore:
        """What is kept by law of those who were erased."""
        return self._retained

    async def whole(self, customer_id: str) -> list[str]:
        """Whom an erasure of this customer erases: the profile of the person, and all that was merged into it."""
        found = await self._store.find([customer_id], {MERGED_INTO: 1, PARTS: 1})
        if found and MERGED_INTO in found[0]:
            customer_id = found[0][MERGED_INTO]
            found = await self._store.find([customer_id], {PARTS: 1})
        return [customer_id, *(found[0].get(PARTS, ()) if found else ())]

    async def under_way(self, customer_id: str) -> bool:
        """Whether an erasure of this person, by any of their ids, was begun and is not finished."""
        return await self._vault.is_being_erased(await self.whole(customer_id))

    async def resume(self) -> int:
        """Finish every erasure that was begun and not ended; give how many."""
        return len(await self._vault.resume_shreds(self._on_step))

    async def expire(self) -> int:
        """Destroy the keys of what was kept by law, where its time is over; give how many.

        With them go records of erasures that came to nothing because a database was restored.
        """
        over = [*await self._retained.over(self._now()), *await self._keeper.settle()]
        return await self._shredded(over)

    async def destroy(self, ids: Sequence[str]) -> int:
        """Destroy keys that are not those of customers: of what was kept, or told; give how many there were."""
        return await self._shredded(ids)

    async def _shredded(self, ids: Sequence[str]) -> int:
        """Destroy these keys, many at once; give how many there were."""
        destroyed = 0
        for start in range(0, len(ids), _SHREDDED_AT_ONCE):
            # Most of an erasure is waiting for every process to follow; erased together they are waited for once.
            shredding = (self._vault.shred(each, self._on_step) for each in ids[start : start + _SHREDDED_AT_ONCE])
            ended = await asyncio.gather(*shredding, return_exceptions=True)
            for each in ended:
                if isinstance(each, BaseException) and not isinstance(each, CustomerKeyMissingError):
                    raise each
            destroyed += len(ended)
        return destroyed

    async def sweep(self) -> int:
        """Undo creations that died half way, of processes that are gone; give how many customers that were.

        Nobody ever saw such a customer, but identifiers are taken and sealed documents may be there, so the key is
        destroyed like that of anybody who is erased.
        """
        living = {process.process_id for process in await self._vault.fleet.processes()}
        latest = self._now() - _CREATION_TAKES
        dead = [
            creation["_id"]
            for creation in await self._store.begun()
            if creation["process"] not in living or creation["at"] <= latest
        ]
        undone = 0
        for start in range(0, len(dead), _SHREDDED_AT_ONCE):
            # Most of an erasure is waiting for every process to follow; erased together they are waited for once.
            ended = await asyncio.gather(
                *map(self._undo, dead[start : start + _SHREDDED_AT_ONCE]), return_exceptions=True
            )
            failed = [each for each in ended if isinstance(each, BaseException)]
            if failed:
                raise failed[0]
            undone += ended.count(True)
        return undone

    async def _undo(self, customer_id: str) -> bool:
        """Undo a creation, unless it turns out to have come to its end; say whether it was undone."""
        whole = bool(await self._store.find([customer_id], {"seq": 1}))
        if not whole:
            with contextlib.suppress(CustomerKeyMissingError):
                await self._vault.shred(customer_id, self._on_step)
            await self._vault.blind.release_all(customer_id)
            await self._remove([customer_id])
        await self._store.finish([customer_id])
        return not whole

    async def replay(self, unfinished: Collection[int] = ()) -> None:
        """Remove again what a restored backup brought back of erased customers: at every start, before serving.

        The log may come from a backup too, and not know of an erasure: what the key ring has lost counts as well.

        Args:
            unfinished: The leaves of erasures that are open, as known after the vault was opened: they are finished
                by `resume`, with their records.

        Raises:
            vault.KeyRingStaleError: The key ring is older than an erasure that the audit log knows; do not serve.
            vault.KeyStoreStaleError: The key store does not know one of the erased customers; do not serve.
        """
        erased = await self._vault.purge_returned(self.tombstones(unfinished))
        for start in range(0, len(erased), _AT_ONCE):
            await self._remove(erased[start : start + _AT_ONCE])

    async def tombstones(self, unfinished: Collection[int] = ()) -> AsyncIterator[Tombstone]:
        """Every erasure that the log knows, and every one that only the key ring shows; some may come twice.

        Args:
            unfinished: As for `replay`.
        """
        known = set(unfinished)
        async for each in self._log.tombstones():
            known.add(each.leaf)
            yield Tombstone(each.leaf, each.fingerprint)
        for first, last in self._vault.contents.rings[0].punctured_runs():
            for leaf in range(first, last + 1):
                if leaf not in known:
                    yield Tombstone(leaf, _UNKNOWN_FINGERPRINT)

    async def _on_first_steps(self, only: Collection[str] | None, step: ErasureStep, erasure: Erasure) -> None:
        """As `_on_step`, for whoever asks for an erasure now."""
        await self._on_step(step, erasure)
        if (
            step is ErasureStep.INTENT
            and only is not None
            and set(await self.whole(erasure.customer_id)) != set(only)
        ):
            raise ErasureWithdrawnError from ProfileConflictError()

    async def _on_step(self, step: ErasureStep, erasure: Erasure) -> None:
        if erasure.customer_id.startswith(RETENTION_ID) or self._is_notice(erasure):
            await self._on_step_of_retained(step, erasure)
        elif step is ErasureStep.INTENT:
            await self._last_free(erasure)
        elif step is ErasureStep.DRAINED:
            await self._keeper.keep(erasure)
            if self._telling is not None:
                await self._telling.prepare(erasure)
        elif step is ErasureStep.RELEASED:
            parts = await self._erase_parts(erasure.customer_id)
            await self._certifier.draft(erasure, parts)
            await self._remove([erasure.customer_id])
        elif step is ErasureStep.FINISHED:
            if erasure.reference:  # else it was under way before there were certificates
                await self._certifier.certified(erasure)
            await self._retained.keep(erasure.leaf)
            await self._certifier.certify(erasure)
            if self._telling is not None:
                await self._telling.release(erasure)

    async def _require_free(self, customer_ids: Sequence[str]) -> None:
        if self._free is not None:
            await self._free(customer_ids)

    async def _last_free(self, erasure: Erasure) -> None:
        """Return only if nothing holds an erasure that has just begun; else it is withdrawn, and raises what does.

        Everybody sees that it has begun: a hold from now on is told that it is late (`under_way`).
        """
        documents = await self._store.find([erasure.customer_id], {MERGED_INTO: 1, PARTS: 1})
        if not documents or MERGED_INTO in documents[0]:  # a part goes with the person, of whom nothing was held
            return
        try:
            await self._require_free([erasure.customer_id, *documents[0].get(PARTS, ())])
        except CustomersError as error:
            raise ErasureWithdrawnError from error

    def _is_notice(self, erasure: Erasure) -> bool:
        """Whether it is of what recipients were told, whose key is destroyed as soon as they were."""
        return self._telling is not None and self._telling.owns(erasure.customer_id)

    async def _on_step_of_retained(self, step: ErasureStep, erasure: Erasure) -> None:
        """Of what was kept by law until now: there is no person and no certificate any more."""
        if step is ErasureStep.RELEASED:
            await self._retained.remove([erasure.customer_id])
        elif step is ErasureStep.FINISHED:
            await self._certifier.record_end(erasure, msgspec.UNSET)

    async def _erase_parts(self, customer_id: str) -> list[Erasure]:
        """Erase what was merged into a customer who cannot be read any more, and whose erasure is not over before."""
        documents = await self._store.find([customer_id], {PARTS: 1})
        parts = documents[0].get(PARTS, ()) if documents else ()
        if not parts:
            return []
        # First, so that no part is taken out of a profile that goes as a whole.
        await self.forget([customer_id, *parts])
        erased: list[Erasure] = []
        for start in range(0, len(parts), _SHREDDED_AT_ONCE):
            # Most of an erasure is waiting for every process to follow; erased together they are waited for once.
            ended = await asyncio.gather(
                *(self._vault.shred(each, self._on_step) for each in parts[start : start + _SHREDDED_AT_ONCE]),
                return_exceptions=True,
            )
            failed = [
                each
                for each in ended
                if isinstance(each, BaseException) and not isinstance(each, CustomerKeyMissingError)
            ]
            if failed:
                raise failed[0]
            erased += [each for each in ended if isinstance(each, Erasure)]
        return erased

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove what there is of customers beside their documents: merges with others, cases to decide."""
        for forget in self._forget:
            await forget(customer_ids)

    async def _remove(self, customer_ids: Sequence[str]) -> None:
        await self.forget(customer_ids)
        await self._consents.remove(customer_ids)
        await self._retained.remove(customer_ids)  # what a backup brought back after its time
        await self._store.remove(customer_ids)
