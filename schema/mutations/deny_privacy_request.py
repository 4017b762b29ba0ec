"""The mutation `denyPrivacyRequest`."""

from typing import Annotated

import strawberry

from customers.rights.requests import Denial
from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyDenial, PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Refuse a request, for a reason that the law knows for this kind of request.",
    directives=needs("write", "profile.consents"),
)
async def deny_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
    reason: Annotated[PrivacyDenial, strawberry.argument(description="Why.")],
) -> PrivacyRequestType:
    """Deny one request."""
    context = info.context
    changed = await requests_of(context).deny(context.access, str(id), Denial(str(reason.value)))
    return shown_request(context, changed)
