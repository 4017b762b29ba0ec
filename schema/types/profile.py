"""The profile: everything the company knows of one customer."""

from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from customers.collection.event_reading import EventQuery
from schema.children import Children, orders_of, tickets_of
from schema.children_events import events_of, traits_of
from schema.context import Info
from schema.permission import governed, structural
from schema.scalars import Amount, Count, Day, Timestamp
from schema.types.event import EventConnection
from schema.types.order import OrderConnection
from schema.types.page import Node, PageInfo
from schema.types.provenance import FieldOrigin, field_origins
from schema.types.quality import ProfileQuality, profile_quality
from schema.types.ticket import TicketConnection

First = Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]

EventKind = Annotated[str | None, strawberry.argument(description="Only those of this call, such as track.")]
EventName = Annotated[str | None, strawberry.argument(description="Only those of this name, as a plan knows it.")]


@strawberry.type(description="A value by which the customer can be found.")
class ProfileIdentifier:
    """One entry of the catalogue's `profile.identifiers`."""

    type: str = structural("email, phone, external_id or anonymous_id.")
    value: str = structural("The value in its normal form.")


@strawberry.type(description="What the customer last said about one purpose.")
class ProfileConsent:
    """One entry of the catalogue's `profile.consents`."""

    purpose: str = structural("The purpose it is about; * of a restriction.")
    state: str = structural("granted, withdrawn, objected, objection_withdrawn, restricted or restriction_lifted.")
    at: Timestamp = structural("When the customer decided.")
    source: str = structural("Where the customer decided, such as a form's name.")
    channel: str | None = structural("email, sms, phone, post or push, where it is about one alone.")
    expires_at: Timestamp | None = structural("When a consent ends by itself; after that it is none.")
    notice: str | None = structural("Which notice the customer was shown, as name:version:language.")


@strawberry.type(description="Everything the company knows of one customer. What the caller may not see is null.")
class Profile(Node):
    """The catalogue's `profile`."""

    id: strawberry.ID = governed(
        "profile.id", "A name for this profile that never changes; a stable pseudonym where the policy masks it."
    )
    version: int | None = governed(
        "profile.version", "Grows with every change; give it back as `expectedVersion` when updating."
    )
    created_at: Timestamp | None = governed("profile.created_at", "When the profile was made.")
    updated_at: Timestamp | None = governed("profile.updated_at", "When it last changed.")
    kind: str | None = governed("profile.kind", "customer; or visitor, of whom nobody knows who it is.")
    region: str | None = governed("profile.region", "The sales region, such as emea.")
    country: str | None = governed("profile.country", "The country of residence, ISO 3166.")
    loyalty_tier: str | None = governed("profile.loyalty_tier", "The level in the loyalty programme.")
    acquisition_channel: str | None = governed("profile.acquisition_channel", "How the customer came to us.")
    order_count: Count | None = governed("profile.order_count", "How many orders there are.")
    ticket_count: Count | None = governed("profile.ticket_count", "How many support tickets there are.")
    total_spent: Amount | None = governed("profile.total_spent", "What all orders come to.")
    currency: str | None = governed("profile.currency", "The currency of `totalSpent`, ISO 4217.")
    first_order_at: Timestamp | None = governed("profile.first_order_at", "When the first order was placed.")
    last_order_at: Timestamp | None = governed("profile.last_order_at", "When the latest order was placed.")
    event_count: Count | None = governed("profile.event_count", "How many events there are; a second late at most.")
    first_event_at: Timestamp | None = governed("profile.first_event_at", "When the first event happened.")
    last_event_at: Timestamp | None = governed("profile.last_event_at", "When the latest event happened.")
    given_name: str | None = governed("profile.given_name", "The given name.")
    family_name: str | None = governed("profile.family_name", "The family name.")
    email: str | None = governed("profile.email", "The primary e-mail address.")
    phone: str | None = governed("profile.phone", "The primary phone number, E.164.")
    identifiers: list[ProfileIdentifier] | None = governed(
        "profile.identifiers", "Every value by which the customer can be found."
    )
    street: str | None = governed("profile.street", "Street and house number.")
    postal_code: str | None = governed("profile.postal_code", "The postal code.")
    city: str | None = governed("profile.city", "The city.")
    birth_date: Day | None = governed("profile.birth_date", "The date of birth.")
    language: str | None = governed("profile.language", "The preferred language, BCP 47.")
    national_id: str | None = governed("profile.national_id", "A number given by a state.")
    notes: list[str] | None = governed("profile.notes", "Free text that staff wrote about the customer.")
    traits: JSON | None = governed(
        "profile.traits", "Values that nobody has classified yet; sealed, and seen by few."
    )
    consents: list[ProfileConsent] | None = governed("profile.consents", "What the customer said about each purpose.")

    @strawberry.field(
        description="The customer's orders, newest first; null where nothing of an order may be read.",
        metadata={"confide": ""},
    )
    async def orders(self, info: Info, first: First = 10, after: After = None) -> OrderConnection | None:
        """Loaded for every profile of the page in one query."""
        return await orders_of(info, customer_of(self), Children(first, after))

    @strawberry.field(
        description="The customer's support tickets, newest first; null where nothing of a ticket may be read.",
        metadata={"confide": ""},
    )
    async def tickets(self, info: Info, first: First = 10, after: After = None) -> TicketConnection | None:
        """Loaded for every profile of the page in one query."""
        return await tickets_of(info, customer_of(self), Children(first, after))

    @strawberry.field(
        description="Traits that a tracking plan classifies: an object of those whose category the caller may see.",
        metadata={"confide": ""},
    )
    async def classified_traits(self, info: Info) -> JSON | None:
        """Loaded for every profile of the page in one query."""
        found: JSON | None = await traits_of(info, customer_of(self))
        return found

    @strawberry.field(
        description="What the customer did, newest first; null where nothing of an event may be read.",
        metadata={"confide": ""},
    )
    async def events(
        self,
        info: Info,
        first: First = 10,
        after: After = None,
        type: EventKind = None,  # noqa: A002 - the API's name
        name: EventName = None,
    ) -> EventConnection | None:
        """For a purpose that rests on consent, only what happened while the customer allowed it."""
        return await events_of(info, customer_of(self), EventQuery(first, type, name), after)

    @strawberry.field(
        description="How good the data is, judged by the fields the caller may see in clear; null where there are none.",
        metadata={"confide": ""},
    )
    async def quality(self, info: Info) -> ProfileQuality | None:
        """Read together with the profile, so it takes no query of its own."""
        return profile_quality(info, customer_of(self), vars(self))

    @strawberry.field(
        description="Where each value came from, of those the caller may see, masked or in clear; what was stored before "
        "origins were kept has none. Counts as reading the fields. Null where nothing may be seen.",
        metadata={"confide": ""},
    )
    async def provenance(self) -> list[FieldOrigin] | None:
        """Read together with the profile, so it takes no query of its own."""
        return field_origins(vars(self))


def customer_of(profile: Profile) -> str:
    """The customer's own id, which the caller may not see."""
    return str(vars(profile)["document_id"])


@strawberry.type(description="A profile and its place in the list.")
class ProfileEdge:
    """Relay's edge."""

    cursor: str = structural("The place of this profile in the list.")
    node: Profile = structural("The profile.")


@strawberry.type(description="A page of profiles.")
class ProfileConnection:
    """Relay's connection."""

    edges: list[ProfileEdge] = structural("The profiles with their cursors.")
    nodes: list[Profile] = structural("The profiles alone.")
    page_info: PageInfo = structural("Where this page stands.")
