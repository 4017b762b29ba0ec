"""Which origins of values a caller may see: those of values they may see, and no others.

An origin says that there is a value, so it is decided exactly as reading the value is, and counts as reading it. The name
of a trait says something by itself, so an origin of one is shown only where traits are shown in clear.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from customers.access import Circumstances, Part
from customers.disclosure import Departure
from customers.identity.model import PRIMARY_FIELDS
from customers.profiles.categories import CategoryReader, Decided
from customers.profiles.draft import WRITTEN
from customers.profiles.provenance import PROVENANCE, TRAIT, Origin, Provenance
from policies import Catalogue, Field, Grant, Verdict
from vault import EnvelopeError

ORIGINS: Final = "origins"
"""Where a profile's revealed values hold the origins: field, or `traits.<name>`, → origin, or the error there is."""
ASKED_FIELD: Final = f"{PROVENANCE}."
"""What stands before the name of a field whose origin is asked for; `provenance` alone asks for all."""
_PART: Final = "profile.traits"
_TRACKED: Final = (*WRITTEN, *PRIMARY_FIELDS.values(), "identifiers")


def origin_names(fields: Iterable[str]) -> frozenset[str]:
    """What to ask the gateway for, to be told the origins of these fields."""
    return frozenset(ASKED_FIELD + name for name in fields)


class Shown:
    """The origins that are shown of customers in the same circumstances."""

    def __init__(self, fields: frozenset[str], decided: Decided | None) -> None:
        self._fields = fields
        self._decided = decided

    def __bool__(self) -> bool:
        """Whether any could be."""
        return bool(self._fields) or (
            self._decided is not None and any(each is Verdict.CLEAR for each in self._decided.verdicts.values())
        )

    def of(self, opened: Iterable[Mapping[str, Any]]) -> dict[str, Origin]:
        """The origins in these opened groups; what comes first counts."""
        found: dict[str, Origin] = {}
        told: set[str] = set()
        for each in opened:
            provenance = Provenance(each)
            for name in provenance.every():
                if name in told or not self._shows(name, provenance):
                    continue
                told.add(name)
                origin = provenance.get(name)
                if origin is not None:
                    found[name] = origin
        return found

    def _shows(self, name: str, provenance: Provenance) -> bool:
        if not name.startswith(TRAIT):
            return name in self._fields
        return self._decided is not None and self._decided.of(provenance.category(name)) is Verdict.CLEAR


class OriginReader:
    """What a grant lets be seen of origins, for those that were asked for."""

    def __init__(self, catalogue: Catalogue, grant: Grant, asked: Iterable[str]) -> None:
        asked = frozenset(asked)
        every = PROVENANCE in asked
        wanted = _TRACKED if every else tuple(name for name in _TRACKED if ASKED_FIELD + name in asked)
        fields = (catalogue.fields[f"profile.{name}"] for name in wanted)
        self.fields: tuple[Field, ...] = tuple(field for field in fields if grant.read[field.path])
        self._categories = CategoryReader(catalogue, grant) if every else None
        self.verdicts: Mapping[str, tuple[Verdict, int | None]] = (
            {}
            if self._categories is None
            else {
                path: verdict
                for path, verdict in self._categories.verdicts(_PART).items()
                if verdict[0] is not Verdict.WITHHELD
            }
        )
        """Of traits, by category; of fields the reader has them."""

    def __bool__(self) -> bool:
        """Whether any could be seen of anybody."""
        return bool(self.fields or self.verdicts)

    def shown(
        self, readable: Callable[[Field], bool], circumstances: Circumstances
    ) -> tuple[Shown, tuple[Departure, ...]]:
        """What is shown of customers in these circumstances, and which traits come to less than the policy's best.

        Args:
            readable: Says whether a field may be read of them.
            circumstances: Theirs.
        """
        decided = None if self._categories is None else self._categories.decided(circumstances)
        departures = () if decided is None else decided.departures(_PART, self.verdicts)
        return Shown(frozenset(field.name for field in self.fields if readable(field)), decided), departures


def opened_of(parts: Sequence[Part], collection: str, schema_version: int) -> list[Mapping[str, Any]] | EnvelopeError:
    """The opened groups of these profiles, or the error where one does not open."""
    found: list[Mapping[str, Any]] = []
    for part in parts:
        envelope = (part.document.get("sealed") or {}).get(PROVENANCE)
        if envelope is None:
            continue
        try:
            found.append(part.key.open(envelope, collection, part.document["_id"], PROVENANCE, schema_version))
        except EnvelopeError as error:
            return error
    return found
