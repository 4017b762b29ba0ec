"""Pages of other origins: which may send, and what their browsers must be told (Fetch standard, CORS).

A preflight shows no write key, so it is answered for every origin that some source takes; the request itself is held
to its own source's. There are never credentials: a write key is no secret, and no cookie counts here.
"""

from collections.abc import Iterable
from typing import Final

from customers.collection.sources import Source, SourceKind, SourceStore
from server.collection.errors import CollectionRefusedError, Problem

Headers = list[tuple[bytes, bytes]]

_VARY: Final = (b"vary", b"origin")
# `*` stands for every header but Authorization, as long as there are no credentials.
_PREFLIGHT: Final[Headers] = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding, x-retry-count, *"),
    (b"access-control-max-age", b"7200"),
]
_DEFAULT_PORTS: Final = (("https://", ":443"), ("http://", ":80"))


async def told(sources: SourceStore, origin: bytes, *, preflight: bool = False) -> Headers:
    """The headers that let a page of this origin see an answer; without the permission where no source takes it.

    Args:
        sources: The sources there are.
        origin: The request's Origin header; empty where there was none.
        preflight: Whether the browser asks what it may send.
    """
    if not origin:
        return [_VARY]
    known = (each for source in await sources.all() if _takes_pages(source) for each in source.origins)
    if not _among(origin, known):
        return [_VARY]
    headers = [_VARY, (b"access-control-allow-origin", origin), (b"access-control-expose-headers", b"retry-after")]
    return [*headers, *_PREFLIGHT] if preflight else headers


def require(source: Source, origin: bytes) -> None:
    """Return only if this source takes events from a page of this origin, or they come from no page.

    Raises:
        CollectionRefusedError: It does not.
    """
    if origin and not _among(origin, source.origins):
        raise CollectionRefusedError(Problem.ORIGIN_REFUSED)


def _takes_pages(source: Source) -> bool:
    return source.kind is SourceKind.SEGMENT and not source.disabled


def _among(origin: bytes, allowed: Iterable[str]) -> bool:
    text = origin.decode("latin-1").lower()
    return any(text == _normal(each) for each in allowed)


def _normal(origin: str) -> str:
    """An origin as browsers write it: in lower case, without the port that its scheme has anyway."""
    found = origin.lower()
    for scheme, port in _DEFAULT_PORTS:
        if found.startswith(scheme):
            found = found.removesuffix(port)
    return found


__all__ = ["Headers", "require", "told"]
