"""The key ring's file: everything that must never be in a database, sealed under the root key.

It holds the key ring (during a rotation the new one and the old), the index keys by epoch, and the service key. Every
writing draws a new key for the file, which the root key wraps; nothing else ever passes through the root key.

An erasure is as good as the destruction of the file that could still derive the punctured leaf. So a change replaces
the file whole: the new one is on the disk before it takes the name, the previous one keeps a second name until it is
overwritten with zeros, and whatever a crash left behind is destroyed before the next change is reported done. On
journalling, copy-on-write and flash storage overwriting does not reach every old copy: docs/keys.md says what then.

What one who can write to the file's directory could do: delete it, or put an older copy in its place, which the
version kept in the key store and in the audit log's tombstones shows. They cannot read or alter it.

The format is described in docs/formats/ring-file.md; fields may not be reordered or removed.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, Never, TypeVar

import msgspec

from vault.envelope import KEY_SIZE, Label, SealingKey
from vault.errors import (
    EnvelopeError,
    KeyRingCorruptError,
    KeyRingError,
    KeyRingForeignError,
    KeyRingLockedError,
    KeyRingMissingError,
    KeyRingPermissionsError,
    KeyRingStaleError,
    RootKeyRefusedError,
    SecretExposedError,
)
from vault.ring import KeyRing
from vault.root_keys import RootKey
from vault.slot import encode_parts

__all__ = ["RingContents", "RingFile"]

FILE_ID_SIZE = 16
_MAGIC = b"CFRF"
_FORMAT = 1
_HEADER = Struct(">4sB16sQHI")  # magic, format, file id, version, lengths of the description and the wrapped key
_LOCK_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.02
_READ_ATTEMPTS = 50
Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True, slots=True)
class RingContents:
    """What the file holds at one version. Shows no key, and is never copied or pickled."""

    file_id: bytes
    """16 random bytes that stay the same for the life of the deployment; the key store knows them too."""
    version: int
    """Counts the changes of the file, from 1."""
    root_key: str
    """Which root key sealed it."""
    rings: tuple[KeyRing, ...] = dataclasses.field(repr=False)
    """The ring that wraps new keys, and after it, during a rotation, the one being left."""
    index_keys: Mapping[int, bytes] = dataclasses.field(repr=False)
    """32 bytes for each epoch of the blind indexes."""
    service_key: bytes = dataclasses.field(repr=False)
    """32 bytes for tokens that clients hold."""

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The sealed part. Fields may not be reordered or removed."""

    rings: list[bytes]
    index_keys: list[tuple[int, bytes]]
    service_key: bytes


