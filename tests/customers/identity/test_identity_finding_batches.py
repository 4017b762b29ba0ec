"""How pairs are put together to be compared: each once, few people at a time, and each person opened seldom."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from customers.identity.finding.comparing import batches

NAMES = st.text("abcdefghij", min_size=1, max_size=2)
PAIRS = st.sets(st.tuples(NAMES, NAMES).filter(lambda each: each[0] < each[1]), max_size=60)


@given(PAIRS, st.integers(1, 12))
def test_every_pair_is_in_one_list_and_no_list_names_too_many(pairs, most):
    made = list(batches(pairs, most))
    assert sorted(pair for each in made for pair in each) == sorted(pairs)
    assert all(len({name for pair in each for name in pair}) <= max(most, 2) for each in made)


def test_people_are_opened_a_few_times_and_not_once_for_each_pair():
    random = Random(1)  # noqa: S311 - which pairs is no secret
    names = [f"{number:04}" for number in range(2_000)]
    pairs = {tuple(sorted(random.sample(names, 2))) for _ in range(16_000)}
    opened = sum(len({name for pair in each for name in pair}) for each in batches(pairs, 400))
    in_order = sorted(pairs)
    naive = sum(
        len({name for pair in in_order[start : start + 200] for name in pair})
        for start in range(0, len(in_order), 200)
    )
    assert opened < naive  # negative control: 200 pairs at a time, as they come
    households = {(f"{number:04}a", f"{number:04}b") for number in range(1_000)}
    assert len(list(batches(households, 400))) == 5
