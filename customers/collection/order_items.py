"""What was bought: items as files tell them, and as orders keep them. Pure."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from customers.collection.cells import CellError, integer, text
from customers.collection.detector import find
from customers.collection.model import Fault, Raw
from customers.collection.money import minor_units

MAX_ITEMS: Final = 500
_MOST_PIECES: Final = 1_000_000
_LONGEST: Final = 200
_NAMES: Final = {
    "sku": ("sku", "product_id", "id"),
    "title": ("title", "name"),
    "quantity": ("quantity", "qty"),
    "price": ("price", "unit_price"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One item; `price` is of one piece, as it stands in the file."""

    sku: str | None = None
    title: str | None = None
    quantity: int = 1
    price: Raw = None


def quantity(cell: Raw) -> int:
    """How many pieces.

    Raises:
        CellError: It is none from 1 to a million.
    """
    try:
        found = integer(cell)
    except CellError:
        raise CellError(Fault.INVALID_QUANTITY) from None
    if not 0 < found <= _MOST_PIECES:
        raise CellError(Fault.INVALID_QUANTITY)
    return found


def name(cell: Raw) -> str:
    """What goods are called."""
    told = " ".join(text(cell).split())
    if len(told) > _LONGEST:
        raise CellError(Fault.FIELD_TOO_LONG)
    return told


def listed(cell: Raw) -> tuple[Item, ...]:
    """The items of a list, or of a list written as JSON.

    Raises:
        CellError: It is not such a list, or an item of it is none.
    """
    found: Any = cell
    if isinstance(cell, str):
        try:
            found = json.loads(cell, parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, ArithmeticError, RecursionError):
            raise CellError(Fault.INVALID_ITEMS) from None
    if not isinstance(found, list) or len(found) > MAX_ITEMS:
        raise CellError(Fault.INVALID_ITEMS)
    return tuple(_item(each) for each in found)


def _item(told: Any) -> Item:
    if not isinstance(told, dict):
        raise CellError(Fault.INVALID_ITEMS)
    parts = {
        part: next((told[each] for each in names if told.get(each) not in (None, "")), None)
        for part, names in _NAMES.items()
    }
    return Item(
        None if parts["sku"] is None else name(parts["sku"]),
        None if parts["title"] is None else name(parts["title"]),
        1 if parts["quantity"] is None else quantity(parts["quantity"]),
        parts["price"],
    )


def stored(item: Item, currency: str | None) -> tuple[dict[str, Any], dict[str, Any], int | None]:
    """The item as it stands in clear; names that look like somebody's data, to be sealed; its price in minor units.

    Raises:
        CellError: Its price is no amount.
    """
    price = None if item.price is None else minor_units(item.price, currency)
    told = {"sku": item.sku, "title": item.title}
    personal = {part: value for part, value in told.items() if value is not None and find(value) is not None}
    kept: dict[str, Any] = {part: value for part, value in told.items() if value is not None and part not in personal}
    kept["quantity"] = item.quantity
    if price is not None:
        kept["price"] = f"{price // 100}.{price % 100:02}"
    return kept, personal, price


def _no_constant(_name: str) -> None:
    raise ValueError
