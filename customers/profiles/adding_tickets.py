"""Adds tickets to customers there are, each once, and keeps a profile's count in step with them.

How that is done, wherever a writer dies, is told in `customers/profiles/counted.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.profiles.counted import STEPS, Became, CountedStore, Entry, laid_over, uncounted
from customers.profiles.joined import PARTS, for_joined, own_count
from customers.profiles.sealing import laid_out
from customers.profiles.store import Collection, Document, bucket_of
from policies import Catalogue
from vault import DataKey

COUNTED: Final = "tickets_counted"


@dataclass(frozen=True, slots=True)
class TicketStep:
    """How one ticket stands.

    Attributes:
        token: A name for exactly this: what is said again has the same.
        ticket_id: The ticket's id.
        at: Of when that is; None where the file does not say, so that the one that comes last counts.
        values: By the names of the catalogue's `ticket` fields, without the id.
        stated_in: The file that states it, and in which row.
    """

    token: str
    ticket_id: str
    at: datetime | None
    values: Mapping[str, Any]
    stated_in: tuple[str, int] | None = None


@dataclass(slots=True)
class TicketSums:
    """What the steps of one attempt change of a profile: as `adding.Sums`."""

    tickets: int = 0
    counted: list[tuple[str, str]] = field(default_factory=list)
    became: list[Became] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def update_of(self, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The change of the profile's document; empty where nothing counts."""
        if not self.counted:
            return {}
        change = {"$set": {COUNTED: [list(each) for each in self.counted]}, "$inc": {"ticket_count": self.tickets}}
        return for_joined(document, change)


@dataclass(frozen=True, slots=True)
class TicketTelling:
    """Everything that is said of one customer's tickets at once; `document` is the profile as it was read."""

    document: Document
    key: DataKey
    steps: Sequence[TicketStep]


class TicketAdder:
    """Writes tickets; the profile's own document is its caller's to write."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._store = CountedStore(database, Collection.TICKETS)

    async def write_many(self, catalogue: Catalogue, tellings: Sequence[TicketTelling]) -> list[TicketSums] | None:
        """Write the tickets that these steps are about; give what profiles must count, or None to begin anew.

        Once the profiles are written with `TicketSums.update_of`, and only then, `close` is called.
        """
        ids = {step.ticket_id for telling in tellings for step in telling.steps}
        ids |= {ticket_id for telling in tellings for ticket_id in _held(telling).values()}
        entries = await self._store.find(ids)
        found = [_planned(catalogue, telling, entries) for telling in tellings]
        touched = {entry.id: entry for sums in found for entry in sums.entries}
        return found if await self._store.write_many(list(touched.values())) else None

    async def close(self, *sums: TicketSums) -> None:
        """Close the steps that profiles count now; what cannot be closed is closed by the next writer."""
        entries = [entry for each in sums for entry in each.entries if entry.close(dict(each.counted))]
        await self._store.write_many(entries)

    async def owners(self, ticket_ids: Sequence[str]) -> dict[str, str]:
        """Whose those of these tickets are that are there."""
        return {name: entry.document["customer_id"] for name, entry in (await self._store.find(ticket_ids)).items()}


def _held(telling: TicketTelling) -> dict[str, str]:
    return dict(telling.document.get(COUNTED, ()))


def _planned(catalogue: Catalogue, telling: TicketTelling, entries: dict[str, Entry]) -> TicketSums:
    """What one profile is to count; `entries`, which is everybody's, is brought to what is to be written."""
    sums, held = TicketSums(), _held(telling)
    touched: dict[str, Entry] = {}
    before = own_count(telling.document, "ticket_count")

    def count(entry: Entry, step: Mapping[str, Any]) -> None:
        touched[entry.id] = entry
        if step["tickets"]:
            entry.place(telling.key.customer_id, before + sums.tickets + 1)
        sums.tickets += step["tickets"]
        sums.counted.append((step["by"], entry.id))

    ids = {*held.values(), *(step.ticket_id for step in telling.steps)}
    there = [entries[each] for each in sorted(ids & entries.keys())]
    for entry in there:
        if entry.id in held.values() and entry.close(held):
            touched[entry.id] = entry
    for entry, step in list(uncounted(there, telling.key.customer_id, held)):
        count(entry, step)
    for step in telling.steps:
        known = entries.get(step.ticket_id)
        if known is None:
            added = entries[step.ticket_id] = _new(catalogue, telling, step, before + sums.tickets + 1)
            opening = {"by": step.token, "tickets": 1, "open": True}
            added.say(opening)
            count(added, opening)
            sums.became.append(Became.ADDED)
        else:
            sums.became.append(_stated(catalogue, telling, step, known, touched))
    sums.entries = list(touched.values())
    return sums


def _new(catalogue: Catalogue, telling: TicketTelling, step: TicketStep, ordinal: int) -> Entry:
    fields, customer_id = catalogue.object("ticket"), telling.key.customer_id
    document = {
        "_id": step.ticket_id,
        "customer_id": customer_id,
        "ordinal": ordinal,
        "bucket": bucket_of(customer_id, ordinal),
        STEPS: [],
        **_said(step),
        **laid_out(fields, Collection.TICKETS, step.ticket_id, telling.key, step.values),
    }
    return Entry(document, new=True)


def _stated(
    catalogue: Catalogue, telling: TicketTelling, step: TicketStep, entry: Entry, touched: dict[str, Entry]
) -> Became:
    """Have a ticket stand as a file says, if that is the latest word; the file may say it again."""
    ticket = entry.document
    if ticket["customer_id"] != telling.key.customer_id:
        part = ticket["customer_id"] in telling.document.get(PARTS, ())
        return Became.UNCHANGED if part and ticket.get("stated_in") is not None else Became.TAKEN
    if ticket.get("stated") == step.token:  # it is only counted now where its writer died
        return Became.ADDED if any(each["open"] for each in entry.steps) else Became.UNCHANGED
    before, now = ticket.get("stated_in"), step.stated_in
    if before and now and before[0] == now[0] and before[1] != now[1]:
        return Became.REPEATED
    if step.at is not None and step.at < ticket.get("told_at", step.at):
        return Became.UNCHANGED
    setting = laid_over(catalogue.object("ticket"), Collection.TICKETS, telling.key, ticket, step.values)
    entry.set({**setting, **_said(step)})
    touched[entry.id] = entry
    return Became.CHANGED if setting else Became.UNCHANGED


def _said(step: TicketStep) -> dict[str, Any]:
    told: dict[str, Any] = {"stated": step.token}
    told |= {} if step.at is None else {"told_at": step.at}
    return told if step.stated_in is None else {**told, "stated_in": list(step.stated_in)}
