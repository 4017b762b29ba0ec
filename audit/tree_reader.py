"""A shard's tree as the database holds it: heads and proofs, from edges and leaf hashes; no record is read.

Every batch carries the right edge after it, so the tree at any size costs two batches, and any node of a proof two
more: a node's left part lies on the edge of the batch before the one that holds its last leaf.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.batch import MAX_RECORDS, VERSIONS, batch_id
from audit.end import is_end, parse_end
from audit.errors import AuditCorruptError
from audit.store import BatchStore
from audit.tree import Edge, Range, consistency_ranges, inclusion_ranges

_HASH = 32
_LEAVES_AT_A_TIME = 2048


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A batch without its records."""

    first: int
    edge: Edge
    leaves: tuple[bytes, ...]


class TreeReader:
    """Reads trees. Every method raises AuditUnavailableError when the database fails."""

    def __init__(self, store: BatchStore) -> None:
        self._store = store

    async def edge_at(self, shard: str, size: int) -> Edge | None:
        """The right edge of the shard's tree at this size; None where the database does not hold so much of it.

        Raises:
            AuditCorruptError: What holds it cannot have been written by a log.
        """
        if not size:
            return Edge()
        last = await self._holding(shard, size - 1)
        if last is None or last.edge.size == size:
            return None if last is None else last.edge
        before = await self._before(shard, last)
        return before.extend(last.leaves[: size - last.first])

    async def grow(self, shard: str, edge: Edge) -> tuple[Edge, bool]:
        """How far the tree has grown out of `edge`, by all the leaves since, and whether it was ended there.

        Raises:
            AuditCorruptError: What follows did not grow out of `edge`, or is not a log's writing.
        """
        while True:
            documents = await self._store.tree_window(shard, edge.size, edge.size + _LEAVES_AT_A_TIME)
            if not documents:
                return edge, False
            for document in documents:
                if is_end(document):
                    if parse_end(document).edge != edge:
                        raise AuditCorruptError("a shard's end is not the end of its tree")
                    return edge, True
                stretch = _parse(document)
                after = edge.extend(stretch.leaves)
                if stretch.first != edge.size or stretch.edge != after:
                    raise AuditCorruptError(f"batch {batch_id(shard, edge.size)} is missing, or another was hashed")
                edge = after

    async def ends(self, heads: Mapping[str, int]) -> dict[str, Edge]:
        """The edges at which shards were ended, of those that were ended at the size given here."""
        names = [batch_id(shard, size) for shard, size in heads.items()]
        found = [parse_end(document) for document in await self._store.ends(names)]
        return {end.shard: end.edge for end in found}

    async def inclusion_proof(self, shard: str, index: int, size: int) -> tuple[bytes, ...]:
        """The audit path of a leaf in the shard's tree at this size; reads O(log n) batches.

        Raises:
            AuditCorruptError: The database does not hold so much of the shard.
        """
        return await self._nodes(shard, inclusion_ranges(index, size))

    async def consistency_proof(self, shard: str, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the shard's tree at size `new` begins with the one at `old`; reads O(log n) batches.

        Raises:
            AuditCorruptError: The database does not hold so much of the shard.
        """
        return await self._nodes(shard, consistency_ranges(old, new))

    async def _nodes(self, shard: str, ranges: tuple[Range, ...]) -> tuple[bytes, ...]:
        return tuple([await self._node(shard, start, end) for start, end in ranges])

    async def _node(self, shard: str, start: int, end: int) -> bytes:
        """The root over the leaves from `start` to before `end`: a node of the tree, so that `start` is aligned."""
        last = await self._holding(shard, end - 1)
        if last is None:
            raise AuditCorruptError("the shard holds fewer entries than were asked for")
        if last.first <= start:
            return Edge().extend(last.leaves[start - last.first : end - last.first]).root()
        before = await self._before(shard, last)
        return _right_of(before, start).extend(last.leaves[: end - last.first]).root()

    async def _holding(self, shard: str, index: int) -> _Stretch | None:
        document = await self._store.tree_holding(shard, index)
        if document is None or is_end(document):
            return None
        stretch = _parse(document)
        return stretch if index < stretch.edge.size else None

    async def _before(self, shard: str, stretch: _Stretch) -> Edge:
        """The edge that a batch follows."""
        if not stretch.first:
            return Edge()
        before = await self._holding(shard, stretch.first - 1)
        if before is None or before.edge.size != stretch.first:
            raise AuditCorruptError(f"the batch before {batch_id(shard, stretch.first)} is missing")
        return before.edge


def _right_of(edge: Edge, start: int) -> Edge:
    """The edge of the leaves from `start` on, where `start` is where one of the edge's subtrees begins."""
    size = edge.size - start
    return Edge(size, edge.nodes[len(edge.nodes) - size.bit_count() :])


def _parse(document: Mapping[str, Any]) -> _Stretch:
    try:
        leaves = bytes(document["leaves"])
        edge = Edge(document["size"], tuple(map(bytes, document["edge"])))
        whole = (
            document["v"] in VERSIONS
            and document["_id"] == batch_id(document["shard"], document["first"])
            and edge.root() == document["root"]
            and all(len(node) == _HASH for node in edge.nodes)
            and len(leaves) == _HASH * (edge.size - document["first"])
            and 1 <= edge.size - document["first"] <= MAX_RECORDS
        )
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise AuditCorruptError("a batch is not of the shape of one")
    cut = tuple(leaves[at : at + _HASH] for at in range(0, len(leaves), _HASH))
    return _Stretch(document["first"], edge, cut)
