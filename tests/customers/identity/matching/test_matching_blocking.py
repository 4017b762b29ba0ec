"""Which texts find a person: through slips, swaps and gaps, telling rules apart, and never a name alone."""

from hypothesis import example, given
from hypothesis import strategies as st

from customers.identity.matching import Person, Rule, combinations, prepare, shared, texts
from customers.identity.matching.folding import fold, loosen, sound

ANA = {
    "given_name": "Ana",
    "family_name": "Roca Gil",
    "birth_date": "1980-05-17",
    "street": "Calle Mayor 12",
    "postal_code": "28001",
    "city": "Madrid",
    "phone": "+34911234567",
    "email": "ana.roca@example.org",
    "national_id": "12345678Z",
}


def rules(one, other):
    return shared(prepare(**one), prepare(**other))


def test_every_rule_applies_to_somebody_of_whom_everything_is_known():
    assert {rule for rule, _ in combinations(prepare(**ANA))} == set(Rule)


def test_a_slip_in_any_one_field_leaves_others_to_be_found_by():
    for field, slip in {
        "given_name": "Eva",
        "family_name": "Rioja",
        "birth_date": "1908-03-29",
        "street": "Gran Vía 3",
        "postal_code": "41001",
        "phone": "+34919999999",
        "email": "x1y2@example.org",
        "national_id": "99999999X",
    }.items():
        assert len(rules(ANA, {**ANA, field: slip})) >= 3


def test_names_in_each_others_place_are_found():
    swapped = {**ANA, "given_name": "Roca Gil", "family_name": "Ana"}
    assert {Rule.NAMES, Rule.BIRTH_AND_INITIALS} <= rules(ANA, swapped)


def test_spellings_of_umlauts_and_accents_are_found():
    one = {"given_name": "Jürgen", "family_name": "Müller"}
    for given_name, family_name in (("Juergen", "Mueller"), ("Jurgen", "Muller"), ("JÜRGEN", "Müler")):
        assert Rule.NAMES in rules(one, {"given_name": given_name, "family_name": family_name})


def test_a_name_or_a_place_alone_finds_nobody():
    assert not texts(prepare(given_name="Ana"))
    assert not texts(prepare(family_name="Roca"))
    assert not texts(prepare(postal_code="28001", city="Madrid"))
    assert not texts(prepare(birth_date="1980-05-17"))
    assert not texts(prepare(email="info@example.org"))
    assert not texts(Person())


def test_strangers_share_nothing():
    other = {
        "given_name": "Piotr",
        "family_name": "Wójcik",
        "birth_date": "1971-12-02",
        "street": "Polna 3",
        "postal_code": "00-950",
        "city": "Warszawa",
        "phone": "+48221234599",
        "email": "pw@example.org",
        "national_id": "71120212345",
    }
    assert not rules(ANA, other)


def test_equal_parts_under_two_rules_are_two_texts():
    every = texts(prepare(**ANA))
    assert len(every) == len(set(combinations(prepare(**ANA))))
    assert all(each.startswith("1") for each in every)
    assert len(every) <= 16


@given(st.text(max_size=30))
@example("\U0001d5a0")  # a mathematical A: its A was left in upper case
def test_folding_is_done_once_and_for_all(text):
    assert fold(fold(text)) == fold(text)
    assert " " not in loosen(fold(text))


@given(st.text(max_size=30))
def test_a_sound_is_made_of_any_text(text):
    assert sound(fold(text)) == sound(fold(text.upper().lower())) or not text.isascii()
    assert " " not in sound(fold(text))


def test_names_that_are_confused_sound_the_same():
    for one, other in (("Schmidt", "Schmitt"), ("Meier", "Mayer"), ("Katharina", "Catarina"), ("Novák", "Nowak")):
        assert sound(fold(one)) == sound(fold(other))
    assert sound(fold("Novák")) != sound(fold("Svoboda"))
