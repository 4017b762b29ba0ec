"""Stripe: customers, subscriptions, charges, payment intents, invoices and checkout sessions. Pure.

What is taken of an object is listed here. Of a card nothing is but its last four digits; numbers of accounts, the
brand, the expiry date and fingerprints stay where they are.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from customers.collection.webhooks.delivery import (
    Delivery,
    guest,
    identify,
    items,
    known,
    mapping,
    message_id,
    moment,
    name_of,
    number,
    parsed,
    text,
    track,
)
from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw

# https://docs.stripe.com/currencies: amounts are in the smallest unit, which most divide into a hundred.
_WHOLE: Final = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a table
)
_THOUSANDTHS: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_LONGEST_TYPE: Final = 100


def delivered(_: Mapping[str, str], body: bytes) -> Delivery:
    """What an event of Stripe's says; of a kind that is not taken, or that is about nobody, nothing.

    Raises:
        DeliveryInvalidError: It is no event of Stripe's.
    """
    payload = parsed(body)
    kind = text(mapping(payload).get("type"))
    name = text(mapping(payload).get("id"))
    if kind is None or name is None or len(kind) > _LONGEST_TYPE:
        raise DeliveryInvalidError(Flaw.NOT_UNDERSTOOD)
    thing = mapping(mapping(payload.get("data")).get("object"))
    read = _reader(kind)
    if read is None:
        return Delivery()
    at = moment(payload.get("created"))
    return Delivery(read(message_id(name), kind, thing, at, payload.get("livemode") is False))


def _reader(kind: str) -> Callable[..., list[Any]] | None:
    area = kind.rpartition(".")[0]
    if area == "customer":
        return _customer
    properties = _OBJECTS.get(area)

    def read(message: str, kind: str, thing: Mapping[str, Any], at: str | None, test: bool) -> list[Any]:  # noqa: FBT001
        who, traits = _payer(area, thing)
        if not who:
            return []
        events = [identify(f"{message}:identify", who, traits, at)] if traits else []
        found = {**_of_all(thing), **properties(thing), "test": True if test else None} if properties else {}
        return [*events, track(message, who, _title(kind), known(found), at)]

    return None if properties is None else read


def _customer(message: str, kind: str, thing: Mapping[str, Any], at: str | None, test: bool) -> list[Any]:  # noqa: FBT001
    user = name_of(thing)
    if user is None:
        return []
    who = {"userId": user}
    if kind == "customer.deleted":
        return [track(message, who, _title(kind), known({"test": True if test else None}), at)]
    locales = thing.get("preferred_locales")
    language = text(locales[0]) if isinstance(locales, list) and locales else None
    return [identify(message, who, known({**_contact(thing), "language": language}), at)]


def _payer(area: str, thing: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Who pays, and what the object says of them. Who pays with a card may be somebody else than the customer is."""
    user = name_of(thing.get("customer"))
    details = mapping(thing.get("customer_details"))
    said = _contact(details) if area == "checkout.session" else {}
    if user is not None:
        return {"userId": user}, said
    if not said and area == "charge":
        said = _contact(mapping(thing.get("billing_details")))
    if not said:
        flat = {"email": thing.get("customer_email") or thing.get("receipt_email")}
        flat |= {name: thing.get(f"customer_{name}") for name in ("name", "phone", "address")}
        said = _contact(flat)
    return guest(said), said


def _contact(thing: Mapping[str, Any]) -> dict[str, Any]:
    address = mapping(thing.get("address"))
    street = ", ".join(part for name in ("line1", "line2") if (part := text(address.get(name))))
    return known(
        {
            "email": text(thing.get("email")),
            "phone": text(thing.get("phone")),
            "name": text(thing.get("name")),
            "address": known(
                {
                    "street": street,
                    "postalCode": text(address.get("postal_code")),
                    "city": text(address.get("city")),
                    "state": text(address.get("state")),
                    "country": text(address.get("country")),
                }
            ),
        }
    )


