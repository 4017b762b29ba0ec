"""uvicorn's HTTP protocol with a deadline for the head of a request: a connection that never ends one is closed.

uvicorn has none, so whoever opens connections and leaves them half said could hold all there are.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HeadDeadlineProtocol(HttpToolsProtocol):
    """Closes a connection that has not sent the whole head of its request in time."""

    def __init__(self, *arguments: Any, head_seconds: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_seconds = head_seconds
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin to wait for the head of another request on the same connection."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._done()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._done()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(self._head_seconds, self._too_slow)

    def _done(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _too_slow(self) -> None:
        self._head_due = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
