"""What can go wrong with data quality.

CustomersError
├── CorrectionGoneError
└── ReportRunningError
"""

from customers.errors import CustomersError


class CorrectionGoneError(CustomersError):
    """There is no such suggestion any more, or none that the caller may see; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("there is no such suggestion; it was decided, or what it was about has changed")


class ReportRunningError(CustomersError):
    """Another process is making the report, or has taken this one over; what it finds counts."""

    def __init__(self) -> None:
        super().__init__("the report is being made by another process; wait for it, or look at it when it is done")
