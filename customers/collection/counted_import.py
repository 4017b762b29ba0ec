"""Writes imported orders and tickets to the customers whose they are, each once, with the profiles' sums in step.

A batch is a constant number of commands, whoever and however many it is about. Its record, under the operator's name,
is durable before anything is written.
"""

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import msgspec
from pymongo.asynchronous.database import AsyncDatabase

from customers.access import Access, in_scope
from customers.collection.model import Fault, OrderRow, ProfileRow, Result, RowOutcome, TicketRow
from customers.collection.service import ImportWriter
from customers.errors import ProfileConflictError
from customers.identity.model import Identifier
from customers.identity.proving import usurped
from customers.profiles.adding import OrderAdder, OrderEffect, OrderStep, Sums, Telling
from customers.profiles.adding_tickets import TicketAdder, TicketStep, TicketSums, TicketTelling
from customers.profiles.counted import Became
from customers.profiles.joined import MERGED_INTO
from customers.profiles.made import identifiers_of
from customers.profiles.permission import check_lookup, identifier_paths
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore, Document
from customers.profiles.writing import ProfileWriter
from policies import Catalogue, PolicySet
from vault import DataKey, ReadDeadlineError, Vault

_TRIES: Final = 8
NO_SOURCE: Final = "*"
"""Stands for the source of what is imported without one; no source of events can be called so."""
_FAULTS: Final = {Became.TAKEN: Fault.NUMBER_TAKEN, Became.REPEATED: Fault.NUMBER_REPEATED}
_RESULTS: Final = {
    Became.ADDED: Result.CREATED,
    Became.CHANGED: Result.UPDATED,
    Became.UNCHANGED: Result.UNCHANGED,
}
_ORDER_SUMS: Final = ("order_count", "total_spent", "currency", "first_order_at", "last_order_at")

R = TypeVar("R", OrderRow, TicketRow)
AnySums = Sums | TicketSums
Outcomes = dict[int, RowOutcome]


@dataclass(frozen=True, slots=True)
class Parts:
    """What writing imported orders and tickets takes of a platform."""

    database: AsyncDatabase[Document]
    customers: CustomerStore
    writer: ProfileWriter
    vault: Vault
    policies: Callable[[], PolicySet]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Importing:
    """How a file's orders or tickets are taken.

    Attributes:
        file: A name for exactly this file, by which its rows are told from those of others.
        source: What the numbers in it are numbers of: those of one source are the same as its events'.
        create: Makes the profiles of customers that nobody knows; None refuses their rows.
    """

    file: str
    source: str | None = None
    create: ImportWriter | None = None


@dataclass(slots=True)
class _Person(Generic[R]):
    """A customer, and what the batch says of them."""

    document: Document
    key: DataKey
    rows: list[R]


