"""The mutation `unmergeProfile`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs
from schema.types.identity_case import PERMISSION, reviewer_of


@strawberry.mutation(
    description="Take a profile out of the one it was merged into, for the purpose identity_resolution. Both are as "
    "they were before; what was changed since stays with the survivor, and what the customer said no to since holds "
    "for both.",
    directives=needs(*PERMISSION),
)
async def unmerge_profile(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="The profile that was merged into another.")],  # noqa: A002
) -> ProfilePayload:
    """Take a profile out of another and show it as the caller may see it."""
    await reviewer_of(info.context).unmerge(info.context.access, str(id))
    return await profile_payload(info, str(id))
