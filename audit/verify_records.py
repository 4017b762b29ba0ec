"""The bulk of a bundle: roots recomputed from the leaf hashes, records held against their leaf hashes.

A record costs one hash and one comparison here; nothing of it is decoded unless the bundle is filtered or holds a
derived form. Subtrees are hashed level by level, which costs half of what walking the tree leaf by leaf does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import BinaryIO

import msgspec

from audit import derived
from audit.bundle import HASH, MAX_LINE_BYTES, RECORDS, Manifest, ShardCount, asked_for, hashes_member, line_start
from audit.container import Member
from audit.errors import BundleInvalidError, RecordInvalidError
from audit.record import decode_record
from audit.tree import EMPTY_ROOT
from audit.verdict import BundleFaultKind, Findings

_HEIGHT = 12  # of the subtrees hashed at once: 128 KiB of leaf hashes
_WINDOW = 32_768  # leaf hashes held while records are compared
_ENTRY = re.compile(rb'\{"entry":"([0-9a-f]{12})\.(0|[1-9]\d{0,11})","record":', re.ASCII)


class Bytes:
    """Chunks as one run of bytes to take from the front."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or what is left."""
        if len(self._held) - self._at < size:
            held = [self._held[self._at :]]
            missing = size - len(held[0])
            while missing > 0 and (chunk := next(self._chunks, None)) is not None:
                held.append(chunk)
                missing -= len(chunk)
            self._held, self._at = b"".join(held), 0
        start, self._at = self._at, min(self._at + size, len(self._held))
        return self._held[start : self._at]