class _CountedWriter(ABC, Generic[R]):
    """What both writers have in common."""

    name: str
    prefix: str
    sums: tuple[str, ...]

    def __init__(self, parts: Parts, access: Access, importing: Importing) -> None:
        self._parts = parts
        self._access = access
        self._importing = importing

    async def write(self, rows: Sequence[R]) -> Sequence[RowOutcome]:
        """Write each order or ticket wholly or not at all, and say what became of each, in their order."""
        check_lookup(self._access, identifier_paths({each.type for row in rows for each in row.identifiers}))
        outcomes: Outcomes = {}
        whose = await self._owners(rows, outcomes)
        await self._settle([row for row in rows if row.number in whose], whose, outcomes)
        return [outcomes[row.number] for row in rows]

    # ---- whose they are

    async def _owners(self, rows: Sequence[R], outcomes: Outcomes) -> dict[int, str]:
        """The customer of each row that has one, by its number; what is refused is in `outcomes`."""
        whose, strangers = await self._found(rows, outcomes)
        if strangers and self._importing.create is not None:
            await self._create(self._importing.create, strangers, outcomes)
            more, strangers = await self._found([row for row in strangers if row.number not in outcomes], outcomes)
            whose |= more
        for row in strangers:
            outcomes.setdefault(row.number, _refused(Fault.UNKNOWN_CUSTOMER))
        return whose

    async def _found(self, rows: Sequence[R], outcomes: Outcomes) -> tuple[dict[int, str], list[R]]:
        named = {(each.type.value, each.value) for row in rows for each in row.identifiers}
        async with self._parts.vault.reading():
            found = await self._parts.vault.blind.find_many(sorted(named)) if named else {}
        whose: dict[int, str] = {}
        strangers: list[R] = []
        for row in rows:
            keys = [(each.type.value, each.value) for each in row.identifiers]
            owners = {found[key] for key in keys if key in found}
            if len(owners) > 1:
                outcomes[row.number] = _refused(Fault.IDENTIFIER_TAKEN)
            elif owners:
                whose[row.number] = owners.pop()
            else:
                strangers.append(row)
        return whose, strangers

    async def _create(self, creator: ImportWriter, rows: Sequence[R], outcomes: Outcomes) -> None:
        """Make the profiles of these rows, but not for an order or ticket that another customer has."""
        held = await self._held([self._id(row) for row in rows])
        wanted: dict[tuple[Identifier, ...], ProfileRow] = {}
        for row in rows:
            if self._id(row) in held:
                outcomes[row.number] = _refused(Fault.NUMBER_TAKEN)
            else:
                wanted.setdefault(row.identifiers, ProfileRow(row.number, row.number, {}, row.identifiers, {}))
        made = dict(zip(wanted, await creator.write(list(wanted.values())), strict=True))
        for row in rows:
            outcome = made.get(row.identifiers)
            if outcome is not None and outcome.result is Result.REJECTED:
                outcomes[row.number] = outcome

    # ---- writing them

    async def _settle(self, rows: Sequence[R], whose: Mapping[int, str], outcomes: Outcomes) -> None:
        """Write rows whose customers are known; where they take longer than a read may, in smaller batches."""
        if not rows:
            return
        try:
            await self._written(rows, whose, outcomes)
        except ReadDeadlineError:
            if len(rows) == 1:
                raise
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                await self._settle(half, whose, outcomes)

    async def _written(self, rows: Sequence[R], whose: Mapping[int, str], outcomes: Outcomes) -> None:
        recorded: set[str] = set()
        async with self._parts.vault.reading():
            for _ in range(_TRIES):
                people = self._allowed(await self._people(rows, whose, outcomes), outcomes)
                if not people:
                    return
                if new := [each for each in people if each.key.customer_id not in recorded]:
                    paths = {path for each in new for row in each.rows for path in self._paths(row)}
                    await self._parts.writer.record(self._access, sorted(paths), [each.key for each in new])
                    recorded |= {each.key.customer_id for each in new}
                if await self._attempt(people, outcomes):
                    return
        raise ProfileConflictError

    async def _people(self, rows: Sequence[R], whose: Mapping[int, str], outcomes: Outcomes) -> list[_Person[R]]:
        """The customers of these rows as they are now; of one that was merged away, who they are part of."""
        store = self._parts.customers
        found = {each["_id"]: each for each in await store.find(sorted({whose[row.number] for row in rows}))}
        into = {each[MERGED_INTO] for each in found.values() if each.get(MERGED_INTO)} - found.keys()
        found |= {each["_id"]: each for each in (await store.find(sorted(into)) if into else ())}
        keys = await self._parts.vault.keys(found)
        people: dict[str, _Person[R]] = {}
        for row in rows:
            document = found.get(whose[row.number])
            if document is not None and document.get(MERGED_INTO):
                document = found.get(document[MERGED_INTO])
            key = None if document is None else keys.get(document["_id"])
            if document is None or not isinstance(key, DataKey):  # erased meanwhile
                outcomes[row.number] = _refused(Fault.UNKNOWN_CUSTOMER)
                continue
            # What only a page has said to be theirs may be another's.
            if usurped(row.identifiers, identifiers_of(document, key)):
                outcomes[row.number] = _refused(Fault.UNKNOWN_CUSTOMER)
            else:
                people.setdefault(key.customer_id, _Person(document, key, [])).rows.append(row)
        return list(people.values())

    def _allowed(self, people: Iterable[_Person[R]], outcomes: Outcomes) -> list[_Person[R]]:
        """Those of whom the caller may write what is to be written; the rows of the others are refused."""
        kept, now = [], self._parts.now()
        for person in people:
            circumstances = circumstances_of(person.document, self._access.caller, self._access.grant, now)
            for row in list(person.rows):
                grants = [self._access.grant.write[path] for path in self._paths(row)]
                if circumstances.reason is not None or not all(
                    any(in_scope(each.scope, circumstances) for each in grant.alternatives) for grant in grants
                ):
                    outcomes[row.number] = _refused(Fault.REFUSED)
                    person.rows.remove(row)
            if person.rows:
                kept.append(person)
        return kept

    async def _attempt(self, people: Sequence[_Person[R]], outcomes: Outcomes) -> bool:
        """Write everybody's; False where somebody else wrote meanwhile, and all is to be looked at anew."""
        catalogue = self._parts.policies().catalogue
        found = await self._counted(catalogue, people)
        if found is None:
            return False
        changes = []
        for person, sums in zip(people, found, strict=True):
            for row, became in zip(person.rows, sums.became, strict=True):
                fault = _FAULTS.get(became)
                outcomes.setdefault(row.number, _refused(fault) if fault else RowOutcome(_RESULTS[became]))
            if change := sums.update_of(person.document):
                was = {name: person.document[name] for name in ("_id", "version")}
                more = {"updated_at": self._parts.now(), "version": was["version"] + 1}
                changes.append((was, {**change, "$set": {**change["$set"], **more}}))
        if await self._parts.customers.update_many(changes) != len(changes):
            return False
        await self._close(found)
        return True

    # ---- what differs

    def _paths(self, row: R) -> list[str]:
        paths = [f"{self.name}.{field}" for field in ("id", *row.values)]
        return paths + [f"profile.{each}" for each in self.sums]

    def _id(self, row: R) -> str:
        digest = self._parts.vault.digest(self.name, self._importing.source or NO_SOURCE, row.number_of)
        return self.prefix + base64.b32encode(digest).decode().rstrip("=").lower()

    def _token(self, key: DataKey, row: R, *told: Any) -> str:
        """A name for all that a row says, under its customer's key: it tells nothing once that is gone."""
        written = msgspec.json.encode([self.name, row.number_of, row.values, row.at, *told], order="deterministic")
        return key.pseudonym(written.decode())

    def _where(self, row: R) -> tuple[str, int]:
        return self._importing.file, row.number

    @abstractmethod
    async def _held(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Whose those of these orders or tickets are that are there."""

    @abstractmethod
    async def _counted(self, catalogue: Catalogue, people: Sequence[_Person[R]]) -> Sequence[AnySums] | None:
        """Write the orders or tickets, and give what profiles are to count; None to begin anew."""

    @abstractmethod
    async def _close(self, found: Sequence[AnySums]) -> None:
        """Profiles count them."""


class OrderImportWriter(_CountedWriter[OrderRow]):
    """Writes orders as one caller may; a `RowWriter`."""

    name = "order"
    prefix = "ord_"
    sums = _ORDER_SUMS

    def __init__(self, parts: Parts, access: Access, importing: Importing) -> None:
        super().__init__(parts, access, importing)
        self._adder = OrderAdder(parts.database)

    async def _held(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._adder.owners(ids)

    async def _counted(self, catalogue: Catalogue, people: Sequence[_Person[OrderRow]]) -> Sequence[AnySums] | None:
        for person in people:
            person.rows.sort(key=lambda row: (row.values["placed_at"], row.number))
        tellings = [
            Telling(each.document, each.key, [self._step(each.key, row) for row in each.rows]) for each in people
        ]
        return await self._adder.write_many(catalogue, tellings)

    def _step(self, key: DataKey, row: OrderRow) -> OrderStep:
        return OrderStep(
            token=self._token(key, row, row.refunded),
            order_id=self._id(row),
            effect=OrderEffect.STATED,
            at=row.at or row.values["placed_at"],
            values=row.values,
            amount=row.refunded,
            stated_in=self._where(row),
            dated=row.at is not None,
        )

    async def _close(self, found: Sequence[AnySums]) -> None:
        await self._adder.close(*(each for each in found if isinstance(each, Sums)))


class TicketImportWriter(_CountedWriter[TicketRow]):
    """Writes tickets as one caller may; a `RowWriter`."""

    name = "ticket"
    prefix = "tic_"
    sums = ("ticket_count",)

    def __init__(self, parts: Parts, access: Access, importing: Importing) -> None:
        super().__init__(parts, access, importing)
        self._adder = TicketAdder(parts.database)

    async def _held(self, ids: Sequence[str]) -> Mapping[str, str]:
        return await self._adder.owners(ids)

    async def _counted(self, catalogue: Catalogue, people: Sequence[_Person[TicketRow]]) -> Sequence[AnySums] | None:
        for person in people:
            person.rows.sort(key=lambda row: (row.values["opened_at"], row.number))
        tellings = [
            TicketTelling(each.document, each.key, [self._step(each.key, row) for row in each.rows])
            for each in people
        ]
        return await self._adder.write_many(catalogue, tellings)

    def _step(self, key: DataKey, row: TicketRow) -> TicketStep:
        return TicketStep(self._token(key, row), self._id(row), row.at, row.values, self._where(row))

    async def _close(self, found: Sequence[AnySums]) -> None:
        await self._adder.close(*(each for each in found if isinstance(each, TicketSums)))


def _refused(fault: Fault) -> RowOutcome:
    return RowOutcome(Result.REJECTED, fault)
