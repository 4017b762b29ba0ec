"""The tree against the published vectors and against a naive reading of RFC 6962, section 2.1."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import ProofInvalidError
from audit.tree import (
    EMPTY_ROOT,
    Edge,
    consistency_proof,
    consistency_ranges,
    inclusion_proof,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    subtree_hash,
    verify_consistency,
    verify_inclusion,
)

# The inputs, roots and proofs of the Certificate Transparency reference code (also in transparency-dev/merkle).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def leaves_of(size):
    return [leaf_hash(index.to_bytes(4, "big")) for index in range(size)]


def naive_root(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], whole=False), naive_root(leaves[:k])]


def test_hashes_are_those_of_the_published_vectors():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert (
        leaf_hash(bytes(range(0x10, 0x20))).hex()
        == "3bfb960453ebaebf33727da7a1f4db38acc051d381b6da20d6d4e88f0eabfd7a"
    )
    assert (
        node_hash(bytes(range(0x20)), bytes(range(0x20, 0x40))).hex()
        == "1a378704c17da31e2d05b6d121c2bb2c7d76f6ee6fa8f983e596c2d034963c57"
    )


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size):
    assert Edge().extend(HASHES[:size]).root() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_published_vectors(index, size, proof):
    path = inclusion_proof(HASHES, index, size)
    assert [node.hex() for node in path] == proof
    verify_inclusion(leaf=HASHES[index], index=index, size=size, root=ROOTS[size - 1], proof=path)


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_published_vectors(old, new, proof):
    path = consistency_proof(HASHES, old, new)
    assert [node.hex() for node in path] == proof
    verify_consistency(old_size=old, old_root=ROOTS[old - 1], new_size=new, new_root=ROOTS[new - 1], proof=path)


@given(st.lists(st.integers(0, 20), max_size=5))
def test_a_tree_grown_in_any_steps_has_the_root_of_the_naive_tree(steps):
    leaves, edge = leaves_of(sum(steps)), Edge()
    for step in steps:
        edge = edge.extend(leaves[edge.size : edge.size + step])
    assert edge.root() == naive_root(leaves)
    assert edge.nodes == Edge().extend(leaves).nodes


@given(st.data())
def test_inclusion_proofs_are_those_of_the_naive_reading(data):
    size = data.draw(st.integers(1, 70))
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    proof = inclusion_proof(leaves, index, size)
    assert list(proof) == naive_path(index, leaves)
    verify_inclusion(leaf=leaves[index], index=index, size=size, root=naive_root(leaves), proof=proof)


@given(st.data())
def test_consistency_proofs_are_those_of_the_naive_reading(data):
    new = data.draw(st.integers(1, 70))
    old = data.draw(st.integers(1, new))
    leaves = leaves_of(new)
    proof = consistency_proof(leaves, old, new)
    assert list(proof) == naive_subproof(old, leaves, whole=True)
    verify_consistency(
        old_size=old, old_root=naive_root(leaves[:old]), new_size=new, new_root=naive_root(leaves), proof=proof
    )


@given(st.data())
def test_no_altered_inclusion_proof_is_accepted(data):
    size = data.draw(st.integers(1, 40))
    index = data.draw(st.integers(0, size - 1))
    leaves = leaves_of(size)
    claim = {"leaf": leaves[index], "index": index, "size": size, "root": naive_root(leaves)}
    proof = list(inclusion_proof(leaves, index, size))
    match data.draw(st.sampled_from(["leaf", "index", "root", "longer", "shorter", "flip"])):
        case "leaf":
            claim["leaf"] = leaf_hash(b"another")
        case "index":
            claim["index"] = data.draw(st.integers(-1, size).filter(lambda other: other != index))
        case "root":
            claim["root"] = naive_root(leaves[:-1])
        case "longer":
            proof.insert(data.draw(st.integers(0, len(proof))), leaf_hash(b"another"))
        case "shorter" if proof:
            proof.pop(data.draw(st.integers(0, len(proof) - 1)))
        case _:
            if not proof:
                return
            at = data.draw(st.integers(0, len(proof) - 1))
            proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    with pytest.raises(ProofInvalidError):
        verify_inclusion(**claim, proof=proof)


@given(st.data())
def test_no_altered_consistency_proof_is_accepted(data):
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    leaves = leaves_of(new)
    claim = {
        "old_size": old,
        "old_root": naive_root(leaves[:old]),
        "new_size": new,
        "new_root": naive_root(leaves),
    }
    proof = list(consistency_proof(leaves, old, new))
    match data.draw(st.sampled_from(["old", "new", "longer", "shorter", "flip", "larger"])):
        case "old":
            claim["old_root"] = leaf_hash(b"another")
        case "new":
            claim["new_root"] = leaf_hash(b"another")
        case "longer":
            proof.insert(data.draw(st.integers(0, len(proof))), leaf_hash(b"another"))
        case "shorter":
            proof.pop(data.draw(st.integers(0, len(proof) - 1)))
        case "flip":
            at = data.draw(st.integers(0, len(proof) - 1))
            proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        case _:
            claim["old_size"] = new + 1
    with pytest.raises(ProofInvalidError):
        verify_consistency(**claim, proof=proof)


def test_nothing_is_consistent_with_a_second_root_of_the_same_size():
    verify_consistency(old_size=3, old_root=ROOTS[2], new_size=3, new_root=ROOTS[2], proof=())
    with pytest.raises(ProofInvalidError):
        verify_consistency(old_size=3, old_root=ROOTS[2], new_size=3, new_root=ROOTS[3], proof=())


def test_every_tree_is_consistent_with_the_empty_one_and_no_other_root_of_size_zero():
    verify_consistency(old_size=0, old_root=EMPTY_ROOT, new_size=3, new_root=ROOTS[2], proof=())
    with pytest.raises(ProofInvalidError):
        verify_consistency(old_size=0, old_root=ROOTS[0], new_size=3, new_root=ROOTS[2], proof=())


@pytest.mark.parametrize("ranges", [lambda: inclusion_ranges(3, 3), lambda: consistency_ranges(4, 3)])
def test_ranges_outside_the_tree_are_refused(ranges):
    with pytest.raises(ValueError, match="tree"):
        ranges()


def test_a_range_beyond_the_known_leaves_is_refused():
    with pytest.raises(ValueError, match="outside"):
        subtree_hash(HASHES, 0, 9)


def test_an_edge_with_the_wrong_number_of_nodes_is_refused():
    with pytest.raises(ValueError, match="binary one"):
        Edge(3, (HASHES[0],))
