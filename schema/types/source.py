"""Sources of events, as GraphQL shows them: what each is, and how much it has sent."""

from typing import Annotated

import strawberry

from audit import timestamp
from customers.collection.source_counts import SourceCount
from customers.collection.sources import Source
from customers.errors import ReadNotAllowedError
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError, ForbiddenError
from schema.paging import first_of
from schema.permission import structural
from schema.scalars import Count, Timestamp
from schema.types.made import made
from schema.types.page import PageInfo
from vault import TokenInvalidError


@strawberry.type(
    description="How many events a source has sent since it was first heard of. Of nobody, and of no event."
)
class EventSourceCounts:
    """The counts of one source."""

    received: Count = structural("Events that were acknowledged, whatever became of them.")
    accepted: Count = structural("Of these, how many are stored; with those that came again.")
    duplicates: Count = structural("Of those accepted, how many had been stored before.")
    omitted: Count = structural("How many the tracking plan left out.")
    refused: Count = structural("How many could not be understood, or were blocked by the plan.")
    first_at: Timestamp | None = structural("When the first was received; null where none was.")
    last_at: Timestamp | None = structural("When the last was received; null where none was.")


@strawberry.type(description="Whatever sends events, such as a web shop or a till.")
class EventSource:
    """One source."""

    name: str = structural("Its name.")
    kind: str = structural("How it sends: segment, shopify, stripe, standard_webhooks or cloudevents.")
    plan: str | None = structural("The tracking plan of its events; null for none, so that all is sealed.")
    origins: list[str] = structural("The web origins whose pages may send; none for a server.")
    disabled: bool = structural("Whether nothing is taken from it any more.")
    created_at: Timestamp = structural("When it was made.")
    events: EventSourceCounts = structural("How many events it has sent; up to a second old.")


@strawberry.type(description="A page of sources.")
class EventSourceConnection:
    """Relay's connection."""

    nodes: list[EventSource] = structural("The sources, by name.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="How events come in.")
class SourceQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="Where events come from, and how many each source has sent. For whoever keeps data: the purpose is "
        "data_management or one below it, and the policy lets them read system.operations; recorded."
    )
    async def event_sources(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
    ) -> EventSourceConnection:
        """One page of sources."""
        context = info.context
        reader = context.services.sources
        if reader is None:
            raise ForbiddenError("This server takes no events in.")
        try:
            found, more = await reader.page(context.access, after=_position(context, after), limit=first_of(first))
        except ReadNotAllowedError:
            raise ForbiddenError("For this purpose the caller may not see where data comes from.") from None
        ends = [_cursor(context, source.name) for source, _ in (*found[:1], *found[-1:])]
        return EventSourceConnection(
            nodes=[_node(*each) for each in found],
            page_info=PageInfo(
                has_next_page=more,
                has_previous_page=after is not None,
                start_cursor=ends[0] if ends else None,
                end_cursor=ends[-1] if ends else None,
            ),
        )


def _node(source: Source, count: SourceCount) -> EventSource:
    counts = {
        "received": count.received,
        "accepted": count.accepted,
        "duplicates": count.duplicates,
        "omitted": count.omitted,
        "refused": count.refused,
        "first_at": None if count.first_at is None else timestamp(count.first_at),
        "last_at": None if count.last_at is None else timestamp(count.last_at),
    }
    return EventSource(
        name=source.name,
        kind=source.kind.value,
        plan=source.plan,
        origins=list(source.origins),
        disabled=source.disabled,
        created_at=Timestamp(timestamp(source.created_at)),
        events=made(EventSourceCounts, counts),
    )


def _binding(context: RequestContext) -> bytes:
    return f"sources {context.caller.actor} {context.access.grant.purpose.name}".encode()


def _cursor(context: RequestContext, name: str) -> str:
    return context.services.vault.seal_token("cursor", name.encode(), _binding(context))


def _position(context: RequestContext, cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        return context.services.vault.open_token("cursor", cursor, _binding(context)).decode()
    except TokenInvalidError:
        raise CursorInvalidError from None
