"""Who asks, why, and what that grants: the access of a request that is none of GraphQL's."""

import re
from typing import Final

from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from customers.errors import (
    FieldProblem,
    InputInvalidError,
    PurposeNotAllowedError,
    PurposeRequiredError,
    PurposeUnknownError,
)
from policies import PolicySet

_CASE: Final = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)


def access_of(
    policies: PolicySet,
    caller: Caller,
    purpose: str | None,
    *,
    case: str | None = None,
    operation: str | None = None,
    trace: str | None = None,
) -> Access:
    """The access of a caller who states a purpose that they may state, and may state a case.

    Raises:
        PurposeNotAllowedError: They may not state this one. Whoever tells them so records it (`stated` gives the access).
        PurposeRequiredError, PurposeUnknownError, InputInvalidError: As `stated`.
    """
    access = stated(policies, caller, purpose, case=case, operation=operation, trace=trace)
    require_purpose(access, policies)
    return access


def require_purpose(access: Access, policies: PolicySet) -> None:
    """Return only if the caller may state this purpose.

    Raises:
        PurposeNotAllowedError: They were given others.
    """
    allowed = access.caller.purposes
    if allowed is not None and allowed.isdisjoint(policies.purposes[access.grant.purpose.name].lineage):
        raise PurposeNotAllowedError


def stated(
    policies: PolicySet,
    caller: Caller,
    purpose: str | None,
    *,
    case: str | None = None,
    operation: str | None = None,
    trace: str | None = None,
) -> Access:
    """The access of a caller for the purpose they state, whether or not they may state it.

    Raises:
        PurposeRequiredError, PurposeUnknownError: There is no such purpose to ask for.
        InputInvalidError: The case is not a number but could be a sentence, which may say anything about anybody.
    """
    purpose, case = (purpose or "").strip(), (case or "").strip()
    if not purpose:
        raise PurposeRequiredError
    if purpose not in policies.purposes:
        raise PurposeUnknownError
    if case and _CASE.fullmatch(case) is None:
        raise InputInvalidError([FieldProblem("case", "is a number of up to 64 letters, digits and . _ : / # -")])
    grant = policies.decide(caller.roles, purpose)
    request = Request(caller, purpose, case or None, operation, None, trace)
    return Access(caller, grant, Disclosure(request, grant))
