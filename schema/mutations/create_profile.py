"""The mutation `createProfile`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry

from customers.consent.model import Channel, ConsentDecision, ConsentState
from schema.context import Info
from schema.errors import InputInvalidError
from schema.mutations.identifier import IdentifierInput, identifier_of
from schema.mutations.payload import ProfilePayload, profile_payload
from schema.mutations.profile_values import ProfileValues, given
from schema.permission import needs
from schema.scalars import Timestamp, moment
from schema.types.consent import ConsentChannel, consents_of

_MOST = 50
_LONGEST_PROOF = 10_000


@strawberry.input(description="A consent that the customer gave.")
class ConsentInput:
    """A purpose, where and when it was consented to, on what, and what shows it."""

    purpose: str = strawberry.field(description="The purpose consented to.")
    source: str = strawberry.field(description="Where the customer decided, such as a form's name.")
    at: Timestamp | None = strawberry.field(default=None, description="When; by default now.")
    channel: ConsentChannel | None = strawberry.field(
        default=None, description="The channel it is about; by default every one."
    )
    notice: str | None = strawberry.field(
        default=None, description="The notice the customer was shown, as name:version:language; it must be published."
    )
    expires_at: Timestamp | None = strawberry.field(
        default=None, description="When the consent ends by itself; by default never."
    )
    proof: str | None = strawberry.field(
        default=None,
        description="What proves it, such as the text of a signed form; at most 10,000 characters. Kept under the "
        "customer's own key.",
    )


@strawberry.input(description="A new profile.")
class CreateProfileInput:
    """Values, further identifiers and consents."""

    values: ProfileValues = strawberry.field(description="The fields that have values.")
    identifiers: list[IdentifierInput] = strawberry.field(
        default_factory=list, description="Identifiers besides the primary e-mail address and phone number."
    )
    consents: list[ConsentInput] = strawberry.field(
        default_factory=list, description="What the customer consented to. What is not here is not consented to."
    )


@strawberry.mutation(
    description="Create a profile. All of it is written or nothing; an identifier that another profile has is refused, "
    "so a retry does not make a second one.",
    directives=needs("write", "profile.*"),
)
async def create_profile(
    info: Info,
    input: Annotated[CreateProfileInput, strawberry.argument(description="The new profile.")],  # noqa: A002
) -> ProfilePayload:
    """Create one profile and show it as the caller may see it."""
    writer = info.context.services.writer
    if len(input.identifiers) > _MOST or len(input.consents) > _MOST:
        raise InputInvalidError("A profile is created with at most 50 identifiers and 50 consents.")
    decisions = [consent_of(each, ConsentState.GRANTED, info.context.services.now()) for each in input.consents]
    await check_notices(info, decisions)
    draft = writer.draft(
        given(input.values),
        [identifier_of(writer, each) for each in input.identifiers],
        decisions,
    )
    (customer_id,) = await writer.create(info.context.access, [draft])
    return await profile_payload(info, customer_id)


def consent_of(given_consent: ConsentInput, state: ConsentState, now: datetime) -> ConsentDecision:
    """The decision that an input tells of."""
    source = given_consent.source.strip()
    if not 1 <= len(source) <= 200:  # noqa: PLR2004 - said in the message
        raise InputInvalidError("A consent's source has 1 to 200 characters.", field="source")
    at = moment(given_consent.at, "at") or now
    if at > now:
        raise InputInvalidError("A decision cannot lie in the future.", field="at")
    proof = given_consent.proof
    if proof is not None and not 1 <= len(proof) <= _LONGEST_PROOF:
        raise InputInvalidError("A proof has 1 to 10,000 characters.", field="proof")
    return ConsentDecision(
        given_consent.purpose,
        state,
        at,
        source,
        channel=None if given_consent.channel is None else Channel(str(given_consent.channel.value)),
        notice=given_consent.notice,
        expires_at=moment(given_consent.expires_at, "expiresAt"),
        proof=proof,
    )


async def check_notices(info: Info, decisions: Sequence[ConsentDecision]) -> None:
    """Refuse decisions that name a notice which was never published."""
    if any(each.notice is not None for each in decisions):
        await consents_of(info.context).check_notices(decisions)
