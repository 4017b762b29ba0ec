"""A masked value never gives the value away, nor how long it is."""

import string
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policies import HIDDEN, Mask, mask_value

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
masks = st.sampled_from(Mask)
values = st.one_of(
    st.text(),
    st.text(alphabet=string.ascii_letters + string.digits + "@.-+ ", max_size=12),
    st.emails(),
    st.dates().map(str),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.booleans(),
    st.binary(),
    st.dictionaries(st.text(), st.text()),
)


def pseudonym(text):
    return f"p-{sum(text.encode('utf-8', 'surrogatepass')) % 9973:05d}"


def masked(mask, value):
    return mask_value(mask, value, pseudonym=pseudonym)


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        (Mask.DOMAIN_ONLY, "ada@example.org", "a•••@example.org"),
        (Mask.DOMAIN_ONLY, "a@example.org", "•••@example.org"),
        (Mask.DOMAIN_ONLY, "not an address", "•••"),
        (Mask.DOMAIN_ONLY, "ada@my secret", "•••"),
        (Mask.DOMAIN_ONLY, "@example.org", "•••"),
        (Mask.LAST_FOUR, "+44 20 7946 4567", "•••4567"),
        (Mask.LAST_FOUR, "4567", "•••"),
        (Mask.LAST_FOUR, "1234567", "•••"),
        (Mask.FIRST_CHARACTER, "Ada", "A•••"),
        (Mask.FIRST_CHARACTER, "Łucja", "Ł•••"),
        (Mask.FIRST_CHARACTER, "A", "•••"),
        (Mask.FIRST_CHARACTER, " A ", "•••"),
        (Mask.YEAR_ONLY, date(1984, 5, 17), "1984"),
        (Mask.YEAR_ONLY, "1984-05-17", "1984"),
        (Mask.YEAR_ONLY, datetime(1984, 5, 17, tzinfo=UTC), "1984"),
        (Mask.YEAR_ONLY, "1984", "•••"),
        (Mask.GENERALISE, "75011", "75•••"),
        (Mask.GENERALISE, "SW1A 1AA", "SW•••"),
        (Mask.GENERALISE, "101", "•••"),
        (Mask.GENERALISE, 0, "0–10"),  # noqa: RUF001 - as it is written
        (Mask.GENERALISE, 37, "30–40"),  # noqa: RUF001
        (Mask.GENERALISE, Decimal("259.94"), "200–300"),  # noqa: RUF001
        (Mask.GENERALISE, 999_999, "900000–1000000"),  # noqa: RUF001
        (Mask.GENERALISE, 10**400, "1000000 or more"),
        (Mask.GENERALISE, -5, "•••"),
        (Mask.GENERALISE, float("nan"), "•••"),
        (Mask.GENERALISE, Decimal("sNaN"), "•••"),
        (Mask.GENERALISE, True, "•••"),
        (Mask.GENERALISE, date(1984, 5, 17), "1984"),
        (Mask.PSEUDONYM, "cus_abc", pseudonym("cus_abc")),
        (Mask.REDACT, "anything", "•••"),
        (Mask.REDACT, {"pregnant": "yes"}, "•••"),
    ],
)
def test_masks_show_what_they_say(mask, value, shown):
    assert masked(mask, value) == shown


@unhurried
@given(mask=masks)
def test_what_is_not_there_stays_not_there(mask):
    assert masked(mask, None) is None


@unhurried
@given(mask=masks, value=st.lists(values, max_size=5))
def test_a_masked_list_shows_neither_its_items_nor_how_many(mask, value):
    assert masked(mask, value) == [HIDDEN]
    assert masked(mask, tuple(value)) == [HIDDEN]


@unhurried
@given(mask=masks, value=values)
@example(mask=Mask.LAST_FOUR, value="1234")
@example(mask=Mask.DOMAIN_ONLY, value="a•••@example.org")
@example(mask=Mask.FIRST_CHARACTER, value="A•••")
@example(mask=Mask.YEAR_ONLY, value="1984")
@example(mask=Mask.GENERALISE, value="30–40")  # noqa: RUF001
def test_no_value_leaves_a_mask_unchanged(mask, value):
    shown = masked(mask, value)
    assert isinstance(shown, str)
    assert shown != value
    if isinstance(value, str) and value.strip() and mask is not Mask.PSEUDONYM:
        assert value.strip() not in shown or HIDDEN[0] in value or len(value.strip()) == 1


@unhurried
@given(mask=masks, value=values)
def test_masking_what_is_masked_hides_it_all(mask, value):
    shown = masked(mask, value)
    if HIDDEN in shown:
        assert masked(mask, shown) == HIDDEN


def test_a_pseudonym_that_is_no_pseudonym_is_not_shown():
    assert mask_value(Mask.PSEUDONYM, "cus_abc", pseudonym=lambda text: text) == HIDDEN


letters = st.text(alphabet=string.ascii_letters, min_size=4, max_size=40)


@unhurried
@given(one=letters, other=letters, first=st.sampled_from("xyz"), last=st.sampled_from(["4567", "9999"]))
def test_how_long_the_hidden_part_is_does_not_show(one, other, first, last):
    for mask, make in (
        (Mask.FIRST_CHARACTER, lambda hidden: first + hidden),
        (Mask.LAST_FOUR, lambda hidden: hidden + last),
        (Mask.DOMAIN_ONLY, lambda hidden: f"{first}{hidden}@example.org"),
        (Mask.GENERALISE, lambda hidden: first + "1" + hidden),
        (Mask.REDACT, lambda hidden: hidden),
    ):
        assert masked(mask, make(one)) == masked(mask, make(other))


@unhurried
@given(moment=st.datetimes(), hours=st.integers(-12, 12))
def test_the_year_shown_is_the_year_stored(moment, hours):
    stored = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    assert masked(Mask.YEAR_ONLY, stored) == f"{stored.year:04d}" == masked(Mask.YEAR_ONLY, stored.isoformat())


@unhurried
@given(number=st.integers(0, 999_999), cents=st.integers(0, 99))
def test_a_range_holds_its_number_and_at_least_ten_others(number, cents):
    low, high = map(int, masked(Mask.GENERALISE, number + Decimal(cents) / 100).split("–"))  # noqa: RUF001
    assert low <= number < high
    assert high - low >= 10
