"""The mutation `holdPrivacyRequest`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs
from schema.types.privacy_request import PrivacyRequestType, requests_of, shown_request


@strawberry.mutation(
    description="Say whether the data must be kept for now (legal hold), so that nothing of it is erased.",
    directives=needs("write", "profile.consents"),
)
async def hold_privacy_request(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which request.")],  # noqa: A002 - the API's name
    held: Annotated[bool, strawberry.argument(description="Whether it must be kept.")],
) -> PrivacyRequestType:
    """Hold one request, or release it."""
    context = info.context
    changed = await requests_of(context).hold(context.access, str(id), held=held)
    return shown_request(context, changed)
