"""Brings the documents in line with a key store that was restored from before some customers existed.

Such a key store has no record of customers who came after it. Nobody can read them any more, and where one of them was
erased nobody can tell which: their identifiers would stay taken and their documents stay for ever. So everything of
customers without a key record is removed, and the erased leaves get tombstones.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from customers.consent.store import ConsentStore
from customers.profiles.store import Collection, CustomerStore
from customers.rights.erase import Eraser
from vault import Vault

_AT_ONCE = 500
# What names its customer in `customer_id`. Profiles come first: how many they are is known.
_OWNED = (Collection.ORDERS, Collection.TICKETS, "consent_ledger", "blind_index")
# The first characters of the random part of an id, in order: one window of a collection between each two.
_BOUNDS = tuple(f"cus_{character}" for character in "34567abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What there is to remove, or was removed."""

    profiles: int
    """How many profiles there are."""
    without_key: int
    """How many of them have no key record."""
    others: int
    """How many customers without a profile and without a key record have something left."""
    tombstones: int
    """How many erasures the key store does not know."""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.without_key or self.others or self.tombstones)

    @property
    def share(self) -> float:
        """Which part of the profiles has no key record."""
        return self.without_key / self.profiles if self.profiles else 0.0


Progress = Callable[[int, int | None], None]
"""Called with how many steps are done and how many there are."""


class Reconciler:
    """Counts, and then removes. For a deployment of which no other process runs."""

    def __init__(self, main: AsyncDatabase[dict[str, Any]], vault: Vault, eraser: Eraser) -> None:
        self._main = main
        self._store = CustomerStore(main)
        self._consents = ConsentStore(main)
        self._vault = vault
        self._eraser = eraser

    async def count(self, progress: Progress) -> Reconciliation:
        """What there is to remove; nothing is changed.

        Raises:
            vault.KeyRingStaleError: The key ring is older than an erasure that the access log knows, or the log is
                another deployment's.
        """
        return await self._all(progress, remove=False)

    async def remove(self, progress: Progress) -> Reconciliation:
        """Remove everything of customers without a key record, and give the erased leaves tombstones.

        Can be repeated; one that died is finished by the next. The next start passes then.

        Raises:
            vault.KeyRingStaleError: As `count`.
        """
        return await self._all(progress, remove=True)

    async def _all(self, progress: Progress, *, remove: bool) -> Reconciliation:
        unknown = await self._vault.unknown_tombstones(self._eraser.tombstones())
        last = await self._store.last_sequence()
        steps = -(-last // _AT_ONCE) + len(_OWNED) * (len(_BOUNDS) + 1)
        profiles = without_key = done = 0
        async for batch in self._profiles():
            gone = await self._vault.without_key(batch)
            profiles += len(batch)
            without_key += len(gone)
            if remove:
                await self._remove(gone)
            done += 1
            progress(done, steps)
        others: set[str] = set()
        done = steps - len(_OWNED) * (len(_BOUNDS) + 1)
        for name in _OWNED:
            for window in _windows():
                gone = await self._left(name, window)
                others.update(gone)
                if remove:
                    await self._remove(gone)
                done += 1
                progress(done, steps)
        if remove:
            # Last: until then a start is refused, and this is not forgotten.
            await self._vault.bury_unknown(unknown)
        return Reconciliation(profiles, without_key, len(others), len(unknown))

    async def _profiles(self) -> AsyncIterator[list[str]]:
        batch: list[str] = []
        async for customer_id in self._store.all_ids():
            batch.append(customer_id)
            if len(batch) >= _AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _left(self, name: str, window: dict[str, Any]) -> list[str]:
        """The customers without profile and key record of whom one window of a collection has something."""
        found = await self._main[name].find(window, {"customer_id": 1}).to_list(None)
        owners = sorted({str(document["customer_id"]) for document in found})
        left: list[str] = []
        for start in range(0, len(owners), _AT_ONCE):
            gone = await self._vault.without_key(owners[start : start + _AT_ONCE])
            profiles = {document["_id"] for document in await self._store.find(gone, {"_id": 1})}
            left += [customer_id for customer_id in gone if customer_id not in profiles]
        return left

    async def _remove(self, customer_ids: Sequence[str]) -> None:
        for start in range(0, len(customer_ids), _AT_ONCE):
            chunk = customer_ids[start : start + _AT_ONCE]
            await self._vault.blind.release_all(*chunk)
            await self._eraser.forget(chunk)
            await self._consents.remove(chunk)
            await self._store.remove(chunk)


def _windows() -> list[dict[str, Any]]:
    """Queries that part a collection by its customers: each is an index range with few enough documents to hold."""
    inner = [{"$gte": low, "$lt": high} for low, high in pairwise(_BOUNDS)]
    return [{"customer_id": window} for window in ({"$lt": _BOUNDS[0]}, *inner, {"$gte": _BOUNDS[-1]})]
