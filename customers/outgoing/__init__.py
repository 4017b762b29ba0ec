"""Requests to other machines: one safe way out, for whatever looks things up, sends or delivers.

An attacker who chooses an address, or who answers at one, cannot have us ask a machine of a private network, nor keep us
waiting, nor fill our memory. docs/enrichment.md says how an operator names the private hosts that may be asked.
"""

from customers.outgoing.addresses import Allowed, Origin, Reach, reach
from customers.outgoing.client import Answer, Limits, OutgoingClient, Request, Resolve, system_resolve
from customers.outgoing.errors import (
    AddressRefusedError,
    AnswerBrokenError,
    AnswerInvalidError,
    OutgoingError,
    TooSlowError,
    UnreachableError,
)

__all__ = [
    "AddressRefusedError",
    "Allowed",
    "Answer",
    "AnswerBrokenError",
    "AnswerInvalidError",
    "Limits",
    "Origin",
    "OutgoingClient",
    "OutgoingError",
    "Reach",
    "Request",
    "Resolve",
    "TooSlowError",
    "UnreachableError",
    "reach",
    "system_resolve",
]
