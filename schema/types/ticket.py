"""Support tickets of a profile."""

import strawberry
from strawberry.scalars import JSON

from schema.permission import governed, structural
from schema.scalars import Timestamp
from schema.types.page import Node, PageInfo


@strawberry.type(description="One request for help.")
class Ticket(Node):
    """The catalogue's `ticket`."""

    id: strawberry.ID = governed("ticket.id", "A name for this ticket; a stable pseudonym where the policy masks it.")
    opened_at: Timestamp | None = governed("ticket.opened_at", "When the customer asked.")
    closed_at: Timestamp | None = governed("ticket.closed_at", "When it was settled.")
    status: str | None = governed("ticket.status", "How far it has got.")
    channel: str | None = governed("ticket.channel", "How the customer asked: e-mail, phone, chat.")
    topic: str | None = governed("ticket.topic", "What it is about, from a fixed list.")
    subject: str | None = governed("ticket.subject", "The customer's own headline.")
    body: str | None = governed("ticket.body", "What the customer wrote.")
    extra: JSON | None = governed(
        "ticket.extra", "What a file said of it besides that nobody has classified; sealed, and seen by few."
    )


@strawberry.type(description="A ticket and its place in the list.")
class TicketEdge:
    """Relay's edge."""

    cursor: str = structural("The place of this ticket in the list.")
    node: Ticket = structural("The ticket.")


@strawberry.type(description="A page of tickets, newest first.")
class TicketConnection:
    """Relay's connection."""

    edges: list[TicketEdge] = structural("The tickets with their cursors.")
    nodes: list[Ticket] = structural("The tickets alone.")
    page_info: PageInfo = structural("Where this page stands.")
