"""What is written about a customer is checked and brought to one form before anything is stored."""

import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.errors import InputInvalidError
from customers.profiles.draft import LARGEST_JSON, LONGEST_TEXT, checked
from vault import DataKey

NOW = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)


def problems(values):
    with pytest.raises(InputInvalidError) as error:
        checked(values, NOW)
    return {each.field: each.problem for each in error.value.problems}


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("given_name", "  Ada ", "Ada"),
        ("given_name", "Ada\tB", "Ada\tB"),
        ("given_name", "x" * LONGEST_TEXT, "x" * LONGEST_TEXT),
        ("notes", [" one ", "two\nlines"], ["one", "two\nlines"]),
        ("notes", [], []),
        ("region", "emea-2", "emea-2"),
        ("country", "DE", "DE"),
        ("language", "pt-BR", "pt-BR"),
        ("birth_date", "2026-05-01", "2026-05-01"),
        ("birth_date", date(1880, 1, 1), "1880-01-01"),
        ("traits", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("traits", {"a": 2**64 - 1, "b": -(2**63)}, {"a": 2**64 - 1, "b": -(2**63)}),
        ("city", None, None),
    ],
)
def test_a_value_that_can_be_stored_is_stored_in_one_form(name, value, stored):
    assert checked({name: value}, NOW) == {name: stored}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("given_name", ""),
        ("given_name", " \n "),
        ("given_name", "a\0b"),
        ("given_name", "a\x1bb"),
        ("given_name", "a\ud800"),
        ("given_name", 7),
        ("given_name", "x" * (LONGEST_TEXT + 1)),
        ("notes", "one"),
        ("notes", ["a", 7]),
        ("notes", ["x"] * 101),
        ("region", "EMEA"),
        ("region", "a" * 65),
        ("region", "a\n"),
        ("country", "de"),
        ("country", "DEU"),
        ("country", "DE\n"),
        ("language", "Deutsch"),
        ("birth_date", "2026-05-02"),
        ("birth_date", "1879-12-31"),
        ("birth_date", "01.02.1980"),
        ("birth_date", 19800101),
        ("traits", []),
        ("traits", {1: "a"}),
        ("traits", {"a": math.nan}),
        ("traits", {"a": math.inf}),
        ("traits", {"a": object()}),
        ("traits", {"a": 2**64}),
        ("traits", {"a": [-(2**63) - 1]}),
        ("traits", {"a": "\udfff"}),
        ("traits", {"\ud800": 1}),
        ("traits", {"a": "x" * LARGEST_JSON}),
        ("id", "cus_x"),
        ("order_count", 7),
        ("version", 7),
        ("rights", {}),
        ("email", "a@b.example"),  # an identifier, which is taken apart before
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_under_its_name(name, value):
    told = problems({name: value, "given_name" if name != "given_name" else "city": "fine"})
    assert set(told) == {name}
    assert len(str(value)) < 4 or str(value) not in told[name]


def test_every_problem_is_told_at_once():
    assert set(problems({"country": "x", "language": "?", "city": "fine", "notes": 1})) == {
        "country",
        "language",
        "notes",
    }


def test_an_object_is_as_deep_as_it_may_be_and_no_deeper():
    def nested(levels):
        return {} if levels == 1 else {"a": nested(levels - 1)}

    assert checked({"traits": nested(20)}, NOW)
    assert set(problems({"traits": nested(21)})) == {"traits"}
    assert set(problems({"traits": nested(900)})) == {"traits"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=5))
def test_whatever_passes_the_check_can_be_sealed_and_comes_back(traits):
    key = DataKey.fresh(tenant="main", customer_id="cus_x", leaf=0, random=lambda size: b"\1" * size)
    try:
        kept = checked({"traits": traits}, NOW)
    except InputInvalidError:
        return
    envelope = key.seal("profiles", "cus_x", "unclassified", 1, kept)
    assert key.open(envelope, "profiles", "cus_x", "unclassified", 1) == kept
