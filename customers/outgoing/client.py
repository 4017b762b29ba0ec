"""Asks other machines over HTTP, and only those that may be asked.

A name is resolved once for each connection, every address it stands for is checked, and the connection goes to the very
address that was checked; so a resolver that answers otherwise the second time leads nowhere. TLS still proves the name.
Redirects are not followed, proxies of the environment not used, answers are bounded in length and time, and not
decompressed. Nothing here writes a log line: an address may hold what is asked for, a header a key.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import httpcore
import httpx

from customers.outgoing.addresses import Allowed, Origin
from customers.outgoing.errors import (
    AddressRefusedError,
    AnswerBrokenError,
    AnswerInvalidError,
    OutgoingError,
    TooSlowError,
    UnreachableError,
)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses that a host stands for, in numbers."""
Before = Callable[[], Awaitable[None]]

_AGAIN: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience there is.

    Attributes:
        seconds: For one attempt, from the first byte sent to the last received.
        connect_seconds: Of these, for being connected.
        longest: The longest answer, in bytes.
        attempts: How often a request is sent at most.
        pause_seconds: How long to wait before the second attempt; before each further one, twice as long.
        longest_pause: The longest wait between attempts, be it asked for.
        at_once: How many requests are on their way at once.
        per_second: How many requests are begun in a second; None for as many as there are.
    """

    seconds: float = 10.0
    connect_seconds: float = 3.0
    longest: int = 1_048_576
    attempts: int = 3
    pause_seconds: float = 0.5
    longest_pause: float = 10.0
    at_once: int = 4
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `repeatable` says that being asked twice does no harm; by default the method tells."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    repeatable: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the operating system gives for a host."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to nothing else."""

    def __init__(self, allowed: Allowed, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the name is the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        async with asyncio.timeout(timeout):
            try:
                resolved = await self._resolve(host, port)
            except (OSError, UnicodeError):
                raise UnreachableError from None
            addresses = self._allowed.admitted(host, port, resolved)
            for address in addresses:
                share = None if timeout is None else timeout / len(addresses)
                try:
                    return await self._network.connect_tcp(address, port, share, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue
        raise UnreachableError

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del path, timeout, socket_options
        raise AddressRefusedError("a socket of this machine is no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class OutgoingClient:
    """Sends requests, so many at once and so many a second, and again where that may help."""

    def __init__(
        self,
        allowed: Allowed,
        limits: Limits,
        *,
        random: Callable[[int], bytes],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resolve: Resolve = system_resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nobody yet.

        Args:
            allowed: Who may be asked.
            limits: How much patience there is.
            random: For pauses that are not everybody's at once.
            now: What a date in `Retry-After` is held against.
            resolve: Gives the addresses of a host.
            tls: Whose word proves a name; the usual authorities by default.
        """
        self._allowed = allowed
        self._limits = limits
        self._random = random
        self._now = now
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=limits.at_once,
            keepalive_expiry=15.0,
            network_backend=_CheckedBackend(allowed, resolve),
        )
        self._places = asyncio.Semaphore(limits.at_once)
        self._next = 0.0

    async def __aenter__(self) -> Self:
        """Use it for the length of a block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """End what is open."""
        await self._pool.aclose()

    async def send(self, request: Request, *, before: Before | None = None) -> Answer:
        """Send a request until it is answered, or there is no use in it.

        Args:
            request: What to ask, and whom.
            before: Called right before each attempt, the first included, when its turn has come; where it raises,
                nothing is sent any more.

        Raises:
            AddressRefusedError: That one may not be asked; nothing was sent.
            UnreachableError, TooSlowError, AnswerInvalidError: As they say.
        """
        origin = Origin.of(request.url)
        self._allowed.check(origin)
        repeatable = request.method in _REPEATABLE if request.repeatable is None else request.repeatable
        last = self._limits.attempts if repeatable else 1
        for attempt in range(1, last + 1):
            async with self._places:
                await self._turn()
                if before is not None:
                    await before()
                try:
                    answer = await self._attempt(request)
                except (UnreachableError, TooSlowError, AnswerBrokenError):
                    if attempt == last:
                        raise
                    pause = self._pause(attempt)
                else:
                    wanted = self._wanted(answer, attempt)
                    if answer.status not in _AGAIN or attempt == last or wanted is None:
                        return answer
                    pause = wanted
            await asyncio.sleep(pause)
        raise OutgoingError("a request is sent at least once")

    async def _turn(self) -> None:
        """Wait until another request may be begun."""
        if self._limits.per_second is None:
            return
        now = asyncio.get_running_loop().time()
        mine = max(now, self._next)
        self._next = mine + 1 / self._limits.per_second
        if mine > now:
            await asyncio.sleep(mine - now)

    async def _attempt(self, request: Request) -> Answer:
        limits = self._limits
        # Only to have the head made as everybody makes it; it is never sent by this library's client, which logs.
        made = httpx.Request(request.method, request.url, headers=dict(request.headers), content=request.body or None)
        headers = [(name, value) for name, value in made.headers.raw if name.lower() != b"accept-encoding"]
        headers.append((b"Accept-Encoding", b"identity"))
        target = httpcore.URL(
            scheme=made.url.raw_scheme, host=made.url.raw_host, port=made.url.port, target=made.url.raw_path
        )
        timeouts = dict.fromkeys(("read", "write", "pool"), limits.seconds) | {"connect": limits.connect_seconds}
        try:
            async with (
                asyncio.timeout(limits.seconds),
                self._pool.stream(
                    request.method,
                    target,
                    headers=headers,
                    content=request.body or None,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                return await self._read(response)
        except (TimeoutError, httpcore.TimeoutException):
            raise TooSlowError from None
        except (httpcore.RemoteProtocolError, httpcore.LocalProtocolError, httpcore.ReadError):
            raise AnswerBrokenError from None
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError):
            raise UnreachableError from None

    async def _read(self, response: httpcore.Response) -> Answer:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1", "replace") for name, value in response.headers
        }
        if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            raise AnswerInvalidError("the answer sends us elsewhere, and we do not go")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise AnswerInvalidError("the answer is compressed, which was not asked for")
        said = headers.get("content-length", "0")
        if not said.isascii() or not said.isdigit() or int(said) > self._limits.longest:
            raise AnswerInvalidError("the answer is longer than it may be")
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > self._limits.longest:
                raise AnswerInvalidError("the answer is longer than it may be")
        return Answer(response.status, headers, bytes(body))

    def _pause(self, attempt: int) -> float:
        doubled: float = self._limits.pause_seconds * 2 ** (attempt - 1)
        full = min(doubled, self._limits.longest_pause)
        return full * (0.5 + self._random(1)[0] / 510)

    def _wanted(self, answer: Answer, attempt: int) -> float | None:
        """How long to wait before the next attempt; None where the other side wants more patience than there is."""
        asked = answer.headers.get("retry-after", "").strip()
        if not asked:
            return self._pause(attempt)
        if asked.isascii() and asked.isdigit() and len(asked) < 10:  # noqa: PLR2004 - thirty years
            seconds = float(asked)
        else:
            try:
                seconds = (parsedate_to_datetime(asked).astimezone(UTC) - self._now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return self._pause(attempt)
        return max(seconds, self._pause(attempt)) if seconds <= self._limits.longest_pause else None
