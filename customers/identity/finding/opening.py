"""Opens profiles to be compared: in memory only, under the purpose identity_resolution, and recorded before they are used.

Each document is a record of its own, be it merged into another or not: a poor record that was joined must be seen as it
is, or it would lend its values to the rest. Its rights are those of the person it belongs to.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from audit import AccessLog
from customers.access import Access, Circumstances
from customers.disclosure import Disclosure
from customers.errors import ReadNotAllowedError
from customers.identity.matching import Person, prepare
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import Reader, circumstances_of
from customers.profiles.store import Collection as Stored
from customers.profiles.store import CustomerStore, Document
from policies import PolicySet, Verdict
from vault import DataKey, Vault

PURPOSE: Final = "identity_resolution"
READER: Final = ("record_keeper",)
"""Who looks at profiles to compare them."""
STEWARD: Final = ("data_steward",)
"""Who joins them."""
COMPARED: Final = (
    *("given_name", "family_name", "birth_date", "street", "postal_code", "city", "country", "phone", "email"),
    "national_id",
)
_ALWAYS: Final = ("rights", "region", "seq", "version", MERGED_INTO, PARTS, "sealed.identifiers", "sealed.contact")
_AT_ONCE: Final = 100
_BREATH: Final = 25
"""After so many people others have their turn."""


@dataclass(frozen=True, slots=True)
class Group:
    """One person: their profile's document, and those of all that were merged into it, each with its key."""

    id: str
    documents: tuple[Document, ...]
    keys: Mapping[str, DataKey]
    circumstances: Circumstances

    @property
    def members(self) -> tuple[str, ...]:
        """The ids of all of these documents, the person's own first."""
        return tuple(each["_id"] for each in self.documents)


@dataclass(frozen=True)
class Fetched:
    """Documents and keys, nothing opened: people by id, and whose each document is."""

    groups: Mapping[str, Group]
    group_of: Mapping[str, str]


class Opener:
    """Reads for one run; inside `Vault.reading`."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        access: Access,
        policies: PolicySet,
        now: Callable[[], datetime],
    ) -> None:
        """Nothing is read yet.

        Raises:
            ReadNotAllowedError: The caller may see none of the compared fields in clear.
        """
        self._store = store
        self._vault = vault
        self._log = log
        self._access = access
        self._now = now
        self._reader = Reader(policies.catalogue, access.grant, "profile", COMPARED)
        self._projection = dict.fromkeys((*_ALWAYS, *self._reader.stored), 1)
        self._groups = sorted(each.partition(".")[2] for each in self._reader.stored if each.startswith("sealed."))
        if all(verdict is not Verdict.CLEAR for verdict, _ in self._reader.verdicts.values()):
            raise ReadNotAllowedError([f"profile.{name}" for name in COMPARED])

    async def fetch(self, customer_ids: Collection[str]) -> Fetched:
        """The people these profiles are of, with everything merged into them: a query for the documents, one for those
        they were merged into, one for those merged into them, and one for keys, each of a hundred.
        """  # noqa: D205 - one sentence
        found: dict[str, Document] = {}
        for names in (lambda _held: list(customer_ids), _survivors, _parts):
            missing = [each for each in dict.fromkeys(names(found)) if each not in found]
            for start in range(0, len(missing), _AT_ONCE):
                chunk = missing[start : start + _AT_ONCE]
                found |= {each["_id"]: each for each in await self._store.find(chunk, self._projection)}
        keys = await self._keys(list(found))
        groups: dict[str, Group] = {}
        for each in found.values():
            if MERGED_INTO in each or each["_id"] not in keys:
                continue
            parts = [found[part] for part in each.get(PARTS, ()) if part in found and part in keys]
            documents = (each, *parts)
            groups[each["_id"]] = Group(
                each["_id"],
                documents,
                {member["_id"]: keys[member["_id"]] for member in documents},
                circumstances_of(each, self._access.caller, self._access.grant, self._now()),
            )
        return Fetched(groups, {member: each.id for each in groups.values() for member in each.members})

    async def _keys(self, customer_ids: Sequence[str]) -> dict[str, DataKey]:
        found: dict[str, DataKey] = {}
        for start in range(0, len(customer_ids), _AT_ONCE):
            held = await self._vault.keys(customer_ids[start : start + _AT_ONCE])
            found |= {each: key for each, key in held.items() if isinstance(key, DataKey)}
        return found

    def mark(self, fetched: Fetched, customer_id: str) -> bytes:
        """What tells whether a record's compared fields are other than they were, without opening any."""
        group = fetched.groups[fetched.group_of[customer_id]]
        document = next(each for each in group.documents if each["_id"] == customer_id)
        sealed = document.get("sealed") or {}
        state = blake2b(digest_size=16)
        for part in (
            str(group.circumstances.reason).encode(),
            ",".join(name for name in COMPARED if self._reader.shows(name, group.circumstances)).encode(),
            str(document.get("country")).encode(),
            *(name.encode() + b"\x00" + bytes(sealed.get(name, b"")) for name in self._groups),
        ):
            state.update(len(part).to_bytes(4, "big") + part)
        return state.digest()

    async def people(self, fetched: Fetched, customer_ids: Collection[str]) -> dict[str, Person]:
        """These records, opened and recorded; who restricted the purpose, and what was damaged, is left out.

        Raises:
            audit.AuditUnavailableError: It could not be recorded; nobody was compared.
        """
        disclosure = Disclosure(self._access.disclosure.request, self._access.grant)
        disclosure.add_fields(self._reader.verdicts)
        wanted = set(customer_ids)
        found: dict[str, Person] = {}
        for number, group in enumerate(fetched.groups.values()):
            if number % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            if group.circumstances.reason is not None:
                continue
            for document in group.documents:
                customer_id = document["_id"]
                if customer_id not in wanted:
                    continue
                values = self._reader.reveal(
                    document, group.keys[customer_id], group.circumstances, Stored.PROFILES, disclosure
                )
                if (person := self._person(values, group.circumstances)) is not None:
                    found[customer_id] = person
        if disclosure.reached:
            await self._log.append(disclosure.record(self._now()))
        return found

    def _person(self, values: Mapping[str, Any], circumstances: Circumstances) -> Person | None:
        clear = {name: values.get(name) for name in COMPARED if self._reader.shows(name, circumstances)}
        if any(isinstance(each, Exception) for each in clear.values()):
            return None
        held: dict[str, Any] = {name: value for name, value in clear.items() if isinstance(value, str)}
        return prepare(**held)


def _survivors(found: Mapping[str, Document]) -> Sequence[str]:
    return [each[MERGED_INTO] for each in found.values() if MERGED_INTO in each]


def _parts(found: Mapping[str, Document]) -> Sequence[str]:
    return [part for each in found.values() if MERGED_INTO not in each for part in each.get(PARTS, ())]
