"""The mutation `confirmPrivacyRequest`."""

from typing import Annotated

import strawberry

from customers.rights.requests import Verification
from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyRequestType, PrivacyVerification, requests_of, shown_request


@strawberry.mutation(
    description="It is known who asks, and they were told that their request is here.",
    directives=needs("write", "profile.consents"),
)
async def confirm_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
    how: Annotated[PrivacyVerification, strawberry.argument(description="How it is known.")],
) -> PrivacyRequestType:
    """Confirm one request."""
    context = info.context
    changed = await requests_of(context).confirm(context.access, str(id), Verification(str(how.value)))
    return shown_request(context, changed)
