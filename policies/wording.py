"""The words and icons that explanations and matrices share."""

from collections.abc import Mapping

from policies.catalogue import Field
from policies.decisions import FieldGrant
from policies.vocabulary import Mask, Scope, Verdict

ICONS: Mapping[Verdict, str] = {Verdict.CLEAR: "●", Verdict.MASKED: "◐", Verdict.WITHHELD: "○"}
"""Filled, half filled, empty: always beside the word."""

MASK_WORDS: Mapping[Mask, str] = {
    Mask.REDACT: "all hidden",
    Mask.FIRST_CHARACTER: "first letter",
    Mask.LAST_FOUR: "last four",
    Mask.DOMAIN_ONLY: "domain only",
    Mask.YEAR_ONLY: "year only",
    Mask.GENERALISE: "in part",
    Mask.PSEUDONYM: "pseudonym",
}

SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.ANY: "for every customer",
    Scope.REGION: "for customers of their own regions",
    Scope.OWN: "for themselves",
}

_SHORT_SCOPES: Mapping[Scope, str] = {Scope.ANY: "", Scope.REGION: "own regions", Scope.OWN: "themselves"}


def best_verdict(grant: FieldGrant) -> Verdict:
    """The best that can come of a grant."""
    return grant.alternatives[0].verdict if grant.alternatives else Verdict.WITHHELD


def mask_words(field: Field) -> str:
    """What the field's mask leaves, in two words."""
    return MASK_WORDS[field.mask] if field.mask is not None else ""


def cell_words(grant: FieldGrant, field: Field) -> str:
    """A grant in a few words: `clear`, `masked (year only)`, `clear for own regions, else masked (last four)`."""
    parts: list[str] = []
    for each in grant.alternatives:
        words = "clear" if each.verdict is Verdict.CLEAR else f"masked ({mask_words(field)})"
        scope = _SHORT_SCOPES[each.scope]
        parts.append(f"{words} for {scope}" if scope else words)
    return ", else ".join(parts) if parts else "withheld"
