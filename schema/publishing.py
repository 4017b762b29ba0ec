"""What an answer shows of an error."""

import re
from typing import Any

from graphql import GraphQLError

from schema.errors import ConfideGraphQLError, ErrorCode, InputInvalidError, InternalError

# graphql-core's own words for an argument whose variable has no value or an explicit null.
_ARGUMENT_ERROR = re.compile(r"^Argument '[^']*' (of (required )?type|has invalid value)")


def published(error: GraphQLError) -> dict[str, Any]:
    """An error as the answer may show it.

    Errors of ours keep message and extensions. Anything else that arose while fields were resolved may quote a stored
    value (graphql-core does when a leaf does not fit its type), so it becomes `INTERNAL`, with the place but not the
    words. Errors of the request (no path: syntax, validation, variables) come from `documents`, which has already
    taken values out of them; they keep their message, and get `INPUT_INVALID` where they have no code.

    Returns:
        `{"message", "locations"?, "path"?, "extensions": {"code", …}}`, ready for JSON.
    """
    own = _own(error)
    extensions: dict[str, Any]
    if own is not None:
        message, extensions = own.message, dict(own.extensions or {})
    elif error.path is None and error.original_error is None:
        message, extensions = error.message, {"code": ErrorCode.INPUT_INVALID.value, **(error.extensions or {})}
    elif _ARGUMENT_ERROR.match(error.message):
        message, extensions = InputInvalidError.default_message, {"code": ErrorCode.INPUT_INVALID.value}
    else:
        message, extensions = InternalError.default_message, {"code": ErrorCode.INTERNAL.value}
    shown: dict[str, Any] = {"message": message}
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        shown["path"] = list(error.path)
    shown["extensions"] = extensions
    return shown


def _own(error: BaseException | None) -> ConfideGraphQLError | None:
    """The error of ours inside graphql-core's wrappings, if there is one."""
    for _ in range(4):
        if error is None or isinstance(error, ConfideGraphQLError):
            return error
        error = getattr(error, "original_error", None)
    return None
