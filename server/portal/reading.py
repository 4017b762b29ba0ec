"""What pages read and change: through GraphQL, as the customer, so that policy decides and every look is recorded."""

from collections.abc import Mapping
from typing import Any, Final

from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from policies import PolicySet
from schema.errors import ErrorCode
from schema.service import Asked, GraphQLService
from server.portal.errors import NothingHereError, NotNowError, ValueRefusedError

PURPOSE: Final = "self_service"
_REFUSED: Final[Mapping[str, str]] = {
    ErrorCode.INPUT_INVALID: "form",
    ErrorCode.IDENTIFIER_TAKEN: "taken",
    ErrorCode.CONFLICT: "changed",
}
_AWAY: Final = frozenset(
    {
        ErrorCode.AUDIT_UNAVAILABLE,
        ErrorCode.DATABASE_UNAVAILABLE,
        ErrorCode.KEYS_UNAVAILABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.INTERNAL,
    }
)


class Reader:
    """Asks GraphQL for a customer.

    Args:
        service: what answers.
    """

    def __init__(self, service: GraphQLService) -> None:
        self._service = service

    async def ask(
        self, caller: Caller, document: str, trace: str | None = None, **variables: Any
    ) -> Mapping[str, Any]:
        """The answer's data, once the look is recorded. A value that was damaged is None in it.

        Raises:
            NothingHereError: what was asked for is not there, or not this customer's.
            ValueRefusedError: a value is not one, or somebody else's.
            NotNowError: what is needed does not answer; nothing was shown.
        """
        answer = await self._service.answer(Asked(document, None, variables, PURPOSE, None, trace), caller)
        for error in answer.errors or ():
            details = error["extensions"]
            code = details["code"]
            if code in _AWAY:
                raise NotNowError
            if code in _REFUSED:
                raise ValueRefusedError(str(details.get("field") or ""), _REFUSED[code])
            if code != ErrorCode.DATA_DAMAGED:
                raise NothingHereError
        if answer.data is None:
            raise NothingHereError
        data: Mapping[str, Any] = answer.data
        return data


def access_of(caller: Caller, policies: PolicySet, operation: str, trace: str | None) -> Access:
    """A customer's own access, for what GraphQL does not offer."""
    grant = policies.decide(caller.roles, PURPOSE)
    return Access(caller, grant, Disclosure(Request(caller, PURPOSE, None, operation, None, trace), grant))


__all__ = ["PURPOSE", "Reader", "access_of"]
