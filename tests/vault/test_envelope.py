"""Envelopes: they open with their own key, in their own place, as they were sealed, and in no other way."""

import base64
import copy
import itertools
import json
import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tests.vault import aes_gcm
from vault import envelope
from vault.envelope import Label, SealingKey, TokenKey, generation_of, hkdf, unwrap_data_key, wrap_data_key
from vault.errors import EnvelopeError, SecretExposedError, TokenInvalidError

VECTORS = Path(__file__).parent / "vectors"
OURS = json.loads((VECTORS / "envelope.json").read_text())
OUTSIDE = json.loads((VECTORS / "outside.json").read_text())
SECRET, OTHER = bytes(range(32)), bytes(range(1, 33))
PLAINTEXT, CONTEXT = b"ada@example.com", b"a slot"
HEADER = 38
WRAPPING = {"tenant": "main", "customer_id": "cus_a", "generation": 1, "leaf": 7, "ring_id": bytes(16)}


def fixed(size: int) -> bytes:
    """A nonce source that always gives the same, so that the bytes can be compared."""
    return bytes(range(100, 100 + size))


def sealing(secret: bytes = SECRET, label: Label = Label.DOCUMENT, generation: int = 1) -> SealingKey:
    return SealingKey(secret, label, generation=generation, random=fixed)


def refused(open_it, error=EnvelopeError) -> bool:
    """Whether it is refused with the one text and nothing behind it: no cause, no hint."""
    with pytest.raises(error) as caught:
        open_it()
    return str(caught.value) == error.text and caught.value.__cause__ is None and caught.value.__context__ is None


def bit_flips(data: bytes):
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        yield bytes(flipped)


# Outside vectors: the primitives are the standards'.


@pytest.mark.parametrize("vector", OUTSIDE["hkdf_sha256"], ids=lambda vector: vector["source"])
def test_hkdf_agrees_with_rfc_5869(vector):
    given_bytes = {name: bytes.fromhex(vector[name]) for name in ("ikm", "salt", "info", "okm")}
    made = hkdf(given_bytes["ikm"], given_bytes["info"], len(given_bytes["okm"]), salt=given_bytes["salt"] or None)
    assert made == given_bytes["okm"]
    assert aes_gcm.hkdf(given_bytes["ikm"], given_bytes["info"], len(made), given_bytes["salt"]) == made


@pytest.mark.parametrize("vector", OUTSIDE["aes_256_gcm"], ids=lambda vector: vector["source"])
def test_aes_256_gcm_agrees_with_the_published_vectors(vector):
    key, nonce, plaintext, associated, sealed = (
        bytes.fromhex(vector[name]) for name in ("key", "nonce", "plaintext", "associated", "sealed")
    )
    assert envelope.AESGCM(key).encrypt(nonce, plaintext, associated) == sealed
    assert aes_gcm.opens(key, nonce, sealed, associated) == plaintext


@pytest.mark.parametrize("vector", OUTSIDE["xaes_256_gcm"], ids=lambda vector: vector["source"])
def test_xaes_256_gcm_agrees_with_the_published_vectors(vector):
    key, nonce, plaintext, associated, sealed = (
        bytes.fromhex(vector[name]) for name in ("key", "nonce", "plaintext", "associated", "sealed")
    )
    cipher = envelope._xaes(*envelope._xaes_key(key), nonce)
    assert cipher.encrypt(nonce[12:], plaintext, associated) == sealed


def test_an_envelope_is_exactly_what_its_format_page_says():
    """Taken apart with the test's own HKDF and GCM: nothing of the code under test is used to read it."""
    sealed = sealing(generation=0x01020304).seal(PLAINTEXT, CONTEXT)
    derived = aes_gcm.hkdf(SECRET, b"confide/1/document", 64)
    assert sealed[:2] == b"\x01\x01"
    assert sealed[2:6] == bytes([1, 2, 3, 4])
    assert sealed[6:38] == derived[32:]
    assert sealed[38:50] == fixed(12)
    assert aes_gcm.opens(derived[:32], sealed[38:50], sealed[50:], sealed[:38] + CONTEXT) == PLAINTEXT
    assert len(sealed) == 66 + len(PLAINTEXT)


