"""Writes what was found, with its origin; and takes away what has expired.

Fields go through the profiles' own writer. Traits that have a data category are sealed with the others of that category,
as those are that a tracking plan classifies; the record of that write, too, is durable before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from audit import AccessLog, Kind
from customers.access import Access, Part
from customers.collection.event_documents import stored_name
from customers.consent.model import Rights
from customers.disclosure import Disclosure
from customers.enrichment.model import refused
from customers.enrichment.standing import group_of, held_traits
from customers.errors import ProfileConflictError, WriteNotAllowedError
from customers.profiles.categories import path_of
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.provenance import Origin
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.sealing import provenance_of, seal_origins
from customers.profiles.service import ProfileGateway
from customers.profiles.store import Collection, CustomerStore, Document
from customers.profiles.writing import ProfileWriter
from policies import Action, Catalogue, PolicySet, Verdict
from vault import DataKey, Vault

_TRAITS: Final = "profile.traits"
Values = Mapping[str, Any]
"""By target: a field's name, or `traits.<name>`; None takes a value away."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What enrichments work with."""

    gateway: ProfileGateway
    store: CustomerStore
    writer: ProfileWriter
    vault: Vault
    log: AccessLog
    policies: Callable[[], PolicySet]
    now: Callable[[], datetime]
    random: Callable[[int], bytes]

    @property
    def catalogue(self) -> Catalogue:
        """The fields there are."""
        return self.policies().catalogue


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as they are at this moment: the document, its key, and what was merged into it."""

    document: Document
    key: DataKey
    parts: tuple[Part, ...]


async def people(parts: Parts, documents: Sequence[Document]) -> dict[str, Person]:
    """Those of these customers whose data can be read, by id; one query for keys and one for what was merged."""
    ids = [part for each in documents for part in each.get(PARTS, ())]
    others = {each["_id"]: each for each in await parts.store.find(ids)} if ids else {}
    keys = await parts.vault.keys([*(each["_id"] for each in documents), *others])
    found: dict[str, Person] = {}
    for document in documents:
        key = keys.get(document["_id"])
        if isinstance(key, DataKey) and MERGED_INTO not in document:
            merged = tuple(
                Part(mine, others[each])
                for each in document.get(PARTS, ())
                if each in others and isinstance(mine := keys.get(each), DataKey)
            )
            found[document["_id"]] = Person(document, key, merged)
    return found


def fresh(access: Access) -> Access:
    """An access of its own for each record."""
    return Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant))


async def write(
    parts: Parts, access: Access, person: Person, values: Values, categories: Mapping[str, str], origin: Origin
) -> None:
    """Write values of a customer as they were read; inside `Vault.reading`.

    Args:
        parts: What to work with.
        access: Who writes, and why.
        person: The customer.
        values: What to write.
        categories: The data category of each trait that has one.
        origin: Where the values came from.

    Raises:
        ProfileConflictError: The profile is another by now; what was written of it may be written again.
        InputInvalidError, WriteNotAllowedError, ProfileNotFoundError, audit.AuditUnavailableError: Nothing was written.
    """
    customer_id: str = person.document["_id"]
    version: int = person.document["version"]
    traits = {name: value for name, value in values.items() if name in categories}
    fields = {name: value for name, value in values.items() if name not in categories}
    if traits:
        _check_traits(access, {categories[name] for name in traits})
    if fields:
        await parts.writer.update(fresh(access), customer_id, fields, version=version, origin=origin)
    if traits:
        person = await _again(parts, person, changed=bool(fields))
        await _write_traits(parts, access, person, traits, categories, origin)


async def _again(parts: Parts, person: Person, *, changed: bool) -> Person:
    if not changed:
        return person
    found = await people(parts, await parts.store.find([person.document["_id"]]))
    again = found.get(person.document["_id"])
    if again is None or again.document["version"] != person.document["version"] + 1:
        raise ProfileConflictError
    return again


def _check_traits(access: Access, categories: set[str]) -> None:
    lacking = [each for each in categories if not access.grant.of_category(each, Action.WRITE)]
    if lacking:
        raise WriteNotAllowedError([path_of(_TRAITS, each) for each in lacking])


async def _write_traits(
    parts: Parts, access: Access, person: Person, traits: Values, categories: Mapping[str, str], origin: Origin
) -> None:
    document, key = person.document, person.key
    purpose = access.grant.purpose
    if refused(Rights.of_document(document.get("rights") or {}), purpose, parts.now()) is not None:
        raise WriteNotAllowedError([_TRAITS])
    wanted = {categories[name] for name in traits}
    disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
    disclosure.add_fields(
        {
            path_of(_TRAITS, each): (
                Verdict.CLEAR,
                access.grant.of_category(each, Action.WRITE).alternatives[0].rule,
            )
            for each in wanted
        }
    )
    disclosure.add_subject(key.audit_reference, (), [part.key.audit_reference for part in person.parts])
    await parts.log.append(disclosure.record(parts.now()))
    origins = provenance_of(document, key)
    setting: dict[str, Any] = {"updated_at": parts.now()}
    removing: dict[str, str] = {}
    for category in wanted:
        mine = {name.partition(".")[2]: value for name, value in traits.items() if categories[name] == category}
        seal_traits(key, document, category, mine, setting, removing)
    for name, value in traits.items():
        if value is None:
            origins.remove(name, origin)
        else:
            origins.put(name, origin, categories[name])
    seal_origins(key, document, origins, setting, removing)
    change = {"$set": setting, **({"$unset": removing} if removing else {})}
    if not await parts.store.update(document["_id"], document["version"], change):
        raise ProfileConflictError


def seal_traits(
    key: DataKey,
    document: Mapping[str, Any],
    category: str,
    values: Values,
    setting: dict[str, Any],
    removing: dict[str, str],
) -> None:
    """Add what changes traits of a category to what is to be `$set` and `$unset`; a value of None takes one away."""
    held = {**held_traits(document, key, category), **values}
    kept = {name: value for name, value in held.items() if value is not None}
    group = group_of(category)
    place = f"sealed.{stored_name(group)}"
    if kept:
        setting[place] = key.seal(Collection.PROFILES, document["_id"], group, SCHEMA_VERSION, {"traits": kept})
    else:
        removing[place] = ""
