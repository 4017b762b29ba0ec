"""Whether data is complete, valid and fresh; and that nothing is told of what may not be seen."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.quality.counting import Tally
from customers.quality.rules import Issue, IssueKind, Quality, judge, out_of_hundred
from customers.quality.standards import CIRCUMSTANCES, FIELDS, load_standards, parse_standards
from customers.spelling.postal import as_written, is_judged

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STANDARDS = load_standards()
ALL = frozenset((*FIELDS, *CIRCUMSTANCES))
GOOD = {
    "kind": "customer",
    "order_count": 2,
    "updated_at": "2026-02-01T00:00:00Z",
    "given_name": "Ana",
    "family_name": "García",
    "email": "ana@garcia.example",
    "phone": "+34915550143",
    "street": "Calle Mayor 3",
    "postal_code": "28013",
    "city": "Madrid",
    "country": "ES",
    "language": "es",
    "birth_date": "1980-05-17",
}


def found(values=(), *, without=(), seen=ALL, **kwargs):
    merged = {**GOOD, **dict(values)}
    for name in without:
        del merged[name]
    return judge(merged, seen, STANDARDS, NOW, **kwargs)


def kinds(**values):
    return {(each.field, each.kind.value) for each in found(values).issues}


def test_good_data_scores_a_hundred_and_has_no_issue():
    whole = found()
    assert (whole.score, whole.completeness, whole.validity, whole.staleness, whole.issues) == (100, 100, 100, 0, ())


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("given_name", "xxx", "placeholder"),
        ("given_name", "-", "placeholder"),
        ("given_name", "aaaa", "placeholder"),
        ("given_name", "R2D2", "malformed"),
        ("family_name", "asdf", "placeholder"),
        ("family_name", "smith@example.org", "malformed"),
        ("email", "ana@localhost", "malformed"),
        ("email", "ana@shop.local", "impossible"),
        ("email", "ana@mail.invalid", "impossible"),
        ("email", "ana@gmial.com", "mistyped"),
        ("email", "ana@web.con", "mistyped"),
        ("email", "test@test.com", "placeholder"),
        ("email", "a b@c.de", "malformed"),
        ("phone", "+34", "malformed"),
        ("phone", "+34915", "impossible"),
        ("phone", "+34911111111", "placeholder"),
        ("phone", "0915550143", "malformed"),
        ("postal_code", "2801", "not_of_country"),
        ("postal_code", "SW1A 1AA", "not_of_country"),
        ("postal_code", "00000", "placeholder"),
        ("street", "...", "placeholder"),
        ("street", "17", "malformed"),
        ("city", "unknown", "placeholder"),
        ("country", "XX", "unknown_country"),
        ("country", "UK", "unknown_country"),
        ("birth_date", "1900-01-01", "placeholder"),
        ("birth_date", "1899-12-31", "impossible"),
        ("birth_date", "2026-03-02", "impossible"),
        ("birth_date", "17/05/1980", "malformed"),
        ("language", "Spanish!", "malformed"),
    ],
)
def test_what_cannot_be_right_is_told_with_its_reason(field, value, kind):
    assert kinds(**{field: value}) == {(field, kind)}
    assert found({field: value}).validity < 100


@pytest.mark.parametrize(
    "values",
    [
        {"family_name": "Null"},
        {"family_name": "Test"},
        {"given_name": "Bo", "family_name": "O"},
        {"given_name": "李", "family_name": "王", "country": "CN", "postal_code": "100000"},
        {"given_name": "Jean-Luc", "family_name": "d'Aubigné"},
        {"email": "info@garcia.example"},
        {"email": "ana@münchen.de"},
        {"postal_code": "anything", "country": "AO"},
        {"country": "GB", "postal_code": "sw1a1aa"},
        {"country": "NL", "postal_code": "1012 AB"},
        {"country": "US", "postal_code": "94110-1234"},
        {"country": "DE", "postal_code": "D-28195"},
        {"birth_date": "1908-01-01"},
        {"phone": "+442079460018;ext=12"},
    ],
)
def test_what_may_well_be_right_is_left_in_peace(values):
    """The control of the test above: names that forms refuse, and codes written in another way."""
    assert kinds(**values) == set()


def test_a_name_that_is_also_a_placeholder_counts_beside_another_placeholder():
    assert kinds(given_name="Test", family_name="Test") == {
        ("given_name", "placeholder"),
        ("family_name", "placeholder"),
    }


def test_what_is_expected_depends_on_who_it_is():
    address = ("street", "postal_code", "city")
    assert {each.field for each in found(without=address).issues} == set(address)
    assert found({"order_count": 0}, without=address).issues == (), "who never ordered needs no address"
    assert found(without=("phone", "birth_date")).completeness == 100, "what the company does not need is no fault"
    visitor = judge({"kind": "visitor"}, ALL, STANDARDS, NOW)
    assert (visitor.completeness, visitor.issues) == (None, ())
    nobody = judge({"kind": "customer"}, ALL, STANDARDS, NOW)
    assert nobody.completeness == 0
    assert {each.kind for each in nobody.issues} == {IssueKind.MISSING}


def test_completeness_weighs_each_field_as_the_standards_say():
    without_mail = found({"order_count": 0}, without=("email",))
    # given 2, family 3, email 4, country 3, language 1
    assert without_mail.completeness == round(100 * 9 / 13)
    assert without_mail.issues == (Issue("email", IssueKind.MISSING),)


@given(whole=st.integers(1, 10**9), part=st.integers(0, 10**9))
def test_a_hundred_is_only_for_what_is_whole(whole, part):
    told = out_of_hundred(min(part, whole), whole)
    assert 0 <= told <= 100
    assert (told == 100) == (part >= whole)
    assert abs(told - 100 * min(part, whole) / whole) <= 1


def test_one_profile_in_a_thousand_that_is_not_perfect_shows_in_the_mean():
    best, other = Quality(100, 100, 100, 0, ()), Quality(99, 99, 99, 1, ())
    tally = Tally()
    for _ in range(999):
        tally.add(best, ())
    means = tally.report(NOW.date(), NOW, "x", None).means
    assert (means.score, means.completeness, means.validity, means.staleness) == (100, 100, 100, 0), "the control"
    tally.add(other, ())
    means = tally.report(NOW.date(), NOW, "x", None).means
    assert (means.score, means.completeness, means.validity, means.staleness) == (99, 99, 99, 1)


def test_a_value_is_stale_once_it_was_not_confirmed_for_longer_than_it_stays_fresh():
    old = {"updated_at": (NOW - timedelta(days=731)).isoformat()}
    assert {each.field for each in found(old).issues} == {"email", "phone"}
    assert found({"updated_at": (NOW - timedelta(days=729)).isoformat()}).issues == ()
    told = found(old, confirmed={"email": NOW - timedelta(days=3), "phone": NOW - timedelta(days=3)})
    assert told.issues == (), "where it is known of the field itself, that counts"
    assert found(old).staleness == round(100 * 6 / 18)
    assert found(without=("updated_at",)).staleness is None, "nothing is said of what is not known"


@given(
    values=st.fixed_dictionaries({}, optional={name: st.text(max_size=40) for name in FIELDS}),
    hidden=st.sets(st.sampled_from(sorted(ALL))),
    other=st.fixed_dictionaries({}, optional={name: st.text(max_size=40) for name in sorted(ALL)}),
)
def test_what_may_not_be_seen_changes_nothing(values, hidden, other):
    """Two profiles that differ only in hidden fields are judged alike, whatever stands in them."""
    seen = ALL - hidden
    one = {**GOOD, **values}
    two = {**one, **{name: other[name] for name in hidden & other.keys()}}
    assert judge(one, seen, STANDARDS, NOW) == judge(two, seen, STANDARDS, NOW)


def test_what_may_be_seen_does_change_something():
    """Negative control."""
    assert found({"country": "XX"}, seen=ALL) != found(seen=ALL)
    assert found({"country": "XX"}, seen=ALL - {"country"}) == found(seen=ALL - {"country"})


@given(st.dictionaries(st.sampled_from(sorted(ALL)), st.text(max_size=60)))
def test_any_text_is_judged_and_no_result_holds_it(values):
    quality = judge(values, ALL, STANDARDS, NOW)
    for part in (quality.score, quality.completeness, quality.validity, quality.staleness):
        assert part is None or 0 <= part <= 100
    for each in quality.issues:
        assert each.field in FIELDS
        assert isinstance(each.kind, IssueKind)


@pytest.mark.parametrize(
    ("country", "code", "written"),
    [
        ("GB", "ec1a1bb", "EC1A 1BB"), ("NL", "1012ab", "1012 AB"), ("PL", "00950", "00-950"),
        ("PT", "1000 001", "1000-001"), ("SE", "11122", "111 22"), ("CA", "k1a0b1", "K1A 0B1"),
        ("JP", "1000001", "100-0001"), ("DE", "D-28195", "28195"), ("CH", "CH-8001", "8001"), ("LV", "1010", "LV-1010"),
        ("BR", "01310100", "01310-100"), ("IE", "d02x285", "D02 X285"), ("US", "941101234", "94110-1234"),
        ("CZ", "11000", "110 00"), ("DE", "1234", None), ("NL", "0123 AB", None), ("GB", "12345", None),
        ("JP", "\uff11\uff10\uff10-0001", "100-0001"), ("DE", "2" * 21, None),
    ],
)  # fmt: skip
def test_a_postal_code_is_written_as_its_country_does(country, code, written):
    assert is_judged(country)
    assert as_written(country, code) == written
    assert written is None or as_written(country, written) == written


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"version = 2",
        b"version = 1\n[score]\ncompleteness = 0",
        b"version = 1\n[score]\ncompleteness = 1\n[fields.national_id]\nweight = 1",
        b"version = 1\n[score]\ncompleteness = 1\n[fields.city]\nweight = -1",
        b"version = 1\n[score]\ncompleteness = 1\n[fields.city]\nweight = 1\nexpected_of = 'all'",
        b"version = 1\n[score]\ncompleteness = 1\n[report]\ndaily_at = 24",
        b"version = 1\n[score]\ncompleteness = 1\nvalidty = 3",
        b"#" * 70_000,
    ],
)
def test_standards_that_cannot_be_read_are_refused(content):
    with pytest.raises(Exception, match=r"quality\.toml"):
        parse_standards(content)


def test_the_least_standards_there_can_be_are_read():
    """Negative control."""
    standards = parse_standards(b"version = 1\n[score]\ncompleteness = 1\n[fields.city]\nweight = 1")
    assert standards.fields.keys() == {"city"}
    assert standards.daily_at is None
