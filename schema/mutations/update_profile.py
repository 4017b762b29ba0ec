"""The mutation `updateProfile`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.errors import InputInvalidError
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.mutations.profile_values import ProfileValues, given
from schema.permission import needs


@strawberry.input(description="A change of a profile.")
class UpdateProfileInput:
    """Whose, what, and what the caller had read."""

    id: strawberry.ID = strawberry.field(description="Whose profile.")
    values: ProfileValues = strawberry.field(description="The fields to change.")
    expected_version: int | None = strawberry.field(
        default=None, description="The `version` that was read; the change is refused if it is another by now."
    )


@strawberry.mutation(
    description="Change fields of a profile; null removes one.", directives=needs("write", "profile.*")
)
async def update_profile(
    info: Info,
    input: Annotated[UpdateProfileInput, strawberry.argument(description="The change.")],  # noqa: A002
) -> ProfilePayload:
    """Change one profile and show it as the caller may see it."""
    values = given(input.values)
    if not values:
        raise InputInvalidError("Give at least one value to change.", field="values")
    await info.context.services.writer.update(
        info.context.access, str(input.id), values, version=input.expected_version
    )
    return await profile_payload(info, str(input.id))
