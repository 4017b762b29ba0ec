"""The key ring: every living leaf derives as before, and no punctured one ever again, whatever an attacker has."""

import copy
import json
import pickle
import random
from hashlib import sha256, shake_256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vault.errors import (
    KeyRingCorruptError,
    LeafOutOfRangeError,
    LeafPuncturedError,
    SecretExposedError,
    VaultError,
)
from vault.ring import KeyRing

VECTORS = json.loads((Path(__file__).parent / "vectors" / "key_ring.json").read_text())
HEADER = 34  # magic 4, format 1, depth 1, ring id 16, version 8, runs 4
LAST = (1 << 32) - 1
LEAVES = st.one_of(st.integers(0, 300), st.integers(0, LAST), st.sampled_from([0, 1, LAST - 1, LAST, 1 << 31]))


class SmallRing(KeyRing):
    """The same ring of 64 leaves, small enough to look at every key there is."""

    DEPTH = 6


def counting(size: int, seed: int = 0) -> bytes:
    return shake_256(b"%d" % seed).digest(size)


def fresh(seed: int = 0) -> KeyRing:
    return KeyRing.fresh(lambda size: counting(size, seed))


def small() -> SmallRing:
    return SmallRing.fresh(counting)


def encoded(runs, nodes: int, *, depth: int = 6, magic: bytes = b"CFKR", form: int = 1, version: int = 1) -> bytes:
    """A ring's bytes written by hand, with as many different nodes as asked for."""
    head = magic + bytes([form, depth]) + bytes(16) + version.to_bytes(8) + len(runs).to_bytes(4)
    body = b"".join(first.to_bytes(4) + last.to_bytes(4) for first, last in runs)
    return head + body + b"".join(number.to_bytes(32) for number in range(nodes))


# The attacker's own reading of the tree, independent of the ring's code.


def child(node: bytes, side: int) -> bytes:
    return sha256(b"confide/ring/1/%d" % side + node).digest()


def path_keys(seed: bytes, leaf: int, depth: int) -> list[bytes]:
    """Every key from the seed down to the leaf: the leaf's key and all its ancestors."""
    keys = [seed]
    for level in range(depth - 1, -1, -1):
        keys.append(child(keys[-1], (leaf >> level) & 1))
    return keys


def everything_below(node: bytes, levels: int) -> set[bytes]:
    found, row = {node}, [node]
    for _ in range(levels):
        row = [child(each, side) for each in row for side in (0, 1)]
        found.update(row)
    return found


def test_leaf_keys_match_the_definition_of_the_tree():
    seed = counting(32)
    for leaf in (0, 1, 2, 77, 1 << 31, LAST):
        assert fresh().leaf_key(leaf) == path_keys(seed, leaf, 32)[-1]


def test_two_leaves_and_two_rings_never_share_a_key():
    keys = {fresh(ring).leaf_key(leaf) for ring in range(4) for leaf in range(200)}
    assert len(keys) == 800


class Punctures(RuleBasedStateMachine):
    """Any sequence of punctures, reseals, writes and reads leaves every other leaf as it was."""

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed):
        self.seed = counting(32, seed)
        self.ring = fresh(seed)
        self.punctured: set[int] = set()
        self.known: dict[int, bytes] = {}

    @rule(leaf=LEAVES)
    def derive(self, leaf):
        if leaf in self.punctured:
            with pytest.raises(LeafPuncturedError):
                self.ring.leaf_key(leaf)
        else:
            self.known[leaf] = path_keys(self.seed, leaf, 32)[-1]
            assert self.ring.leaf_key(leaf) == self.known[leaf]

    @rule(leaf=LEAVES)
    def puncture(self, leaf):
        before = self.ring
        self.ring = before.puncture(leaf)
        if leaf in self.punctured:
            assert self.ring is before
        else:
            assert self.ring.version == before.version + 1
        self.punctured.add(leaf)

    @rule(leaves=st.lists(LEAVES, max_size=5))
    def sweep(self, leaves):
        new = set(leaves) - self.punctured
        version = self.ring.version
        self.ring = self.ring.puncture_many(leaves)
        assert self.ring.version == version + bool(new)
        self.punctured |= new

    @rule()
    def write_and_read(self):
        again = KeyRing.from_bytes(self.ring.to_bytes())
        assert again == self.ring
        assert again.to_bytes() == self.ring.to_bytes()
        self.ring = again

    @rule()
    def reseal(self):
        before = self.ring
        self.ring = before.resealed()
        assert self.ring.version == before.version + 1
        assert self.ring.to_bytes()[HEADER:] == before.to_bytes()[HEADER:]

    @invariant()
    def living_leaves_derive_as_before_and_punctured_ones_do_not(self):
        for leaf, key in self.known.items():
            if leaf not in self.punctured:
                assert self.ring.leaf_key(leaf) == key
        for leaf in self.punctured:
            assert self.ring.is_punctured(leaf)
            with pytest.raises(LeafPuncturedError):
                self.ring.leaf_key(leaf)

    @invariant()
    def the_runs_are_exactly_the_punctured_leaves(self):
        if len(self.punctured) < 500:
            assert {leaf for first, last in self.ring.punctured_runs() for leaf in range(first, last + 1)} == (
                self.punctured
            )


