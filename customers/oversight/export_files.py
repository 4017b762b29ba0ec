"""The files of exports: in one private directory, for each export what is known of it and, once whole, its bundle.

Every process that is given the same directory sees the same exports. Whoever makes one holds a lock on its file, which
the operating system lets go of when the process ends, however it ends: an unfinished export whose file nobody holds
is one whose maker died. A bundle is written under another name and gets its own when it is whole and on the disk.

What one who can write here could achieve: give an actor another export than they made, or remove one. A bundle that
was changed does not verify. What one who can read here learns: the records of the log that are in the bundles.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import msgspec

from audit import BundleForm

_VERSION: Final = 1
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MOST_BYTES: Final = 64 * 1024
_PRIVATE: Final = 0o600
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Stage(StrEnum):
    """How far an export is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of an export. Holds no customer's id: who it is about is a reference that dies with their key.

    Attributes:
        actor: Whose it is; nobody else learns that it exists.
        conditions: What it was asked for by, to be shown to them.
        filters, subject: What records of it say: the catalogue's fields it was filtered by, and whom it is about.
        created, until: When it was asked for, and until when it is kept, RFC 3339.
        read, of, found: Entries looked at, of how many, and those that are in it.
        size, sha256: Of the finished bundle; bytes, hexadecimal.
        message: Why it failed, for people.
    """

    v: int = _VERSION
    id: str
    actor: str
    form: BundleForm
    stage: Stage = Stage.WAITING
    conditions: Mapping[str, str] = {}
    filters: tuple[str, ...] = ()
    subject: str | None = None
    created: str
    until: str
    read: int = 0
    of: int | None = None
    found: int = 0
    size: int | None = None
    sha256: str | None = None
    message: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.stage in (Stage.DONE, Stage.FAILED)


class Making:
    """The bundle of an export while it is made: a file to write to, held by this process until it is closed."""

    def __init__(self, descriptor: int, part: Path, whole: Path) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._part = part
        self._whole = whole
        self._digest = sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):  # a full disk is told when it is written to, not when it is given up
            self._file.close()

    def hold(self) -> None:
        """Let every process see that there is somebody who makes it."""
        fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, data: bytes, /) -> int:
        """Add these bytes."""
        self._digest.update(data)
        self._size += len(data)
        return self._file.write(data)

    def finish(self) -> tuple[int, str]:
        """Give the bundle its name, now that it is whole and on the disk; its size, and its SHA-256 in hexadecimal."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.rename(self._whole)
        _sync(self._whole.parent)
        return self._size, self._digest.hexdigest()


class ExportFiles:
    """The directory of exports. Every method blocks for as long as the disk does, and may raise OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory, readable to its owner alone."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory.chmod(0o700)

    def free_bytes(self) -> int:
        """How much the disk has room for."""
        return shutil.disk_usage(self.directory).free

    def jobs(self) -> Iterator[Job]:
        """Every export."""
        for path in self.directory.glob("*.json"):
            if (job := self.read(path.stem)) is not None:
                yield job

    def read(self, job: str) -> Job | None:
        """The export with this id; None where there is none, or where what is there is not ours."""
        if _ID.fullmatch(job) is None:
            return None
        try:
            with os.fdopen(os.open(self._path(job, "json"), _OLD), "rb") as file:
                found = _decoder.decode(file.read(_MOST_BYTES))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return found if found.v == _VERSION and found.id == job else None

    def write(self, job: Job) -> None:
        """Note what is known of an export, all of it or nothing."""
        path, successor = self._path(job.id, "json"), self._path(job.id, "new")
        with contextlib.suppress(FileNotFoundError):
            successor.unlink()
        with os.fdopen(os.open(successor, _NEW, _PRIVATE), "wb") as file:
            file.write(_encoder.encode(job))
        successor.rename(path)

    def begin(self, job: Job) -> Making:
        """Note a new export; the file for its bundle is held from now on."""
        part = self._path(job.id, "part")
        making = Making(os.open(part, _NEW, _PRIVATE), part, self._path(job.id, "zip"))
        try:
            making.hold()
            self.write(job)
        except BaseException:
            with making:
                self.remove(job.id)
            raise
        return making

    def give_up(self, job: Job) -> None:
        """Note that an export failed, and remove what there is of its bundle."""
        self.remove(job.id, kinds=("part", "zip"))
        self.write(job)

    def held(self, job: str) -> bool:
        """Whether some process is making this export."""
        for kind in ("part", "zip"):  # in the order in which the file has these names
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(self._path(job, kind), _OLD)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError as error:
                    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                        return True
                    raise
                finally:
                    os.close(descriptor)
        return False

    def bundle(self, job: Job) -> Path | None:
        """The finished bundle of an export, if it is as large as it was."""
        path = self._path(job.id, "zip")
        with contextlib.suppress(FileNotFoundError):
            if job.stage is Stage.DONE and path.stat().st_size == job.size:
                return path
        return None

    def remove(self, job: str, *, kinds: tuple[str, ...] = ("json", "new", "part", "zip")) -> None:
        """Remove an export: first what is known of it, so that nothing that is left can be fetched."""
        for kind in kinds:
            with contextlib.suppress(FileNotFoundError):
                self._path(job, kind).unlink()

    def sweep(self, older_than: float) -> None:
        """Remove what belongs to no export, if it is older than this moment (seconds since 1970) and nobody holds it.

        What is younger may belong to an export that is just being begun.
        """
        for path in self.directory.iterdir():
            name, _, kind = path.name.partition(".")
            with contextlib.suppress(FileNotFoundError):
                ours = _ID.fullmatch(name) is not None and kind in ("json", "new", "part", "zip")
                old = path.lstat().st_mtime < older_than
                if ours and old and self.read(name) is None and not self.held(name):
                    path.unlink()

    def _path(self, job: str, kind: str) -> Path:
        return self.directory / f"{job}.{kind}"


def open_bundle(path: Path) -> BinaryIO:
    """A bundle to read from; it can be read to its end even if it is removed meanwhile."""
    return os.fdopen(os.open(path, _OLD), "rb")


def shown(conditions: Mapping[str, Any]) -> dict[str, str]:
    """Conditions as an export keeps them: the texts, and of a customer only that there is one."""
    return {name: "" if name == "customer" else str(value) for name, value in conditions.items()}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Job)
