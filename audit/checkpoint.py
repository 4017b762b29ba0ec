"""The texts that the log signs: a checkpoint of one shard, the roster of all shards, a change of the signing key.

Values in, values out. Each parses from a note whose signatures were verified, or are about to be; each writes exactly
one text, and parsing accepts no other. The formats have pages: docs/formats/checkpoint.md, roster.md, key-change.md.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from audit.entry import Head
from audit.errors import (
    AuditInconsistentError,
    CheckpointInvalidError,
    KeyChangeInvalidError,
    LogNameInvalidError,
    NoteError,
    RecordInvalidError,
    RosterInvalidError,
    VerifierKeyInvalidError,
)
from audit.note import VerifierKey, decode_base64, encode_base64
from audit.record import moment
from audit.tree import EMPTY_ROOT

ROSTER_TITLE = "confide.audit.roster/v1"
KEY_CHANGE_TITLE = "confide.audit.key/v1"
MAX_ROSTER_BYTES = 8 * 1024 * 1024
"""Of a roster's note: about a hundred thousand shards. It is kept in one document of the database."""
MAX_SIZE = 10**12
"""What a shard may hold; its batches are numbered with twelve digits."""

_HASH = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)
_SHARD = re.compile(r"[0-9a-f]{12}", re.ASCII)
_FIRST = "-"


def require_log_name(name: str) -> str:
    """`name`, if a log may have it: 1 to 64 letters, digits, full stops, dashes and underscores.

    Raises:
        LogNameInvalidError: It may not.
    """
    if _NAME.fullmatch(name) is None:
        raise LogNameInvalidError("a log's name is 1 to 64 letters, digits, full stops, dashes and underscores")
    return name


def key_name(log: str) -> str:
    """The name that a log's key signs under."""
    return f"confide.audit/{require_log_name(log)}"


def origin(log: str, shard: str) -> str:
    """What names a shard of a log among all the logs of the world, in its checkpoints."""
    return f"{key_name(log)}/{shard}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head of a tree (C2SP tlog-checkpoint), without extension lines."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint that a note's text is.

        Raises:
            CheckpointInvalidError: Not a checkpoint; or with further lines, such as a second root.
        """
        lines = _lines(text, CheckpointInvalidError)
        if len(lines) != 3 or not lines[0]:  # noqa: PLR2004 - origin, size, root
            raise CheckpointInvalidError("a checkpoint has three lines: origin, size, root")
        return cls(lines[0], *_head(lines[1], lines[2], CheckpointInvalidError))

    def require_after(self, older: "Checkpoint") -> None:
        """Return only if, as far as the two alone tell, this tree may have grown out of the older one.

        Raises:
            AuditInconsistentError: Another tree, a smaller one, or another root for the same size.
        """
        if self.origin != older.origin:
            raise AuditInconsistentError("two checkpoints are of different trees")
        if self.size < older.size:
            raise AuditInconsistentError("the later checkpoint is of a smaller tree")
        if self.size == older.size and self.root != older.root:
            raise AuditInconsistentError("two checkpoints have two roots for one size")


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A shard in a roster: its number, its head, and whether it may still grow."""

    number: int
    shard: str
    size: int
    root: bytes
    closed: bool = False

    @property
    def head(self) -> Head:
        """The shard's head."""
        return Head(self.shard, self.size, self.root)

    def line(self) -> str:
        """The roster's line, without its line end."""
        state = "closed" if self.closed else "open"
        return f"{self.number} {self.shard} {self.size} {encode_base64(self.root)} {state}"


