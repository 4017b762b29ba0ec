"""What is kept by law is said in a file that is read to the letter, or not at all."""

from datetime import UTC, datetime

import pytest

from policies import PolicyInvalidError, check
from policies.lint import FindingKind
from policies.loading import build

RULE = """
[invoices]
object = "order"
categories = ["user.behavior.purchase_history"]
of_the_person = ["user.name"]
when = { status = ["completed"] }
from = "placed_at"
period = "P10Y"
law = "HGB"
"""


def with_retention(packaged, text):
    return build({**packaged, "retention.toml": text.encode()})


def test_a_rule_names_fields_by_their_categories(packaged):
    (rule,) = with_retention(packaged, RULE).retention
    assert [each.name for each in rule.fields] == ["placed_at", "total", "currency", "units", "status", "items"]
    assert [each.name for each in rule.person] == ["given_name", "family_name"]
    assert rule.keeps({"status": "completed"})
    assert not rule.keeps({"status": "cancelled"})
    assert not rule.keeps({})
    assert rule.until(datetime(2026, 5, 1, tzinfo=UTC)) == datetime(2036, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_no_rule_keeps_nothing(packaged):
    assert with_retention(packaged, "# nothing").retention == ()


def test_what_is_kept_belongs_to_the_version_of_the_policy(packaged):
    assert with_retention(packaged, RULE).version != with_retention(packaged, RULE.replace("10", "6")).version


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"order"', '"profile"', "object must be"),
        ('"P10Y"', '"10Y"', "needs period"),
        ('"P10Y"', '"P0Y"', "needs period"),
        ('"placed_at"', '"shipping_address"', "from must be a clear date field"),
        ('"placed_at"', '"status"', "from must be a clear date field"),
        ('"user.behavior.purchase_history"', '"user.behaviour"', "declares no such category"),
        ('"user.behavior.purchase_history"', '"user.name"', "has no field there of"),
        ('["user.behavior.purchase_history"]', "[]", "needs categories"),
        ('["user.name"]', '"user.name"', "must be a list of categories"),
        ("status = [", "gift_message = [", "is no clear field"),
        ('["completed"]', '"completed"', "needs a list of texts"),
        ('law = "HGB"', "", "needs law"),
        ('law = "HGB"', 'law = "HGB"\nforever = true', "unknown key"),
        ("[invoices]", '["In voices"]', "is not a table with a lower-case name"),
    ],
)
def test_a_mistake_is_a_fault_and_nothing_is_loaded(packaged, before, after, says):
    with pytest.raises(PolicyInvalidError) as caught:
        with_retention(packaged, RULE.replace(before, after, 1))
    assert says in str(caught.value)
    assert with_retention(packaged, RULE), "the control"


def test_what_nobody_may_read_by_law_is_kept_for_nobody(packaged):
    found = [each.kind for each in check(with_retention(packaged, RULE))]
    assert FindingKind.KEPT_FOR_NOBODY not in found, "the control: the privacy officer may"
    rules = b"p, support_agent, customer_service, user, read, any, allow"
    bare = build({**packaged, "retention.toml": RULE.encode(), "rules.csv": rules})
    assert [each.file for each in check(bare) if each.kind is FindingKind.KEPT_FOR_NOBODY] == ["retention.toml"]
