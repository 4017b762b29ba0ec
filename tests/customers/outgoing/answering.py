"""Real servers on loopback that answer as they are told to, byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Write = Callable[[bytes], Awaitable[None]]
Script = Callable[[bytes, Write], Awaitable[None]]


@dataclass
class Answering:
    """A server, and every request head and body it was sent."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


def response(status: str = "200 OK", body: bytes = b"{}", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def always(answer: bytes) -> Script:
    async def script(_request: bytes, write: Write) -> None:
        await write(answer)

    return script


def in_turn(*answers: bytes) -> Script:
    left = list(answers)

    async def script(_request: bytes, write: Write) -> None:
        await write(left.pop(0) if len(left) > 1 else left[0])

    return script


@contextlib.asynccontextmanager
async def answering(script: Script, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Answering]:
    """Answer on loopback for the length of a block."""
    found = Answering(port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # Told to end while it waits, a handler simply ends; the stream's own callback would call that a failure.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            found.heard.append(head + (await reader.readexactly(length) if length else b""))
            await script(found.heard[-1], write)
        writer.close()

    server = await asyncio.start_server(serve, host, port)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
