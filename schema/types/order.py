"""Orders of a profile."""

import strawberry
from strawberry.scalars import JSON

from schema.permission import governed, structural
from schema.scalars import Amount, Count, Timestamp
from schema.types.page import Node, PageInfo


@strawberry.type(description="One purchase.")
class Order(Node):
    """The catalogue's `order`."""

    id: strawberry.ID = governed("order.id", "A name for this order; a stable pseudonym where the policy masks it.")
    placed_at: Timestamp | None = governed("order.placed_at", "When it was placed.")
    total: Amount | None = governed("order.total", "What was paid for all of it.")
    currency: str | None = governed("order.currency", "The currency of `total`, ISO 4217.")
    units: Count | None = governed("order.units", "How many pieces were bought.")
    status: str | None = governed("order.status", "How far it has got.")
    items: JSON | None = governed("order.items", "What was bought: a list of `sku`, `title`, `quantity` and `price`.")
    shipping_address: str | None = governed("order.shipping_address", "Where it was sent.")
    gift_message: str | None = governed("order.gift_message", "What the customer had written on the card.")
    payment_last4: str | None = governed("order.payment_last4", "The last four digits of the payment card.")
    extra: JSON | None = governed(
        "order.extra", "What a file said of it besides that nobody has classified; sealed, and seen by few."
    )


@strawberry.type(description="An order and its place in the list.")
class OrderEdge:
    """Relay's edge."""

    cursor: str = structural("The place of this order in the list.")
    node: Order = structural("The order.")


@strawberry.type(description="A page of orders, newest first.")
class OrderConnection:
    """Relay's connection."""

    edges: list[OrderEdge] = structural("The orders with their cursors.")
    nodes: list[Order] = structural("The orders alone.")
    page_info: PageInfo = structural("Where this page stands.")
