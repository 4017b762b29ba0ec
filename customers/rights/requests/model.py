"""What a privacy request is, and how it may go on: a state machine. Pure.

    received → confirmed → in_progress → completed
                 each of the three    → denied | cancelled

Every step gives the request as it is afterwards or raises RequestStateError. What a step is proved by, its entry of the
access log, is added once it is there (`PrivacyRequest.noted`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from customers.rights.requests.errors import (
    RequestHeldError,
    RequestStateError,
    SecondPersonNeededError,
)


class Kind(StrEnum):
    """What is asked for. The values of this and the other enums here are stored; none may be changed or reused."""

    ACCESS = "access"
    PORTABILITY = "portability"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    OPT_OUT = "opt_out"


class Regime(StrEnum):
    """The law whose terms hold."""

    GDPR = "gdpr"
    CPRA = "cpra"


class State(StrEnum):
    """How far a request has come."""

    RECEIVED = "received"
    CONFIRMED = "confirmed"
    """It is known who asks, and they know that it was received."""
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DENIED = "denied"
    CANCELLED = "cancelled"


_PROGRAM: Final = "service:"
"""What begins the names of service accounts (`customers.caller`)."""
OPEN: Final = frozenset({State.RECEIVED, State.CONFIRMED, State.IN_PROGRESS})


class Verification(StrEnum):
    """How it became known that it is the person who asks, or somebody whom they sent."""

    SIGNED_IN = "signed_in"
    CONTACT = "contact"
    """They answered at an address or number that was known before."""
    DOCUMENT = "document"
    AUTHORITY = "authority"
    """An authorised agent showed their authority, and the person confirmed it (11 CCR § 7063)."""
    SENDER = "sender"
    """A system that is trusted, such as a shop, handed it on."""
    NOT_NEEDED = "not_needed"
    """For what the law wants done without asking who it is."""
    OWN_MOTION = "own_motion"
    """Nobody has to show who they are: those who answer for privacy erase by a decision of their own."""


class Extension(StrEnum):
    """Why it takes longer (GDPR Art. 12(3))."""

    COMPLEXITY = "complexity"
    NUMBER = "number"


class Denial(StrEnum):
    """Why a request is refused."""

    IDENTITY_NOT_VERIFIED = "identity_not_verified"
    AGENT_NOT_AUTHORISED = "agent_not_authorised"
    UNFOUNDED = "unfounded"
    EXCESSIVE = "excessive"
    LEGAL_OBLIGATION = "legal_obligation"
    LEGAL_CLAIMS = "legal_claims"
    FREE_EXPRESSION = "free_expression"
    RIGHTS_OF_OTHERS = "rights_of_others"
    NOT_AUTOMATED = "not_automated"
    OVERRIDING_GROUNDS = "overriding_grounds"
    DATA_ACCURATE = "data_accurate"


_ERASURE: Final = frozenset({Kind.ERASURE})
_COPIES: Final = frozenset({Kind.ACCESS, Kind.PORTABILITY})

# Of each reason: for which kinds it holds (all where None is said), and the law that allows it, by regime.
_DENIALS: Final[Mapping[Denial, tuple[frozenset[Kind] | None, Mapping[Regime, str]]]] = {
    Denial.IDENTITY_NOT_VERIFIED: (
        None,
        {Regime.GDPR: "GDPR Art. 12(2), 12(6)", Regime.CPRA: "11 CCR § 7060"},
    ),
    Denial.AGENT_NOT_AUTHORISED: (None, {Regime.GDPR: "GDPR Art. 12(6)", Regime.CPRA: "11 CCR § 7063"}),
    Denial.UNFOUNDED: (
        None,
        {Regime.GDPR: "GDPR Art. 12(5)(b)", Regime.CPRA: "Cal. Civ. Code § 1798.145(h)(3)"},
    ),
    Denial.EXCESSIVE: (
        None,
        {Regime.GDPR: "GDPR Art. 12(5)(b)", Regime.CPRA: "Cal. Civ. Code § 1798.145(h)(3)"},
    ),
    Denial.LEGAL_OBLIGATION: (
        _ERASURE,
        {Regime.GDPR: "GDPR Art. 17(3)(b)", Regime.CPRA: "Cal. Civ. Code § 1798.105(d)(8)"},
    ),
    Denial.LEGAL_CLAIMS: (
        frozenset({Kind.ERASURE, Kind.OBJECTION}),
        {Regime.GDPR: "GDPR Art. 17(3)(e), 21(1)", Regime.CPRA: "Cal. Civ. Code § 1798.145(a)"},
    ),
    Denial.FREE_EXPRESSION: (
        _ERASURE,
        {Regime.GDPR: "GDPR Art. 17(3)(a)", Regime.CPRA: "Cal. Civ. Code § 1798.105(d)(4)"},
    ),
    Denial.RIGHTS_OF_OTHERS: (
        _COPIES,
        {Regime.GDPR: "GDPR Art. 15(4), 20(4)", Regime.CPRA: "Cal. Civ. Code § 1798.145(k)"},
    ),
    Denial.NOT_AUTOMATED: (frozenset({Kind.PORTABILITY}), {Regime.GDPR: "GDPR Art. 20(1)"}),
    Denial.OVERRIDING_GROUNDS: (frozenset({Kind.OBJECTION}), {Regime.GDPR: "GDPR Art. 21(1)"}),
    Denial.DATA_ACCURATE: (
        frozenset({Kind.RECTIFICATION, Kind.RESTRICTION}),
        {Regime.GDPR: "GDPR Art. 16, 18(1)(a)", Regime.CPRA: "11 CCR § 7023(b)"},
    ),
}


def law_of(reason: Denial, kind: Kind, regime: Regime) -> str | None:
    """The law that allows this refusal; None where none does."""
    kinds, laws = _DENIALS[reason]
    return laws.get(regime) if kinds is None or kind in kinds else None


class What(StrEnum):
    """A step of a request."""

    OPENED = "opened"
    JOINED = "joined"
    CONFIRMED = "confirmed"
    BEGUN = "begun"
    EXTENDED = "extended"
    HELD = "held"
    RELEASED = "released"
    AGREED = "agreed"
    """The first of two persons completed it."""
    COMPLETED = "completed"
    DENIED = "denied"
    CANCELLED = "cancelled"
    SETTLED = "settled"
    """The person was erased, and with that the request was met, or has nobody left."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step, when it was made, and the entry of the access log that proves it."""

    at: datetime
    what: What
    entry: str | None


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """One request, without what is sealed of it.

    Attributes:
        id: `req_…`.
        kind: What is asked for.
        regime: The law whose terms hold.
        customer_id: Whose data it is about; None once they are erased.
        source: Where it came in, such as `portal`; never a person.
        state: How far it has come.
        received_at: When it came in first.
        due_at: Until when it must be answered.
        longest: Until when at most, with notice; None where that is not possible, or was done.
        confirm_by: Until when its receipt must be confirmed, where the law says so.
        agent: Whether somebody else asks for the person; who they are is sealed.
        verification: How it is known who asks.
        extension: Why it takes longer.
        denial: Why it was refused.
        law: What allows that.
        hold: Whether the data must be kept for now, whatever was asked.
        agreed_by: Who completed it first, where two have to.
        agreed_to: The profiles that the person was then, as a digest: the second person completes nothing else.
        result: What it led to: the certificate of an erasure, the id of an export.
        closed_at: When it ended.
        keep_until: Until when the proof of it is kept.
        steps: What was done, oldest first.
        version: Grows with each change.
    """

    id: str
    kind: Kind
    regime: Regime
    customer_id: str | None
    source: str
    state: State
    received_at: datetime
    due_at: datetime
    longest: datetime | None
    confirm_by: datetime | None
    agent: bool = False
    verification: Verification | None = None
    extension: Extension | None = None
    denial: Denial | None = None
    law: str | None = None
    hold: bool = False
    agreed_by: str | None = None
    agreed_to: bytes | None = None
    result: str | None = None
    closed_at: datetime | None = None
    keep_until: datetime | None = None
    steps: tuple[Step, ...] = ()
    version: int = 1

    @property
    def open(self) -> bool:
        """Whether it still has to be answered."""
        return self.state in OPEN

    def noted(self, at: datetime, what: What, entry: str | None) -> "PrivacyRequest":
        """The request with one more step."""
        return replace(self, steps=(*self.steps, Step(at, what, entry)))


