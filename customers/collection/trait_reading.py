"""Reads the traits that a tracking plan classifies, each by its own data category, as one caller may see them.

They are kept on the profile, sealed in one group for each category (docs/formats/events.md). What no plan classifies is
the catalogue's `profile.traits`.
"""

from collections.abc import Sequence
from typing import Any, Final

from customers.access import Access, Part
from customers.collection.effects import CUSTOM
from customers.collection.event_documents import stored_name
from customers.profiles.categories import CategoryReader, Decided, shown_as
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.store import Collection, CustomerStore, Document
from policies import Catalogue, Grant, Verdict
from vault import DataKey, EnvelopeError

PART: Final = "profile.traits"
_STORED: Final = stored_name(f"{CUSTOM}.")
_KEPT: Final = 256


class TraitGateway:
    """Reads classified traits of customers read before in the same request."""

    def __init__(self, customers: CustomerStore, catalogue: Catalogue) -> None:
        self._customers = customers
        self._catalogue = catalogue
        self._readers: dict[tuple[Any, ...], CategoryReader] = {}

    async def traits(self, access: Access, customer_ids: Sequence[str]) -> dict[str, Any]:
        """The traits of each customer by name, in one query; None where none may be seen.

        Where a group is not the one that belongs there, the error that says so, as `Reader` has it.
        """
        reader = self._reader(access.grant)
        told = reader.verdicts(PART)
        access.disclosure.add_fields(told)
        parts = [part.document["_id"] for each in customer_ids for part in access.known[each].parts]
        found = await self._customers.find([*customer_ids, *parts], {"sealed": 1})
        documents = {each["_id"]: each for each in found}
        shown: dict[str, Any] = {}
        for customer_id in customer_ids:
            customer = access.known[customer_id]
            decided = reader.decided(customer.circumstances)
            # What a person's own profile says comes before what those say that were merged into it.
            own = Part(customer.key, customer.document)
            try:
                shown[customer_id] = _revealed([*reversed(customer.parts), own], documents, decided)
            except EnvelopeError as error:
                shown[customer_id] = error
            references = [part.key.audit_reference for part in customer.parts]
            access.disclosure.add_subject(customer.key.audit_reference, decided.departures(PART, told), references)
        return shown

    def _reader(self, grant: Grant) -> CategoryReader:
        key = (grant.policy_version, grant.roles, grant.purpose.name)
        found = self._readers.get(key)
        if found is None:
            if len(self._readers) >= _KEPT:
                self._readers.pop(next(iter(self._readers)))
            found = self._readers[key] = CategoryReader(self._catalogue, grant)
        return found


def _revealed(members: Sequence[Part], documents: dict[str, Document], decided: Decided) -> dict[str, Any] | None:
    shown: dict[str, Any] = {}
    for member in members:
        document = documents.get(member.document["_id"])
        for name in (document or {}).get("sealed") or ():
            category = name.removeprefix(_STORED).replace("/", ".")
            verdict = decided.of(category)
            if name.startswith(_STORED) and document is not None and verdict is not Verdict.WITHHELD:
                shown |= shown_as(verdict, _held(document, member.key, category), member.key)
    return shown or None


def _held(document: Document, key: DataKey, category: str) -> dict[str, Any]:
    group = f"{CUSTOM}.{category}"
    envelope = document["sealed"][stored_name(group)]
    held: dict[str, Any] = key.open(envelope, Collection.PROFILES, document["_id"], group, SCHEMA_VERSION)["traits"]
    return held