TestPunctures = Punctures.TestCase
TestPunctures.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.lists(LEAVES, unique=True, max_size=12))
def test_the_order_of_punctures_does_not_matter(leaves):
    one_by_one = fresh()
    for leaf in leaves:
        one_by_one = one_by_one.puncture(leaf)
    at_once = fresh().puncture_many(reversed(leaves))
    assert one_by_one.to_bytes()[HEADER:] == at_once.to_bytes()[HEADER:]
    assert one_by_one.version == 1 + len(leaves)


@given(st.lists(LEAVES, min_size=1, max_size=12))
def test_stored_nodes_are_the_fewest_that_cover_the_living(leaves):
    """A node is needed where its subtree is all alive and its sibling's is not: then no two can be one."""
    ring = fresh().puncture_many(leaves)
    above_a_punctured = {(1 << 32 | leaf) >> level for leaf in leaves for level in range(33)}
    assert set(ring._nodes) == {place ^ 1 for place in above_a_punctured if place > 1} - above_a_punctured


def test_puncturing_leaves_the_ring_it_began_from_untouched():
    ring = fresh()
    before = ring.to_bytes()
    assert ring.puncture(3) is not ring
    assert ring.to_bytes() == before
    assert not ring.is_punctured(3)


def test_a_leaf_derived_just_before_its_puncture_is_not_remembered_by_the_new_ring():
    ring = fresh()
    ring.leaf_key(1000)
    assert ring._recent
    after = ring.puncture(1000)
    assert not after._recent
    assert not after._older
    with pytest.raises(LeafPuncturedError):
        after.leaf_key(1000)


def test_no_part_of_the_ring_as_it_is_gives_a_punctured_key_or_an_ancestor_of_one():
    """The attacker knows the algorithm, takes any 32 bytes of the ring as a node, and expands it completely.

    Exhaustive over the small tree.
    """
    seed = counting(32)
    chosen = random.Random(7)  # noqa: S311 - the same sample every time
    for punctured in ([5], [0, 63], chosen.sample(range(64), 9), chosen.sample(range(64), 40), list(range(64))):
        ring = small().puncture_many(punctured)
        state = ring.to_bytes()
        windows = {state[at : at + 32] for at in range(len(state) - 31)}
        reachable = set().union(*(everything_below(window, 6) for window in windows))
        for leaf in range(64):
            keys = path_keys(seed, leaf, 6)
            if leaf in punctured:
                assert reachable.isdisjoint(keys), "an ancestor or the key of a punctured leaf was found"
            else:
                # Negative control: the same attacker finds the key of every leaf that is alive.
                assert keys[-1] in reachable


def test_no_part_of_a_full_size_ring_gives_a_punctured_key_or_an_ancestor_of_one():
    """At depth 32 the attacker takes every stored node as one of every level and follows its path to the leaf."""
    seed = counting(32)
    punctured, living = [3, 4, 1_000_000, LAST], [2, 5, 999_999, 77]
    state = fresh().puncture_many(punctured).to_bytes()
    stored = [state[at : at + 32] for at in range(len(state) % 32, len(state), 32)]
    assert len(stored) > 60

    def reachable_towards(leaf):
        found = set()
        for node in stored:
            for depth in range(33):
                found.update(path_keys(node, leaf & ((1 << (32 - depth)) - 1), 32 - depth))
        return found

    for leaf in punctured:
        assert reachable_towards(leaf).isdisjoint(path_keys(seed, leaf, 32))
    for leaf in living:
        # Negative control: the same walk finds the key of a leaf that is alive.
        assert path_keys(seed, leaf, 32)[-1] in reachable_towards(leaf)


def test_a_ring_from_before_the_puncture_still_gives_the_key():
    """Why the old file must be destroyed: the control that the attacker's search would find what is there."""
    ring = fresh()
    old = ring.to_bytes()
    key = ring.leaf_key(12)
    with pytest.raises(LeafPuncturedError):
        ring.puncture(12).leaf_key(12)
    assert KeyRing.from_bytes(old).leaf_key(12) == key


