"""Privacy requests, as GraphQL shows them."""

import hashlib
from datetime import datetime
from enum import Enum
from typing import Annotated

import msgspec
import strawberry

from audit import timestamp
from customers.access import Access
from customers.rights.requests import (
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Queued,
    Regime,
    RequestService,
    ShownRequest,
    State,
    Verification,
)
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError, ForbiddenError, InputInvalidError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.scalars import Timestamp
from schema.types.page import PageInfo
from vault import TokenInvalidError


@strawberry.enum(description="What is asked for.")
class PrivacyRequestKind(Enum):
    """The GraphQL names of the kinds."""

    ACCESS = strawberry.enum_value(Kind.ACCESS.value, description="What is kept, and who saw it (GDPR Art. 15).")
    PORTABILITY = strawberry.enum_value(Kind.PORTABILITY.value, description="A copy to take along (GDPR Art. 20).")
    RECTIFICATION = strawberry.enum_value(Kind.RECTIFICATION.value, description="Putting it right (GDPR Art. 16).")
    ERASURE = strawberry.enum_value(Kind.ERASURE.value, description="Erasing everything (GDPR Art. 17).")
    RESTRICTION = strawberry.enum_value(Kind.RESTRICTION.value, description="Using it no more (GDPR Art. 18).")
    OBJECTION = strawberry.enum_value(Kind.OBJECTION.value, description="Objecting to purposes (GDPR Art. 21).")
    OPT_OUT = strawberry.enum_value(
        Kind.OPT_OUT.value, description="No sale and no sharing (Cal. Civ. Code § 1798.120)."
    )


@strawberry.enum(description="The law whose terms hold.")
class PrivacyRegime(Enum):
    """The GraphQL names of the regimes."""

    GDPR = strawberry.enum_value(Regime.GDPR.value, description="One month, and two more with notice.")
    CPRA = strawberry.enum_value(
        Regime.CPRA.value,
        description="Confirmed within 10 business days, answered within 45 days, and 45 more with notice.",
    )


@strawberry.enum(description="How far a request has come.")
class PrivacyRequestState(Enum):
    """The GraphQL names of the states."""

    RECEIVED = strawberry.enum_value(State.RECEIVED.value, description="It is here; who asks is not verified yet.")
    CONFIRMED = strawberry.enum_value(State.CONFIRMED.value, description="It is known who asks, and they know of it.")
    IN_PROGRESS = strawberry.enum_value(State.IN_PROGRESS.value, description="Somebody works on it.")
    COMPLETED = strawberry.enum_value(State.COMPLETED.value, description="It is met.")
    DENIED = strawberry.enum_value(State.DENIED.value, description="It was refused, with the law that allows it.")
    CANCELLED = strawberry.enum_value(State.CANCELLED.value, description="It was taken back.")


@strawberry.enum(description="How it is known who asks.")
class PrivacyVerification(Enum):
    """The GraphQL names of the ways."""

    SIGNED_IN = strawberry.enum_value(Verification.SIGNED_IN.value, description="They were signed in.")
    CONTACT = strawberry.enum_value(Verification.CONTACT.value, description="They answered at an address we knew.")
    DOCUMENT = strawberry.enum_value(Verification.DOCUMENT.value, description="They showed a document.")
    AUTHORITY = strawberry.enum_value(Verification.AUTHORITY.value, description="Their agent showed its authority.")
    SENDER = strawberry.enum_value(Verification.SENDER.value, description="A trusted system handed it on.")
    NOT_NEEDED = strawberry.enum_value(Verification.NOT_NEEDED.value, description="Anybody may opt out.")
    OWN_MOTION = strawberry.enum_value(
        Verification.OWN_MOTION.value, description="Those who answer for privacy erase by a decision of their own."
    )


@strawberry.enum(description="Why a request takes longer; the person was told.")
class PrivacyExtension(Enum):
    """The GraphQL names of the reasons."""

    COMPLEXITY = strawberry.enum_value(Extension.COMPLEXITY.value, description="It is complex.")
    NUMBER = strawberry.enum_value(Extension.NUMBER.value, description="There are many.")


