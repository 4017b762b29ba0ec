"""The mutation `removeIdentifier`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.mutations.identifier import IdentifierInput, identifier_of
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.permission import needs


@strawberry.mutation(
    description="Take an identifier from a profile. One that it does not have changes nothing.",
    directives=needs("write", "profile.identifiers"),
)
async def remove_identifier(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Whose profile.")],  # noqa: A002
    identifier: Annotated[IdentifierInput, strawberry.argument(description="The identifier.")],
) -> ProfilePayload:
    """Remove one identifier and show the profile as the caller may see it."""
    writer = info.context.services.writer
    await writer.remove_identifier(info.context.access, str(id), identifier_of(writer, identifier))
    return await profile_payload(info, str(id))
