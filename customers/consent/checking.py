"""Whether decisions hold together before they are written down."""

from collections.abc import Iterable, Mapping

from customers.consent.model import EVERY_PURPOSE, RESTRICTIONS, ConsentDecision, ConsentState
from customers.errors import FieldProblem, InputInvalidError
from policies import Purpose


def check_decisions(decisions: Iterable[ConsentDecision], purposes: Mapping[str, Purpose]) -> None:
    """Refuse a decision that says what none can.

    Raises:
        InputInvalidError: The purpose is none; or a restriction names one; or what is no consent ends.
    """
    for decision in decisions:
        if (decision.purpose == EVERY_PURPOSE) is not (decision.state in RESTRICTIONS):
            raise InputInvalidError([FieldProblem("purpose", "is * of restrictions, and of those alone")])
        if decision.purpose != EVERY_PURPOSE and decision.purpose not in purposes:
            raise InputInvalidError([FieldProblem("purpose", "is not a purpose that the policy knows")])
        if decision.channel is not None and decision.purpose == EVERY_PURPOSE:
            raise InputInvalidError([FieldProblem("channel", "is not for restrictions, which are about every one")])
        if decision.expires_at is not None and (
            decision.state is not ConsentState.GRANTED or decision.expires_at <= decision.at
        ):
            raise InputInvalidError([FieldProblem("expires_at", "is when a consent ends, after it was given")])
