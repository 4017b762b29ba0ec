"""The mutation `extendPrivacyRequest`."""

from typing import Annotated

import strawberry

from customers.rights.requests import Extension
from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyExtension, PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Take longer, up to what the law allows. Tell the person before, with the reason.",
    directives=needs("write", "profile.consents"),
)
async def extend_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
    reason: Annotated[PrivacyExtension, strawberry.argument(description="Why it takes longer.")],
) -> PrivacyRequestType:
    """Extend one request."""
    context = info.context
    changed = await requests_of(context).extend(context.access, str(id), Extension(str(reason.value)))
    return shown_request(context, changed)
