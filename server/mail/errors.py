"""What can go wrong with a letter.

MailError
├── LetterInvalidError     it cannot be written: an address or a subject that would be more than that
├── MailRefusedError       the mail server will never take it for this address
└── MailUnavailableError   it could not be sent now
"""


class MailError(Exception):
    """Something about mail. No message holds an address, or what a mail server said."""


class LetterInvalidError(MailError):
    """The letter cannot be written as it is."""


class MailRefusedError(MailError):
    """The mail server refuses the address for good."""


class MailUnavailableError(MailError):
    """The mail server cannot be reached, or does not take letters now."""
