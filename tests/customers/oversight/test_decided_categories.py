"""What was decided by category, of traits and of what events say, is weighed by category: by either policy's own."""

from datetime import UTC, datetime

import pytest

from audit import AccessQuery, Decision, Deviation, Kind, Outcome, Reason, Record, Verdict, timestamp
from customers.access import Circumstances
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from customers.oversight.comparison import Comparison, effects
from customers.oversight.impact import NOT_IN_CATALOGUE, Radius
from customers.profiles.categories import CategoryReader
from tests.customers.oversight.policy_changes import changed
from tests.schema.world import SHIPPED

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)
PART = "event.properties"
FEW = (PART, "profile.traits", "event.context")
MAIL = f"{PART}:user.contact.email"
HERE, AWAY = "h" * 22, "a" * 22
DENIED = "p, support_agent, customer_service, user.contact.email, *, any, deny"


def read(policy=SHIPPED, parts=FEW, role="support_agent", purpose="customer_service"):
    """The record of a read as the gateway makes it."""
    grant = policy.decide([role], purpose)
    caller = Caller("agent", (role,), None, None, None, frozenset(), None)
    disclosure = Disclosure(Request(caller, purpose, None, None, None, None), grant)
    reader = CategoryReader(policy.catalogue, grant)
    for part in parts:
        told = reader.verdicts(part)
        disclosure.add_fields(told)
        disclosure.add_subject(b"a" * 16)
        away = Circumstances(reason=None, in_region=False, own=False)
        disclosure.add_subject(b"b" * 16, reader.decided(away).departures(part, told))
    return disclosure.record(NOON)


@pytest.mark.parametrize(("role", "purpose"), [("support_agent", "order_support"), ("sales_rep", "sales")])
def test_the_same_policy_decides_categories_as_it_did(role, purpose):
    found = Comparison(SHIPPED, [SHIPPED]).compare(read(role=role, purpose=purpose))
    assert not found
    assert found.fields == ()
    assert not Comparison(SHIPPED).compare(read(role=role, purpose=purpose))


def test_a_category_below_the_one_that_was_recorded_is_decided_by_itself():
    record = read(parts=[PART])
    assert MAIL not in {path for each in record.decisions for path in each.fields}, "user.contact stands for it"
    found = Comparison(changed(add=[DENIED]), [SHIPPED]).compare(record)
    (change,) = found.changes
    assert (change.field, change.before, change.after) == (MAIL, "clear", "withheld")
    assert (change.old_rule, change.new_rule) == (2, len(SHIPPED.rules) + 1)
    ((_, subjects),) = effects(record, found)
    assert len(subjects) == 2


def test_what_is_decided_alike_below_a_category_is_said_once():
    policy = changed(add=["p, support_agent, customer_service, user.contact, *, any, deny"])
    found = Comparison(policy, [SHIPPED]).compare(read(parts=[PART]))
    assert [each.field for each in found.changes] == [f"{PART}:user.contact"]


def test_a_category_is_no_field_of_the_same_name_and_the_other_way_round():
    record = read(parts=["profile.traits"])
    found = Comparison(changed(add=[DENIED]), [SHIPPED]).compare(record)
    assert [each.field for each in found.changes] == ["profile.traits:user.contact.email"]


def made(*fields, **given):
    decided = Decision(decision=Verdict.CLEAR, fields=fields, rule=1)
    values = {"kind": Kind.READ, "roles": ("support_agent",), "purpose": "customer_service", "actor": "agent"}
    values |= {"time": timestamp(NOON), "outcome": Outcome.ALLOWED, "policy": "old", "decisions": (decided,)}
    return Record(**{**values, **given})


def test_categories_and_places_that_the_policy_does_not_know_are_unknown():
    strange = (f"{PART}:user.shoe_size", "invoice.lines:user.contact.email", "profile.shoe_size")
    found = Comparison(SHIPPED).compare(made(MAIL, *strange))
    assert found.fields == tuple(sorted(strange))


def test_whose_rights_closed_a_category_is_not_counted_for_what_lies_below_it():
    away = Deviation(
        subjects=(1,), decision=Verdict.WITHHELD, fields=(f"{PART}:user.contact",), reason=Reason.SCOPE, rule=None
    )
    record = made(f"{PART}:user.contact", subjects=(HERE, AWAY), exceptions=(away,))
    found = Comparison(changed(add=[DENIED])).compare(record)
    reached = {change.field: subjects for change, subjects in effects(record, found) if change.after == "withheld"}
    assert reached == {MAIL: [HERE]}


def test_what_was_written_is_what_was_named_and_nothing_below_it():
    record = made(f"{PART}:user.contact", kind=Kind.WRITE, roles=("client_app",), purpose="data_import")
    rule = "p, client_app, data_import, user.contact.email, write, any, deny"
    assert not Comparison(changed(add=[rule])).compare(record).changes
    email = made(MAIL, kind=Kind.WRITE, roles=("client_app",), purpose="data_import")
    assert [each.field for each in Comparison(changed(add=[rule])).compare(email).changes] == [MAIL]


def test_a_breach_is_told_by_the_categories_of_what_was_read():
    radius = Radius(AccessQuery(), SHIPPED.catalogue)
    radius.add(made(MAIL, "profile.email", f"{PART}:user.shoe_size", subjects=(HERE,)))
    found = {
        each.category: {field.field: field.label for field in each.fields} for each in radius.result().categories
    }
    assert found == {
        "user.contact.email": {MAIL: "What the event says", "profile.email": "E-mail address"},
        NOT_IN_CATALOGUE: {f"{PART}:user.shoe_size": "What the event says"},
    }
