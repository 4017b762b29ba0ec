"""The read gateway: the only way to a revealed value.

Every function takes an `Access`, which says who asks and why and collects what was disclosed. Documents are fetched
first and the key records of exactly those customers after them, every time, so a fence that is up when the keys are
fetched is felt. A page of any size is one query for documents, one for keys; where profiles of it were merged out of
others, one more for the documents of those. Who was merged into another is never shown alone.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from customers.access import Access, Circumstances, Known, Part, in_scope
from customers.consent.model import Rights, refusal
from customers.errors import CursorInvalidError
from customers.profiles.joined import MERGED_INTO, OWN, PARTS
from customers.profiles.lists import MOMENTS, Place, binding, in_one_order, tops_of
from customers.profiles.person import ids_of_person
from customers.profiles.query import IdentifierCondition, ProfileQuery, permitted_documents
from customers.profiles.reader import SCHEMA_VERSION, Reader, circumstances_of, place_of
from customers.profiles.store import Collection, CustomerStore, Document
from policies import Catalogue, Verdict
from vault import DataKey, KeyState, TokenInvalidError, Vault

Values = dict[str, Any]

_OBJECTS: Mapping[Collection, str] = {
    Collection.PROFILES: "profile",
    Collection.ORDERS: "order",
    Collection.TICKETS: "ticket",
}
_COUNTS: Mapping[Collection, str] = {Collection.ORDERS: "order_count", Collection.TICKETS: "ticket_count"}
_READERS_KEPT = 1024
_NOBODY = "cus_nobody"


@dataclass(frozen=True, slots=True)
class Page:
    """Values of one page, with each one's position for a cursor, and whether more follow."""

    items: tuple[Values, ...]
    positions: tuple[tuple[Any, int], ...]
    end: tuple[Any, int] | None
    more: bool
    fingerprint: bytes


class ProfileGateway:
    """Reads profiles, orders and tickets as one caller may see them for one purpose."""

    def __init__(
        self, store: CustomerStore, vault: Vault, catalogue: Catalogue, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._vault = vault
        self._catalogue = catalogue
        self._now = now
        self._readers: dict[tuple[Any, ...], tuple[Reader, dict[str, int]]] = {}

    async def by_ids(self, access: Access, names: frozenset[str], customer_ids: Sequence[str]) -> dict[str, Values]:
        """The profiles of these customers by id; those that do not exist or are erased are missing.

        Naming an id uses it, so a caller who may see only pseudonyms, or nothing, finds nobody by it. The id of one who
        was merged into another gives the other.

        Raises:
            vault.VaultError: A key or a sealed group cannot be used.
        """
        reader, projection = self._reader(access, Collection.PROFILES, names)
        found = await self._store.find(customer_ids, projection)
        moved: dict[str, str] = {each["_id"]: each[MERGED_INTO] for each in found if MERGED_INTO in each}
        documents = await self._survivors(found, projection) if moved else found
        parts = await self._parts(documents, projection)
        keys = await self._vault.keys([*customer_ids, *moved.values(), *parts])
        documents = [each for each in documents if self._may_name(access, each)]
        if any(
            keys.get(customer_id) in _GONE and self._may_name(access, {"_id": customer_id})
            for customer_id in customer_ids
        ):
            access.disclosure.add_erased(reader.verdicts)
        revealed = {values["document_id"]: values for values in self._reveal(access, reader, documents, keys, parts)}
        return revealed | {each: revealed[into] for each, into in moved.items() if into in revealed}

    async def by_identifier(
        self, access: Access, names: frozenset[str], identifier: IdentifierCondition
    ) -> Values | None:
        """The profile that has this identifier, if the caller may find it so.

        A customer whom the caller may not find is answered exactly as one who does not exist.

        Raises:
            FilterNotAllowedError: The caller may not look up by this kind of identifier.
            vault.InvalidIdentifierError: The value cannot be such an identifier.
        """
        # Where nobody has it the same is fetched, so that the time taken does not tell.
        found = await self._find(access, identifier) or _NOBODY
        reader, projection = self._reader(access, Collection.PROFILES, names)
        projection = {**projection, "sealed.identifiers": 1}
        documents = await self._survivors(await self._store.find([found], projection), projection)
        documents, keys, parts = await self._finding(access, found, documents, identifier, projection)
        return next(iter(self._reveal(access, reader, documents, keys, parts)), None)

    async def page(self, access: Access, names: frozenset[str], query: ProfileQuery) -> Page:
        """One page of profiles.

        Raises:
            FilterNotAllowedError, SortNotAllowedError: The query uses a field the caller may not filter by.
            CursorInvalidError: `after` is not a cursor of this query and caller.
        """
        access.disclosure.add_filters(query.paths)
        allowed = permitted_documents(query, access.grant, access.caller, self._now())
        fingerprint = query.fingerprint(access.caller, access.grant.purpose.name)
        after = self._position(query, fingerprint)
        reader, projection = self._reader(access, Collection.PROFILES, names)
        by = "seq" if query.sort is None else query.sort.path.partition(".")[2]
        if (identifier := query.identifier) is not None:
            documents, keys, parts = await self._one_at_most(access, allowed, after, projection | {by: 1}, identifier)
        else:
            documents = await self._matching(query, allowed, by, after, projection | {by: 1})
            shown = documents[: query.first]
            parts = await self._parts(shown, projection)
            keys = await self._vault.keys([*(each["_id"] for each in shown), *parts]) if shown else {}
        more = len(documents) > query.first
        documents = documents[: query.first]
        shown = [each for each in documents if isinstance(keys.get(each["_id"]), DataKey)]
        return Page(
            items=tuple(self._reveal(access, reader, shown, keys, parts)),
            positions=tuple((each[by], each["seq"]) for each in shown),
            # Where the next page begins does not depend on who of this one was shown.
            end=(documents[-1][by], documents[-1]["seq"]) if documents else None,
            more=more,
            fingerprint=fingerprint,
        )

    async def _matching(
        self,
        query: ProfileQuery,
        allowed: dict[str, Any],
        by: str,
        after: tuple[Any, int] | None,
        projection: dict[str, int],
    ) -> list[Document]:
        if query.sort is None:
            first = 0 if after is None else after[1]
            return await self._store.page(allowed, after=first, limit=query.first + 1, projection=projection)
        return await self._store.sorted_page(
            allowed,
            by=by,
            descending=query.sort.descending,
            after=after,
            limit=query.first + 1,
            projection=projection,
        )

    async def _one_at_most(
        self,
        access: Access,
        allowed: dict[str, Any],
        after: tuple[Any, int] | None,
        projection: dict[str, int],
        identifier: IdentifierCondition,
    ) -> tuple[list[Document], dict[str, DataKey | KeyState], dict[str, Document]]:
        """The profile of a page that looks for an identifier, if there is one; the work is the same if there is not."""
        found = await self._vault.blind.find(identifier.index, identifier.value) or _NOBODY
        if allowed.setdefault("_id", found) != found or after is not None:  # nobody follows the one who has it
            allowed["_id"] = _NOBODY
        projection = {**projection, "sealed.identifiers": 1}
        documents = await self._store.find_matching(allowed, projection)
        return await self._finding(access, found, documents, identifier, projection)

    async def _finding(
        self,
        access: Access,
        found: str,
        documents: Sequence[Document],
        identifier: IdentifierCondition,
        projection: dict[str, int],
    ) -> tuple[list[Document], dict[str, DataKey | KeyState], dict[str, Document]]:
        """The one document if the caller may find it by this identifier and it has it, the keys, and its parts.

        Parts are only fetched of somebody whom the caller may find, so that nobody else is told from nobody by them.
        """
        documents = [each for each in documents if self._may_find(access, each, identifier)]
        parts = await self._parts(documents, projection)
        keys = await self._vault.keys([found, *(each["_id"] for each in documents if each["_id"] != found), *parts])
        return [each for each in documents if self._has(each, parts, keys, identifier)], keys, parts

    async def _survivors(self, documents: Sequence[Document], projection: Mapping[str, int]) -> list[Document]:
        """These documents, with those that were merged into another replaced by the other."""
        missing = {each[MERGED_INTO] for each in documents if MERGED_INTO in each} - {
            each["_id"] for each in documents
        }
        others = await self._store.find(sorted(missing), projection) if missing else []
        return [each for each in (*documents, *others) if MERGED_INTO not in each]

    async def _parts(self, documents: Sequence[Document], projection: Mapping[str, int]) -> dict[str, Document]:
        """The documents of everything that was merged into these, by id."""
        ids = [part for document in documents for part in document.get(PARTS, ())]
        found = await self._store.find(ids, projection) if ids else []
        return {each["_id"]: each for each in found if MERGED_INTO in each}

    async def ids_of(self, customer_id: str) -> tuple[str, ...]:
        """The ids of every profile that is one person with this one, the survivor's first; nothing of them is read."""
        return await ids_of_person(self._store, customer_id)

    async def newest(
        self,
        access: Access,
        collection: Collection,
        names: frozenset[str],
        customer_ids: Sequence[str],
        first: int,
        before: Place | None = None,
    ) -> dict[str, list[Values]]:
        """The newest `first` orders or tickets of customers already read in this request, in one query.

        A customer none of whose orders' (or tickets') fields may be read is missing: not even their number is told.
        Where several profiles are one person, their lists are one, the newest first if the caller may see when that was;
        each value's `position` says where the next page begins.
        """
        reader, projection = self._reader(access, collection, names)
        found: dict[str, list[Values]] = {}
        for customer_id in customer_ids:
            customer = access.known[customer_id]
            if reader.shows_anything(customer.circumstances):
                found[customer_id] = []
            else:
                departures = reader.departures(customer.circumstances)
                access.disclosure.add_subject(customer.key.audit_reference, departures)
        tops: dict[str, int] = {}
        for customer_id in found:
            tops |= tops_of(access.known[customer_id], _COUNTS[collection], before)
        documents = await self._store.newest(collection, tops, first, projection)
        for customer_id, theirs in found.items():
            customer = access.known[customer_id]
            moment = MOMENTS[collection] if reader.shows(MOMENTS[collection], customer.circumstances) else None
            for key, each, position in in_one_order(customer, documents, tops, moment, first):
                values = reader.reveal(each, key, customer.circumstances, collection, access.disclosure)
                theirs.append({**values, "position": position})
        return found

    def cursor(self, page: Page, position: tuple[Any, int]) -> str:
        """An opaque cursor for a position of a page: sealed, so that it tells nobody a value, and bound to the query."""
        return self._vault.seal_token("cursor", msgspec.msgpack.encode(position), page.fingerprint)

    def child_cursor(self, access: Access, collection: Collection, customer_id: str, position: Place) -> str:
        """An opaque cursor for an order or ticket, bound to caller, purpose and customer."""
        return self._vault.seal_token(
            "cursor", msgspec.msgpack.encode(position), binding(access, collection, customer_id)
        )

    def child_position(self, access: Access, collection: Collection, customer_id: str, cursor: str) -> Place:
        """The position that `child_cursor` was given.

        Raises:
            CursorInvalidError: It is not a cursor of this customer's list, caller and purpose.
        """
        try:
            sealed = self._vault.open_token("cursor", cursor, binding(access, collection, customer_id))
            return msgspec.msgpack.decode(sealed, type=int | tuple[tuple[str, int], ...])
        except (TokenInvalidError, msgspec.DecodeError, ValueError) as error:
            raise CursorInvalidError from error

    def _position(self, query: ProfileQuery, fingerprint: bytes) -> tuple[Any, int] | None:
        if query.after is None:
            return None
        try:
            value, seq = msgspec.msgpack.decode(self._vault.open_token("cursor", query.after, fingerprint))
        except (TokenInvalidError, msgspec.DecodeError, ValueError) as error:
            raise CursorInvalidError from error
        return value, int(seq)

    async def _find(self, access: Access, identifier: IdentifierCondition) -> str | None:
        access.disclosure.add_filters((identifier.path,))
        permitted_documents(ProfileQuery(identifier=identifier), access.grant, access.caller, self._now())
        return await self._vault.blind.find(identifier.index, identifier.value)

    def _may_name(self, access: Access, document: Document) -> bool:
        """Whether the caller may see this customer's own id, whatever the customer's rights say of the rest."""
        circumstances = circumstances_of(document, access.caller, access.grant, self._now())
        return any(
            alternative.verdict is Verdict.CLEAR and in_scope(alternative.scope, circumstances)
            for alternative in access.grant.read["profile.id"].alternatives
        )

    def _may_find(self, access: Access, document: Document, identifier: IdentifierCondition) -> bool:
        """Whether the caller may learn that this customer has this identifier."""
        if refusal(Rights.of_document(document.get("rights") or {}), access.grant.purpose, self._now()) is not None:
            return False
        circumstances = circumstances_of(document, access.caller, access.grant, self._now())
        granted = access.grant.filter[identifier.path]
        return any(in_scope(alternative.scope, circumstances) for alternative in granted.alternatives)

    def _has(
        self,
        document: Document,
        parts: Mapping[str, Document],
        keys: Mapping[str, DataKey | KeyState],
        identifier: IdentifierCondition,
    ) -> bool:
        """Whether a customer really has this identifier, be it in a profile that was merged into theirs.

        The blind index is only a hint: an entry may outlive the value it stood for until it is cleaned up.
        """
        if not isinstance(keys.get(document["_id"]), DataKey):
            return False
        mine = [document, *(parts[each] for each in document.get(PARTS, ()) if each in parts)]
        return any(self._holds(each, keys.get(each["_id"]), identifier) for each in mine)

    def _holds(self, document: Document, key: DataKey | KeyState | None, identifier: IdentifierCondition) -> bool:
        envelope = (document.get("sealed") or {}).get("identifiers")
        if envelope is None or not isinstance(key, DataKey):
            return False
        held = key.open(envelope, Collection.PROFILES, document["_id"], "identifiers", SCHEMA_VERSION)
        wanted = self._vault.normalise(identifier.index, identifier.value)
        return any(
            each["type"] == identifier.index and self._vault.normalise(identifier.index, each["value"]) == wanted
            for each in held.get("identifiers", ())
        )

    def _reader(self, access: Access, collection: Collection, names: frozenset[str]) -> tuple[Reader, dict[str, int]]:
        """The compiled reader and what to fetch for it; kept for the next request with the same grant and fields."""
        grant = access.grant
        key = (grant.policy_version, grant.roles, grant.purpose.name, collection, names)
        found = self._readers.get(key)
        if found is None:
            if len(self._readers) >= _READERS_KEPT:
                self._readers.pop(next(iter(self._readers)))
            reader = Reader(self._catalogue, grant, _OBJECTS[collection], names)
            found = self._readers[key] = (reader, _projection(reader, collection))
        access.disclosure.add_fields(found[0].verdicts)
        return found

    def _reveal(
        self,
        access: Access,
        reader: Reader,
        documents: Sequence[Document],
        keys: Mapping[str, DataKey | KeyState],
        parts: Mapping[str, Document],
    ) -> list[Values]:
        caller, grant, disclosure = access.caller, access.grant, access.disclosure
        revealed: list[Values] = []
        # Customers with the same rights in the same region are alike; a page has few kinds of them.
        told: dict[Hashable, Circumstances] = {}
        own, now = caller.customer_id, self._now()
        for document in documents:
            customer_id = document["_id"]
            key = keys.get(customer_id)
            if not isinstance(key, DataKey):
                continue
            circumstances = told.get(place := place_of(document))
            if circumstances is None or own is not None:
                circumstances = told[place] = circumstances_of(document, caller, grant, now)
            mine = _parts_of(document, parts, keys) if PARTS in document else ()
            access.known[customer_id] = Known(key, circumstances, document, mine)
            revealed.append(reader.reveal(document, key, circumstances, Collection.PROFILES, disclosure, mine))
        return revealed


_GONE = frozenset({KeyState.ERASING, KeyState.ERASED})


def _parts_of(
    document: Document, parts: Mapping[str, Document], keys: Mapping[str, DataKey | KeyState]
) -> tuple[Part, ...]:
    """What was merged into a profile and can be read; a part that was erased alone is none any more."""
    return tuple(
        Part(key, parts[each])
        for each in document[PARTS]
        if each in parts and isinstance(key := keys.get(each), DataKey)
    )


def _projection(reader: Reader, collection: Collection) -> dict[str, int]:
    if collection is Collection.PROFILES:
        always = ["rights", "region", "seq", *_COUNTS.values(), MERGED_INTO, PARTS, OWN]
    else:
        always = ["customer_id", "ordinal", *([MOMENTS[collection]] if reader.grants(MOMENTS[collection]) else [])]
    return dict.fromkeys([*always, *reader.stored], 1)
