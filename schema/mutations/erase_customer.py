"""The mutation `eraseCustomer`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.errors import InputInvalidError
from schema.permission import needs, structural
from schema.scalars import Timestamp


@strawberry.type(description="What an erasure leaves: nothing of the person, and what proves that it happened.")
class ErasePayload:
    """The receipt of an erasure."""

    id: strawberry.ID = structural("The id that no longer names anybody.")
    key_fingerprint: str = structural("The fingerprint of the key that was destroyed.")
    erased_at: Timestamp = structural("When nothing could decrypt any more.")


@strawberry.mutation(
    description="Erase a customer for ever. When the answer comes, no process can decrypt anything of them, and no "
    "backup can bring it back.",
    directives=needs("erase", "user"),
)
async def erase_customer(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Whom to erase.")],  # noqa: A002
    confirm: Annotated[strawberry.ID, strawberry.argument(description="The same id again.")],
) -> ErasePayload:
    """Shred the customer's key and remove what is left of them."""
    if id != confirm:
        raise InputInvalidError("`confirm` must repeat `id`; nothing was erased.", field="confirm")
    shredding = await info.context.services.eraser.erase(info.context.access, str(id))
    return ErasePayload(
        id=id,
        key_fingerprint=shredding.fingerprint,
        erased_at=Timestamp(shredding.finished_at.isoformat().replace("+00:00", "Z")),
    )
