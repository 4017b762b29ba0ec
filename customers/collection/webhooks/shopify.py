"""Shopify: customers, orders and the mandatory privacy topics. Pure.

What is taken of a payload is listed here; all else (the browser's address, notes, tags, payment details) is left where
it is. Shopify signs the body and not the headers. So the topic does not decide alone: a privacy request must have the
form of one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from customers.collection.webhooks.delivery import (
    Delivery,
    PrivacyRequest,
    RequestKind,
    guest,
    identify,
    items,
    known,
    mapping,
    message_id,
    name_of,
    number,
    parsed,
    text,
    track,
)
from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw

_SHOP: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_MOST_PRODUCTS: Final = 200
# An event has at most 32 KB; this leaves room for what stands around the products.
_PRODUCTS_BYTES: Final = 20 * 1024
_CONSENTS: Final = {"email_marketing_consent": "email_marketing", "sms_marketing_consent": "sms_marketing"}
_CONSENT_EVENT: Final = "Segment Consent Preference Updated"


def delivered(headers: Mapping[str, str], body: bytes) -> Delivery:
    """What a delivery of Shopify's says; of a topic that is not taken, nothing.

    Raises:
        DeliveryInvalidError: It is not what its topic says.
    """
    payload = parsed(body)
    if not isinstance(payload, dict):
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    topic = headers.get("x-shopify-topic", "")
    name = headers.get("x-shopify-webhook-id", "").strip()
    # Without a name of its own, a delivery that comes again is known by its content.
    message = message_id(name or f"{topic} {body!r}")
    if topic in _REQUESTS:
        return Delivery(request=_request(_REQUESTS[topic], message, payload))
    read = _TOPICS.get(topic)
    return Delivery() if read is None else Delivery(read(message, payload))


def _request(kind: RequestKind, message: str, payload: Mapping[str, Any]) -> PrivacyRequest:
    shop = payload.get("shop_domain")
    if not isinstance(shop, str) or not _SHOP.fullmatch(shop.lower()):
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    # The topic is not signed: what was signed as one request is not taken for another.
    if (kind is RequestKind.ACCESS) != ("data_request" in payload):
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    if (kind is RequestKind.SHOP_ERASURE) != ("customer" not in payload):
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    if kind is RequestKind.SHOP_ERASURE:
        return PrivacyRequest(kind, message, shop.lower())
    customer = mapping(payload.get("customer"))
    number_of = name_of(customer)
    if number_of is None:
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    person = [("external_id", number_of)]
    person += [(name, value) for name in ("email", "phone") if (value := text(customer.get(name)))]
    return PrivacyRequest(kind, message, shop.lower(), tuple(person))


def _customer(message: str, payload: Mapping[str, Any]) -> list[Any]:
    user = name_of(payload)
    if user is None:
        return []
    who = {"userId": user}
    events = [identify(f"{message}:identify", who, _traits(payload), payload.get("updated_at"))]
    return events + _consents(message, who, payload)


def _consent(message: str, payload: Mapping[str, Any]) -> list[Any]:
    user = name_of(payload.get("customer_id")) or name_of(payload)
    return [] if user is None else _consents(message, {"userId": user}, payload)


def _consents(message: str, who: Mapping[str, str], payload: Mapping[str, Any]) -> list[Any]:
    """What a customer said about being written to. Only `subscribed` is a yes; what nobody ever said is no event."""
    events: list[Any] = []
    for field, category in _CONSENTS.items():
        said = mapping(payload.get(field))
        state, at = text(said.get("state")), text(said.get("consent_updated_at"))
        if state is None or at is None:
            continue
        event = track(f"{message}:{category}", who, _CONSENT_EVENT, {}, at)
        event["context"] = {"consent": {"categoryPreferences": {category: state == "subscribed"}}}
        events.append(event)
    return events


def _deleted(message: str, payload: Mapping[str, Any]) -> list[Any]:
    user = name_of(payload)
    return [] if user is None else [track(message, {"userId": user}, "Customer Deleted", {}, None)]


def _order(name: str, at: str) -> Callable[[str, Mapping[str, Any]], list[Any]]:
    def read(message: str, payload: Mapping[str, Any]) -> list[Any]:
        who, traits = _buyer(payload)
        number_of = name_of(payload)
        if not who or number_of is None:
            return []
        events = [identify(f"{message}:identify", who, traits, payload.get(at))] if traits else []
        ends = [*_refunds(payload, who, number_of), *_cancellation(payload, who, number_of)]
        # Of an order that has ended it is said when it was placed, so that its end comes after that.
        when = payload.get("created_at" if ends else at)
        return [*events, track(message, who, name, _properties(payload, number_of), when), *ends]

    return read


def _cancellation(payload: Mapping[str, Any], who: Mapping[str, str], number_of: str) -> list[Any]:
    """That an order is cancelled, named after the order: every later delivery says it too, and it is one event."""
    at = text(payload.get("cancelled_at"))
    if at is None:
        return []
    properties = known({"order_id": number_of, "reason": text(payload.get("cancel_reason"))})
    return [track(message_id(f"cancelled:{number_of}"), who, "Order Cancelled", properties, at)]


def _buyer(payload: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Whose order it is, and what it says of them. Where goods are sent may be somebody else's place, and is not taken."""
    customer = mapping(payload.get("customer"))
    address = customer.get("default_address") or payload.get("billing_address")
    ways = {name: customer.get(name) or payload.get(name) for name in ("email", "phone")}
    traits = _traits({**customer, **ways, "default_address": address})
    user = name_of(customer)
    return ({"userId": user} if user else guest(traits)), traits


