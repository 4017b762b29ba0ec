"""A lean load generator: keep-alive connections that each send a prepared request when the last was answered.

It costs the sender some 40 us a request, so that on a machine with few cores it is the server that is measured. Every
answer's status is looked at, and each different answer's body is handed to the caller's check once.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Load", "Requests", "http_request"]

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def http_request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of one POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + _END + body


@dataclass
class Requests:
    """What is sent, in turn; and what became of it.

    Attributes:
        prepared: The bytes of each request.
        check: Is given the body of every answer; raises where it is not what was asked for.
        seconds: How long each took, in seconds.
    """

    prepared: Sequence[bytes]
    check: Callable[[bytes], None]
    seconds: list[float] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = bytearray()
        self._wanted = 0
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP gives a Transport

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(error)

    def send(self) -> None:
        """Send the next request, if one is left."""
        request = self._load.next()
        if request is not None and self._transport is not None:
            self._sent = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._wanted:
            end = self._received.find(_END)
            if end < 0:
                return
            head = bytes(self._received[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                self._load.failed(ValueError(bytes(self._received[:2000]).decode(errors="replace")))
                return
            at = head.index(_LENGTH) + len(_LENGTH)
            self._wanted = end + len(_END) + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._received) >= self._wanted:
            body = bytes(self._received[self._received.index(_END) + len(_END) :])
            self._received.clear()
            self._wanted = 0
            self._load.answered(time.perf_counter() - self._sent, body)
            self.send()


class Load:
    """`connections` kept open to one server."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._most = connections
        self._open: list[_Connection] = []
        self._requests: Requests | None = None
        self._left = 0
        self._asked = 0
        self._done: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(self._most):
            _, protocol = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
            self._open.append(protocol)
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._open:
            if each._transport is not None:  # noqa: SLF001 - both are this file's
                each._transport.close()  # noqa: SLF001 - both are this file's

    async def run(self, requests: Requests, count: int) -> None:
        """Send `count` requests, each connection one at a time, and wait for all answers.

        Raises:
            ValueError: An answer's status was not 200, or the check refused it.
            ConnectionError: The server closed a connection.
        """
        self._requests, self._left, self._asked = requests, count, count
        self._done = asyncio.get_running_loop().create_future()
        for each in self._open[:count]:
            each.send()
        await self._done
        self._done = None

    def next(self) -> bytes | None:
        """The next request's bytes, or None where all were sent."""
        if not self._asked or self._requests is None:
            return None
        self._asked -= 1
        return self._requests.prepared[self._asked % len(self._requests.prepared)]

    def answered(self, seconds: float, body: bytes) -> None:
        """One answer has come."""
        if self._requests is None:
            return
        try:
            self._requests.check(body)
        except ValueError as error:
            self.failed(error)
            return
        self._requests.seconds.append(seconds)
        self._left -= 1
        if not self._left and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def failed(self, error: Exception) -> None:
        """The run ends with this error."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def lost(self, error: Exception | None) -> None:
        """A connection was closed; while a run is on, that ends it."""
        self.failed(error or ConnectionError("the server closed a connection"))
