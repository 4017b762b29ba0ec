"""Writes the demo company through the same use cases as everybody else's customers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from customers.access import Access
from customers.consent.model import ConsentDecision, ConsentState
from customers.identity.model import IdentifierType
from customers.profiles.draft import OrderDraft, ProfileDraft, TicketDraft
from customers.profiles.writing import ProfileWriter
from server.demo.model import DemoCustomer, DemoOrder, DemoTicket
from vault import Vault


class PlatformDemoWriter:
    """Gives batches of demo customers to the platform, and remembers the ids they got."""

    def __init__(self, writer: ProfileWriter, vault: Vault, access: Access) -> None:
        self._writer = writer
        self._vault = vault
        self._access = access
        self.ids: dict[str, str] = {}
        """The customer id of each external id."""

    async def write(self, batch: Sequence[DemoCustomer]) -> None:
        """Write these customers, none of whom was written before."""
        drafts = [self._draft(customer) for customer in batch]
        async with self._vault.reading():
            ids = await self._writer.create(self._access, drafts)
        self.ids |= dict(zip((customer.external_id for customer in batch), ids, strict=True))

    def _draft(self, customer: DemoCustomer) -> ProfileDraft:
        values: dict[str, Any] = {
            "region": customer.region,
            "country": customer.country,
            "language": customer.language,
            "given_name": customer.given_name,
            "family_name": customer.family_name,
            "email": customer.email,
            "phone": customer.phone,
            "street": customer.street,
            "postal_code": customer.postal_code,
            "city": customer.city,
            "birth_date": customer.birth_date,
            "national_id": customer.national_id,
            "loyalty_tier": customer.loyalty_tier,
            "acquisition_channel": customer.acquisition_channel,
            "notes": list(customer.notes) or None,
            "traits": dict(customer.traits) or None,
        }
        decisions = [
            ConsentDecision(
                each.purpose,
                ConsentState.GRANTED if each.granted else ConsentState.WITHDRAWN,
                each.at,
                each.source,
            )
            for each in customer.consents
        ]
        decisions += [
            ConsentDecision(purpose, ConsentState.OBJECTED, customer.created_at, "letter")
            for purpose in customer.objections
        ]
        external = self._writer.identifier(IdentifierType.EXTERNAL_ID, customer.external_id, "external_id")
        draft = self._writer.draft(values, [external], decisions)
        return replace(
            draft,
            restricted=customer.restricted,
            orders=tuple(_order(order) for order in customer.orders),
            tickets=tuple(_ticket(ticket) for ticket in customer.tickets),
            created_at=customer.created_at,
        )


def _order(order: DemoOrder) -> OrderDraft:
    return OrderDraft(
        {
            "placed_at": order.placed_at,
            "total": order.total_minor,
            "currency": order.currency,
            "units": order.units,
            "status": order.status,
            "items": [{"sku": item.sku, "title": item.title, "quantity": item.quantity} for item in order.items],
            "shipping_address": order.shipping_address,
            "gift_message": order.gift_message,
            "payment_last4": order.payment_last4,
        }
    )


def _ticket(ticket: DemoTicket) -> TicketDraft:
    return TicketDraft(
        {
            "opened_at": ticket.opened_at,
            "closed_at": ticket.closed_at,
            "status": ticket.status,
            "channel": ticket.channel,
            "topic": ticket.topic,
            "subject": ticket.subject,
            "body": ticket.body,
        }
    )
