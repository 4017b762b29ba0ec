"""The file of a log's signing key, sealed by whoever holds the root key.

The file is replaced whole: the new one is on the disk before it takes the name. During a change of keys it holds the
next key as well, from before anybody can have heard of it, so that a crash at any moment loses neither. The file's
form has a page, docs/formats/key-change.md; fields may not be reordered or removed.

What one who can write to the file's directory could do: delete it, or put an older copy in its place, which the
chain of key changes shows (SigningKeyStaleError). They cannot read it, or put a key of theirs in its place.
"""

import asyncio
import contextlib
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Never, Protocol

import msgspec

from audit.checkpoint import key_name, require_log_name
from audit.errors import (
    LogNameInvalidError,
    SigningKeyCorruptError,
    SigningKeyError,
    SigningKeyExistsError,
    SigningKeyForeignError,
    SigningKeyKindError,
    SigningKeyMissingError,
    SigningKeyPermissionsError,
    VerifierKeyInvalidError,
)
from audit.note import VerifierKey
from audit.signing import SEED_SIZE, SigningKey

_MAGIC = b"CFSK"
_FORMAT = 1
_HEADER = Struct(">4sBHHI")  # magic, format, lengths of the log's name, the description and what is sealed
_MOST = 64 * 1024
_LOCK_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.02


