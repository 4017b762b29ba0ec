"""Webhooks in: what a delivery is worth, and what it says. Pure, but for the store of privacy requests."""

from collections.abc import Callable, Mapping
from typing import Final

from customers.collection.sources import SourceKind
from customers.collection.webhooks import cloudevents, shopify, standard, stripe
from customers.collection.webhooks.cloudevents import is_binary
from customers.collection.webhooks.delivery import Delivery, PrivacyRequest, RequestKind
from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw
from customers.collection.webhooks.signatures import TOLERANCE_SECONDS, Judgement, judged, kind_of

_READ: Final[Mapping[SourceKind, Callable[[Mapping[str, str], bytes], Delivery]]] = {
    SourceKind.SHOPIFY: shopify.delivered,
    SourceKind.STRIPE: stripe.delivered,
    SourceKind.STANDARD_WEBHOOKS: standard.delivered,
    SourceKind.CLOUDEVENTS: cloudevents.delivered,
}


def delivered(kind: SourceKind, headers: Mapping[str, str], body: bytes) -> Delivery:
    """What a delivery says, after its signature has been found good.

    Raises:
        DeliveryInvalidError: Nothing can be made of it.
    """
    return _READ[kind](headers, body)


__all__ = [
    "TOLERANCE_SECONDS",
    "Delivery",
    "DeliveryInvalidError",
    "Flaw",
    "Judgement",
    "PrivacyRequest",
    "RequestKind",
    "delivered",
    "is_binary",
    "judged",
    "kind_of",
]
