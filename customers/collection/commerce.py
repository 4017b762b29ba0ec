"""What commerce events say of an order: the Segment v2 e-commerce specification. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from customers.collection.detector import find

MAX_ORDER_ID: Final = 200
_MOST_ITEMS: Final = 200
_MOST_UNITS: Final = 1_000_000
_LARGEST: Final = Decimal(10) ** 12
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_LONGEST_TEXT: Final = 200


class OrderStep(StrEnum):
    """What an event does to an order; the values are the order's status afterwards."""

    COMPLETED = "completed"
    UPDATED = "updated"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


STEPS: Final[Mapping[str, OrderStep]] = {
    "Order Completed": OrderStep.COMPLETED,
    "Order Updated": OrderStep.UPDATED,
    "Order Refunded": OrderStep.REFUNDED,
    "Order Cancelled": OrderStep.CANCELLED,
}
"""The events that are about orders, by name."""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What one event says of one order.

    Attributes:
        step: What happened to it.
        number: What the source calls it.
        values: By the names of the catalogue's `order` fields; of a refund or a cancellation, none.
        amount: What was refunded, in minor units; None for all of it.
    """

    step: OrderStep
    number: str
    values: Mapping[str, Any]
    amount: int | None = None


def order_change(name: str, properties: Mapping[str, Any], at: datetime) -> OrderChange | None:
    """What the event says of an order; None where it is not about one, or does not say which, or not for how much.

    Args:
        name: The event's.
        properties: Those that are kept of it.
        at: When it happened; when an order is completed, it was placed.
    """
    step = STEPS.get(name)
    number = _number(properties.get("order_id", properties.get("orderId")))
    if step is None or number is None:
        return None
    total = minor(properties.get("total", properties.get("revenue", properties.get("value"))))
    if step in (OrderStep.REFUNDED, OrderStep.CANCELLED):
        return OrderChange(step, number, {}, total)
    if total is None:
        return None
    items, units = _items(properties.get("products"))
    values: dict[str, Any] = {
        "placed_at": at,
        "total": total,
        "currency": _currency(properties.get("currency")),
        "units": units,
        "items": items,
        "status": step.value,
    }
    return OrderChange(step, number, {field: value for field, value in values.items() if value is not None})


def minor(value: Any) -> int | None:
    """An amount in hundredths; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < _LARGEST:
        return None
    return int((amount * 100).to_integral_value())


def _number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= MAX_ORDER_ID else None


def _currency(value: Any) -> str | None:
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if _CURRENCY.fullmatch(code) else None


def _items(products: Any) -> tuple[list[dict[str, Any]] | None, int | None]:
    if not isinstance(products, list):
        return None, None
    items: list[dict[str, Any]] = []
    units = 0
    for each in products[:_MOST_ITEMS]:
        if not isinstance(each, dict):
            continue
        quantity = each.get("quantity", 1)
        if type(quantity) is not int or not 0 < quantity <= _MOST_UNITS:
            quantity = 1
        units += quantity
        item = {
            "sku": _plain(each.get("sku", each.get("product_id"))),
            "title": _plain(each.get("name")),
            "quantity": quantity,
        }
        items.append({part: value for part, value in item.items() if value is not None})
    return items or None, units or None


def _plain(value: Any) -> str | None:
    """A text that may stand in clear: one that names a thing, and nobody's address or number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _LONGEST_TEXT and find(text) is None else None
