"""The mutation `cancelPrivacyRequest`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Take a request back: the person themselves, or whoever answers for privacy for them.",
    directives=needs("write", "profile.consents"),
)
async def cancel_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
) -> PrivacyRequestType:
    """Cancel one request."""
    context = info.context
    changed = await requests_of(context).cancel(context.access, str(id))
    return shown_request(context, changed)
