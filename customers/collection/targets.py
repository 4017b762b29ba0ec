"""What the columns of a file can become, by what the file is full of. Pure."""

import re
from collections.abc import Iterable
from typing import Final

from customers.collection.model import ImportKind

# The fields of a profile that a file may carry; what is counted from orders and tickets is not among them.
TEXT_FIELDS: Final = ("given_name", "family_name", "street", "postal_code", "city", "national_id")
NAME_FIELDS: Final = ("region", "loyalty_tier", "acquisition_channel")
FIELDS: Final = (*TEXT_FIELDS, *NAME_FIELDS, "country", "language", "birth_date", "notes")
IDENTIFIERS: Final = ("email", "phone", "external_id", "anonymous_id")
# These may be fed by several columns; every other target by one.
SEVERAL: Final = frozenset({*IDENTIFIERS, "notes"})
DROP: Final = "-"

ITEM_FIELDS: Final = ("item.sku", "item.title", "item.quantity", "item.price")
ORDER_FIELDS: Final = (
    *("order_number", "placed_at", "updated_at", "total", "refunded", "currency", "status", "items"),
    *(*ITEM_FIELDS, "shipping_address", "gift_message", "payment_last4"),
)
TICKET_FIELDS: Final = (
    *("ticket_number", "opened_at", "closed_at", "updated_at"),
    *("status", "channel", "topic", "subject", "body"),
)
EVENT_IDS: Final = ("user_id", "anonymous_id", "previous_id", "group_id", "message_id")
EVENT_OBJECTS: Final = ("properties", "traits", "context")
EVENT_FIELDS: Final = ("type", "name", *EVENT_IDS, "timestamp", *EVENT_OBJECTS)

TARGETS: Final = {
    ImportKind.PROFILES: (*FIELDS, *IDENTIFIERS),
    ImportKind.ORDERS: (*ORDER_FIELDS, *IDENTIFIERS),
    ImportKind.TICKETS: (*TICKET_FIELDS, *IDENTIFIERS),
    ImportKind.EVENTS: EVENT_FIELDS,
}
# What may be followed by a name of one's own. The first is where columns go that nobody mapped and that are kept.
OPEN: Final = {
    ImportKind.PROFILES: ("traits",),
    ImportKind.ORDERS: ("extra",),
    ImportKind.TICKETS: ("extra",),
    ImportKind.EVENTS: EVENT_OBJECTS,
}
MOMENTS: Final = frozenset({"placed_at", "updated_at", "opened_at", "closed_at", "timestamp"})
# Keys of objects in JSON Lines and Parquet that stay whole, where those of others become columns.
WHOLE: Final = {
    ImportKind.PROFILES: frozenset[str](),
    ImportKind.ORDERS: frozenset({"items", "products", "line_items"}),
    ImportKind.TICKETS: frozenset[str](),
    ImportKind.EVENTS: frozenset({*EVENT_OBJECTS, "integrations"}),
}
_NAME: Final = re.compile(r"[\w.-]{1,64}")


def opened_name(target: str) -> tuple[str, str] | None:
    """The object that a target is a part of, and its name there: `extra.shop` gives both."""
    outer, dot, name = target.partition(".")
    return (outer, name) if dot and outer in {"traits", "extra", *EVENT_OBJECTS} else None


def is_target(kind: ImportKind, target: str) -> bool:
    """Whether a column of such a file can become this; consents aside."""
    found = opened_name(target)
    if found is not None and found[0] in OPEN[kind]:
        return _NAME.fullmatch(found[1]) is not None
    return target in (*TARGETS[kind], DROP)


def lacking(kind: ImportKind, targets: Iterable[str], *, currency: bool) -> list[str]:
    """What a mapping must say besides, as sentences; `currency` is whether it names one for the whole file."""
    there = set(targets)
    told = []
    if kind is ImportKind.EVENTS:
        if there.isdisjoint({"user_id", "anonymous_id"}):
            told.append("no column becomes user_id or anonymous_id: one is needed to know whose an event is")
    elif there.isdisjoint(IDENTIFIERS):
        told.append(f"no column becomes an identifier: one of {', '.join(IDENTIFIERS)} is needed to know who is who")
    needed = {
        ImportKind.PROFILES: (),
        ImportKind.ORDERS: ("order_number", "placed_at"),
        ImportKind.TICKETS: ("ticket_number", "opened_at"),
        ImportKind.EVENTS: ("timestamp",),
    }[kind]
    told += [
        f"no column becomes {each}, which every row of such a file needs" for each in needed if each not in there
    ]
    if kind is ImportKind.EVENTS and there.isdisjoint({"type", "name"}):
        told.append("no column becomes type or name: one is needed to know what an event is")
    if kind is ImportKind.ORDERS:
        if "total" not in there and "items" not in there and "item.price" not in there:
            told.append("no column becomes total, item.price or items: one is needed to know what an order came to")
        if "currency" not in there and not currency:
            told.append("no column becomes currency: say which it is, with currency = above [columns], or map it")
        if "items" in there and not there.isdisjoint(ITEM_FIELDS):
            told.append("items, which is a whole list, and item.…, which is one row each, do not go together")
    return told
