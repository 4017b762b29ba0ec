"""The mutation `openBreakGlass`."""

from typing import Annotated

import strawberry

from customers.oversight.break_glass import LONGEST_MINUTES
from schema.context import Info
from schema.permission import needs
from schema.types.break_glass import BreakGlassOpening, glass_of, shown_opening


@strawberry.mutation(
    description="Break the glass in an emergency: for the purpose emergency_access, and with the opening's number as the "
    "case, more is open for a while. It raises an alarm, is recorded first, and is reviewed by somebody else afterwards.",
    directives=needs("read", "profile.created_at"),
)
async def open_break_glass(
    info: Info,
    reason: Annotated[str, strawberry.argument(description="Why, in 20 to 1000 characters. Name nobody.")],
    minutes: Annotated[int, strawberry.argument(description=f"For how long: 1 to {LONGEST_MINUTES}.")] = 30,
) -> BreakGlassOpening:
    """Open once."""
    context = info.context
    request = context.access.disclosure.request
    opening = await glass_of(context).open(context.caller, reason, minutes, case=request.case, trace=request.trace)
    return shown_opening(context, opening)