def _refunds(payload: Mapping[str, Any], who: Mapping[str, str], number_of: str) -> list[Any]:
    """Each refund of an order, named after itself: it stands in every later delivery of the order, and is one event."""
    events = []
    for refund in items(payload.get("refunds")):
        name = name_of(refund)
        paid = [
            amount
            for each in items(refund.get("transactions"))
            if each.get("kind") == "refund"
            and each.get("status") == "success"
            and (amount := number(each.get("amount"))) is not None
        ]
        if name is None or not paid:
            continue
        properties = {"order_id": number_of, "total": round(sum(paid), 2), "currency": text(payload.get("currency"))}
        message = message_id(f"refund:{name}")
        events.append(track(message, who, "Order Refunded", known(properties), refund.get("created_at")))
    return events


def _traits(customer: Mapping[str, Any]) -> dict[str, Any]:
    address = mapping(customer.get("default_address"))
    street = ", ".join(part for name in ("address1", "address2") if (part := text(address.get(name))))
    return known(
        {
            "email": text(customer.get("email")),
            "phone": text(customer.get("phone")) or text(address.get("phone")),
            "firstName": text(customer.get("first_name")) or text(address.get("first_name")),
            "lastName": text(customer.get("last_name")) or text(address.get("last_name")),
            "address": known({"street": street, **_place(address)}),
        }
    )


def _place(address: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "postalCode": text(address.get("zip")),
        "city": text(address.get("city")),
        "state": text(address.get("province_code")),
        "country": text(address.get("country_code")),
    }


def _properties(payload: Mapping[str, Any], number_of: str) -> dict[str, Any]:
    shipping = mapping(payload.get("shipping_address"))
    price = mapping(mapping(payload.get("total_shipping_price_set")).get("shop_money"))
    street = ", ".join(part for name in ("address1", "address2") if (part := text(shipping.get(name))))
    coupons = [code for each in items(payload.get("discount_codes")) if (code := text(each.get("code")))]
    products, left = _products(payload.get("line_items"))
    return known(
        {
            "order_id": number_of,
            "order_number": text(payload.get("name")),
            "total": number(payload.get("total_price")),
            "revenue": number(payload.get("subtotal_price")),
            "tax": number(payload.get("total_tax")),
            "shipping": number(price.get("amount")),
            "discount": number(payload.get("total_discounts")),
            "coupon": coupons[0] if coupons else None,
            "currency": text(payload.get("currency")),
            "financial_status": text(payload.get("financial_status")),
            "fulfillment_status": text(payload.get("fulfillment_status")),
            "test": True if payload.get("test") is True else None,
            "shipping_address": known({"street": street, **_place(shipping)}),
            "products": products,
            "products_left_out": left or None,
        }
    )


def _products(value: Any) -> tuple[list[dict[str, Any]], int]:
    """As many of the products as an event has room for, and how many that leaves out."""
    lines = items(value)
    products = [
        known(
            {
                "product_id": name_of(line.get("product_id")),
                "sku": text(line.get("sku")),
                "name": text(line.get("title")),
                "variant": text(line.get("variant_title")),
                "brand": text(line.get("vendor")),
                "price": number(line.get("price")),
                "quantity": number(line.get("quantity")),
            }
        )
        for line in lines[:_MOST_PRODUCTS]
    ]
    while len(msgspec.json.encode(products)) > _PRODUCTS_BYTES:
        products = products[: len(products) // 2]
    return products, len(lines) - len(products)


_REQUESTS: Final = {
    "customers/data_request": RequestKind.ACCESS,
    "customers/redact": RequestKind.ERASURE,
    "shop/redact": RequestKind.SHOP_ERASURE,
}
_UPDATED: Final = _order("Order Updated", "updated_at")
_TOPICS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], list[Any]]]] = {
    "customers/create": _customer,
    "customers/update": _customer,
    "customers/enable": _customer,
    "customers/disable": _customer,
    "customers/delete": _deleted,
    "customers_email_marketing_consent/update": _consent,
    "customers_marketing_consent/update": _consent,
    "orders/create": _order("Order Completed", "created_at"),
    "orders/paid": _UPDATED,
    "orders/updated": _UPDATED,
    "orders/fulfilled": _UPDATED,
    "orders/partially_fulfilled": _UPDATED,
    "orders/cancelled": _UPDATED,
}
TOPICS: Final = frozenset(_TOPICS) | frozenset(_REQUESTS)
"""The topics of which something is taken."""

__all__ = ["TOPICS", "delivered"]
