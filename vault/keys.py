"""The key store: one record for each customer, holding the customer's data key wrapped by a leaf of the key ring.

Records are read with every request, never cached: what is cached is the unwrapping, under the very bytes that were
unwrapped. So a fence, an erasure or a rotation is felt by the next read.

What one who can write to the key store could do: withhold a customer's key, or put an older record back. They cannot
open one, move it to another customer, or bring back a key whose leaf was punctured.

The record is described in docs/formats/key-records.md; fields may not be renamed or removed.
"""

import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, ConnectionFailure, DuplicateKeyError

from vault.coalescing import Coalescer
from vault.data_key import DataKey
from vault.errors import (
    CustomerKeyExistsError,
    KeyRingForeignError,
    KeyStoreUnavailableError,
    LeafPuncturedError,
    LeaseLostError,
)
from vault.retry import retrying
from vault.ring import KeyRing

__all__ = ["CACHED_KEYS", "KeyState", "KeyStore"]

CACHED_KEYS = 16_384
_LEAVES_AT_ONCE = 64
_ATTEMPTS = 8
_DUPLICATE = 11_000
# What unwrapping takes; decoding the rest for every read would cost a fifth of the look-up.
_NEEDED = dict.fromkeys(("state", "wrapped", "generation", "leaf", "ring"), 1)


class KeyState(StrEnum):
    """How a key record stands. The values are stored; they may not be changed or reused."""

    ACTIVE = "active"
    ERASING = "erasing"
    """An erasure was begun: no new read gets the key."""
    ERASED = "erased"
    """The record is a tombstone: no key is left in it."""


