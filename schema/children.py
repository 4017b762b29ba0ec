"""Orders and tickets of the profiles of a page: one query for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strawberry.dataloader import DataLoader

from customers.profiles.store import Collection
from schema.context import Info, RequestContext
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
    if values is None:
        return None
    cursors = _Cursors(info, Collection.ORDERS, customer_id)
    return made(OrderConnection, _connection(values, page, Order, OrderEdge, cursors))


async def tickets_of(info: Info, customer_id: str, page: Children) -> TicketConnection | None:
    """A page of a customer's tickets, loaded together with those of the other customers of this request."""
    values = await _load(info, Collection.TICKETS, "ticket", customer_id, page)
    if values is None:
        return None
    cursors = _Cursors(info, Collection.TICKETS, customer_id)
    return made(TicketConnection, _connection(values, page, Ticket, TicketEdge, cursors))


class _Cursors:
    """Makes the cursors of one customer's list that the document asks for, and no others: each is sealed."""

    def __init__(self, info: Info, collection: Collection, customer_id: str) -> None:
        self._context: RequestContext = info.context
        self._collection = collection
        self._customer_id = customer_id
        raw = info._raw_info  # noqa: SLF001 - the nodes' identity is what plans are kept by
        self._selected = self._context.plan.selected(raw.field_nodes, raw.return_type)

    def wants(self, type_: type, field: str) -> bool:
        """Whether the document selects this field anywhere below the list."""
        return (type_.__name__, field) in self._selected

    def of(self, values: dict[str, Any]) -> str:
        """The cursor of an order or ticket."""
        gateway = self._context.services.gateway
        return gateway.child_cursor(self._context.access, self._collection, self._customer_id, values["position"])


async def _load(
    info: Info, collection: Collection, object_name: str, customer_id: str, page: Children
) -> list[dict[str, Any]] | None:
    context: RequestContext = info.context
    first, before = first_of(page.first), None
    if page.after is not None:
        before = context.services.gateway.child_position(context.access, collection, customer_id, page.after)
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


def _connection(
    values: list[dict[str, Any]], page: Children, node: type, edge: type, cursors: _Cursors
) -> dict[str, Any]:
    shown = values[: page.first]
    nodes: list[Any] = [made(node, each) for each in shown]
    named = [cursors.of(each) for each in shown] if cursors.wants(edge, "cursor") else [""] * len(shown)
    start, end = cursors.wants(PageInfo, "startCursor"), cursors.wants(PageInfo, "endCursor")
    return {
        "nodes": nodes,
        "edges": [made(edge, {"cursor": cursor, "node": each}) for cursor, each in zip(named, nodes, strict=True)],
        "page_info": PageInfo(
            has_next_page=len(values) > page.first,
            has_previous_page=page.after is not None,
            start_cursor=cursors.of(shown[0]) if shown and start else None,
            end_cursor=cursors.of(shown[-1]) if shown and end else None,
        ),
    }