# What opens, and what does not.


@given(st.binary(max_size=300), st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_an_envelope_opens_with_its_key_and_context(plaintext, context, secret):
    assert sealing(secret).open(sealing(secret).seal(plaintext, context), context) == plaintext


def test_every_single_bit_flip_is_refused():
    sealed = sealing().seal(PLAINTEXT, CONTEXT)
    assert all(refused(lambda flipped=flipped: sealing().open(flipped, CONTEXT)) for flipped in bit_flips(sealed))
    assert all(refused(lambda flipped=flipped: sealing().open(sealed, flipped)) for flipped in bit_flips(CONTEXT))
    # Negative control: unflipped, it opens.
    assert sealing().open(sealed, CONTEXT) == PLAINTEXT


def test_every_truncation_and_extension_is_refused():
    sealed = sealing().seal(PLAINTEXT, CONTEXT)
    for at in range(len(sealed)):
        assert refused(lambda at=at: sealing().open(sealed[:at], CONTEXT))
        assert refused(lambda at=at: sealing().open(sealed[at + 1 :], CONTEXT))
        assert refused(lambda at=at: sealing().open(sealed[:at] + b"\0" + sealed[at:], CONTEXT))
    assert refused(lambda: sealing().open(sealed + b"\0", CONTEXT))
    assert refused(lambda: sealing().open(sealed + sealed, CONTEXT))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    assert refused(lambda: sealing().open(data, CONTEXT))
    assert refused(lambda: sealing().open(sealing().seal(b"", b"")[:HEADER] + data, CONTEXT))


@pytest.mark.parametrize("stored", [None, 1, "text", [], {}, 1.5])
def test_what_is_not_bytes_is_refused(stored):
    """A store gives back whatever was written into it."""
    assert refused(lambda: sealing().open(stored, CONTEXT))


def test_another_key_label_or_generation_does_not_open_it():
    sealed = sealing().seal(PLAINTEXT, CONTEXT)
    others = [sealing(OTHER), sealing(generation=2), sealing(generation=0)]
    others += [sealing(label=label) for label in Label if label is not Label.DOCUMENT]
    assert all(refused(lambda other=other: other.open(sealed, CONTEXT)) for other in others)
    # The header of the other key, put before it, does not help.
    for other in others:
        moved = other.seal(b"", b"")[:HEADER] + sealed[HEADER:]
        assert refused(lambda other=other, moved=moved: other.open(moved, CONTEXT))
        assert refused(lambda moved=moved: sealing().open(moved, CONTEXT))


def test_a_ciphertext_made_to_open_under_two_keys_is_refused_by_the_one_it_does_not_commit_to():
    one, other = sealing(SECRET), sealing(OTHER)
    headers = [key.seal(b"", b"")[:HEADER] for key in (one, other)]
    keys = [aes_gcm.hkdf(secret, b"confide/1/document", 64)[:32] for secret in (SECRET, OTHER)]
    associated = [header + CONTEXT for header in headers]
    nonce = fixed(12)
    both = aes_gcm.opening_under_both(tuple(keys), tuple(associated), nonce, b"sixteen bytes..!")
    # Negative control: plain AES-GCM, with the same keys and associated data, opens it under both.
    opened = [AESGCM(key).decrypt(nonce, both, data) for key, data in zip(keys, associated, strict=True)]
    assert opened[0] != opened[1]
    assert one.open(headers[0] + nonce + both, CONTEXT) == opened[0]
    assert other.open(headers[1] + nonce + both, CONTEXT) == opened[1]
    # One envelope names one key: under the other it is refused, whichever header is chosen.
    assert refused(lambda: other.open(headers[0] + nonce + both, CONTEXT))
    assert refused(lambda: one.open(headers[1] + nonce + both, CONTEXT))


def test_the_nonce_is_asked_for_anew_each_time():
    asked = []

    def counted(size):
        asked.append(size)
        return len(asked).to_bytes(size)

    key = SealingKey(SECRET, Label.DOCUMENT, random=counted)
    sealed = [key.seal(PLAINTEXT, CONTEXT) for _ in range(3)]
    assert asked == [12, 12, 12]
    assert len({one[HEADER:] for one in sealed}) == 3
    assert {key.open(one, CONTEXT) for one in sealed} == {PLAINTEXT}


@pytest.mark.parametrize(("size", "generation"), [(0, 0), (31, 0), (33, 0), (32, -1), (32, 2**32)])
def test_a_secret_or_generation_of_the_wrong_size_makes_no_key(size, generation):
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(bytes(size), Label.DOCUMENT, generation=generation, random=fixed)


def test_the_generation_can_be_read_without_a_key():
    assert generation_of(sealing(generation=77).seal(PLAINTEXT, CONTEXT)) == 77
    for damaged in (b"", sealing().seal(b"", b"")[:-1], b"\x02" + sealing().seal(b"", b"")[1:]):
        assert refused(lambda damaged=damaged: generation_of(damaged))


# Data keys wrapped under a leaf of the ring.


def test_a_wrapped_data_key_opens_only_for_its_customer_generation_leaf_and_ring():
    wrapped = wrap_data_key(SECRET, OTHER, random=fixed, **WRAPPING)
    assert unwrap_data_key(wrapped, OTHER, **WRAPPING) == SECRET
    changes = {"tenant": "other", "customer_id": "cus_b", "generation": 2, "leaf": 8, "ring_id": bytes(15) + b"\1"}
    changes_again = {"tenant": "", "customer_id": "main", "generation": -1, "leaf": -1, "ring_id": b""}
    for change in (changes, changes_again):
        for name, value in change.items():
            assert refused(lambda name=name, value=value: unwrap_data_key(wrapped, OTHER, **WRAPPING | {name: value}))
    for name, stored in itertools.product(WRAPPING, (None, 1.5, [], {})):  # a store gives back whatever was written
        assert refused(lambda name=name, stored=stored: unwrap_data_key(wrapped, OTHER, **WRAPPING | {name: stored}))
    swapped = WRAPPING | {"tenant": WRAPPING["customer_id"], "customer_id": WRAPPING["tenant"]}
    assert refused(lambda: unwrap_data_key(wrapped, OTHER, **swapped))
    assert refused(lambda: unwrap_data_key(wrapped, SECRET, **WRAPPING))
    assert refused(lambda: unwrap_data_key(wrapped, b"short", **WRAPPING))
    assert all(
        refused(lambda flipped=flipped: unwrap_data_key(flipped, OTHER, **WRAPPING)) for flipped in bit_flips(wrapped)
    )


def test_what_is_not_a_data_key_is_neither_wrapped_nor_unwrapped():
    with pytest.raises(ValueError, match="32 bytes"):
        wrap_data_key(SECRET[1:], OTHER, random=fixed, **WRAPPING)
    context = envelope._wrapping_context(**WRAPPING)
    short = SealingKey(OTHER, Label.DATA_KEY, generation=1, random=fixed).seal(b"short", context)
    assert refused(lambda: unwrap_data_key(short, OTHER, **WRAPPING))


# Tokens.


def token_key(secret: bytes = SECRET) -> TokenKey:
    return TokenKey(secret, random=fixed)


@given(st.text(max_size=20).filter(lambda text: text.isprintable()), st.binary(max_size=99), st.binary(max_size=30))
def test_a_token_opens_for_its_purpose_and_context(purpose, payload, context):
    token = token_key().seal(purpose, payload, context)
    assert token_key().open(purpose, token, context) == payload
    assert all(letter.isalnum() or letter in "-_" for letter in token)


def test_a_changed_token_is_refused():
    token = token_key().seal("cursor", b"after 42", b"query")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n\0é\ud800"
    for at, right in enumerate(token):
        for letter in letters:
            if letter != right:
                changed = token[:at] + letter + token[at + 1 :]
                assert refused(
                    lambda changed=changed: token_key().open("cursor", changed, b"query"), TokenInvalidError
                )
        assert refused(lambda at=at: token_key().open("cursor", token[:at], b"query"), TokenInvalidError)
    for changed in (token + "=", token + "A", " " + token, token + "\n", token * 2, ""):
        assert refused(lambda changed=changed: token_key().open("cursor", changed, b"query"), TokenInvalidError)
    # Negative control: unchanged, it opens.
    assert token_key().open("cursor", token, b"query") == b"after 42"


def test_a_token_for_another_purpose_context_or_key_is_refused():
    token = token_key().seal("cursor", b"after 42", b"query")
    for key, purpose, context in (
        (token_key(OTHER), "cursor", b"query"),
        (token_key(), "cursors", b"query"),
        (token_key(), "curso", b"rquery"),
        (token_key(), "cursor", b"query2"),
        (token_key(), "cursor", b""),
    ):
        assert refused(
            lambda key=key, purpose=purpose, context=context: key.open(purpose, token, context), TokenInvalidError
        )


def test_an_envelope_is_no_token_and_a_token_no_envelope():
    sealed = SealingKey(SECRET, Label.TOKEN, random=fixed).seal(PLAINTEXT, CONTEXT)
    as_token = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    assert refused(lambda: token_key().open("cursor", as_token, CONTEXT), TokenInvalidError)
    token = token_key().seal("cursor", PLAINTEXT, CONTEXT)
    data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert refused(lambda: SealingKey(SECRET, Label.TOKEN, random=fixed).open(data, CONTEXT))


def test_a_token_key_needs_a_secret_of_its_size():
    with pytest.raises(ValueError, match="32 bytes"):
        TokenKey(SECRET[1:], random=fixed)


# Secrets stay inside.


@pytest.mark.parametrize("key", [sealing(), token_key()], ids=["sealing key", "token key"])
def test_a_key_shows_nothing_and_cannot_be_copied_or_pickled(key):
    assert repr(key) in {"<SealingKey>", "<TokenKey>"}
    assert not hasattr(key, "__dict__")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretExposedError):
            leak(key)


