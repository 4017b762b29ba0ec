"""The mutation `addIdentifier`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.mutations.identifier import IdentifierInput, identifier_of
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs


@strawberry.mutation(
    description="Give a profile one more identifier. One that it has already changes nothing.",
    directives=needs("write", "profile.identifiers"),
)
async def add_identifier(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Whose profile.")],  # noqa: A002
    identifier: Annotated[IdentifierInput, strawberry.argument(description="The identifier.")],
) -> ProfilePayload:
    """Add one identifier and show the profile as the caller may see it."""
    writer = info.context.services.writer
    await writer.add_identifier(info.context.access, str(id), identifier_of(writer, identifier))
    return await profile_payload(info, str(id))