@dataclass(frozen=True, slots=True)
class Roster:
    """All shards of a log at a time: the list that the log signs. `sequence` decides what is later, not `time`."""

    log: str
    sequence: int
    time: str
    previous: bytes | None
    """SHA-256 of the text of the roster before; None in the first."""
    entries: tuple[RosterEntry, ...]

    def text(self) -> str:
        """The note's text."""
        previous = _FIRST if self.previous is None else encode_base64(self.previous)
        head = (ROSTER_TITLE, self.log, str(self.sequence), self.time, previous)
        return "".join(f"{line}\n" for line in (*head, *(entry.line() for entry in self.entries)))

    def digest(self) -> bytes:
        """What the next roster holds as `previous`."""
        return text_digest(self.text())

    def checkpoint(self, entry: RosterEntry) -> Checkpoint:
        """The checkpoint that says of one shard what the roster says."""
        return Checkpoint(origin(self.log, entry.shard), entry.size, entry.root)

    def entry(self, shard: str) -> RosterEntry | None:
        """What the roster says of a shard."""
        return next((entry for entry in self.entries if entry.shard == shard), None)

    @classmethod
    def parse(cls, text: str) -> "Roster":
        """The roster that a note's text is.

        Raises:
            RosterInvalidError: Not a roster: a line too many or too few, shards not numbered 1, 2, 3…, one twice.
        """
        lines = _lines(text, RosterInvalidError)
        if len(lines) < 5 or lines[0] != ROSTER_TITLE:  # noqa: PLR2004 - the lines before the shards
            raise RosterInvalidError("not a roster of this version")
        sequence = _size(lines[2], RosterInvalidError)
        first = lines[4] == _FIRST
        if sequence < 1 or first != (sequence == 1):
            raise RosterInvalidError("rosters count from 1, and only the first has none before it")
        roster = cls(
            log=_log(lines[1], RosterInvalidError),
            sequence=sequence,
            time=_time(lines[3], RosterInvalidError),
            previous=None if first else _hash(lines[4], RosterInvalidError),
            entries=tuple(_entry(number, line) for number, line in enumerate(lines[5:], 1)),
        )
        if len({entry.shard for entry in roster.entries}) < len(roster.entries):
            raise RosterInvalidError("a roster has a shard twice")
        return roster

    def require_after(self, older: "Roster") -> None:
        """Return only if this roster is the next after `older`; times may go either way.

        Raises:
            RosterInvalidError: Not the next one, or of another log.
            AuditInconsistentError: It says otherwise of a shard than one that has only grown would: gone, renumbered,
                smaller, another root for the same size, or grown after it was closed.
        """
        if (self.log, self.sequence, self.previous) != (older.log, older.sequence + 1, older.digest()):
            raise RosterInvalidError("the roster is not the one that follows")
        if len(self.entries) < len(older.entries):
            raise AuditInconsistentError("a shard is missing from the later roster")
        for before, now in zip(older.entries, self.entries, strict=False):
            if fault := _ungrown(before, now):
                raise AuditInconsistentError(f"shard {now.number} {fault}")


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The log's next signing key. Rosters up to the one named are signed by the old key, later ones by the new."""

    log: str
    time: str
    old: VerifierKey
    new: VerifierKey
    roster: bytes
    """SHA-256 of the text of the last roster that the old key signed."""

    def text(self) -> str:
        """The note's text, which both keys sign."""
        lines = (KEY_CHANGE_TITLE, self.log, self.time, str(self.old), str(self.new), encode_base64(self.roster))
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "KeyChange":
        """The key change that a note's text is.

        Raises:
            KeyChangeInvalidError: Not a key change; a key of another log or kind; the new key is the old one.
        """
        lines = _lines(text, KeyChangeInvalidError)
        if len(lines) != 6 or lines[0] != KEY_CHANGE_TITLE:  # noqa: PLR2004 - see KeyChange.text
            raise KeyChangeInvalidError("not a key change of this version")
        try:
            change = cls(
                log=_log(lines[1], KeyChangeInvalidError),
                time=_time(lines[2], KeyChangeInvalidError),
                old=VerifierKey.parse(lines[3]),
                new=VerifierKey.parse(lines[4]),
                roster=_hash(lines[5], KeyChangeInvalidError),
            )
        except VerifierKeyInvalidError:
            raise KeyChangeInvalidError("a key change names two Ed25519 verifier keys") from None
        names = {change.old.name, change.new.name}
        if change.text() != text or names != {key_name(change.log)} or change.old == change.new:
            raise KeyChangeInvalidError("a key change names two keys of its log, and not the same twice")
        return change


def text_digest(text: str) -> bytes:
    """SHA-256 of a note's text."""
    return sha256(text.encode()).digest()


def _ungrown(before: RosterEntry, now: RosterEntry) -> str | None:
    """What is wrong with a shard's later line, given its earlier one."""
    if (now.number, now.shard) != (before.number, before.shard):
        return "is another shard in the later roster"
    if now.size < before.size:
        return "is smaller in the later roster"
    if now.size == before.size and now.root != before.root:
        return "has two roots for one size"
    if before.closed and now != before:
        return "was closed and is not as it was"
    return None


def _entry(number: int, line: str) -> RosterEntry:
    parts = line.split(" ")
    if len(parts) != 5 or parts[0] != str(number) or parts[4] not in ("open", "closed"):  # noqa: PLR2004 - its parts
        raise RosterInvalidError("a roster's line is number, shard, size, root and state, numbered without gaps")
    if _SHARD.fullmatch(parts[1]) is None:
        raise RosterInvalidError("a shard id is twelve lower-case hexadecimal digits")
    return RosterEntry(number, parts[1], *_head(parts[2], parts[3], RosterInvalidError), closed=parts[4] == "closed")


def _head(size: str, root: str, error: type[NoteError]) -> tuple[int, bytes]:
    head = _size(size, error), _hash(root, error)
    if not head[0] and head[1] != EMPTY_ROOT:
        raise error("an empty tree has one root, the hash of nothing")
    return head


def _lines(text: str, error: type[NoteError]) -> Sequence[str]:
    if not text.endswith("\n"):
        raise error("the text does not end with a line end")
    return text[:-1].split("\n")


def _size(text: str, error: type[NoteError]) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise error("a number is decimal, without leading zeros, and within bounds")
    return int(text)


def _hash(text: str, error: type[NoteError]) -> bytes:
    data = decode_base64(text)
    if data is None or len(data) != _HASH:
        raise error("a hash is the base64 of 32 bytes")
    return data


def _log(text: str, error: type[NoteError]) -> str:
    try:
        return require_log_name(text)
    except LogNameInvalidError:
        raise error("not the name of a log") from None


def _time(text: str, error: type[NoteError]) -> str:
    try:
        moment(text)
    except RecordInvalidError:
        raise error("a time is RFC 3339 in UTC with six digits of the second") from None
    return text


def require_chain(rosters: Iterable[Roster]) -> None:
    """Return only if each roster follows the one before it.

    Raises:
        RosterInvalidError, AuditInconsistentError: One does not.
    """
    before: Roster | None = None
    for roster in rosters:
        if before is not None:
            roster.require_after(before)
        before = roster
