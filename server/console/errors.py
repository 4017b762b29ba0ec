"""What keeps the console from showing a page.

ConsoleError
├── SignInNeededError        nobody is signed in, or not any more
├── SignInUnavailableError   who is signed in cannot be checked now
├── PurposeNeededError       no purpose is stated
├── FormRefusedError         a form came from elsewhere, or is none
├── ReadRefusedError         GraphQL refused what the page asked
├── NoSuchPageError          nothing is at this address
└── NotServedError           this server has no part that could do it
"""

from collections.abc import Mapping
from typing import Any

from schema.errors import ErrorCode


class ConsoleError(Exception):
    """Anything this package raises; its text is for the reader, and holds nothing that was sent or stored."""


class SignInNeededError(ConsoleError):
    """Nobody is signed in, or not any more; the text says why, where there is a why."""


class SignInUnavailableError(ConsoleError):
    """Who is signed in cannot be checked now; asking again helps."""


class PurposeNeededError(ConsoleError):
    """Nothing is read before its reader says what for."""


class FormRefusedError(ConsoleError):
    """A form that this console did not give out to this session, or something that is no form.

    Attributes:
        status: of the answer.
    """

    def __init__(self, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class ReadRefusedError(ConsoleError):
    """GraphQL refused to answer, or could not.

    Attributes:
        code: why.
        fields: the fields of the catalogue that it is about, if any.
        entry: where the access log holds the refusal, if it was recorded.
    """

    def __init__(self, error: Mapping[str, Any], entry: str | None) -> None:
        super().__init__(str(error["message"]))
        extensions = error.get("extensions") or {}
        self.code = ErrorCode(extensions.get("code", ErrorCode.INTERNAL))
        self.fields = tuple(map(str, extensions.get("fields", ())))
        self.entry = entry


class NoSuchPageError(ConsoleError):
    """Nothing is at this address, or nothing the reader may know of."""


class NotServedError(ConsoleError):
    """The server was wired without the part that could do this."""


__all__ = [
    "ConsoleError",
    "FormRefusedError",
    "NoSuchPageError",
    "NotServedError",
    "PurposeNeededError",
    "ReadRefusedError",
    "SignInNeededError",
    "SignInUnavailableError",
]
