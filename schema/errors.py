"""What a GraphQL answer may say went wrong: a closed set of codes, one class for each.

    ConfideGraphQLError
    ├── UnauthenticatedError          UNAUTHENTICATED        who is asking is not known
    ├── ForbiddenError                FORBIDDEN              the caller may not run this operation
    ├── PurposeError
    │   ├── PurposeRequiredError      PURPOSE_REQUIRED       no purpose was stated
    │   ├── PurposeUnknownError       PURPOSE_UNKNOWN        the purpose is not in the vocabulary
    │   └── PurposeNotAllowedError    PURPOSE_NOT_ALLOWED    the caller may not act for this purpose
    ├── FieldsNotAllowedError
    │   ├── FilterNotAllowedError     FILTER_NOT_ALLOWED     filtering by these fields is refused
    │   ├── SortNotAllowedError       SORT_NOT_ALLOWED       sorting by these fields is refused
    │   ├── WriteNotAllowedError      WRITE_NOT_ALLOWED      writing these fields is refused
    │   └── EraseNotAllowedError      ERASE_NOT_ALLOWED      erasing is refused
    ├── RequestError
    │   ├── CursorInvalidError        CURSOR_INVALID         the cursor is not one of ours, or not of this query
    │   ├── InputInvalidError         INPUT_INVALID          an input does not have the required form
    │   │   └── PageSizeError             INPUT_INVALID          a page of no or too many items is asked for
    │   ├── NotFoundError             NOT_FOUND              nothing the caller may see has this id
    │   ├── ConflictError             CONFLICT               the document changed since the caller read it
    │   └── IdentifierTakenError      IDENTIFIER_TAKEN       another profile holds the identifier
    ├── SecondPersonNeededError       SECOND_PERSON_NEEDED   another person must agree before it is done
    ├── BreakGlassSpentError          BREAK_GLASS_SPENT      this opening of the glass shows no more customers
    ├── DataDamagedError              DATA_DAMAGED           what is stored is not what was sealed in this place
    ├── LimitExceededError
    │   ├── QueryTooComplexError      QUERY_TOO_COMPLEX      answering would cost more than is allowed
    │   └── QueryTooLargeError        QUERY_TOO_LARGE        the document or its variables are too large to look at
    └── UnavailableError
        ├── AuditUnavailableError     AUDIT_UNAVAILABLE      the access record cannot be written, so nothing is read
        ├── DatabaseUnavailableError  DATABASE_UNAVAILABLE   the database does not answer
        ├── KeysUnavailableError      KEYS_UNAVAILABLE       the keys cannot be used
        ├── TimeoutExceededError      TIMEOUT                the answer took too long
        └── InternalError             INTERNAL               everything else; details are in the server's own log

    SchemaError                       these never reach an answer as they are
    ├── UndeclaredFieldError          a field of a governed type does not say which permission it needs
    ├── DocumentRefusedError          a document cannot be run; it holds the errors to answer with
    └── ProtocolError                 a request is not GraphQL over HTTP; it holds the `Problem`

Every message is a constant sentence. Neither a message nor an extension ever holds an input or a stored value: the
details are names out of the schema and the catalogue, names of limits, numbers, and the id of a request that waits.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar

from graphql import GraphQLError


class ErrorCode(StrEnum):
    """The closed set of `extensions.code`. A value may be added; none may change its meaning."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    PURPOSE_REQUIRED = "PURPOSE_REQUIRED"
    PURPOSE_UNKNOWN = "PURPOSE_UNKNOWN"
    PURPOSE_NOT_ALLOWED = "PURPOSE_NOT_ALLOWED"
    FILTER_NOT_ALLOWED = "FILTER_NOT_ALLOWED"
    SORT_NOT_ALLOWED = "SORT_NOT_ALLOWED"
    WRITE_NOT_ALLOWED = "WRITE_NOT_ALLOWED"
    ERASE_NOT_ALLOWED = "ERASE_NOT_ALLOWED"
    CURSOR_INVALID = "CURSOR_INVALID"
    INPUT_INVALID = "INPUT_INVALID"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    SECOND_PERSON_NEEDED = "SECOND_PERSON_NEEDED"
    IDENTIFIER_TAKEN = "IDENTIFIER_TAKEN"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    QUERY_TOO_LARGE = "QUERY_TOO_LARGE"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    KEYS_UNAVAILABLE = "KEYS_UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    BREAK_GLASS_SPENT = "BREAK_GLASS_SPENT"
    DATA_DAMAGED = "DATA_DAMAGED"
    INTERNAL = "INTERNAL"


class ConfideGraphQLError(GraphQLError):
    """An error with a code of the closed set.

    Args:
        message: a constant sentence for this place, where the class's own does not help enough. Never built from an
            input or a stored value.
    """

    code: ClassVar[ErrorCode]
    default_message: ClassVar[str]

    def __init__(self, message: str | None = None, **details: str | int | list[str]) -> None:
        super().__init__(message or self.default_message, extensions={"code": self.code.value, **details})


