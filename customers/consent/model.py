"""What a customer allows: consents per purpose and channel, objections and restriction, and what follows. Pure.

A consent may end by itself: whoever asks says what time it is, so that the next read feels it and nothing has to run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from policies import LawfulBasis, Purpose, Reason

EVERY_PURPOSE: Final = "*"
"""The purpose of a decision about restriction, which is about all of them."""


class ConsentState(StrEnum):
    """What a customer said about one purpose; silence means no."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    OBJECTION_WITHDRAWN = "objection_withdrawn"
    RESTRICTED = "restricted"
    RESTRICTION_LIFTED = "restriction_lifted"


RESTRICTIONS: Final = frozenset({ConsentState.RESTRICTED, ConsentState.RESTRICTION_LIFTED})


class Channel(StrEnum):
    """How a customer may be reached."""

    EMAIL = "email"
    SMS = "sms"
    PHONE = "phone"
    POST = "post"
    PUSH = "push"


Channels = Mapping[Channel, datetime | None]
"""The channels that a consent holds for, each with the moment at which it ends; None where it does not."""


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """One entry of a customer's consent ledger.

    `at` is when the customer decided; `source` names where (a form, an import, an agent), never a person.

    Attributes:
        purpose: About what; `EVERY_PURPOSE` of a restriction.
        state: What the customer said.
        at: When.
        source: Where.
        channel: For which channel alone; None for every one.
        notice: Which notice was shown, as `name:version:language`.
        expires_at: When a consent ends by itself.
        proof: What shows it, such as the form that was signed; sealed under the person's key wherever it is kept.
    """

    purpose: str
    state: ConsentState
    at: datetime
    source: str
    channel: Channel | None = None
    notice: str | None = None
    expires_at: datetime | None = None
    proof: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a customer's choices amount to, as kept on the profile document.

    Attributes:
        consented: Each purpose consented to; where that is not for every channel, `purpose@channel` beside it for each
            channel that it is for.
        objected: Each purpose objected to; `purpose@channel` for one channel alone.
        restricted: Whether only what survives a restriction may be done.
        until: When what is in `consented` ends, of those that end.
    """

    consented: frozenset[str] = frozenset()
    objected: frozenset[str] = frozenset()
    restricted: bool = False
    until: Mapping[str, datetime] = field(default_factory=dict, hash=False)

    @classmethod
    def of_document(cls, found: Mapping[str, Any]) -> "Rights":
        """The rights stored in a profile document's `rights`; anything missing counts against reading."""
        return cls(
            frozenset(found.get("consented", ())),
            frozenset(found.get("objected", ())),
            bool(found.get("restricted", True)),
            found.get("until") or {},
        )

    def document(self) -> dict[str, Any]:
        """The form that is stored; sorted, so that equal rights are equal documents."""
        return {
            "consented": sorted(self.consented),
            "objected": sorted(self.objected),
            "restricted": self.restricted,
            **({"until": dict(sorted(self.until.items()))} if self.until else {}),
        }

    @property
    def purposes(self) -> frozenset[str]:
        """The purposes consented to, for whatever channel and however long."""
        return frozenset(each for each in self.consented if "@" not in each)

    def channels(self, purpose: str) -> dict[Channel, datetime | None]:
        """For which channels there is a consent to a purpose, and until when; expired ones are among them."""
        if purpose not in self.consented:
            return {}
        named = {
            channel: self.until.get(_at(purpose, channel))
            for channel in Channel
            if _at(purpose, channel) in self.consented
        }
        return named or dict.fromkeys(Channel, self.until.get(purpose))

    def with_channels(self, changed: Mapping[str, Channels]) -> "Rights":
        """These rights with the consents to some purposes replaced; one for no channel is none."""
        gone = {name for purpose in changed for name in (purpose, *(_at(purpose, each) for each in Channel))}
        consented = set(self.consented - gone)
        until = {name: end for name, end in self.until.items() if name not in gone}
        for purpose, channels in changed.items():
            if not channels:
                continue
            consented.add(purpose)
            ends = [end for end in channels.values() if end is not None]
            if len(ends) == len(channels):
                until[purpose] = max(ends)
            if len(channels) < len(Channel) or len(set(channels.values())) > 1:
                consented |= {_at(purpose, channel) for channel in channels}
                until |= {_at(purpose, channel): end for channel, end in channels.items() if end is not None}
        return replace(self, consented=frozenset(consented), until=until)

    def allows(self, purpose: Purpose, channel: Channel, now: datetime) -> bool:
        """Whether the customer may be reached in this way for this purpose now."""
        if refusal(self, purpose, now) is not None:
            return False
        if stopped_by_objection(purpose) and any(_at(each, channel) in self.objected for each in purpose.lineage):
            return False
        if purpose.basis is not LawfulBasis.CONSENT:
            return True
        channels = self.channels(purpose.name)
        return channel in channels and not _over(channels[channel], now)

    def after(
        self, decision: ConsentDecision, purposes: Mapping[str, Purpose], standing: Iterable[Mapping[str, Any]] = ()
    ) -> "Rights":
        """These rights once `decision` holds, given every purpose there is.

        What was decided later (of `standing`, the present decisions) of a purpose below is not taken away by it.

        A consent covers the purpose and those below it that existed when it was given, so a purpose added later is
        not consented to by anyone. An objection also ends a consent for the same purposes, and only its own
        withdrawal ends an objection: no consent does, whoever records it.
        """
        if decision.state in RESTRICTIONS:
            return replace(self, restricted=decision.state is ConsentState.RESTRICTED)
        covered = {name for name, purpose in purposes.items() if decision.purpose in purpose.lineage}
        channels = tuple(Channel) if decision.channel is None else (decision.channel,)
        rights = self
        if decision.state is ConsentState.GRANTED:
            given = dict.fromkeys(channels, decision.expires_at)
            return self.with_channels({each: {**self.channels(each), **given} for each in covered})
        if decision.state in (ConsentState.WITHDRAWN, ConsentState.OBJECTED):
            later = {each["purpose"] for each in standing if _concerns(each, decision)}
            taken = {each for each in covered & self.consented if later.isdisjoint(purposes[each].lineage)}
            left = {each: _without(self.channels(each), channels) for each in taken}
            rights = self.with_channels(left)
        objected = self.objected
        if decision.state is ConsentState.OBJECTED:
            objected |= {_at(decision.purpose, decision.channel)}
        if decision.state is ConsentState.OBJECTION_WITHDRAWN:
            objected -= {_at(each, decision.channel) for each in covered}
            if decision.channel is None:
                objected -= {_at(each, channel) for each in covered for channel in Channel}
        return replace(rights, objected=objected)


