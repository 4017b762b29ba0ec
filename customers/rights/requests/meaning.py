"""What a request is about, and what it comes to in the consent ledger. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from customers.consent.model import EVERY_PURPOSE, ConsentDecision, ConsentState, stopped_by_objection
from customers.errors import FieldProblem, InputInvalidError
from customers.rights.requests.model import Kind
from customers.rights.requests.store import Stored
from policies import Purpose

SOURCE: Final = "privacy_request"
_LONGEST: Final = 2_000


def check(
    kind: Kind, reason: str | None, agent: str | None, asked: Sequence[str], purposes: Mapping[str, Purpose]
) -> None:
    """Refuse what a request cannot be opened with.

    Raises:
        InputInvalidError: It says why.
    """
    problems = [
        FieldProblem(name, f"must have 1 to {_LONGEST} characters")
        for name, text in (("reason", reason), ("agent", agent))
        if text is not None and not 1 <= len(text) <= _LONGEST
    ]
    if asked and (kind is not Kind.OBJECTION or not set(asked) <= set(purposes)):
        problems.append(FieldProblem("purposes", "must be purposes that the policy knows, of an objection"))
    if problems:
        raise InputInvalidError(problems)


def decisions(found: Stored, purposes: Mapping[str, Purpose]) -> list[ConsentDecision]:
    """What a request that is met adds to the consent ledger."""
    at = found.request.received_at
    match found.request.kind:
        case Kind.RESTRICTION:
            return [ConsentDecision(EVERY_PURPOSE, ConsentState.RESTRICTED, at, SOURCE)]
        case Kind.OBJECTION:
            names = list(found.purposes) or [each for each in purposes if stopped_by_objection(purposes[each])]
        case Kind.OPT_OUT:
            names = [each for each in purposes if purposes[each].sale_or_sharing]
        case _:
            return []
    return [ConsentDecision(each, ConsentState.OBJECTED, at, SOURCE) for each in names]
