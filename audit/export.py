"""Writing a bundle: the log up to its newest signed roster, and of its records those that were asked for.

Everything is packed into temporary files first and then written in the bundle's order, so memory stays constant and
the result can go to a file, a pipe or a download. The temporary files hold records: they have no name and end with the
export. An export is itself an access: whoever starts one appends the record of it. docs/formats/audit-bundle.md
"""

import asyncio
import contextlib
import tempfile
import zlib
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ParamSpec, Protocol, TypeVar

import msgspec

from audit import derived
from audit.batch import Batch
from audit.bundle import (
    END,
    HASH,
    MANIFEST,
    RECORDS,
    BundleForm,
    Filter,
    Manifest,
    ShardCount,
    asked_for,
    hashes_member,
    key_member,
    line_start,
    roster_member,
)
from audit.checkpoint import MAX_ROSTER_BYTES, Roster, RosterEntry
from audit.container import STORED, ContainerWriter, Packed, Packer, Sink
from audit.errors import AuditCorruptError, NothingSignedError
from audit.note import parse_note
from audit.query import AccessQuery
from audit.reader import AccessReader
from audit.record import decode_record, timestamp
from audit.roster_store import StoredRoster
from audit.tree import leaf_hash

P = ParamSpec("P")
T = TypeVar("T")


