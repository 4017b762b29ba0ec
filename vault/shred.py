"""Erasure of one customer's key, step by step, so that it comes to its end whatever happens in between.

Each step can be done twice without harm, and is recorded once it was done; whoever finds an erasure half done goes on
from there. The order is what makes it true that *when it returns, no process can decrypt*:

1. the intent is written, with the key's fingerprint, which nobody could compute later; until this is recorded as done,
   whoever called may withdraw it, and then nothing has happened;
2. the key record is fenced: no new read gets the key;
3. every read that was in flight in any process has ended;
4. the leaf is punctured in the ring file: from here on there is no way back;
5. every process has loaded the new ring and forgotten its keys, or has lost its lease;
6. the key record gives way to a tombstone;
7. the blind index rows are gone;
8. the erasure is closed.
"""

import dataclasses
from base64 import b32encode
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from vault.blind_index import BlindIndex
from vault.errors import (
    CustomerKeyMissingError,
    ErasureWithdrawnError,
    KeyRingForeignError,
    KeyRingStaleError,
    KeyStoreStaleError,
    LeafPuncturedError,
    ShredInterruptedError,
)
from vault.fleet import Epoch, Fleet
from vault.keys import KeyState, KeyStore
from vault.retry import retrying

__all__ = ["Erasure", "ErasureStep", "OnStep", "Shredder", "Tombstone"]

_TOMBSTONES_AT_ONCE = 500
_REFERENCE_BYTES = 17
_REFERENCE_LENGTH = 26  # of base32: 130 bits, as in a customer's id


class ErasureStep(StrEnum):
    """What was done, in this order. The values are stored; they may not be changed or reordered."""

    INTENT = "intent"
    FENCED = "fenced"
    DRAINED = "drained"
    PUNCTURED = "punctured"
    FOLLOWED = "followed"
    TOMBSTONED = "tombstoned"
    RELEASED = "released"
    FINISHED = "finished"


_ORDER = tuple(ErasureStep)


@dataclasses.dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure, begun or finished: what a record of it and a certificate need to say."""

    customer_id: str
    leaf: int
    generation: int
    fingerprints: tuple[str, ...]
    """Of each data key that was destroyed; none where the key was gone before its fingerprint was taken."""
    started_at: datetime
    done: ErasureStep | None
    """The last step that was recorded as done."""
    ring_version: int | None = None
    """The version of the ring file from which the leaf is gone."""
    finished_at: datetime | None = None
    reference: str = ""
    """26 random characters that name this erasure, and neither key nor customer; none where it is from before them."""
    times: Mapping[ErasureStep, datetime] = dataclasses.field(default_factory=dict)
    """When each step before this one was recorded as done."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tombstone:
    """What the audit log keeps of a finished erasure."""

    leaf: int
    fingerprint: str


OnStep = Callable[[ErasureStep, Erasure], Awaitable[None]]
"""Called when a step's own work is done and before that is recorded: at least once for each step, in order."""


async def _no_call(_step: ErasureStep, _erasure: Erasure) -> None:
    pass


