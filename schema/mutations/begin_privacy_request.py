"""The mutation `beginPrivacyRequest`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Say that somebody works on a request.",
    directives=needs("write", "profile.consents"),
)
async def begin_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
) -> PrivacyRequestType:
    """Begin with one request."""
    context = info.context
    changed = await requests_of(context).begin(context.access, str(id))
    return shown_request(context, changed)
