"""The queue of cases to decide, as GraphQL shows it: are these two profiles one person?"""

from enum import Enum
from typing import Annotated

import strawberry

from audit import timestamp
from customers.identity.review import CaseState, ReviewCase, Reviewer
from customers.identity.rules import CaseKind
from customers.identity.side_by_side import told_of
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError, ForbiddenError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.queries import shown_profile
from schema.scalars import Timestamp
from schema.types.page import PageInfo
from schema.types.profile import Profile

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


@strawberry.type(description="How alike two profiles are in one respect. Never a value.")
class IdentityEvidence:
    """One comparison."""

    compared: str = structural("What was compared, such as email or birth_date.")
    level: str = structural("How alike it is, such as same.")


@strawberry.type(description="A case to decide: are these profiles one person?")
class IdentityCase:
    """One case."""

    id: strawberry.ID = structural("Its id.")
    kind: IdentityCaseKind = structural("How it came up.")
    state: IdentityCaseState = structural("What became of it.")
    evidence: list[IdentityEvidence] = structural("In what the profiles are alike.")
    score: float | None = structural("How sure it is that they are one person, 0 to 1, where that was computed.")
    opened_at: Timestamp = structural("When it came up.")
    customers: list[Profile] = structural(
        "The profiles it is about, each as the caller may see it: two, or one; those that are one by now count once."
    )


@strawberry.type(description="A page of cases.")
class IdentityCaseConnection:
    """Relay's connection."""

    nodes: list[IdentityCase] = structural("The cases, the oldest first.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="What there is to decide about who is who.")
class IdentityQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="The cases that wait for a decision. For those who may join profiles, for the purpose "
        "identity_resolution; the profiles are read, gated and recorded like any others.",
        directives=needs(*PERMISSION),
    )
    async def identity_cases(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
    ) -> IdentityCaseConnection:
        """One page of open cases; a case about somebody who is gone, or not to be named, is left out."""
        context = info.context
        cases, more = await reviewer_of(context).page(context.access, first_of(first), _position(context, after))
        return IdentityCaseConnection(
            nodes=await shown_cases(info, cases),
            page_info=PageInfo(
                has_next_page=more,
                has_previous_page=after is not None,
                start_cursor=_cursor(context, cases[0].seq) if cases else None,
                end_cursor=_cursor(context, cases[-1].seq) if cases else None,
            ),
        )


def reviewer_of(context: RequestContext) -> Reviewer:
    """What joins profiles here.

    Raises:
        ForbiddenError: Nothing does.
    """
    if context.services.reviewer is None:
        raise ForbiddenError("Profiles are not joined here.")
    return context.services.reviewer


async def shown_cases(info: Info, cases: list[ReviewCase]) -> list[IdentityCase]:
    """Cases with their profiles, which are read together."""
    context = info.context
    raw = info._raw_info  # noqa: SLF001 - plans are kept by the nodes' identity
    names = context.plan.names(raw.field_nodes, raw.return_type, "profile")
    wanted = list(dict.fromkeys(customer for case in cases for customer in case.customers))
    found = await context.services.gateway.by_ids(context.access, names, wanted) if wanted else {}
    profiles = {customer: shown_profile(values) for customer, values in _once(found).items()}
    shown = []
    for case in cases:
        mine = [profiles[each] for each in case.customers if each in profiles]
        if len(mine) == len(case.customers):
            shown.append(_shown(context, case, mine))
    return shown


def _once(found: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """The values by id, each of its own: one who was merged has the values of the other."""
    return {customer: dict(values) for customer, values in found.items()}


def _shown(context: RequestContext, case: ReviewCase, profiles: list[Profile]) -> IdentityCase:
    once = {str(vars(each)["document_id"]): each for each in profiles}
    evidence = told_of(context.access, case.evidence, once)
    return IdentityCase(
        id=strawberry.ID(case.id),
        kind=IdentityCaseKind(case.kind.value),
        state=IdentityCaseState(case.state.value),
        evidence=[IdentityEvidence(compared=each, level=level) for each, level in sorted(evidence.items())],
        score=case.score if len(evidence) == len(case.evidence) else None,
        opened_at=Timestamp(timestamp(case.opened_at)),
        customers=list(once.values()),
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
