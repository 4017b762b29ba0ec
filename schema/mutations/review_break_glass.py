"""The mutation `reviewBreakGlass`."""

from typing import Annotated

import strawberry

from customers.oversight.break_glass import Judgement
from schema.context import Info
from schema.permission import needs
from schema.types.break_glass import BreakGlassJudgement, BreakGlassOpening, glass_of, shown_opening


@strawberry.mutation(
    description="Say what is to be thought of an opening that is over. Nobody reviews their own.",
    directives=needs("read", "access_entry.actor"),
)
async def review_break_glass(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="Which opening.")],  # noqa: A002 - the API's name
    judgement: Annotated[BreakGlassJudgement, strawberry.argument(description="What was found.")],
    note: Annotated[str, strawberry.argument(description="Why, in 1 to 1000 characters.")],
) -> BreakGlassOpening:
    """Review one opening."""
    context = info.context
    found = await glass_of(context).review(context.access, str(id), Judgement(str(judgement.value)), note)
    return shown_opening(context, found)
