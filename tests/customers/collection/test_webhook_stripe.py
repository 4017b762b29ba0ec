"""What is made of Stripe's events."""

import json

import pytest

from customers.collection.events import EventType, RejectedError, time_of, understood
from customers.collection.sources import SourceKind
from customers.collection.traits import said
from customers.collection.webhooks import DeliveryInvalidError, delivered

NOW = time_of("2026-05-14T10:00:00Z")
CANARY = "4711-canary"
CREATED = 1778749200

CARD = {
    "brand": CANARY,
    "country": CANARY,
    "exp_month": 4242,
    "exp_year": 2042,
    "fingerprint": CANARY,
    "iin": "424242",
    "last4": "4242",
    "network": CANARY,
}
BILLING = {
    "email": "guest@example.com",
    "name": "Guest Person",
    "phone": None,
    "address": {"line1": "High St 1", "line2": None, "city": "London", "postal_code": "N1", "country": "GB"},
}
CHARGE = {
    "id": "ch_1",
    "object": "charge",
    "amount": 1999,
    "amount_refunded": 0,
    "currency": "eur",
    "customer": "cus_NffrFeUfNV2Hib",
    "description": CANARY,
    "status": "succeeded",
    "payment_intent": {"id": "pi_1", "client_secret": CANARY},
    "payment_method_details": {"type": "card", "card": CARD},
    "source": {"object": "card", **CARD, "dynamic_last4": CANARY},
    "billing_details": BILLING,
    "receipt_url": CANARY,
    "metadata": {"note": CANARY},
}
CUSTOMER = {
    "id": "cus_NffrFeUfNV2Hib",
    "email": "jenny.rosen@example.com",
    "name": "Jenny Rosen",
    "phone": "+442071838750",
    "preferred_locales": ["en-GB"],
    "address": {"line1": "High St 1", "line2": "Flat 2", "city": "London", "postal_code": "N1 1AA", "country": "GB"},
    "default_source": {"object": "card", **CARD},
    "sources": {"data": [{"object": "card", **CARD}]},
    "metadata": {"note": CANARY},
    "invoice_settings": {"footer": CANARY},
}


def take(kind, thing, **more):
    payload = {"id": "evt_1", "object": "event", "type": kind, "created": CREATED, "livemode": True, **more}
    return delivered(SourceKind.STRIPE, {}, json.dumps({**payload, "data": {"object": thing}}).encode()).events


def event(raw):
    return understood(raw, received_at=NOW, sent_at=None, new_id=lambda: "none")


@pytest.mark.parametrize("kind", ["customer.created", "customer.updated"])
def test_a_customer_is_identified(kind):
    (raw,) = take(kind, CUSTOMER)
    found = event(raw)
    assert (found.type, found.user_id, found.message_id) == (EventType.IDENTIFY, "cus_NffrFeUfNV2Hib", "evt_1")
    assert found.at == time_of("2026-05-14T09:00:00Z")
    told = said(found.traits, NOW)
    assert told.problems == ()
    assert told.fields == {
        "given_name": "Jenny",
        "family_name": "Rosen",
        "language": "en-GB",
        "street": "High St 1, Flat 2",
        "postal_code": "N1 1AA",
        "city": "London",
        "country": "GB",
    }
    assert CANARY not in json.dumps(raw)


@pytest.mark.parametrize(
    "kind",
    [
        "charge.succeeded",
        "charge.refunded",
        "payment_intent.succeeded",
        "invoice.paid",
        "checkout.session.completed",
        "customer.subscription.updated",
        "customer.updated",
        "customer.deleted",
        "customer.source.updated",
        "payment_method.attached",
        "setup_intent.succeeded",
    ],
)
def test_of_a_card_nothing_is_taken_but_its_last_four_digits(kind):
    everything = {**CHARGE, **CUSTOMER, "id": "x_1", "customer": "cus_1", "card": CARD, "last_payment_error": CHARGE}
    taken = json.dumps(take(kind, everything))
    assert CANARY not in taken
    assert "424242" not in taken
    assert "2042" not in taken
    assert taken.count("4242") == (1 if kind.startswith("charge.") else 0)


