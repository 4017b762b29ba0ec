"""The puncturable key ring: one small secret that gives a key per customer and can forget any one of them.

A tree of keys (Goldreich, Goldwasser and Micali, "How to construct random functions", 1986). The seed is the root;
the two children of a node are two hashes of it, so whoever has a node has everything below it and nothing above or
beside it. A leaf key is the node at the last level. To puncture a leaf (Boneh and Waters 2013; Kiayias et al. 2013;
Boyle, Goldwasser and Ivan 2014) the stored node above it is replaced by the siblings along the path down to it:
every other leaf derives exactly as before, that one never again.

Pure: no input or output, no clock, and randomness is passed in. The bytes are described in
`docs/formats/key-ring.md`; fields may not be reordered or removed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from struct import Struct
from typing import ClassVar, Never, Self

from vault.errors import KeyRingCorruptError, LeafOutOfRangeError, LeafPuncturedError, SecretExposedError

__all__ = ["KeyRing"]

_MAGIC = b"CFKR"
_FORMAT = 1
_HEADER = Struct(">4sBB16sQI")  # magic, format version, depth, ring id, ring version, number of runs
_RUN = Struct(">II")  # first and last leaf of a run of punctured leaves, both inclusive
_NODE_SIZE = 32
# A node is the hash of sixteen fixed bytes and its parent: 48 bytes, always one block of SHA-256, so there is no
# length to extend. The sixteenth byte is the side.
_SIDES = (b"confide/ring/1/0", b"confide/ring/1/1")
# A node's place is a one followed by the bits of the path to it: the root is 1, the children of n are 2n and 2n + 1.
_ROOT = 1
# Inner nodes remembered per generation of the cache; two generations of about 200 bytes a node are 3 MB at most.
_REMEMBERED = 8192


class KeyRing:
    """An immutable key ring. Puncturing gives a new ring; the old one must be dropped, and its file destroyed.

    What it holds is the smallest set of nodes that covers every living leaf. Which leaves are punctured is not
    secret; the nodes are, so the ring shows none of them and refuses to be copied or pickled.
    """

    DEPTH: ClassVar[int] = 32
    __slots__ = ("_nodes", "_older", "_recent", "_ring_id", "_version")

    def __init__(self, ring_id: bytes, version: int, nodes: Mapping[int, bytes]) -> None:
        """Use `fresh`, `puncture` or `from_bytes`: they alone keep the nodes a minimal cover."""
        self._ring_id = ring_id
        self._version = version
        self._nodes = nodes
        self._recent: dict[int, bytes] = {}
        self._older: dict[int, bytes] = {}

    @classmethod
    def fresh(cls, random: Callable[[int], bytes]) -> Self:
        """A new ring with every leaf alive, at version 1. Asks `random` for 16 bytes (the id), then 32 (the seed)."""
        ring_id, seed = random(16), random(_NODE_SIZE)
        return cls(ring_id, 1, {_ROOT: seed})

    @property
    def ring_id(self) -> bytes:
        """The 16 bytes that name this ring, the same after every puncture. Not secret."""
        return self._ring_id

    @property
    def version(self) -> int:
        """Counts up by one with every change; a ring with a lower version than one already seen is stale."""
        return self._version

    @property
    def node_count(self) -> int:
        """How many nodes are stored, 32 bytes each."""
        return len(self._nodes)

    def leaf_key(self, leaf: int) -> bytes:
        """The 32-byte key of a leaf. Sequential leaves cost about two hashes each, others up to `DEPTH`.

        Inner nodes on the way are remembered, a bounded number, in this object alone: they go when it goes.

        Raises:
            LeafPuncturedError: no node above the leaf is left.
            LeafOutOfRangeError: the number is negative or not below 2^DEPTH.
        """
        target = self._place(leaf)
        place = target
        nodes, recent, older = self._nodes, self._recent, self._older
        while (key := recent.get(place) or older.get(place) or nodes.get(place)) is None:
            place >>= 1
            if not place:
                raise LeafPuncturedError
        below = target.bit_length() - place.bit_length()
        for level in range(below - 1, -1, -1):
            place = target >> level
            key = sha256(_SIDES[place & 1] + key).digest()
            if level:
                self._remember(place, key)
        return key

    def is_punctured(self, leaf: int) -> bool:
        """Whether the leaf's key is gone. Raises `LeafOutOfRangeError` as `leaf_key` does."""
        return self._cover_of(self._nodes, self._place(leaf)) is None

    def puncture(self, leaf: int) -> Self:
        """The ring without that leaf, one version on; this very ring when the leaf is punctured already.

        Raises:
            LeafOutOfRangeError: the number is not a leaf.
        """
        return self.puncture_many((leaf,))

    def puncture_many(self, leaves: Iterable[int]) -> Self:
        """The ring without any of those leaves, one version on (not one per leaf); this very ring when all are gone.

        Raises:
            LeafOutOfRangeError: a number is not a leaf; nothing was punctured.
        """
        nodes = dict(self._nodes)
        changed = False
        for place in [self._place(leaf) for leaf in leaves]:
            cover = self._cover_of(nodes, place)
            if cover is None:
                continue
            changed = True
            key = nodes.pop(cover)
            for level in range(place.bit_length() - cover.bit_length() - 1, -1, -1):
                step = place >> level
                nodes[step ^ 1] = sha256(_SIDES[(step & 1) ^ 1] + key).digest()
                if level:  # the punctured leaf itself is never derived
                    key = sha256(_SIDES[step & 1] + key).digest()
        return type(self)(self._ring_id, self._version + 1, nodes) if changed else self

    def resealed(self) -> Self:
        """The same leaves one version on: for a change of what seals the ring, after which the old file is stale."""
        return type(self)(self._ring_id, self._version + 1, self._nodes)

    def punctured_runs(self) -> Iterator[tuple[int, int]]:
        """The punctured leaves as maximal runs, first and last inclusive, ascending."""
        expected = 0
        for first, size in sorted(map(self._span, self._nodes)):
            if first > expected:
                yield expected, first - 1
            expected = first + size
        if expected < 1 << self.DEPTH:
            yield expected, (1 << self.DEPTH) - 1

    def to_bytes(self) -> bytes:
        """The ring's only encoding: header, runs of punctured leaves, then the covering nodes from left to right.

        These bytes are the secret: they may be written nowhere unsealed.
        """
        runs = [_RUN.pack(*run) for run in self.punctured_runs()]
        header = _HEADER.pack(_MAGIC, _FORMAT, self.DEPTH, self._ring_id, self._version, len(runs))
        nodes = [self._nodes[place] for place in sorted(self._nodes, key=self._span)]
        return b"".join([header, *runs, *nodes])

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The ring that `to_bytes` encoded.

        Raises:
            KeyRingCorruptError: the bytes are not exactly what `to_bytes` gives for some ring.
        """
        if len(data) < _HEADER.size:
            raise KeyRingCorruptError
        magic, version_of_format, depth, ring_id, version, count = _HEADER.unpack_from(data)
        if (magic, version_of_format, depth) != (_MAGIC, _FORMAT, cls.DEPTH) or version < 1:
            raise KeyRingCorruptError
        offset = _HEADER.size + count * _RUN.size
        if len(data) < offset:
            raise KeyRingCorruptError
        # The runs fix the cover, its order and therefore the length: nodes that overlap, repeat a place or are out of
        # order cannot be written down.
        places = list(cls._cover(_RUN.iter_unpack(data[_HEADER.size : offset])))
        if len(data) != offset + len(places) * _NODE_SIZE:
            raise KeyRingCorruptError
        keys = [data[at : at + _NODE_SIZE] for at in range(offset, len(data), _NODE_SIZE)]
        if len(set(keys)) != len(keys):  # two equal nodes are a damaged file, never chance
            raise KeyRingCorruptError
        return cls(ring_id, version, dict(zip(places, keys, strict=True)))

    @classmethod
    def _cover(cls, runs: Iterable[tuple[int, int]]) -> Iterator[int]:
        """The places of the fewest nodes that cover every leaf outside the runs, left to right."""
        start = 0
        for first, last in runs:
            # Runs ascend and never touch (touching runs are one run), and the first may begin at leaf 0.
            if not (start <= first <= last < 1 << cls.DEPTH) or (first == start and start > 0):
                raise KeyRingCorruptError
            yield from cls._cover_between(start, first)
            start = last + 1
        yield from cls._cover_between(start, 1 << cls.DEPTH)

    @classmethod
    def _cover_between(cls, start: int, end: int) -> Iterator[int]:
        while start < end:
            aligned = (start & -start) or 1 << cls.DEPTH
            size = min(aligned, 1 << ((end - start).bit_length() - 1))
            yield ((1 << cls.DEPTH) | start) >> (size.bit_length() - 1)
            start += size

    @classmethod
    def _place(cls, leaf: int) -> int:
        if not isinstance(leaf, int) or not 0 <= leaf < 1 << cls.DEPTH:  # a store may hand back anything
            raise LeafOutOfRangeError
        return (1 << cls.DEPTH) | leaf

    @classmethod
    def _span(cls, place: int) -> tuple[int, int]:
        """The first leaf below a node, and how many there are."""
        height = cls.DEPTH + 1 - place.bit_length()
        return (place << height) - (1 << cls.DEPTH), 1 << height

    @staticmethod
    def _cover_of(nodes: Mapping[int, bytes], place: int) -> int | None:
        while place:
            if place in nodes:
                return place
            place >>= 1
        return None

    def _remember(self, place: int, key: bytes) -> None:
        if len(self._recent) >= _REMEMBERED:
            self._older, self._recent = self._recent, {}
        self._recent[place] = key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyRing):
            return NotImplemented
        return (self._ring_id, self._version, self._nodes) == (other._ring_id, other._version, other._nodes)

    def __hash__(self) -> int:
        return hash((self._ring_id, self._version))

    def __repr__(self) -> str:
        return f"<KeyRing {self._ring_id.hex()} version {self._version}, {len(self._nodes)} nodes>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError
