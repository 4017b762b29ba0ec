"""What is made of Shopify's deliveries."""

import copy
import json

import msgspec
import pytest

from customers.collection.commerce import OrderStep, order_change
from customers.collection.events import EventType, time_of, understood
from customers.collection.sources import SourceKind
from customers.collection.traits import said
from customers.collection.webhooks import DeliveryInvalidError, Flaw, RequestKind, delivered
from customers.collection.webhooks.shopify import TOPICS

NOW = time_of("2026-05-14T10:00:00Z")
CANARY = "Zanzibar-4711"

ADDRESS = {
    "first_name": "Ana",
    "last_name": "Kovač",
    "address1": "Ilica 1",
    "address2": "2. kat",
    "zip": "10000",
    "city": "Zagreb",
    "province_code": "HR-21",
    "country_code": "HR",
    "latitude": 45.8,
}
CUSTOMER = {
    "id": 207119551,
    "email": "ana@example.com",
    "phone": "+385911234567",
    "first_name": "Ana",
    "last_name": "Kovač",
    "note": CANARY,
    "tags": CANARY,
    "updated_at": "2026-05-14T11:00:00+02:00",
    "default_address": ADDRESS,
    "email_marketing_consent": {
        "state": "subscribed",
        "opt_in_level": "single_opt_in",
        "consent_updated_at": "2026-05-13T10:00:00Z",
    },
    "sms_marketing_consent": {"state": "unsubscribed", "consent_updated_at": "2026-05-12T10:00:00Z"},
}
ORDER = {
    "id": 820982911946154508,
    "name": "#9999",
    "email": "other@example.com",
    "created_at": "2026-05-14T11:00:00+02:00",
    "updated_at": "2026-05-14T11:30:00+02:00",
    "cancelled_at": None,
    "currency": "EUR",
    "total_price": "59.90",
    "subtotal_price": "49.90",
    "total_tax": "9.98",
    "total_discounts": "5.00",
    "total_shipping_price_set": {"shop_money": {"amount": "10.00", "currency_code": "EUR"}},
    "discount_codes": [{"code": "MAY", "amount": "5.00", "type": "fixed_amount"}],
    "financial_status": "paid",
    "fulfillment_status": None,
    "browser_ip": CANARY,
    "client_details": {"user_agent": CANARY},
    "note": CANARY,
    "token": CANARY,
    "payment_details": {"credit_card_number": "•••• •••• •••• 4242", "credit_card_bin": CANARY},
    "customer": CUSTOMER,
    "billing_address": {**ADDRESS, "first_name": CANARY},
    "shipping_address": {**ADDRESS, "address1": "Gift street 7"},
    "line_items": [
        {"product_id": 1, "sku": "A-1", "title": "Record", "quantity": 2, "price": "19.95", "vendor": "Label"},
        {"product_id": 2, "title": "Sleeve", "quantity": 1, "price": "10.00", "properties": [{"name": CANARY}]},
    ],
    "refunds": [],
}


def take(topic, payload, name="b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"):
    headers = {"x-shopify-topic": topic, "x-shopify-webhook-id": name}
    return delivered(SourceKind.SHOPIFY, headers, json.dumps(payload).encode())


def event(raw):
    return understood(raw, received_at=NOW, sent_at=None, new_id=lambda: "none")


def test_a_customer_is_identified_with_what_is_listed_and_no_more():
    events = take("customers/update", CUSTOMER).events
    first = event(events[0])
    assert (first.type, first.user_id, first.at) == (EventType.IDENTIFY, "207119551", time_of("2026-05-14T09:00:00Z"))
    told = said(first.traits, NOW)
    assert told.problems == ()
    assert told.fields == {
        "given_name": "Ana",
        "family_name": "Kovač",
        "street": "Ilica 1, 2. kat",
        "postal_code": "10000",
        "city": "Zagreb",
        "country": "HR",
    }
    assert first.traits["email"] == "ana@example.com"
    assert first.traits["phone"] == "+385911234567"
    assert CANARY not in json.dumps(list(events))


def test_consent_is_what_was_said_and_when():
    consents = [event(raw) for raw in take("customers/update", CUSTOMER).events[1:]]
    assert [each.name for each in consents] == ["Segment Consent Preference Updated"] * 2
    assert [each.context["consent"]["categoryPreferences"] for each in consents] == [
        {"email_marketing": True},
        {"sms_marketing": False},
    ]
    assert consents[0].at == time_of("2026-05-13T10:00:00Z")
    never = {**CUSTOMER, "email_marketing_consent": {"state": "not_subscribed", "consent_updated_at": None}}
    assert len(take("customers/update", never).events) == 2, "what nobody ever said is no event"
    alone = {"customer_id": 207119551, "email_marketing_consent": {"state": "pending", "consent_updated_at": "2026"}}
    (one,) = take("customers_email_marketing_consent/update", alone).events
    assert one["userId"] == "207119551"
    assert one["context"]["consent"]["categoryPreferences"] == {"email_marketing": False}


def test_an_order_is_completed_with_its_products_and_identifies_its_customer():
    who, order = map(event, take("orders/create", ORDER).events)
    assert who.user_id == order.user_id == "207119551"
    assert who.traits["email"] == "ana@example.com", "the customer's own, where there is one"
    assert who.traits["address"]["street"] == "Ilica 1, 2. kat", "not where a present is sent"
    assert (order.name, order.at) == ("Order Completed", time_of("2026-05-14T09:00:00Z"))
    assert order.properties["shipping"] == 10.0
    assert order.properties["coupon"] == "MAY"
    assert order.properties["shipping_address"]["street"].startswith("Gift street 7")
    change = order_change(order.name, order.properties, order.at)
    assert (change.step, change.number) == (OrderStep.COMPLETED, "820982911946154508")
    assert (change.values["total"], change.values["currency"], change.values["units"]) == (5990, "EUR", 3)
    assert [each["title"] for each in change.values["items"]] == ["Record", "Sleeve"]
    assert CANARY not in json.dumps(list(take("orders/create", ORDER).events))


def test_a_refund_is_one_event_however_often_its_order_is_delivered():
    refunded = copy.deepcopy(ORDER) | {
        "financial_status": "partially_refunded",
        "refunds": [
            {
                "id": 509562969,
                "created_at": "2026-05-14T11:20:00+02:00",
                "transactions": [
                    {"kind": "refund", "status": "success", "amount": "5.05"},
                    {"kind": "refund", "status": "success", "amount": "4.90"},
                    {"kind": "refund", "status": "failure", "amount": "99.00"},
                ],
            }
        ],
    }
    first, second = (take("orders/updated", refunded, name).events for name in ("one", "two"))
    (refund,) = [raw for raw in first if raw.get("event") == "Order Refunded"]
    assert refund in second, "the same message id"
    assert first[0]["messageId"] != second[0]["messageId"], "the control: another delivery"
    (update,) = [raw for raw in first if raw.get("event") == "Order Updated"]
    assert time_of(update["timestamp"]) < time_of(refund["timestamp"]), "it is placed before it is refunded"
    change = order_change(refund["event"], refund["properties"], NOW)
    assert (change.step, change.amount) == (OrderStep.REFUNDED, 995)


@pytest.mark.parametrize("topic", ["orders/updated", "orders/paid", "orders/fulfilled"])
def test_what_is_still_open_is_updated(topic):
    assert [raw.get("event") for raw in take(topic, ORDER).events] == [None, "Order Updated"]


def test_a_cancelled_order_is_cancelled_once_whatever_delivery_says_so():
    cancelled = {**ORDER, "cancelled_at": "2026-05-14T11:40:00+02:00", "cancel_reason": "customer"}
    first, second = (take(topic, cancelled, topic).events for topic in ("orders/cancelled", "orders/updated"))
    assert [raw.get("event") for raw in first] == [None, "Order Updated", "Order Cancelled"]
    assert first[2] == second[2]
    assert time_of(first[1]["timestamp"]) < time_of(first[2]["timestamp"])
    assert order_change("Order Cancelled", first[2]["properties"], NOW).amount is None, "all of it"


