"""What can go wrong while the base is searched for profiles that are one person.

MatchingError
└── MatchingRunningError
"""

from customers.identity.matching import MatchingError


class MatchingRunningError(MatchingError):
    """Another process is at it, or took it over."""

    def __init__(self) -> None:
        super().__init__("another process is looking for profiles that are one person; it ends by itself")
