"""Takes values away that may not be used any more. Run by the worker, by any number of processes at once.

A profile says in clear when the first of its values expires, so only those are opened of which one has. Of somebody who has
restricted the use of their data nothing is taken away either (GDPR Art. 18): that waits until the restriction is lifted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import Kind
from customers.access import Access
from customers.disclosure import Disclosure
from customers.enrichment.writing import Parts, seal_traits
from customers.errors import WriteNotAllowedError
from customers.profiles.categories import path_of
from customers.profiles.provenance import TRAIT, UNCLASSIFIED, Origin, OriginKind, Provenance, expired
from customers.profiles.sealing import EXPIRES_AT, groups_changed, provenance_of, seal_origins
from policies import Action, FieldGrant, Verdict
from vault import DataKey, EnvelopeError

_AT_ONCE: Final = 100
_TRAITS: Final = "profile.traits"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has done.

    Attributes:
        profiles: Of how many customers values were taken away.
        values: How many values.
        left: How many profiles were left for the next sweep: they changed meanwhile, or are damaged.
    """

    profiles: int
    values: int
    left: int


class Expiry:
    """Finds and removes expired values of enrichments."""

    def __init__(self, parts: Parts, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._parts = parts
        self._profiles = database["profiles"]

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._profiles.create_index(EXPIRES_AT, sparse=True)

    async def sweep(self, access: Access) -> Swept:
        """Take away every value that has expired.

        Args:
            access: For the purpose `retention`.

        Raises:
            WriteNotAllowedError: The policy does not allow it; of that profile nothing was taken away.
            audit.AuditUnavailableError: It could not be recorded; of that profile nothing was taken away.
        """
        parts, now = self._parts, self._parts.now()
        due = {EXPIRES_AT: {"$lte": now}, "rights.restricted": False}
        profiles = values = left = 0
        tried: set[str] = set()
        while True:
            found = await self._profiles.find(due).sort(EXPIRES_AT, 1).limit(_AT_ONCE + len(tried)).to_list(None)
            found = [each for each in found if each["_id"] not in tried]
            if not found:
                return Swept(profiles, values, left)
            for document in found:
                tried.add(document["_id"])
                async with parts.vault.reading():
                    keys = await parts.vault.keys([document["_id"]])
                    key = keys.get(document["_id"])
                    taken = await self._take(access, document, key, now) if isinstance(key, DataKey) else None
                if taken is None:
                    left += 1
                    continue
                tried.discard(document["_id"])
                profiles += taken > 0
                values += taken

    async def _take(self, access: Access, document: Mapping[str, Any], key: DataKey, now: datetime) -> int | None:
        """Take away what has expired of one profile and say how many values; None where it is left as it is."""
        parts = self._parts
        try:
            origins = provenance_of(document, key)
            names = [
                name
                for name in origins
                if (origin := origins.get(name)) is not None
                and origin.kind is OriginKind.ENRICHMENT
                and expired(origin, now)
            ]
            if not names:
                return None
            self._record_of(access, origins, names)  # raises where it may not be
            setting, removing = self._change(document, key, origins, names, now)
        except EnvelopeError:
            return None
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
        disclosure.add_fields(self._record_of(access, origins, names))
        disclosure.add_subject(key.audit_reference)
        await parts.log.append(disclosure.record(parts.now()))
        change = {"$set": setting, **({"$unset": removing} if removing else {})}
        applied = await parts.store.update(document["_id"], document["version"], change)
        return len(names) if applied else None

    def _record_of(
        self, access: Access, origins: Provenance, names: Sequence[str]
    ) -> dict[str, tuple[Verdict, int | None]]:
        """What a record says of taking these away."""
        told: dict[str, FieldGrant] = {}
        for name in names:
            if not name.startswith(TRAIT):
                told[f"profile.{name}"] = access.grant.write[f"profile.{name}"]
            elif (category := origins.category(name)) == UNCLASSIFIED:
                told[_TRAITS] = access.grant.write[_TRAITS]
            else:
                told[path_of(_TRAITS, category)] = access.grant.of_category(category, Action.WRITE)
        if refused := [path for path, granted in told.items() if not granted]:
            raise WriteNotAllowedError(refused)
        return {path: (Verdict.CLEAR, granted.alternatives[0].rule) for path, granted in told.items()}

    def _change(
        self, document: Mapping[str, Any], key: DataKey, origins: Provenance, names: Sequence[str], now: datetime
    ) -> tuple[dict[str, Any], dict[str, str]]:
        changes: dict[str, Any] = {}
        classified: dict[str, dict[str, None]] = {}
        for name in names:
            if not name.startswith(TRAIT):
                changes[name] = None
            elif (category := origins.category(name)) == UNCLASSIFIED:
                changes.setdefault("traits", {})[name.removeprefix(TRAIT)] = None
            else:
                classified.setdefault(category, {})[name.removeprefix(TRAIT)] = None
        for name in names:
            if (origin := origins.get(name)) is not None:
                origins.remove(name, Origin(origin.kind, origin.source, now))
        setting, removing = groups_changed(self._parts.catalogue, key, document, changes, origins)
        for category, values in classified.items():
            seal_traits(key, document, category, values, setting, removing)
        seal_origins(key, document, origins, setting, removing)
        setting["updated_at"] = now
        return setting, removing
