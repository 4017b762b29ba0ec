"""Sends letters through a mail server; what the server says is not repeated anywhere."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from server.loopback import is_loopback
from server.mail.errors import MailRefusedError, MailUnavailableError
from server.mail.letter import Letter, composed

_SECONDS: Final = 20.0
_FOR_GOOD: Final = 500
_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where a mail server is, and who we are to it."""

    host: str
    port: int
    tls: bool
    """TLS from the first byte; otherwise STARTTLS, which only this machine's own server may do without."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, uri: str) -> "MailServer":
        """Out of `smtps://user:password@host:465` or `smtp://…`.

        Raises:
            ValueError: It is no such address.
        """
        parts = urlsplit(uri)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError("not a mail server")
        return cls(
            parts.hostname,
            parts.port or _PORTS[parts.scheme],
            parts.scheme == "smtps",
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )


class SmtpMailer:
    """Sends each letter over a connection of its own.

    Args:
        server: what takes the letters.
        sender: the address they come from.
        name: the name beside it.
        now: the time.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        server: MailServer,
        sender: str,
        name: str | None,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._server = server
        self._sender = sender
        self._name = name
        self._now = now
        self._random = random

    async def send(self, letter: Letter) -> None:
        """Send it; it has been taken when this returns.

        Raises:
            LetterInvalidError: It cannot be written.
            MailRefusedError: Its address is refused for good.
            MailUnavailableError: It was not taken now.
        """
        message = composed(letter, self._sender, self._name, self._now(), self._random)
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.tls,
            start_tls=not server.tls and not is_loopback(server.host),
            # Not the name of this machine, which is nobody's to know.
            local_hostname=self._sender.rpartition("@")[2],
            timeout=_SECONDS,
        )
        try:
            async with client:
                await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(each.code >= _FOR_GOOD for each in error.recipients):
                raise MailRefusedError("the mail server refuses the address") from None
            raise MailUnavailableError("the mail server does not take the letter now") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError):
            raise MailUnavailableError("the mail server cannot be used") from None


__all__ = ["MailServer", "SmtpMailer"]
