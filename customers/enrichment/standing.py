"""What a profile holds already of what an enrichment would write, and what may be written. No value leaves this module.

A value of the person's, of staff or of any other source stays; so does the gap where somebody took a value away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from customers.access import Part
from customers.collection.effects import CUSTOM
from customers.collection.event_documents import stored_name
from customers.enrichment.model import Definition, Skip, Write
from customers.profiles.provenance import OriginKind, Provenance, expired
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.sealing import provenance_of
from customers.profiles.store import Collection
from policies import Catalogue
from vault import DataKey

_TRAITS: Final = "traits"
_UNCLASSIFIED: Final = "unclassified"
_ORIGINS: Final = ".origins"
# A value is looked up again once less than this of its time is left, so that it is new before the old one goes.
_LEFT: Final = 4


@dataclass(frozen=True, slots=True)
class Standing:
    """What may be written, or why nothing may."""

    free: frozenset[str]
    why_not: Skip


def group_of(category: str) -> str:
    """The sealed group of the traits of a category."""
    return f"{CUSTOM}.{category}"


def held_traits(document: Mapping[str, Any], key: DataKey, category: str) -> dict[str, Any]:
    """The traits of a category that a profile holds."""
    found: dict[str, Any] = _opened(document, key, group_of(category)).get(_TRAITS) or {}
    return found


def standing(
    definition: Definition,
    catalogue: Catalogue,
    document: Mapping[str, Any],
    key: DataKey,
    parts: Sequence[Part],
    now: datetime,
) -> Standing:
    """What of a profile an enrichment may write.

    Args:
        definition: The enrichment.
        catalogue: The fields there are.
        document: The whole profile.
        key: Its customer's.
        parts: What was merged into it.
        now: What a value's expiry is held against.

    Raises:
        vault.EnvelopeError: A sealed group is not the one that belongs there.
    """
    origins = provenance_of(document, key)
    free: set[str] = set()
    current = False
    for write in definition.writes:
        if any(_has(write, catalogue, part.document, part.key) for part in parts):
            continue
        has = _has(write, catalogue, document, key)
        origin = origins.get(write.target)
        if has and origin is not None and origin.kind is OriginKind.ENRICHMENT:
            mine = origin.source == definition.source
            left = None if origin.expires_at is None else origin.expires_at - now
            if expired(origin, now) or (mine and left is not None and left < (origin.expires_at - origin.at) / _LEFT):  # type: ignore[operator]  # where there is something left, there is a moment
                free.add(write.target)
            elif mine:
                current = True
        elif not has and _ever(origins, write.target) in (None, definition.source):
            free.add(write.target)
    return Standing(frozenset(free), Skip.CURRENT if current else Skip.OWN_VALUE)


def _ever(origins: Provenance, name: str) -> str | None:
    """Who took a value away that is no longer there; None where nobody ever said anything of the field."""
    if not origins.known(name) or origins.get(name) is not None:
        return None
    stored = origins.stored()
    source: str = stored[_ORIGINS][stored[name]][1]
    return source


def _has(write: Write, catalogue: Catalogue, document: Mapping[str, Any], key: DataKey) -> bool:
    if write.category is not None:
        name = write.target.partition(".")[2]
        unclassified = _opened(document, key, _UNCLASSIFIED).get(_TRAITS) or {}
        return (
            name in unclassified
            or name in held_traits(document, key, write.category)
            or provenance_of(document, key).get(write.target) is not None
        )
    group = catalogue.fields[f"profile.{write.target}"].group
    held = document if group is None else _opened(document, key, group)
    return held.get(write.target) is not None


def _opened(document: Mapping[str, Any], key: DataKey, group: str) -> dict[str, Any]:
    envelope = (document.get("sealed") or {}).get(stored_name(group))
    if envelope is None:
        return {}
    return key.open(envelope, Collection.PROFILES, document["_id"], group, SCHEMA_VERSION)
