"""The end of a shard: a document where its next batch would be, so that no batch can ever be there.

A batch's `_id` names its first leaf and exists once. Whoever inserts an end under the `_id` of the next batch closes
the shard for every writer, alive or thought dead: the writer's own insert fails, and it goes on in a new shard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.batch import batch_id
from audit.entry import require_shard
from audit.errors import AuditCorruptError, RecordInvalidError, ShardIdInvalidError
from audit.record import moment
from audit.tree import Edge

_VERSION = 1
_FIELDS = frozenset({"_id", "v", "shard", "first", "size", "root", "edge", "end"})


@dataclass(frozen=True, slots=True)
class End:
    """A shard's end: the right edge of its tree, which no longer grows, and when that was noted."""

    shard: str
    edge: Edge
    time: str

    @property
    def id(self) -> str:
        """The document's `_id`: the one that the next batch would have."""
        return batch_id(self.shard, self.edge.size)

    def document(self) -> dict[str, Any]:
        """The document as it is stored, among the batches. Fields may not be renamed or removed."""
        return {
            "_id": self.id,
            "v": _VERSION,
            "shard": self.shard,
            "first": self.edge.size,
            "size": self.edge.size,
            "root": self.edge.root(),
            "edge": list(self.edge.nodes),
            "end": self.time,
        }


def is_end(document: Mapping[str, Any]) -> bool:
    """Whether a document among the batches says that it is an end."""
    return "end" in document


def parse_end(document: Mapping[str, Any]) -> End:
    """The end that a stored document is.

    Raises:
        AuditCorruptError: Not the shape of one.
    """
    try:
        require_shard(document["shard"])
        moment(document["end"])
        end = End(document["shard"], Edge(document["size"], tuple(map(bytes, document["edge"]))), document["end"])
        whole = document.keys() == _FIELDS and end.document() == {**document, "edge": list(end.edge.nodes)}
    except (KeyError, TypeError, ValueError, AttributeError, ShardIdInvalidError, RecordInvalidError):
        whole = False
    if not whole:
        raise AuditCorruptError("a document at the end of a shard is not of the shape of one")
    return end
