"""Finds over the whole base which profiles are one person, where they share no identifier: tokens → candidates → decisions.

`Matching` is what commands and the worker call. The library that compares is `customers.identity.matching`; what is here
opens profiles for it, under one purpose and recorded, and does with its decisions what the policy says.
"""

from customers.identity.finding.errors import MatchingRunningError
from customers.identity.finding.model import MatchReport, Step
from customers.identity.finding.opening import PURPOSE, READER, STEWARD
from customers.identity.finding.service import Matching

__all__ = ["PURPOSE", "READER", "STEWARD", "MatchReport", "Matching", "MatchingRunningError", "Step"]
