"""How alike two people are: every level by example, symmetric, and silent where a field is missing."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.identity.matching import Field, Level, Person, compare, prepare, words_for
from customers.identity.matching.comparisons import LEVELS

ORDER = list(Field)
TEXT = st.none() | st.text(max_size=12) | st.sampled_from(["Müller", "Mueller", "García Márquez", "J.", "伟", "Lena"])
DATES = st.none() | st.sampled_from(["1980-05-17", "1980-17-05", "19800517", "1980", "1970-01-01", "?", "1980-05-18"])
PEOPLE = st.builds(
    prepare,
    given_name=TEXT,
    family_name=TEXT,
    birth_date=DATES,
    street=TEXT | st.sampled_from(["Hauptstr. 8", "8 Hauptstraße", "Hauptstraße 18"]),
    postal_code=TEXT,
    city=TEXT,
    phone=TEXT | st.sampled_from(["+49301234567", "+49301234576"]),
    email=TEXT | st.sampled_from(["lena@example.org", "lena@example.com", "info@example.org"]),
    national_id=TEXT,
)


def level(which, left, right):
    return compare(prepare(**left), prepare(**right)).levels[ORDER.index(which)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Jiří", "JIRI", Level.SAME),
        ("Jürgen", "Juergen", Level.VARIANT),
        ("Xiao Ming", "Xiao-ming", Level.SAME),
        ("Xiao Ming", "Xiaoming", Level.SAME),
        ("José María", "María José", Level.VARIANT),
        ("Katharina", "Katarina", Level.TYPO),
        ("Lukas", "Lukax", Level.TYPO),
        ("Daniel", "Daniela", Level.ENDING),
        ("Mario", "Maria", Level.ENDING),
        ("Lena", "Lina", Level.SIMILAR),
        ("José", "José Antonio", Level.PART),
        ("J.", "Jonas", Level.INITIAL),
        ("J. R.", "John Ronald", Level.INITIAL),
        ("L.", "L.", Level.INITIAL),
        ("K.", "Jonas", Level.DIFFERENT),
        ("Li", "Lu", Level.DIFFERENT),
        ("Tim", "Tom", Level.DIFFERENT),
        ("伟", "伟", Level.SAME),
        ("伟", "伟明", Level.DIFFERENT),
        ("Anna", None, None),
        ("Anna", "  ", None),
    ],
)
def test_given_names_are_graded(one, other, expected):
    assert level(Field.GIVEN_NAME, {"given_name": one}, {"given_name": other}) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Groß", "GROSS", Level.SAME),
        ("O'Brien", "OBrien", Level.SAME),
        ("Łukasiewicz", "Lukasiewicz", Level.SAME),
        ("García Márquez", "Garcia", Level.PART),
        ("Wiśniewski", "Wisneiwski", Level.TYPO),
        ("Novák", "Svoboda", Level.DIFFERENT),
        ("Wang", "Wan", Level.DIFFERENT),
    ],
)
def test_family_names_are_graded(one, other, expected):
    assert level(Field.FAMILY_NAME, {"family_name": one}, {"family_name": other}) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1980-05-17", "19800517", Level.SAME),
        ("1980-05-07", "1980-07-05", Level.DAY_AND_MONTH_SWAPPED),
        ("1980-05-17", "1980-05-18", Level.TYPO),
        ("1980-05-17", "1908-05-17", Level.TYPO),
        ("1980-05-17", "1980", Level.SAME_YEAR),
        ("1980", "1980", Level.SAME_YEAR),
        ("1980", "1981", Level.DIFFERENT),
        ("1980-05-17", "1980-05-29", Level.TWO_PARTS),
        ("1955-05-17", "1983-11-02", Level.DIFFERENT),
        ("1970-01-01", "1970-01-01", None),
        ("yesterday", "1980-05-17", None),
    ],
)
def test_birth_dates_are_graded(one, other, expected):
    assert level(Field.BIRTH_DATE, {"birth_date": one}, {"birth_date": other}) is expected


def home(street=None, code=None, city=None, country=None):
    return {"street": street, "postal_code": code, "city": city, "country": country}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (home("Hauptstraße 8", "10115", "Berlin"), home("8, Hauptstr.", "10115", None), Level.SAME),
        (home("Hauptstraße 8", "10115"), home("Hauptsraße 8", "10115"), Level.NEARLY),
        (home("Hauptstraße 18", "10115"), home("Hauptstraße 81", "10115"), Level.NEARLY),
        (home("Hauptstraße 8", "10115"), home("Hauptstraße", "10115"), Level.NEARLY),
        (home("Hauptstraße 7", "10115"), home("Hauptstraße 8", "10115"), Level.SAME_STREET),
        (home("Hauptstraße 8", "10115"), home("Hauptstraße 8", "80331"), Level.ELSEWHERE),
        (home("Mayor 3", "28001", "Madrid"), home("Goya 9", "28001", "MADRID"), Level.SAME_PLACE),
        (home(None, "28001"), home("Goya 9", "28001"), Level.SAME_POSTCODE),
        (home(None, "28001", "Madrid"), home("Goya 9", "28002", "Madrid"), Level.SAME_CITY),
        (home("Mayor 3", "28001"), home("Goya 9", "41001"), Level.DIFFERENT),
        (home("Mayor 3", "28001", None, "ES"), home("Mayor 3", "28001", None, "IT"), Level.DIFFERENT),
        (home("Mayor 3"), home(None, "28001"), None),
    ],
)
def test_addresses_are_graded(one, other, expected):
    assert level(Field.ADDRESS, one, other) is expected


@pytest.mark.parametrize(
    ("field", "one", "other", "expected"),
    [
        ("phone", "+49 30 1234567", "+49301234567", Level.SAME),
        ("phone", "+49301234567", "+49301234576", Level.TYPO),
        ("phone", "+49301234567", "+49891234567", Level.SAME_TAIL),
        ("phone", "+49301234567", "+49307654321", Level.DIFFERENT),
        ("phone", "000000000", "000000000", None),
        ("email", "Ana.Roca@example.org", "ana.roca@EXAMPLE.org", Level.SAME),
        ("email", "ana@example.org", "ana+news@example.org", Level.SAME),
        ("email", "ana.roca@example.org", "ana.rcoa@example.org", Level.TYPO),
        ("email", "ana.roca@example.org", "ana.roca@exmple.org", Level.TYPO),
        ("email", "ana.roca@example.org", "ana.roca@mail.example", Level.SAME_LOCAL_PART),
        ("email", "ana@example.org", "eva@example.org", Level.DIFFERENT),
        ("email", "info@example.org", "info@example.org", None),
        ("national_id", "12.345.678-Z", "12345678z", Level.SAME),
        ("national_id", "12345678Z", "12345687Z", Level.TYPO),
        ("national_id", "12345678Z", "87654321X", Level.DIFFERENT),
        ("national_id", "0000000", "0000000", None),
    ],
)
def test_identifiers_are_graded(field, one, other, expected):
    assert level(Field(field), {field: one}, {field: other}) is expected


def test_names_in_each_others_place_are_told_once():
    pair = ({"given_name": "Wei", "family_name": "Zhāng"}, {"given_name": "Zhang", "family_name": "Wei"})
    assert level(Field.GIVEN_NAME, *pair) is Level.SWAPPED
    assert level(Field.FAMILY_NAME, *pair) is None


def test_twins_with_names_in_each_others_place_are_not_swapped():
    pair = ({"given_name": "Nowak", "family_name": "Mario"}, {"given_name": "Maria", "family_name": "Nowak"})
    assert level(Field.GIVEN_NAME, *pair) is Level.DIFFERENT


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (home("Mayor 3", "28001"), home("Mayor 3", "28001"), Field.ADDRESS),
        ({"phone": "+34911234567"}, {"phone": "+34911234567"}, Field.PHONE),
        ({"email": "los.garcia@example.org"}, {"email": "los.garcia@example.org"}, Field.EMAIL),
        (
            {"given_name": "Ana", "email": "ana.roca@example.org"},
            {"given_name": "Ana", "email": "ana.roca@example.org"},
            None,
        ),
        (
            {"family_name": "Ibáñez", **home(None, "28001")},
            {"family_name": "Ibáñez", **home("Goya 9", "28001")},
            Field.ADDRESS,
        ),
        (
            {"family_name": "Ibáñez", **home("Mayor 3", "28001")},
            {"family_name": "Ibáñez", **home("Goya 9", "28001")},
            None,
        ),
    ],
)
def test_what_makes_two_people_look_like_a_household_is_named(one, other, shared):
    assert compare(prepare(**one), prepare(**other)).shared is shared


@given(PEOPLE, PEOPLE)
def test_comparing_is_symmetric(one, other):
    assert compare(one, other) == compare(other, one)


@given(PEOPLE)
def test_everyone_is_like_themselves_in_all_that_is_known(person):
    for which, found in zip(ORDER, compare(person, person).levels, strict=True):
        assert found in {Level.SAME, Level.INITIAL, Level.SAME_YEAR, Level.SAME_PLACE, Level.SAME_POSTCODE,
                         Level.SAME_CITY, Level.NEARLY, Level.DIFFERENT, None}  # fmt: skip
        assert found is not Level.DIFFERENT or which is Field.ADDRESS


@given(PEOPLE, PEOPLE)
def test_only_levels_of_the_field_are_given(one, other):
    for which, found in zip(ORDER, compare(one, other).levels, strict=True):
        assert found is None or found in LEVELS[which]


@given(PEOPLE)
def test_somebody_of_whom_nothing_is_known_is_no_evidence(person):
    nobody = Person()
    assert set(compare(person, nobody).levels) == {None}
    assert compare(nobody, nobody).shared is None


def test_every_level_has_words_and_stands_last_if_it_is_different():
    for levels in LEVELS.values():
        assert all(words_for(each) for each in levels)
        assert levels[0] is Level.SAME
        assert levels[-1] is Level.DIFFERENT


def test_a_person_in_a_log_shows_no_value():
    person = prepare(given_name="Ana", family_name="Roca", email="ana@example.org", birth_date="1980-05-17")
    assert len(fields(person)) == len(Field)
    assert repr(person) == "Person()"
