"""What can be wrong with a delivery whose signature is good.

CustomersError (customers/errors.py)
└── DeliveryInvalidError    nothing can be made of it, now or later; it holds the `Flaw`
"""

from enum import StrEnum

from customers.errors import CustomersError


class Flaw(StrEnum):
    """Why nothing can be made of a delivery."""

    NOT_JSON = "not_json"
    NOT_UNDERSTOOD = "not_understood"
    NOT_A_CLOUDEVENT = "not_a_cloudevent"
    DATA_NOT_JSON = "data_not_json"
    TOO_MANY_EVENTS = "too_many_events"


class DeliveryInvalidError(CustomersError):
    """A delivery that can be made nothing of; `flaw` says why, and nothing of what was sent."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


__all__ = ["DeliveryInvalidError", "Flaw"]