class UnauthenticatedError(ConfideGraphQLError):
    """Who is asking is not known: no token, or one that does not hold."""

    code = ErrorCode.UNAUTHENTICATED
    default_message = "A valid access token is required."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)


class ForbiddenError(ConfideGraphQLError):
    """The caller is known and may not run this operation."""

    code = ErrorCode.FORBIDDEN
    default_message = "The caller may not do this."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)


class PurposeError(ConfideGraphQLError):
    """The purpose of the request does not allow it to start."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)


class PurposeRequiredError(PurposeError):
    """Personal data was asked for without saying why."""

    code = ErrorCode.PURPOSE_REQUIRED
    default_message = "State a purpose in the Confide-Purpose header."


class PurposeUnknownError(PurposeError):
    """The stated purpose is not in the vocabulary."""

    code = ErrorCode.PURPOSE_UNKNOWN
    default_message = "The stated purpose is not known here; the query `policy` lists those you may use."


class PurposeNotAllowedError(PurposeError):
    """The caller may not act for the stated purpose."""

    code = ErrorCode.PURPOSE_NOT_ALLOWED
    default_message = "The caller may not act for the stated purpose; the query `policy` lists those you may use."


class FieldsNotAllowedError(ConfideGraphQLError):
    """An argument touches fields the caller may not use in this way.

    Args:
        fields: catalogue paths, such as `profile.email`.
        message: see `ConfideGraphQLError`.
    """

    def __init__(self, fields: Iterable[str] = (), message: str | None = None) -> None:
        names = sorted(fields)
        if names:
            super().__init__(message, fields=names)
        else:
            super().__init__(message)


class FilterNotAllowedError(FieldsNotAllowedError):
    """Filtering by a field is reading it, and the caller may not."""

    code = ErrorCode.FILTER_NOT_ALLOWED
    default_message = "The caller may not filter by these fields."


class SortNotAllowedError(FieldsNotAllowedError):
    """Sorting by a field is reading it, and the caller may not."""

    code = ErrorCode.SORT_NOT_ALLOWED
    default_message = "The caller may not sort by these fields."


class WriteNotAllowedError(FieldsNotAllowedError):
    """The caller may not write these fields; nothing was written."""

    code = ErrorCode.WRITE_NOT_ALLOWED
    default_message = "The caller may not write these fields."


class EraseNotAllowedError(FieldsNotAllowedError):
    """The caller may not erase a customer; nothing was erased."""

    code = ErrorCode.ERASE_NOT_ALLOWED
    default_message = "The caller may not erase this customer."


class RequestError(ConfideGraphQLError):
    """The request itself cannot be answered as it stands.

    Args:
        message: see `ConfideGraphQLError`.
        field: the argument or input field it is about, as the schema names it.
    """

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        if field is None:
            super().__init__(message)
        else:
            super().__init__(message, field=field)


class CursorInvalidError(RequestError):
    """A cursor that was changed, is of another query or caller, or is too old."""

    code = ErrorCode.CURSOR_INVALID
    default_message = "The cursor does not belong to this query; start again without one."


class InputInvalidError(RequestError):
    """An input does not have the required form."""

    code = ErrorCode.INPUT_INVALID
    default_message = "An input does not have the required form."


class PageSizeError(InputInvalidError):
    """`first` is not between 1 and the most that a page may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"`first` must lie between 1 and {most}.", field="first")


class NotFoundError(RequestError):
    """Nothing the caller may see has this id; whether it exists is not said."""

    code = ErrorCode.NOT_FOUND
    default_message = "Nothing was found."


class ConflictError(RequestError):
    """The document changed since the caller read it; nothing was written."""

    code = ErrorCode.CONFLICT
    default_message = "It was changed meanwhile; read it again."


class SecondPersonNeededError(ConfideGraphQLError):
    """Two persons must agree to this, and one has; nothing was done yet.

    Args:
        request: The id of the privacy request that waits for the other.
    """

    code = ErrorCode.SECOND_PERSON_NEEDED
    default_message = "A second person must complete this request: not the one who did so first."

    def __init__(self, request: str) -> None:
        super().__init__(None, request=request)


class BreakGlassSpentError(ConfideGraphQLError):
    """One opening of the glass shows a bounded number of customers; nothing of these was shown.

    Args:
        maximum: How many one opening shows.
    """

    code = ErrorCode.BREAK_GLASS_SPENT
    default_message = "This opening of the glass shows no more customers: ask for fewer, or open it anew and say why."

    def __init__(self, maximum: int) -> None:
        super().__init__(None, maximum=maximum)


