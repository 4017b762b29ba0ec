"""Reads events as one caller may see them: the facts of an event like fields, its values each by its own category.

Like orders, events belong to customers read before in the same request, whose keys and circumstances are known. Pages
are cut out of bounded windows of time, for not every engine stops reading at a limit.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from customers.access import Access, Circumstances, Known, in_scope
from customers.collection.event_documents import opened
from customers.collection.event_store import EVENTS, Document, EventStore
from customers.collection.plans import UNCLASSIFIED
from customers.errors import CursorInvalidError, FilterNotAllowedError
from customers.profiles.categories import CategoryReader, Decided, shown_as
from customers.profiles.reader import Reader
from customers.profiles.store import CustomerStore
from policies import (
    Catalogue,
    LawfulBasis,
    Mask,
    Verdict,
    mask_value,
)
from vault import DataKey, EnvelopeError, TokenInvalidError, Vault

Values = dict[str, Any]
Position = tuple[datetime, str]
"""When an event happened, and its id: where it stands among those of its customer."""

_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALWAYS: Final = ("customer_id", "at")
_VALUES: Final[tuple[str, ...]] = ("properties", "context")
_SHORTEST: Final = timedelta(minutes=10)
_FIRST_WINDOW: Final = timedelta(days=30)
_WIDER: Final = 4
_ROOM: Final = 2
_KEPT: Final = 256
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which page of a customer's events, the newest first.

    Attributes:
        first: How many at most.
        type: Only those of this call.
        name: Only those of this name, where a plan knows it.
    """

    first: int
    type: str | None = None
    name: str | None = None

    @property
    def filters(self) -> list[str]:
        """The fields that it filters by."""
        given = (("event.type", self.type), ("event.name", self.name))
        return [path for path, value in given if value is not None]


@dataclass(frozen=True, slots=True)
class _Readers:
    facts: Reader
    values: CategoryReader
    told: Mapping[str, Mapping[str, tuple[Verdict, int | None]]]