def test_every_label_is_its_own():
    keys = {hkdf(SECRET, label.encode()) for label in Label}
    assert len(keys) == len(Label)
    assert {label.value for label in Label} == set(OURS["labels"]), "a label may be added, never renamed or removed"


def test_frozen_vectors_of_the_envelope_still_open():
    for vector in OURS["envelopes"]:
        key = SealingKey(
            bytes.fromhex(vector["secret"]), Label(vector["label"]), generation=vector["generation"], random=fixed
        )
        plaintext, context, sealed = (bytes.fromhex(vector[name]) for name in ("plaintext", "context", "envelope"))
        assert key.open(sealed, context) == plaintext
        assert key.seal(plaintext, context) == sealed
    for vector in OURS["wrapped"]:
        parts = {name: vector[name] for name in ("tenant", "customer_id", "generation", "leaf")}
        parts["ring_id"] = bytes.fromhex(vector["ring_id"])
        leaf_key, data_key = bytes.fromhex(vector["leaf_key"]), bytes.fromhex(vector["data_key"])
        assert unwrap_data_key(bytes.fromhex(vector["wrapped"]), leaf_key, **parts) == data_key
        assert wrap_data_key(data_key, leaf_key, random=fixed, **parts).hex() == vector["wrapped"]
    for vector in OURS["tokens"]:
        key = TokenKey(bytes.fromhex(vector["secret"]), random=fixed)
        payload, context = bytes.fromhex(vector["payload"]), bytes.fromhex(vector["context"])
        assert key.open(vector["purpose"], vector["token"], context) == payload
        assert key.seal(vector["purpose"], payload, context) == vector["token"]
