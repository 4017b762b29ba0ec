"""Enrichment, wired: what commands and the worker call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from customers.access import Access
from customers.enrichment.csv_table import CsvTableProvider
from customers.enrichment.errors import DefinitionInvalidError, ProviderUnusableError
from customers.enrichment.expiry import Expiry, Swept
from customers.enrichment.http_lookup import HttpLookupProvider, Secret, Service
from customers.enrichment.model import Definition, KeyField
from customers.enrichment.provider import Provider
from customers.enrichment.running import OnProgress, RunReport, run
from customers.enrichment.runs import RunStore
from customers.enrichment.writing import Parts
from customers.outgoing import AddressRefusedError, Allowed, Limits, Origin, OutgoingClient

_LIMITS = ("at_once", "per_second", "seconds", "attempts")
_SERVICE = ("url", "method", "header", "prefix")


@dataclass(frozen=True)
class EnrichmentService:
    """The use cases of enrichment."""

    _parts: Parts
    _runs: RunStore
    _expiry: Expiry
    _allowed: Allowed

    @classmethod
    async def open(
        cls, database: AsyncDatabase[dict[str, Any]], parts: Parts, allowed: Allowed
    ) -> "EnrichmentService":
        """Over the main database; `allowed` is which services may be asked."""
        expiry = Expiry(parts, database)
        await expiry.prepare()
        return cls(parts, RunStore(database, now=parts.now, random=parts.random), expiry, allowed)

    async def run(
        self,
        access: Access,
        definition: Definition,
        *,
        dry_run: bool = False,
        limit: int | None = None,
        progress: OnProgress = lambda _done, _total: None,
    ) -> RunReport:
        """Run an enrichment; see `running.run`."""
        if access.grant.purpose.name != definition.purpose:
            raise DefinitionInvalidError(["an enrichment runs for its own purpose"])
        provider = make_provider(definition, self._allowed, random=self._parts.random)
        return await run(
            self._parts, self._runs, access, definition, provider, dry_run=dry_run, limit=limit, progress=progress
        )

    async def expire(self, access: Access) -> Swept:
        """Take away what has expired; see `Expiry.sweep`."""
        return await self._expiry.sweep(access)


def make_provider(definition: Definition, allowed: Allowed, *, random: Callable[[int], bytes]) -> Provider:
    """The provider of an enrichment, not opened yet.

    Raises:
        ProviderUnusableError: It may not be asked.
    """
    settings, wanted = definition.settings, list(dict.fromkeys(each.taken_from for each in definition.writes))
    if definition.provider == "csv_table":
        path: Path = definition.directory / settings["path"]
        exact = [part.to for part in definition.key if part.field is KeyField.EXTERNAL_ID]
        return CsvTableProvider(path, key=[part.to for part in definition.key], wanted=wanted, exact=exact)
    try:
        allowed.check(Origin.of(settings["url"]))
    except AddressRefusedError as error:
        raise ProviderUnusableError(str(error)) from None
    limits = Limits(**{name: settings[name] for name in _LIMITS if name in settings})
    service = Service(
        **{name: settings[name] for name in _SERVICE if name in settings},
        secret=Secret(settings["secret"]) if "secret" in settings else None,
    )
    return HttpLookupProvider(service, OutgoingClient(allowed, limits, random=random), limits, wanted)
