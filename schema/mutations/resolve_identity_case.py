"""The mutation `resolveIdentityCase`."""

from typing import Annotated

import strawberry

from customers.identity.review import ListedCase
from schema.context import Info
from schema.permission import needs, structural
from schema.queries import shown_profile
from schema.types.identity_case import PERMISSION, IdentityCase, listed, reviewer_of
from schema.types.profile import Profile


@strawberry.type(description="A case that was decided.")
class IdentityCasePayload:
    """The payload of `resolveIdentityCase`."""

    case: IdentityCase = structural("The case.")
    customers: list[Profile] = structural(
        "The profiles it is about, each as the caller may see it: those that are one by now count once, and who is gone "
        "is left out."
    )


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
    return IdentityCasePayload(case=listed(ListedCase.of(case)), customers=await _customers(info, case.customers))


async def _customers(info: Info, customers: tuple[str, ...]) -> list[Profile]:
    """The profiles, where any of theirs is selected; nothing is read for who asks for none."""
    context, raw = info.context, info._raw_info  # noqa: SLF001 - plans are kept by the nodes' identity
    if ("IdentityCasePayload", "customers") not in context.plan.selected(raw.field_nodes, raw.return_type):
        return []
    names = context.plan.names(raw.field_nodes, raw.return_type, "profile")
    found = await context.services.gateway.by_ids(context.access, names, list(customers))
    # One who was merged has the values of the other.
    once = {str(values["document_id"]): dict(values) for values in found.values()}
    return [shown_profile(values) for values in once.values()]
