"""What people decided, as GraphQL shows it: the ledger, counts, receipts and the notices they were shown."""

from enum import Enum
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from audit import timestamp
from customers.consent.counting import ConsentCount as Count
from customers.consent.model import Channel
from customers.consent.notices import Notice
from customers.consent.service import ConsentService, ShownEntry
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError, ForbiddenError, NotFoundError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.scalars import Timestamp
from schema.types.page import PageInfo

_CURSOR = "consent_ledger"

Customer = Annotated[strawberry.ID, strawberry.argument(description="Whose.")]


@strawberry.enum(description="A way to reach a customer.")
class ConsentChannel(Enum):
    """The GraphQL names of the channels."""

    EMAIL = strawberry.enum_value(Channel.EMAIL.value, description="E-mail.")
    SMS = strawberry.enum_value(Channel.SMS.value, description="Text messages.")
    PHONE = strawberry.enum_value(Channel.PHONE.value, description="Calls.")
    POST = strawberry.enum_value(Channel.POST.value, description="Letters.")
    PUSH = strawberry.enum_value(Channel.PUSH.value, description="Notifications of apps.")


@strawberry.type(description="One decision of a customer, as it was written down.")
class ConsentLedgerEntry:
    """One entry of the ledger."""

    id: strawberry.ID = structural("Its name, for `consentReceipt`.")
    purpose: str = structural("The purpose it is about; * of a restriction.")
    channel: ConsentChannel | None = structural("The channel it is about; null for every one.")
    state: str = structural("granted, withdrawn, objected, objection_withdrawn, restricted or restriction_lifted.")
    at: Timestamp = structural("When the customer decided.")
    recorded_at: Timestamp | None = structural("When it was written down, where that is known.")
    expires_at: Timestamp | None = structural("When a consent ends by itself.")
    source: str = structural("Where the customer decided, such as a form's name.")
    notice: str | None = structural("Which notice the customer was shown, as name:version:language.")
    proof: str | None = structural("What proves it.")


@strawberry.type(description="A page of a customer's ledger.")
class ConsentLedgerConnection:
    """Relay's connection."""

    nodes: list[ConsentLedgerEntry] = structural("The decisions, the latest first.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="How many customers last said one thing about one purpose.")
class ConsentCount:
    """One count."""

    purpose: str = structural("The purpose; * of restrictions.")
    channel: ConsentChannel | None = structural("The channel it was said about; null for every one.")
    state: str = structural("What they said; expired of a consent that has ended.")
    customers: int | None = structural("How many; null where it is too few to tell.")
    told: str = structural("How many in words: a number, or fewer than 11.")


@strawberry.type(description="What customers have decided, in numbers.")
class ConsentCounts:
    """All counts."""

    counted_at: Timestamp = structural("When they were counted: up to five minutes ago.")
    counts: list[ConsentCount] = structural("By purpose, channel and state. What nobody has said is not there.")


@strawberry.type(description="A text that people were shown before they decided. It never changes.")
class ConsentNotice:
    """One notice."""

    reference: str = structural("How decisions name it: name:version:language.")
    name: str = structural("What it is.")
    version: str = structural("Which wording.")
    language: str = structural("In which language, as a language tag.")
    text: str = structural("Word for word.")
    sha256: str = structural("The SHA-256 of the text's UTF-8, in hexadecimal.")
    published_at: Timestamp = structural("When it was first kept.")


@strawberry.type(description="What there is to see of consent.")
class ConsentQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="Everything a customer decided, the latest first, with what they were shown and what proves it. For "
        "the customer and whoever answers for them; recorded as a read.",
        directives=needs("export", "profile.consents"),
    )
    async def consent_ledger(
        self,
        info: Info,
        customer: Customer,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
    ) -> ConsentLedgerConnection | None:
        """One page; null where there is nobody whom the caller may see so."""
        context = info.context
        page = await consents_of(context).ledger(
            context.access, str(customer), first=first_of(first), after=_position(context, str(customer), after)
        )
        if page is None:
            return None
        ends = [_cursor(context, str(customer), each.entry.id) for each in page.entries]
        return ConsentLedgerConnection(
            nodes=[_shown(each) for each in page.entries],
            page_info=PageInfo(
                has_next_page=page.more,
                has_previous_page=after is not None,
                start_cursor=ends[0] if ends else None,
                end_cursor=ends[-1] if ends else None,
            ),
        )

    @strawberry.field(
        description="How many customers last said what about each purpose. Whoever may only count by "
        "privacy choices, and not see them, is told no number below 11.",
        directives=needs("filter", "profile.consents"),
    )
    async def consent_counts(self, info: Info) -> ConsentCounts:
        """All counts that the caller may see."""
        counted = await consents_of(info.context).counts(info.context.access)
        return ConsentCounts(
            counted_at=Timestamp(timestamp(counted.at)), counts=[_counted(each) for each in counted.counts]
        )

    @strawberry.field(
        description="The receipt of one decision, to keep and to show: ISO/IEC TS 27560 in JSON-LD, in the terms of the "
        "W3C Data Privacy Vocabulary. For the customer and whoever answers for them; recorded as a read.",
        directives=needs("export", "profile.consents"),
    )
    async def consent_receipt(
        self,
        info: Info,
        customer: Customer,
        entry: Annotated[strawberry.ID, strawberry.argument(description="The decision, by its name in the ledger.")],
    ) -> JSON:
        """One receipt."""
        context = info.context
        found = await consents_of(context).receipt(context.access, str(customer), str(entry))
        if found is None:
            raise NotFoundError
        return JSON(found)

    @strawberry.field(description="The texts that people were shown before they decided: every version of each.")
    async def consent_notices(self, info: Info) -> list[ConsentNotice]:
        """Every notice; for whoever states a purpose."""
        _ = info.context.access
        return [shown_notice(each) for each in await consents_of(info.context).notices()]