def confirm(request: PrivacyRequest, how: Verification) -> PrivacyRequest:
    """It is known who asks.

    Raises:
        RequestStateError: That was known before, the request has ended, or an agent asks and showed no authority.
    """
    _require(request, State.RECEIVED)
    if how is Verification.OWN_MOTION:
        if request.kind is not Kind.ERASURE:
            raise RequestStateError("only an erasure is a decision of those who answer for privacy alone")
    elif request.agent is not (how is Verification.AUTHORITY) and how is not Verification.NOT_NEEDED:
        raise RequestStateError("an authority is what an agent's request is confirmed by, and no other")
    if how is Verification.NOT_NEEDED and request.kind is not Kind.OPT_OUT:
        raise RequestStateError("only opting out is for everybody who asks")
    return replace(request, state=State.CONFIRMED, verification=how)


def begin(request: PrivacyRequest) -> PrivacyRequest:
    """Somebody works on it.

    Raises:
        RequestStateError: It is not known yet who asks, somebody does already, or it has ended.
    """
    _require(request, State.CONFIRMED)
    return replace(request, state=State.IN_PROGRESS)


def extend(request: PrivacyRequest, why: Extension, now: datetime) -> PrivacyRequest:
    """It takes longer, and the person was told so.

    Raises:
        RequestStateError: It is overdue, was extended before or cannot be, or has ended.
    """
    _require(request, *OPEN)
    if request.longest is None:
        raise RequestStateError("this request can be extended no further")
    if now > request.due_at:
        raise RequestStateError("a request that is overdue can no longer be extended")
    return replace(request, due_at=request.longest, longest=None, extension=why)