def _at(purpose: str, channel: Channel | None) -> str:
    return purpose if channel is None else f"{purpose}@{channel.value}"


def _without(channels: Channels, gone: Iterable[Channel]) -> Channels:
    return {channel: end for channel, end in channels.items() if channel not in gone}


def _over(end: datetime | None, now: datetime) -> bool:
    return end is not None and end <= now


def both(mine: Channels, theirs: Channels) -> Channels:
    """What two consents both allow: the channels of both, each until the first of the two ends."""
    return {channel: _first(end, theirs[channel]) for channel, end in mine.items() if channel in theirs}


def either(mine: Channels, theirs: Channels) -> Channels:
    """What one of two consents allows: the channels of either, each until the last of the two ends."""
    found = dict(mine)
    for channel, end in theirs.items():
        held = found.get(channel, end)
        found[channel] = None if held is None or end is None else max(held, end)
    return found


def _first(one: datetime | None, other: datetime | None) -> datetime | None:
    return other if one is None else one if other is None else min(one, other)


def outdated(
    decision: ConsentDecision, standing: Iterable[Mapping[str, Any]], purposes: Mapping[str, Purpose]
) -> bool:
    """Whether the customer has decided later than this, so that it changes nothing.

    A consent is outdated by any later decision about its purpose, or one above or below it; a withdrawal by one about its
    purpose or one above; an objection only by a later one, or its withdrawal, as no consent ends it. Decisions about
    different channels have nothing to do with each other, and those about restriction with none else.

    Args:
        decision: What is told of now, perhaps late.
        standing: The present decisions, each with `purpose` and `at`.
        purposes: Every purpose there is.
    """
    if decision.purpose == EVERY_PURPOSE:
        mine = {EVERY_PURPOSE}
    else:
        mine = set(purposes[decision.purpose].lineage)
        if decision.state not in (ConsentState.WITHDRAWN, ConsentState.OBJECTED):
            mine |= {name for name, purpose in purposes.items() if decision.purpose in purpose.lineage}
    return any(
        each["purpose"] in mine
        and _concerns(each, decision)
        and (decision.state is not ConsentState.OBJECTED or each["state"] in _ABOUT_OBJECTIONS)
        for each in standing
    )


_ABOUT_OBJECTIONS = frozenset({ConsentState.OBJECTED, ConsentState.OBJECTION_WITHDRAWN})


def _concerns(later: Mapping[str, Any], decision: ConsentDecision) -> bool:
    """Whether a present decision is a later one, about the same channel."""
    same = decision.channel is None or later.get("channel") in (None, decision.channel)
    return bool(same and later["at"] > decision.at)


# An objection (GDPR Art. 21) stops these; the other bases do not rest on the customer's agreement.
_OBJECTABLE = frozenset({LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS})


def stopped_by_objection(purpose: Purpose) -> bool:
    """Whether an objection stops this purpose: always where it is direct marketing (GDPR Art. 21(3))."""
    return purpose.direct_marketing or purpose.basis in _OBJECTABLE


def refusal(rights: Rights, purpose: Purpose, now: datetime) -> Reason | None:
    """Why these rights forbid use for `purpose` at this moment, or None where they allow it.

    An objection to `marketing` stops every purpose below it too. Restriction (GDPR Art. 18) leaves only the purposes
    that say they survive it. A consent that has expired is none.
    """
    if rights.restricted and not purpose.survives_restriction:
        return Reason.RESTRICTED
    if stopped_by_objection(purpose) and not rights.objected.isdisjoint(purpose.lineage):
        return Reason.OBJECTION
    if purpose.basis is LawfulBasis.CONSENT and (
        purpose.name not in rights.consented or _over(rights.until.get(purpose.name), now)
    ):
        return Reason.CONSENT
    return None


def allowed_documents(purpose: Purpose, now: datetime) -> dict[str, Any]:
    """The query for profile documents whose rights allow `purpose` now: `refusal` said as a filter.

    A filter or a sort order uses a field of every customer it looks at, so customers who said no are left out of it;
    otherwise the answer would tell what was withheld.
    """
    query: dict[str, Any] = {}
    if not purpose.survives_restriction:
        query["rights.restricted"] = False
    if stopped_by_objection(purpose):
        query["rights.objected"] = {"$nin": list(purpose.lineage)}
    if purpose.basis is LawfulBasis.CONSENT:
        query["rights.consented"] = purpose.name
        # True of whoever has no such date, too: of most.
        query[f"rights.until.{purpose.name}"] = {"$not": {"$lte": now}}
    return query
