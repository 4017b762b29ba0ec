"""Break-glass access, as GraphQL shows it."""

from enum import Enum

import strawberry

from audit import timestamp
from customers.oversight.break_glass import BreakGlass, Judgement, Opening
from schema.context import Info, RequestContext
from schema.errors import ForbiddenError
from schema.permission import needs, structural
from schema.scalars import Timestamp


@strawberry.enum(description="What a review finds.")
class BreakGlassJudgement(Enum):
    """The GraphQL names of the judgements."""

    JUSTIFIED = strawberry.enum_value(
        Judgement.JUSTIFIED.value, description="It was an emergency, and nothing more was read."
    )
    NOT_JUSTIFIED = strawberry.enum_value(Judgement.NOT_JUSTIFIED.value, description="It was none, or more was read.")


@strawberry.type(description="What somebody else found afterwards.")
class BreakGlassReview:
    """One review."""

    actor: str = structural("Who reviewed.")
    at: Timestamp = structural("When.")
    judgement: BreakGlassJudgement = structural("What they found.")
    note: str = structural("In their own words.")
    entry: strawberry.ID = structural("The entry of the access log that proves it.")


@strawberry.type(description="One time that somebody broke the glass.")
class BreakGlassOpening:
    """One opening."""

    id: strawberry.ID = structural("Its number. Stated as the case, for the purpose emergency_access, it opens.")
    actor: str = structural("Who.")
    roles: list[str] = structural("What they were, without it.")
    case: str | None = structural("What they were working on.")
    opened_at: Timestamp = structural("Since when.")
    until: Timestamp = structural("Until when, at most.")
    ended_at: Timestamp | None = structural("When they ended it themselves.")
    is_open: bool = structural("Whether it opens anything now.")
    reason: str = structural("In their own words.")
    entry: strawberry.ID = structural("The entry of the access log that proves it.")
    review: BreakGlassReview | None = structural("What was found afterwards; null while it waits.")


@strawberry.type(description="What can be asked about break-glass access.")
class BreakGlassQuery:
    """The part of the root of every query that is about it."""

    @strawberry.field(
        description="The openings that wait to be reviewed, oldest first, and then the newest that were. For a purpose "
        "of oversight.",
        directives=needs("read", "access_entry.actor"),
    )
    async def break_glass_openings(self, info: Info) -> list[BreakGlassOpening]:
        """Every opening."""
        context = info.context
        return [shown_opening(context, each) for each in await glass_of(context).queue(context.access)]


def glass_of(context: RequestContext) -> BreakGlass:
    """What opens.

    Raises:
        ForbiddenError: Nobody may, here.
    """
    if context.services.break_glass is None:
        raise ForbiddenError
    return context.services.break_glass


def shown_opening(context: RequestContext, opening: Opening) -> BreakGlassOpening:
    """An opening in GraphQL's form."""
    review = opening.review
    return BreakGlassOpening(
        id=strawberry.ID(opening.id),
        actor=opening.actor,
        roles=list(opening.roles),
        case=opening.case,
        opened_at=Timestamp(timestamp(opening.opened_at)),
        until=Timestamp(timestamp(opening.until)),
        ended_at=None if opening.ended_at is None else Timestamp(timestamp(opening.ended_at)),
        is_open=opening.is_open(context.services.now()),
        reason=opening.reason,
        entry=strawberry.ID(opening.entry),
        review=None
        if review is None
        else BreakGlassReview(
            actor=review.actor,
            at=Timestamp(timestamp(review.at)),
            judgement=BreakGlassJudgement(review.judgement.value),
            note=review.note,
            entry=strawberry.ID(review.entry),
        ),
    )


__all__ = ["BreakGlassJudgement", "BreakGlassOpening", "BreakGlassQuery", "glass_of", "shown_opening"]
