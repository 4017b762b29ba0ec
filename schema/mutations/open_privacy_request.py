"""The mutation `openPrivacyRequest`."""

from typing import Annotated

import strawberry

from customers.rights.requests import Kind, Regime
from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import (
    PrivacyRegime,
    PrivacyRequestKind,
    PrivacyRequestType,
    requests_of,
    shown_request,
)

_API = "api"


@strawberry.input(description="What is asked for, and by whom.")
class PrivacyRequestInput:
    """The input."""

    kind: PrivacyRequestKind = strawberry.field(description="What is asked for.")
    regime: PrivacyRegime = strawberry.field(
        default=PrivacyRegime.GDPR, description="The law that the person relies on."
    )
    reason: str | None = strawberry.field(default=None, description="What the person said; it is sealed.")
    agent: str | None = strawberry.field(
        default=None, description="Who asks for the person, where it is not they themselves; it is sealed."
    )
    purposes: list[str] = strawberry.field(
        default_factory=list,
        description="What an objection is about; all that can be objected to where none is given.",
    )


@strawberry.mutation(
    description="Take a privacy request in; it is joined to one of the same kind that is open. By the person, or by "
    "whoever may write their privacy choices.",
    directives=needs("write", "profile.consents"),
)
async def open_privacy_request(
    info: Info,
    customer: Annotated[strawberry.ID, strawberry.argument(description="Whose data it is about.")],
    request: Annotated[PrivacyRequestInput, strawberry.argument(description="What is asked for.")],
) -> PrivacyRequestType:
    """Open one request."""
    context = info.context
    opened = await requests_of(context).open(
        context.access,
        Kind(str(request.kind.value)),
        str(customer),
        source=_API,
        reason=request.reason,
        agent=request.agent,
        purposes=request.purposes,
        regime=Regime(str(request.regime.value)),
    )
    return shown_request(context, opened)
