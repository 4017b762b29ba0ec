"""Rotation of what wraps the data keys and of what the blind indexes are made with, while everything is in use.

Each rotation can be stopped at any point, by a crash too, and goes on where it was when it is called again. While it
runs both the new and the old are usable, in every process; when it is done the old one is gone from the ring file.
Everything that a backup of the databases holds under the old one is unreadable from then on: back up afterwards.
"""

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError

from vault.blind_index import BlindIndex
from vault.envelope import KEY_SIZE
from vault.errors import LeafPuncturedError, RotationInProgressError, RotationInterruptedError
from vault.fleet import Epoch, Fleet
from vault.keys import KeyState, KeyStore
from vault.ring import KeyRing
from vault.ring_file import RingContents

__all__ = ["IndexEntries", "Progress", "Rotation", "Rotator"]

_LEAVES_AT_ONCE = 256
_WRITES_AT_ONCE = 32

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is: leaves of the ring, or customers."""
IndexEntries = AsyncIterator[tuple[str, Sequence[tuple[str, str]]]]
"""For every customer the id and all identifiers, each with the name of its index and its value in clear."""


class Rotation(StrEnum):
    """The rotations that take time. The values are stored; they may not be changed or reused."""

    RING = "ring_rotation"
    INDEX = "index_rotation"


class Holder(Protocol):
    """Who holds the ring file's contents and may change them."""

    @property
    def contents(self) -> RingContents:
        """What the file holds, as far as this process knows."""
        ...

    async def change(self, change: Callable[[RingContents], RingContents]) -> RingContents:
        """Change the file and use it as it is then."""
        ...


