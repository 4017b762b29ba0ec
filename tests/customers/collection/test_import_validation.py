"""Cells are read as what their column says, or refused with the column's name and never the value."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.collection import Fault, ProfileRow, parse_mapping
from customers.collection.records import Record
from customers.collection.validation import RowReader
from customers.identity.model import Identifier, IdentifierType
from customers.profiles.draft import checked


def now():
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


COLUMNS = {
    "mail": "email",
    "tel": "phone",
    "no": {"to": "external_id", "type": "crm"},
    "first": "given_name",
    "land": "country",
    "born": "birth_date",
    "born_de": {"to": "traits.born", "type": "date", "format": "%d.%m.%Y"},
    "lang": "language",
    "tier": "loyalty_tier",
    "memo": "notes",
    "size": {"to": "traits.size", "type": "decimal"},
    "children": {"to": "traits.children", "type": "integer"},
    "vip": {"to": "traits.vip", "type": "boolean"},
    "pet": "traits.pet",
    "ads": "consents.marketing",
    "skip": "-",
}
BASE = {"mail": "ada@example.org"}


def reader(columns=None, **settings) -> RowReader:
    found = parse_mapping({"columns": columns or COLUMNS, **settings}, consent_purposes=frozenset({"marketing"}))
    return RowReader(found, None, now)


def read(cells, **settings):
    return reader(**settings).one(Record(7, 9, {**BASE, **cells}))


def value(field, **cells):
    row = read(cells)
    assert isinstance(row, ProfileRow), row
    return row.values[field]


def fault(cells, **settings):
    found = read(cells, **settings)
    assert not isinstance(found, ProfileRow), found
    assert {(each.number, each.line) for each in found} == {(7, 9)}
    return [(each.column, each.fault) for each in found]


def test_a_country_may_be_told_by_its_name_and_a_phone_number_is_taken_to_be_of_it():
    row = read({"land": "Royaume-Uni", "tel": "020 7946 0018"}, default_country="DE")
    assert row.values["country"] == "Royaume-Uni", "for the writer keeps what came beside the code"
    assert Identifier(IdentifierType.PHONE, "+442079460018") in row.identifiers
    assert value("country", land=" uk ") == "uk"
    assert value("country", land="gb") == "GB", "a code is no other way of writing"


def test_a_full_row_is_read():
    row = read(
        {
            "tel": "020 7946 0018",
            "no": " 17 ",
            "first": "  Ada ",
            "land": "gb",
            "born": "1915-12-10",
            "born_de": "10.12.1915",
            "lang": "EN_gb",
            "tier": "Gold Plus",
            "memo": "Likes\nengines",
            "size": "+38.50",
            "children": "3",
            "vip": "Yes",
            "pet": "Babbage",
            "ads": "no",
            "skip": "whatever",
        }
    )
    assert row.values == {
        "given_name": "Ada",
        "country": "GB",
        "birth_date": "1915-12-10",
        "language": "en-GB",
        "loyalty_tier": "gold_plus",
        "notes": ["Likes\nengines"],
        "traits": {"born": "1915-12-10", "size": "38.50", "children": 3, "vip": True, "pet": "Babbage"},
    }
    assert row.identifiers == (
        Identifier(IdentifierType.EMAIL, "ada@example.org"),
        Identifier(IdentifierType.PHONE, "+442079460018"),
        Identifier(IdentifierType.EXTERNAL_ID, "crm:17"),
    )
    assert row.consents == {"marketing": False}


@pytest.mark.parametrize(
    ("cells", "column", "reason"),
    [
        ({"mail": "ada at example.org"}, "mail", Fault.INVALID_EMAIL),
        ({"mail": "ada@localhost"}, "mail", Fault.INVALID_EMAIL),
        ({"tel": "12"}, "tel", Fault.INVALID_PHONE),
        ({"tel": "020 7946 0018"}, "tel", Fault.INVALID_PHONE),
        ({"tel": True}, "tel", Fault.INVALID_VALUE),
        ({"no": "\u200b"}, "no", Fault.INVALID_EXTERNAL_ID),
        ({"land": "Germania Inferior"}, "land", Fault.INVALID_COUNTRY),
        ({"land": "XX"}, "land", Fault.INVALID_COUNTRY),
        ({"born": "10.12.1915"}, "born", Fault.INVALID_DATE),
        ({"born": "1915-02-30"}, "born", Fault.INVALID_DATE),
        ({"born": "2026-03-02"}, "born", Fault.INVALID_DATE),
        ({"born": "0001-01-01"}, "born", Fault.INVALID_DATE),
        ({"born": "30000-01-01"}, "born", Fault.INVALID_DATE),
        ({"born_de": "1915-12-10"}, "born_de", Fault.INVALID_DATE),
        ({"lang": "English"}, "lang", Fault.INVALID_VALUE),
        ({"first": "A\x07da"}, "first", Fault.INVALID_VALUE),
        ({"first": ["Ada"]}, "first", Fault.INVALID_VALUE),
        ({"memo": "x" * 10_001}, "memo", Fault.INVALID_VALUE),
        ({"size": "1,5"}, "size", Fault.INVALID_NUMBER),
        ({"size": "1e3"}, "size", Fault.INVALID_NUMBER),
        ({"size": "NaN"}, "size", Fault.INVALID_NUMBER),
        ({"size": Decimal("1e999999999")}, "size", Fault.INVALID_NUMBER),
        ({"pet": Decimal("1e999999999")}, "pet", Fault.INVALID_NUMBER),
        ({"size": True}, "size", Fault.INVALID_NUMBER),
        ({"children": "1.5"}, "children", Fault.INVALID_NUMBER),
        ({"vip": "maybe"}, "vip", Fault.INVALID_BOOLEAN),
        ({"ads": "ja"}, "ads", Fault.INVALID_BOOLEAN),
        ({"pet": [{"name": "x"}]}, "pet", Fault.INVALID_VALUE),
    ],
)
def test_a_cell_that_cannot_be_read_is_a_fault_of_its_column(cells, column, reason):
    assert fault(cells) == [(column, reason)]


def test_every_fault_of_a_row_is_found_at_once():
    found = fault({"mail": "nobody", "born": "x", "vip": "x"})
    assert found == [("mail", Fault.INVALID_EMAIL), ("born", Fault.INVALID_DATE), ("vip", Fault.INVALID_BOOLEAN)]


def test_a_row_without_an_identifier_is_refused():
    assert fault({"mail": " ", "first": "Ada"}) == [("", Fault.NO_IDENTIFIER)]


def test_an_empty_cell_says_nothing():
    row = read({"first": "  ", "born": None, "memo": [], "ads": "", "pet": ""})
    assert (row.values, row.consents) == ({}, {})


def test_a_phone_is_read_in_the_rows_country_then_the_mappings():
    assert fault({"tel": "030 23125 000"}) == [("tel", Fault.INVALID_PHONE)]
    for settings, cells in (({"default_country": "DE"}, {}), ({"default_country": "US"}, {"land": "DE"})):
        row = read({"tel": "030 23125 000", **cells}, **settings)
        assert row.identifiers[1].value == "+493023125000"


def test_several_columns_may_feed_identifiers_and_notes_and_repeat_themselves():
    found = reader({"a": "email", "b": "email", "c": "notes", "d": "notes"}).one(
        Record(2, 2, {"a": "x@example.org", "b": "X@EXAMPLE.org", "c": "one", "d": ["two", "three"]})
    )
    assert [each.value for each in found.identifiers] == ["x@example.org"]
    assert found.values["notes"] == ["one", "two", "three"]


def test_a_key_nobody_knows_is_refused_by_position_only_or_kept_as_a_trait():
    assert fault({"illness of Ada": "x"}) == [("", Fault.UNKNOWN_COLUMN)]
    assert read({"Illness": "x"}, unknown_columns="traits").values["traits"] == {"illness": "x"}
    assert read({"Illness": "x"}, unknown_columns="drop").values == {}


def test_two_keys_that_differ_in_case_are_not_written_over_each_other():
    assert fault({"first": "Ada", "FIRST": "Augusta"}) == [("first", Fault.DUPLICATE_KEY)]


def test_a_csv_column_nobody_named_is_shown_by_its_position():
    found = parse_mapping({"columns": {"mail": "email"}, "unknown_columns": "traits"}, consent_purposes=frozenset())
    rows = RowReader(found, ("mail", "Adas illness"), now)
    (bad,) = rows.one(Record(2, 2, {}, Fault.NUL_CHARACTER, 2))
    assert bad.column == "column 2"
    (bad,) = rows.one(Record(2, 2, {}, Fault.NUL_CHARACTER, 1))
    assert bad.column == "mail"


@given(
    st.dictionaries(
        st.sampled_from(list(COLUMNS)),
        st.none() | st.booleans() | st.integers() | st.decimals() | st.text() | st.lists(st.text(), max_size=3),
    )
)
def test_whatever_is_accepted_passes_the_check_of_every_other_write(cells):
    row = reader().one(Record(2, 2, {**BASE, **cells}))
    if isinstance(row, ProfileRow):
        assert checked(row.values, now()) == row.values
        assert row.identifiers
        assert set(row.consents) <= {"marketing"}
    else:
        # No fault holds a value: what it may say is its column and a reason.
        assert all(each.column in {*COLUMNS, ""} and each.fault in Fault for each in row)
