"""The comparison of records with a policy equals a reading of both policies by hand."""

from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import Decision, Kind, Outcome, Record, Verdict, timestamp
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from customers.oversight.comparison import UNKNOWN_FIELD, UNKNOWN_PURPOSE, Comparison
from policies import PolicyInvalidError
from policies.loading import build
from policies.source import read_sources
from tests.policies.naive_reading import NaiveReading
from tests.schema.world import SHIPPED

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)
FIELDS = tuple(SHIPPED.catalogue.fields.values())
RULES = [line for line in read_sources()["rules.csv"].decode().splitlines() if line.startswith("p, ")]
ORDER = {"withheld": 0, "masked": 1, "clear": 2}


def accessed(policy, roles, purpose, fields, filters=()):
    """The record of an access as the platform makes it."""
    caller = Caller("agent", tuple(roles), None, None, None, frozenset(), None)
    grant = policy.decide(roles, purpose)
    disclosure = Disclosure(Request(caller, purpose, None, None, None, None), grant)
    best = {
        each.path: (way.alternatives[0].verdict, way.alternatives[0].rule) if way else ("withheld", way.rule)
        for each in fields
        if (way := grant.read[each.path]) is not None
    }
    disclosure.add_fields({path: (Verdict(verdict), rule) for path, (verdict, rule) in best.items()})
    disclosure.add_filters(filters)
    refused = any(not grant.filter[path] for path in filters)
    return disclosure.record(NOON, Outcome.REFUSED if refused else Outcome.ALLOWED)


def by_hand(reading, roles, purpose, field, scope):
    """What a customer in this scope is shown as."""
    if reading.allows(roles, purpose, field.category, "read", scope):
        return "clear"
    masked = field.mask is not None and reading.allows(roles, purpose, field.category, "read_masked", scope)
    return "masked" if masked else "withheld"


@st.composite
def tampered(draw):
    """The shipped rules with some lines gone and some turned round."""
    sources = read_sources()
    text = sources["rules.csv"].decode()
    for line in draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=12, unique=True)):
        options = ["", line.replace(" any, allow", " region, allow"), line.replace(" region, allow", " any, allow")]
        options += [line.replace(" read,", " read_masked,"), line.replace(" any, allow", " any, deny")]
        text = text.replace(line, draw(st.sampled_from(options)))
    return {**sources, "rules.csv": text.encode()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sources=tampered(),
    roles=st.lists(st.sampled_from(sorted(SHIPPED.roles)), min_size=1, max_size=3, unique=True),
    purpose=st.sampled_from(sorted(SHIPPED.purposes)),
    fields=st.lists(st.sampled_from(FIELDS), min_size=1, max_size=20, unique_by=lambda each: each.path),
    data=st.data(),
)
def test_exactly_the_fields_that_two_readings_by_hand_differ_on_change(sources, roles, purpose, fields, data):
    try:
        new = build(sources)
    except PolicyInvalidError:
        return
    if data.draw(st.booleans(), label="turned round"):
        old, new, hands = new, SHIPPED, (NaiveReading(sources), NaiveReading(read_sources()))
    else:
        old, hands = SHIPPED, (NaiveReading(read_sources()), NaiveReading(sources))
    record = accessed(old, roles, purpose, fields)
    found = Comparison(new, [old]).compare(record)
    expected = set()
    for field in fields:
        best = max((by_hand(hands[0], roles, purpose, field, at) for at in ("any", "region", "own")), key=ORDER.get)
        expected |= {
            field.path
            for scope in ("any", "region")  # nobody of the staff is the customer
            if by_hand(hands[0], roles, purpose, field, scope) == best
            and by_hand(hands[1], roles, purpose, field, scope) != best
        }
    assert {each.field for each in found.changes} == expected
    assert all(each.roles == tuple(sorted(roles)) and each.purpose == purpose for each in found.changes)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    roles=st.lists(st.sampled_from([*sorted(SHIPPED.roles), "made_up"]), min_size=1, max_size=4, unique=True),
    purpose=st.sampled_from(sorted(SHIPPED.purposes)),
    fields=st.lists(st.sampled_from(FIELDS), max_size=30, unique_by=lambda each: each.path),
    filters=st.lists(st.sampled_from([each.path for each in FIELDS]), max_size=4, unique=True),
    known=st.booleans(),
)
def test_the_same_policy_never_decides_otherwise(roles, purpose, fields, filters, known):
    record = accessed(SHIPPED, roles, purpose, fields, filters)
    found = Comparison(SHIPPED, [SHIPPED] if known else []).compare(record)
    assert not found
    assert (found.purpose, found.fields) == (None, ())


def made(**parts):
    values = {
        "actor": "agent", "kind": Kind.READ, "outcome": Outcome.ALLOWED, "policy": "old", "purpose": "marketing",
        "roles": ("marketer",), "time": timestamp(NOON), **parts,
    }  # fmt: skip
    return Record(**values)


def test_a_record_without_decisions_or_purpose_has_nothing_to_compare():
    comparison = Comparison(SHIPPED)
    for record in (made(), made(kind=Kind.ADMIN, purpose=None), made(kind=Kind.WRITE, outcome=Outcome.REFUSED)):
        assert not comparison.compare(record).decided


def test_names_that_nobody_knows_do_not_raise():
    clear = Decision(decision=Verdict.CLEAR, fields=("profile.gone", "profile.email"), rule=99)
    found = Comparison(SHIPPED).compare(made(decisions=(clear,)))
    assert [(each.field, each.after) for each in found.changes] == [
        ("profile.gone", UNKNOWN_FIELD),
        ("profile.email", "masked"),
    ]
    found = Comparison(SHIPPED).compare(made(decisions=(clear,), purpose="astrology"))
    assert [each.after for each in found.changes] == [UNKNOWN_PURPOSE]
    withheld = Decision(decision=Verdict.WITHHELD, fields=("profile.gone",))
    found = Comparison(SHIPPED).compare(made(decisions=(withheld,)))
    assert (found.changes, found.fields) == ((), ("profile.gone",))


def test_an_export_that_needed_more_than_the_rule_on_exports_is_no_change_under_the_same_policy():
    """A customer may export entries of their own, and yet a bundle of whole records was withheld from them."""
    withheld = Decision(decision=Verdict.WITHHELD, fields=("access_entry.time",))
    record = made(
        kind=Kind.EXPORT, outcome=Outcome.REFUSED, roles=("customer",), purpose="self_service",
        decisions=(withheld,), policy=SHIPPED.version,
    )  # fmt: skip
    assert SHIPPED.decide(record.roles, "self_service").export["access_entry.time"]
    assert not Comparison(SHIPPED, [SHIPPED]).compare(record)
    assert Comparison(SHIPPED).compare(record), "the policy at hand is what tells"