class Rotator:
    """Rotates the ring and the index keys."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        holder: Holder,
        keys: KeyStore,
        blind: BlindIndex,
        fleet: Fleet,
        random: Callable[[int], bytes],
    ) -> None:
        """Nothing is read yet.

        Args:
            database: The key store's database; who rotates what stands in `control`.
            holder: The ring file.
            keys: The key records.
            blind: The blind index.
            fleet: The processes that must follow.
            random: Gives random bytes.
        """
        self._control = database["control"]
        self._holder = holder
        self._keys = keys
        self._blind = blind
        self._fleet = fleet
        self._random = random

    async def running(self) -> list[Rotation]:
        """The rotations that were begun and not finished."""
        return [one for one in Rotation if await self._control.find_one({"_id": one}) is not None]

    # ---- the ring

    async def rotate_ring(self, progress: Progress | None = None) -> None:
        """Wrap every data key by a new ring, then give up the old one.

        Customers erased so far, and those erased meanwhile, are punctured in the new ring too.

        Raises:
            RotationInProgressError: A process that is alive is at it.
            RotationInterruptedError: Records are left under the old ring; rotating again goes on.
        """
        async with self._running(Rotation.RING) as state:
            contents = await self._holder.change(lambda now: self._with_new_ring(now, state.get("ring")))
            new = contents.rings[0]
            if state.get("ring") != new.ring_id:
                state["next_leaf"] = 0
                await self._note(Rotation.RING, ring=new.ring_id, next_leaf=0)
            for old in contents.rings[1:]:
                await self._leave(old, state["next_leaf"], progress)
            await self._holder.change(lambda now: dataclasses.replace(now, rings=now.rings[:1]))
            await self._fleet.advance(Epoch.RING)

    def _with_new_ring(self, contents: RingContents, begun: bytes | None) -> RingContents:
        if len(contents.rings) > 1 or contents.rings[0].ring_id == begun:
            return contents
        (old,) = contents.rings
        punctured = (leaf for first, last in old.punctured_runs() for leaf in range(first, last + 1))
        return dataclasses.replace(contents, rings=(KeyRing.fresh(self._random).puncture_many(punctured), old))

    async def _leave(self, old: KeyRing, first: int, progress: Progress | None) -> None:
        # Whoever began to create a key before it knew of the new ring has ended when the fence is passed.
        await self._everybody_follows()
        total = await self._keys.leaves_taken()
        await self._rewrap_all(first, total, progress)
        if await self._keys.any_wrapped_by(old):
            await self._rewrap_all(0, total, None)  # a few were passed over: they were changing at that moment
        if await self._keys.any_wrapped_by(old):
            raise RotationInterruptedError

    async def _rewrap_all(self, first: int, total: int, progress: Progress | None) -> None:
        for start in range(first, total, _LEAVES_AT_ONCE):
            end = min(start + _LEAVES_AT_ONCE, total)
            # An erasure waits for the batch that is under way, and the next batch knows of it.
            async with self._fleet.reading():
                await self._rewrap(start, end)
            await self._note(Rotation.RING, next_leaf=end)
            if progress is not None:
                progress(end, total)

    async def _rewrap(self, start: int, end: int) -> None:
        new = self._holder.contents.rings[0]
        due = [
            record
            for record in await self._keys.between(start, end)
            if record["state"] == KeyState.ACTIVE and bytes(record["ring"]) != new.ring_id
        ]
        for at in range(0, len(due), _WRITES_AT_ONCE):
            await asyncio.gather(*map(self._rewrap_one, due[at : at + _WRITES_AT_ONCE]))

    async def _rewrap_one(self, record: dict[str, Any]) -> None:
        # Punctured: erased meanwhile, and there is nothing left to wrap.
        with contextlib.suppress(LeafPuncturedError):
            await self._keys.rewrap(record, self._holder.contents.rings[0])

    # ---- the index keys

    async def rotate_index(self, entries: IndexEntries, *, total: int = 0, progress: Progress | None = None) -> None:
        """Compute every blind index row anew under a new epoch's key, then give up the old epochs.

        Args:
            entries: Every customer with all identifiers. Called again, the rotation needs all of them again.
            total: How many customers there are, for `progress`.
            progress: Called after each customer.

        Raises:
            RotationInProgressError: A process that is alive is at it.
            RotationInterruptedError: Rows are left whose identifier was not among `entries`; both epochs stay.
        """
        async with self._running(Rotation.INDEX) as state:
            contents = await self._holder.change(lambda now: self._with_new_epoch(now, state.get("epoch")))
            epoch = max(contents.index_keys)
            await self._note(Rotation.INDEX, epoch=epoch)
            if len(contents.index_keys) > 1:
                await self._everybody_follows()
                await self._move_all(entries, total, progress)
                await self._holder.change(lambda now: _only_epoch(now, epoch))
            await self._everybody_follows()
            await self._blind.drop_before(epoch)

    def _with_new_epoch(self, contents: RingContents, begun: int | None) -> RingContents:
        newest = max(contents.index_keys)
        if len(contents.index_keys) > 1 or newest == begun:
            return contents
        index_keys = {**contents.index_keys, newest + 1: self._random(KEY_SIZE)}
        return dataclasses.replace(contents, index_keys=index_keys)

    async def _move_all(self, entries: IndexEntries, total: int, progress: Progress | None) -> None:
        await self._blind.forget_pending()
        done = 0
        async for customer_id, identifiers in entries:
            for index, value in identifiers:
                await self._blind.move(customer_id, index, value)
            done += 1
            if progress is not None:
                progress(done, max(total, done))
        if await self._blind.any_left_behind():
            raise RotationInterruptedError

    # ---- both

    async def _everybody_follows(self) -> None:
        await self._fleet.advance(Epoch.RING)
        await self._fleet.advance(Epoch.FENCE)

    async def _note(self, rotation: Rotation, **facts: Any) -> None:
        await self._control.update_one({"_id": rotation}, {"$set": facts})

    @contextlib.asynccontextmanager
    async def _running(self, rotation: Rotation) -> AsyncIterator[dict[str, Any]]:
        """Be the one that runs this rotation; gives what is known of it, and forgets it when the block ends well."""
        runner = f"{self._fleet.process_id}/{uuid.uuid4().hex}"
        state = await self._take(rotation, runner)
        try:
            yield state
        except BaseException:
            with contextlib.suppress(PyMongoError):
                await self._control.update_one({"_id": rotation, "runner": runner}, {"$set": {"runner": None}})
            raise
        await self._control.delete_one({"_id": rotation, "runner": runner})

    async def _take(self, rotation: Rotation, runner: str) -> dict[str, Any]:
        try:
            await self._control.insert_one({"_id": rotation.value, "runner": runner})
        except DuplicateKeyError:
            state = await self._control.find_one({"_id": rotation}) or {"runner": runner}
            alive = {process.process_id for process in await self._fleet.processes()}
            if state["runner"] is not None and state["runner"].partition("/")[0] in alive:
                raise RotationInProgressError from None
            mine = {"$set": {"runner": runner}}
            taken = await self._control.update_one({"_id": rotation, "runner": state["runner"]}, mine)
            if not taken.matched_count:
                raise RotationInProgressError from None
            return state
        return {}


def _only_epoch(contents: RingContents, epoch: int) -> RingContents:
    return dataclasses.replace(contents, index_keys={epoch: contents.index_keys[epoch]})
