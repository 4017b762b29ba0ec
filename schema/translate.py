"""What an exception of the layers below is called in a GraphQL answer."""

from strawberry.utils.str_converters import to_camel_case

from audit import AuditError
from customers import errors as customers
from customers.identity.model import FORMS
from customers.rights import requests
from schema import errors
from schema.context import Services
from vault import errors as vault


def translated(error: BaseException, services: Services) -> errors.ConfideGraphQLError:
    """The error of the closed set that says what happened, and nothing of what was asked or stored."""
    if isinstance(error, errors.ConfideGraphQLError):
        return error
    detailed = _detailed(error)
    if detailed is not None:
        return detailed
    for kind, answer in _SIMPLE:
        if isinstance(error, kind):
            return answer()
    if isinstance(error, services.database_errors):
        return errors.DatabaseUnavailableError()
    return errors.InternalError()


def _detailed(error: BaseException) -> errors.ConfideGraphQLError | None:
    """The error of what says more than its kind; None of everything else."""
    if isinstance(error, customers.FieldsNotAllowedError):
        fitting = _FIELDS.get(type(error))
        return errors.ForbiddenError() if fitting is None else fitting(error.paths)
    if isinstance(error, customers.IdentifierTakenError):
        return errors.IdentifierTakenError()
    if isinstance(error, customers.InputInvalidError):
        named = [(to_camel_case(each.field), each.problem) for each in error.problems]
        return errors.InputInvalidError("; ".join(map(" ".join, named)) + ".", field=named[0][0])
    if isinstance(error, customers.BreakGlassSpentError):
        return errors.BreakGlassSpentError(error.most)
    if isinstance(error, requests.SecondPersonNeededError):
        return errors.SecondPersonNeededError(error.request_id)
    if isinstance(error, _NOT_NOW):
        return errors.InputInvalidError(f"{error.why[0].upper()}{error.why[1:]}.")
    if isinstance(error, vault.InvalidIdentifierError):
        return errors.InputInvalidError(_IDENTIFIER, field="value")
    return None


_FIELDS: dict[type[customers.FieldsNotAllowedError], type[errors.FieldsNotAllowedError]] = {
    customers.FilterNotAllowedError: errors.FilterNotAllowedError,
    customers.SortNotAllowedError: errors.SortNotAllowedError,
    customers.WriteNotAllowedError: errors.WriteNotAllowedError,
}

# Why something is not possible as things stand, in constant words.
_NOT_NOW = (
    customers.BreakGlassNotPossibleError,
    customers.MergeNotPossibleError,
    requests.RequestStateError,
    requests.RequestHeldError,
)

_IDENTIFIER = f"An identifier is {'; '.join(FORMS.values())}."

# The first that fits counts, so special cases stand above general ones.
_SIMPLE: tuple[tuple[type[BaseException], type[errors.ConfideGraphQLError]], ...] = (
    (customers.EraseNotAllowedError, errors.EraseNotAllowedError),
    (customers.ProfileNotFoundError, errors.NotFoundError),
    (customers.BreakGlassNotFoundError, errors.NotFoundError),
    (customers.ProfileConflictError, errors.ConflictError),
    (requests.RequestNotFoundError, errors.NotFoundError),
    (requests.RequestChangedError, errors.ConflictError),
    (customers.IdentityBusyError, errors.ConflictError),
    (customers.CursorInvalidError, errors.CursorInvalidError),
    (customers.NoticeChangedError, errors.ConflictError),
    (customers.PurposeRequiredError, errors.PurposeRequiredError),
    (customers.PurposeUnknownError, errors.PurposeUnknownError),
    (customers.PurposeNotAllowedError, errors.PurposeNotAllowedError),
    (vault.IdentifierTakenError, errors.IdentifierTakenError),
    (vault.IdentifierError, errors.InputInvalidError),
    (vault.UnsealableValueError, errors.InputInvalidError),
    (vault.TokenInvalidError, errors.CursorInvalidError),
    (vault.CustomerKeyError, errors.NotFoundError),
    (vault.EnvelopeError, errors.DataDamagedError),
    (vault.ReadDeadlineError, errors.TimeoutExceededError),
    (vault.VaultError, errors.KeysUnavailableError),
    (AuditError, errors.AuditUnavailableError),
    (TimeoutError, errors.TimeoutExceededError),
    (UnicodeEncodeError, errors.InputInvalidError),  # half a surrogate pair, which no store can hold
)
