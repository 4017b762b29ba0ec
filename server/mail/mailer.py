"""Which way letters go, as the settings say."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from server.mail.directory import DirectoryMailer
from server.mail.letter import Letter
from server.mail.smtp import MailServer, SmtpMailer
from server.settings import Settings

_NOBODY: Final = "confide@localhost"
_DIRECTORY: Final = "mail"


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter) -> None:
        """Send it; it has been taken when this returns.

        Raises:
            MailError: It was not.
        """


def mailer_of(
    settings: Settings, *, now: Callable[[], datetime], random: Callable[[int], bytes]
) -> SmtpMailer | DirectoryMailer | None:
    """What sends letters: a mail server, or a directory, or nothing.

    In development letters go to `mail` in `data_dir` unless something else is set.
    """
    sender = settings.mail_from or _NOBODY
    if settings.smtp_uri is not None:
        server = MailServer.of(settings.smtp_uri.get_secret_value())
        return SmtpMailer(server, sender, settings.controller, now=now, random=random)
    directory = directory_of(settings)
    if directory is None:
        return None
    return DirectoryMailer(directory, sender, settings.controller, now=now, random=random)


def directory_of(settings: Settings) -> Path | None:
    """Where letters are put instead of being sent; None where they are sent, or there are none."""
    if settings.smtp_uri is not None:
        return None
    if settings.mail_directory is None and settings.development:
        return settings.data_dir / _DIRECTORY
    return settings.mail_directory


__all__ = ["Mailer", "directory_of", "mailer_of"]