class Shredder:
    """Begins erasures, and brings those that were begun to their end."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        keys: KeyStore,
        blind: BlindIndex,
        fleet: Fleet,
        puncture: Callable[[int], Awaitable[int]],
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        """Nothing is read yet.

        Args:
            database: The key store's database; intents live in `erasures`.
            keys: The key records.
            blind: The blind index.
            fleet: The processes that must follow.
            puncture: Punctures a leaf in the ring file, durably, and gives the file's version.
            now: The time, for the record.
            random: Gives random bytes.
        """
        self._erasures = database["erasures"]
        self._keys = keys
        self._blind = blind
        self._fleet = fleet
        self._puncture = puncture
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._erasures.create_index("open")

    async def shred(self, customer_id: str, on_step: OnStep | None = None) -> Erasure:
        """Destroy this customer's key. When it returns, no process can decrypt, and no old copy can be opened.

        Erasing again what is erased gives the same erasure and calls nothing. Not to be called inside `reading`:
        it would wait for itself.

        Args:
            customer_id: Whose.
            on_step: Called at each step, to write audit records and remove documents; if it raises, the erasure
                stays where it is and is resumed later. At `INTENT`, when nothing is done yet, it may raise
                ErasureWithdrawnError: then there is no erasure any more, unless another process went on with it.

        Raises:
            ErasureWithdrawnError: It was withdrawn; nothing was destroyed.
            CustomerKeyMissingError: There never was a key for this customer.
            LeaseLostError: This process holds no lease.
            VaultError: What kept a step from being done; shredding again goes on from there.
        """
        erasure = await self._find(customer_id) or await self._begin(customer_id)
        if erasure.done is ErasureStep.FINISHED:
            return erasure
        return await self._run(erasure, on_step or _no_call)

    async def resume(self, on_step: OnStep | None = None) -> list[Erasure]:
        """Bring every erasure that was begun to its end, and return them.

        Raises:
            ShredInterruptedError: Some stay open; the others were finished.
        """
        finished, stopped = [], []
        for document in await self._erasures.find({"open": True}).to_list(None):
            try:
                finished.append(await self._run(_erasure_of(document), on_step or _no_call))
            except ErasureWithdrawnError:
                continue
            except Exception as error:  # noqa: BLE001 - one that cannot go on must not keep the others
                stopped.append(error)
        if stopped:
            raise ShredInterruptedError from stopped[0]
        return finished

    async def open_erasures(self) -> int:
        """How many erasures were begun and not finished."""
        return len(await self._erasures.find({"open": True}).to_list(None))

    async def leaves_under_way(self) -> set[int]:
        """The leaves of erasures that were begun and not finished."""
        return {each["leaf"] for each in await self._erasures.find({"open": True}, {"leaf": 1}).to_list(None)}

    async def under_way(self, customer_ids: Sequence[str]) -> bool:
        """Whether an erasure of one of these customers was begun and is not finished."""
        wanted = {"_id": {"$in": list(customer_ids)}, "open": True}
        return await self._erasures.find_one(wanted, {"_id": 1}) is not None

    # ---- the steps

    async def _find(self, customer_id: str) -> Erasure | None:
        document = await self._erasures.find_one({"_id": customer_id})
        return None if document is None else _erasure_of(document)

    async def _begin(self, customer_id: str) -> Erasure:
        async with self._fleet.reading():
            record = await self._keys.record(customer_id)
            if record is None:
                raise CustomerKeyMissingError
            if record["state"] == KeyState.ERASED:
                return _erasure_of_tombstone(record)
            try:
                fingerprints = [self._keys.unwrap(record).fingerprint]
            except (LeafPuncturedError, KeyRingForeignError):
                fingerprints = []  # a backup brought the record back after its erasure, or its ring's rotation
        document = {
            "_id": customer_id,
            "leaf": record["leaf"],
            "generation": record["generation"],
            "fingerprints": fingerprints,
            "started_at": self._moment(),
            "done": None,
            "open": True,
            "reference": b32encode(self._random(_REFERENCE_BYTES)).decode().lower()[:_REFERENCE_LENGTH],
        }
        try:
            await self._erasures.insert_one(document)
        except DuplicateKeyError:
            begun = await self._find(customer_id)
            if begun is not None:
                return begun
            raise
        return _erasure_of(document)

    async def _run(self, erasure: Erasure, on_step: OnStep) -> Erasure:
        work: dict[ErasureStep, Callable[[Erasure], Awaitable[Erasure]]] = {
            ErasureStep.INTENT: _nothing,
            ErasureStep.FENCED: self._fence,
            ErasureStep.DRAINED: self._drain,
            ErasureStep.PUNCTURED: self._destroy,
            ErasureStep.FOLLOWED: self._follow,
            ErasureStep.TOMBSTONED: self._bury,
            ErasureStep.RELEASED: self._release,
            ErasureStep.FINISHED: self._finish,
        }
        reached = 0 if erasure.done is None else _ORDER.index(erasure.done) + 1
        for step in _ORDER[reached:]:
            erasure = await work[step](erasure)
            try:
                await on_step(step, erasure)
            except ErasureWithdrawnError:
                if step is not ErasureStep.INTENT or await self._withdrawn(erasure):
                    raise
            times = {**erasure.times, step: self._moment()}
            erasure = dataclasses.replace(erasure, done=step, times=times)
            await self._record(erasure)
        return erasure

    async def _withdrawn(self, erasure: Erasure) -> bool:
        """Withdraw an erasure of which nothing is done; say whether it is gone: else another process went on with it."""
        mine = {"_id": erasure.customer_id, "open": True, "done": None, "reference": erasure.reference}
        await retrying(partial(self._erasures.delete_one, mine))
        return not await self._is_there(erasure)

    async def _is_there(self, erasure: Erasure) -> bool:
        """Whether this very erasure, and not another of the same customer, is written down."""
        begun = await self._find(erasure.customer_id)
        return begun is not None and begun.reference == erasure.reference

    async def _fence(self, erasure: Erasure) -> Erasure:
        await self._keys.fence(erasure.customer_id)
        return erasure

    async def _drain(self, erasure: Erasure) -> Erasure:
        await self._fleet.advance(Epoch.FENCE)
        return erasure

    async def _destroy(self, erasure: Erasure) -> Erasure:
        return dataclasses.replace(erasure, ring_version=await self._puncture(erasure.leaf))

    async def _follow(self, erasure: Erasure) -> Erasure:
        await self._fleet.advance(Epoch.RING)
        return erasure

    async def _bury(self, erasure: Erasure) -> Erasure:
        await self._keys.bury(
            erasure.customer_id,
            leaf=erasure.leaf,
            generation=erasure.generation,
            fingerprint=next(iter(erasure.fingerprints), None),
        )
        return erasure

    async def _release(self, erasure: Erasure) -> Erasure:
        await self._blind.release_all(erasure.customer_id)
        return erasure

    async def _finish(self, erasure: Erasure) -> Erasure:
        return dataclasses.replace(erasure, finished_at=self._moment())

    def _moment(self) -> datetime:
        """Now, to the millisecond: what the store gives back of it."""
        now = self._now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def _record(self, erasure: Erasure) -> None:
        done = erasure.done
        changes: dict[str, Any] = {"done": done, "ring_version": erasure.ring_version, "times": dict(erasure.times)}
        update: dict[str, Any] = {"$set": changes}
        if done is ErasureStep.FINISHED:
            changes["finished_at"] = erasure.finished_at
            update["$unset"] = {"open": ""}
        which: dict[str, Any] = {"_id": erasure.customer_id, "open": True}
        if done is ErasureStep.INTENT and erasure.reference:
            which["reference"] = erasure.reference
        changed = await retrying(partial(self._erasures.update_one, which, update))
        if done is ErasureStep.INTENT and not changed.matched_count and not await self._is_there(erasure):
            raise ErasureWithdrawnError  # by another process, which found what holds it

    # ---- what a backup brings back

    async def purge_returned(
        self, tombstones: AsyncIterable[Tombstone], is_punctured: Callable[[int], bool]
    ) -> list[str]:
        """Remove what a restored backup brought back of customers that the audit log knows as erased.

        Each database can be restored without the others, so the blind index rows of every one of them are removed,
        and the ids of all are given, whether or not their key records had come back.

        Args:
            tombstones: From the audit log, of erasures that were done.
            is_punctured: Whether the ring can no longer derive a leaf.

        Returns:
            The ids of the erased customers, for their documents to be removed wherever they are.

        Raises:
            KeyRingStaleError: The ring still derives a leaf that an erasure punctured: it is an old copy.
            KeyStoreStaleError: A leaf has no record at all, so whose it was is not known: the key store is from
                before that customer was created.
        """
        returned: list[str] = []
        async for batch in _batches(tombstones, is_punctured):
            returned += await self._purge(batch)
        return returned

    async def unknown(
        self, tombstones: AsyncIterable[Tombstone], is_punctured: Callable[[int], bool]
    ) -> list[Tombstone]:
        """The tombstones, once each, whose leaf has no record at all.

        Raises:
            KeyRingStaleError: As `purge_returned`.
        """
        found: dict[int, Tombstone] = {}
        async for batch in _batches(tombstones, is_punctured):
            found |= {each.leaf: each for each in batch}
            for record in await self._keys.of_leaves([each.leaf for each in batch]):
                del found[record["leaf"]]
        return list(found.values())

    async def _purge(self, tombstones: Sequence[Tombstone]) -> list[str]:
        known = {tombstone.leaf: tombstone for tombstone in tombstones}
        records = await self._keys.of_leaves(list(known))
        if len(records) < len(known):
            raise KeyStoreStaleError
        erased = [str(record["_id"]) for record in records]
        await self._blind.release_all(*erased)
        for record in records:
            if record["state"] != KeyState.ERASED:
                await self._keys.bury(
                    record["_id"],
                    leaf=record["leaf"],
                    generation=record["generation"],
                    fingerprint=known[record["leaf"]].fingerprint,
                )
        return erased


async def _batches(
    tombstones: AsyncIterable[Tombstone], is_punctured: Callable[[int], bool]
) -> AsyncIterator[list[Tombstone]]:
    """The tombstones, some at once; stops at one whose leaf is not punctured."""
    batch: list[Tombstone] = []
    async for tombstone in tombstones:
        if not is_punctured(tombstone.leaf):
            raise KeyRingStaleError("the key ring can still derive the key of a customer who was erased")
        batch.append(tombstone)
        if len(batch) >= _TOMBSTONES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _nothing(erasure: Erasure) -> Erasure:
    return erasure


def _erasure_of(document: dict[str, Any]) -> Erasure:
    return Erasure(
        customer_id=document["_id"],
        leaf=document["leaf"],
        generation=document["generation"],
        fingerprints=tuple(document["fingerprints"]),
        started_at=document["started_at"],
        done=None if document["done"] is None else ErasureStep(document["done"]),
        ring_version=document.get("ring_version"),
        finished_at=document.get("finished_at"),
        reference=document.get("reference", ""),
        times={ErasureStep(step): at for step, at in document.get("times", {}).items()},
    )


def _erasure_of_tombstone(record: dict[str, Any]) -> Erasure:
    return Erasure(
        customer_id=record["_id"],
        leaf=record["leaf"],
        generation=record["generation"],
        fingerprints=() if record["fingerprint"] is None else (record["fingerprint"],),
        started_at=record["erased_at"],
        done=ErasureStep.FINISHED,
        finished_at=record["erased_at"],
    )