def hold(request: PrivacyRequest, *, held: bool) -> PrivacyRequest:
    """The data must be kept for now, or need not any longer. The clock goes on.

    Raises:
        RequestStateError: It is so already, or the request has ended.
    """
    _require(request, *OPEN)
    if request.hold is held:
        raise RequestStateError("the legal hold is so already")
    return replace(request, hold=held)


def deny(request: PrivacyRequest, reason: Denial, now: datetime, keep_until: datetime) -> PrivacyRequest:
    """It is refused.

    Raises:
        RequestStateError: No law allows this refusal of this request, or it has ended.
    """
    _require(request, *OPEN)
    law = law_of(reason, request.kind, request.regime)
    if law is None:
        raise RequestStateError("the law knows no such reason for this kind of request")
    return _closed(replace(request, state=State.DENIED, denial=reason, law=law), now, keep_until)


def cancel(request: PrivacyRequest, now: datetime, keep_until: datetime) -> PrivacyRequest:
    """The person takes it back.

    Raises:
        RequestStateError: It has ended.
    """
    _require(request, *OPEN)
    return _closed(replace(request, state=State.CANCELLED), now, keep_until)


def may_complete(request: PrivacyRequest, actor: str, *, four_eyes: bool, whole: Iterable[str] = ()) -> bool:
    """Whether it may be completed now; False where this actor is the first of two (`agree` is the step then).

    Args:
        request: The request.
        actor: Who would complete it.
        four_eyes: Whether two persons have to.
        whole: The profiles that the person is now. An agreement is to those that they were, so whoever merges somebody
            into them has nobody erased to whom one person alone agreed.

    Raises:
        RequestStateError: Nobody has begun with it, or it has ended.
        RequestHeldError: It would erase what must be kept.
        SecondPersonNeededError: The actor was the first of two, or is a program, which is neither.
    """
    _require(request, State.IN_PROGRESS)
    if request.hold and request.kind is Kind.ERASURE:
        raise RequestHeldError
    if not four_eyes:
        return True
    if actor.startswith(_PROGRAM):
        raise SecondPersonNeededError(request.id)
    if request.agreed_by is None or request.agreed_to != _together(whole):
        return False
    if request.agreed_by == actor:
        raise SecondPersonNeededError(request.id)
    return True


def agree(request: PrivacyRequest, actor: str, whole: Iterable[str] = ()) -> PrivacyRequest:
    """The first of two persons completes it, for the profiles that the person is now; the second still has to."""
    return replace(request, agreed_by=actor, agreed_to=_together(whole))


def complete(request: PrivacyRequest, result: str | None, now: datetime, keep_until: datetime) -> PrivacyRequest:
    """It is met."""
    return _closed(replace(request, state=State.COMPLETED, result=result), now, keep_until)


def settle(request: PrivacyRequest, now: datetime, keep_until: datetime) -> PrivacyRequest:
    """The person is erased: what is left is that it was asked and when it ended, and no longer by whom."""
    if request.open:
        erasure = request.kind is Kind.ERASURE
        # The entries of the others lead to the person's reference, which nothing may tie to the moment of an erasure.
        steps = request.steps if erasure else tuple(replace(each, entry=None) for each in request.steps)
        ended = replace(request, state=State.COMPLETED if erasure else State.CANCELLED, steps=steps)
        request = _closed(ended, now, keep_until).noted(now, What.SETTLED, None)
    return replace(request, customer_id=None)


def _require(request: PrivacyRequest, *states: State) -> None:
    if request.state not in states:
        raise RequestStateError(f"the request is {request.state.value.replace('_', ' ')}")


def _closed(request: PrivacyRequest, now: datetime, keep_until: datetime) -> PrivacyRequest:
    return replace(request, closed_at=now, keep_until=keep_until, longest=None, agreed_to=None)


def _together(whole: Iterable[str]) -> bytes:
    """What profiles are told apart from others by, and not known by: their ids cannot be found out from it."""
    return sha256("\n".join(sorted(whole)).encode()).digest()
