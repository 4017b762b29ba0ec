"""A customer's data key: what it seals opens only in its own slot, and nothing shows a byte of it."""

import copy
import json
import logging
import os
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.data_key import DataKey
from vault.envelope import Label, SealingKey
from vault.errors import EnvelopeError, SecretExposedError, UnsealableValueError
from vault.slot import Slot

VECTORS = json.loads((Path(__file__).parent / "vectors" / "data_key.json").read_text())
SECRET = bytes(range(200, 232))
SLOT = {"collection": "profiles", "document_id": "cus_a", "group": "contact", "schema_version": 1}
VALUES = {"email": "ada@example.com", "phone": "+442079460018"}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def fixed(size: int) -> bytes:
    return bytes(range(100, 100 + size))


def data_key(
    secret: bytes = SECRET, customer_id: str = "cus_a", tenant: str = "main", generation: int = 1
) -> DataKey:
    return DataKey(secret, tenant=tenant, customer_id=customer_id, generation=generation, leaf=7, random=fixed)


def sealed(values=VALUES, key: DataKey | None = None, **changes) -> bytes:
    return (key or data_key()).seal(**SLOT | changes, values=values)


def refused(open_it) -> bool:
    with pytest.raises(EnvelopeError) as caught:
        open_it()
    return str(caught.value) == EnvelopeError.text and caught.value.__context__ is None


@given(st.dictionaries(st.text(max_size=10), PLAIN, max_size=5))
def test_values_open_as_they_were_sealed(values):
    assert data_key().open(sealed(values), **SLOT) == values


def test_dates_become_iso_text_and_decimals_text():
    values = {
        "day": date(1815, 12, 10),
        "moment": datetime(2026, 5, 1, 12, 30, tzinfo=UTC),
        "amount": Decimal("12.30"),
        "nested": [{"on": date(2020, 2, 29)}, (1, 2)],
    }
    assert data_key().open(sealed(values), **SLOT) == {
        "day": "1815-12-10",
        "moment": "2026-05-01T12:30:00+00:00",
        "amount": "12.30",
        "nested": [{"on": "2020-02-29"}, [1, 2]],
    }


def deep(levels: int):
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"secret", 2**64, -(2**63) - 1, "se\ud800cret", {1: "secret"}, {"a": object()}, deep(40), 1j],
    ids=["object", "set", "bytes", "large", "small", "surrogate", "key", "inner", "deep", "complex"],
)
def test_a_value_that_cannot_be_sealed_is_refused_without_being_quoted(value):
    with pytest.raises(UnsealableValueError) as caught:
        sealed({"note": value})
    assert str(caught.value) == UnsealableValueError.text
    assert caught.value.__context__ is None
    with pytest.raises(UnsealableValueError):
        sealed({7: "a name that is no text"})
    # Negative control: the nearest value that can be.
    assert sealed({"note": deep(30), "number": 2**64 - 1})


def test_a_group_opens_only_in_its_own_slot():
    """Every part of the slot changed, and every two parts swapped, one at a time."""
    envelope = sealed()
    slot = Slot("main", "cus_a", **SLOT, generation=1)
    changed = {
        "tenant": ["other", "", "cus_a"],
        "customer_id": ["cus_b", "", "main"],
        "collection": ["orders", "", "contact", "cus_a"],
        "document_id": ["cus_b", "", "profiles", "contact"],
        "group": ["name", "", "profiles", "cus_a", "contac", "contactt"],
        "schema_version": [0, 2, 256, 2**64],
        "generation": [0, 2, 256],
    }
    for name, values in changed.items():
        for value in values:
            parts = {field: getattr(slot, field) for field in Slot.__dataclass_fields__} | {name: value}
            key = data_key(tenant=parts["tenant"], customer_id=parts["customer_id"], generation=parts["generation"])
            place = {field: parts[field] for field in SLOT}
            assert refused(lambda key=key, place=place: key.open(envelope, **place)), (name, value)
    # Negative control.
    assert data_key().open(envelope, **SLOT) == VALUES


def test_a_group_moved_to_another_customer_does_not_open_even_under_the_same_secret():
    assert refused(lambda: data_key(customer_id="cus_b").open(sealed(), **SLOT))
    assert refused(lambda: data_key(bytes(32)).open(sealed(), **SLOT))


def test_an_authentic_payload_that_is_no_group_is_refused():
    slot = Slot("main", "cus_a", **SLOT, generation=1).to_bytes()
    sealing = SealingKey(SECRET, Label.DOCUMENT, generation=1, random=fixed)
    encode = msgspec.msgpack.encode
    for payload in (
        b"",
        b"\0" * 64,
        encode({}),
        b"\x80",
        encode([1]) + b"\x80",
        encode({1: 2}) + b"\x80",
        b"\xc1\x80",
    ):
        assert refused(lambda payload=payload: data_key().open(sealing.seal(payload, slot), **SLOT))
    # Negative control: the same writer's well-formed payload, at any padding.
    for padding in (0, 1, 63):
        payload = encode({"a": 1}) + b"\x80" + bytes(padding)
        assert data_key().open(sealing.seal(payload, slot), **SLOT) == {"a": 1}


def test_the_length_of_an_envelope_does_not_tell_which_fields_have_values():
    lengths = {len(sealed(values)) for values in ({}, {"email": "a@b.de"}, VALUES, {"phone": "+442079460018"})}
    assert lengths == {66 + 64}
    assert len(sealed({"note": "x" * 64})) == 66 + 128


def test_an_envelope_holds_no_value_in_clear():
    envelope = sealed()
    for text in ("ada", "example", "+44", "email", "phone", "contact", "cus_a"):
        assert text.encode() not in envelope


