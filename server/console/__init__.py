"""The console: pages for staff, over the same GraphQL as everybody's. See docs/console.md."""

from server.console.app import Console
from server.console.customer_names import CustomerNames
from server.console.keeper import Keeper
from server.console.keeping import Keeping
from server.console.mounting import console_of
from server.console.officer import Officer
from server.console.parts import (
    Check,
    Covering,
    Download,
    ExportForm,
    Exports,
    ExportState,
    OnBehalf,
    Proofs,
    ProofState,
    Stage,
    Verification,
)
from server.console.people import People
from server.console.proofs import LogProofs

__all__ = [
    "Check",
    "Console",
    "Covering",
    "CustomerNames",
    "Download",
    "ExportForm",
    "ExportState",
    "Exports",
    "Keeper",
    "Keeping",
    "LogProofs",
    "Officer",
    "OnBehalf",
    "People",
    "ProofState",
    "Proofs",
    "Stage",
    "Verification",
    "console_of",
]
