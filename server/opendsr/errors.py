"""What can go wrong with a request of OpenDSR.

ServerError
└── OpenDsrRefusedError
"""

from enum import Enum
from http import HTTPStatus

from server.errors import ServerError


class Problem(Enum):
    """Why a request is refused: its status, and a text that repeats nothing of the request."""

    NOT_JSON = (HTTPStatus.BAD_REQUEST, "the body must be a JSON object of at most 64 KB")
    REGULATION = (HTTPStatus.BAD_REQUEST, "regulation must be gdpr or ccpa")
    REQUEST_ID = (HTTPStatus.BAD_REQUEST, "subject_request_id must be a UUID of version 4 in lower case")
    REQUEST_TYPE = (HTTPStatus.BAD_REQUEST, "subject_request_type must be access, portability or erasure")
    IDENTITIES = (
        HTTPStatus.BAD_REQUEST,
        "subject_identities must be 1 to 20 objects of a supported identity_type with identity_format raw",
    )
    SUBMITTED = (HTTPStatus.BAD_REQUEST, "submitted_time must be a time as RFC 3339 has it")
    CALLBACKS = (
        HTTPStatus.BAD_REQUEST,
        "status_callback_urls must be at most 5 addresses that may be asked, by https",
    )
    TAKEN = (HTTPStatus.BAD_REQUEST, "this subject_request_id stands for another request")
    NOT_PENDING = (HTTPStatus.BAD_REQUEST, "only a pending request can be cancelled")
    UNAUTHENTICATED = (HTTPStatus.UNAUTHORIZED, "a bearer token is needed")
    FORBIDDEN = (HTTPStatus.FORBIDDEN, "this caller may not send privacy requests")
    NOT_FOUND = (HTTPStatus.NOT_FOUND, "there is no such request of this controller's")
    TOO_SLOW = (HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time")
    TOO_OFTEN = (
        HTTPStatus.TOO_MANY_REQUESTS,
        "this was asked for so often that no more of it is taken; what was asked first goes on",
    )
    TOO_LARGE = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body must have at most 64 KB")
    UNAVAILABLE = (HTTPStatus.SERVICE_UNAVAILABLE, "this cannot be taken now; send it again later")
    INTERNAL = (HTTPStatus.INTERNAL_SERVER_ERROR, "something failed here; send it again later")


class OpenDsrRefusedError(ServerError):
    """A request is refused, and nothing of it kept."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value[1])
        self.problem = problem