def roots(leaves: Bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The root of the tree over the first n leaf hashes, for each n of the ascending `sizes`."""
    stack: list[tuple[int, bytes]] = []
    at = 0
    for size in sizes:
        while at < size:
            height = (size - at).bit_length() - 1
            height = min(height, _HEIGHT, (at & -at).bit_length() - 1 if at else _HEIGHT)
            node = _perfect(leaves.take(HASH << height))
            at += 1 << height
            while stack and stack[-1][0] == height:
                node = sha256(b"\x01" + stack.pop()[1] + node).digest()
                height += 1
            stack.append((height, node))
        root = stack[-1][1] if stack else EMPTY_ROOT
        for _, left in reversed(stack[:-1]):
            root = sha256(b"\x01" + left + root).digest()
        yield root


def _perfect(level: bytes) -> bytes:
    """The root over so many leaf hashes as a power of two."""
    while len(level) > HASH:
        level = b"".join(
            [sha256(b"\x01" + level[at : at + 2 * HASH]).digest() for at in range(0, len(level), 2 * HASH)]
        )
    return level


def check_hashes(findings: Findings, entry: ShardCount, member: Member, file: BinaryIO) -> None:
    """Recompute the shard's root at every size that a roster states.

    A run that starts with the same leaf hashes has consistent roots, so this holds between every pair of rosters.
    """
    if member.header.size != entry.size * HASH:
        raise BundleInvalidError("a shard's leaf hashes are not as many as its size", member.name, member.start)
    heads = [head for head in findings.heads.get(entry.shard, ()) if head[0] <= entry.size]
    leaves = Bytes(member.chunks(file))
    good = 0
    for (size, stated, sequence), root in zip(heads, roots(leaves, [head[0] for head in heads]), strict=True):
        if root != stated:
            sentence = (
                f"The leaf hashes do not lead to the root that roster {sequence} states for shard {entry.number} at "
                f"size {size}: of the leaves from {good} to {size - 1} at least one is not what was signed."
            )
            findings.fault(
                BundleFaultKind.ROOT, member.name, sentence, shard=entry.shard, index=good, sequence=sequence
            )
            break
        good = size
    while leaves.take(1 << 20):  # to the end, for the member's checksum
        pass
    findings.leaves += entry.size


class RecordCheck:
    """Goes through the records, each against its leaf hash."""

    def __init__(self, findings: Findings, manifest: Manifest, file: BinaryIO, members: Mapping[str, Member]) -> None:
        self._findings = findings
        self._manifest = manifest
        self._file = file
        self._members = members
        self._query = None if manifest.full else manifest.filter.query()
        self._derived: Bytes | None = None
        if manifest.form.member:
            self._derived = Bytes(members[manifest.form.member].chunks(file))
        self._counts = [0] * len(manifest.shards)
        self._places = {entry.shard: at for at, entry in enumerate(manifest.shards)}
        self._at = 0  # which shard
        self._next = 0  # the leaf after the last record's
        self._window = b""
        self._first = 0

    def check(self) -> None:
        """Check every line, and that none is missing.

        Raises:
            BundleInvalidError: The records cannot be read to their end.
        """
        if self._derived is not None:
            self._compare(derived.heading(self._manifest.form), None, None)
        self._skip_empty()
        ordered = all(self._lines(lines) for lines in self._read())
        if ordered and self._manifest.full:
            self._missing(len(self._manifest.shards), 0)
        if ordered:
            self._miscounted()
        if self._derived is not None and ordered and self._derived.take(1):
            self._compare(b"", None, None, extra=True)

    def _read(self) -> Iterator[list[bytes]]:
        member = self._members[RECORDS]
        rest = b""
        done = 0
        for chunk in member.chunks(self._file):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if max(map(len, lines), default=0) >= MAX_LINE_BYTES or len(rest) >= MAX_LINE_BYTES:
                raise self._unreadable("a line is longer than a record can be")
            yield lines
            done += len(chunk)
            self._findings.progress(done, member.header.size)
        if rest:
            raise self._unreadable("the last line does not end")

    def _lines(self, lines: Sequence[bytes]) -> bool:
        """Check some lines; False when the order is lost and those after cannot be placed."""
        findings = self._findings
        for line in lines:
            start = b""
            if self._at < len(self._manifest.shards):
                start = line_start(self._manifest.shards[self._at].shard, self._next)
            if not start or not line.startswith(start):
                found = _ENTRY.match(line)
                if found is None or not self._jump(found[1].decode(), int(found[2])):
                    self._misplaced()
                    return False
                start = found[0]
            at = self._next - self._first
            stored = self._window[at * HASH : at * HASH + HASH] if at >= 0 else b""
            if not stored:
                stored = self._load()
            data = line[len(start) : -1]
            if sha256(b"\x00" + data).digest() != stored or line[-1:] != b"}":
                self._changed()
            elif self._query is not None or self._derived is not None:
                self._read_closely(data)
            self._counts[self._at] += 1
            findings.records += 1
            self._next += 1
            if self._next == self._manifest.shards[self._at].size:
                self._at, self._next, self._window = self._at + 1, 0, b""
                self._skip_empty()
        return True

    def _skip_empty(self) -> None:
        while self._at < len(self._manifest.shards) and not self._manifest.shards[self._at].size:
            self._at += 1

    def _jump(self, shard: str, index: int) -> bool:
        """Go on at this entry, if it is further on."""
        at = self._places.get(shard, -1)
        if (at, index) < (self._at, self._next) or index >= self._manifest.shards[at].size:
            return False
        if self._manifest.full:
            self._missing(at, index)
        if at != self._at:
            self._window = b""
        self._at, self._next = at, index
        return True

    def _missing(self, at: int, index: int) -> None:
        """Note what is missing from here up to the entry `index` of shard number `at` + 1, if anything."""
        while (self._at, self._next) < (at, index):
            entry = self._manifest.shards[self._at]
            end = index if self._at == at else entry.size
            if end > self._next:
                sentence = f"Records {self._next} to {end - 1} of shard {entry.number} are missing."
                self._findings.fault(
                    BundleFaultKind.RECORD_MISSING, RECORDS, sentence, shard=entry.shard, index=self._next
                )
            self._at, self._next = (self._at, index) if self._at == at else (self._at + 1, 0)

    def _miscounted(self) -> None:
        for entry, count in zip(self._manifest.shards, self._counts, strict=True):
            if count != entry.records:
                sentence = f"The manifest says {entry.records} records of shard {entry.number}; there are {count}."
                self._findings.fault(BundleFaultKind.RECORD_MISSING, RECORDS, sentence, shard=entry.shard)

    def _load(self) -> bytes:
        """The next record's leaf hash, and those after it for the next records."""
        entry = self._manifest.shards[self._at]
        self._file.seek(self._members[hashes_member(entry.number, entry.shard)].start + self._next * HASH)
        self._first = self._next
        self._window = self._file.read(min(_WINDOW, entry.size - self._next) * HASH)
        return self._window[:HASH]

    def _read_closely(self, data: bytes) -> None:
        """Decode a record whose bytes are right: was it asked for, and is the derived form what follows from it?"""
        try:
            record = decode_record(data)
        except RecordInvalidError:
            self._here(BundleFaultKind.RECORD_INVALID, "is what was signed, and yet no record of this format")
            return
        if self._query is not None and not asked_for(self._query, record):
            self._here(BundleFaultKind.NOT_ASKED_FOR, "is not among what the manifest says was asked for")
        if self._derived is not None:
            shard = self._manifest.shards[self._at].shard
            name, form = f"{shard}.{self._next}", self._manifest.form
            line = derived.line(form, self._manifest.log, name, msgspec.json.decode(data))
            self._compare(line, shard, self._next)

    def _compare(self, line: bytes, shard: str | None, index: int | None, *, extra: bool = False) -> None:
        """Hold the derived form's next line against what it must be; after a difference, no further."""
        member = self._manifest.form.member
        if self._derived is None or member is None:
            return
        if extra or self._derived.take(len(line)) != line:
            where = "Its end" if extra else "Its heading" if shard is None else f"The line of entry {shard}.{index}"
            sentence = f"{where} is not what follows from the records."
            self._derived = None
            self._findings.fault(BundleFaultKind.DERIVED, member, sentence, shard=shard, index=index)

    def _changed(self) -> None:
        self._here(BundleFaultKind.RECORD_CHANGED, "is not the record that was logged")

    def _here(self, kind: BundleFaultKind, what: str) -> None:
        """A fault of the entry that the verifier is at."""
        shard, line = self._manifest.shards[self._at].shard, self._findings.records + 1
        sentence = f"Entry {shard}.{self._next}, in line {line}, {what}."
        self._findings.fault(kind, RECORDS, sentence, shard=shard, index=self._next, line=line)

    def _misplaced(self) -> None:
        at, line = min(self._at, len(self._manifest.shards) - 1), self._findings.records + 1
        shard = self._manifest.shards[at].shard if at >= 0 else None
        sentence = f"Line {line} is no entry, or one that is not further on; nothing from there on was compared."
        self._findings.fault(
            BundleFaultKind.RECORD_MISPLACED, RECORDS, sentence, shard=shard, index=self._next, line=line
        )

    def _unreadable(self, what: str) -> BundleInvalidError:
        return BundleInvalidError(what, RECORDS, self._members[RECORDS].start)
