"""Why a request with events is refused; its answer says so in one of these sentences, and repeats nothing of it.

ServerError (server/errors.py)
└── CollectionRefusedError    what was sent is not taken, as a whole; it holds the `Problem`
"""

from enum import StrEnum
from typing import Final

from server.errors import ServerError


class Problem(StrEnum):
    """The closed set of `code`. A value may be added; none may change its meaning."""

    NOT_JSON = "NOT_JSON"
    NOT_UTF8 = "NOT_UTF8"
    TOO_DEEP = "TOO_DEEP"
    NUMBER_TOO_LARGE = "NUMBER_TOO_LARGE"
    GZIP_BROKEN = "GZIP_BROKEN"
    ENCODING_UNKNOWN = "ENCODING_UNKNOWN"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    TOO_MANY_EVENTS = "TOO_MANY_EVENTS"
    WRITE_KEY_MISSING = "WRITE_KEY_MISSING"
    WRITE_KEY_REFUSED = "WRITE_KEY_REFUSED"
    WRITE_KEYS_DIFFER = "WRITE_KEYS_DIFFER"
    ORIGIN_REFUSED = "ORIGIN_REFUSED"
    NOT_FOUND = "NOT_FOUND"
    METHOD = "METHOD"
    TOO_SLOW = "TOO_SLOW"
    BUSY = "BUSY"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


MESSAGES: Final = {
    Problem.NOT_JSON: "The body is not JSON (RFC 8259); NaN and Infinity are none.",
    Problem.NOT_UTF8: "The body is not UTF-8.",
    Problem.TOO_DEEP: "Objects and lists are nested too deeply.",
    Problem.NUMBER_TOO_LARGE: "A number beside the events is larger than any that is understood.",
    Problem.GZIP_BROKEN: "The body is not one whole gzip member.",
    Problem.ENCODING_UNKNOWN: "A body is sent as it is or compressed with gzip.",
    Problem.BODY_TOO_LARGE: "The body is longer than 500 KB, or would be unpacked. Send fewer events at a time.",
    Problem.EVENT_TOO_LARGE: "An event has at most 32 KB.",
    Problem.TOO_MANY_EVENTS: "A batch has at most 2,500 events.",
    Problem.WRITE_KEY_MISSING: "Send the source's write key: Authorization Basic or Bearer, or writeKey in the body.",
    Problem.WRITE_KEY_REFUSED: "No source takes events under this write key.",
    Problem.WRITE_KEYS_DIFFER: "The write keys of the header and of the body belong to different sources.",
    Problem.ORIGIN_REFUSED: "This source does not take events from pages of this origin.",
    Problem.NOT_FOUND: "There is nothing at this address.",
    Problem.METHOD: "This address is not for this method.",
    Problem.TOO_SLOW: "The body did not arrive in time. Send it again.",
    Problem.BUSY: "More events are waiting than can be stored now. Send them again after the time in Retry-After.",
    Problem.UNAVAILABLE: "Events cannot be stored now. Send them again after the time in Retry-After.",
    Problem.INTERNAL: "Something failed here; the server's log says what. Send the events again.",
}


class CollectionRefusedError(ServerError):
    """What was sent is not taken, as a whole; nothing of it was stored."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(MESSAGES[problem])
        self.problem = problem
        self.retry_after = retry_after


__all__ = ["MESSAGES", "CollectionRefusedError", "Problem"]
