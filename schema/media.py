"""Which media types a client sends and accepts (RFC 9110, and the GraphQL over HTTP specification)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from schema.errors import Problem, ProtocolError

RESPONSE_TYPE: Final = "application/graphql-response+json"
JSON_TYPE: Final = "application/json"
CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def check_content(headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that is not JSON in UTF-8 as it is.

    Raises:
        ProtocolError: It is something else.
    """
    problem = _content_problem(headers.get(b"content-type", b""))
    if problem is None and headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        problem = Problem.ENCODING
    if problem is not None:
        raise ProtocolError(problem)


@lru_cache(maxsize=128)
def _content_problem(content_type: bytes) -> Problem | None:
    media, parameters = _media(content_type.decode("latin-1"))
    if media != JSON_TYPE:
        return Problem.MEDIA_TYPE
    return None if parameters.get("charset", "utf-8") in CHARSETS else Problem.CHARSET


@lru_cache(maxsize=256)
def accepted(accept: bytes) -> str | None:
    """The response type a client wants most of those there are; None where it wants neither.

    The more specific range decides (RFC 9110 §12.5.1). Where nothing decides, `application/json` is sent, as clients
    written before the other type expect.
    """
    ranges: dict[str, float] = {}
    for part in accept.decode("latin-1").split(","):
        media, parameters = _media(part)
        if media and parameters.get("charset", "utf-8") in CHARSETS:
            ranges[media] = max(_quality(parameters.get("q", "1")), ranges.get(media, 0.0))
    if not ranges:
        return None if accept.strip(b", \t") else JSON_TYPE
    wanted = {
        kind: ranges.get(kind, ranges.get("application/*", ranges.get("*/*", 0.0)))
        for kind in (JSON_TYPE, RESPONSE_TYPE)
    }
    best = max(wanted.values())
    if best <= 0:
        return None
    if wanted[RESPONSE_TYPE] == best and (wanted[JSON_TYPE] < best or RESPONSE_TYPE in ranges):
        return RESPONSE_TYPE
    return JSON_TYPE


def _quality(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _media(text: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters."""
    media, *rest = text.split(";")
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"').lower()
    return media.strip().lower(), parameters
