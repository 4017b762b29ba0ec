"""One batch: the records of one group commit, and the document that holds them. Values in, values out.

A batch document is the log's atomic unit. Its `_id` names the first leaf in it, so it exists at most once: inserting
it is the compare-and-swap that advances the shard's head. Everything in it besides the records follows from the
records and the edge before, so a reader can recompute, and `check_batch` does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.entry import require_shard
from audit.errors import AuditCorruptError, RecordInvalidError, ShardIdInvalidError
from audit.record import Record, decode_record, moment
from audit.tree import Edge, leaf_hash

VERSION = 2
MAX_RECORDS = 256
MAX_BYTES = 1024 * 1024
# A search for what happened at a time need only look at batches whose newest record is at most this much later.
MAX_SPAN_SECONDS = 5

_HASH = 32
_BATCH_ID = re.compile(r"[0-9a-f]{12}:\d{12}", re.ASCII)
# Fields may not be renamed or removed: searches and every second reader rest on them. A change is a new VERSION.
_FIRST_SEARCH_FIELDS = (
    "actors", "cases", "clients", "decisions", "fields", "kinds", "outcomes", "policies", "purposes", "roles",
    "subjects",
)  # fmt: skip
SEARCH_FIELDS = (*_FIRST_SEARCH_FIELDS, "decided")
_SEARCH_FIELDS_OF: Mapping[int, tuple[str, ...]] = {1: _FIRST_SEARCH_FIELDS, VERSION: SEARCH_FIELDS}
VERSIONS = frozenset(_SEARCH_FIELDS_OF)
_FIELDS = frozenset(
    {"_id", "v", "shard", "first", "size", "root", "edge", "leaves", "records", "from", "to", "order"}
)


class FaultKind(StrEnum):
    """What is wrong with a stored batch."""

    MALFORMED = "malformed"
    MISSING = "missing"
    MISPLACED = "misplaced"
    RECORD_INVALID = "record_invalid"
    RECORD_CHANGED = "record_changed"
    LEAVES_CHANGED = "leaves_changed"
    TREE_CHANGED = "tree_changed"
    SEARCH_CHANGED = "search_changed"
    TRUNCATED = "truncated"
    FORKED = "forked"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong in a shard: in which batch (named by its first entry), and where known, which entry."""

    kind: FaultKind
    batch: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records `first` to `edge.size - 1` of a shard; `edge` is the tree's right edge after them."""

    shard: str
    first: int
    edge: Edge
    leaves: tuple[bytes, ...]
    records: tuple[bytes, ...]
    search: Mapping[str, Any]
    version: int = VERSION

    @property
    def id(self) -> str:
        """The document's `_id`."""
        return batch_id(self.shard, self.first)

    def document(self) -> dict[str, Any]:
        """The document as it is stored."""
        return {
            "_id": self.id,
            "v": self.version,
            "shard": self.shard,
            "first": self.first,
            "size": self.edge.size,
            "root": self.edge.root(),
            "edge": list(self.edge.nodes),
            "leaves": b"".join(self.leaves),
            "records": list(self.records),
            **self.search,
        }


def batch_id(shard: str, first: int) -> str:
    """The `_id` of the batch that begins with this leaf; as text it sorts as the leaves do."""
    return f"{shard}:{first:012d}"


def decided(path: str, decision: str) -> str:
    """What a batch is found by that holds a record in which this field left in this way."""
    return f"{path} {decision}"


def build_batch(shard: str, edge: Edge, entries: Sequence[tuple[Record, bytes]]) -> Batch:
    """The batch of these records, given with their canonical bytes, after the tree's right edge `edge`."""
    leaves = tuple(leaf_hash(data) for _, data in entries)
    return Batch(
        shard=shard,
        first=edge.size,
        edge=edge.extend(leaves),
        leaves=leaves,
        records=tuple(data for _, data in entries),
        search=_search(shard, edge.size, [record for record, _ in entries]),
    )


