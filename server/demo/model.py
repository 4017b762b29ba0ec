"""What the demo company knows of a customer. Every personal value is synthetic; the purchases are real (CDNOW)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Status = Literal["delivered", "returned", "shipped"]
TicketStatus = Literal["open", "closed"]


@dataclass(frozen=True, slots=True)
class DemoConsent:
    """What a customer said about one purpose, when and where; of several about one purpose the last counts."""

    purpose: str
    granted: bool
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class DemoItem:
    """One line of an order: a disc of the synthetic catalogue and how many of it."""

    sku: str
    title: str
    quantity: int


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """A purchase: day, total and units as CDNOW recorded them, the rest invented. Totals are in cents."""

    placed_at: datetime
    total_minor: int
    currency: str
    units: int
    status: Status
    items: tuple[DemoItem, ...]
    shipping_address: str
    gift_message: str | None
    payment_last4: str | None


@dataclass(frozen=True, slots=True)
class DemoTicket:
    """A support case about the order at index `order` of the same customer."""

    opened_at: datetime
    closed_at: datetime | None
    status: TicketStatus
    channel: str
    topic: str
    subject: str
    body: str
    order: int


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """One customer of the demo company, with orders and tickets oldest first."""

    external_id: str
    created_at: datetime
    region: str
    country: str
    language: str
    given_name: str
    family_name: str
    email: str
    phone: str | None
    street: str
    postal_code: str
    city: str
    birth_date: date | None
    national_id: str | None
    loyalty_tier: str
    acquisition_channel: str
    notes: tuple[str, ...]
    traits: Mapping[str, str | int | bool]
    consents: tuple[DemoConsent, ...]
    objections: tuple[str, ...]
    restricted: bool
    orders: tuple[DemoOrder, ...]
    tickets: tuple[DemoTicket, ...]

    def consented(self) -> frozenset[str]:
        """The purposes that the customer's last word on them allows."""
        last = {consent.purpose: consent.granted for consent in self.consents}
        return frozenset(purpose for purpose, granted in last.items() if granted)
