"""The Merkle tree of RFC 6962 (section 2.1; the same in RFC 9162): values in, values out.

A tree that only grows needs just its right edge: the roots of the perfect subtrees that its size, written in binary,
counts. Appending touches the edge alone, so it costs O(log n) and rereads nothing. Proofs are named as ranges of
leaves first, so that a caller can fetch exactly the hashes they need from wherever it keeps them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from audit.errors import ProofInvalidError

EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf's bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of `size` leaves: its perfect subtrees' roots, the largest (leftmost) first."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError("an edge has one node for each binary one of its size")

    def extend(self, leaves: Iterable[bytes]) -> "Edge":
        """The edge after appending leaves with these hashes."""
        size, nodes = self.size, list(self.nodes)
        for leaf in leaves:
            node, height = leaf, size
            while height & 1:
                node = node_hash(nodes.pop(), node)
                height >>= 1
            nodes.append(node)
            size += 1
        return Edge(size, tuple(nodes))

    def root(self) -> bytes:
        """The tree's root."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root


def subtree_hash(leaves: Sequence[bytes], start: int, end: int) -> bytes:
    """The root over the leaf hashes `leaves[start:end]`."""
    if not 0 <= start <= end <= len(leaves):
        raise ValueError("the range is outside the tree")
    return Edge().extend(leaves[start:end]).root()


def inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    """The subtrees, as ranges of leaves, whose hashes prove leaf `index` in a tree of `size`; nearest first."""
    if not 0 <= index < size:
        raise ValueError("the leaf is outside the tree")
    ranges: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return tuple(reversed(ranges))


def consistency_ranges(old: int, new: int) -> tuple[Range, ...]:
    """The subtrees whose hashes prove that a tree of `new` leaves begins with one of `old`; in proof order."""
    if not 0 <= old <= new:
        raise ValueError("the older tree is larger")
    if old in (0, new):
        return ()
    ranges: list[Range] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return tuple(reversed(ranges))


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of leaf `index` in the tree over the first `size` of these leaf hashes."""
    return tuple(subtree_hash(leaves, start, end) for start, end in inclusion_ranges(index, size))


def consistency_proof(leaves: Sequence[bytes], old: int, new: int) -> tuple[bytes, ...]:
    """The proof that the tree over the first `new` leaf hashes begins with the tree over the first `old`."""
    return tuple(subtree_hash(leaves, start, end) for start, end in consistency_ranges(old, new))


def verify_inclusion(*, leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Return only if `proof` shows the leaf hash `leaf` at `index` of the tree (RFC 9162, section 2.1.3.2).

    Raises:
        ProofInvalidError: It does not.
    """
    if not 0 <= index < size:
        raise ProofInvalidError("the leaf is outside the tree")
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofInvalidError("the inclusion proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofInvalidError("the inclusion proof is too short")
    if node != root:
        raise ProofInvalidError("the inclusion proof leads to another root")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return only if `proof` shows that the newer tree begins with the older (RFC 9162, section 2.1.4.2).

    Raises:
        ProofInvalidError: It does not.
    """
    if not 0 <= old_size <= new_size:
        raise ProofInvalidError("the older tree is larger")
    if old_size in (0, new_size):
        same = old_root == (new_root if old_size == new_size else EMPTY_ROOT)
        if proof or not same:
            raise ProofInvalidError("two roots for one size, or a proof where none is due")
        return
    # A perfect older tree is a node of the newer one, so the proof leaves it out.
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not path:
        raise ProofInvalidError("the consistency proof is too short")
    if _roots_by_path(old_size - 1, new_size - 1, path) != (old_root, new_root):
        raise ProofInvalidError("the consistency proof leads to another root")


def _roots_by_path(position: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to, from the older tree's last leaf and the newer's."""
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            raise ProofInvalidError("the consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, node)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofInvalidError("the consistency proof is too short")
    return old, new


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
