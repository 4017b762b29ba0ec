"""Which fields of a customer may be looked at to judge their data: those the caller may see in clear, and no others."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from customers.access import Access, Circumstances, in_scope
from customers.profiles.origins import ORIGINS
from customers.quality.rules import Quality, judge
from customers.quality.standards import Standards
from customers.spelling import Suggestion
from policies import Grant, Verdict
from vault import DataKey, EnvelopeError


def seen_of(grant: Grant, circumstances: Circumstances, names: Collection[str]) -> frozenset[str]:
    """Those of these profile fields that are shown in clear of a customer in these circumstances."""
    if circumstances.reason is not None:
        return frozenset()
    return frozenset(name for name in names if _in_clear(grant, circumstances, name))


def _in_clear(grant: Grant, circumstances: Circumstances, name: str) -> bool:
    granted = grant.read.get(f"profile.{name}")
    if granted is None:
        return False
    deciding = next((each for each in granted.alternatives if in_scope(each.scope, circumstances)), None)
    return deciding is not None and deciding.verdict is Verdict.CLEAR


def quality_of(
    access: Access, customer_id: str, values: Mapping[str, Any], standards: Standards, now: datetime
) -> Quality | None:
    """How good the data of a customer is who was read in this request; None where nothing of it may be looked at.

    Args:
        access: The request's; the customer is among its `known`.
        customer_id: Whose.
        values: As the gateway revealed them, with `standards.asked` asked for.
        standards: What is wanted.
        now: The time.

    Raises:
        vault.EnvelopeError: A sealed group that would be looked at is not the one that belongs there.
    """
    seen = seen_of(access.grant, access.known[customer_id].circumstances, standards.names)
    if seen.isdisjoint(standards.fields):
        return None
    check_whole(values, seen)
    return judge(values, seen, standards, now, confirmed_of(values))


def confirmed_of(values: Mapping[str, Any]) -> dict[str, datetime]:
    """When each field of a profile was last confirmed, as far as its origins say so.

    Raises:
        vault.EnvelopeError: They are not those that belong there.
    """
    origins = values.get(ORIGINS, {})
    if isinstance(origins, EnvelopeError):
        raise origins
    return {name: origin.at for name, origin in origins.items()}


def check_whole(values: Mapping[str, Any], seen: Collection[str]) -> None:
    """Return only if no field that may be looked at is damaged.

    Raises:
        vault.EnvelopeError: One is.
    """
    for name in seen:
        if isinstance(value := values.get(name), EnvelopeError):
            raise value


def mark_of(key: DataKey, suggestion: Suggestion, value: str) -> str:
    """A stand-in for a suggestion and the value it is for: the same for the same, and gone with the customer's key."""
    return key.pseudonym(f"correction\x1f{suggestion.field}\x1f{suggestion.kind}\x1f{value}\x1f{suggestion.to}")
