"""What can go wrong while asking another machine.

OutgoingError
├── AddressRefusedError
├── UnreachableError
├── TooSlowError
└── AnswerInvalidError
    └── AnswerBrokenError
"""


class OutgoingError(Exception):
    """A request that was not answered as it must be; its text is constant, and holds nothing of either side."""


class AddressRefusedError(OutgoingError):
    """This address may not be asked; nothing was sent."""


class UnreachableError(OutgoingError):
    """Nobody answers there, or nobody who can prove to be who was asked."""

    def __init__(self) -> None:
        super().__init__("there is no answer from there")


class TooSlowError(OutgoingError):
    """The answer took longer than it may."""

    def __init__(self) -> None:
        super().__init__("the answer took longer than it may")


class AnswerInvalidError(OutgoingError):
    """There was an answer that cannot be used: too long, compressed, broken off, or sending us elsewhere."""


class AnswerBrokenError(AnswerInvalidError):
    """It broke off, or is no HTTP; another attempt may have the whole."""

    def __init__(self) -> None:
        super().__init__("the answer is broken")