@pytest.mark.parametrize("leaf", [-1, -(2**40), 2**32, 2**64, 1.0, "1", None, b"1"])
def test_a_number_that_is_no_leaf_is_refused(leaf):
    ring = fresh()
    for ask in (ring.leaf_key, ring.is_punctured, ring.puncture, lambda one: ring.puncture_many([1, one])):
        with pytest.raises(LeafOutOfRangeError):
            ask(leaf)
    assert not ring.is_punctured(1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CFKR",
        encoded([], 1)[:-1],
        encoded([], 1) + b"\0",
        encoded([], 0),
        encoded([], 2),
        encoded([], 1, magic=b"CFKX"),
        encoded([], 1, form=2),
        encoded([], 1, depth=32),
        encoded([], 1, version=0),
        encoded([(5, 4)], 6),
        encoded([(0, 64)], 0),
        encoded([(64, 64)], 1),
        encoded([(2, 2), (2, 2)], 6),
        encoded([(2, 6), (4, 8)], 6),
        encoded([(8, 8), (2, 2)], 8),
        encoded([(2, 2), (3, 3)], 5),
        encoded([(0, 0), (1, 1)], 5),
        encoded([(5, 5)], 5),
        encoded([(5, 5)], 7),
        encoded([(5, 5)], 6)[:-32] + encoded([(5, 5)], 6)[-64:-32],
        b"CFKR\x01\x06" + bytes(16) + (1).to_bytes(8) + b"\xff\xff\xff\xff",
    ],
    ids=[
        "nothing",
        "only the magic",
        "a byte short",
        "a byte more",
        "no node",
        "a node more",
        "another magic",
        "another format",
        "another depth",
        "version zero",
        "a run that ends before it begins",
        "a run past the last leaf",
        "a run after the last leaf",
        "a run twice",
        "runs that overlap",
        "runs out of order",
        "runs that touch",
        "runs that touch at leaf 0",
        "a node missing",
        "a node too many",
        "a node twice",
        "more runs than bytes",
    ],
)
def test_bytes_that_are_not_exactly_a_ring_are_refused(data):
    with pytest.raises(KeyRingCorruptError):
        SmallRing.from_bytes(data)


@pytest.mark.parametrize(
    ("runs", "nodes"),
    [([], 1), ([(5, 5)], 6), ([(0, 0)], 6), ([(63, 63)], 6), ([(2, 3)], 5), ([(0, 63)], 0), ([(2, 2), (8, 8)], 8)],
)
def test_bytes_that_are_a_ring_are_read(runs, nodes):
    """The control of the refusals above: the same writer's well-formed bytes."""
    data = encoded(runs, nodes)
    ring = SmallRing.from_bytes(data)
    assert list(ring.punctured_runs()) == runs
    assert ring.node_count == nodes
    assert ring.to_bytes() == data


@given(st.binary(max_size=200))
def test_any_bytes_are_a_ring_or_refused_with_a_typed_error(data):
    for head in (b"", b"CFKR\x01\x06" + bytes(23)):
        try:
            ring = SmallRing.from_bytes(head + data)
        except KeyRingCorruptError:
            continue
        assert ring.to_bytes() == head + data


def test_a_ring_shows_no_node_and_cannot_be_copied_or_pickled():
    ring = fresh().puncture(9)
    ring.leaf_key(1)
    shown = f"{ring!r} {ring}"
    for node in ring._nodes.values():
        assert node.hex() not in shown
        assert repr(node) not in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretExposedError):
            leak(ring)
    assert not hasattr(ring, "__dict__")


def test_the_cache_stays_bounded():
    ring = fresh()
    for leaf in range(0, 60_000_000, 3_000):
        ring.leaf_key(leaf)
    assert len(ring._recent) + len(ring._older) <= 2 * 8192
    assert ring.leaf_key(3_000) == path_keys(counting(32), 3_000, 32)[-1]


def test_ten_thousand_erased_of_a_million_is_about_two_megabytes():
    chosen = random.Random(1)  # noqa: S311 - the same sample every time
    ring = fresh().puncture_many(chosen.sample(range(1_000_000), 10_000))
    assert 1_700_000 < len(ring.to_bytes()) < 2_200_000
    assert ring.node_count == pytest.approx(58_000, rel=0.05)


def test_a_sequential_leaf_costs_about_two_hashes():
    """Counted, not timed: the inner nodes remembered for n leaves in a row are n of them, plus the path."""
    ring = fresh()
    for leaf in range(4096):
        ring.leaf_key(leaf)
    assert len(ring._recent) <= 4096 + 32


def test_frozen_vectors_of_the_ring_still_hold():
    ring = KeyRing.fresh(lambda size: bytes.fromhex(VECTORS["ring_id" if size == 16 else "seed"]))
    for leaf, key in VECTORS["leaf_keys"].items():
        assert ring.leaf_key(int(leaf)).hex() == key
    assert ring.to_bytes().hex() == VECTORS["fresh"]
    for leaf in VECTORS["punctures"]:
        ring = ring.puncture(leaf)
    assert ring.to_bytes().hex() == VECTORS["punctured"]
    read = KeyRing.from_bytes(bytes.fromhex(VECTORS["punctured"]))
    for leaf, key in VECTORS["leaf_keys"].items():
        if int(leaf) not in VECTORS["punctures"]:
            assert read.leaf_key(int(leaf)).hex() == key


def test_every_error_of_the_vault_has_its_own_fixed_text():
    def below(kind):
        yield kind
        for sub in kind.__subclasses__():
            yield from below(sub)

    kinds = set(below(VaultError))
    assert all(kind.__name__.endswith("Error") for kind in kinds)
    assert len({kind.text for kind in kinds}) == len(kinds)
    assert all(str(kind()) == kind.text for kind in kinds)
