"""Files of copies of a person's data: sealed under the person's key, and gone after a while.

A file is a run of envelopes, each after its length in four bytes (big-endian): `{part, last}`, the part in base64, in the
slot of the collection `copies`, the copy's id and the part's number. So whoever is erased takes every copy along,
wherever it lies; a part cannot be left out, moved or cut off. One who can write here can only remove a copy. One who can
read here learns how many there are and how big.
"""

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from vault import DataKey, EnvelopeError

_COLLECTION: Final = "copies"
_GROUP: Final = "part"
_VERSION: Final = 1
_PART_BYTES: Final = 192 * 1024
_MOST_BYTES: Final = 8 * _PART_BYTES
_LENGTH: Final = 4
_NAME: Final = re.compile(r"cop_[a-z2-7]{26}", re.ASCII)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SealingFile:
    """A file to write to, such as `zipfile.ZipFile` wants: what is written leaves memory sealed. Not seekable."""

    def __init__(self, directory: Path, copy_id: str, key: DataKey) -> None:
        self._path = directory / copy_id
        self._unfinished = directory / f"{copy_id}.part"
        self._id = copy_id
        self._key = key
        self._waiting = bytearray()
        self._number = 0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(self._unfinished, _NEW, 0o600), "wb")

    def write(self, data: Any) -> int:
        """Take bytes; whole parts are written."""
        self._waiting += data
        while len(self._waiting) > _PART_BYTES:
            self._put(bytes(self._waiting[:_PART_BYTES]), last=False)
            del self._waiting[:_PART_BYTES]
        return len(data)

    def flush(self) -> None:
        """Nothing: a part is written when it is whole."""

    def finish(self) -> None:
        """Write the last part; only then is the copy there under its name."""
        self._put(bytes(self._waiting), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.rename(self._path)

    def close(self) -> None:
        """Leave nothing of a copy that was not finished."""
        self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def _put(self, part: bytes, *, last: bool) -> None:
        values = {"part": base64.b64encode(part).decode(), "last": last}
        envelope = self._key.seal(_COLLECTION, f"{self._id}:{self._number}", _GROUP, _VERSION, values)
        self._number += 1
        self._file.write(len(envelope).to_bytes(_LENGTH, "big") + envelope)


def opened(directory: Path, copy_id: str, key: DataKey) -> Iterator[bytes]:
    """The parts of a copy, in their order.

    Raises:
        FileNotFoundError: There is none of this name.
        vault.EnvelopeError: It is not whole, or not this person's.
    """
    with copy_file(directory, copy_id) as file:
        number, last = 0, False
        while not last:
            part, last = part_of(file, copy_id, number, key)
            number += 1
            yield part


def copy_file(directory: Path, copy_id: str) -> BinaryIO:
    """The file of a copy, to be read part by part; whoever asks closes it.

    Raises:
        FileNotFoundError: There is none of this name.
    """
    if not _NAME.fullmatch(copy_id):
        raise FileNotFoundError
    return (directory / copy_id).open("rb")


def part_of(file: BinaryIO, copy_id: str, number: int, key: DataKey) -> tuple[bytes, bool]:
    """The part at which the file stands, and whether it is the last.

    Raises:
        vault.EnvelopeError: It is not whole, not the part of this number, or not this person's.
    """
    size = int.from_bytes(file.read(_LENGTH), "big")
    if not 0 < size <= _MOST_BYTES:
        raise EnvelopeError
    values = key.open(file.read(size), _COLLECTION, f"{copy_id}:{number}", _GROUP, _VERSION)
    return base64.b64decode(values["part"]), bool(values["last"])


def sweep(directory: Path, before: float) -> int:
    """Remove the copies, whole or not, that were last written before this moment (seconds since 1970); give how many."""
    removed = 0
    for each in directory.glob("cop_*"):
        with contextlib.suppress(FileNotFoundError):  # another process was first
            if each.stat().st_mtime < before:
                each.unlink()
                removed += 1
    return removed
