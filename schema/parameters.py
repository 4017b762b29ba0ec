"""What a request says, in a JSON body or in a URL; no refusal repeats anything of it."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from schema.errors import Problem, ProtocolError

MAX_PARAMETERS: Final = 16
DIGEST_LENGTH: Final = 64

_WRONG_TYPE: Final = {
    "query": Problem.QUERY_TYPE,
    "operationName": Problem.OPERATION_NAME_TYPE,
    "variables": Problem.VARIABLES_TYPE,
    "extensions": Problem.EXTENSIONS_TYPE,
}


class Parameters(msgspec.Struct, frozen=True, gc=False):
    """The body of a request. Unknown members are ignored, as the specification asks."""

    query: str | None = None
    operationName: str | None = None  # noqa: N815 - the protocol's name
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


_DECODER: Final = msgspec.json.Decoder(Parameters)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


def from_body(body: bytes) -> Parameters:
    """The parameters in a JSON body.

    Raises:
        ProtocolError: It is none, or not a request's.
    """
    try:
        parameters = _DECODER.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = _json_problem(body, error)
    else:
        # The escape is rare, so only where it occurs is it worth asking whether it stands for the character.
        if b"\\u0000" not in body or not _has_nul(parameters):
            return parameters
        problem = Problem.NUL
    # Outside the handler: the decoder's error quotes what was sent, and must not be the context of this one.
    raise ProtocolError(problem)


def _json_problem(body: bytes, error: Exception) -> Problem:
    if isinstance(error, UnicodeDecodeError):
        return Problem.UTF8
    if not isinstance(error, msgspec.ValidationError):
        return Problem.NUL if b"\x00" in body else Problem.JSON
    if body.lstrip()[:1] == b"[":
        return Problem.BATCH
    text = str(error)
    for name, problem in _WRONG_TYPE.items():
        if text.endswith(f"`$.{name}`"):
            return problem
    return Problem.NOT_AN_OBJECT if "`$." not in text and text.startswith("Expected `object`") else Problem.JSON


def from_url(query_string: bytes) -> Parameters:
    """The parameters in a URL.

    Raises:
        ProtocolError: They cannot be read, or are not a request's.
    """
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except UnicodeDecodeError:
        raise ProtocolError(Problem.UTF8) from None
    except ValueError:
        raise ProtocolError(Problem.PARAMETERS) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ProtocolError(Problem.PARAMETERS)
    if any("\x00" in value for value in given.values()):
        raise ProtocolError(Problem.NUL)
    return Parameters(
        given.get("query"),
        given.get("operationName") or None,
        _object(given.get("variables"), Problem.VARIABLES_TYPE),
        _object(given.get("extensions"), Problem.EXTENSIONS_TYPE),
    )


def document_of(parameters: Parameters, persisted: Callable[[str], str | None] | None, *, only: bool = False) -> str:
    """The text to run: the one that was sent, or the one its hash stands for.

    Args:
        parameters: The request's.
        persisted: Gives the document of a SHA-256 (hexadecimal); None where such requests are not supported.
        only: Whether nothing else may run, even where its text is sent.

    Raises:
        ProtocolError: There is none.
    """
    query = parameters.query
    named = parameters.extensions.get("persistedQuery") if parameters.extensions else None
    if named is not None:
        digest = _digest(named)
        if query:
            if sha256(query.encode("utf-8", "replace")).hexdigest() != digest:
                raise ProtocolError(Problem.PERSISTED_QUERY_MISMATCH)
        elif persisted is None:
            raise ProtocolError(Problem.PERSISTED_QUERY_NOT_SUPPORTED)
        else:
            query = persisted(digest)
            if query is None:
                raise ProtocolError(Problem.PERSISTED_QUERY_NOT_FOUND)
    if not query:
        raise ProtocolError(Problem.QUERY_MISSING)
    if only and (persisted is None or persisted(sha256(query.encode("utf-8", "replace")).hexdigest()) != query):
        raise ProtocolError(Problem.PERSISTED_QUERY_ONLY)
    return query


def _object(text: str | None, wrong: Problem) -> dict[str, Any] | None:
    """The JSON object in a parameter of the URL."""
    if not text or text == "null":
        return None
    try:
        found = _OBJECT.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    if found is None:
        raise ProtocolError(wrong)
    if "\\u0000" in text and _has_nul(found):
        raise ProtocolError(Problem.NUL)
    return found


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return True
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, Parameters):
            stack += [item.query, item.operationName, item.variables, item.extensions]
    return False


def _digest(persisted: Any) -> str:
    """The hash in `extensions.persistedQuery`, the shape Apollo's clients send."""
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    if not isinstance(digest, str) or len(digest) != DIGEST_LENGTH or set(digest) - set("0123456789abcdef"):
        raise ProtocolError(Problem.PERSISTED_QUERY_INVALID)
    return digest
