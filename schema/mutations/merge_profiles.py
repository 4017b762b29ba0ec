"""The mutation `mergeProfiles`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs
from schema.types.identity_case import PERMISSION, reviewer_of


@strawberry.mutation(
    description="Join two profiles that are one person, for the purpose identity_resolution. Nothing is lost: values "
    "of the survivor count where both have one, of rights those that allow less, and `unmergeProfile` restores both.",
    directives=needs(*PERMISSION),
)
async def merge_profiles(
    info: Info,
    survivor: Annotated[strawberry.ID, strawberry.argument(description="The profile that stays.")],
    absorbed: Annotated[strawberry.ID, strawberry.argument(description="The profile that becomes part of it.")],
) -> ProfilePayload:
    """Join two profiles and show the survivor as the caller may see it."""
    await reviewer_of(info.context).merge(info.context.access, str(survivor), str(absorbed))
    return await profile_payload(info, str(survivor))
