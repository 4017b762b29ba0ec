"""Which fields a write touches, and whether the caller may touch them."""

from collections.abc import Iterable, Sequence

from customers.access import Access
from customers.errors import WriteNotAllowedError
from customers.identity.model import PRIMARY_FIELDS, IdentifierType
from customers.profiles.draft import ProfileDraft
from policies import LawfulBasis, Scope, Verdict

_IDENTIFYING = frozenset({"profile.identifiers", *(f"profile.{name}" for name in PRIMARY_FIELDS.values())})


def check_paths(access: Access, paths: Sequence[str]) -> None:
    """Refuse a write of fields that the caller may write of nobody."""
    refused = [path for path in paths if not access.grant.write[path]]
    if refused:
        raise WriteNotAllowedError(refused)


def check_lookup(access: Access, paths: Iterable[str]) -> None:
    """Refuse identifiers to callers who may not look everybody up by them: `taken` would tell who is a customer.

    Values that the caller has shown to be theirs are let through.
    """
    refused = [
        path
        for path in paths
        if path in _IDENTIFYING
        and path not in access.proven
        and not any(each.scope is Scope.ANY for each in access.grant.filter[path].alternatives)
    ]
    if refused:
        raise WriteNotAllowedError(refused)


def may_answer_choices(access: Access) -> bool:
    """Whether the caller may say what a person chose: for a legal obligation only who may read the choices in clear too.

    A system that hands on what people ask for writes them and reads none; what it writes are requests.
    """
    ways = access.grant.read["profile.consents"].alternatives
    return access.grant.purpose.basis is not LawfulBasis.LEGAL_OBLIGATION or any(
        each.verdict is Verdict.CLEAR for each in ways
    )


def identifier_paths(kinds: Iterable[IdentifierType]) -> list[str]:
    """The fields that a change of identifiers of these kinds writes: the list, and the field of each kind."""
    named = {f"profile.{PRIMARY_FIELDS[kind]}" for kind in kinds if kind in PRIMARY_FIELDS}
    return sorted({"profile.identifiers", *named})


def rule_of(access: Access, path: str) -> int | None:
    """The rule that lets the caller write a field."""
    alternatives = access.grant.write[path].alternatives
    return alternatives[0].rule if alternatives else None


def written_paths(draft: ProfileDraft) -> list[str]:
    """The fields that creating this profile writes."""
    paths = [f"profile.{name}" for name, value in draft.values.items() if value is not None]
    kinds = {each.type for each in draft.identifiers}
    paths += [f"profile.{name}" for kind, name in PRIMARY_FIELDS.items() if kind in kinds]
    if kinds.difference(PRIMARY_FIELDS):
        paths.append("profile.identifiers")
    if draft.consents or draft.restricted:
        paths.append("profile.consents")
    return paths