class IdentifierTakenError(RequestError):
    """Another profile holds the identifier; nothing was written."""

    code = ErrorCode.IDENTIFIER_TAKEN
    default_message = "The identifier already belongs to a profile."


class DataDamagedError(ConfideGraphQLError):
    """What is stored is not what was sealed in this place; a fault of the storage or of whoever can write to it."""

    code = ErrorCode.DATA_DAMAGED
    default_message = "What is stored here is damaged, and was not opened; tell the operator."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)


class LimitExceededError(ConfideGraphQLError):
    """A limit on documents or variables was exceeded; nothing was run.

    Args:
        limit: the name of the limit.
        value: what the request has; where counting stopped early, a lower bound of it.
        maximum: what is allowed.
    """

    def __init__(self, limit: str, value: int, maximum: int) -> None:
        super().__init__(None, limit=limit, value=value, maximum=maximum)
        self.message = f"{self.default_message} Limit {limit}: {value} where {maximum} is allowed."
        self.args = (self.message,)


class QueryTooComplexError(LimitExceededError):
    """Answering would cost more than is allowed."""

    code = ErrorCode.QUERY_TOO_COMPLEX
    default_message = "The query is too complex."


class QueryTooLargeError(LimitExceededError):
    """The document or its variables are too large to look at."""

    code = ErrorCode.QUERY_TOO_LARGE
    default_message = "The query is too large."


class UnavailableError(ConfideGraphQLError):
    """The server cannot answer now."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)


class AuditUnavailableError(UnavailableError):
    """The access record cannot be made durable, so nothing was answered."""

    code = ErrorCode.AUDIT_UNAVAILABLE
    default_message = "The access log is unavailable, so nothing can be read; try again later."


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""

    code = ErrorCode.DATABASE_UNAVAILABLE
    default_message = "The database is unavailable; try again later."


class KeysUnavailableError(UnavailableError):
    """The keys cannot be used: the root key's provider or the key store does not answer, or a lease was lost."""

    code = ErrorCode.KEYS_UNAVAILABLE
    default_message = "The keys are unavailable; try again later."


class TimeoutExceededError(UnavailableError):
    """The answer took too long and was given up."""

    code = ErrorCode.TIMEOUT
    default_message = "The request took too long."


class InternalError(UnavailableError):
    """Anything unforeseen; its details stay in the server's own log."""

    code = ErrorCode.INTERNAL
    default_message = "Something went wrong on the server."


class SchemaError(Exception):
    """Something of the schema's own that callers in this package or its wiring handle."""


class UndeclaredFieldError(SchemaError):
    """A field of a governed type does not say which permission it needs, or names a field the catalogue lacks."""

    def __init__(self, type_name: str, field_name: str) -> None:
        super().__init__(f"{type_name}.{field_name} declares no permission of the catalogue")
        self.type_name = type_name
        self.field_name = field_name


class DocumentRefusedError(SchemaError):
    """A document cannot be run: it does not parse, does not fit the schema, or exceeds a limit.

    Attributes:
        errors: what to answer; their messages hold no values out of the document.
    """

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("the document cannot be run")
        self.errors = tuple(errors)


class Problem(StrEnum):
    """Why a request is not GraphQL over HTTP, or asks for what this server does not do."""

    METHOD = "The method is not allowed; use GET or POST."
    MUTATION_BY_GET = "Only queries may be sent by GET; use POST."
    NOT_ACCEPTABLE = "The answer can be application/graphql-response+json or application/json."
    MEDIA_TYPE = "Send the request as application/json."
    CHARSET = "Send the request in UTF-8."
    ENCODING = "Compressed requests are not accepted."
    TOO_LARGE = "The request is too large."
    TOO_SLOW = "The request did not arrive in time; send it again."
    UTF8 = "The request is not valid UTF-8."
    NUL = "The request contains a NUL character."
    JSON = "The request is not valid JSON."
    BATCH = "Batches of operations are not accepted; send one request for each."
    NOT_AN_OBJECT = "The request must be a JSON object."
    QUERY_MISSING = "The request has no query."
    QUERY_TYPE = "query must be a string."
    OPERATION_NAME_TYPE = "operationName must be a string."
    VARIABLES_TYPE = "variables must be an object."
    EXTENSIONS_TYPE = "extensions must be an object."
    PARAMETERS = "The parameters of the request cannot be read."
    PERSISTED_QUERY_INVALID = "extensions.persistedQuery must have version 1 and the SHA-256 of the query."
    PERSISTED_QUERY_MISMATCH = "provided sha does not match query"
    PERSISTED_QUERY_NOT_FOUND = "PersistedQueryNotFound"
    PERSISTED_QUERY_NOT_SUPPORTED = "PersistedQueryNotSupported"
    PERSISTED_QUERY_ONLY = "Only documents that were added to this server may run; have this one added."


class ProtocolError(SchemaError):
    """A request is not GraphQL over HTTP."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem
