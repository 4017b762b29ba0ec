"""What every mutation of a profile gives back."""

import strawberry

from schema.context import Info
from schema.permission import structural
from schema.queries import profile_by_id
from schema.types.profile import Profile


@strawberry.type(description="The profile after the change, as the caller may see it.")
class ProfilePayload:
    """The common payload."""

    profile: Profile | None = structural("The profile; its fields are read, gated and recorded like any others.")


async def profile_payload(info: Info, customer_id: str) -> ProfilePayload:
    """The payload for this profile."""
    return ProfilePayload(profile=await profile_by_id(info, customer_id))
