"""A slot's bytes: two different slots never share them."""

import json
from dataclasses import astuple, fields, replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vault.slot import Slot, encode_parts, key_prefix, slot_bytes

VECTORS = json.loads((Path(__file__).parent / "vectors" / "slot.json").read_text())
# Texts that would run into each other without lengths: separators, length bytes, each other's beginnings, nothing.
TEXTS = st.text(alphabet="a:/\0\1|é", max_size=4)
NUMBERS = st.integers(0, 3) | st.integers(0, 2**64 - 1)
SLOTS = st.builds(Slot, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, NUMBERS, NUMBERS)
SLOT = Slot("main", "cus_a", "profiles", "doc_b", "contact", 3, 4)


def decoded(data: bytes) -> list[bytes]:
    """The parts back from the bytes: an encoding that can be undone is injective."""
    parts = []
    while data:
        size = int.from_bytes(data[:4])
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return parts


@given(SLOTS)
def test_every_slot_can_be_read_back_from_its_bytes(slot):
    domain, tenant, customer, generation, collection, group, schema, document = decoded(slot.to_bytes())
    assert domain == b"confide/slot/1"
    assert slot == Slot(
        tenant.decode(),
        customer.decode(),
        collection.decode(),
        document.decode(),
        group.decode(),
        int.from_bytes(schema),
        int.from_bytes(generation),
    )


@given(SLOTS, SLOTS)
def test_two_different_slots_never_have_the_same_bytes(one, other):
    assert (one == other) == (one.to_bytes() == other.to_bytes())


@given(SLOTS, st.sampled_from([field.name for field in fields(Slot)]), st.data())
def test_a_change_of_any_one_part_changes_the_bytes(slot, name, data):
    other = replace(slot, **{name: data.draw(NUMBERS if isinstance(getattr(slot, name), int) else TEXTS)})
    assume(other != slot)
    assert other.to_bytes() != slot.to_bytes()


def test_joining_the_parts_without_lengths_would_not_be_injective():
    """The negative control of the property above: the naive encoding fails on slots that ours tells apart."""
    one, other = replace(SLOT, collection="ab", document_id="c"), replace(SLOT, collection="a", document_id="bc")
    assert "".join(map(str, astuple(one))) == "".join(map(str, astuple(other)))
    assert one.to_bytes() != other.to_bytes()


@given(SLOTS)
def test_the_prebuilt_prefix_gives_the_same_bytes(slot):
    prefix = key_prefix(slot.tenant, slot.customer_id, slot.generation)
    built = slot_bytes(prefix, slot.collection, slot.document_id, slot.group, slot.schema_version)
    assert built == slot.to_bytes()
    assert built.startswith(prefix)


@pytest.mark.parametrize("part", ["\ud800", -1, 2**64])
def test_a_part_that_has_no_encoding_is_refused_without_being_quoted(part):
    with pytest.raises(ValueError, match="A part of a slot is not valid") as caught:
        encode_parts("domain", part)
    assert caught.value.__context__ is None
    assert str(part) not in str(caught.value)


def test_frozen_vectors_of_the_slot_still_hold():
    for vector in VECTORS["slots"]:
        assert Slot(*vector["parts"]).to_bytes().hex() == vector["bytes"]
