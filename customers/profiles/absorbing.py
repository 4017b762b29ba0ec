"""Adds what a file says to many customers at once: one query for documents, one for keys, one record, one command to write.

For rows that say nothing new of who somebody is, which nearly all rows of a file that is imported again are. What needs
more (new identifiers, merged profiles, whatever the caller may not write) is left to be done one at a time, which says why.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from customers.access import Access, in_scope
from customers.errors import WriteNotAllowedError
from customers.identity.model import Identifier
from customers.identity.proving import proved, usurped
from customers.profiles.changing import ProfileChanger
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.made import identifiers_of
from customers.profiles.permission import check_lookup, check_paths, identifier_paths
from customers.profiles.provenance import Origin
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore, Document
from policies import PolicySet
from vault import DataKey, EnvelopeError, Vault

AT_ONCE: Final = 50
"""How many are written in one read: on a slow disk, more would not be done by its deadline."""
FRESH: Final = timedelta(days=1)
"""For so long the same word of the same source is not noted again; later it says that a value still holds."""

Recorded = Callable[[Sequence[str], Iterable[DataKey]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Saying:
    """What a source says of a customer: values checked and spelt, those as they came, and identifiers."""

    customer_id: str
    changes: Mapping[str, Any]
    originals: Mapping[str, str]
    identifiers: tuple[Identifier, ...]


class Absorbed(Enum):
    """What became of a saying."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    """The same source has said just this within a day."""
    SINGLY = "singly"
    """Nothing was done: it takes more than a change of values, or somebody else wrote at the same moment."""


class Absorber:
    """Writes for `ProfileWriter`; inside `Vault.reading`."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        changer: ProfileChanger,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._vault = vault
        self._changer = changer
        self._policies = policies
        self._now = now

    async def absorb(
        self, access: Access, said: Sequence[Saying], origin: Origin, record: Recorded
    ) -> list[Absorbed]:
        """Add what is said, each of another customer, `AT_ONCE` at most; what became of each, in their order.

        Args:
            access: Who says so, and why.
            said: What is said.
            origin: Where it came from.
            record: Makes the record of the write durable, given the fields and the keys of all.

        Raises:
            audit.AuditUnavailableError, vault.VaultError: Nothing was written.
        """
        ids = list(dict.fromkeys(each.customer_id for each in said))
        documents = {each["_id"]: each for each in await self._store.find(ids)}
        keys = await self._vault.keys(ids)
        due: dict[int, tuple[Saying, Document, DataKey]] = {}
        for number, each in enumerate(said):
            document, key = documents.get(each.customer_id), keys.get(each.customer_id)
            if document is not None and isinstance(key, DataKey) and self._is_simple(access, each, document, key):
                due[number] = each, document, key
        found = [Absorbed.SINGLY] * len(said)
        if not due:
            return found
        await record(
            sorted({path for each, _, _ in due.values() for path in _paths(each)}), [key for *_, key in due.values()]
        )
        changes = []
        writing = []
        for number, (each, document, key) in due.items():
            update = self._changer.said(
                self._policies().catalogue, document, key, each.changes, origin, each.originals, fresh=FRESH
            )
            if update is None:
                found[number] = Absorbed.UNCHANGED
                continue
            was = {"_id": document["_id"], "version": document["version"]}
            changes.append((was, {**update, "$set": {**update["$set"], "version": was["version"] + 1}}))
            writing.append(number)
        if await self._store.update_many(changes) == len(changes):
            for number in writing:
                found[number] = Absorbed.WRITTEN
        return found

    def _is_simple(self, access: Access, said: Saying, document: Document, key: DataKey) -> bool:
        """Whether it changes values alone, of a profile that stands alone, and the caller may."""
        if MERGED_INTO in document or PARTS in document:
            return False
        paths = _paths(said)
        circumstances = circumstances_of(document, access.caller, access.grant, self._now())
        if circumstances.reason is not None or not all(
            any(in_scope(each.scope, circumstances) for each in access.grant.write[path].alternatives)
            for path in paths
        ):
            return False
        try:
            check_paths(access, paths)
            check_lookup(access, paths)
            held = identifiers_of(document, key)
        except (EnvelopeError, WriteNotAllowedError):
            return False
        marks = [each.proven for each in held]
        return (
            all(each in held for each in said.identifiers)
            and not usurped(said.identifiers, held)
            and [each.proven for each in proved(held, said.identifiers)] == marks
        )


def _paths(said: Saying) -> list[str]:
    return [*(f"profile.{name}" for name in said.changes), *identifier_paths(each.type for each in said.identifiers)]