class EventGateway:
    """Reads the events of customers, as `ProfileGateway` reads the rest."""

    def __init__(
        self,
        events: EventStore,
        customers: CustomerStore,
        vault: Vault,
        catalogue: Catalogue,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._events = events
        self._customers = customers
        self._vault = vault
        self._catalogue = catalogue
        self._now = now
        self._readers: dict[tuple[Any, ...], _Readers] = {}

    async def newest(
        self,
        access: Access,
        names: frozenset[str],
        customer_ids: Sequence[str],
        query: EventQuery,
        before: Position | None = None,
    ) -> dict[str, list[Values]]:
        """The newest events of customers read before in this request, one more than asked for where there are more.

        A customer none of whose events' fields may be read is missing: not even their number is told. For a purpose that
        rests on consent, only events that happened while their person allowed it.

        Raises:
            FilterNotAllowedError: The query filters by what the caller may not filter by.
        """
        readers = self._readers_of(access, names)
        shown: list[str] = []
        for customer_id in customer_ids:
            customer = access.known[customer_id]
            _check_filters(access, query, customer.circumstances)
            if readers.facts.shows_anything(customer.circumstances):
                shown.append(customer_id)
            else:
                departures = readers.facts.departures(customer.circumstances)
                access.disclosure.add_subject(customer.key.audit_reference, departures)
        profiles = {each["_id"]: each for each in await self._customers.find(shown, _DENSITY)} if shown else {}
        projection = _projection(readers.facts, names)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def of(customer_id: str) -> list[Document]:
            async with turns:
                wanted = _wanted(access, access.known[customer_id], query)
                profile = profiles.get(customer_id, {})
                return await self._documents(wanted, profile, query.first + 1, before, projection)

        found = await asyncio.gather(*map(of, shown))
        return {
            customer_id: [self._revealed(access, readers, names, customer_id, each) for each in documents]
            for customer_id, documents in zip(shown, found, strict=True)
        }

    def cursor(self, access: Access, customer_id: str, query: EventQuery, values: Values) -> str:
        """An opaque cursor for the place of an event, bound to caller, purpose, customer and query."""
        position = msgspec.msgpack.encode(values["position"])
        return self._vault.seal_token("cursor", position, _bound(access, customer_id, query))

    def position(self, access: Access, customer_id: str, query: EventQuery, cursor: str) -> Position:
        """The place that `cursor` was given.

        Raises:
            CursorInvalidError: It is no cursor of this customer, caller, purpose and query.
        """
        try:
            sealed = self._vault.open_token("cursor", cursor, _bound(access, customer_id, query))
            milliseconds, name = msgspec.msgpack.decode(sealed, type=tuple[int, str])
        except (TokenInvalidError, msgspec.DecodeError, ValueError) as error:
            raise CursorInvalidError from error
        return datetime.fromtimestamp(milliseconds / 1000, UTC), name

    def _readers_of(self, access: Access, names: frozenset[str]) -> _Readers:
        grant = access.grant
        key = (grant.policy_version, grant.roles, grant.purpose.name, names)
        found = self._readers.get(key)
        if found is None:
            if len(self._readers) >= _KEPT:
                self._readers.pop(next(iter(self._readers)))
            facts = Reader(self._catalogue, grant, "event", names.difference(_VALUES))
            values = CategoryReader(self._catalogue, grant)
            told = {part: values.verdicts(f"event.{part}") for part in _VALUES if part in names}
            found = self._readers[key] = _Readers(facts, values, told)
        access.disclosure.add_fields(found.facts.verdicts)
        for verdicts in found.told.values():
            access.disclosure.add_fields(verdicts)
        return found

    # ---- finding

    async def _documents(
        self,
        wanted: Mapping[str, Any],
        profile: Mapping[str, Any],
        limit: int,
        before: Position | None,
        projection: Mapping[str, int],
    ) -> list[Document]:
        """Up to `limit` events of one customer, the newest first, out of windows that widen fourfold.

        The newest may not be counted on the profile yet, so the first window ends now.
        """
        found: list[Document] = []
        until = self._now()
        if before is not None:
            at, name = before
            found = await self._events.at_once(wanted, at=at, before=name, limit=limit, projection=projection)
            until = at - timedelta(milliseconds=1)
        width = _width(profile, limit)
        after = min(until, profile.get("last_event_at") or until) - width
        while len(found) < limit and until > _OLDEST:
            found += await self._events.window(
                wanted, after=max(after, _OLDEST), until=until, limit=limit - len(found), projection=projection
            )
            until, width = after, width * _WIDER
            after = until - width if until - _OLDEST > width else _OLDEST
        return found

    # ---- showing

    def _revealed(
        self,
        access: Access,
        readers: _Readers,
        names: frozenset[str],
        customer_id: str,
        document: Document,
    ) -> Values:
        customer = access.known[customer_id]
        circumstances = customer.circumstances
        # Of a person whose profiles were merged, each event is sealed under the key of the profile it came to.
        keys = {part.document["_id"]: part.key for part in customer.parts}
        key = keys.get(document["customer_id"], customer.key)
        decided = readers.values.decided(circumstances)
        values = readers.facts.reveal(document, key, circumstances, EVENTS, access.disclosure)
        for part, told in readers.told.items():
            values[part] = _undamaged(partial(self._values, part, document, key, decided))
            access.disclosure.add_subject(key.audit_reference, decided.departures(f"event.{part}", told))
        if "name" in names and values.get("name") is None and "name" not in document:
            values["name"] = _undamaged(partial(self._sealed_name, document, key, decided))
        return {**values, "position": (round(document["at"].timestamp() * 1000), document["_id"])}

    def _values(self, part: str, document: Document, key: DataKey, decided: Decided) -> Values | None:
        """The values that may be seen, by name; those of a category that is withheld are left out, name and all."""
        shown: Values = {}
        if part == "properties":
            clear: Mapping[str, Any] = document.get("clear") or {}
            for category, members in document.get("classes") or ():
                held = {name: clear[name] for name in members if name in clear}
                shown |= shown_as(decided.of(category), held, key)
        for category in self._openable(part, document, decided):
            held = opened(document, key, (category,)).get(category, {})
            inside = held.get("context") if part == "context" else held.get("properties") or held.get("traits")
            shown |= shown_as(decided.of(category), inside or {}, key)
        return shown or None

    def _openable(self, part: str, document: Document, decided: Decided) -> Iterable[str]:
        sealed = [name.replace("/", ".") for name in document.get("sealed") or ()]
        for category in [UNCLASSIFIED] if part == "context" else sealed:
            if decided.of(category) is not Verdict.WITHHELD:
                yield category

    def _sealed_name(self, document: Document, key: DataKey, decided: Decided) -> Any:
        """A name that no plan knows, as what nobody classified may be seen."""
        verdict = decided.of(UNCLASSIFIED)
        if verdict is Verdict.WITHHELD:
            return None
        name = opened(document, key, (UNCLASSIFIED,)).get(UNCLASSIFIED, {}).get("name")
        return name if verdict is Verdict.CLEAR else mask_value(Mask.REDACT, name, pseudonym=key.pseudonym)


_DENSITY: Final = dict.fromkeys(("event_count", "first_event_at", "last_event_at"), 1)


def _wanted(access: Access, customer: Known, query: EventQuery) -> dict[str, Any]:
    mine = [customer.document["_id"], *(part.document["_id"] for part in customer.parts)]
    wanted: dict[str, Any] = {"customer_id": {"$in": mine} if customer.parts else mine[0]}
    if query.type is not None:
        wanted["type"] = query.type
    if query.name is not None:
        wanted["name"] = query.name
    purpose = access.grant.purpose
    if purpose.basis is LawfulBasis.CONSENT:
        wanted["purposes"] = purpose.name
    return wanted


def _projection(reader: Reader, names: frozenset[str]) -> dict[str, int]:
    stored = {*_ALWAYS, *reader.stored}
    if "properties" in names:
        stored |= {"clear", "classes", "sealed"}
    if "context" in names or "name" in names:
        stored |= {"sealed", "name"}
    return dict.fromkeys(sorted(stored), 1)


def _undamaged(read: Callable[[], Any]) -> Any:
    """What is read; or, where a group is not the one that belongs there, the error that says so, as `Reader` has it."""
    try:
        return read()
    except EnvelopeError as error:
        return error


def _check_filters(access: Access, query: EventQuery, circumstances: Circumstances) -> None:
    paths = query.filters
    access.disclosure.add_filters(paths)
    refused = [
        path
        for path in paths
        if not any(in_scope(each.scope, circumstances) for each in access.grant.filter[path].alternatives)
    ]
    if refused:
        raise FilterNotAllowedError(refused)


def _width(profile: Mapping[str, Any], limit: int) -> timedelta:
    """A stretch of time in which about twice as many events lie as are asked for."""
    count: int = profile.get("event_count") or 0
    since: datetime | None = profile.get("first_event_at")
    until: datetime | None = profile.get("last_event_at")
    if count < 1 or since is None or until is None or until <= since:
        return _FIRST_WINDOW
    return max(_SHORTEST, (until - since) * _ROOM * limit / count)


def _bound(access: Access, customer_id: str, query: EventQuery) -> bytes:
    """What a cursor of a customer's events is bound to."""
    parts: Sequence[Any] = (
        access.caller.actor,
        access.grant.purpose.name,
        EVENTS,
        customer_id,
        query.type,
        query.name,
    )
    return msgspec.json.encode(parts)
