"""Why a webhook is refused; its answer says so in one of these sentences, and repeats nothing of it.

ServerError (server/errors.py)
└── WebhookRefusedError    a delivery is not taken; it holds the `Problem`
"""

from enum import StrEnum
from typing import Final

from server.errors import ServerError


class Problem(StrEnum):
    """The closed set of `code`. A value may be added; none may change its meaning."""

    SIGNATURE_REFUSED = "SIGNATURE_REFUSED"
    TIMESTAMP_OUT_OF_RANGE = "TIMESTAMP_OUT_OF_RANGE"
    NOT_JSON = "NOT_JSON"
    NOT_UNDERSTOOD = "NOT_UNDERSTOOD"
    NOT_A_CLOUDEVENT = "NOT_A_CLOUDEVENT"
    DATA_NOT_JSON = "DATA_NOT_JSON"
    TOO_MANY_EVENTS = "TOO_MANY_EVENTS"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    ENCODING_UNKNOWN = "ENCODING_UNKNOWN"
    NOT_FOUND = "NOT_FOUND"
    METHOD = "METHOD"
    TOO_SLOW = "TOO_SLOW"
    BUSY = "BUSY"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


MESSAGES: Final = {
    Problem.SIGNATURE_REFUSED: "No source of webhooks takes this delivery under this signature.",
    Problem.TIMESTAMP_OUT_OF_RANGE: "The delivery was signed more than 300 seconds ago, or that far in the future.",
    Problem.NOT_JSON: "The body is not JSON (RFC 8259) in UTF-8, or is nested too deeply.",
    Problem.NOT_UNDERSTOOD: "The body does not have the form that its sender gives to such a delivery.",
    Problem.NOT_A_CLOUDEVENT: "This is no CloudEvent 1.0: specversion, id, source, type, and a time in RFC 3339 if any.",
    Problem.DATA_NOT_JSON: "The data of an event is taken as JSON only.",
    Problem.TOO_MANY_EVENTS: "A batch has at most 500 events.",
    Problem.BODY_TOO_LARGE: "A delivery has at most 2 MB.",
    Problem.ENCODING_UNKNOWN: "A delivery is sent as it was signed, and not compressed.",
    Problem.NOT_FOUND: "There is nothing at this address.",
    Problem.METHOD: "Deliveries are sent with POST.",
    Problem.TOO_SLOW: "The body did not arrive in time. Send it again.",
    Problem.BUSY: "More is arriving than can be stored now. Send it again after the time in Retry-After.",
    Problem.UNAVAILABLE: "This cannot be stored now. Send it again after the time in Retry-After.",
    Problem.INTERNAL: "Something failed here; the server's log says what. Send it again.",
}


class WebhookRefusedError(ServerError):
    """A delivery is not taken; what of it may be stored all the same is known again when it is sent again."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(MESSAGES[problem])
        self.problem = problem
        self.retry_after = retry_after


__all__ = ["MESSAGES", "Problem", "WebhookRefusedError"]