class KeyStore:
    """The records, and the keys unwrapped from them."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        tenant: str,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        cached_keys: int = CACHED_KEYS,
    ) -> None:
        """Nothing is read yet; `use` gives it the rings.

        Args:
            database: The key store's own database.
            tenant: Whose keys they are; bound into every wrapping.
            now: The time, for `created_at`.
            random: Gives random bytes.
            cached_keys: How many unwrapped keys to keep at most.
        """
        self.records = database["data_keys"]
        self._control = database["control"]
        self._tenant = tenant
        self._now = now
        self._random = random
        self._most = cached_keys
        self._cache: OrderedDict[tuple[str, bytes], DataKey] = OrderedDict()
        self._rings: dict[bytes, KeyRing] = {}
        self._leaves: deque[int] = deque()
        self._asked = Coalescer(self._needed)

    async def prepare(self) -> None:
        """Create what is missing: indexes and the counter of leaves."""
        await self.records.create_index("leaf", unique=True)
        await self.records.create_index("ring")
        with contextlib.suppress(DuplicateKeyError):
            await self._control.insert_one({"_id": "leaves", "next": 0})

    def use(self, rings: Sequence[KeyRing]) -> None:
        """Wrap with the first of these rings and unwrap with any, from now on; every unwrapped key is forgotten."""
        self._rings = {ring.ring_id: ring for ring in rings}
        self._cache.clear()

    @property
    def cached(self) -> int:
        """How many unwrapped keys are held."""
        return len(self._cache)

    # ---- reading

    async def fetch(self, customer_ids: Collection[str]) -> dict[str, DataKey | KeyState]:
        """The keys of these customers in one query, however many they are; few share one with whoever else asks now.

        An active record gives the key; an erased one, or one whose leaf is punctured, `KeyState.ERASED`; one that
        is being erased `KeyState.ERASING`. Customers without a record are absent.

        Raises:
            KeyRingForeignError: A record was wrapped by a ring that this deployment does not hold (any more).
            EnvelopeError: A record was changed.
            KeyStoreUnavailableError: The key store does not answer.
        """
        with _answering():
            records = await self._asked.get(customer_ids)
        return {customer_id: self._key_of(record) for customer_id, record in records.items()}

    async def _needed(self, customer_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """What unwrapping takes of these customers' records. Opens none: a damaged one is its own asker's to hear of."""
        query = {"_id": {"$in": list(customer_ids)}}
        return {record["_id"]: record for record in await self.records.find(query, _NEEDED).to_list(None)}

    def _key_of(self, record: dict[str, Any]) -> DataKey | KeyState:
        if record["state"] != KeyState.ACTIVE:
            return KeyState(record["state"])
        try:
            return self._unwrapped(record)
        except LeafPuncturedError:
            # A backup brought the record back; the key is gone all the same.
            return KeyState.ERASED

    def _unwrapped(self, record: dict[str, Any]) -> DataKey:
        place = (record["_id"], record["wrapped"])
        key = self._cache.get(place)
        if key is not None:
            self._cache.move_to_end(place)
            return key
        key = self.unwrap(record)
        self._cache[place] = key
        if len(self._cache) > self._most:
            self._cache.popitem(last=False)
        return key

    def unwrap(self, record: dict[str, Any]) -> DataKey:
        """The key of a record that holds one, whatever its state; not cached.

        Raises:
            LeafPuncturedError: The key is gone.
            KeyRingForeignError: Its ring is not held.
            EnvelopeError: The record was changed.
        """
        ring = self._rings.get(bytes(record["ring"]))
        if ring is None:
            raise KeyRingForeignError("a key record was wrapped by another key ring than the present one")
        return DataKey.unwrap(
            record["wrapped"],
            ring.leaf_key(record["leaf"]),
            tenant=self._tenant,
            customer_id=record["_id"],
            generation=record["generation"],
            leaf=record["leaf"],
            ring_id=ring.ring_id,
            random=self._random,
        )

    # ---- creating

    async def create(self, customer_ids: Sequence[str]) -> dict[str, DataKey]:
        """New keys for customers that have none and never had: all of them, or none.

        Raises:
            CustomerKeyExistsError: One of them has a record already, be it a tombstone, or is named twice.
            LeaseLostError: No ring is held.
            KeyStoreUnavailableError: The key store does not answer; some may have been created.
        """
        if len(set(customer_ids)) != len(customer_ids):
            raise CustomerKeyExistsError("a customer was named twice")
        if not customer_ids:
            return {}
        with _answering():
            for _ in range(_ATTEMPTS):
                keys = await self._insert(customer_ids)
                if keys is not None:
                    return keys
        raise CustomerKeyExistsError("leaves of the key ring are taken that the counter calls free")

    async def _insert(self, customer_ids: Sequence[str]) -> dict[str, DataKey] | None:
        """The keys, inserted; None when it was a leaf that was taken, and not a customer."""
        ring = next(iter(self._rings.values()), None)
        if ring is None:
            raise LeaseLostError("this process holds no key ring")
        keys = [
            DataKey.fresh(tenant=self._tenant, customer_id=customer_id, leaf=leaf, random=self._random)
            for customer_id, leaf in zip(customer_ids, await self._free_leaves(len(customer_ids)), strict=True)
        ]
        try:
            await self.records.insert_many([self._record(key, ring) for key in keys])
        except BulkWriteError as error:
            if any(fault.get("code") != _DUPLICATE for fault in error.details.get("writeErrors", ())):
                raise
            # None of ours was given to anyone yet, so none has sealed anything.
            await self.records.delete_many(
                {"_id": {"$in": list(customer_ids)}, "leaf": {"$in": [key.leaf for key in keys]}}
            )
            if await self.records.find_one({"_id": {"$in": list(customer_ids)}}) is not None:
                raise CustomerKeyExistsError from None
            return None
        return {key.customer_id: key for key in keys}

    async def discard(self, customer_ids: Collection[str]) -> None:
        """Remove keys that nothing was ever sealed with; their leaves are not used again."""
        await self.records.delete_many({"_id": {"$in": list(customer_ids)}, "state": KeyState.ACTIVE.value})

    def _record(self, key: DataKey, ring: KeyRing) -> dict[str, Any]:
        return {
            "_id": key.customer_id,
            "generation": key.generation,
            "leaf": key.leaf,
            "wrapped": key.wrap(ring.leaf_key(key.leaf), ring_id=ring.ring_id),
            "ring": ring.ring_id,
            "state": KeyState.ACTIVE.value,
            "created_at": self._now(),
        }

    async def _free_leaves(self, count: int) -> list[int]:
        """Leaves that no other process was given, and that no ring has punctured, in ascending order."""
        free: list[int] = []
        while len(free) < count:
            while self._leaves and len(free) < count:
                leaf = self._leaves.popleft()
                # A restored backup may count leaves again that an erasure has punctured since.
                if not any(ring.is_punctured(leaf) for ring in self._rings.values()):
                    free.append(leaf)
            if len(free) < count:
                self._leaves.extend(await self._take_block(max(count - len(free), _LEAVES_AT_ONCE)))
        return free

    async def _take_block(self, size: int) -> range:
        while True:
            first = await self.leaves_taken()
            moved = {"$set": {"next": first + size}}
            answer = await retrying(partial(self._control.update_one, {"_id": "leaves", "next": first}, moved))
            if answer.matched_count:
                return range(first, first + size)

    async def leaves_taken(self) -> int:
        """How many leaves were given to processes so far; every leaf in use is below."""
        counter = await self._control.find_one({"_id": "leaves"})
        return int(counter["next"]) if counter else 0

    # ---- changing

    async def record(self, customer_id: str) -> dict[str, Any] | None:
        """The record of one customer as it is stored."""
        with _answering():
            return await self.records.find_one({"_id": customer_id})

    async def between(self, first: int, end: int) -> list[dict[str, Any]]:
        """The records of the leaves from `first` to before `end`."""
        return await self.records.find({"leaf": {"$gte": first, "$lt": end}}).to_list(None)

    async def of_leaves(self, leaves: Collection[int]) -> list[dict[str, Any]]:
        """The records of these leaves."""
        return await self.records.find({"leaf": {"$in": list(leaves)}}).to_list(None)

    async def known(self, customer_ids: Collection[str]) -> set[str]:
        """Those of these customers who have a record, whatever its state."""
        found = await self.records.find({"_id": {"$in": list(customer_ids)}}, {"_id": 1}).to_list(None)
        return {str(record["_id"]) for record in found}

    async def fence(self, customer_id: str) -> None:
        """Let no new read have the key. Does nothing where that, or more, was done."""
        await self.records.update_one(
            {"_id": customer_id, "state": KeyState.ACTIVE.value}, {"$set": {"state": KeyState.ERASING.value}}
        )

    async def bury(self, customer_id: str, *, leaf: int, generation: int, fingerprint: str | None) -> None:
        """Replace the record by a tombstone, which keeps the id from being used again."""
        tombstone = {
            "_id": customer_id,
            "generation": generation,
            "leaf": leaf,
            "fingerprint": fingerprint,
            "state": KeyState.ERASED.value,
            "erased_at": self._now(),
        }
        await self.records.replace_one({"_id": customer_id, "state": {"$ne": KeyState.ERASED.value}}, tombstone)

    async def bury_unknown(self, leaf: int, fingerprint: str | None) -> None:
        """Insert a tombstone for an erased customer whose id nobody knows any more, where the leaf has no record."""
        tombstone = {
            "_id": f"leaf:{leaf}",
            "generation": 1,
            "leaf": leaf,
            "fingerprint": fingerprint,
            "state": KeyState.ERASED.value,
            "erased_at": self._now(),
        }
        with contextlib.suppress(DuplicateKeyError):
            await self.records.insert_one(tombstone)

    async def rewrap(self, record: dict[str, Any], ring: KeyRing) -> bool:
        """Wrap a record's key by another ring; whether it was done.

        Compare-and-set on the wrapped bytes and the state: a record that an erasure or another runner reached
        meanwhile is left as it is.

        Raises:
            LeafPuncturedError: The key is gone from either ring.
        """
        key = self.unwrap(record)
        wrapped = key.wrap(ring.leaf_key(key.leaf), ring_id=ring.ring_id)
        answer = await retrying(
            lambda: self.records.update_one(
                {"_id": record["_id"], "wrapped": record["wrapped"], "state": KeyState.ACTIVE.value},
                {"$set": {"wrapped": wrapped, "ring": ring.ring_id}},
            )
        )
        return bool(answer.matched_count)

    async def any_wrapped_by(self, ring: KeyRing) -> bool:
        """Whether an active record is still wrapped by this ring."""
        found = await self.records.find_one({"ring": ring.ring_id, "state": KeyState.ACTIVE.value})
        return found is not None


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except ConnectionFailure as error:
        raise KeyStoreUnavailableError from error
