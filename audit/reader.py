"""Reading the log: one entry, a search, the tombstones, and the check of a whole shard."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from audit.batch import MAX_SPAN_SECONDS, Batch, Fault, FaultKind, batch_id, check_batch, parse_batch, read_record
from audit.end import is_end, parse_end
from audit.entry import Entry, EntryId, Head, Page, Position, Tombstone, require_shard
from audit.errors import AuditCorruptError, EntryNotFoundError
from audit.query import AccessQuery
from audit.record import Kind, moment, timestamp
from audit.store import BatchStore
from audit.tree import Edge

MAX_PAGE = 1000

# The embedded engine's cost follows what lies between the bounds, not the limit: look a little way back first.
_WINDOWS = (0.25, 2, 16, 128, 1024, 8192, 65_536, 524_288)  # seconds
_CHUNKS = (4, 8, 16)
_MOST_AT_ONCE = 32
_MOST_BATCHES = 128
_LEAVES_AT_A_TIME = 2048
_TOP = "~"  # above every time


@dataclass(frozen=True, slots=True)
class ShardCheck:
    """What a check of a shard found; true when nothing is wrong. `head` is as far as everything was right."""

    head: Head
    fault: Fault | None

    def __bool__(self) -> bool:
        return self.fault is None


class AccessReader:
    """Reads a log, without a shard of its own.

    Every method raises AuditUnavailableError when the database fails, and all but `verify_shard` raise
    AuditCorruptError when what they need of it cannot have been written by a log.
    """

    def __init__(self, store: BatchStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    @classmethod
    def over(cls, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime]) -> "AccessReader":
        """The reader of the log in `database`."""
        return cls(BatchStore.over(database), now)

    async def get(self, entry_id: EntryId) -> Entry:
        """The entry.

        Raises:
            EntryNotFoundError: There is none.
        """
        document = await self._store.holding(entry_id.shard, entry_id.index)
        batch = None if document is None or is_end(document) else parse_batch(document)
        if batch is None or entry_id.index >= batch.edge.size:
            raise EntryNotFoundError("there is no such entry in the access log")
        return Entry(entry_id, read_record(batch, entry_id.index - batch.first))

    async def search(self, query: AccessQuery, *, after: Position | None = None, limit: int = 50) -> Page:
        """Up to `limit` (1 to 1000) of the matching entries that come after `after`, newest first.

        Entries of one time come by shard and leaf, highest first, so pages neither repeat nor skip. One call reads a
        bounded number of batches: follow `Page.next` until it is None. For a subject a page is one look-up, up to a
        limit of 30 entries, and a look-up for each further 32 batches.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise ValueError("a page has 1 to 1000 entries")
        since, until = query.span()
        bound = after or Position(_TOP)
        if until is not None:
            bound = min(bound, Position(until, "", 0))
        try:
            needles = query.needles()
        except UnicodeEncodeError:  # no record holds what cannot be written
            return Page((), None)
        found: list[Entry] = []
        read = 0
        pace = _Pace() if query.subject is None else _Pace((), (min(limit + 2, _MOST_AT_ONCE),))
        async for batches, end in self._descending(query.looked_up(), bound.time, since or "", pace):
            read += len(batches)
            for batch, seen_down_to in zip(
                batches, [*(each.search["to"] for each in batches[1:]), end], strict=False
            ):
                candidates = _entries(batch, needles) if query.may_be_in(batch.search) else []
                found += [
                    entry
                    for entry in candidates
                    if entry.position < bound
                    and (since is None or entry.record.time >= since)
                    and query.matches(entry.record)
                ]
                ready = _settled(found, seen_down_to)
                if len(ready) > limit:
                    return _page(ready, limit)
            # A page must end below where it began, or the next one would do the same again.
            if read >= _MOST_BATCHES and (since or "") < end < bound.time:
                return Page(_page(_settled(found, end), limit).entries, Position(end))
        return _page(found, limit)

    async def tombstones(self) -> AsyncIterator[Tombstone]:
        """Every key that was destroyed, by shard and leaf."""
        async for document in self._store.each({"kinds": str(Kind.ERASURE_DONE)}):
            for entry in _entries(parse_batch(document)):
                erasure = entry.record.erasure
                if entry.record.kind is Kind.ERASURE_DONE and erasure is not None:
                    yield Tombstone(entry.id, entry.record.time, erasure.leaf, erasure.fingerprint, erasure.ring)

    async def shards(self) -> list[str]:
        """Every shard of this log."""
        return await self._store.shards()

    async def strays(self) -> list[str]:
        """The `_id`s of some documents among the batches that are of no shard of this log: no log wrote them."""
        found = await self._store.strays(await self._store.shards())
        there = set(await self._store.shards())  # one may have been opened meanwhile
        return [str(each["_id"]) for each in found if each.get("shard") not in there or not _placed(each)]

    async def verify_shard(self, shard: str, *, known: Head | None = None) -> ShardCheck:
        """Recompute a shard from its records' bytes: every hash, size, root, edge and search field of every batch.

        Args:
            shard: The shard's id.
            known: A head of this shard that was noted before; without one, a shard cut off at the end, or rewritten
                with all that follows, looks whole.
        """
        edge = Edge()
        fault: Fault | None = None
        ended = False
        async for document in self._ascending(require_shard(shard)):
            if ended:  # nothing comes after an end
                fault = Fault(FaultKind.MISPLACED, batch_id(shard, edge.size))
                break
            if is_end(document):
                ended, fault = True, _missing(shard, edge, document) or _misended(document, shard, edge)
                if fault is not None:
                    break
                continue
            checked = _missing(shard, edge, document) or check_batch(document, edge)
            if isinstance(checked, Fault):
                fault = checked
                break
            if known is not None and not _agrees(known, edge, checked):
                fault = Fault(FaultKind.FORKED, checked.id)
                break
            edge = checked.edge
        if fault is None and known is not None and known.size > edge.size:
            fault = Fault(FaultKind.TRUNCATED, batch_id(shard, edge.size))
        return ShardCheck(Head(shard, edge.size, edge.root()), fault)

    async def batches(self, shard: str, size: int) -> AsyncIterator[Batch]:
        """The batches that hold a shard's first `size` entries, in order, a few at a time; the last may hold more.

        Raises:
            AuditCorruptError: One is missing, or follows another wrongly.
        """
        held = 0
        async for document in self._ascending(require_shard(shard), size):
            batch = None if is_end(document) else parse_batch(document)
            if batch is None or batch.first != held:
                break
            yield batch
            held = batch.edge.size
        if held < size:
            raise AuditCorruptError(f"batch {batch_id(shard, held)} is missing")

    async def leaf_hashes(self, shard: str, size: int) -> list[bytes]:
        """The hashes of a shard's first `size` leaves, as stored: what proofs are made of.

        Raises:
            EntryNotFoundError: The shard is shorter.
        """
        leaves: list[bytes] = []
        async for document in self._ascending(require_shard(shard), size):
            if not is_end(document):
                leaves += parse_batch(document).leaves
        if len(leaves) < size:
            raise EntryNotFoundError("the shard has fewer entries")
        return leaves[:size]

    async def _ascending(self, shard: str, end: int | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """A shard's batches in order, those that begin before `end`, across any gap."""
        first = 0
        while end is None or first < end:
            documents = await self._store.window(shard, first, first + _LEAVES_AT_A_TIME)
            for document in documents:
                yield document
            if documents:
                # From where the last one ended, as its reader has checked: a log that grows meanwhile has no gap.
                first = documents[-1]["size"] + is_end(documents[-1])
                continue
            following = await self._store.following(shard, first)
            if following is None:
                return
            first = following

    async def _descending(
        self, wanted: Sequence[Mapping[str, Any]], newest: str, floor: str, pace: "_Pace"
    ) -> AsyncIterator[tuple[list[Batch], str]]:
        """The wanted batches that may hold a record no newer than `newest`, with the time seen down to, in chunks."""
        below = _TOP if newest == _TOP else f"{_later(newest, MAX_SPAN_SECONDS)}{_TOP}"
        end = timestamp(self._now()) if below == _TOP else below[:-1]
        step = full = 0
        while True:
            start = max(floor, _later(end, -pace.windows[step]) if step < len(pace.windows) else "")
            documents = await self._store.newest(wanted, floor=start, below=below, limit=pace.chunks[full])
            batches = [parse_batch(document) for document in documents]
            if len(batches) == pace.chunks[full]:
                below, end, step = batches[-1].search["order"], batches[-1].search["to"], max(step - 1, 0)
                full = min(full + 1, len(pace.chunks) - 1)
                yield batches, end
            else:
                yield batches, start
                if start == floor:
                    return
                below, end, step = start, start, step + 1


@dataclass(frozen=True, slots=True)
class _Pace:
    """How far back a search looks at a time (seconds; then to the beginning), and for how many batches.

    What is asked of one person is looked for in the whole log at once: their batches are few, and lie apart.
    """

    windows: Sequence[float] = _WINDOWS
    chunks: Sequence[int] = _CHUNKS


def _page(entries: list[Entry], limit: int) -> Page:
    ordered = sorted(entries, key=lambda entry: entry.position, reverse=True)
    page = tuple(ordered[:limit])
    return Page(page, page[-1].position if len(ordered) > limit else None)


def _settled(found: list[Entry], seen_down_to: str) -> list[Entry]:
    """The entries that none of a batch not yet read can come before: all are older than what was seen."""
    return [entry for entry in found if entry.record.time > seen_down_to]


def _entries(batch: Batch, needles: Sequence[bytes] = ()) -> list[Entry]:
    """The batch's entries, those whose bytes hold every needle."""
    return [
        Entry(EntryId(batch.shard, batch.first + offset), read_record(batch, offset))
        for offset, data in enumerate(batch.records)
        if all(needle in data for needle in needles)
    ]


def _placed(document: Mapping[str, Any]) -> bool:
    first = document.get("first")
    return isinstance(first, int) and first >= 0


def _missing(shard: str, edge: Edge, document: Mapping[str, Any]) -> Fault | None:
    """The fault of a batch that is not there, when the next one that is begins later."""
    first = document.get("first")
    if isinstance(first, int) and first > edge.size and document.get("_id") == batch_id(shard, first):
        return Fault(FaultKind.MISSING, batch_id(shard, edge.size))
    return None


def _misended(document: Mapping[str, Any], shard: str, edge: Edge) -> Fault | None:
    """The fault of an end that is not the end of this tree."""
    try:
        end = parse_end(document)
    except AuditCorruptError:
        return Fault(FaultKind.MALFORMED, batch_id(shard, edge.size))
    return None if (end.shard, end.edge) == (shard, edge) else Fault(FaultKind.TREE_CHANGED, end.id)


def _agrees(known: Head, edge: Edge, batch: Batch) -> bool:
    """Whether the tree has the root of a known head, if that lies in this batch."""
    if not batch.first < known.size <= batch.edge.size:
        return True
    return edge.extend(batch.leaves[: known.size - batch.first]).root() == known.root


def _later(time: str, seconds: float) -> str:
    try:
        return timestamp(moment(time) + timedelta(seconds=seconds))
    except OverflowError:
        return timestamp(datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC))
