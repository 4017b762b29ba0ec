"""The mutation `endBreakGlass`."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.permission import needs
from schema.types.break_glass import BreakGlassOpening, glass_of, shown_opening


@strawberry.mutation(
    description="End an opening of one's own before its time.", directives=needs("read", "profile.created_at")
)
async def end_break_glass(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which opening.")],  # noqa: A002 - the API's name
) -> BreakGlassOpening:
    """End one opening."""
    context = info.context
    ended = await glass_of(context).end(context.caller, str(id), trace=context.access.disclosure.request.trace)
    return shown_opening(context, ended)