@strawberry.enum(description="Why a request is refused. Which hold depends on its kind and the law.")
class PrivacyDenial(Enum):
    """The GraphQL names of the reasons."""

    IDENTITY_NOT_VERIFIED = strawberry.enum_value(
        Denial.IDENTITY_NOT_VERIFIED.value, description="Who asks cannot be verified."
    )
    AGENT_NOT_AUTHORISED = strawberry.enum_value(
        Denial.AGENT_NOT_AUTHORISED.value, description="Who asks for the person showed no authority."
    )
    UNFOUNDED = strawberry.enum_value(Denial.UNFOUNDED.value, description="It is manifestly unfounded.")
    EXCESSIVE = strawberry.enum_value(Denial.EXCESSIVE.value, description="It is manifestly excessive.")
    LEGAL_OBLIGATION = strawberry.enum_value(Denial.LEGAL_OBLIGATION.value, description="The law demands the data.")
    LEGAL_CLAIMS = strawberry.enum_value(Denial.LEGAL_CLAIMS.value, description="Legal claims need the data.")
    FREE_EXPRESSION = strawberry.enum_value(Denial.FREE_EXPRESSION.value, description="Free expression needs it.")
    RIGHTS_OF_OTHERS = strawberry.enum_value(Denial.RIGHTS_OF_OTHERS.value, description="Others would be harmed.")
    NOT_AUTOMATED = strawberry.enum_value(
        Denial.NOT_AUTOMATED.value, description="It rests on neither consent nor contract, or is on paper."
    )
    OVERRIDING_GROUNDS = strawberry.enum_value(
        Denial.OVERRIDING_GROUNDS.value, description="Compelling grounds override the objection."
    )
    DATA_ACCURATE = strawberry.enum_value(Denial.DATA_ACCURATE.value, description="The data is right as it is.")


@strawberry.type(description="One step of a request.")
class PrivacyRequestStep:
    """One step."""

    at: Timestamp = structural("When.")
    what: str = structural("opened, joined, confirmed, begun, extended, held, released, agreed, completed, denied, …")
    entry: strawberry.ID | None = structural("The entry of the access log that proves it.")


@strawberry.type(description="What was said with a request.")
class PrivacyRequestWords:
    """Words that are sealed."""

    at: Timestamp = structural("When.")
    reason: str | None = structural("What was said.")
    agent: str | None = structural("Who asked for the person, where it was not they themselves.")


@strawberry.type(
    name="PrivacyRequest", description="A request under a privacy law. Once the person is erased, the proof of it."
)
class PrivacyRequestType:
    """One request."""

    id: strawberry.ID = structural("Its name.")
    kind: PrivacyRequestKind = structural("What is asked for.")
    regime: PrivacyRegime = structural("The law whose terms hold.")
    state: PrivacyRequestState = structural("How far it has come.")
    customer: strawberry.ID | None = structural("Whose data it is about; null once they are erased.")
    source: str = structural("Where it came in.")
    agent: bool = structural("Whether somebody asks for the person.")
    received_at: Timestamp = structural("When it came in.")
    due_at: Timestamp = structural("Until when it must be answered.")
    confirm_by: Timestamp | None = structural("Until when its receipt must be confirmed, where the law says so.")
    overdue: bool = structural("Whether it is open and late.")
    extendable: bool = structural("Whether it can be extended.")
    hold: bool = structural("Whether the data must be kept for now.")
    verification: PrivacyVerification | None = structural("How it is known who asks.")
    extension: PrivacyExtension | None = structural("Why it takes longer.")
    denial: PrivacyDenial | None = structural("Why it was refused.")
    law: str | None = structural("The law that allows the refusal.")
    agreed_by: str | None = structural("Who completed it first, where two persons have to.")
    result: strawberry.ID | None = structural("The certificate of an erasure, or the id of an export.")
    closed_at: Timestamp | None = structural("When it ended.")
    keep_until: Timestamp | None = structural("Until when the proof of it is kept.")
    steps: list[PrivacyRequestStep] = structural("What was done, oldest first.")
    purposes: list[str] = structural("What an objection is about; shown with one request and to the person.")
    words: list[PrivacyRequestWords] = structural("What was said; shown with one request and to the person.")


@strawberry.type(description="A page of requests, the one that is due first first.")
class PrivacyRequestConnection:
    """Relay's connection, without edges."""

    nodes: list[PrivacyRequestType] = structural("The requests.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.input(description="Which requests to list.")
class PrivacyRequestFilter:
    """The filter."""

    state: PrivacyRequestState | None = strawberry.field(
        default=None, description="In this state; those that are open where none is given."
    )
    kind: PrivacyRequestKind | None = strawberry.field(default=None, description="Of this kind.")
    due_before: Timestamp | None = strawberry.field(default=None, description="Due before this moment.")


@strawberry.type(description="What there is to see of privacy requests.")
class PrivacyRequestQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="Requests by when they are due, for whoever answers for privacy; recorded as a read.",
        directives=needs("write", "profile.consents"),
    )
    async def privacy_requests(
        self,
        info: Info,
        filter: Annotated[  # noqa: A002 - the API's name
            PrivacyRequestFilter | None, strawberry.argument(description="Which; the open ones where none is given.")
        ] = None,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
    ) -> PrivacyRequestConnection:
        """One page of the queue."""
        context, queued = info.context, _queued(filter)
        place = _position(context, after, queued)
        page = await requests_of(context).queue(context.access, queued, place, first_of(first))
        return PrivacyRequestConnection(
            nodes=[shown_request(context, each) for each in page.requests],
            page_info=PageInfo(
                has_next_page=page.end is not None,
                has_previous_page=after is not None,
                start_cursor=None,
                end_cursor=None if page.end is None else _cursor(context, page.end, queued),
            ),
        )

    @strawberry.field(
        description="One request with everything that was said, for whoever answers for privacy; recorded as a read.",
        directives=needs("write", "profile.consents"),
    )
    async def privacy_request(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="Which.")],  # noqa: A002
    ) -> PrivacyRequestType:
        """One request."""
        return _with_words(info.context, await requests_of(info.context).get(info.context.access, str(id)))

    @strawberry.field(
        description="One customer's requests with everything that was said, the latest first, for whoever answers for "
        "privacy; recorded as a read.",
        directives=needs("write", "profile.consents"),
    )
    async def privacy_requests_of(
        self,
        info: Info,
        customer: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
    ) -> list[PrivacyRequestType]:
        """One person's."""
        found = await requests_of(info.context).list_of(info.context.access, str(customer))
        return [_with_words(info.context, each) for each in found]

    @strawberry.field(
        description="The caller's own requests, the latest first.", directives=needs("read", "profile.consents")
    )
    async def my_privacy_requests(self, info: Info) -> list[PrivacyRequestType]:
        """The person's own."""
        context = info.context
        access = context.access
        if access.caller.customer_id is None:
            raise ForbiddenError("Only a customer has requests of their own.")
        found = await requests_of(context).list_of(access, access.caller.customer_id)
        return [_with_words(context, each) for each in found]


