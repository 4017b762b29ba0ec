"""What is learnt from patterns alone: the figures a simulation was made with come back, and nonsense does not pass."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.identity.matching import STARTING, Field, Level, Observations, learn
from customers.identity.matching.comparisons import LEVELS, Comparison
from customers.identity.matching.learning import Group, fit

ORDER = list(Field)
SHOWN = (Field.GIVEN_NAME, Field.FAMILY_NAME, Field.BIRTH_DATE, Field.PHONE)
TRUE_M = {
    Field.GIVEN_NAME: (0.60, 0.05, 0.15, 0.01, 0.02, 0.02, 0.02, 0.05, 0.08),
    Field.FAMILY_NAME: (0.70, 0.05, 0.10, 0.02, 0.02, 0.01, 0.10),
    Field.BIRTH_DATE: (0.80, 0.02, 0.08, 0.02, 0.02, 0.06),
    Field.PHONE: (0.50, 0.05, 0.05, 0.40),
}


def draw(random, table, field):
    return random.choices(list(table[field]), list(table[field].values()))[0]


def simulate(seed, pairs, share):
    """Patterns of pairs of which a share are one person, by known m and by the starting u."""
    random = Random(seed)  # noqa: S311 - a simulation
    m = {field: dict(zip(LEVELS[field], row, strict=True)) for field, row in TRUE_M.items()}
    patterns = Counter()
    for _ in range(pairs):
        table = m if random.random() < share else STARTING.u
        levels = {field: draw(random, table, field) for field in SHOWN}
        patterns[Comparison(tuple(levels.get(each) for each in ORDER), None)] += 1
    return patterns


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.05, 0.3, 0.8]))
def test_the_figures_of_a_simulation_come_back(seed, share):
    found = fit([Group(simulate(seed, 8000, share))], STARTING, strength=1)
    assert found.converged
    assert found.shares[0] == pytest.approx(share, abs=0.02)
    for field, row in TRUE_M.items():
        for level, true in zip(LEVELS[field], row, strict=True):
            assert found.m[field][level] == pytest.approx(true, abs=0.09 if share < 0.1 else 0.05)


def test_a_field_that_a_rule_fixed_is_not_learnt_from_its_pairs():
    patterns = simulate(1, 4000, 0.5)
    free = fit([Group(patterns)], STARTING)
    fixed = fit([Group(patterns, frozenset({Field.PHONE}))], STARTING)
    assert fixed.m[Field.PHONE] == pytest.approx(dict(STARTING.m[Field.PHONE]))
    assert free.m[Field.PHONE][Level.SAME] == pytest.approx(0.5, abs=0.05)
    assert fixed.m[Field.GIVEN_NAME][Level.SAME] == pytest.approx(0.6, abs=0.05)


def test_groups_have_shares_of_their_own():
    groups = [Group(simulate(1, 3000, 0.1)), Group(simulate(2, 3000, 0.7))]
    assert fit(groups, STARTING).shares == pytest.approx((0.1, 0.7), abs=0.03)


def test_without_pairs_nothing_moves():
    learnt, report = learn(Observations())
    assert not report.learnt
    assert learnt.m == STARTING.m
    assert learnt.prior == STARTING.prior


def test_a_handful_of_pairs_moves_nothing():
    seen = Observations(records=40, pairs=780, candidates=simulate(1, 30, 0.1))
    seen.by_rule[frozenset()] = seen.candidates
    learnt, report = learn(seen)
    assert not report.learnt
    assert learnt.m == STARTING.m


def observations(share=0.3):
    seen = Observations(records=3000, pairs=4_498_500, candidates=simulate(3, 6000, share))
    seen.by_rule[frozenset()] = seen.candidates
    seen.random = simulate(4, 20_000, 0)
    return seen


def test_the_prior_is_the_pairs_expected_by_all_pairs_there_are():
    learnt, report = learn(observations())
    assert report.learnt
    assert report.expected == pytest.approx(1800, rel=0.05)
    assert learnt.prior == pytest.approx(1800 / 4_498_500, rel=0.05)
    assert learnt.records == 3000


def test_every_table_that_is_learnt_is_whole():
    learnt, _ = learn(observations())
    for table in (learnt.m, learnt.u):
        for levels in table.values():
            assert sum(levels.values()) == pytest.approx(1)
            assert all(0 < share < 1 for share in levels.values())


def test_an_address_alone_is_never_rarer_than_a_household():
    learnt, _ = learn(observations())
    assert learnt.u[Field.ADDRESS][Level.SAME] >= 1 / 3000


def test_a_field_on_which_agreement_would_count_against_is_left_alone():
    """Planted: telephone numbers that are the same between strangers, and differ between records of one person."""
    odd = dict.fromkeys(LEVELS[Field.PHONE], 0.01)
    strangers = {**STARTING.u, Field.PHONE: {**odd, Level.SAME: 0.97}}
    person = {**STARTING.m, Field.PHONE: {**odd, Level.DIFFERENT: 0.97}}
    random = Random(5)  # noqa: S311 - a simulation

    def patterns(pairs, share):
        found = Counter()
        for _ in range(pairs):
            table = person if random.random() < share else strangers
            found[
                Comparison(tuple(draw(random, table, each) if each in SHOWN else None for each in ORDER), None)
            ] += 1
        return found

    seen = Observations(records=3000, pairs=4_498_500, candidates=patterns(4000, 0.5), random=patterns(20_000, 0))
    seen.by_rule[frozenset()] = seen.candidates
    learnt, report = learn(seen, replace(STARTING, u=strangers))
    assert Field.PHONE in report.kept
    assert learnt.m[Field.PHONE] == STARTING.m[Field.PHONE]
    assert Field.BIRTH_DATE not in report.kept


def test_many_pairs_are_learnt_from_as_well_as_few_and_closer_to_the_truth():
    """More than 10,000 candidates, as a base of that many records gives: every one of them counts."""
    few, many = (fit([Group(simulate(5, pairs, 0.3))], STARTING) for pairs in (1_000, 40_000))
    assert few.converged
    assert many.converged
    assert many.expected == pytest.approx(12_000, rel=0.02)

    def error(found):
        truth = {field: dict(zip(LEVELS[field], row, strict=True)) for field, row in TRUE_M.items()}
        return max(abs(found.m[field][level] - share) for field, row in truth.items() for level, share in row.items())

    assert error(many) < 0.015
    assert error(few) > error(many)  # negative control


def test_a_sum_of_patterns_teaches_what_the_pairs_one_by_one_teach():
    """A large sample is handed on as counts of patterns; how it is cut into groups of one rule changes nothing."""
    patterns = simulate(6, 12_000, 0.2)
    once = Observations(records=10_000, pairs=49_995_000)
    for pattern, count in patterns.items():
        for _ in range(count):
            once.add_candidate(pattern, [frozenset()])
    summed = Observations(
        records=10_000, pairs=49_995_000, candidates=Counter(patterns), by_rule={frozenset(): Counter(patterns)}
    )
    assert sum(once.candidates.values()) == 12_000
    (one, how), (other, report) = learn(once), learn(summed)
    assert (how.learnt, how.kept) == (report.learnt, report.kept) == (True, frozenset())
    assert one.as_document() == other.as_document()
