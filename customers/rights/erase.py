"""Erases a customer: shreds their keys, then removes what is left of them.

The record of the intention is durable before the first step and the record of the end after the last. Every step can
be repeated, so an erasure that died is finished at the next start (`resume`), and what a restored backup brought back
is removed again (`replay`).
"""

from collections.abc import Callable
from datetime import datetime

from audit import AccessLog, Erasure, Kind, Outcome, Record, timestamp
from customers.access import Access, in_scope
from customers.consent.store import ConsentStore
from customers.disclosure import Disclosure
from customers.errors import EraseNotAllowedError, ProfileNotFoundError
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from policies import Verdict
from vault import DataKey, Shredding, Tombstone, Vault


class Eraser:
    """Erasure of whole customers."""

    def __init__(
        self,
        store: CustomerStore,
        consents: ConsentStore,
        vault: Vault,
        log: AccessLog,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._consents = consents
        self._vault = vault
        self._log = log
        self._now = now

    async def erase(self, access: Access, customer_id: str) -> Shredding:
        """Erase a customer. When this returns, no process can decrypt anything of them.

        Raises:
            EraseNotAllowedError: The caller may not; nothing was erased.
            ProfileNotFoundError: There is no such customer, or they are erased already.
            audit.AuditUnavailableError: The intention could not be recorded; nothing was erased.
            vault.ShredInterruptedError: It was begun and will be finished at the next start.
        """
        if not access.grant.erase:
            raise EraseNotAllowedError
        documents = await self._store.find([customer_id])
        key = (await self._vault.keys([customer_id])).get(customer_id)
        if not documents or not isinstance(key, DataKey):
            raise ProfileNotFoundError
        circumstances = circumstances_of(documents[0], access.caller, access.grant)
        if not any(in_scope(each.scope, circumstances) for each in access.grant.erase.alternatives):
            raise EraseNotAllowedError
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.ERASURE_INTENT)
        disclosure.add_fields({access.grant.erase.path: (Verdict.CLEAR, access.grant.erase.alternatives[0].rule)})
        disclosure.add_subject(key.audit_reference)
        await self._log.append(disclosure.record(self._now()))
        shredding = await self._vault.shred(customer_id)
        await self._finish(shredding)
        return shredding

    async def resume(self) -> int:
        """Finish every erasure that was begun and not ended; give how many."""
        resumed = await self._vault.resume_shreds()
        for shredding in resumed:
            await self._finish(shredding)
        return len(resumed)

    async def replay(self) -> int:
        """Remove again what a restored backup brought back of erased customers; give how many customers that was.

        Raises:
            vault.KeyRingStaleError: The key ring is older than an erasure that the audit log knows; do not serve.
        """
        tombstones = [
            Tombstone(leaf=each.leaf, fingerprint=each.fingerprint) async for each in self._log.tombstones()
        ]
        returned = await self._vault.purge_returned(tombstones)
        for customer_id in returned:
            await self._remove(customer_id)
        return len(returned)

    async def _remove(self, customer_id: str) -> None:
        await self._consents.remove(customer_id)
        await self._store.remove(customer_id)

    async def _finish(self, shredding: Shredding) -> None:
        await self._remove(shredding.customer_id)
        await self._log.append(
            Record(
                kind=Kind.ERASURE_DONE,
                time=timestamp(self._now()),
                actor="confide",
                roles=[],
                outcome=Outcome.ALLOWED,
                erasure=Erasure(leaf=shredding.leaf, fingerprint=shredding.fingerprint),
            )
        )
        await self._vault.settle(shredding.customer_id)
