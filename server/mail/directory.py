"""Puts letters into a directory instead of sending them: for a laptop, where there is no mail server."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from server.mail.errors import MailUnavailableError
from server.mail.letter import Letter, composed

_KEPT: Final = timedelta(hours=1)


class DirectoryMailer:
    """Writes each letter as a file that only this user reads.

    Args:
        directory: where; made if it is missing.
        sender: the address they come from.
        name: the name beside it.
        now: the time.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        directory: Path,
        sender: str,
        name: str | None,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._sender = sender
        self._name = name
        self._now = now
        self._random = random

    async def send(self, letter: Letter) -> None:
        """Write it.

        Raises:
            LetterInvalidError: It cannot be written.
            MailUnavailableError: The directory does not take it.
        """
        at = self._now()
        content = bytes(composed(letter, self._sender, self._name, at, self._random))
        name = f"{at:%Y%m%dT%H%M%S}-{self._random(4).hex()}.eml"
        try:
            await asyncio.to_thread(self._write, name, content)
        except OSError:
            raise MailUnavailableError("the directory of letters cannot be written to") from None

    def sweep(self) -> None:
        """Remove letters that nobody can use any more: they hold addresses."""
        latest = (self._now() - _KEPT).timestamp()
        for path in self._directory.glob("*.eml"):
            if path.stat().st_mtime < latest:
                path.unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


__all__ = ["DirectoryMailer"]
