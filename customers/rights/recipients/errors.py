"""What can go wrong with recipients.

CustomersError
└── RecipientError
    ├── RecipientNotFoundError
    └── RecipientTakenError
"""

from customers.errors import CustomersError


class RecipientError(CustomersError):
    """Nothing was changed."""


class RecipientNotFoundError(RecipientError):
    """There is no recipient, or no delivery, of this name."""

    def __init__(self) -> None:
        super().__init__("there is none of this name")


class RecipientTakenError(RecipientError):
    """There is a recipient of this name already."""

    def __init__(self) -> None:
        super().__init__("there is a recipient of this name already")