class RingFile:
    """The file at one path, read and replaced as a whole."""

    def __init__(self, path: Path, root_keys: Sequence[RootKey], *, random: Callable[[int], bytes]) -> None:
        """Nothing is read yet.

        Args:
            path: The file; its lock and, for moments, its successor and predecessor are beside it.
            root_keys: The first seals; any of them may open, so that processes can be given the next root key
                before it is rotated to.
            random: Gives random bytes.
        """
        self.path = path
        self._root_keys = tuple(root_keys)
        self._random = random

    async def create(self, file_id: bytes) -> RingContents:
        """Write a new ring, index key and service key to a file that must not exist yet.

        Raises:
            KeyRingError: There is one already.
            RootKeyError: The root key cannot be used.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        contents = RingContents(
            file_id=file_id,
            version=1,
            root_key=self._root_keys[0].describe(),
            rings=(KeyRing.fresh(self._random),),
            index_keys={1: self._random(KEY_SIZE)},
            service_key=self._random(KEY_SIZE),
        )
        async with self._locked():
            if self.path.exists():
                raise KeyRingError("there is a key ring already: it is never overwritten")
            await self._write(contents, self._root_keys[0])
        return contents

    async def read(self, *, file_id: bytes | None = None, floor: int = 0) -> RingContents:
        """What the file holds now.

        Args:
            file_id: The id that the key store knows, or None to accept any.
            floor: The version that the file has at least reached.

        Raises:
            KeyRingMissingError: There is no such file.
            KeyRingPermissionsError: Its group or the world may read or write it, or we may not read it.
            KeyRingForeignError: It belongs to another database.
            KeyRingStaleError: Its version is below `floor`: it was replaced by an older copy.
            KeyRingCorruptError: It is damaged.
            RootKeyError: The root key cannot be used, or is another.
        """
        data = await _in_thread(_read, self.path)
        return await self._open(data, file_id, floor)

    async def update(
        self,
        change: Callable[[RingContents], RingContents],
        *,
        file_id: bytes | None = None,
        floor: int = 0,
        root_key: RootKey | None = None,
    ) -> RingContents:
        """Read, change and replace the file, alone among all processes.

        Args:
            change: Gives the contents that shall be, from those that are; the version is counted here. When it
                gives the very same contents and the root key stays, nothing is written.
            file_id: As for `read`.
            floor: As for `read`.
            root_key: Seal under this root key from now on; the file as it was is opened by those there were.

        Raises:
            KeyRingLockedError: Another process kept the file locked for 30 seconds.
            KeyRingError: As `read`.
            RootKeyError: As `read`.
        """
        async with self._locked():
            # Before anything is reported done: what a crash left could still derive what was punctured.
            await _in_thread(_destroy_leftovers, self.path)
            before = await self.read(file_id=file_id, floor=floor)
            after = change(before)
            if after is before and root_key is None:
                return before
            sealing = root_key or self._root_keys[0]
            after = dataclasses.replace(after, version=before.version + 1, root_key=sealing.describe())
            await self._write(after, sealing)
        if root_key is not None:
            self._root_keys = (root_key,)
        return after

    async def backup(self, destination: Path, *, file_id: bytes | None = None, floor: int = 0) -> Path:
        """Copy the file as it is, still sealed, to `destination`, destroying the backup that was there.

        Args:
            destination: A file, or a directory that gets one named after the ring file.
            file_id: As for `read`.
            floor: As for `read`.

        Returns:
            The file that was written.

        Raises:
            KeyRingForeignError: What is there already is not a backup of this ring; it was left alone.
            KeyRingError: As `read`.
        """
        if destination.is_dir():
            destination = destination / f"{self.path.name}.backup"
        if destination.resolve() == self.path.resolve():
            raise KeyRingError("a backup of the key ring belongs elsewhere than the key ring itself")
        async with self._locked():
            await _in_thread(_destroy_leftovers, destination)
            data = await _in_thread(_read, self.path)
            contents = await self._open(data, file_id, floor)
            if destination.exists() and _identity(await _in_thread(_read, destination)) != contents.file_id:
                raise KeyRingForeignError("the file at the backup's place is not a backup of this key ring")
            await _in_thread(_replace, destination, data)
        return destination

    # ---- sealing

    async def _write(self, contents: RingContents, root_key: RootKey) -> None:
        file_key = self._random(KEY_SIZE)
        wrapped = await root_key.wrap(file_key, _context(contents.file_id))
        description = contents.root_key.encode()
        sizes = len(description), len(wrapped)
        header = _HEADER.pack(_MAGIC, _FORMAT, contents.file_id, contents.version, *sizes) + description + wrapped
        body = msgspec.msgpack.encode(
            _Body(
                [ring.to_bytes() for ring in contents.rings],
                sorted(contents.index_keys.items()),
                contents.service_key,
            )
        )
        sealed = SealingKey(file_key, Label.KEY_RING, random=self._random).seal(body, header)
        await _in_thread(_replace, self.path, header + sealed)

    async def _open(self, data: bytes, file_id: bytes | None, floor: int) -> RingContents:
        if _identity(data) is None:
            raise KeyRingCorruptError
        _, _, found_id, version, description_size, wrapped_size = _HEADER.unpack_from(data)
        if file_id is not None and found_id != file_id:
            raise KeyRingForeignError
        body_at = _HEADER.size + description_size + wrapped_size
        description = data[_HEADER.size : _HEADER.size + description_size].decode("utf-8", "replace")
        wrapped = data[_HEADER.size + description_size : body_at]
        file_key = await self._unwrap(wrapped, found_id, description)
        try:
            sealing = SealingKey(file_key, Label.KEY_RING, random=self._random)
            body = msgspec.msgpack.decode(sealing.open(data[body_at:], data[:body_at]), type=_Body)
            rings = tuple(KeyRing.from_bytes(ring) for ring in body.rings)
        except (EnvelopeError, ValueError, msgspec.MsgspecError):
            raise KeyRingCorruptError from None
        # Only now is the version more than a claim.
        if version < floor:
            raise KeyRingStaleError
        return RingContents(found_id, version, description, rings, dict(body.index_keys), body.service_key)

    async def _unwrap(self, wrapped: bytes, file_id: bytes, description: str) -> bytes:
        candidates = sorted(self._root_keys, key=lambda key: key.describe() != description)
        for position, root_key in enumerate(candidates):
            try:
                return await root_key.unwrap(wrapped, _context(file_id))
            except RootKeyRefusedError:
                if position == len(candidates) - 1:
                    raise
        raise RootKeyRefusedError

    @contextlib.asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        path = self.path.with_name(f"{self.path.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise KeyRingMissingError from None
        except OSError:
            raise KeyRingPermissionsError("the key ring's directory cannot be written to") from None
        try:
            deadline = asyncio.get_running_loop().time() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if asyncio.get_running_loop().time() > deadline:
                        raise KeyRingLockedError from None
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
            yield
        finally:
            os.close(descriptor)  # which also gives the lock back


def _context(file_id: bytes) -> bytes:
    return encode_parts("confide/ring-file/1", file_id)


def _identity(data: bytes) -> bytes | None:
    """The file id that ring file bytes claim, or None when they are no ring file."""
    if len(data) < _HEADER.size:
        return None
    magic, version_of_format, file_id, _, description_size, wrapped_size = _HEADER.unpack_from(data)
    whole = len(data) >= _HEADER.size + description_size + wrapped_size
    return file_id if whole and (magic, version_of_format) == (_MAGIC, _FORMAT) else None


# ---- the disk; these block, and run in a thread


async def _in_thread(work: Callable[..., Answer], *arguments: Any) -> Answer:
    """Run blocking work to its end even when we are cancelled: the lock must not be given back before it."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _read(path: Path) -> bytes:
    """The file's bytes, whole: a file that is replaced meanwhile is read again, since its bytes are being zeroed."""
    for _ in range(_READ_ATTEMPTS):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise KeyRingMissingError from None
        except PermissionError:
            raise KeyRingPermissionsError("the key ring file may not be read by this user") from None
        except OSError:
            raise KeyRingError("the key ring's path is not a file") from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise KeyRingError("the key ring's path is not a file")
            if stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyRingPermissionsError
            with os.fdopen(os.dup(descriptor), "rb") as file:
                data = file.read()
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path, follow_symlinks=False).st_ino == status.st_ino:  # noqa: PTH116 - beside fstat
                    return data
        finally:
            os.close(descriptor)
    raise KeyRingLockedError


def _replace(path: Path, data: bytes) -> None:
    """Have `path` hold `data` durably, and destroy what it held. On return no name leads to the previous bytes."""
    successor, predecessor = _beside(path)
    descriptor = os.open(successor, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        # A second name, so that a crash after the replacement leaves something that can still be found and destroyed.
        os.link(path, predecessor)
    successor.replace(path)
    _sync_directory(path.parent)
    _destroy_leftovers(path)


def _destroy_leftovers(path: Path) -> None:
    """Destroy what a change of `path` that did not come to its end left beside it."""
    for leftover in _beside(path):
        if not leftover.exists():
            continue
        if not (
            path.exists() and leftover.samefile(path)
        ):  # the predecessor of a replacement that never happened is the file itself
            with leftover.open("r+b") as file:
                file.write(bytes(os.fstat(file.fileno()).st_size))
                file.flush()
                os.fsync(file.fileno())
        leftover.unlink()
        _sync_directory(path.parent)


def _beside(path: Path) -> tuple[Path, Path]:
    # Names that are nobody else's: what bears them is destroyed.
    return path.with_name(f"{path.name}.confide-next"), path.with_name(f"{path.name}.confide-previous")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
