"""The queue of cases to decide, as GraphQL shows it: are these two profiles one person?"""

from enum import Enum
from typing import Annotated

import strawberry

from audit import timestamp
from customers.identity.review import CaseState, ListedCase, OpenedCase, Reviewer
from customers.identity.rules import CaseKind
from customers.identity.side_by_side import CAUTION
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError, ForbiddenError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.scalars import Timestamp
from schema.types.page import PageInfo
from schema.types.side_by_side import IdentityCaseField, IdentityCaseSide, IdentityEvidence, evidence_of, fields_of

PERMISSION = ("write", "profile.identifiers")


@strawberry.enum(description="How a case came up.")
class IdentityCaseKind(Enum):
    """The GraphQL names of the kinds."""

    TWO_PEOPLE = strawberry.enum_value(
        CaseKind.TWO_PEOPLE.value, description="One event named two people who are known already."
    )
    ALIAS = strawberry.enum_value(CaseKind.ALIAS.value, description="Somebody said that two known people are one.")
    OVER_LIMIT = strawberry.enum_value(
        CaseKind.OVER_LIMIT.value, description="One profile got more addresses or numbers than one person may have."
    )
    SIMILAR = strawberry.enum_value(CaseKind.SIMILAR.value, description="Two profiles look alike.")


@strawberry.enum(description="What became of a case.")
class IdentityCaseState(Enum):
    """The GraphQL names of the states."""

    OPEN = strawberry.enum_value(CaseState.OPEN.value, description="It waits for a decision.")
    MERGED = strawberry.enum_value(CaseState.MERGED.value, description="The profiles are one person.")
    APART = strawberry.enum_value(CaseState.APART.value, description="They are two; this is not asked again.")


@strawberry.type(
    description="A case to decide: are these profiles one person? A list tells that there is one, why and since when; who "
    "they are and how alike is told by `identityCase`."
)
class IdentityCase:
    """One case as lists tell it."""

    id: strawberry.ID = structural("Its id.")
    kind: IdentityCaseKind = structural("How it came up.")
    state: IdentityCaseState = structural("What became of it.")
    opened_at: Timestamp = structural("When it came up.")
    decided_at: Timestamp | None = structural("When it was decided, of one that was.")


@strawberry.type(description="A case with its profiles side by side.")
class OpenedIdentityCase:
    """One case, opened."""

    id: strawberry.ID = structural("Its id.")
    kind: IdentityCaseKind = structural("How it came up.")
    state: IdentityCaseState = structural("What became of it.")
    opened_at: Timestamp = structural("When it came up.")
    decided_at: Timestamp | None = structural("When it was decided, of one that was.")
    score: float | None = structural(
        "How sure it is that they are one person, 0 to 1, where that was computed and all it rests on may be told."
    )
    evidence: list[IdentityEvidence] = structural(
        "In what they are alike; nothing of what is withheld of one of them."
    )
    caution: str | None = structural(
        "What to think of before joining them, where they are alike by what customers or web pages said of themselves."
    )
    sides: list[IdentityCaseSide] = structural(
        "The profiles it is about: two, or one; who is gone is left out, and those that are one by now count once."
    )
    fields: list[IdentityCaseField] = structural("Their fields, those that are compared first.")


@strawberry.type(description="A page of cases.")
class IdentityCaseConnection:
    """Relay's connection."""

    nodes: list[IdentityCase] = structural("The cases, the oldest first.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="What there is to decide about who is who.")
class IdentityQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="Cases in a state. For those who may join profiles, for the purpose identity_resolution. Nothing of "
        "the profiles is read or told.",
        directives=needs(*PERMISSION),
    )
    async def identity_cases(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
        state: Annotated[
            IdentityCaseState,
            strawberry.argument(description="Which: those that wait for a decision, or were decided."),
        ] = IdentityCaseState.OPEN,
    ) -> IdentityCaseConnection:
        """One page of cases, the oldest first."""
        context = info.context
        cases, more = await reviewer_of(context).list_cases(
            context.access, CaseState[state.name], _position(context, after), first_of(first)
        )
        return IdentityCaseConnection(
            nodes=[listed(each) for each in cases],
            page_info=PageInfo(
                has_next_page=more,
                has_previous_page=after is not None,
                start_cursor=_cursor(context, cases[0].seq) if cases else None,
                end_cursor=_cursor(context, cases[-1].seq) if cases else None,
            ),
        )

    @strawberry.field(
        description="A case with its profiles side by side, each field as the caller may see it. All that is compared is "
        "read of every profile, whatever is selected, and recorded. For those who may join profiles, for the purpose "
        "identity_resolution.",
        directives=needs(*PERMISSION),
    )
    async def identity_case(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The case.")],  # noqa: A002 - as everywhere
    ) -> OpenedIdentityCase | None:
        """One case, opened."""
        return opened_case(await reviewer_of(info.context).look(info.context.access, str(id)))


def reviewer_of(context: RequestContext) -> Reviewer:
    """What joins profiles here.

    Raises:
        ForbiddenError: Nothing does.
    """
    if context.services.reviewer is None:
        raise ForbiddenError("Profiles are not joined here.")
    return context.services.reviewer


def opened_case(opened: OpenedCase) -> OpenedIdentityCase:
    """A case with what of its profiles was read."""
    shown, case = opened.profiles, listed(ListedCase.of(opened.case))
    return OpenedIdentityCase(
        id=case.id,
        kind=case.kind,
        state=case.state,
        opened_at=case.opened_at,
        decided_at=case.decided_at,
        score=opened.case.score,
        evidence=evidence_of(shown),
        caution=_caution(shown.self_said),
        sides=[IdentityCaseSide(id=strawberry.ID(each.id)) for each in shown.sides],
        fields=fields_of(shown),
    )


def _caution(self_said: tuple[str, ...]) -> str | None:
    if not self_said:
        return None
    return f"Said by a customer, or by a web page or app that sends events: {', '.join(self_said)}. {CAUTION}"


def listed(case: ListedCase) -> IdentityCase:
    """A case as lists tell it."""
    return IdentityCase(
        id=strawberry.ID(case.id),
        kind=IdentityCaseKind(case.kind.value),
        state=IdentityCaseState(case.state.value),
        opened_at=Timestamp(timestamp(case.opened_at)),
        decided_at=None if case.decided_at is None else Timestamp(timestamp(case.decided_at)),
    )


def _binding(context: RequestContext) -> bytes:
    return f"identity_cases {context.caller.actor} {context.access.grant.purpose.name}".encode()


def _cursor(context: RequestContext, seq: int) -> str:
    return context.services.vault.seal_token("cursor", str(seq).encode(), _binding(context))


def _position(context: RequestContext, cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(context.services.vault.open_token("cursor", cursor, _binding(context)))
    except ValueError:
        raise CursorInvalidError from None
