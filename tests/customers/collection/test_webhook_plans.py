"""The plans that are shipped for Shopify and Stripe, held against what is made of their deliveries."""

from pathlib import Path

import pytest

from customers.collection.checking import CompiledPlan
from customers.collection.plan_file import load_plan
from customers.collection.plans import UNCLASSIFIED
from policies import load_policies
from tests.customers.collection import test_webhook_shopify as shopify
from tests.customers.collection import test_webhook_stripe as stripe

PLANS = Path(__file__).parents[3] / "docs" / "plans"
CATALOGUE = load_policies().catalogue


def plan(name):
    return load_plan(PLANS / f"{name}.toml", CATALOGUE)


def event(name, raws):
    return next(raw["properties"] for raw in raws if raw.get("event") == name)


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_plan_has_no_faults_and_its_file_s_name(path):
    assert load_plan(path, CATALOGUE).name == path.stem


def test_what_a_plan_says_of_an_order_is_what_is_made_of_one():
    made = event("Order Completed", shopify.take("orders/create", shopify.ORDER).events)
    rules = plan("shopify").events["Order Completed"].properties
    assert set(rules) - set(made) == set(), "no property is planned that never comes"
    assert {name for name in rules if rules[name].clear} <= {
        *("order_id", "total", "revenue", "tax", "shipping", "discount", "currency"),
    }


def test_the_last_four_digits_are_sealed_as_what_they_are():
    made = event("Charge Succeeded", stripe.take("charge.succeeded", stripe.CHARGE))
    known = compiled("stripe").check("track", "Charge Succeeded", made)
    assert known.sealed["user.financial.credit_card"] == {"payment_last4": "4242"}
    assert known.clear == {}
    without = compiled(None).check("track", "Charge Succeeded", made)
    assert without.sealed[UNCLASSIFIED]["payment_last4"] == "4242", "without a plan nobody may read it"


def compiled(name):
    return CompiledPlan(None if name is None else plan(name), CATALOGUE)
