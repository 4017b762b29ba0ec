"""Enrichment: values that other sources know, added to profiles with where they are from, on which basis and until when.

One file for each provider (`csv_table`, `http_lookup`); `provider` says what one must do. docs/enrichment.md explains it.
"""

from customers.enrichment.definition import load_definition
from customers.enrichment.errors import (
    DefinitionInvalidError,
    EnrichmentError,
    EnrichmentRunningError,
    EnrichmentStoppedError,
    LookupFailedError,
    ProviderError,
    ProviderUnusableError,
    WithdrawnError,
)
from customers.enrichment.expiry import Swept
from customers.enrichment.model import RETENTION, ROLE, Definition, Skip
from customers.enrichment.provider import Provider
from customers.enrichment.running import RunReport
from customers.enrichment.service import EnrichmentService, make_provider
from customers.enrichment.writing import Parts

__all__ = [
    "RETENTION",
    "ROLE",
    "Definition",
    "DefinitionInvalidError",
    "EnrichmentError",
    "EnrichmentRunningError",
    "EnrichmentService",
    "EnrichmentStoppedError",
    "LookupFailedError",
    "Parts",
    "Provider",
    "ProviderError",
    "ProviderUnusableError",
    "RunReport",
    "Skip",
    "Swept",
    "WithdrawnError",
    "load_definition",
    "make_provider",
]
