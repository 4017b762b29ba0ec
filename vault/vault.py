"""The vault: keys, erasure, blind indexes and rotation over two databases and one file."""

import contextlib
import os
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pymongo.asynchronous.database import AsyncDatabase

from vault.blind_index import BlindIndex
from vault.data_key import DataKey
from vault.digest import DigestKey
from vault.envelope import TokenKey
from vault.errors import LeafPuncturedError, LeaseLostError
from vault.fleet import Epoch, Fleet, boot_seconds
from vault.held_ring import HeldRing
from vault.keys import CACHED_KEYS, KeyState, KeyStore
from vault.normalise import normalise
from vault.ring_file import RingContents, RingFile
from vault.root_keys import RootKey
from vault.rotation import IndexEntries, Progress, Rotator
from vault.shred import Erasure, OnStep, Shredder, Tombstone
from vault.status import RingStatus, VaultStatus
from vault.tokens import BlindTokens

__all__ = ["Vault"]


class Vault:
    """Everything that has to do with keys, for one process.

    `open` reads, `start` joins the processes that may read, `stop` leaves them. A vault whose `fleet.lost` is set
    refuses for ever; start anew with a new one.
    """

    def __init__(
        self,
        main: AsyncDatabase[dict[str, Any]],
        keys: AsyncDatabase[dict[str, Any]],
        *,
        ring_path: Path,
        root_keys: Sequence[RootKey],
        tenant: str = "main",
        region: str | None = None,
        now: Callable[[], datetime],
        random: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = boot_seconds,
        lease_seconds: float = 5.0,
        poll_seconds: float = 0.2,
        read_seconds: float = 10.0,
        cached_keys: int = CACHED_KEYS,
    ) -> None:
        """Wire the parts; nothing is read yet.

        Args:
            main: The database of the blind index.
            keys: The key store's database.
            ring_path: The key ring file.
            root_keys: What the file may be sealed under; the first seals it anew.
            tenant: Bound into every ciphertext; never to be changed.
            region: The country (ISO 3166-1 alpha-2) of telephone numbers written without one.
            now: The time.
            random: Gives random bytes.
            clock: As for `Fleet`.
            lease_seconds: As for `Fleet`.
            poll_seconds: As for `Fleet`.
            read_seconds: As for `Fleet`.
            cached_keys: How many unwrapped keys to keep at most.
        """
        self._tenant = tenant
        self._region = region
        self._random = random
        self._file = RingFile(ring_path, root_keys, random=random)
        self._tokens: TokenKey | None = None
        self._digests: DigestKey | None = None
        self.fleet = Fleet(
            keys,
            now=now,
            clock=clock,
            lease_seconds=lease_seconds,
            poll_seconds=poll_seconds,
            read_seconds=read_seconds,
        )
        self._keys = KeyStore(keys, tenant=tenant, now=now, random=random, cached_keys=cached_keys)
        self.blind = BlindIndex(main, now=now, check_reading=self.fleet.check_reading, random=random)
        self._ring = HeldRing(
            self._file,
            keys["meta"],
            leaves_taken=self._keys.leaves_taken,
            lost=self.fleet.lost.is_set,
            hold=self._hold,
            random=random,
        )
        self._shredder = Shredder(
            keys,
            keys=self._keys,
            blind=self.blind,
            fleet=self.fleet,
            puncture=self._ring.puncture,
            now=now,
            random=random,
        )
        self._rotator = Rotator(
            keys, holder=self._ring, keys=self._keys, blind=self.blind, fleet=self.fleet, random=random
        )
        self.fleet.on(Epoch.RING, self._ring.load)
        self.fleet.on_lost(self._ring.forget)

    # ---- life

    async def open(self) -> Self:
        """Prepare the collections and load the key ring; on the very first start, make one.

        Raises:
            KeyRingMissingError: The key store knows a key ring, and it is not there.
            KeyRingForeignError: There is a key ring, and the key store knows another or none.
            KeyRingStaleError: The key ring is older than the key store knows.
            KeyRingError: It cannot be used for another reason.
            RootKeyError: The root key cannot be used.
        """
        await self._keys.prepare()
        await self.blind.prepare()
        await self._shredder.prepare()
        await self._ring.open()
        return self

    async def start(self) -> Self:
        """Take a lease; from here on keys are given. Opens first, where that was not done.

        Raises:
            FleetError: It was started before.
            KeyRingError: As `open`.
            RootKeyError: As `open`.
        """
        if not self._ring.is_held:
            await self.open()
        await self.fleet.start()
        return self

    async def stop(self) -> None:
        """Wait for the reads in flight, give the lease back and forget every key."""
        await self.fleet.stop()
        self._ring.forget()

    # ---- keys

    def reading(self) -> contextlib.AbstractAsyncContextManager[None]:
        """One read, as `Fleet.reading`: keys are fetched and used inside, and what they gave is used after it."""
        return self.fleet.reading()

    async def create_keys(self, customer_ids: Sequence[str]) -> dict[str, DataKey]:
        """New keys for customers that never had one: all of them, or none.

        Raises:
            CustomerKeyExistsError: One of them has a record already, be it a tombstone.
            LeaseLostError: This process holds no lease.
            KeyStoreUnavailableError: The key store does not answer; some may have been created.
        """
        async with self.fleet.reading():
            return await self._keys.create(customer_ids)

    async def keys(self, customer_ids: Collection[str]) -> dict[str, DataKey | KeyState]:
        """The keys of these customers in one query; erasing and erased ones give their state, unknown ones nothing.

        Raises:
            FleetError: It is not inside a `reading` block.
            LeaseLostError: This process holds no lease.
            KeyRingForeignError: A record was wrapped by a ring that is not held (any more).
            EnvelopeError: A record was changed.
            KeyStoreUnavailableError: The key store does not answer.
        """
        self.fleet.check_reading()
        return await self._keys.fetch(customer_ids)

    async def discard_keys(self, customer_ids: Sequence[str]) -> None:
        """Remove keys that were created for customers who then were not made, and that nothing was ever sealed with.

        For whoever created them, in the same `reading` block; anybody else's must be shredded.
        """
        self.fleet.check_reading()
        await self._keys.discard(customer_ids)

    def tokens(self, index: str, value: str) -> list[bytes]:
        """As `BlindIndex.tokens`."""
        return self.blind.tokens(index, value)

    def normalise(self, index: str, value: str) -> str:
        """The one spelling of an identifier; two that match in the blind index have the same.

        Raises:
            UnknownIndexError: There is no such index.
            InvalidIdentifierError: The value cannot be an identifier of that kind.
        """
        return normalise(index, value, region=self._region)

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """A token that a client may hold: nobody else can read it, make one, or use it elsewhere.

        Raises:
            LeaseLostError: This process holds no keys.
        """
        return self._token_key().seal(purpose, payload, context)

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """What `seal_token` was given, with the same purpose and context.

        Raises:
            TokenInvalidError: Anything differs.
            LeaseLostError: This process holds no keys.
        """
        return self._token_key().open(purpose, token, context)

    def digest(self, *parts: str) -> bytes:
        """As `DigestKey.digest`: 16 bytes that name these texts and, without the service key, tell nobody which.

        Raises:
            LeaseLostError: This process holds no keys.
            ValueError: A text is not valid Unicode.
        """
        if self._digests is None:
            raise LeaseLostError("this process holds no key ring")
        return self._digests.digest(*parts)

    def naming(self, *leading: str) -> Callable[[str], bytes]:
        """As `DigestKey.naming`; for the length of one batch, as the keys may be forgotten.

        Raises:
            LeaseLostError: This process holds no keys.
            ValueError: A text is not valid Unicode.
        """
        if self._digests is None:
            raise LeaseLostError("this process holds no key ring")
        return self._digests.naming(*leading)

    def _token_key(self) -> TokenKey:
        if self._tokens is None:
            raise LeaseLostError("this process holds no key ring")
        return self._tokens

    # ---- erasure

    async def shred(self, customer_id: str, on_step: OnStep | None = None) -> Erasure:
        """As `Shredder.shred`."""
        return await self._shredder.shred(customer_id, on_step)

    async def last_look(self, customer_id: str) -> DataKey | None:
        """The key of a customer who is being erased, while it is there: for what the law demands to be kept.

        For the step `DRAINED` of an erasure alone, inside `reading`: nobody else reads the customer any more, and
        nothing of them changes. None once the key is destroyed.

        Raises:
            FleetError: It is not inside a `reading` block.
        """
        self.fleet.check_reading()
        record = await self._keys.record(customer_id)
        if record is None or record["state"] != KeyState.ERASING:
            return None
        try:
            return self._keys.unwrap(record)
        except LeafPuncturedError:
            return None

    async def erasures_under_way(self) -> set[int]:
        """The leaves of the erasures that were begun and are not finished."""
        return await self._shredder.leaves_under_way()

    async def is_being_erased(self, customer_ids: Sequence[str]) -> bool:
        """Whether an erasure of one of these customers was begun and is not finished."""
        return await self._shredder.under_way(customer_ids)

    def is_destroyed(self, leaf: int) -> bool:
        """Whether the key of this leaf is gone for ever."""
        return self._ring.is_punctured(leaf)

    async def resume_shreds(self, on_step: OnStep | None = None) -> list[Erasure]:
        """Bring every erasure that was begun to its end; for the start, after `start`.

        Raises:
            ShredInterruptedError: Some stay open; the others were finished.
        """
        return await self._shredder.resume(on_step)

    async def purge_returned(self, tombstones: AsyncIterable[Tombstone]) -> list[str]:
        """Remove what a restored backup brought back of customers who were erased: at every start, first of all.

        Opens first, where that was not done.

        Args:
            tombstones: From the audit log, of erasures that were done.

        Returns:
            The ids of all erased customers, for their documents to be removed wherever they are.

        Raises:
            KeyRingStaleError: The ring still derives a leaf that an erasure punctured: it is an old copy.
            KeyStoreStaleError: The key store is from before one of them was created, so that nobody knows who it
                was: `unknown_tombstones` are those.
        """
        if not self._ring.is_held:
            await self.open()
        return await self._shredder.purge_returned(tombstones, self._ring.is_punctured)

    async def unknown_tombstones(self, tombstones: AsyncIterable[Tombstone]) -> list[Tombstone]:
        """The tombstones, once each, of customers whom the key store has never heard of: it is from a backup.

        Raises:
            KeyRingStaleError: As `purge_returned`.
        """
        return await self._shredder.unknown(tombstones, self._ring.is_punctured)

    async def bury_unknown(self, tombstones: Iterable[Tombstone]) -> None:
        """Have the key store know these from now on; everything of theirs was removed before."""
        for tombstone in tombstones:
            await self._keys.bury_unknown(tombstone.leaf, tombstone.fingerprint or None)

    async def without_key(self, customer_ids: Collection[str]) -> list[str]:
        """Those of these customers who have no key record, not even a tombstone."""
        known = await self._keys.known(customer_ids)
        return [customer_id for customer_id in customer_ids if customer_id not in known]

    # ---- rotation, backup, status

    async def rotate_root(self, root_key: RootKey) -> None:
        """Seal the key ring under another root key, or anew under the same; the root key before is refused then.

        Every other process must have been given the new root key beforehand, beside the old one: it keeps reading
        without, but cannot follow the next erasure and then gives up its lease.

        Raises:
            KeyRingError: The key ring cannot be read.
            RootKeyError: One of the two root keys cannot be used.
        """
        await self._ring.seal_under(root_key)

    async def rotate_ring(self, progress: Progress | None = None) -> None:
        """As `Rotator.rotate_ring`."""
        await self._rotator.rotate_ring(progress)

    async def rotate_index(self, entries: IndexEntries, *, total: int = 0, progress: Progress | None = None) -> None:
        """As `Rotator.rotate_index`."""
        await self._rotator.rotate_index(entries, total=total, progress=progress)

    async def backup(self, destination: Path) -> Path:
        """As `RingFile.backup`: the newest ring file only, the backup before it destroyed."""
        return await self._ring.backup(destination)

    async def status(self) -> VaultStatus:
        """What an operator may want to know, read now.

        Raises:
            KeyRingError: The key ring cannot be read.
            RootKeyError: The root key cannot be used.
        """
        await self._ring.load()
        contents = self.contents
        return VaultStatus(
            file_id=contents.file_id.hex(),
            file_version=contents.version,
            file_bytes=self._file.path.stat().st_size,
            root_key=contents.root_key,
            rings=tuple(map(RingStatus.of, contents.rings)),
            index_epochs=tuple(sorted(contents.index_keys, reverse=True)),
            leaves_taken=await self._keys.leaves_taken(),
            keys_cached=self._keys.cached,
            processes=len(await self.fleet.processes()),
            erasures_open=await self._shredder.open_erasures(),
            rotations=tuple(await self._rotator.running()),
        )

    # ---- the ring file

    @property
    def contents(self) -> RingContents:
        """As `HeldRing.contents`."""
        return self._ring.contents

    def _hold(self, contents: RingContents | None) -> None:
        """Use these keys from now on, or none any more."""
        if contents is None:
            self._keys.use(())
            self.blind.use(None)
            self._tokens = None
            self._digests = None
            return
        self._keys.use(contents.rings)
        self.blind.use(BlindTokens(contents.index_keys, tenant=self._tenant, region=self._region))
        self._tokens = TokenKey(contents.service_key, random=self._random)
        self._digests = DigestKey(contents.service_key)