def requests_of(context: RequestContext) -> RequestService:
    """What keeps requests here.

    Raises:
        ForbiddenError: Nothing does.
    """
    if context.services.requests is None:
        raise ForbiddenError("No privacy requests are kept here.")
    return context.services.requests


def shown_request(context: RequestContext, request: PrivacyRequest) -> PrivacyRequestType:
    """A request as it is shown, without what is sealed of it."""
    return PrivacyRequestType(
        id=strawberry.ID(request.id),
        kind=PrivacyRequestKind[request.kind.name],
        regime=PrivacyRegime[request.regime.name],
        state=PrivacyRequestState[request.state.name],
        customer=None if request.customer_id is None else strawberry.ID(request.customer_id),
        source=request.source,
        agent=request.agent,
        received_at=Timestamp(timestamp(request.received_at)),
        due_at=Timestamp(timestamp(request.due_at)),
        confirm_by=_moment(request.confirm_by),
        overdue=request.open and request.due_at < context.services.now(),
        extendable=request.longest is not None and request.due_at >= context.services.now(),
        hold=request.hold,
        verification=None if request.verification is None else PrivacyVerification[request.verification.name],
        extension=None if request.extension is None else PrivacyExtension[request.extension.name],
        denial=None if request.denial is None else PrivacyDenial[request.denial.name],
        law=request.law,
        agreed_by=request.agreed_by,
        result=None if request.result is None else strawberry.ID(request.result),
        closed_at=_moment(request.closed_at),
        keep_until=_moment(request.keep_until),
        steps=[
            PrivacyRequestStep(
                at=Timestamp(timestamp(each.at)),
                what=each.what.value,
                entry=None if each.entry is None else strawberry.ID(each.entry),
            )
            for each in request.steps
        ],
        purposes=[],
        words=[],
    )


def _with_words(context: RequestContext, shown: ShownRequest) -> PrivacyRequestType:
    made = shown_request(context, shown.request)
    made.purposes = list(shown.purposes)
    made.words = [
        PrivacyRequestWords(at=Timestamp(each.at), reason=each.reason, agent=each.agent) for each in shown.told
    ]
    return made


def _moment(at: datetime | None) -> Timestamp | None:
    return None if at is None else Timestamp(timestamp(at))


def _queued(wanted: PrivacyRequestFilter | None) -> Queued:
    if wanted is None:
        return Queued()
    before = None
    if wanted.due_before is not None:
        try:
            before = datetime.fromisoformat(str(wanted.due_before))
        except ValueError:
            before = None
        if before is None or before.tzinfo is None:
            raise InputInvalidError("`dueBefore` must be a moment with a time zone.", field="dueBefore")
    return Queued(
        state=None if wanted.state is None else State(str(wanted.state.value)),
        kind=None if wanted.kind is None else Kind(str(wanted.kind.value)),
        due_before=before,
    )


def _binding(access: Access, queued: Queued) -> bytes:
    """What a cursor is bound to: this caller, this purpose, this filter."""
    shape = ["privacy_requests", access.caller.actor, access.grant.purpose.name, queued.state, queued.kind]
    return hashlib.sha256(msgspec.json.encode([*shape, queued.due_before])).digest()


def _cursor(context: RequestContext, place: str, queued: Queued) -> str:
    return context.services.vault.seal_token("cursor", place.encode(), _binding(context.access, queued))


def _position(context: RequestContext, after: str | None, queued: Queued) -> str | None:
    if after is None:
        return None
    try:
        return context.services.vault.open_token("cursor", after, _binding(context.access, queued)).decode()
    except TokenInvalidError:
        raise CursorInvalidError from None
