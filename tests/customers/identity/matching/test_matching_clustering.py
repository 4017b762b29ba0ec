"""From pairs to people: chains do not tie what contradicts, and a batch of confusing households merges nobody falsely."""

from dataclasses import asdict, replace
from functools import cache
from random import Random

from benchmarks.identity_households import people as invented
from customers.identity.matching import (
    STARTING,
    Decision,
    Score,
    Scored,
    Scorer,
    candidates,
    cluster,
    learn_from,
    one_to_one,
    prepare,
    scored,
)

SCORER = Scorer(STARTING)
ANA = {"given_name": "Annegret", "family_name": "Müller", "birth_date": "1980-05-17", "phone": "+49301234567"}


def sure(left, right, bits=20.0):
    return Scored((left, right), Score(0.9999, bits, frozenset(), Decision.SURE))


def grey(left, right, bits=2.0):
    return Scored((left, right), Score(0.8, bits, frozenset(), Decision.REVIEW))


def test_sure_pairs_make_groups_and_grey_ones_wait():
    people = [prepare(**ANA) for _ in range(4)]
    outcome = cluster(people, [sure(0, 1), sure(1, 2), grey(2, 3)], SCORER)
    assert outcome.groups == ((0, 1, 2),)
    assert outcome.pairs() == {(0, 1), (0, 2), (1, 2)}
    assert [each.pair for each in outcome.review] == [(2, 3)]


def test_a_poor_record_does_not_tie_two_people_together():
    """Father and son of one name: each is like the record without a birth date, and they are not alike."""
    father, son = (prepare(**{**ANA, "birth_date": born}) for born in ("1951-11-02", "1980-05-17"))
    poor = prepare(**{**ANA, "birth_date": None})
    outcome = cluster([father, poor, son], [sure(0, 1, 22), sure(1, 2, 20)], SCORER)
    assert outcome.groups == ((0, 1),)
    assert [each.pair for each in outcome.review] == [(1, 2)]


def test_a_group_does_not_grow_without_end():
    people = [prepare(**ANA) for _ in range(25)]
    outcome = cluster(people, [sure(n, n + 1) for n in range(24)], SCORER)
    assert max(map(len, outcome.groups)) == 20
    assert outcome.review


def test_a_grey_pair_that_a_third_record_joins_is_not_asked_about():
    people = [prepare(**ANA) for _ in range(3)]
    assert not cluster(people, [sure(0, 1), sure(1, 2), grey(0, 2)], SCORER).review


def test_of_two_sources_each_record_has_one_partner():
    outcome = one_to_one([sure(0, 10, 25), sure(0, 11, 15), sure(1, 11, 24), grey(2, 12)])
    assert outcome.groups == ((0, 10), (1, 11))
    assert [each.pair for each in outcome.review] == [(2, 12)]


def test_two_partners_nearly_as_good_go_to_review():
    outcome = one_to_one([sure(0, 10, 21), sure(0, 11, 20)])
    assert outcome.groups == ()
    assert [each.pair for each in outcome.review] == [(0, 10), (0, 11)]


def test_only_pairs_across_sources_are_candidates_where_that_is_asked():
    people = [prepare(**ANA) for _ in range(4)]
    assert len(candidates(people)) == 6
    assert set(candidates(people, sources="aabb")) == {(0, 2), (0, 3), (1, 2), (1, 3)}


def test_a_combination_that_too_many_share_gives_no_candidates():
    people = [prepare(**ANA) for _ in range(11)]
    assert not candidates(people, most=10)
    assert candidates(people, most=11)


@cache
def households(count=600, seed=12):
    every = list(invented(seed, count))
    people = [prepare(**asdict(written)) for _, written in every]
    owners = [number for number, _ in every]
    found = candidates(people)
    parameters, report = learn_from(people, found, Random(1))  # noqa: S311 - a sample
    assert report.learnt
    return people, owners, found, parameters


def test_confusing_households_are_learnt_from_and_nobody_is_merged_falsely():
    people, owners, found, parameters = households()
    scorer = Scorer(parameters)
    pairs = scored(people, found, scorer)
    outcome = cluster(people, pairs, scorer)
    merged = outcome.pairs()
    assert len(merged) > 200
    assert not [pair for pair in merged if owners[pair[0]] != owners[pair[1]]]
    links = {(one, other) for other in range(len(people)) for one in range(other) if owners[one] == owners[other]}
    assert len(links & found.keys()) / len(links) > 0.98
    assert len(links & {each.pair for each in pairs}) / len(links) > 0.88


class Unguarded(Scorer):
    """A scorer that goes by probability alone."""

    def guards(self, *_):
        return frozenset()


def test_without_guards_kin_would_be_merged():
    """The control: it is the guards that keep them apart, not the set that is easy."""
    people, owners, found, parameters = households()
    pairs = scored(people, found, Unguarded(parameters))
    taken = [each.pair for each in pairs if each.score.decision is Decision.SURE]
    assert [pair for pair in taken if owners[pair[0]] != owners[pair[1]]]


def test_with_a_prior_that_is_too_high_strangers_would_be_looked_at():
    people, _, found, parameters = households(200)
    usual = scored(people, found, Scorer(parameters))
    careless = scored(people, found, Scorer(replace(parameters, prior=0.3)))
    assert len(careless) > len(usual)
