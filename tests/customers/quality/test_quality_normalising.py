"""The usual spelling of names, addresses and countries; what is sure, and what is a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.spelling import CORRECTABLE, arriving, country_code, suggestions

SEEN = frozenset(CORRECTABLE)


def suggested(**values):
    return {each.field: (each.kind.value, each.to) for each in suggestions(values, SEEN)}


@pytest.mark.parametrize(
    ("country", "name", "written"),
    [
        ("DE", "VON DER LEYEN", "von der Leyen"), ("NL", "VAN DEN BERG", "van den Berg"), ("IT", "DE LUCA", "De Luca"),
        ("US", "VAN DYKE", "Van Dyke"), ("IE", "O'BRIEN", "O'Brien"), ("GB", "mcdonald", "McDonald"),
        ("ES", "DE LA CRUZ", "de la Cruz"), ("TR", "IŞIK", "I\u015f\u0131k"), ("DE", "MÜLLER-LÜDENSCHEIDT",
        "Müller-Lüdenscheidt"), ("GR", "ΠΑΠΑΔΟΠΟΥΛΟΣ", "Παπαδοπουλος"), (None, "smith", "Smith"),
    ],
)  # fmt: skip
def test_a_family_name_in_capitals_is_suggested_as_its_country_writes_it(country, name, written):
    values = {"family_name": name} | ({} if country is None else {"country": country})
    assert suggested(**values) == {"family_name": ("case", written)}


@pytest.mark.parametrize(
    ("country", "name", "written"),
    [
        ("DE", "FRANKFURT AM MAIN", "Frankfurt am Main"), ("BR", "RIO DE JANEIRO", "Rio de Janeiro"),
        ("US", "PHILADELPHIA, PA", "Philadelphia, PA"), ("US", "portland, or", "Portland, OR"),
        ("FR", "BOULOGNE-SUR-MER", "Boulogne-sur-Mer"), ("BO", "LA PAZ", "La Paz"), ("NL", "DEN HAAG", "Den Haag"),
        ("IT", "REGGIO DI CALABRIA", "Reggio Di Calabria"), ("DE", "BREMEN", "Bremen"), (None, "hamburg", "Hamburg"),
    ],
)  # fmt: skip
def test_a_town_in_capitals_is_suggested_as_its_country_writes_it(country, name, written):
    values = {"city": name} | ({} if country is None else {"country": country})
    assert suggested(**values) == {"city": ("case", written)}


@pytest.mark.parametrize(
    "name", ["DeShawn", "van't Hoff", "JJ", "J. R. R.", "山田", "O", "محمد", "von der Leyen", "MacLeod"]
)
def test_a_name_in_mixed_case_or_without_any_is_left_to_its_bearer(name):
    """Control: nobody knows better than its bearer."""
    assert suggested(given_name=name, family_name=name, country="DE") == {}


def test_what_is_no_name_is_not_made_to_look_like_one():
    assert suggested(given_name="XXX", family_name="asdf", city="AAAA") == {}
    assert suggested(family_name="NULL") == {"family_name": ("case", "Null")}, "which is a name too"


def test_each_kind_of_change_is_told():
    found = suggested(
        given_name="  Ana  María ",
        family_name="Mu\u0308ller",
        street="Calle\u200b Mayor 3",
        postal_code="sw1a1aa",
        city="LONDON",
        country="UK",
    )
    assert found == {
        "given_name": ("spacing", "Ana María"),
        "family_name": ("characters", "Müller"),
        "street": ("characters", "Calle Mayor 3"),
        "postal_code": ("postal_form", "SW1A 1AA"),
        "city": ("case", "London"),
        "country": ("country", "GB"),
    }


def test_nothing_is_suggested_from_what_may_not_be_seen():
    values = {"postal_code": "sw1a1aa", "country": "GB", "family_name": "DE LA CRUZ"}
    assert suggestions(values, {"postal_code"}) == (), "without the country nothing is known of its codes"
    assert [each.to for each in suggestions(values, {"family_name"})] == ["De La Cruz"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Deutschland", "DE"), ("germany", "DE"), ("U.S.A.", "US"), ("España", "ES"), ("espana", "ES"), ("UK", "GB"),
        ("de", "DE"), ("Česko", "CZ"), ("Ivory Coast", "CI"), ("Atlantis", None), ("", None), ("XX", None),
    ],
)  # fmt: skip
def test_a_country_is_known_by_its_names(text, code):
    assert country_code(text) == code


def test_what_arrives_is_written_in_the_usual_way_and_the_original_is_kept_beside():
    came = {"country": "Deutschland", "postal_code": "D-28195", "phone": "0421 123456", "given_name": "ANNA ", "x": 1}
    values, originals = arriving(came)
    assert values == {"country": "DE", "postal_code": "28195", "phone": "+49421123456", "given_name": "ANNA", "x": 1}
    assert originals == {
        "original.country": "Deutschland",
        "original.postal_code": "D-28195",
        "original.phone": "0421 123456",
        "original.given_name": "ANNA ",
    }
    assert arriving(values) == (values, {}), "what is usual already is left as it is"


texts = st.text(max_size=30) | st.sampled_from(["VON DER X", "sw1a1aa", "Deutschland", "  a  b ", "İSTANBUL", "ǆ ǅ"])
profiles = st.dictionaries(st.sampled_from(CORRECTABLE), texts)


@given(profiles)
def test_a_suggestion_that_was_applied_is_not_made_again(values):
    applied = {**values, **{each.field: each.to for each in suggestions(values, SEEN)}}
    again = {**applied, **{each.field: each.to for each in suggestions(applied, SEEN)}}
    # A country that is mended may tell more of the rest, once.
    assert suggestions(again, SEEN) == ()


@given(profiles)
def test_arriving_twice_is_arriving_once_and_every_original_can_be_put_back(values):
    once, originals = arriving(values)
    assert {**once, **{name.removeprefix("original."): each for name, each in originals.items()}} == values
    assert arriving(once)[0] == once


def test_a_suggestion_does_not_show_its_value_when_it_is_printed():
    assert "London" not in repr(suggestions({"city": "LONDON"}, SEEN))
