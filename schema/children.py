"""Orders and tickets of the profiles of a page: one query for all of them."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strawberry.dataloader import DataLoader

from customers.profiles.store import Collection
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError
from schema.paging import first_of
from schema.types.made import made
from schema.types.order import Order, OrderConnection, OrderEdge
from schema.types.page import PageInfo
from schema.types.ticket import Ticket, TicketConnection, TicketEdge


@dataclass(frozen=True, slots=True)
class Children:
    """Which page of a customer's orders or tickets."""

    first: int
    after: str | None


async def orders_of(info: Info, customer_id: str, page: Children) -> OrderConnection | None:
    """A page of a customer's orders, loaded together with those of the other customers of this request."""
    values = await _load(info, Collection.ORDERS, "order", customer_id, page)
    return None if values is None else made(OrderConnection, _connection(values, page, Order, OrderEdge))


async def tickets_of(info: Info, customer_id: str, page: Children) -> TicketConnection | None:
    """A page of a customer's tickets, loaded together with those of the other customers of this request."""
    values = await _load(info, Collection.TICKETS, "ticket", customer_id, page)
    return None if values is None else made(TicketConnection, _connection(values, page, Ticket, TicketEdge))


async def _load(
    info: Info, collection: Collection, object_name: str, customer_id: str, page: Children
) -> list[dict[str, Any]] | None:
    context: RequestContext = info.context
    first, before = first_of(page.first), _ordinal(page.after)
    raw = info._raw_info  # noqa: SLF001 - the nodes' identity is what plans are kept by
    names = context.plan.names(raw.field_nodes, raw.return_type, object_name)
    key = (collection, names, first, before)
    loader = context.loaders.get(key)
    if loader is None:

        async def load(customer_ids: list[str]) -> Sequence[list[dict[str, Any]] | None]:
            found = await context.services.gateway.newest(
                context.access, collection, names, customer_ids, first + 1, before
            )
            return [found.get(each) for each in customer_ids]

        loader = context.loaders[key] = DataLoader(load)
    return await loader.load(customer_id)


def _connection(values: list[dict[str, Any]], page: Children, node: type, edge: type) -> dict[str, Any]:
    more, shown = len(values) > page.first, values[: page.first]
    nodes: list[Any] = [made(node, each) for each in shown]
    cursors = [_cursor(each["ordinal"]) for each in shown]
    return {
        "nodes": nodes,
        "edges": [made(edge, {"cursor": cursor, "node": each}) for cursor, each in zip(cursors, nodes, strict=True)],
        "page_info": PageInfo(
            has_next_page=more,
            has_previous_page=page.after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
    }


def _cursor(ordinal: int) -> str:
    return base64.urlsafe_b64encode(f"n:{ordinal}".encode()).decode()


def _ordinal(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        kind, _, ordinal = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").partition(":")
        if kind == "n" and ordinal.isdigit() and len(ordinal) < 10:  # noqa: PLR2004 - no customer has 10^9 orders
            return int(ordinal)
    except (ValueError, binascii.Error):
        pass
    raise CursorInvalidError
