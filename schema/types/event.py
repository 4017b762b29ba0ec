"""Events of a profile."""

import strawberry
from strawberry.scalars import JSON

from schema.permission import governed, structural
from schema.scalars import Timestamp
from schema.types.page import Node, PageInfo


@strawberry.type(description="Something the customer did, or said of themselves, that a source told of.")
class Event(Node):
    """The catalogue's `event`. Its properties are shown each by its own data category, which a tracking plan says."""

    id: strawberry.ID = governed("event.id", "A name for this event; a stable pseudonym where the policy masks it.")
    type: str | None = governed("event.type", "identify, track, page, screen, group or alias.")
    name: str | None = governed(
        "event.name", "What it is called. One that no tracking plan knows is seen by few, like unclassified data."
    )
    at: Timestamp | None = governed("event.at", "When it happened, the sender's clock corrected.")
    received_at: Timestamp | None = governed("event.received_at", "When it was received.")
    source: str | None = governed("event.source", "Which source told of it.")
    properties: JSON | None = governed(
        "event.properties",
        "What it says, or the traits it tells: an object of those values whose category the caller may see.",
    )
    context: JSON | None = governed(
        "event.context", "What the browser or app said of itself; unclassified, and seen by few."
    )


@strawberry.type(description="An event and its place in the list.")
class EventEdge:
    """Relay's edge."""

    cursor: str = structural("The place of this event in the list.")
    node: Event = structural("The event.")


@strawberry.type(description="A page of events, newest first.")
class EventConnection:
    """Relay's connection."""

    edges: list[EventEdge] = structural("The events with their cursors.")
    nodes: list[Event] = structural("The events alone.")
    page_info: PageInfo = structural("Where this page stands.")
