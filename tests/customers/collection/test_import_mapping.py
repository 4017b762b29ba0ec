"""A mapping is checked as a whole before a row is read, and a guessed one can be looked at, saved and read again."""

import json
import string
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.collection import (
    ImportMapping,
    UnknownColumns,
    guess,
    load_mapping,
    open_table,
    parse_mapping,
    to_toml,
)
from customers.collection.mapping import ColumnRule, TraitType, date_format_problem, trait_name
from customers.errors import HeaderInvalidError, MappingInvalidError

PURPOSES = frozenset({"marketing", "email_marketing"})
HEADER = ("E-mail", "First name", "Shoe size")


def mapping(columns=None, **settings) -> ImportMapping:
    return parse_mapping({"columns": columns or {"E-mail": "email"}, **settings}, consent_purposes=PURPOSES)


def problems(data) -> list[str]:
    with pytest.raises(MappingInvalidError) as caught:
        parse_mapping(data, consent_purposes=PURPOSES)
    return list(caught.value.problems)


def test_a_full_mapping_is_understood():
    found = mapping(
        {
            "E-mail": "email",
            "Mobile": {"to": "phone", "country": "DE"},
            "No": {"to": "external_id", "type": "crm"},
            "Born": {"to": "birth_date", "format": "%d.%m.%Y"},
            "Shoe": {"to": "traits.shoe_size", "type": "decimal"},
            "News": "consents.email_marketing",
            "Internal": "-",
        },
        unknown_columns="drop",
        default_country="US",
        date_format="%d/%m/%Y",
        encoding="latin-1",
        delimiter=";",
    )
    rules = {rule.column: rule for rule in found.columns}
    assert rules["Shoe"].part == ("traits", "shoe_size")
    assert rules["Shoe"].trait_type is TraitType.DECIMAL
    assert rules["News"].consent == "email_marketing"
    assert rules["No"].id_type == "crm"
    assert (found.unknown_columns, found.default_country, found.delimiter) == (UnknownColumns.DROP, "US", ";")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ([], "needs a table"),
        ({"columns": {}}, "needs a table"),
        ({"columns": {"a": "name"}}, "no column becomes an identifier"),
        ({"columns": {"a": "email", "b": "total_spent"}}, "does not have"),
        ({"columns": {"a": "email", "b": "consents.tax"}}, "does not have"),
        ({"columns": {"a": "email", "b": "traits."}}, "does not have"),
        ({"columns": {"a": "email", "b": "identifiers"}}, "does not have"),
        ({"columns": {"a": "email", "b": 7}}, "must be given a name"),
        ({"columns": {"a": "email", "b": {"to": "city", "format": "%d"}}}, "'format' has no meaning"),
        ({"columns": {"a": "email", "b": {"to": "birth_date", "format": "%d.%m.%y"}}}, "four digits"),
        ({"columns": {"a": "email", "b": {"to": "traits.x", "type": "float"}}}, "type must be one of"),
        ({"columns": {"a": "email", "b": {"to": "traits.x", "format": "%d.%m.%Y"}}}, 'needs type = "date"'),
        ({"columns": {"a": "email", "b": {"to": "phone", "country": "Germany"}}}, "ISO 3166-1"),
        ({"columns": {"a": {"to": "external_id", "type": "a:b"}}}, "type must be a name"),
        ({"columns": {"a": "email", "b": "city", "c": "city"}}, "two columns become city"),
        ({"columns": {"a": "email", "A ": "city"}}, "stands in the mapping twice"),
        ({"columns": {"a": "email"}, "colour": "red"}, "'colour' is not a setting"),
        ({"columns": {"a": "email"}, "encoding": "utf-7"}, "encoding is not one"),
        ({"columns": {"a": "email"}, "delimiter": "x"}, "delimiter is not one"),
        ({"columns": {"a": "email"}, "unknown_columns": ["drop"]}, "unknown_columns is not one"),
        ({"columns": {"a": "email"}, "default_country": "UK"}, "default_country is not one"),
        ({"columns": {"a": "email"}, "date_format": 5}, "date_format must be like"),
    ],
)
def test_a_mapping_that_cannot_hold_is_refused_with_the_reason(data, complaint):
    assert any(complaint in problem for problem in problems(data))


def test_every_fault_of_a_mapping_is_listed_at_once():
    assert len(problems({"columns": {"a": "nothing", "b": "nobody"}, "encoding": "x", "colour": "red"})) == 5


@pytest.mark.parametrize(
    ("written", "good"),
    [("%Y-%m-%d", True), ("%d.%m.%Y", True), ("%d %B %Y", True), ("%m/%Y", False), ("%d.%m.%y", False), ("", False)],
)
def test_a_date_format_must_give_back_the_day_it_was_given(written, good):
    assert (date_format_problem(written) is None) is good


