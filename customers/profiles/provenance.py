"""Where each value of a profile came from: by what way, from whom, when, and on which basis. Pure.

Origins lie in the sealed group `provenance` beside the values: field, or `traits.<name>`, → origin. That there is an origin
says that there is a value, so it is shown only to whoever may see the value. A value is never part of it.

What was said last counts, whichever way it came (`Provenance.hear`). docs/formats/provenance.md describes the stored form;
nothing in it may be reordered or removed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from customers.access import Access
from policies import LawfulBasis

PROVENANCE: Final = "provenance"
"""The name of the sealed group."""
TRAIT: Final = "traits."
"""What stands before the name of a trait."""
UNCLASSIFIED: Final = "user.unclassified"
"""The category of a trait that nobody has classified."""

_SERVICE: Final = "service:"
_CLIENT_ROLE: Final = "client_app"
_REMOVED: Final = "removed"
_ORIGINS: Final = ".origins"
_CATEGORIES: Final = ".categories"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_CATEGORY: Final = 2
_LONGEST: Final = 200


class OriginKind(StrEnum):
    """By what way a value came. The values are stored; they may not be changed or reused."""

    EVENT = "event"
    """A source of events said so."""
    WEBHOOK = "webhook"
    """Another system's webhook said so."""
    IMPORT = "import"
    """It stood in a file that was imported."""
    STAFF = "staff"
    """Somebody who works here wrote it."""
    CUSTOMER = "customer"
    """The customer wrote it."""
    CLIENT = "client"
    """A program of the company wrote it."""
    ENRICHMENT = "enrichment"
    """A provider of data was asked."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from.

    Attributes:
        kind: By what way.
        source: From whom: the name of a source, a provider, a file's label, an application. Never a person's, and of at
            most 200 characters.
        at: When it was said; moments are kept in milliseconds.
        basis: The ground (GDPR Article 6) on which it was taken, where that is known.
        licence: Under which licence it may be used, where there is one.
        expires_at: When it may not be used any more, or None.
    """

    kind: OriginKind
    source: str
    at: datetime
    basis: LawfulBasis | None = None
    licence: str | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be kept.

        Raises:
            ValueError: A text is empty or too long, or a moment has no time zone.
        """
        for text in (self.source, self.licence):
            if text is not None and not 1 <= len(text) <= _LONGEST:
                raise ValueError(f"an origin's source and licence have 1 to {_LONGEST} characters")
        if self.at.tzinfo is None or (self.expires_at is not None and self.expires_at.tzinfo is None):
            raise ValueError("an origin's moments have a time zone")


def expired(origin: Origin, now: datetime) -> bool:
    """Whether a value of this origin may not be used any more."""
    return origin.expires_at is not None and origin.expires_at <= now


def origin_of(access: Access, now: datetime) -> Origin:
    """The origin of what a caller writes: a customer, a program of the company (a service account), or staff.

    Who of the staff it was stands in the access log and not here, for customers see it too.
    """
    caller, basis = access.caller, access.grant.purpose.basis
    if caller.customer_id is not None:
        return Origin(OriginKind.CUSTOMER, (caller.client or "customer")[:_LONGEST], now, basis)
    if caller.actor.startswith(_SERVICE) or _CLIENT_ROLE in caller.roles:
        return Origin(OriginKind.CLIENT, (caller.client or caller.actor)[:_LONGEST], now, basis)
    return Origin(OriginKind.STAFF, (caller.client or "staff")[:_LONGEST], now, basis)


class Provenance:
    """The origins of one profile's values, to be read and changed.

    What was removed is remembered with the time, so that an older word does not bring it back; it has no origin.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None) -> None:
        """Those in an opened group, of this form or of the older one that events wrote."""
        held = dict(stored or {})
        self._origins: list[Any] = [tuple(each) for each in held.pop(_ORIGINS, ())]
        self._categories: dict[str, str] = dict(held.pop(_CATEGORIES, {}))
        self._fields: dict[str, Any] = {}
        for name, place in held.items():
            if isinstance(place, int):
                self._fields[name] = self._origins[place]
                continue
            # The older form: [milliseconds, source], of traits with the category after it.
            self._fields[name] = (OriginKind.EVENT.value, place[1], place[0])
            if len(place) > _CATEGORY:
                self._categories[name] = place[_CATEGORY]
        self.changed = False
        # Many fields have one origin: each is made, and brought into its stored form, once.
        self._made: dict[tuple[Any, ...], Origin] = {}
        self._last: tuple[Origin, tuple[Any, ...]] | None = None

    def __iter__(self) -> Iterator[str]:
        """The fields that have an origin, and `traits.<name>`."""
        return (name for name, held in self._fields.items() if held[0] != _REMOVED)

    def every(self) -> Iterator[str]:
        """Those and what was removed."""
        return iter(self._fields)

    def known(self, name: str) -> bool:
        """Whether anything was ever said of a field, be it that it has no value any more."""
        return name in self._fields

    def count(self, prefix: str) -> int:
        """Of how many fields whose names begin so anything was ever said."""
        return sum(name.startswith(prefix) for name in self._fields)

    def get(self, name: str) -> Origin | None:
        """The origin of a field, or of `traits.<name>`."""
        held = self._fields.get(name)
        if held is None or held[0] == _REMOVED:
            return None
        origin = self._made.get(held)
        if origin is None:
            origin = self._made[held] = _origin(held)
        return origin

    def category(self, name: str) -> str:
        """The data category of a trait: `user.unclassified` where no plan had another."""
        return self._categories.get(name, UNCLASSIFIED)

    def later(self, name: str, at: datetime) -> bool:
        """Whether something later than this was said of a field, so that it is not to be heard."""
        held = self._fields.get(name)
        return held is not None and held[2] > _milliseconds(at)

    def is_others(self, name: str, sources: Collection[str]) -> bool:
        """Whether the last word of a field is anybody's but that of these sources of events."""
        held = self._fields.get(name)
        return held is not None and not (held[0] in (OriginKind.EVENT.value, _REMOVED) and held[1] in sources)

    def hear(self, name: str, origin: Origin, category: str | None = None) -> bool:
        """Note who says what a field holds, unless something later was said of it; whether it is the latest word.

        Args:
            name: The field, or `traits.<name>`.
            origin: Who says so. Of two that were said in the same millisecond the second counts.
            category: The data category, of a trait.
        """
        known = self._fields.get(name)
        if known is not None and known[2] > self._as_stored(origin)[2]:
            return False
        self.put(name, origin, category)
        return True

    def put(self, name: str, origin: Origin, category: str | None = None) -> None:
        """Note where a field's value came from, whatever was said before."""
        self._keep(name, self._as_stored(origin))
        if category is not None and self._categories.get(name) != category:
            self._categories[name] = category
            self.changed = True

    def remove(self, name: str, origin: Origin) -> None:
        """Note that a field has no value any more, and who said so."""
        self._keep(name, (_REMOVED, origin.source, _milliseconds(origin.at)))

    def drop(self, name: str) -> None:
        """Forget all that was said of a field."""
        if self._fields.pop(name, None) is not None:
            self._categories.pop(name, None)
            self.changed = True

    def _as_stored(self, origin: Origin) -> tuple[Any, ...]:
        if self._last is None or self._last[0] is not origin:
            self._last = origin, _stored(origin)
        return self._last[1]

    def _keep(self, name: str, held: tuple[Any, ...]) -> None:
        if self._fields.get(name) != held:
            self._fields[name] = held
            self.changed = True

    def expires_first(self) -> datetime | None:
        """When the first of the values may not be used any more."""
        moments = [held[5] for held in self._fields.values() if len(held) > 5]  # noqa: PLR2004 - as `_stored`
        return _moment(min(moments)) if moments else None

    def stored(self) -> dict[str, Any]:
        """The form in which they are sealed: each origin once, however many fields have it."""
        places: dict[Any, int] = {}
        fields = {name: places.setdefault(held, len(places)) for name, held in self._fields.items()}
        found: dict[str, Any] = {_ORIGINS: [list(each) for each in places], **fields} if fields else {}
        if self._categories:
            found[_CATEGORIES] = self._categories
        return found


def _stored(origin: Origin) -> tuple[Any, ...]:
    held = (
        origin.kind.value,
        origin.source,
        _milliseconds(origin.at),
        None if origin.basis is None else origin.basis.value,
        origin.licence,
        None if origin.expires_at is None else _milliseconds(origin.expires_at),
    )
    used = len(held)
    while held[used - 1] is None:
        used -= 1
    return held[:used]


def _origin(held: tuple[Any, ...]) -> Origin:
    kind, source, at, basis, licence, expires_at = (*held, None, None, None)[:6]
    return Origin(
        OriginKind(kind),
        source,
        _moment(at),
        None if basis is None else LawfulBasis(basis),
        licence,
        None if expires_at is None else _moment(expires_at),
    )


def _milliseconds(moment: datetime) -> int:
    return round((moment - _EPOCH) / _MILLISECOND)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