def test_a_guest_is_the_same_whenever_they_come_with_the_same_address():
    guest = {**ORDER, "customer": None}
    one = take("orders/create", guest, "one").events
    other = take("orders/create", {**guest, "email": " OTHER@example.com"}, "two").events
    assert one[0]["anonymousId"] == one[1]["anonymousId"] == other[1]["anonymousId"]
    assert "userId" not in one[1]
    third = take("orders/create", {**guest, "email": "third@example.com"}).events
    assert third[0]["anonymousId"] != one[0]["anonymousId"], "the control"
    nobody = {**guest, "email": "", "billing_address": None}
    assert take("orders/create", nobody).events == []


def test_an_order_of_a_thousand_lines_still_fits_into_an_event():
    lines = [{"product_id": n, "title": f"Record {n} " + "x" * 300, "quantity": 1, "price": "1"} for n in range(1000)]
    _, order = take("orders/create", {**ORDER, "line_items": lines}).events
    assert len(msgspec.json.encode(order)) < 32 * 1024
    properties = order["properties"]
    assert properties["products_left_out"] + len(properties["products"]) == 1000
    assert properties["products"]


@pytest.mark.parametrize(
    ("topic", "kind", "payload"),
    [
        (
            "customers/data_request",
            RequestKind.ACCESS,
            {
                "orders_requested": [1],
                "customer": {"id": 191167, "email": "j@example.com"},
                "data_request": {"id": 9},
            },
        ),
        (
            "customers/redact",
            RequestKind.ERASURE,
            {"customer": {"id": 191167, "email": "j@example.com", "phone": None}, "orders_to_redact": [1]},
        ),
        ("shop/redact", RequestKind.SHOP_ERASURE, {}),
    ],
)
def test_the_mandatory_topics_are_privacy_requests(topic, kind, payload):
    whole = {"shop_id": 954889, "shop_domain": "Records.myshopify.com", **payload}
    delivery = take(topic, whole)
    assert delivery.events == ()
    assert (delivery.request.kind, delivery.request.shop) == (kind, "records.myshopify.com")
    if kind is not RequestKind.SHOP_ERASURE:
        assert delivery.request.person == (("external_id", "191167"), ("email", "j@example.com"))
    assert "j@example.com" not in repr(delivery)
    for other in {"customers/data_request", "customers/redact", "shop/redact"} - {topic}:
        with pytest.raises(DeliveryInvalidError):  # the topic is not signed: it does not decide alone
            take(other, whole)
    for broken in (ORDER, CUSTOMER, {**whole, "shop_domain": None}, {**whole, "shop_domain": "not a name"}):
        with pytest.raises(DeliveryInvalidError):
            take(topic, broken)


def test_of_other_topics_nothing_is_taken():
    assert take("products/update", {"id": 1, "title": "x"}).events == ()
    assert take("", ORDER).events == ()
    assert "app/uninstalled" not in TOPICS


def test_a_delivery_without_a_name_is_known_by_its_content():
    def named(payload, name=""):
        return take("customers/delete", payload, name).events[0]["messageId"]

    assert named({"id": 1}) == named({"id": 1})
    assert named({"id": 1}) != named({"id": 2})
    assert named({"id": 1}, "x" * 300) == named({"id": 2}, "x" * 300)
    assert len(named({"id": 1}, "x" * 300)) <= 100


@pytest.mark.parametrize(
    ("body", "flaw"),
    [(b"", Flaw.NOT_JSON), (b"[1]", Flaw.NOT_UNDERSTOOD), (b"\xff", Flaw.NOT_JSON), (b"[" * 100_000, Flaw.NOT_JSON)],
)
def test_what_is_no_payload_is_said_to_be_none(body, flaw):
    with pytest.raises(DeliveryInvalidError) as caught:
        delivered(SourceKind.SHOPIFY, {"x-shopify-topic": "orders/create"}, body)
    assert caught.value.flaw is flaw
    assert caught.value.__context__ is None
