"""One request's access to customers: who asks, what they were granted, and what was disclosed so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from customers.caller import Caller
from customers.disclosure import Disclosure
from policies import Grant, Reason, Scope
from vault import DataKey


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What of one customer decides over their fields.

    Attributes:
        reason: Why the customer's rights forbid the purpose, or None where they allow it.
        in_region: Whether the customer is in one of the caller's regions.
        own: Whether the customer is the caller.
    """

    reason: Reason | None
    in_region: bool
    own: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A profile that was merged into another: its document, sealed under its own key."""

    key: DataKey
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """A customer met during this request: what reading their orders and tickets needs."""

    key: DataKey
    circumstances: Circumstances
    document: Mapping[str, Any]
    parts: tuple[Part, ...] = ()


@dataclass(slots=True)
class Access:
    """What every use case takes: the caller, the grant for the stated purpose, and what was disclosed so far.

    Attributes:
        caller: Who asks.
        grant: What they may do for the stated purpose.
        disclosure: What was disclosed so far.
        known: Whom they have met so far.
        proven: Paths whose new values they have shown to be theirs, such as `profile.email` by a letter: to be told that
            somebody else has such a value tells them nothing that was not theirs to know.
    """

    caller: Caller
    grant: Grant
    disclosure: Disclosure
    known: dict[str, Known] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()


def in_scope(scope: Scope, circumstances: Circumstances) -> bool:
    """Whether a customer in these circumstances is within a rule's row scope."""
    match scope:
        case Scope.ANY:
            return True
        case Scope.REGION:
            return circumstances.in_region
        case Scope.OWN:
            return circumstances.own
