"""What may be merged with nobody looking, and what may not: twins, namesakes, households, two identity numbers."""

from dataclasses import replace

import pytest

from customers.identity.matching import STARTING, Decision, Field, Guard, Scorer, Thresholds, prepare
from customers.identity.matching.frequencies import Frequencies

NAMES = Frequencies({"lena": 0.02, "lina": 0.02, "anna": 0.03}, rare=0.0001, mean=0.01)
SCORER = Scorer(replace(STARTING, prior=1e-4, frequencies={Field.GIVEN_NAME: NAMES}))
ANA = {
    "given_name": "Annegret",
    "family_name": "Müller",
    "birth_date": "1980-05-17",
    "street": "Hauptstraße 12",
    "postal_code": "10115",
    "city": "Berlin",
    "phone": "+49301234567",
}


def score(changed, base=ANA):
    return SCORER.score(prepare(**base), prepare(**{**base, **changed}))


def test_the_same_person_written_another_way_is_sure():
    found = score({"family_name": "Mueller", "street": "Hauptstr. 12"})
    assert found.decision is Decision.SURE
    assert found.guards == frozenset()
    assert found.probability > 0.999


def test_a_person_who_moved_and_kept_name_birth_date_and_number_is_sure():
    moved = {"street": "Goethestraße 3", "postal_code": "80331", "city": "München"}
    assert score(moved).decision is Decision.SURE


def test_strangers_are_apart():
    other = prepare(given_name="Piotr", family_name="Wójcik", birth_date="1971-12-02", postal_code="00950")
    assert SCORER.score(prepare(**ANA), other).decision is Decision.APART


@pytest.mark.parametrize(
    ("changed", "guard"),
    [
        ({"given_name": "Beate"}, Guard.DIFFERENT_GIVEN_NAMES),
        ({"birth_date": "1951-11-02"}, Guard.DIFFERENT_BIRTH_DATES),
        ({"family_name": "Schröder"}, Guard.DIFFERENT_FAMILY_NAMES),
        ({"birth_date": None}, Guard.LITTLE_PERSONAL),
        ({"given_name": None}, Guard.LITTLE_PERSONAL),
        ({"given_name": "A."}, Guard.LITTLE_PERSONAL),
    ],
)
def test_what_kin_may_share_is_never_merged_unseen(changed, guard):
    found = score(changed)
    assert guard in found.guards or found.decision is Decision.APART
    assert found.decision is not Decision.SURE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lena", "Lina"),
        ("Daniel", "Daniela"),
        ("Petr", "Petra"),
        ("Tim", "Tom"),
        ("Mario", "María"),
        ("Lena", "Lnna"),
    ],
)
def test_twins_with_names_alike_are_never_merged_unseen(one, other):
    assert score({"given_name": other}, {**ANA, "given_name": one}).decision is not Decision.SURE


def test_twins_whose_names_stand_in_the_family_names_place_are_never_merged_unseen():
    twins = ({**ANA, "given_name": "Müller", "family_name": name} for name in ("Tim", "Tom"))
    one, other = (prepare(**each) for each in twins)
    assert SCORER.score(one, other).decision is not Decision.SURE


def test_twins_with_names_alike_in_the_family_names_place_are_never_merged_unseen():
    twins = ({**ANA, "given_name": "Müller", "family_name": name} for name in ("Lena", "Lenna"))
    one, other = (prepare(**each) for each in twins)
    assert Guard.ANOTHER_NAME in SCORER.score(one, other).guards


def test_namesakes_born_on_one_day_are_never_merged_unseen():
    elsewhere = {"street": None, "postal_code": "10249", "phone": "+49307654321"}
    found = score(elsewhere)
    assert found.guards == {Guard.NAME_AND_BIRTH_DATE_ALONE}
    assert found.decision is Decision.REVIEW


def test_half_a_name_and_a_place_are_not_enough():
    """Found in an invented base: Piotr without a family name and Piotr Lewandowski, of one postal code and birth date."""
    found = score({"family_name": None, "street": "Goethestraße 3", "phone": None})
    assert found.guards == {Guard.NAME_AND_BIRTH_DATE_ALONE}
    assert score({"family_name": None}).decision is Decision.SURE


def test_a_slip_in_a_name_that_can_be_no_other_is_merged():
    """The control of the guards above: they do not forbid everything."""
    assert score({"given_name": "Annegrte"}).decision is Decision.SURE


def test_two_national_ids_are_two_people_however_alike():
    one, other = ({**ANA, "national_id": number} for number in ("12345678Z", "87654321X"))
    found = SCORER.score(prepare(**one), prepare(**other))
    assert found.decision is Decision.APART
    assert Guard.DIFFERENT_NATIONAL_IDS in found.guards or found.probability < 0.5


def test_a_slip_in_a_national_id_is_no_contradiction():
    one, other = ({**ANA, "national_id": number} for number in ("12345678Z", "12345687Z"))
    assert Guard.DIFFERENT_NATIONAL_IDS not in SCORER.score(prepare(**one), prepare(**other)).guards


def test_an_own_mailbox_stands_for_a_birth_date_and_a_familys_does_not():
    without = {**ANA, "birth_date": None}
    own = {**without, "email": "annegret.mueller@example.org"}
    familys = {**without, "email": "die.muellers@example.org"}
    assert score({}, own).decision is Decision.SURE
    assert score({}, familys).decision is Decision.REVIEW


def test_an_address_and_a_family_name_are_not_a_person():
    home = {each: ANA[each] for each in ("family_name", "street", "postal_code", "city")}
    one = prepare(**home)
    assert Scorer(STARTING).score(one, one).decision is Decision.APART
    assert Guard.LITTLE_PERSONAL in score({}, home).guards


def test_thresholds_only_move_the_lines():
    strict, lax = Scorer(STARTING, Thresholds(sure=0.999999, review=0.9)), Scorer(STARTING, Thresholds(0.9, 0.1))
    pair = (prepare(**ANA), prepare(**{**ANA, "birth_date": None}))
    assert strict.score(*pair).probability == lax.score(*pair).probability
    for sure, review in ((0.5, 0.9), (1.0, 0.5), (0.9, 0.0)):
        with pytest.raises(ValueError, match="thresholds"):
            Thresholds(sure=sure, review=review)


def test_scoring_is_symmetric_and_explained_weightiest_first():
    one, other = prepare(**ANA), prepare(**{**ANA, "given_name": "Annegrte", "birth_date": "1980-05-18"})
    assert SCORER.score(one, other) == SCORER.score(other, one)
    evidence = SCORER.explain(one, other)
    weights = [abs(each.bits) for each in evidence]
    assert weights == sorted(weights, reverse=True)
    assert any("household" in each.words for each in evidence)


def test_every_guard_has_words():
    assert all(each.words for each in Guard)
