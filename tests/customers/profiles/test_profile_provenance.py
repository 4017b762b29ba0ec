"""Where a value came from is kept beside it, in a form that may only be added to; what was said last counts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.profiles.provenance import Origin, OriginKind, Provenance, expired, origin_of
from policies import LawfulBasis
from tests.schema.world import SUPPORT

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(milliseconds=1)
MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda each: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=each)
)
TEXTS = st.text(min_size=1, max_size=200)
ORIGINS = st.builds(
    Origin,
    st.sampled_from(OriginKind),
    TEXTS,
    MOMENTS,
    st.none() | st.sampled_from(LawfulBasis),
    st.none() | TEXTS,
    st.none() | MOMENTS,
)


def said(kind=OriginKind.EVENT, at=NOON, source="shop", **more):
    return Origin(kind, source, at, **more)


@given(st.dictionaries(st.sampled_from(["email", "city", "traits.hat", "traits.shoe"]), ORIGINS))
def test_what_was_kept_is_read_back(origins):
    kept = Provenance()
    for name, origin in origins.items():
        kept.put(name, origin, "user.contact" if name == "traits.hat" else None)
    read = Provenance(kept.stored())
    assert {name: read.get(name) for name in read} == origins
    assert not read.changed
    assert read.stored() == kept.stored()


def test_the_stored_form_is_the_one_that_is_described():
    """docs/formats/provenance.md; whatever is changed here must still read this."""
    stored = {
        ".origins": [
            ["staff", "console", 1777636800000, "contract"],
            ["enrichment", "places", 1777636800001, "consent", "ODbL", 1777636800002],
            ["removed", "console", 1777636800000],
        ],
        ".categories": {"traits.hat": "user.contact"},
        "city": 0,
        "street": 0,
        "traits.hat": 1,
        "phone": 2,
        "given_name": [1777636800000, "shop"],
        "traits.shoe": [1777636800000, "till", "user.behavior"],
    }
    read = Provenance(stored)
    basis = LawfulBasis.CONTRACT
    assert {name: read.get(name) for name in read} == {
        "city": said(OriginKind.STAFF, source="console", basis=basis),
        "street": said(OriginKind.STAFF, source="console", basis=basis),
        "traits.hat": Origin(
            OriginKind.ENRICHMENT, "places", LATER, LawfulBasis.CONSENT, "ODbL", NOON + timedelta(milliseconds=2)
        ),
        "given_name": said(),
        "traits.shoe": said(source="till"),
    }
    assert [read.category(each) for each in ("traits.hat", "traits.shoe", "traits.other")] == [
        "user.contact",
        "user.behavior",
        "user.unclassified",
    ]
    assert read.later("phone", NOON - timedelta(seconds=1)), "what was removed is not brought back by an older word"
    assert Provenance(read.stored()).stored() == read.stored()


def test_an_origin_that_many_fields_have_is_stored_once():
    kept = Provenance()
    for name in ("city", "street", "country"):
        kept.put(name, said())
    assert len(kept.stored()[".origins"]) == 1


@pytest.mark.parametrize("kind", OriginKind)
def test_the_last_word_counts_whoever_says_it(kind):
    kept = Provenance()
    kept.put("city", said(OriginKind.STAFF))
    assert not kept.hear("city", said(kind, NOON - timedelta(milliseconds=1)))
    assert kept.get("city") == said(OriginKind.STAFF)
    assert kept.hear("city", said(kind, LATER))
    assert kept.get("city") == said(kind, LATER)


def test_saying_the_same_again_changes_nothing():
    kept = Provenance()
    kept.put("city", said())
    again = Provenance(kept.stored())
    assert again.hear("city", said())
    assert not again.changed


def test_a_value_is_expired_from_the_very_moment_on():
    origin = said(expires_at=LATER)
    assert (expired(origin, NOON), expired(origin, LATER), expired(said(), LATER)) == (False, True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "x" * 201},
        {"licence": ""},
        {"at": datetime(2026, 5, 1)},  # noqa: DTZ001 - that it has no zone is the point
        {"expires_at": datetime(2026, 5, 1)},  # noqa: DTZ001 - as above
    ],
)
def test_what_could_not_be_kept_is_refused(wrong):
    with pytest.raises(ValueError, match="origin"):
        Origin(**{"kind": OriginKind.EVENT, "source": "shop", "at": NOON, **wrong})


def test_a_writer_is_staff_a_customer_or_a_program_and_never_called_by_name(world):
    def whose(**who):
        found = origin_of(world.access(*SUPPORT, **who), NOON)
        return found.kind, found.source, found.basis

    contract = LawfulBasis.CONTRACT
    assert whose(actor="ada.lovelace@staff.example") == (OriginKind.STAFF, "test", contract)
    assert whose(customer="cus_1") == (OriginKind.CUSTOMER, "test", contract)
    assert whose(actor="service:shop-app") == (OriginKind.CLIENT, "test", contract)
