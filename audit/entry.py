"""What names an entry, a place in a search, and what a reader gets back."""

import base64
import binascii
import re
from dataclasses import dataclass

from audit.errors import EntryIdInvalidError, PositionInvalidError, ShardIdInvalidError
from audit.record import Record

_SHARD = re.compile(r"[0-9a-f]{12}", re.ASCII)
_ENTRY_ID = re.compile(r"([0-9a-f]{12})\.(0|[1-9]\d{0,11})", re.ASCII)
_POSITION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([0-9a-f]{12}|~) (0|[1-9]\d{0,11})", re.ASCII)


def require_shard(text: str) -> str:
    """`text`, if it is a shard id.

    Raises:
        ShardIdInvalidError: It is not.
    """
    if _SHARD.fullmatch(text) is None:
        raise ShardIdInvalidError("a shard id is twelve lower-case hexadecimal digits")
    return text


@dataclass(frozen=True, slots=True)
class EntryId:
    """Where an entry is: its shard, and its leaf in that shard's tree. As text, `8c0f1e2d3a4b.17`."""

    shard: str
    index: int

    def __str__(self) -> str:
        return f"{self.shard}.{self.index}"

    @classmethod
    def parse(cls, text: str) -> "EntryId":
        """The id that `text` writes.

        Raises:
            EntryIdInvalidError: Not an entry's id.
        """
        found = _ENTRY_ID.fullmatch(text)
        if found is None:
            raise EntryIdInvalidError("an entry's id is a shard, a full stop and a number")
        return cls(found[1], int(found[2]))


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the order of a search. Its text is opaque and holds a time and an entry's id, nothing personal.

    A shard of `~`, above every shard, stands for "from this time on".
    """

    time: str
    shard: str = "~"
    index: int = 0

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.time} {self.shard} {self.index}".encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that a search gave out as `text`.

        Raises:
            PositionInvalidError: No search gave that out.
        """
        try:
            plain = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            plain = ""
        found = _POSITION.fullmatch(plain)
        position = cls(found[1], found[2], int(found[3])) if found else None
        if position is None or str(position) != text:
            raise PositionInvalidError("not a position that a search gave out")
        return position


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as the log holds it."""

    id: EntryId
    record: Record

    @property
    def position(self) -> Position:
        """Where a search continues after this entry."""
        return Position(self.record.time, self.id.shard, self.id.index)


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first. `next` is where the search continues; None when everything was seen.

    A page may be short, even empty, and still have a `next`: a search does a bounded amount of work at a time.
    """

    entries: tuple[Entry, ...]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A key that was destroyed: its fingerprint, its leaf, and the key ring that the leaf is counted in."""

    id: EntryId
    time: str
    leaf: int
    fingerprint: str
    ring: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """How far a shard has come: its number of entries and its tree's root."""

    shard: str
    size: int
    root: bytes