class Sealer(Protocol):
    """What seals the file: a root key."""

    async def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Seal at most 4 KiB, bound to `context`."""
        ...

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """What `wrap` sealed; raises when it was sealed otherwise."""
        ...

    def describe(self) -> str:
        """Which root key this is, without a secret."""
        ...


@dataclass(frozen=True, slots=True)
class LogKeys:
    """A log's keys: the first public one, from which the chain of key changes begins, and the secret ones."""

    log: str
    first: VerifierKey
    current: SigningKey
    next: SigningKey | None

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise TypeError("a signing key is never copied or pickled")


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The sealed part. Fields may not be reordered or removed."""

    log: str
    first: str
    seed: bytes
    next: bytes | None


class SigningKeys:
    """The file at one path."""

    def __init__(self, path: Path, log: str, sealers: Sequence[Sealer], *, random: Callable[[int], bytes]) -> None:
        """Nothing is read yet.

        Args:
            path: The file; its lock and, for moments, its successor are beside it.
            log: The log's name.
            sealers: The first seals; any of them may open.
            random: Gives random bytes.

        Raises:
            LogNameInvalidError: Not the name of a log.
        """
        self.path = path
        self.log = require_log_name(log)
        self._sealers = tuple(sealers)
        self._random = random
        self._read: tuple[bytes, LogKeys] | None = None

    async def create(self) -> VerifierKey:
        """Write a new key to a file that must not exist yet; the public key, to be given to auditors.

        Raises:
            SigningKeyExistsError: There is one.
        """
        await asyncio.to_thread(self.path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
        key = SigningKey.generate(key_name(self.log), self._random)
        async with self.locked():
            if self.path.exists():
                raise SigningKeyExistsError("there is a signing key already: it is never overwritten")
            await self._write(LogKeys(self.log, key.verifier, key, None))
        return key.verifier

    async def load(self) -> LogKeys:
        """The keys as the file holds them now; it is unsealed again only when it has changed.

        Raises:
            SigningKeyMissingError: There is no such file.
            SigningKeyPermissionsError: Others may read or write it, or we may not read it.
            SigningKeyKindError: It is a file of another kind.
            SigningKeyForeignError: It is another log's, or sealed under another root key.
            SigningKeyCorruptError: It is damaged.
        """
        data = await asyncio.to_thread(_read, self.path)
        if self._read is None or self._read[0] != data:
            self._read = data, await self._open(data)
        return self._read[1]

    async def prepare_next(self) -> LogKeys:
        """Draw the next key, unless the file holds one already. Only within `locked`."""
        keys = await self.load()
        if keys.next is None:
            key = SigningKey.generate(key_name(self.log), self._random)
            await self._write(LogKeys(self.log, keys.first, keys.current, key))
        return await self.load()

    async def promote(self, key: VerifierKey) -> LogKeys:
        """Make the next key the current one, unless it is already; the current one is forgotten. Within `locked`.

        Raises:
            SigningKeyError: The file's next key is another.
        """
        keys = await self.load()
        if keys.current.verifier == key:
            return keys
        if keys.next is None or keys.next.verifier != key:
            raise SigningKeyError("the signing key file does not hold the key that was changed to")
        await self._write(LogKeys(self.log, keys.first, keys.next, None))
        return await self.load()

    async def reseal(self) -> None:
        """Seal the file under the first root key, whichever opened it."""
        async with self.locked():
            await self._write(await self.load())

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Alone among all processes of this machine that change the file.

        Raises:
            SigningKeyError: Another kept the lock for 30 seconds.
        """
        lock = self.path.with_name(f"{self.path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            await _lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    async def _open(self, data: bytes) -> LogKeys:
        log, description, sealed = _split(data)
        if log != self.log:
            raise SigningKeyForeignError("this signing key is another log's: give the path of this log's key")
        plain = await self._unseal(description, sealed)
        try:
            body = msgspec.msgpack.decode(plain, type=_Body)
            first = VerifierKey.parse(body.first)
            seeds = [body.seed] if body.next is None else [body.seed, body.next]
        except (msgspec.MsgspecError, UnicodeDecodeError, VerifierKeyInvalidError):
            raise SigningKeyCorruptError("the signing key file holds something else than keys") from None
        if body.log != self.log or any(len(seed) != SEED_SIZE for seed in seeds):
            raise SigningKeyCorruptError("the signing key file holds something else than this log's keys")
        current, *following = (SigningKey.from_seed(key_name(self.log), seed) for seed in seeds)
        return LogKeys(self.log, first, current, following[0] if following else None)

    async def _unseal(self, description: str, sealed: bytes) -> bytes:
        context = _context(self.log, description)
        matching = next((sealer for sealer in self._sealers if sealer.describe() == description), None)
        if matching is not None:
            return await matching.unwrap(sealed, context)
        for sealer in self._sealers:
            with contextlib.suppress(Exception):  # a provider may have changed how it names its key
                return await sealer.unwrap(sealed, context)
        raise SigningKeyForeignError("the signing key file was sealed under another root key than is set here")

    async def _write(self, keys: LogKeys) -> None:
        sealer = self._sealers[0]
        body = _Body(keys.log, str(keys.first), keys.current.seed, None if keys.next is None else keys.next.seed)
        sealed = await sealer.wrap(msgspec.msgpack.encode(body), _context(self.log, sealer.describe()))
        log, description = self.log.encode(), sealer.describe().encode()
        header = _HEADER.pack(_MAGIC, _FORMAT, len(log), len(description), len(sealed))
        await asyncio.to_thread(_replace, self.path, header + log + description + sealed, self._random(8).hex())


async def _lock(descriptor: int) -> None:
    try:
        async with asyncio.timeout(_LOCK_SECONDS):
            while True:
                with contextlib.suppress(BlockingIOError):
                    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                await asyncio.sleep(_LOCK_POLL_SECONDS)
    except TimeoutError:
        raise SigningKeyError("another process keeps the signing key file locked") from None


def _context(log: str, description: str) -> bytes:
    return f"confide.audit.signing-key/v1\n{log}\n{description}".encode()


def _split(data: bytes) -> tuple[str, str, bytes]:
    """The log's name, the sealer's description and what is sealed."""
    if not data.startswith(_MAGIC):
        raise SigningKeyKindError("the signing key's path holds a file of another kind")
    try:
        _, version, log, description, sealed = _HEADER.unpack_from(data)
        if version != _FORMAT:
            raise SigningKeyKindError("the signing key file is of a version that is not known here")
        at = _HEADER.size
        names = data[at : at + log].decode("ascii"), data[at + log : at + log + description].decode()
        require_log_name(names[0])
    except (ValueError, LogNameInvalidError, StructError):
        raise SigningKeyCorruptError("the signing key file is damaged") from None
    if len(data) != at + log + description + sealed:
        raise SigningKeyCorruptError("the signing key file is damaged: it is cut off, or has something behind it")
    return *names, data[at + log + description :]


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        raise SigningKeyPermissionsError("the signing key file may not be read by this user") from None
    except OSError:
        raise SigningKeyMissingError("there is no signing key file: create one, or give its path") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise SigningKeyKindError("the signing key's path is not a file")
        if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise SigningKeyPermissionsError("others may read or write the signing key file: chmod 600")
        return os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes, suffix: str) -> None:
    new = path.with_name(f"{path.name}.{suffix}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
