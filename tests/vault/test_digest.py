"""Keyed digests: the same texts have the same name, and nobody without the key learns which texts they were."""

import copy
import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault import aes_gcm
from vault.digest import DIGEST_SIZE, DigestKey
from vault.errors import SecretExposedError

SECRET = bytes(range(32))
KEY = DigestKey(SECRET)


def test_a_digest_is_exactly_what_its_format_page_says():
    """Made again from the page, with the test's own HKDF and length prefixes."""
    parts = [b"event", b"web-shop", b"m-1"]
    message = b"".join(len(part).to_bytes(4) + part for part in parts)
    key = aes_gcm.hkdf(SECRET, b"confide/1/digest", 32)
    expected = hashlib.blake2b(message, digest_size=16, key=key).digest()
    assert KEY.digest("event", "web-shop", "m-1") == expected
    assert expected.hex() == "146edd82dbff6ab7bea2a5322ab73d99"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4), st.data())
def test_only_the_same_list_of_texts_has_the_same_digest(parts, data):
    other = data.draw(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4))
    assert (KEY.digest(*parts) == KEY.digest(*other)) is (parts == other)
    assert len(KEY.digest(*parts)) == DIGEST_SIZE


def test_two_texts_run_together_are_not_one():
    assert KEY.digest("event", "ab", "c") != KEY.digest("event", "a", "bc")


def test_another_key_gives_other_digests():
    assert DigestKey(bytes(32)).digest("event", "a") != KEY.digest("event", "a")


def test_the_key_is_never_shown_copied_or_pickled():
    assert "00" not in repr(KEY)
    for expose in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretExposedError):
            expose(KEY)


def test_what_cannot_be_digested_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        DigestKey(b"short")
    with pytest.raises(ValueError, match="not valid text"):
        KEY.digest("event", "\ud800")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3), st.text(max_size=5))
def test_what_names_many_things_gives_each_the_same_digest(leading, last):
    if last.isascii() or last.encode("utf-8", "replace").decode() == last:
        naming = KEY.naming(*leading)
        assert naming(last) == KEY.digest(*leading, last) == naming(last)


def test_half_a_character_has_no_name():
    with pytest.raises(ValueError, match="valid text"):
        KEY.naming("event", "shop")("\ud800")
