"""The mutation `resolveIdentityCase`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs, structural
from schema.types.identity_case import PERMISSION, IdentityCase, reviewer_of, shown_cases


@strawberry.type(description="A case that was decided.")
class IdentityCasePayload:
    """The payload of `resolveIdentityCase`."""

    case: IdentityCase | None = structural("The case; null if somebody it was about is gone meanwhile.")


@strawberry.mutation(
    description="Decide a case: join its profiles into the one named as `survivor`, or leave them apart where none is "
    "named. It is recorded, and not asked again.",
    directives=needs(*PERMISSION),
)
async def resolve_identity_case(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="The case.")],  # noqa: A002 - as everywhere
    survivor: Annotated[
        strawberry.ID | None, strawberry.argument(description="The profile that stays; null to leave them apart.")
    ] = None,
) -> IdentityCasePayload:
    """Decide a case and show it."""
    named = None if survivor is None else str(survivor)
    case = await reviewer_of(info.context).decide(info.context.access, str(id), named)
    shown = await shown_cases(info, [case])
    return IdentityCasePayload(case=shown[0] if shown else None)
