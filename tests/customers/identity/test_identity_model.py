"""Identifiers: which one is shown, and names that nobody can guess."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.identity.model import Identifier, IdentifierType, new_id, primary, with_primary

EMAIL, PHONE, EXTERNAL, ANONYMOUS = IdentifierType
IDENTIFIERS = st.lists(
    st.builds(Identifier, st.sampled_from(IdentifierType), st.sampled_from("abcdef")), unique=True, max_size=8
).map(tuple)


def test_the_first_of_a_type_is_the_one_that_is_shown():
    held = (Identifier(PHONE, "1"), Identifier(EMAIL, "a"), Identifier(EMAIL, "b"))
    assert (primary(held, EMAIL), primary(held, PHONE), primary(held, EXTERNAL)) == ("a", "1", None)


@given(IDENTIFIERS, st.sampled_from(IdentifierType), st.sampled_from("abcxyz"))
def test_a_new_primary_takes_the_place_of_the_old_one_and_touches_no_other(held, kind, value):
    changed = with_primary(held, kind, value)
    old = primary(held, kind)
    assert primary(changed, kind) == value
    assert changed.count(Identifier(kind, value)) == 1
    kept = [each for each in held if each.type is not kind or each.value not in (old, value)]
    assert [each for each in changed if each != Identifier(kind, value)] == kept
    assert with_primary(changed, kind, value) == changed


@given(IDENTIFIERS, st.sampled_from(IdentifierType))
def test_removing_the_primary_one_shows_the_next(held, kind):
    of_kind = [each.value for each in held if each.type is kind]
    changed = with_primary(held, kind, None)
    assert primary(changed, kind) == (of_kind[1] if len(of_kind) > 1 else None)
    assert len(changed) == len(held) - bool(of_kind)


@given(st.binary(min_size=17, max_size=17), st.sampled_from(["cus_", "ord_", "tic_"]))
def test_a_name_is_a_prefix_and_twenty_six_characters(raw, prefix):
    name = new_id(prefix, lambda size: raw[:size])
    assert re.fullmatch(rf"{prefix}[a-z2-7]{{26}}", name)


@pytest.mark.parametrize("bit", range(130))
def test_every_one_of_130_bits_makes_another_name(bit):
    other = (1 << (135 - bit)).to_bytes(17, "big")
    assert new_id("cus_", bytes) != new_id("cus_", lambda _size: other)
