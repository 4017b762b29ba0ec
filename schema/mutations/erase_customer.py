"""The mutation `eraseCustomer`."""

from typing import Annotated

import strawberry

from customers.errors import EraseNotAllowedError
from customers.rights.inactivity import PURPOSE as RETENTION
from schema.context import Info
from schema.errors import InputInvalidError
from schema.permission import needs, structural
from schema.scalars import Timestamp


@strawberry.type(description="What an erasure leaves: nothing of the person, and what proves that it happened.")
class ErasePayload:
    """The receipt of an erasure."""

    id: strawberry.ID = structural("The id that no longer names anybody.")
    key_fingerprints: list[str] = structural("The fingerprints of the keys that were destroyed.")
    erased_at: Timestamp = structural("When it was finished. Nothing could decrypt any more then.")
    certificate: strawberry.ID = structural(
        "The certificate's id: whoever knows it may fetch it, and its proof, at `/certificates/{id}` at any time."
    )


@strawberry.mutation(
    description="Erase a customer for ever. When the answer comes, no process can decrypt anything of them, and no "
    "backup can bring it back. Where two persons must agree to erasures, the first opens a privacy request with it and "
    "is answered SECOND_PERSON_NEEDED with the request's id; the second calls this or completePrivacyRequest. "
    "It must be the only field of its operation.",
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
    if RETENTION in info.context.access.grant.purpose.lineage:
        # For that purpose only who was not heard of is erased, which a sweep finds out and no caller says.
        raise EraseNotAllowedError
    services = info.context.services
    # Without requests nobody can be the first of two.
    erase = services.eraser.erase if services.requests is None else services.requests.erase
    certificate = await erase(info.context.access, str(id))
    return ErasePayload(
        id=id,
        key_fingerprints=list(certificate.keys),
        erased_at=Timestamp(certificate.finished),
        certificate=strawberry.ID(certificate.id),
    )
