"""What can go wrong while deciding who is who.

MatchingError
└── ParametersInvalidError
"""

from customers.errors import CustomersError


class MatchingError(CustomersError):
    """Anything this package raises."""


class ParametersInvalidError(MatchingError):
    """Stored parameters are of another version, or hold numbers that are no probabilities."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the matching parameters cannot be used: {what}")
