"""Reading a request's body without trusting it: bounded in bytes and time, not compressed, text where it must be."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from server.errors import (
    BodyCutOffError,
    BodyEncodedError,
    BodyNotTextError,
    BodyTooLargeError,
    BodyTooSlowError,
)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# JSON text whose escapes are all characters: not NUL, and surrogates only in pairs. Every escape is one step, so a
# backslash that is itself escaped starts none (RFC 8259 §7, §8.2); possessive, so that it never goes back.
_CHARACTERS = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?!0000|[dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+\\?"
)
_TOO_LARGE: Final = "the request body is longer than this server accepts: at most {} bytes"


async def read_body(headers: Mapping[str, str], receive: Receive, *, max_bytes: int, seconds: float) -> bytes:
    """The whole body of a request.

    Args:
        headers: The request's headers; the names are looked up in lower case.
        receive: The ASGI channel.
        max_bytes: The longest body that is read; no more than this and one chunk is ever held.
        seconds: How long it may take to arrive.

    Raises:
        BodyTooLargeError: It is longer, or says it is.
        BodyEncodedError: It has a content coding.
        BodyTooSlowError: It did not arrive in time.
        BodyCutOffError: The client went away.
    """
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BodyEncodedError("send the request body as it is, without Content-Encoding")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > len(str(max_bytes)) or int(announced) > max_bytes):
        raise BodyTooLargeError(_TOO_LARGE.format(max_bytes))
    try:
        async with asyncio.timeout(seconds):
            return await _receive(receive, max_bytes)
    except TimeoutError:
        raise BodyTooSlowError("the request body did not arrive in time") from None


async def _receive(receive: Receive, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyCutOffError("the client went away before the end of its request")
        part = message.get("body", b"")
        length += len(part)
        if length > max_bytes:
            raise BodyTooLargeError(_TOO_LARGE.format(max_bytes))
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def check_json_text(body: bytes) -> None:
    r"""Refuse a JSON text whose strings could not be stored, compared or sent on as they are.

    That is: bytes that are not UTF-8 (RFC 8259 §8.1), a byte order mark, NUL, written as it is or as `\u0000`,
    and half of a surrogate pair. In time linear in its length, before anything parses it.

    Raises:
        BodyNotTextError: It is one of those.
    """
    if not body.isascii():
        try:
            body.decode("utf-8")
        except UnicodeDecodeError:
            raise BodyNotTextError("the request body is not UTF-8") from None
    if b"\0" in body or body.startswith(b"\xef\xbb\xbf"):
        raise BodyNotTextError("the request body holds a character that is not allowed: NUL or a byte order mark")
    if b"\\u" in body and not _CHARACTERS.fullmatch(body):
        raise BodyNotTextError("the request body escapes a character that is not allowed: NUL or half of a pair")
