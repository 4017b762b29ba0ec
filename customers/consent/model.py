"""What a customer allows: consents per purpose, objections and restriction, and what follows for one purpose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from policies import LawfulBasis, Purpose, Reason


class ConsentState(StrEnum):
    """What a customer said about one purpose; silence means no."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    OBJECTION_WITHDRAWN = "objection_withdrawn"


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """One entry of a customer's consent ledger.

    `at` is when the customer decided; `source` names where (a form, an import, an agent), never a person.
    """

    purpose: str
    state: ConsentState
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What a customer's choices amount to, as kept on the profile document."""

    consented: frozenset[str] = frozenset()
    objected: frozenset[str] = frozenset()
    restricted: bool = False

    @classmethod
    def of_document(cls, found: Mapping[str, Any]) -> "Rights":
        """The rights stored in a profile document's `rights`; anything missing counts against reading."""
        return cls(
            frozenset(found.get("consented", ())),
            frozenset(found.get("objected", ())),
            bool(found.get("restricted", True)),
        )

    def document(self) -> dict[str, Any]:
        """The form that is stored; sorted, so that equal rights are equal documents."""
        return {
            "consented": sorted(self.consented),
            "objected": sorted(self.objected),
            "restricted": self.restricted,
        }

    def after(self, decision: ConsentDecision, purposes: Mapping[str, Purpose]) -> "Rights":
        """These rights once `decision` holds, given every purpose there is.

        A consent covers the purpose and those below it that existed when it was given, so a purpose added later is
        not consented to by anyone. An objection also ends a consent for the same purposes, and only its own
        withdrawal ends an objection: no consent does, whoever records it.
        """
        covered = {name for name, purpose in purposes.items() if decision.purpose in purpose.lineage}
        consented, objected = self.consented, self.objected
        match decision.state:
            case ConsentState.GRANTED:
                consented |= covered
            case ConsentState.WITHDRAWN:
                consented -= covered
            case ConsentState.OBJECTED:
                objected |= {decision.purpose}
                consented -= covered
            case ConsentState.OBJECTION_WITHDRAWN:
                objected -= covered
        return Rights(consented, objected, self.restricted)


def outdated(
    decision: ConsentDecision, standing: Iterable[Mapping[str, Any]], purposes: Mapping[str, Purpose]
) -> bool:
    """Whether the customer has decided later than this about the same purpose, or one above or below it.

    Args:
        decision: What is told of now, perhaps late.
        standing: The present decisions, each with `purpose` and `at`.
        purposes: Every purpose there is.
    """
    mine = set(purposes[decision.purpose].lineage)
    mine |= {name for name, purpose in purposes.items() if decision.purpose in purpose.lineage}
    return any(each["purpose"] in mine and each["at"] > decision.at for each in standing)


# An objection (GDPR Art. 21) stops these; the other bases do not rest on the customer's agreement.
_OBJECTABLE = frozenset({LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS})


def refusal(rights: Rights, purpose: Purpose) -> Reason | None:
    """Why these rights forbid use for `purpose`, or None where they allow it.

    An objection to `marketing` stops every purpose below it too. Restriction (GDPR Art. 18) leaves only the purposes
    that say they survive it.
    """
    if rights.restricted and not purpose.survives_restriction:
        return Reason.RESTRICTED
    if purpose.basis in _OBJECTABLE and not rights.objected.isdisjoint(purpose.lineage):
        return Reason.OBJECTION
    if purpose.basis is LawfulBasis.CONSENT and purpose.name not in rights.consented:
        return Reason.CONSENT
    return None


def allowed_documents(purpose: Purpose) -> dict[str, Any]:
    """The query for profile documents whose rights allow `purpose`: `refusal` said as a filter.

    A filter or a sort order uses a field of every customer it looks at, so customers who said no are left out of it;
    otherwise the answer would tell what was withheld.
    """
    query: dict[str, Any] = {}
    if not purpose.survives_restriction:
        query["rights.restricted"] = False
    if purpose.basis in _OBJECTABLE:
        query["rights.objected"] = {"$nin": list(purpose.lineage)}
    if purpose.basis is LawfulBasis.CONSENT:
        query["rights.consented"] = purpose.name
    return query
