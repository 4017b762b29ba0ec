"""What can go wrong with privacy requests.

RequestError
├── RequestNotFoundError
├── RequestStateError
├── RequestHeldError
├── SecondPersonNeededError
└── RequestChangedError
"""

from customers.errors import CustomersError


class RequestError(CustomersError):
    """Nothing was changed; `why` is a constant sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class RequestNotFoundError(RequestError):
    """There is no such request, or the caller may not know that there is; the two are told apart by nobody."""

    def __init__(self) -> None:
        super().__init__("there is no such request")


class RequestStateError(RequestError):
    """What was asked for is not possible at this point of a request."""


class RequestHeldError(RequestError):
    """The data must be kept for now, so nothing of it can be erased."""

    def __init__(self) -> None:
        super().__init__("the request is under legal hold; lift it first")


class SecondPersonNeededError(RequestError):
    """One person agreed to it, and the policy wants another to agree as well.

    Args:
        request_id: The request that waits for them.
    """

    def __init__(self, request_id: str) -> None:
        super().__init__("a second person must complete this request: not the one who did so first")
        self.request_id = request_id


class RequestChangedError(RequestError):
    """Somebody else worked on the request at the same moment."""

    def __init__(self) -> None:
        super().__init__("the request has changed meanwhile; look at it again and retry")
