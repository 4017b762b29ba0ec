"""The ring file's contents as one process holds them: never older than the key store knows, and gone when it is put out."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from vault.errors import KeyRingError, KeyRingForeignError, KeyRingMissingError, LeaseLostError
from vault.ring_file import FILE_ID_SIZE, RingContents, RingFile
from vault.root_keys import RootKey

__all__ = ["HeldRing"]

_META = "ring_file"


class HeldRing:
    """The key ring of one process, and the key store's word on which one it has to be."""

    def __init__(
        self,
        file: RingFile,
        meta: AsyncCollection[dict[str, Any]],
        *,
        leaves_taken: Callable[[], Awaitable[int]],
        lost: Callable[[], bool],
        hold: Callable[[RingContents | None], None],
        random: Callable[[int], bytes],
    ) -> None:
        """Nothing is read yet.

        Args:
            file: The ring file.
            meta: Where the key store says which file it is, and how old it may be.
            leaves_taken: How many leaves were given to customers.
            lost: Whether this process was put out.
            hold: Told what is used from now on; None once it is nothing.
            random: Gives random bytes.
        """
        self._file = file
        self._meta = meta
        self._leaves_taken = leaves_taken
        self._lost = lost
        self._hold = hold
        self._random = random
        self._contents: RingContents | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds a ring."""
        return self._contents is not None

    async def open(self) -> None:
        """Load the key ring; on the very first start, make one.

        Raises:
            KeyRingError, RootKeyError: As `Vault.open`.
        """
        meta = await self._meta.find_one({"_id": _META})
        if meta is None:
            meta = await self._introduce()
        if meta["version"] == 0 and not self._file.path.exists():
            try:
                await self._file.create(bytes(meta["file_id"]))
            except KeyRingError:
                if not self._file.path.exists():  # else another process was faster; we use its ring
                    raise
        await self.load()

    async def _introduce(self) -> dict[str, Any]:
        """Tell the key store which ring file it shall have, before there is one."""
        if self._file.path.exists():
            raise KeyRingForeignError("there is a key ring, but the key store knows of none")
        if await self._leaves_taken():
            raise KeyRingMissingError
        meta = {"_id": _META, "file_id": self._random(FILE_ID_SIZE), "version": 0}
        try:
            await self._meta.insert_one(meta)
        except DuplicateKeyError:
            meta = await self._meta.find_one({"_id": _META}) or meta
        return meta

    @property
    def contents(self) -> RingContents:
        """The ring file's contents that this process uses.

        Raises:
            LeaseLostError: It holds none: not opened, stopped, or put out.
        """
        if self._contents is None:
            raise LeaseLostError("this process holds no key ring")
        return self._contents

    async def change(self, change: Callable[[RingContents], RingContents]) -> RingContents:
        """Change the ring file, alone among all processes, and use it as it is then."""
        contents = await self._file.update(change, **await self._expected())
        await self._raise_floor(contents)
        self.use(contents)
        return contents

    async def seal_under(self, root_key: RootKey) -> None:
        """As `Vault.rotate_root`."""
        contents = await self._file.update(lambda now: now, root_key=root_key, **await self._expected())
        await self._raise_floor(contents)
        self.use(contents)

    async def backup(self, destination: Path) -> Path:
        """As `RingFile.backup`, of the ring that the key store knows."""
        return await self._file.backup(destination, **await self._expected())

    def is_punctured(self, leaf: int) -> bool:
        """Whether no ring that is held derives this leaf any more."""
        return all(ring.is_punctured(leaf) for ring in self.contents.rings)

    async def puncture(self, leaf: int) -> int:
        """Destroy a leaf in every ring that is held; the version of the file from then on."""

        def without_leaf(contents: RingContents) -> RingContents:
            rings = tuple(ring.puncture(leaf) for ring in contents.rings)
            changed = any(after is not before for after, before in zip(rings, contents.rings, strict=True))
            return dataclasses.replace(contents, rings=rings) if changed else contents

        return (await self.change(without_leaf)).version

    async def load(self) -> None:
        """Read the ring file, and use it if it is newer.

        Raises:
            KeyRingError: It cannot be used.
            RootKeyError: The root key cannot be used.
        """
        contents = await self._file.read(**await self._expected())
        await self._raise_floor(contents)
        self.use(contents)

    def use(self, contents: RingContents) -> None:
        """Use these, unless they are no newer than what is in use, or this process was put out."""
        if self._lost() or (self._contents is not None and contents.version <= self._contents.version):
            return
        self._contents = contents
        self._hold(contents)

    def forget(self) -> None:
        """Hold nothing any more."""
        self._contents = None
        self._hold(None)

    async def _expected(self) -> dict[str, Any]:
        meta = await self._meta.find_one({"_id": _META})
        if meta is None:
            raise KeyRingForeignError("the key store knows of no key ring")
        seen = self._contents.version if self._contents else 0
        return {"file_id": bytes(meta["file_id"]), "floor": max(meta["version"], seen)}

    async def _raise_floor(self, contents: RingContents) -> None:
        version = contents.version
        await self._meta.update_one({"_id": _META, "version": {"$lt": version}}, {"$set": {"version": version}})