async def uninterrupted(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work beside the event loop, to its end: a caller that is cancelled meanwhile ends when it did.

    So nothing is closed or removed while the work still uses it.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told that it was not
        raise


class StoredNotes(Protocol):
    """Where the log's signed notes are stored; audit/roster_store.py is one."""

    def each(self) -> AsyncIterator[StoredRoster]:
        """Every roster from the first, with the key change that follows it."""
        ...


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export is: entries read, of how many, and records found among them."""

    read: int
    of: int
    found: int


async def export_bundle(
    reader: AccessReader,
    notes: StoredNotes,
    out: Sink,
    *,
    now: Callable[[], datetime],
    query: AccessQuery | None = None,
    form: BundleForm = BundleForm.JSONL,
    progress: Callable[[ExportProgress], None] | None = None,
    directory: Path | None = None,
) -> Manifest:
    """Write the bundle of all records, or of those that `query` finds, as of the newest roster.

    Records that no roster covers yet are not in it: make a checkpoint first, to have them all.

    Args:
        reader: The log.
        notes: The log's signed notes.
        out: Where the bundle goes; need not be seekable.
        now: The present, with a time zone.
        query: What is asked for; None for everything.
        form: What the bundle holds besides the records' own bytes.
        progress: Told after every batch.
        directory: Where temporary files go, up to the bundle's size; None for the system's place.

    Returns:
        The bundle's manifest.

    Raises:
        NothingSignedError: There is no roster.
        AuditCorruptError: What is stored cannot have been written by this log; the message names the batch.
        AuditUnavailableError: The database failed.
        OSError: A file could not be written.
    """
    with ExitStack() as files:
        spools = _Spools(*(files.enter_context(tempfile.TemporaryFile(dir=directory)) for _ in range(4)))
        sealed = await _notes(notes, spools.notes)
        export = _Export(sealed.newest, query, form, spools, progress or (lambda _progress: None))
        for entry in sealed.newest.entries:
            await export.add(reader, entry)
        manifest = Manifest(
            created=timestamp(now()),
            filter=Filter.of(query or AccessQuery()),
            form=form,
            key_changes=len(sealed.changes),
            log=sealed.newest.log,
            rosters=len(sealed.sizes),
            shards=tuple(export.shards),
        )
        await uninterrupted(_assemble, manifest, sealed, export, out)
    return manifest


@dataclass(frozen=True, slots=True)
class _Spools:
    notes: BinaryIO
    hashes: BinaryIO
    records: BinaryIO
    derived: BinaryIO


@dataclass(frozen=True, slots=True)
class _Notes:
    """The newest roster, the sizes of all rosters' notes, and the key changes' notes."""

    newest: Roster
    sizes: "array[int]"
    changes: list[bytes]


async def _notes(stored: StoredNotes, spool: BinaryIO) -> _Notes:
    """Copy the notes, up to the newest roster and the key change that follows it."""
    sizes, changes, newest = array("Q"), [], b""
    async for roster in stored.each():
        newest = roster.note
        spool.write(newest)
        sizes.append(len(newest))
        if roster.change is not None:
            changes.append(roster.change.note)
    if not newest:
        raise NothingSignedError("the log has no signed roster yet")
    return _Notes(Roster.parse(parse_note(newest, max_bytes=MAX_ROSTER_BYTES).text), sizes, changes)


class _Export:
    """Packs leaf hashes and records, shard after shard."""

    def __init__(
        self,
        newest: Roster,
        query: AccessQuery | None,
        form: BundleForm,
        spools: _Spools,
        progress: Callable[[ExportProgress], None],
    ) -> None:
        self._log = newest.log
        self._query = query if query is not None and query != AccessQuery() else None
        self._needles = self._query.needles() if self._query else ()
        self._form = form
        self._progress = progress
        self._of = sum(entry.size for entry in newest.entries)
        self._read = self._found = 0
        self.spools = spools
        self.records = Packer(spools.records)
        self.derived = Packer(spools.derived) if form.member else None
        self.hashes: list[Packed] = []
        self.shards: list[ShardCount] = []
        if self.derived is not None:
            self.derived.write(derived.heading(form))

    async def add(self, reader: AccessReader, entry: RosterEntry) -> None:
        """Pack a shard, up to the size that the roster states."""
        crc, before = 0, self._found
        async for batch in reader.batches(entry.shard, entry.size):
            count = min(batch.edge.size, entry.size) - batch.first
            leaves = b"".join(batch.leaves[:count])
            crc = zlib.crc32(leaves, crc)
            self.spools.hashes.write(leaves)
            # Hashing and packing leave the event loop free.
            await uninterrupted(self._records, batch, count)
            self._read += count
            self._progress(ExportProgress(self._read, self._of, self._found))
        self.hashes.append(Packed(STORED, crc, entry.size * HASH, entry.size * HASH))
        self.shards.append(
            ShardCount(number=entry.number, records=self._found - before, shard=entry.shard, size=entry.size)
        )

    def _records(self, batch: Batch, count: int) -> None:
        for index, (data, leaf) in enumerate(zip(batch.records[:count], batch.leaves, strict=False), batch.first):
            if leaf_hash(data) != leaf:
                raise AuditCorruptError(f"batch {batch.id} holds something that this log did not write")
            if self._query is not None:
                if not all(needle in data for needle in self._needles):
                    continue
                if not asked_for(self._query, decode_record(data)):
                    continue
            self.records.write(line_start(batch.shard, index) + data + END)
            self._found += 1
            if self.derived is not None:
                entry = f"{batch.shard}.{index}"
                self.derived.write(derived.line(self._form, self._log, entry, msgspec.json.decode(data)))


def _assemble(manifest: Manifest, notes: _Notes, export: _Export, out: Sink) -> None:
    """Write the members in the bundle's order."""
    records = export.records.finish()
    other = export.derived.finish() if export.derived is not None else None
    spools = export.spools
    for spool in (spools.notes, spools.hashes, spools.records, spools.derived):
        spool.seek(0)
    with ContainerWriter(out) as bundle:
        bundle.store(MANIFEST, manifest.to_bytes())
        for number, note in enumerate(notes.changes, 1):
            bundle.store(key_member(number), note)
        for sequence, size in enumerate(notes.sizes, 1):
            bundle.store(roster_member(sequence), spools.notes.read(size))
        for entry, packed in zip(manifest.shards, export.hashes, strict=True):
            bundle.copy(hashes_member(entry.number, entry.shard), spools.hashes, packed)
        bundle.copy(RECORDS, spools.records, records)
        if other is not None and manifest.form.member:
            bundle.copy(manifest.form.member, spools.derived, other)
        bundle.finish()
