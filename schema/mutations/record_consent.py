"""The mutation `recordConsent`."""

from enum import Enum
from typing import Annotated

import strawberry

from customers.consent.model import ConsentState
from schema.context import Info
from schema.mutations.create_profile import ConsentInput, check_notices, consent_of
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs


@strawberry.enum(description="What the customer said.")
class ConsentChoice(Enum):
    """The GraphQL names of the choices."""

    GRANTED = strawberry.enum_value(ConsentState.GRANTED.value, description="The customer agrees.")
    WITHDRAWN = strawberry.enum_value(ConsentState.WITHDRAWN.value, description="The customer no longer agrees.")
    OBJECTED = strawberry.enum_value(ConsentState.OBJECTED.value, description="The customer objects (GDPR Art. 21).")
    OBJECTION_WITHDRAWN = strawberry.enum_value(
        ConsentState.OBJECTION_WITHDRAWN.value, description="The customer no longer objects."
    )
    RESTRICTED = strawberry.enum_value(
        ConsentState.RESTRICTED.value,
        description="The customer restricts processing (GDPR Art. 18); the purpose is *.",
    )
    RESTRICTION_LIFTED = strawberry.enum_value(
        ConsentState.RESTRICTION_LIFTED.value,
        description="The restriction ends; the purpose is *. By the customer, or for a legal obligation.",
    )


@strawberry.mutation(
    description="Record what a customer said about a purpose. The next read feels it.",
    directives=needs("write", "profile.consents"),
)
async def record_consent(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Whose decision it is.")],  # noqa: A002
    choice: Annotated[ConsentChoice, strawberry.argument(description="What the customer said.")],
    consent: Annotated[ConsentInput, strawberry.argument(description="About which purpose, where and when.")],
) -> ProfilePayload:
    """Append one decision to the customer's consent ledger."""
    services = info.context.services
    decision = consent_of(consent, ConsentState(str(choice.value)), services.now())
    await check_notices(info, [decision])
    await services.writer.record_consent(info.context.access, str(id), decision)
    return await profile_payload(info, str(id))
