"""A letter, and the message it becomes (RFC 5322). Pure.

Nothing that stands in a letter can become a header, another recipient or a command: an address that could be anything
but one address is refused, and so is a subject of more than one line.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import idna

from server.mail.errors import LetterInvalidError

_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
)
_LOOPBACK: Final = "localhost"
_LONGEST_LOCAL: Final = 64
_LONGEST_SUBJECT: Final = 200
_LONGEST_ADDRESS: Final = 512
_NUMBER_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent to one address.

    Attributes:
        to: the address.
        subject: one line.
        text: the letter in plain text.
        html: the same as HTML; nothing in it is fetched from anywhere.
        language: of the letter, such as `de`.
    """

    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    language: str


def address_of(written: str) -> Address:
    """The one address that this is.

    Raises:
        LetterInvalidError: It is none, or could be more.
    """
    if len(written) > _LONGEST_ADDRESS:
        raise LetterInvalidError("not an address")
    local, at, domain = written.strip(" ").rpartition("@")
    try:
        domain = domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise LetterInvalidError("not an address") from None
    known = _DOMAIN.fullmatch(domain) is not None or domain == _LOOPBACK
    if not at or not known or len(local.encode(errors="replace")) > _LONGEST_LOCAL or not _is_local(local):
        raise LetterInvalidError("not an address")
    return Address(username=local, domain=domain)


def _is_local(local: str) -> bool:
    """Whether this can stand before the `@`: atoms of ASCII, or letters of other scripts in their place (RFC 6531)."""
    if local.isascii():
        return _ATOM.fullmatch(local) is not None
    if not local.isprintable():
        return False
    # Letters, marks and digits beyond ASCII count as atoms; what would have to be quoted does not.
    plain = "".join(each if each.isascii() else "x" if each.isalnum() else " " for each in local)
    return _ATOM.fullmatch(plain) is not None


def composed(
    letter: Letter, sender: str, name: str | None, at: datetime, random: Callable[[int], bytes]
) -> EmailMessage:
    """The message of a letter.

    Args:
        letter: what is sent.
        sender: the address it comes from.
        name: the name beside that address.
        at: when it is sent.
        random: gives that many random bytes, for its number.

    Raises:
        LetterInvalidError: An address is none, or the subject is not one line.
    """
    to, by = address_of(letter.to), address_of(sender)
    subject = letter.subject
    if not subject or len(subject) > _LONGEST_SUBJECT or not subject.isprintable():
        raise LetterInvalidError("a subject is one line")
    shown = "".join(each for each in name or "" if each.isprintable())
    message = EmailMessage(policy=policy.SMTP if to.username.isascii() else policy.SMTPUTF8)
    message["From"] = Address(shown, by.username, by.domain)
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{random(_NUMBER_BYTES).hex()}@{by.domain}>"
    # Nobody's absence answers it (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    # After what it would otherwise be taken for a header of.
    message["Content-Language"] = letter.language
    return message


__all__ = ["Letter", "address_of", "composed"]
