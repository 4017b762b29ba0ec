"""Where an issuer's keys come from: held in memory, read from a file, or fetched over HTTPS.

A source keeps the last good set while the issuer cannot be reached, for a day; a set it could not read never
replaces one it could.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

import httpx

from server.access.keys import MAX_SET_BYTES, KeySet
from server.errors import IssuerKeysError, IssuerUnavailableError

_FETCH_SECONDS: Final = 5.0
# An unknown key id causes one fetch in this time, however many tokens bring one.
UNKNOWN_KEY_SECONDS: Final = 30
_STALE = timedelta(days=1)
_OK: Final = 200


class KeySource(Protocol):
    """What the verifier asks for keys."""

    @property
    def version(self) -> int:
        """Grows whenever the set changes; a verified token is good for one version."""

    def refresh_soon(self) -> None:
        """Start a refresh in the background when one is due; costs one comparison when none is."""

    async def current(self) -> KeySet:
        """The keys; raises IssuerUnavailableError when there are none fresh enough."""

    async def after_unknown_key(self) -> KeySet:
        """The keys after looking once more, at most every `UNKNOWN_KEY_SECONDS`."""

    async def close(self) -> None:
        """Stop what runs in the background."""


class FixedKeys:
    """Keys that do not change while the process runs: the local issuer's."""

    version = 1

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def refresh_soon(self) -> None:
        """Nothing to do."""

    async def current(self) -> KeySet:
        """The keys."""
        return self._keys

    async def after_unknown_key(self) -> KeySet:
        """The same keys."""
        return self._keys

    async def close(self) -> None:
        """Nothing to stop."""


class RefreshingKeys:
    """Keys read again every `refresh` and, within bounds, when a token names one that is not known."""

    def __init__(
        self,
        read: "ReadKeys",
        *,
        now: Callable[[], datetime],
        refresh: timedelta = timedelta(seconds=300),
        unknown_key: timedelta = timedelta(seconds=UNKNOWN_KEY_SECONDS),
    ) -> None:
        self._read = read
        self._now = now
        self._refresh = refresh
        self._unknown_key = unknown_key
        self._document = b""
        self._keys: KeySet | None = None
        self._read_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._due = now()
        self._running: asyncio.Task[None] | None = None
        self.version = 0

    def refresh_soon(self) -> None:
        """Start a refresh when one is due; the caller goes on with the keys there are."""
        if self._now() >= self._due and self._keys is not None:
            self._start()

    async def current(self) -> KeySet:
        """The keys, fetched first when there are none.

        Raises:
            IssuerUnavailableError: None were ever read, or the last good ones are older than a day.
        """
        if self._keys is None and (self._running is not None or self._may_try()):
            await self._start()
        self.refresh_soon()
        if self._keys is None or self._read_at is None or self._now() - self._read_at > _STALE:
            raise IssuerUnavailableError("the keys of this token's issuer cannot be read at the moment; try again")
        return self._keys

    async def after_unknown_key(self) -> KeySet:
        """The keys after one more look, unless the last look was a moment ago."""
        if self._running is not None or self._may_try():
            await self._start()
        return await self.current()

    async def close(self) -> None:
        """Stop a refresh that is under way."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    def _may_try(self) -> bool:
        return self._tried_at is None or self._now() - self._tried_at >= self._unknown_key

    def _start(self) -> "asyncio.Future[None]":
        """The refresh under way, or a new one; a caller that gives up does not end it for the others."""
        if self._running is None:
            self._running = asyncio.create_task(self._renew(), name="issuer keys")
            self._running.add_done_callback(self._finished)
        return asyncio.shield(self._running)

    def _finished(self, _: "asyncio.Task[None]") -> None:
        self._running = None

    async def _renew(self) -> None:
        self._tried_at = self._now()
        # A failed look is repeated sooner than a good one, and not at once.
        self._due = self._tried_at + min(self._refresh, self._unknown_key)
        with contextlib.suppress(IssuerKeysError):
            document = await self._read()
            if document != self._document:
                self._keys = KeySet.parse(document)
                self._document = document
                self.version += 1
            self._read_at = self._now()
            self._due = self._read_at + self._refresh


class ReadKeys(Protocol):
    """Reads a JWK set once."""

    async def __call__(self) -> bytes:
        """The document; raises IssuerKeysError when it cannot be read."""


def from_file(path: Path) -> ReadKeys:
    """Reads the set from a file."""

    async def read() -> bytes:
        try:
            return await asyncio.to_thread(_head, path)
        except OSError as error:
            raise IssuerKeysError(f"the JWK set file cannot be read: {type(error).__name__}") from error

    return read


def from_url(url: str, client: httpx.AsyncClient) -> ReadKeys:
    """Fetches the set by HTTP; follows no redirect and accepts no compressed answer, so its size is bounded."""

    async def fetch() -> bytes:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await _get(client, url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise IssuerKeysError(f"the JWK set cannot be fetched: {type(error).__name__}") from error

    return fetch


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
    async with client.stream("GET", url, headers=headers, follow_redirects=False) as answer:
        if answer.status_code != _OK:
            raise IssuerKeysError(f"the JWK set was answered with status {answer.status_code}")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise IssuerKeysError("the JWK set came compressed although that was not asked for")
        body = bytearray()
        async for part in answer.aiter_raw(16_384):
            body += part
            if len(body) > MAX_SET_BYTES:
                raise IssuerKeysError(f"the JWK set is larger than {MAX_SET_BYTES} bytes")
        return bytes(body)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SET_BYTES + 1)