def parse_batch(document: Mapping[str, Any]) -> Batch:
    """The batch that a stored document holds; its shape is checked, not yet what it says.

    Raises:
        AuditCorruptError: Not the shape of a batch.
    """
    name = str(document.get("_id"))
    try:
        require_shard(document["shard"])
        searched = _SEARCH_FIELDS_OF[document["v"]]
        batch = Batch(
            shard=document["shard"],
            first=document["first"],
            edge=Edge(document["size"], tuple(map(bytes, document["edge"]))),
            leaves=_chunks(document["leaves"]),
            records=tuple(map(bytes, document["records"])),
            search={name: document[name] for name in ("from", "to", "order", *searched)},
            version=document["v"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, ShardIdInvalidError):
        raise AuditCorruptError(_named(name, "is not of the shape of a batch")) from None
    whole = (
        document.keys() == _FIELDS | set(searched)
        and isinstance(batch.first, int)
        and name == batch.id
        and 1 <= len(batch.records) <= MAX_RECORDS
        and len(batch.records) == len(batch.leaves) == batch.edge.size - batch.first
    )
    if not whole:
        raise AuditCorruptError(_named(name, "is not of the shape of a batch"))
    return batch


def span_seconds(oldest: str, newest: str) -> float:
    """The seconds between two times of records."""
    if oldest[:17] == newest[:17]:  # the same minute, as nearly always
        return float(newest[17:26]) - float(oldest[17:26])
    return (moment(newest) - moment(oldest)).total_seconds()


def read_record(batch: Batch, offset: int) -> Record:
    """One of the batch's records.

    Raises:
        AuditCorruptError: It is not what was hashed, or not the canonical bytes of a record.
    """
    data = batch.records[offset]
    try:
        record = decode_record(data) if leaf_hash(data) == batch.leaves[offset] else None
    except RecordInvalidError:
        record = None
    if record is None:
        raise AuditCorruptError(_named(batch.id, "holds something that this log did not write"))
    return record


def check_batch(document: Mapping[str, Any], before: Edge) -> Batch | Fault:
    """The batch, if it is exactly what this log writes after the edge `before`; else what is wrong with it."""
    expected = f"{document.get('shard')}:{before.size:012d}"
    try:
        batch = parse_batch(document)
    except AuditCorruptError:
        return Fault(FaultKind.MALFORMED, expected)
    if batch.first != before.size:
        return Fault(FaultKind.MISPLACED, batch.id)
    hashes = [leaf_hash(data) for data in batch.records]
    after = before.extend(hashes)
    if after != batch.edge or after.root() != document["root"]:
        return _locate(batch, hashes, before, document["root"])
    return _check_contents(batch, hashes)


def _check_contents(batch: Batch, hashes: Sequence[bytes]) -> Batch | Fault:
    if tuple(hashes) != batch.leaves:
        return Fault(FaultKind.LEAVES_CHANGED, batch.id)
    records: list[Record] = []
    for offset, data in enumerate(batch.records):
        try:
            records.append(decode_record(data))
        except RecordInvalidError:
            return Fault(FaultKind.RECORD_INVALID, batch.id, batch.first + offset)
    if _search(batch.shard, batch.first, records, batch.version) != batch.search:
        return Fault(FaultKind.SEARCH_CHANGED, batch.id)
    if span_seconds(batch.search["from"], batch.search["to"]) >= MAX_SPAN_SECONDS:
        return Fault(FaultKind.MALFORMED, batch.id)  # searches would pass it by
    return batch


def _locate(batch: Batch, hashes: Sequence[bytes], before: Edge, root: bytes) -> Fault:
    """Which record was changed, where the stored leaf hashes still lead to the stored root and so can tell."""
    if before.extend(batch.leaves).root() == root:
        for offset, (found, stored) in enumerate(zip(hashes, batch.leaves, strict=True)):
            if found != stored:
                return Fault(FaultKind.RECORD_CHANGED, batch.id, batch.first + offset)
    return Fault(FaultKind.TREE_CHANGED, batch.id)


def _search(shard: str, first: int, records: Sequence[Record], version: int = VERSION) -> dict[str, Any]:
    """What a batch is found by: each value that occurs in it, sorted, and the times it spans."""
    found: dict[str, set[str]] = {name: set() for name in SEARCH_FIELDS}
    # Many records of one batch decide the same about the same fields: those are spelled out once.
    groups: set[tuple[str, tuple[str, ...]]] = set()
    for record in records:
        found["actors"].add(record.actor)
        found["kinds"].add(record.kind)
        found["outcomes"].add(record.outcome)
        found["policies"].add(record.policy)
        for name, value in (("cases", record.case), ("clients", record.client), ("purposes", record.purpose)):
            if value is not None:
                found[name].add(value)
        found["roles"].update(record.roles)
        found["subjects"].update(record.subjects)
        found["fields"].update(record.filters)
        groups.update((each.decision, each.fields) for each in record.decisions)
        groups.update((each.decision, each.fields) for each in record.exceptions)
    for verdict, paths in groups:
        found["decisions"].add(verdict)
        found["fields"].update(paths)
        found["decided"].update(decided(path, verdict) for path in paths)
    times = [record.time for record in records]
    newest = max(times)
    return {
        "from": min(times),
        "to": newest,
        "order": f"{newest}:{shard}:{first:012d}",
        # str: the driver encodes an enum's member by a slower path.
        **{name: sorted(map(str, found[name])) for name in _SEARCH_FIELDS_OF[version]},
    }


def _chunks(data: bytes) -> tuple[bytes, ...]:
    if len(data) % _HASH:
        raise ValueError("not a list of hashes")
    return tuple(bytes(data[at : at + _HASH]) for at in range(0, len(data), _HASH))


def _named(name: str, what: str) -> str:
    return f"batch {name} {what}" if _BATCH_ID.fullmatch(name) else f"a batch {what}"
