"""Requests under the GDPR and the CPRA: what a person asks for, its clock, what is done about it, and the proof of it."""

from customers.rights.requests.errors import (
    RequestChangedError,
    RequestError,
    RequestHeldError,
    RequestNotFoundError,
    RequestStateError,
    SecondPersonNeededError,
)
from customers.rights.requests.model import (
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Regime,
    State,
    Step,
    Verification,
    What,
    law_of,
)
from customers.rights.requests.opening import REMINDER
from customers.rights.requests.service import Exporting, RequestPage, RequestService, ShownRequest
from customers.rights.requests.store import Queued, RequestStore
from customers.rights.requests.told import Told

__all__ = [
    "REMINDER",
    "Denial",
    "Exporting",
    "Extension",
    "Kind",
    "PrivacyRequest",
    "Queued",
    "Regime",
    "RequestChangedError",
    "RequestError",
    "RequestHeldError",
    "RequestNotFoundError",
    "RequestPage",
    "RequestService",
    "RequestStateError",
    "RequestStore",
    "SecondPersonNeededError",
    "ShownRequest",
    "State",
    "Step",
    "Told",
    "Verification",
    "What",
    "law_of",
]
