"""Receiving what was sent: as long as is allowed and no longer, compressed or not.

SDKs label compressed bodies as they like, so the first two bytes count before any header: 1F 8B (RFC 1952) begins no
JSON. What unpacks to more than the limit is given up as soon as it does, so a bomb costs no more than its fuse.
"""

import zlib
from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from server.collection.errors import CollectionRefusedError, Problem

MAX_BODY: Final = 500 * 1024
# What is too long is read to its end up to here, and thrown away: who is cut off while sending does not read the
# answer, and sends the same again.
_MAX_READ: Final = 8 * 1024 * 1024
_MAGIC: Final = b"\x1f\x8b"
_GZIP_ONLY: Final = 16 + zlib.MAX_WBITS
_ENCODINGS: Final = {b"": False, b"identity": False, b"gzip": True, b"x-gzip": True}


class Unpacking:
    """A body as it comes, part by part; unpacked where it is compressed.

    Args:
        said: Whether its header says that it is compressed with gzip.
        most: How many bytes it may have, as it is sent and as it is meant.
    """

    def __init__(self, *, said: bool, most: int = MAX_BODY) -> None:
        self._said = said
        self._most = most
        self._received = 0
        self._size = 0
        self._parts: list[bytes] = []
        self._begin: bytes | None = b""
        self._gzip: zlib._Decompress | None = None

    def add(self, part: bytes) -> None:
        """Take the next part.

        Raises:
            CollectionRefusedError: It is too long, or broken.
        """
        self._received += len(part)
        if self._received > self._most:
            raise CollectionRefusedError(Problem.BODY_TOO_LARGE)
        if self._begin is not None:
            self._begin += part
            if len(self._begin) < len(_MAGIC):
                return
            part, self._begin = self._begin, None
            if part.startswith(_MAGIC):
                self._gzip = zlib.decompressobj(_GZIP_ONLY)
        if self._gzip is not None:
            part = self._unpacked(self._gzip, part)
        self._size += len(part)
        if self._size > self._most:
            raise CollectionRefusedError(Problem.BODY_TOO_LARGE)
        self._parts.append(part)

    def _unpacked(self, gzip: "zlib._Decompress", part: bytes) -> bytes:
        try:
            # One byte more than is allowed shows that there are more.
            found = gzip.decompress(part, self._most - self._size + 1)
        except zlib.error:
            raise CollectionRefusedError(Problem.GZIP_BROKEN) from None
        if gzip.unused_data:
            raise CollectionRefusedError(Problem.GZIP_BROKEN)
        return found

    def whole(self) -> bytes:
        """What was sent, when all of it has come.

        Raises:
            CollectionRefusedError: It ends too early, or its header says that it is compressed and it is not.
        """
        if self._gzip is None:
            if self._said:
                raise CollectionRefusedError(Problem.GZIP_BROKEN)
            return self._begin or b"".join(self._parts)
        if not self._gzip.eof:
            raise CollectionRefusedError(Problem.GZIP_BROKEN)
        return b"".join(self._parts)


async def received(headers: Mapping[bytes, bytes], receive: Receive, most: int = MAX_BODY) -> bytes | None:
    """The body of a request as it is meant, or None where the sender has gone.

    Args:
        headers: The request's headers, names in lower case.
        receive: Gives the parts.
        most: How many bytes it may have, as it is sent and as it is meant.

    Raises:
        CollectionRefusedError: It is too long, broken, or compressed in another way.
    """
    said = _ENCODINGS.get(headers.get(b"content-encoding", b"").strip().lower())
    refused = None if said is not None else CollectionRefusedError(Problem.ENCODING_UNKNOWN)
    unpacking, size = Unpacking(said=bool(said), most=most), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if refused is None:
            try:
                unpacking.add(part)
            except CollectionRefusedError as error:
                refused = error
        if not message.get("more_body", False) or (refused is not None and size > _MAX_READ):
            if refused is not None:
                raise refused
            return unpacking.whole()


__all__ = ["MAX_BODY", "Unpacking", "received"]