def test_a_column_the_mapping_does_not_name_is_refused_and_not_repeated():
    with pytest.raises(HeaderInvalidError, match="column 2, 3 of the file") as caught:
        mapping().bind(("E-mail", "Secret illness", "Ada"))
    assert "illness" not in str(caught.value)
    assert "traits" in str(caught.value)


def test_unknown_columns_are_dropped_or_become_traits_when_the_mapping_says_so():
    assert mapping(unknown_columns="drop").bind(HEADER)[1:] == (None, None)
    kept = mapping(unknown_columns="traits").bind(HEADER)
    assert [rule.target for rule in kept if rule] == ["email", "traits.first_name", "traits.shoe_size"]


def test_a_column_of_the_mapping_that_the_file_lacks_is_refused():
    with pytest.raises(HeaderInvalidError, match="no column 'Phone'"):
        mapping({"E-mail": "email", "Phone": "phone"}).bind(("E-mail",))


def test_names_of_columns_are_compared_without_case_and_space():
    assert mapping().bind((" e-MAIL ",))[0].target == "email"


def test_two_unknown_columns_that_would_become_one_trait_are_refused():
    with pytest.raises(HeaderInvalidError, match="two columns become a trait"):
        mapping(unknown_columns="traits").bind(("E-mail", "Shoe size", "Shoe-size"))


def test_names_of_traits_are_plain():
    assert trait_name(" Größe (EU) ") == "größe_eu"
    assert trait_name("***") == "unnamed"


def test_mappings_are_read_from_toml_and_json(tmp_path):
    toml, other = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text('[columns]\n"E-mail" = "email"\n')
    other.write_text(json.dumps({"columns": {"E-mail": "email"}}))
    assert (
        load_mapping(toml, consent_purposes=PURPOSES) == load_mapping(other, consent_purposes=PURPOSES) == mapping()
    )


@pytest.mark.parametrize("content", [b"\xff", b"not = = toml", b"[columns]\n" + b"#" * 1_100_000, b"x" * 10])
def test_a_mapping_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "m.toml"
    path.write_bytes(content)
    with pytest.raises(MappingInvalidError):
        load_mapping(path, consent_purposes=PURPOSES)


def test_a_missing_mapping_file_is_refused(tmp_path):
    with pytest.raises(MappingInvalidError, match="cannot be read"):
        load_mapping(tmp_path / "m.toml", consent_purposes=PURPOSES)


def test_a_guess_knows_usual_names_in_several_languages_and_leaves_the_rest(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("E-Mail;Vorname;Apellidos;PLZ;Newsletter;Shoe size\na@example.org;Ada;;53111;yes;\n")
    with open_table(path) as table:
        found = guess(table, consent_purposes=PURPOSES)
    targets = [each.target for each in found.columns]
    assert targets == ["email", "given_name", "family_name", "postal_code", "consents.email_marketing", None]
    assert [each.filled for each in found.columns] == [1, 1, 0, 1, 1, 0]
    assert [each.position for each in found.columns] == [1, 2, 3, 4, 5, 6]
    # What was not guessed is refused, not dropped, until somebody decides.
    with pytest.raises(HeaderInvalidError, match="column 6"):
        found.mapping().bind(tuple(each.name for each in found.columns))


def test_a_guess_takes_the_first_of_two_columns_for_one_field_and_never_a_purpose_nobody_has(tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text('{"email": "a@example.org", "address": {"city": "Bonn"}}\n{"town": "x", "newsletter": true}\n')
    with open_table(path) as table:
        found = guess(table, consent_purposes=frozenset())
    assert {each.name: each.target for each in found.columns} == {
        "email": "email",
        "address.city": "city",
        "town": None,
        "newsletter": None,
    }


def test_a_guess_without_an_identifier_is_no_mapping(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,shoe\nx,y\n")
    with open_table(path) as table, pytest.raises(MappingInvalidError):
        guess(table, consent_purposes=PURPOSES).mapping()


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=10)


@given(
    column=NAMES,
    target=st.sampled_from(["email", "city", "traits.shoe", "consents.marketing", "-"]),
    trait_type=st.sampled_from(list(TraitType)),
    id_type=st.none() | st.text(string.ascii_letters, min_size=1, max_size=5),
)
def test_a_mapping_written_as_toml_is_read_again(column, target, trait_type, id_type):
    rules = [
        ColumnRule('the id \\ "of" them', "external_id", id_type=id_type),
        ColumnRule(column, target, trait_type=trait_type if target == "traits.shoe" else TraitType.TEXT),
        ColumnRule("tel", "phone", country="DE"),
        ColumnRule("born", "birth_date", date_format="%d.%m.%Y"),
    ]
    if column.strip().casefold() in {"tel", "born"}:
        return
    written = ImportMapping(tuple(rules), UnknownColumns.TRAITS, "US", None, "utf-16", "\t")
    assert parse_mapping(tomllib.loads(to_toml(written)), consent_purposes=PURPOSES) == written
