"""Who there is: the people whom the identifiers of a batch lead to, as their documents say they are.

The blind index is a hint. What counts is what a profile holds, so it is opened: an identifier that nobody's profile holds
is being given to somebody at this moment, or was taken from somebody, and its row is about to go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from customers.identity.model import Identifier
from customers.identity.proving import proved
from customers.identity.rules import Identified, Person
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.made import identifiers_of
from customers.profiles.store import CustomerStore, Document
from vault import DataKey, KeyState, Vault

_NEEDED: Final = dict.fromkeys(
    ("version", "rights.restricted", MERGED_INTO, PARTS, "sealed.identifiers", "sealed.contact"), 1
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who there is.

    Attributes:
        people: The people whom identifiers lead to.
        documents: Their profiles, by id.
        keys: Their keys, by id.
        gone: Identifiers of people who are being erased.
        unsettled: Identifiers that lead to somebody who does not have them, each with whom.
    """

    people: tuple[Person, ...] = ()
    documents: Mapping[str, Document] = field(default_factory=dict)
    keys: Mapping[str, DataKey] = field(default_factory=dict)
    gone: frozenset[Identifier] = frozenset()
    unsettled: Mapping[Identifier, str] = field(default_factory=dict)

    def about(self, item: Identified) -> Identified | None:
        """The item without what belongs to people who are being erased; None where it is about one of them."""
        if not self.gone:
            return item
        claimed = item.claimed
        if claimed and claimed[0] in self.gone:
            return None
        return Identified(
            tuple(each for each in claimed if each not in self.gone),
            tuple(each for each in item.previous if each not in self.gone),
            item.proven,
        )


class Census:
    """Looks up who there is; inside `Vault.reading`."""

    def __init__(self, store: CustomerStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def standing(self, items: Sequence[Identified]) -> Standing:
        """Who there is: one query for the index, one for the documents, one for those of their parts, one for keys."""
        wanted = dict.fromkeys(each for item in items for each in item.all)
        owners = await self._vault.blind.find_many((each.type, each.value) for each in wanted)
        if not owners:
            return Standing()
        found = await self._documents(list(dict.fromkeys(owners.values())))
        keys = await self._vault.keys(list(dict.fromkeys((*owners.values(), *found))))
        alive = {each: key for each in found if isinstance(key := keys.get(each), DataKey)}
        going: dict[str, list[str]] = {}
        for each in found.values():
            if MERGED_INTO in each:
                going.setdefault(each[MERGED_INTO], []).append(each["_id"])
        people = {
            each["_id"]: _person(each, going.get(each["_id"], ()), found, alive)
            for each in found.values()
            if MERGED_INTO not in each and each["_id"] in alive
        }
        holds = {person.id: set(person.identifiers) for person in people.values()}
        gone: set[Identifier] = set()
        unsettled: dict[Identifier, str] = {}
        for identifier in wanted:
            owner = owners.get((identifier.type, identifier.value))
            if owner is None:
                continue
            survivor = str(found.get(owner, {}).get(MERGED_INTO, owner))
            if identifier in holds.get(survivor, ()):
                continue
            if isinstance(keys.get(survivor), KeyState):
                gone.add(identifier)
            else:
                unsettled[identifier] = owner
        return Standing(
            tuple(people.values()), {each: found[each] for each in people}, alive, frozenset(gone), unsettled
        )

    async def _documents(self, customer_ids: Sequence[str]) -> dict[str, Document]:
        """The documents of these customers, of those they were merged into, and of all that was merged into them."""
        found = {each["_id"]: each for each in await self._store.find(customer_ids, _NEEDED)}
        for names in (_survivors, _parts):
            missing = [each for each in dict.fromkeys(names(found.values())) if each not in found]
            if missing:
                found |= {each["_id"]: each for each in await self._store.find(missing, _NEEDED)}
        return found


def _survivors(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    return [each[MERGED_INTO] for each in documents if MERGED_INTO in each]


def _parts(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    return [part for each in documents if MERGED_INTO not in each for part in each.get(PARTS, ())]


def _person(
    document: Document, going: Iterable[str], documents: Mapping[str, Document], keys: Mapping[str, DataKey]
) -> Person:
    """A person; one who is going to be their part at this moment may not be among the parts yet."""
    customer_id: str = document["_id"]
    parts = dict.fromkeys((*document.get(PARTS, ()), *going))
    inherited = [
        identifier
        for part in parts
        if part in documents and part in keys
        for identifier in identifiers_of(documents[part], keys[part])
    ]
    own = identifiers_of(document, keys[customer_id])
    return Person(
        id=customer_id,
        own=own,
        # Somebody decided that these are theirs.
        inherited=proved([each for each in inherited if each not in own], inherited),
        parts=len(parts),
        restricted=bool((document.get("rights") or {}).get("restricted", True)),
    )
