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
    """The access of a caller who states a purpose, and may state a case.

    Raises:
        PurposeRequiredError, PurposeUnknownError, PurposeNotAllowedError: For this purpose nothing can be asked.
        InputInvalidError: The case is not a number but could be a sentence, which may say anything about anybody.
    """
    purpose, case = (purpose or "").strip(), (case or "").strip()
    if not purpose:
        raise PurposeRequiredError
    if purpose not in policies.purposes:
        raise PurposeUnknownError
    if caller.purposes is not None and caller.purposes.isdisjoint(policies.purposes[purpose].lineage):
        raise PurposeNotAllowedError
    if case and _CASE.fullmatch(case) is None:
        raise InputInvalidError([FieldProblem("case", "is a number of up to 64 letters, digits and . _ : / # -")])
    grant = policies.decide(caller.roles, purpose)
    request = Request(caller, purpose, case or None, operation, None, trace)
    return Access(caller, grant, Disclosure(request, grant))
