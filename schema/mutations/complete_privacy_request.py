"""The mutation `completePrivacyRequest`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Do what was asked for: erase, restrict, object. By the second of two persons for "
    "erasures; the first agrees with it. It must be the only field of its operation.",
    directives=needs("write", "profile.consents"),
)
async def complete_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
) -> PrivacyRequestType:
    """Complete one request."""
    context = info.context
    changed = await requests_of(context).complete(context.access, str(id))
    return shown_request(context, changed)
