"""The demo company: 2,357 customers with real purchases and synthetic personal data, the same on every run."""

from server.demo.company import SIZE, company
from server.demo.errors import DemoDataMissingError, DemoError
from server.demo.load import DemoWriter, load
from server.demo.model import DemoConsent, DemoCustomer, DemoItem, DemoOrder, DemoTicket
from server.demo.well_known import WELL_KNOWN, WellKnown

__all__ = [
    "SIZE",
    "WELL_KNOWN",
    "DemoConsent",
    "DemoCustomer",
    "DemoDataMissingError",
    "DemoError",
    "DemoItem",
    "DemoOrder",
    "DemoTicket",
    "DemoWriter",
    "WellKnown",
    "company",
    "load",
]
