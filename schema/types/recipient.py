"""To whom data is disclosed, and what they were told of its rectification, as GraphQL shows it."""

from enum import Enum
from typing import Annotated

import strawberry

from audit import timestamp
from customers.rights.recipients import Delivery, NoticeKind, RecipientService, State
from schema.context import Info, RequestContext
from schema.errors import ForbiddenError
from schema.permission import needs, structural
from schema.scalars import Timestamp


@strawberry.enum(description="What a recipient is told of.")
class RecipientNoticeKind(Enum):
    """The GraphQL names of the kinds."""

    ERASURE = strawberry.enum_value(
        NoticeKind.ERASURE.value, description="That somebody is erased (GDPR Art. 17(2))."
    )
    RECTIFICATION = strawberry.enum_value(
        NoticeKind.RECTIFICATION.value, description="That something was put right (GDPR Art. 19)."
    )
    RESTRICTION = strawberry.enum_value(
        NoticeKind.RESTRICTION.value,
        description="That somebody restricts what is done with their data (GDPR Art. 19).",
    )
    RESTRICTION_LIFTED = strawberry.enum_value(
        NoticeKind.RESTRICTION_LIFTED.value, description="That they restrict it no more."
    )


@strawberry.enum(description="How far a notice has come.")
class RecipientNoticeState(Enum):
    """The GraphQL names of the states."""

    WAITING = strawberry.enum_value(State.WAITING.value, description="They are still to be told.")
    TOLD = strawberry.enum_value(State.TOLD.value, description="They took it.")
    NOT_KNOWN = strawberry.enum_value(
        State.NOT_KNOWN.value, description="They know the person by nothing that is held."
    )
    VOID = strawberry.enum_value(State.VOID.value, description="It came to nothing.")
    GIVEN_UP = strawberry.enum_value(State.GIVEN_UP.value, description="They could not be told.")


@strawberry.type(description="Somebody to whom data of customers is disclosed.")
class Recipient:
    """A recipient, for the person."""

    name: str = structural("Who.")
    fields: list[str] = structural("What they are given, as paths of the catalogue.")


@strawberry.type(description="What one recipient was told, or is to be.")
class RecipientNotice:
    """A delivery, without what was said."""

    recipient: str = structural("Who.")
    kind: RecipientNoticeKind = structural("Of what.")
    state: RecipientNoticeState = structural("How far it has come.")
    fields: list[str] = structural("What it is about, as paths of the catalogue.")
    at: Timestamp = structural("When it happened.")
    told_at: Timestamp | None = structural("When they took it.")
    entry: strawberry.ID | None = structural("The entry of the access log of what was disclosed by that.")
    verified: bool | None = structural(
        "Whether it is proven that they took it; null where their answers prove nothing."
    )


@strawberry.type
class RecipientQuery:
    """Part of the query root."""

    @strawberry.field(
        description="To whom data of the customer who asks is disclosed (GDPR Art. 15(1)(c), 19).",
        directives=needs("read", "profile.consents"),
    )
    async def my_recipients(self, info: Info) -> list[Recipient]:
        """Those who are given anything."""
        service, customer_id = _own(info.context)
        found = await service.given_of(info.context.access, customer_id)
        return [Recipient(name=each.name, fields=list(each.fields)) for each in found]

    @strawberry.field(
        description="What recipients were told of the caller's own data, the latest first.",
        directives=needs("read", "profile.consents"),
    )
    async def my_recipient_notices(self, info: Info) -> list[RecipientNotice]:
        """The person's own."""
        service, customer_id = _own(info.context)
        return [_shown(each) for each in await service.told_of(info.context.access, customer_id)]

    @strawberry.field(
        description="What recipients were told of a customer, for whoever answers for privacy; recorded as a read.",
        directives=needs("write", "profile.consents"),
    )
    async def recipient_notices(
        self, info: Info, customer: Annotated[strawberry.ID, strawberry.argument(description="Whose data.")]
    ) -> list[RecipientNotice]:
        """Somebody's."""
        service = _service(info.context)
        return [_shown(each) for each in await service.told_of(info.context.access, str(customer))]


def _service(context: RequestContext) -> RecipientService:
    if context.services.recipients is None:
        raise ForbiddenError("No recipients are known here.")
    return context.services.recipients


def _own(context: RequestContext) -> tuple[RecipientService, str]:
    customer_id = context.access.caller.customer_id
    if customer_id is None:
        raise ForbiddenError("Only a customer is told of their own.")
    return _service(context), customer_id


def _shown(delivery: Delivery) -> RecipientNotice:
    return RecipientNotice(
        recipient=delivery.recipient,
        kind=RecipientNoticeKind[delivery.kind.name],
        state=RecipientNoticeState[delivery.state.name],
        fields=list(delivery.fields),
        at=Timestamp(timestamp(delivery.at)),
        told_at=None if delivery.told_at is None else Timestamp(timestamp(delivery.told_at)),
        entry=None if delivery.receipt is None else strawberry.ID(delivery.receipt.entry),
        verified=None if delivery.receipt is None else delivery.receipt.verified,
    )
