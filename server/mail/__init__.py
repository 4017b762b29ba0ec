"""Letters to customers and staff: written here, sent through a mail server or put into a directory."""

from server.mail.directory import DirectoryMailer
from server.mail.errors import LetterInvalidError, MailError, MailRefusedError, MailUnavailableError
from server.mail.letter import Letter, address_of, composed
from server.mail.mailer import Mailer, directory_of, mailer_of
from server.mail.smtp import MailServer, SmtpMailer

__all__ = [
    "DirectoryMailer",
    "Letter",
    "LetterInvalidError",
    "MailError",
    "MailRefusedError",
    "MailServer",
    "MailUnavailableError",
    "Mailer",
    "SmtpMailer",
    "address_of",
    "composed",
    "directory_of",
    "mailer_of",
]
