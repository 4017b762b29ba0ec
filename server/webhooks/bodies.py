"""Receiving a delivery as the bytes that were signed: nothing unpacked, nothing decoded, and no more than is allowed."""

from collections.abc import Mapping
from typing import Final

from starlette.types import Receive

from server.webhooks.errors import Problem, WebhookRefusedError

MAX_BODY: Final = 2 * 1024 * 1024
# What is too long is read to its end up to here, and thrown away: who is cut off while sending does not read the
# answer, and sends the same again.
_MAX_READ: Final = 4 * MAX_BODY


async def received(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """The body of a request, or None where the sender has gone.

    Raises:
        WebhookRefusedError: It is too long, or not what was signed.
    """
    problem = None
    if headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        problem = Problem.ENCODING_UNKNOWN
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            problem = problem or Problem.BODY_TOO_LARGE
        if problem is None:
            parts.append(part)
        else:
            parts.clear()
        if not message.get("more_body", False) or (problem is not None and size > _MAX_READ):
            if problem is not None:
                raise WebhookRefusedError(problem)
            return b"".join(parts)


__all__ = ["MAX_BODY", "received"]
