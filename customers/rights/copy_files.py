"""Files of copies of a person's data: sealed under the person's key, and gone after a while.

A file is a run of envelopes, each after its length in four bytes (big-endian): `{part, last}`, the part in base64, in the
slot of the collection `copies`, the copy's id and the part's number. So whoever is erased takes every copy along,
wherever it lies; a part cannot be left out, moved or cut off. One who can write here can only remove a copy. One who can
read here learns how many there are and how big.

A copy of profiles that are merged is sealed under a key of its own, which takes the keys of all of them: it is no longer
opened when they are taken apart, nor when one of them is erased after that. Its first envelope, in the slot
`<copy>:keys`, is `{share, shares}` under the survivor's key; each of the other `shares`, by profile, is sealed under that
profile's key in the slot `<copy>:share`. The exclusive or of all of them is the copy's key.
"""

import base64
import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, BinaryIO, Final

from vault import DataKey, EnvelopeError

_COLLECTION: Final = "copies"
_GROUP: Final = "part"
_VERSION: Final = 1
_PART_BYTES: Final = 192 * 1024
_MOST_BYTES: Final = 8 * _PART_BYTES
_LENGTH: Final = 4
_SHARE_BYTES: Final = 32
# Longer than the first envelope of fifty profiles.
_MOST_KEYS: Final = 64 * 1024
_NAME: Final = re.compile(r"cop_[a-z2-7]{26}", re.ASCII)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SealingFile:
    """A file to write to, such as `zipfile.ZipFile` wants: what is written leaves memory sealed. Not seekable.

    Args:
        directory: Where.
        copy_id: Which copy.
        key: The person's.
        others: The keys of the profiles that were merged into theirs, by profile.
        random: Gives that many random bytes.
    """

    def __init__(
        self,
        directory: Path,
        copy_id: str,
        key: DataKey,
        others: Mapping[str, DataKey],
        random: Callable[[int], bytes],
    ) -> None:
        self._path = directory / copy_id
        self._unfinished = directory / f"{copy_id}.part"
        self._id = copy_id
        self._key = key
        self._waiting = bytearray()
        self._number = 0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(self._unfinished, _NEW, 0o600), "wb")
        if others:
            envelope, self._key = _shared(copy_id, key, others, random)
            self._file.write(len(envelope).to_bytes(_LENGTH, "big") + envelope)

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


def opened(directory: Path, copy_id: str, key: DataKey, others: Mapping[str, DataKey]) -> Iterator[bytes]:
    """The parts of a copy, in their order.

    Raises:
        FileNotFoundError: There is none of this name.
        vault.EnvelopeError: It is not whole, or not this person's.
    """
    with copy_file(directory, copy_id) as file:
        number, last = 0, False
        while not last:
            part, last = part_of(file, copy_id, number, key, others)
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


def part_of(
    file: BinaryIO, copy_id: str, number: int, key: DataKey, others: Mapping[str, DataKey]
) -> tuple[bytes, bool]:
    """The part at which the file stands, and whether it is the last.

    Raises:
        vault.EnvelopeError: It is not whole, not the part of this number, or not this person's alone.
    """
    at = file.tell()
    file.seek(0)
    first = _next(file)
    made_of = _made_of(copy_id, key, first)
    # The first envelope of a copy of one profile is a part already.
    file.seek(at if number else 0 if made_of is None else file.tell())
    if made_of is not None:
        key = _joined(copy_id, key, others, made_of)
    values = key.open(_next(file), _COLLECTION, f"{copy_id}:{number}", _GROUP, _VERSION)
    return base64.b64decode(values["part"]), bool(values["last"])


def _next(file: BinaryIO) -> bytes:
    size = int.from_bytes(file.read(_LENGTH), "big")
    if not 0 < size <= _MOST_BYTES:
        raise EnvelopeError
    return file.read(size)


def _shared(
    copy_id: str, key: DataKey, others: Mapping[str, DataKey], random: Callable[[int], bytes]
) -> tuple[bytes, DataKey]:
    """The first envelope of a copy of several profiles, and the copy's own key: whoever lacks one of theirs has nothing."""
    own, shares = random(_SHARE_BYTES), {each: random(_SHARE_BYTES) for each in others}
    sealed = {
        name: base64.b64encode(
            others[name].seal(_COLLECTION, f"{copy_id}:share", _GROUP, _VERSION, _told(share))
        ).decode()
        for name, share in shares.items()
    }
    envelope = key.seal(_COLLECTION, f"{copy_id}:keys", _GROUP, _VERSION, {**_told(own), "shares": sealed})
    return envelope, _key_of(copy_id, key, [own, *shares.values()], random)


def _made_of(copy_id: str, key: DataKey, first: bytes) -> Mapping[str, Any] | None:
    """What the key of a copy of several profiles is made of; None of a copy of one."""
    if len(first) > _MOST_KEYS:
        return None
    try:
        return key.open(first, _COLLECTION, f"{copy_id}:keys", _GROUP, _VERSION)
    except EnvelopeError:
        return None


def _joined(copy_id: str, key: DataKey, others: Mapping[str, DataKey], made_of: Mapping[str, Any]) -> DataKey:
    shares = [base64.b64decode(made_of["share"])]
    for name, sealed in made_of["shares"].items():
        if name not in others:
            raise EnvelopeError
        envelope = base64.b64decode(sealed)
        share = others[name].open(envelope, _COLLECTION, f"{copy_id}:share", _GROUP, _VERSION)
        shares.append(base64.b64decode(share["share"]))
    return _key_of(copy_id, key, shares, os.urandom)


def _key_of(copy_id: str, key: DataKey, shares: list[bytes], random: Callable[[int], bytes]) -> DataKey:
    secret = reduce(lambda one, other: bytes(a ^ b for a, b in zip(one, other, strict=True)), shares)
    return DataKey(secret, tenant=key.tenant, customer_id=copy_id, generation=1, leaf=0, random=random)


def _told(share: bytes) -> dict[str, Any]:
    return {"share": base64.b64encode(share).decode()}


def sweep(directory: Path, before: float) -> int:
    """Remove the copies, whole or not, that were last written before this moment (seconds since 1970); give how many."""
    removed = 0
    for each in directory.glob("cop_*"):
        with contextlib.suppress(FileNotFoundError):  # another process was first
            if each.stat().st_mtime < before:
                each.unlink()
                removed += 1
    return removed
