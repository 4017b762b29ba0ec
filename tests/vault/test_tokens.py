"""Blind index tokens: equal values meet, and nobody without the keys learns or links anything."""

import copy
import hmac
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault import aes_gcm
from vault.errors import InvalidIdentifierError, SecretExposedError, UnknownIndexError
from vault.normalise import Index
from vault.tokens import TOKEN_SIZE, BlindTokens

VECTORS = Path(__file__).parent / "vectors"
OURS = json.loads((VECTORS / "blind_index.json").read_text())
OUTSIDE = json.loads((VECTORS / "outside.json").read_text())
KEYS = {1: bytes(range(32)), 2: bytes(range(32, 64)), 3: bytes(range(64, 96))}
EMAIL = "ada@example.com"


def blind(keys=KEYS, tenant: str = "main", region: str | None = "GB") -> BlindTokens:
    return BlindTokens(keys, tenant=tenant, region=region)


@pytest.mark.parametrize("vector", OUTSIDE["hmac_sha256"], ids=lambda vector: vector["source"])
def test_hmac_agrees_with_rfc_4231(vector):
    assert hmac.digest(bytes.fromhex(vector["key"]), bytes.fromhex(vector["data"]), "sha256").hex() == vector["mac"]


def test_a_token_is_exactly_what_its_format_page_says():
    """Made again from the page, with the test's own HKDF and length prefixes."""
    parts = [b"confide/1/blind-index", b"main", b"email", (3).to_bytes(8)]
    info = b"".join(len(part).to_bytes(4) + part for part in parts)
    key = aes_gcm.hkdf(KEYS[3], info, 32)
    assert blind().token("email", EMAIL) == hmac.digest(key, EMAIL.encode(), "sha256")


def test_every_spelling_of_a_value_has_the_same_tokens():
    assert blind().tokens("email", " ADA@Example.com ") == blind().tokens("email", EMAIL)
    assert blind().tokens("phone", "020 7946 0018") == blind().tokens("phone", "+44 20 7946 0018")
    assert blind().tokens("external_id", " crm: 7") == blind().tokens("external_id", "crm:7")
    assert blind().tokens("email", "ada+x@example.com") != blind().tokens("email", EMAIL)


def test_tokens_come_newest_epoch_first_and_new_entries_take_the_newest():
    tokens = blind().tokens("email", EMAIL)
    assert blind().epochs == (3, 2, 1)
    assert len(set(tokens)) == 3
    assert all(len(token) == TOKEN_SIZE for token in tokens)
    assert tokens == [blind().token("email", EMAIL, epoch) for epoch in (3, 2, 1)]
    assert blind().token("email", EMAIL) == tokens[0]
    shuffled = blind({2: KEYS[2], 3: KEYS[3], 1: KEYS[1]})
    assert shuffled.tokens("email", EMAIL) == tokens


def test_tokens_of_a_retired_epoch_match_nothing_any_more():
    old = set(blind().tokens("email", EMAIL))
    retired = blind({3: KEYS[3]})
    assert set(retired.tokens("email", EMAIL)) == {blind().token("email", EMAIL, 3)}
    with pytest.raises(UnknownIndexError):
        retired.token("email", EMAIL, 1)
    rotated = blind({4: bytes(32)})
    assert old.isdisjoint(rotated.tokens("email", EMAIL))


def test_tenants_indexes_epochs_and_keys_never_share_a_key_and_so_never_a_token():
    makers = [blind(), blind(tenant="other"), blind({1: KEYS[2], 2: KEYS[1]}), blind({7: KEYS[1]})]
    keys = [key for maker in makers for key in maker._keys.values()]
    assert len(set(keys)) == len(keys) == len(Index) * (3 + 3 + 2 + 1)
    tokens = [token for maker in makers for token in maker.tokens("email", EMAIL)]
    assert len(set(tokens)) == len(tokens)


@given(st.text("abc", min_size=1, max_size=6), st.text("abc", min_size=1, max_size=6))
def test_tokens_are_equal_exactly_when_values_are(one, other):
    equal = blind().tokens("external_id", f"crm:{one}") == blind().tokens("external_id", f"crm:{other}")
    assert equal == (one == other)


def test_a_token_holds_no_part_of_the_value():
    for token in blind().tokens("email", EMAIL):
        assert b"ada" not in token
        assert token not in {hmac.digest(key, EMAIL.encode(), "sha256") for key in KEYS.values()}


def test_a_value_or_index_that_cannot_be_is_refused():
    for make in (blind().tokens, blind().token):
        with pytest.raises(InvalidIdentifierError):
            make("email", "not an address")
        with pytest.raises(UnknownIndexError):
            make("passport", EMAIL)
    with pytest.raises(InvalidIdentifierError):
        blind(region=None).tokens("phone", "020 7946 0018")


@pytest.mark.parametrize("keys", [{}, {1: b""}, {1: bytes(31)}, {1: bytes(32), 2: bytes(33)}])
def test_a_missing_or_short_key_makes_no_tokens(keys):
    with pytest.raises(ValueError, match="32 bytes"):
        blind(keys)


def test_the_keys_are_not_shown_copied_or_pickled():
    tokens = blind()
    assert repr(tokens) == "<BlindTokens of epochs 3, 2, 1>"
    assert not hasattr(tokens, "__dict__")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretExposedError):
            leak(tokens)


def test_frozen_vectors_of_the_blind_index_still_hold():
    for vector in OURS["tokens"]:
        keys = {int(epoch): bytes.fromhex(key) for epoch, key in vector["epoch_keys"].items()}
        made = blind(keys, vector["tenant"], vector["region"]).tokens(vector["index"], vector["value"])
        assert [token.hex() for token in made] == vector["tokens"]