def _of_all(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {"currency": _currency(thing), "status": text(thing.get("status"))}


def _charge(thing: Mapping[str, Any]) -> dict[str, Any]:
    method = mapping(thing.get("payment_method_details"))
    kind = text(method.get("type"))
    return {
        "charge_id": name_of(thing),
        "payment_intent_id": name_of(thing.get("payment_intent")),
        "invoice_id": name_of(thing.get("invoice")),
        "amount": _amount(thing, "amount"),
        "amount_refunded": _amount(thing, "amount_refunded"),
        "failure_code": text(thing.get("failure_code")),
        "payment_method": kind,
        "payment_last4": _last4(mapping(method.get(kind or ""))),
    }


def _payment_intent(thing: Mapping[str, Any]) -> dict[str, Any]:
    failure = mapping(thing.get("last_payment_error"))
    return {
        "payment_intent_id": name_of(thing),
        "invoice_id": name_of(thing.get("invoice")),
        "amount": _amount(thing, "amount"),
        "amount_received": _amount(thing, "amount_received"),
        "failure_code": text(failure.get("code")),
    }


def _invoice(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoice_id": name_of(thing),
        "subscription_id": name_of(thing.get("subscription")),
        "amount_due": _amount(thing, "amount_due"),
        "amount_paid": _amount(thing, "amount_paid"),
        "billing_reason": text(thing.get("billing_reason")),
    }


def _checkout(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "checkout_session_id": name_of(thing),
        "payment_intent_id": name_of(thing.get("payment_intent")),
        "subscription_id": name_of(thing.get("subscription")),
        "invoice_id": name_of(thing.get("invoice")),
        "client_reference_id": text(thing.get("client_reference_id")),
        "total": _amount(thing, "amount_total"),
        "mode": text(thing.get("mode")),
        "payment_status": text(thing.get("payment_status")),
    }


def _subscription(thing: Mapping[str, Any]) -> dict[str, Any]:
    lines = items(mapping(thing.get("items")).get("data"))
    line = lines[0] if lines else {}
    price = mapping(line.get("price"))
    return {
        "subscription_id": name_of(thing),
        "price_id": name_of(price),
        "product_id": name_of(price.get("product")),
        "price": _amount({"currency": thing.get("currency") or price.get("currency"), **price}, "unit_amount"),
        "interval": text(mapping(price.get("recurring")).get("interval")),
        "quantity": number(line.get("quantity")),
        "cancel_at_period_end": True if thing.get("cancel_at_period_end") is True else None,
        "current_period_end": moment(thing.get("current_period_end") or line.get("current_period_end")),
        "ended_at": moment(thing.get("ended_at")),
    }


_OBJECTS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "charge": _charge,
    "payment_intent": _payment_intent,
    "invoice": _invoice,
    "checkout.session": _checkout,
    "customer.subscription": _subscription,
}


def _title(kind: str) -> str:
    """`payment_intent.payment_failed` as `Payment Intent Payment Failed`."""
    return kind.replace(".", " ").replace("_", " ").title()


def _currency(thing: Mapping[str, Any]) -> str | None:
    found = text(thing.get("currency"))
    return found.upper() if found is not None and len(found) == 3 else None  # noqa: PLR2004 - ISO 4217


def _amount(thing: Mapping[str, Any], name: str) -> int | float | None:
    """An amount in whole units of its currency."""
    found, currency = number(thing.get(name)), _currency(thing)
    if found is None or currency is None:
        return None
    if currency in _WHOLE:
        return found
    return round(found / 1000, 3) if currency in _THOUSANDTHS else round(found / 100, 2)


def _last4(method: Mapping[str, Any]) -> str | None:
    found = method.get("last4")
    return found if isinstance(found, str) and len(found) == 4 and found.isascii() and found.isalnum() else None  # noqa: PLR2004


__all__ = ["delivered"]
