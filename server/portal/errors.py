"""What keeps a page from being shown.

PortalError
├── NothingHereError        there is no such page, or nothing of this customer's under that name
├── NotInError              nobody is signed in
├── StepUpNeededError       who is signed in has to show once more that it is them
├── FormNotOursError        what was posted did not come from a page of ours
├── TooManyCopiesError      somebody made as many copies of their data as they may in a day
├── ValueRefusedError       a value that was sent is not one; it says which field, and why
└── NotNowError             what is needed does not answer
"""


class PortalError(Exception):
    """Any of them."""


class NothingHereError(PortalError):
    """There is nothing here, for whoever asks."""


class NotInError(PortalError):
    """Nobody is signed in."""


class StepUpNeededError(PortalError):
    """It has to be shown once more who it is."""


class FormNotOursError(PortalError):
    """A form that no page of this session gave out."""


class TooManyCopiesError(PortalError):
    """As many copies were made today as may be."""


class ValueRefusedError(PortalError):
    """A value was refused.

    Attributes:
        field: the value's name.
        why: a code: `form`, `taken`, `changed`.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field
        self.why = why


class NotNowError(PortalError):
    """A database, the keys or the log do not answer."""


__all__ = [
    "FormNotOursError",
    "NotInError",
    "NotNowError",
    "NothingHereError",
    "PortalError",
    "StepUpNeededError",
    "TooManyCopiesError",
    "ValueRefusedError",
]