def test_a_charge_is_of_its_customer_and_the_card_s_holder_may_be_another():
    (raw,) = take("charge.succeeded", CHARGE)
    found = event(raw)
    assert (found.type, found.name, found.user_id) == (EventType.TRACK, "Charge Succeeded", "cus_NffrFeUfNV2Hib")
    assert found.properties == {
        "charge_id": "ch_1",
        "payment_intent_id": "pi_1",
        "amount": 19.99,
        "amount_refunded": 0.0,
        "currency": "EUR",
        "status": "succeeded",
        "payment_method": "card",
        "payment_last4": "4242",
    }
    assert "guest@example.com" not in json.dumps(raw)


def test_a_guest_is_who_the_card_says():
    one = take("charge.succeeded", {**CHARGE, "customer": None})
    other = take("charge.succeeded", {**CHARGE, "id": "ch_2", "customer": None})
    assert [raw["type"] for raw in one] == ["identify", "track"]
    assert one[0]["anonymousId"] == one[1]["anonymousId"] == other[1]["anonymousId"]
    assert one[0]["traits"]["email"] == "guest@example.com"
    assert take("charge.succeeded", {**CHARGE, "customer": None, "billing_details": {}}) == []


def test_a_checkout_session_says_who_its_customer_is():
    session = {
        "id": "cs_1",
        "customer": "cus_1",
        "currency": "eur",
        "amount_total": 5990,
        "payment_status": "paid",
        "client_reference_id": "basket-7",
        "customer_details": {**BILLING, "tax_ids": [CANARY]},
    }
    who, done = map(event, take("checkout.session.completed", session))
    assert who.user_id == done.user_id == "cus_1"
    assert who.traits["email"] == "guest@example.com"
    assert done.name == "Checkout Session Completed"
    assert (done.properties["total"], done.properties["client_reference_id"]) == (59.9, "basket-7")


def test_a_subscription_and_an_invoice_are_of_their_customer():
    line = {
        "price": {"id": "price_1", "unit_amount": 900, "currency": "eur", "recurring": {"interval": "month"}},
        "quantity": 1,
        "current_period_end": CREATED,
    }
    subscription = {"id": "sub_1", "customer": "cus_1", "status": "active", "items": {"data": [line]}}
    (raw,) = take("customer.subscription.created", subscription)
    found = event(raw)
    assert found.name == "Customer Subscription Created"
    assert (found.properties["price"], found.properties["interval"]) == (9.0, "month")
    assert found.properties["current_period_end"] == "2026-05-14T09:00:00+00:00"
    invoice = {
        "id": "in_1",
        "customer": None,
        "customer_email": "a@example.com",
        "amount_due": 900,
        "currency": "eur",
    }
    who, due = map(event, take("invoice.payment_failed", invoice))
    assert who.traits == {"email": "a@example.com"}
    assert (due.name, due.properties["amount_due"]) == ("Invoice Payment Failed", 9.0)


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 1999), ("eur", 19.99), ("kwd", 1.999), ("isk", 19.99)])
def test_amounts_are_whole_units_of_their_currency(currency, amount):
    (raw,) = take("charge.succeeded", {**CHARGE, "currency": currency})
    assert raw["properties"]["amount"] == amount


def test_test_events_are_marked():
    (raw,) = take("charge.succeeded", CHARGE, livemode=False)
    assert raw["properties"]["test"] is True
    assert "test" not in take("charge.succeeded", CHARGE)[0]["properties"]


def test_what_is_not_taken_is_no_event():
    assert take("product.created", {"id": "prod_1"}) == ()
    assert take("charge.dispute.created", {"id": "dp_1", "charge": "ch_1"}) == ()
    notification = {"id": "evt_234", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered"}
    assert delivered(SourceKind.STRIPE, {}, json.dumps(notification).encode()).events == ()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"id": "evt_1"}', b'{"type": "charge.succeeded"}', b"NaN"])
def test_what_is_no_event_of_stripe_is_said_to_be_none(body):
    with pytest.raises(DeliveryInvalidError):
        delivered(SourceKind.STRIPE, {}, body)


def test_a_long_event_id_still_names_its_event():
    first, second = (take("charge.succeeded", CHARGE, id="evt_" + "x" * 300 + end)[0] for end in "ab")
    assert first["messageId"] != second["messageId"]
    for raw in (first, second):
        try:
            assert len(event(raw).message_id) <= 100
        except RejectedError as error:  # pragma: no cover - the failure this test is about
            raise AssertionError(error) from error
