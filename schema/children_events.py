"""Events of the profiles of a page, as `schema.children` has orders and tickets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from strawberry.dataloader import DataLoader

from customers.collection.event_reading import EventGateway, EventQuery
from customers.collection.event_store import EVENTS
from schema.context import Info, RequestContext
from schema.paging import first_of
from schema.types.event import Event, EventConnection, EventEdge
from schema.types.made import made
from schema.types.page import PageInfo

_TRAITS = "classified traits"


async def events_of(info: Info, customer_id: str, query: EventQuery, after: str | None) -> EventConnection | None:
    """A page of a customer's events; those of the other customers of this request are looked for at the same time."""
    context: RequestContext = info.context
    gateway = context.services.events
    query = replace(query, first=first_of(query.first))
    values = None if gateway is None else await _load(info, gateway, customer_id, query, after)
    if gateway is None or values is None:
        return None
    shown = values[: query.first]
    raw = info._raw_info  # noqa: SLF001 - the nodes' identity is what plans are kept by
    selected = context.plan.selected(raw.field_nodes, raw.return_type)

    def cursor(wanted: tuple[str, str], each: dict[str, Any]) -> str:
        """Each is sealed, so only those that the document asks for are made."""
        return gateway.cursor(context.access, customer_id, query, each) if wanted in selected else ""

    nodes = [made(Event, each) for each in shown]
    edges = [
        made(EventEdge, {"cursor": cursor((EventEdge.__name__, "cursor"), each), "node": node})
        for each, node in zip(shown, nodes, strict=True)
    ]
    page = PageInfo(
        has_next_page=len(values) > query.first,
        has_previous_page=after is not None,
        start_cursor=cursor((PageInfo.__name__, "startCursor"), shown[0]) if shown else None,
        end_cursor=cursor((PageInfo.__name__, "endCursor"), shown[-1]) if shown else None,
    )
    return made(EventConnection, {"nodes": nodes, "edges": edges, "page_info": page})


async def _load(
    info: Info, gateway: EventGateway, customer_id: str, query: EventQuery, after: str | None
) -> list[dict[str, Any]] | None:
    context: RequestContext = info.context
    before = None if after is None else gateway.position(context.access, customer_id, query, after)
    raw = info._raw_info  # noqa: SLF001 - as above
    names = context.plan.names(raw.field_nodes, raw.return_type, "event")
    key = (EVENTS, names, query, before)
    loader = context.loaders.get(key)
    if loader is None:

        async def load(customer_ids: list[str]) -> Sequence[list[dict[str, Any]] | None]:
            found = await gateway.newest(context.access, names, customer_ids, query, before)
            return [found.get(each) for each in customer_ids]

        loader = context.loaders[key] = DataLoader(load)
    return await loader.load(customer_id)


async def traits_of(info: Info, customer_id: str) -> Any:
    """A customer's classified traits, loaded together with those of the other customers of this request."""
    context: RequestContext = info.context
    gateway = context.services.traits
    if gateway is None:
        return None
    loader = context.loaders.get(_TRAITS)
    if loader is None:

        async def load(customer_ids: list[str]) -> Sequence[Any]:
            found = await gateway.traits(context.access, customer_ids)
            return [found.get(each) for each in customer_ids]

        loader = context.loaders[_TRAITS] = DataLoader(load)
    return await loader.load(customer_id)