def test_a_wrapped_key_comes_back_with_all_that_is_derived_from_it():
    key = data_key()
    wrapped = key.wrap(bytes(32), ring_id=bytes(16))
    parts = {"tenant": "main", "customer_id": "cus_a", "generation": 1, "leaf": 7, "ring_id": bytes(16)}
    again = DataKey.unwrap(wrapped, bytes(32), **parts, random=fixed)
    assert again.open(sealed(), **SLOT) == VALUES
    assert (again.audit_reference, again.fingerprint) == (key.audit_reference, key.fingerprint)
    assert again.pseudonym("x") == key.pseudonym("x")
    assert refused(lambda: DataKey.unwrap(wrapped, bytes(31) + b"\1", **parts, random=fixed))
    assert refused(lambda: DataKey.unwrap(wrapped, bytes(32), **parts | {"leaf": 8}, random=fixed))


def test_a_key_moved_to_another_leaf_is_the_same_key_wrapped_there():
    moved = data_key().moved(99)
    assert (moved.leaf, moved.customer_id, moved.generation) == (99, "cus_a", 1)
    assert moved.open(sealed(), **SLOT) == VALUES
    parts = {"tenant": "main", "customer_id": "cus_a", "generation": 1, "ring_id": bytes(16)}
    wrapped = moved.wrap(bytes(32), ring_id=bytes(16))
    assert DataKey.unwrap(wrapped, bytes(32), leaf=99, **parts, random=fixed).open(sealed(), **SLOT) == VALUES
    assert refused(lambda: DataKey.unwrap(wrapped, bytes(32), leaf=7, **parts, random=fixed))


def test_a_fresh_key_takes_its_secret_from_the_randomness_given():
    asked = []

    def counted(size):
        asked.append(size)
        return SECRET[:size]

    key = DataKey.fresh(tenant="main", customer_id="cus_a", leaf=7, random=counted)
    assert asked == [32]
    assert key.generation == 1
    assert key.fingerprint == data_key().fingerprint


def test_references_fingerprints_and_pseudonyms_differ_between_keys_and_tell_nothing_of_them():
    keys = [data_key(bytes([number]) * 32) for number in range(50)]
    assert len({key.audit_reference for key in keys}) == 50
    assert len({key.fingerprint for key in keys}) == 50
    assert len({key.pseudonym("same text") for key in keys}) == 50
    key = data_key()
    derived = [key.audit_reference, bytes.fromhex(key.fingerprint), SECRET, sealed()]
    assert len(key.audit_reference) == 16
    assert len({part[:16] for part in derived}) == 4
    assert key.audit_reference is key.audit_reference


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_pseudonym_is_stable_and_of_one_shape(one, other):
    key = data_key()
    assert (key.pseudonym(one) == key.pseudonym(other)) == (one == other)
    assert len(key.pseudonym(one)) == 18
    assert key.pseudonym(one) == data_key().pseudonym(one)


def test_a_key_of_the_wrong_size_is_refused_without_being_quoted():
    with pytest.raises(ValueError, match="32 bytes") as caught:
        data_key(SECRET[:-1])
    assert "200" not in str(caught.value)
    assert SECRET[:4].hex() not in str(caught.value)


def test_nothing_shows_copies_or_pickles_a_byte_of_the_key(caplog):
    key = data_key()
    sealed(key=key)
    key.pseudonym("x")
    logging.getLogger("test").warning("%s %r", key, key, extra={"key": key})
    shown = " ".join([repr(key), str(key), f"{key}", repr([key]), repr({"key": key}), caplog.text])
    assert repr(key) == "<DataKey generation 1, leaf 7>"
    for at in range(len(SECRET) - 3):
        part = SECRET[at : at + 4]
        assert part.hex() not in shown
        assert repr(part)[2:-1] not in shown
        assert part.decode("latin-1") not in shown
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, lambda one: pickle.dumps({"key": one})):
        with pytest.raises(SecretExposedError):
            leak(key)
    for leak in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode, vars):
        with pytest.raises(TypeError):
            leak(key)


def test_frozen_vectors_of_the_data_key_still_hold():
    for vector in VECTORS["keys"]:
        parts = {name: vector[name] for name in ("tenant", "customer_id", "generation", "leaf")}
        key = DataKey(bytes.fromhex(vector["secret"]), random=fixed, **parts)
        assert key.audit_reference.hex() == vector["audit_reference"]
        assert key.fingerprint == vector["fingerprint"]
        assert {text: key.pseudonym(text) for text in vector["pseudonyms"]} == vector["pseudonyms"]
        for group in vector["groups"]:
            place = {name: group[name] for name in SLOT}
            assert key.open(bytes.fromhex(group["envelope"]), **place) == group["values"]
            assert key.seal(**place, values=group["values"]).hex() == group["envelope"]


def test_groups_sealed_together_open_each_in_its_own_slot_and_share_no_nonce():
    key = DataKey(SECRET, tenant="main", customer_id="cus_a", generation=1, leaf=7, random=os.urandom)
    groups = {"user.content": {"properties": {"q": "tea"}}, "user.unique_id": {"ids": {"user_id": "7"}}, "empty": {}}
    found = key.seal_json("events", "evt_1", groups, 1)
    assert {group: key.open(found[group], "events", "evt_1", group, 1) for group in groups} == groups
    assert len({envelope[38:50] for envelope in found.values()}) == len(groups)
    assert refused(lambda: key.open(found["user.content"], "events", "evt_1", "user.unique_id", 1))
    with pytest.raises(UnsealableValueError):
        key.seal_json("events", "evt_1", {"a": {"n": 2**70}}, 1)
