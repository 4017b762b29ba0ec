"""Weights by hand, and parameters that come back from storage as they went."""

import json
from dataclasses import replace
from math import log2

import pytest

from customers.identity.matching import STARTING, Field, Level, Parameters, ParametersInvalidError, compare, prepare
from customers.identity.matching.frequencies import Frequencies
from customers.identity.matching.model import probability


def with_level(table, field, level, share):
    """The table with one probability set and the rest of the field in proportion."""
    rest = 1 - table[field][level]
    row = {each: share if each is level else old * (1 - share) / rest for each, old in table[field].items()}
    return {**table, field: row}


def known(prior=0.001, **more):
    m = with_level(STARTING.m, Field.GIVEN_NAME, Level.SAME, 0.8)
    u = with_level(STARTING.u, Field.GIVEN_NAME, Level.SAME, 0.05)
    m = with_level(m, Field.BIRTH_DATE, Level.SAME, 0.9)
    u = with_level(u, Field.BIRTH_DATE, Level.SAME, 0.0001)
    return Parameters(prior=prior, m=m, u=u, **more)


def test_a_weight_is_the_logarithm_of_m_by_u():
    assert known().bits(Field.GIVEN_NAME, Level.SAME) == pytest.approx(4)  # log2(0.8 / 0.05)
    assert known().bits(Field.BIRTH_DATE, Level.SAME) == pytest.approx(13.1357, abs=1e-4)  # log2(9000)


def test_the_weights_of_a_pair_and_of_the_prior_make_its_odds():
    one, other = (prepare(given_name="Ana", birth_date="1980-05-17") for _ in range(2))
    parameters = known()
    bits = parameters.weigh(compare(one, other), one, other)
    assert bits == pytest.approx(log2(16) + log2(9000))
    # Odds of 1 to 999 before, times 16 and 9000: 144000 to 999.
    assert probability(parameters.prior_bits + bits) == pytest.approx(144_000 / 144_999)


def test_a_missing_field_weighs_nothing():
    one, other = prepare(given_name="Ana", birth_date="1980-05-17"), prepare(given_name="Ana", email="a@example.org")
    assert known().weigh(compare(one, other), one, other) == pytest.approx(4)


def test_the_evidence_adds_up_to_the_weight_and_holds_no_value():
    one = prepare(given_name="Ana", family_name="Roca", birth_date="1980-05-17", phone="+34911234567")
    other = prepare(given_name="Ana", family_name="Rocca", birth_date="1980-05-18", phone="+34911234567")
    comparison, parameters = compare(one, other), known()
    evidence = parameters.evidence(comparison, one, other)
    assert sum(each.bits for each in evidence) == pytest.approx(parameters.weigh(comparison, one, other))
    assert [each.field for each in evidence] == [*list(Field)[:3], Field.PHONE]
    assert not any(value in repr(evidence).lower() for value in ("ana", "roca", "1980", "911"))
    assert all(each.words for each in evidence)


def test_a_common_value_weighs_less_and_a_rare_one_more_but_not_without_end():
    frequencies = {Field.GIVEN_NAME: Frequencies({"maria": 0.2}, rare=0.0001, mean=0.05)}
    parameters = known(frequencies=frequencies)
    same = {
        name: parameters.weigh(compare(person, person), person, person)
        for name in ("María", "Urraca")
        for person in [prepare(given_name=name)]
    }
    assert same["María"] == pytest.approx(log2(0.8 / 0.2))
    assert same["Urraca"] == pytest.approx(log2(0.8 / 0.05) + 4)  # not log2(0.8 / 0.0001)


def test_a_family_name_says_little_at_one_address_and_much_between_strangers():
    home = {"street": "Mayor 3", "postal_code": "28001"}
    kin = [prepare(given_name=name, family_name="Roca", **home) for name in ("Ana", "Eva")]
    strangers = [prepare(given_name=name, family_name="Roca") for name in ("Ana", "Eva")]

    def bits(pair):
        return {each.field: each.bits for each in STARTING.evidence(compare(*pair), *pair)}[Field.FAMILY_NAME]

    assert bits(kin) == pytest.approx(log2(0.86 / 0.70))
    assert bits(strangers) == pytest.approx(log2(0.86 / 0.002))


def test_a_birth_date_says_less_between_two_names_of_a_household_than_beside_one_name():
    home = {"birth_date": "1980-05-17", "street": "Mayor 3", "postal_code": "28001"}
    eva, ana, same = (prepare(given_name=name, **home) for name in ("Eva", "Ana", "Ana"))

    def bits(one, other):
        return {each.field: each.bits for each in STARTING.evidence(compare(one, other), one, other)}[
            Field.BIRTH_DATE
        ]

    assert bits(eva, ana) == pytest.approx(log2(0.93 / 0.012))
    assert bits(same, ana) == pytest.approx(log2(0.93 / 0.00004))


def test_a_level_never_seen_counts_no_more_against_than_a_difference():
    m = {**STARTING.m, Field.GIVEN_NAME: {**STARTING.m[Field.GIVEN_NAME], Level.PART: 0.0}}
    parameters = replace(STARTING, m=m)
    assert parameters.bits(Field.GIVEN_NAME, Level.PART) == parameters.bits(Field.GIVEN_NAME, Level.DIFFERENT)


def test_probabilities_stay_between_nothing_and_certainty():
    assert probability(0) == 0.5
    assert probability(1) == pytest.approx(2 / 3)
    assert 0 <= probability(-1e9) < probability(1e9) <= 1


def test_parameters_come_back_from_storage_as_they_went():
    parameters = known(frequencies={Field.FAMILY_NAME: Frequencies({"novak": 0.03}, 0.0001, 0.01)}, records=7)
    assert Parameters.from_document(json.loads(json.dumps(parameters.as_document()))) == parameters


@pytest.mark.parametrize(
    "break_it",
    [
        lambda document: document.update(version=2),
        lambda document: document.pop("prior"),
        lambda document: document.update(prior=0),
        lambda document: document.update(prior=float("nan")),
        lambda document: document["m"].pop("email"),
        lambda document: document["u"]["email"].update(same=0.9),
        lambda document: document["m"]["phone"].update(same=-0.1),
        lambda document: document.update(frequencies=[]),
    ],
)
def test_parameters_that_are_not_whole_are_refused(break_it):
    document = json.loads(json.dumps(STARTING.as_document()))
    break_it(document)
    with pytest.raises(ParametersInvalidError):
        Parameters.from_document(document)


def test_what_is_stored_of_values_is_only_what_many_share():
    counts = {"novak": 200, "svoboda": 10, "ouyang": 9, "przybylski": 1}
    learnt = Frequencies.of(counts)
    assert learnt is not None
    assert learnt.common == {"novak": 200 / 220, "svoboda": 10 / 220}
    assert learnt.rare == pytest.approx((9 * 8 / 10) / 220)


def test_records_of_one_person_do_not_make_a_rare_value_look_shared():
    counts = {"novak": 200} | {f"rare{n}": 2 for n in range(50)}
    alone, taken_out = Frequencies.of(counts), Frequencies.of(counts, twice=0.9)
    assert alone is not None
    assert taken_out is not None
    assert alone.rare == pytest.approx(1 / 300)
    assert taken_out.rare == pytest.approx(0.2 / 300)


def test_too_few_people_say_nothing_about_how_common_a_value_is():
    assert Frequencies.of({"novak": 50, "svoboda": 20}) is None
