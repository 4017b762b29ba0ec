"""The write key of a request: Basic, Bearer, or in the body. It says which source sends, and nothing of who may read."""

import base64
import binascii
from typing import Final

from customers.collection.sources import Source, SourceKind, SourceStore
from server.collection.errors import CollectionRefusedError, Problem

# A write key has 46 characters; whoever sends more than this knows none.
_MOST: Final = 512


def key_of(authorization: bytes) -> str | None:
    """The write key in an Authorization header; None where there is no header.

    Raises:
        CollectionRefusedError: What is there is no write key.
    """
    if not authorization:
        return None
    scheme, _, rest = authorization.strip().partition(b" ")
    rest = rest.strip()
    if len(rest) <= _MOST:
        try:
            if scheme.lower() == b"bearer" and rest:
                return rest.decode("ascii")
            if scheme.lower() == b"basic":
                # The key is the user's name; there is no password.
                key = base64.b64decode(rest, validate=True).decode("ascii").partition(":")[0]
                if key:
                    return key
        except (binascii.Error, UnicodeDecodeError, ValueError):
            pass
    raise CollectionRefusedError(Problem.WRITE_KEY_REFUSED)


async def source_of(sources: SourceStore, in_header: str | None, in_body: str | None) -> Source:
    """The source whose write key a request shows.

    Raises:
        CollectionRefusedError: It shows none, one that is not good, or those of two sources.
    """
    key = in_header or in_body
    if key is None:
        raise CollectionRefusedError(Problem.WRITE_KEY_MISSING)
    source = await known(sources, key)
    if in_header is not None and in_body is not None and in_header != in_body:
        # Both keys of a rotation are good; a library that was given two sources' keys was set up wrongly.
        other = await known(sources, in_body)
        if other.name != source.name:
            raise CollectionRefusedError(Problem.WRITE_KEYS_DIFFER)
    return source


async def known(sources: SourceStore, key: str) -> Source:
    """The source of a write key.

    Raises:
        CollectionRefusedError: There is none, or it does not send like this.
    """
    source = await sources.of_key(key) if len(key) <= _MOST else None
    if source is None or source.kind is not SourceKind.SEGMENT:
        raise CollectionRefusedError(Problem.WRITE_KEY_REFUSED)
    return source


__all__ = ["key_of", "known", "source_of"]