def consents_of(context: RequestContext) -> ConsentService:
    """What keeps consents here.

    Raises:
        ForbiddenError: Nothing does.
    """
    if context.services.consents is None:
        raise ForbiddenError("No consents are kept here.")
    return context.services.consents


def shown_notice(notice: Notice) -> ConsentNotice:
    """A notice as it is shown."""
    return ConsentNotice(
        reference=notice.reference,
        name=notice.name,
        version=notice.version,
        language=notice.language,
        text=notice.text,
        sha256=notice.sha256,
        published_at=Timestamp(timestamp(notice.published_at)),
    )


def _shown(shown: ShownEntry) -> ConsentLedgerEntry:
    entry, decision = shown.entry, shown.entry.decision
    recorded, expires = entry.recorded_at, decision.expires_at
    return ConsentLedgerEntry(
        id=strawberry.ID(entry.id),
        purpose=decision.purpose,
        channel=None if decision.channel is None else ConsentChannel(decision.channel.value),
        state=decision.state.value,
        at=Timestamp(timestamp(decision.at)),
        recorded_at=None if recorded is None else Timestamp(timestamp(recorded)),
        expires_at=None if expires is None else Timestamp(timestamp(expires)),
        source=decision.source,
        notice=decision.notice,
        proof=shown.proof,
    )


def _counted(count: Count) -> ConsentCount:
    return ConsentCount(
        purpose=count.purpose,
        channel=None if count.channel is None else ConsentChannel(count.channel),
        state=count.state,
        customers=count.customers,
        told="fewer than 11" if count.customers is None else str(count.customers),
    )


def _binding(context: RequestContext, customer: str) -> bytes:
    return f"{_CURSOR} {context.caller.actor} {context.access.grant.purpose.name} {customer}".encode()


def _cursor(context: RequestContext, customer: str, entry: str) -> str:
    return context.services.vault.seal_token("cursor", entry.encode(), _binding(context, customer))


def _position(context: RequestContext, customer: str, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        return context.services.vault.open_token("cursor", cursor, _binding(context, customer)).decode()
    except ValueError:
        raise CursorInvalidError from None
