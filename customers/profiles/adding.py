"""Adds orders to customers there are, each once, and keeps a profile's sums in step with them.

How that is done, wherever a writer dies, is told in `customers/profiles/counted.py`. Two kinds of sources speak of
orders: events, each of which says one thing once, and files, which say how an order stands and may be imported again.

What an event says of an order of a profile that was merged into this one changes that order where it is, under its own
key, and this profile's sum (`joined.ADJUSTED`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.profiles.counted import STEPS, Became, CountedStore, Entry, laid_over, uncounted
from customers.profiles.joined import ADJUSTED, OWN, PARTS, for_joined, own_count
from customers.profiles.sealing import laid_out
from customers.profiles.store import Collection, Document, bucket_of
from policies import Catalogue
from vault import DataKey

COUNTED: Final = "orders_counted"
_MOMENT: Final = "placed_at"


class OrderEffect(StrEnum):
    """What is said of an order."""

    PLACED = "placed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    # How it stands, by a file: all that is known of it, what was refunded too.
    STATED = "stated"


@dataclass(frozen=True, slots=True)
class OrderStep:
    """One thing said of one order.

    Attributes:
        token: A name of its own: what is said again has the same.
        order_id: The order's id.
        effect: What it is.
        at: When it happened.
        values: By the names of the catalogue's `order` fields, without the id, where it was placed or changed.
        amount: What was refunded, in minor units; None for all there is left, or where a file does not say.
        stated_in: The file that states it, and in which row.
        dated: Whether the file says of when it is; where it does not, the file that comes last counts.
    """

    token: str
    order_id: str
    effect: OrderEffect
    at: datetime
    values: Mapping[str, Any] = field(default_factory=dict)
    amount: int | None = None
    stated_in: tuple[str, int] | None = None
    dated: bool = True


@dataclass(slots=True)
class Sums:
    """What the steps of one attempt change of a profile.

    Attributes:
        orders: How many orders more there are.
        total: What more was paid, in minor units.
        currency: The currency of that, where the profile has none yet.
        placed: When the new orders were placed.
        counted: The tokens that the profile is to hold, each with its order.
        foreign: How many orders are in another currency than the profile's sum, which they leave alone.
        unknown: How many steps are about orders that nobody placed, or somebody else.
        became: What became of each step, in their order.
        moved: Whether an order that was counted before turns out to have been placed at another time.
        ends: When the first and last order were placed, the profile's own and with its parts', where one was moved.
        entries: The orders.
        parts: By profiles that are part of this one: what more was paid for orders of theirs, and how much of that
            counts here.
        joined: Whether other profiles are part of this one.
    """

    orders: int = 0
    total: int = 0
    currency: str | None = None
    placed: list[datetime] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)
    foreign: int = 0
    unknown: int = 0
    became: list[Became] = field(default_factory=list)
    moved: bool = False
    ends: tuple[tuple[datetime, datetime], tuple[datetime, datetime]] | None = None
    entries: list[Entry] = field(default_factory=list)
    parts: dict[str, tuple[int, int]] = field(default_factory=dict)
    joined: bool = False

    def update(self) -> dict[str, dict[str, Any]]:
        """The change of the profile's document; empty where nothing counts."""
        if not self.counted:
            return {}
        change: dict[str, dict[str, Any]] = {
            "$set": {COUNTED: [list(each) for each in self.counted]},
            "$inc": {"order_count": self.orders, "total_spent": self.total},
        }
        if self.parts:
            change["$inc"] |= {
                "total_spent": self.total + sum(counted for _, counted in self.parts.values()),
                f"{OWN}.total_spent": self.total,
            }
            for part, (total, counted) in self.parts.items():
                change["$inc"] |= {f"{ADJUSTED}.{part}.total": total, f"{ADJUSTED}.{part}.counted": counted}
        if self.currency is not None:
            change["$set"]["currency"] = self.currency
        if self.ends is not None:
            change["$set"]["first_order_at"], change["$set"]["last_order_at"] = self.ends[1]
            if self.joined:
                change["$set"][f"{OWN}.first_order_at"], change["$set"][f"{OWN}.last_order_at"] = self.ends[0]
        elif self.placed:
            change["$min"] = {"first_order_at": min(self.placed)}
            change["$max"] = {"last_order_at": max(self.placed)}
        return change

    def update_of(self, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """As `update`, for a profile of which others may be part."""
        return for_joined(document, self.update())


@dataclass(frozen=True, slots=True)
class Telling:
    """Everything that is said of one customer's orders at once; `document` is the profile as it was read."""

    document: Document
    key: DataKey
    steps: Sequence[OrderStep]
    parts: Mapping[str, DataKey] = field(default_factory=dict)
    """The keys of what was merged into the profile, where orders of theirs may be changed."""


class OrderAdder:
    """Writes orders; the profile's own document is its caller's to write."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._store = CountedStore(database, Collection.ORDERS)

    async def write(
        self,
        document: Document,
        key: DataKey,
        catalogue: Catalogue,
        steps: Sequence[OrderStep],
        *,
        parts: Mapping[str, DataKey] | None = None,
    ) -> Sums | None:
        """Write the orders that these steps are about; give what the profile must count, or None to begin anew.

        Once the profile is written with `Sums.update`, and only then, `close` is called.

        Args:
            document: The profile as it was read: its sums, its currency, the tokens it counts.
            key: Its customer's.
            catalogue: The fields there are.
            steps: In the order they happened.
            parts: The keys of what was merged into the profile.
        """
        (sums,) = await self._planned(catalogue, [Telling(document, key, steps, parts or {})])
        return sums if await self._store.write(sums.entries) else None

    async def write_many(self, catalogue: Catalogue, tellings: Sequence[Telling]) -> list[Sums] | None:
        """As `write`, for many customers with few commands; where any is to begin anew, all are."""
        found = await self._planned(catalogue, tellings)
        entries = {entry.id: entry for sums in found for entry in sums.entries}
        return found if await self._store.write_many(list(entries.values())) else None

    async def close(self, *sums: Sums) -> None:
        """Close the steps that profiles count now; what cannot be closed is closed by the next writer."""
        entries = [entry for each in sums for entry in each.entries if entry.close(dict(each.counted))]
        await self._store.write_many(entries)

    async def owners(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Whose those of these orders are that are there."""
        return {name: entry.document["customer_id"] for name, entry in (await self._store.find(order_ids)).items()}

    async def _planned(self, catalogue: Catalogue, tellings: Sequence[Telling]) -> list[Sums]:
        wanted = {step.order_id for telling in tellings for step in telling.steps}
        wanted |= {order_id for telling in tellings for order_id in _held(telling).values()}
        entries = await self._store.find(wanted)
        found = []
        for telling in tellings:
            plan = _Plan(catalogue, telling, entries)
            found.append(plan.made())
            if plan.sums.moved:
                plan.sums.ends = await self._ends(telling.document, plan.sums.entries)
        return found

    async def _ends(
        self, document: Document, entries: Sequence[Entry]
    ) -> tuple[tuple[datetime, datetime], tuple[datetime, datetime]] | None:
        """When the first and the last order were placed, looked up anew."""
        own: str = document["_id"]
        moments = await self._store.moments([own, *document.get(PARTS, ())], _MOMENT)
        moments[own] |= {
            each.id: each.document.get(_MOMENT) for each in entries if each.document["customer_id"] == own
        }
        mine = [each for each in moments[own].values() if each is not None]
        every = [each for held in moments.values() for each in held.values() if each is not None]
        return ((min(mine), max(mine)), (min(every), max(every))) if mine else None


def _held(telling: Telling) -> dict[str, str]:
    return dict(telling.document.get(COUNTED, ()))


class _Plan:
    """Works out what is to be written of one customer's orders; `entries` is shared by everybody's."""

    def __init__(self, catalogue: Catalogue, telling: Telling, entries: dict[str, Entry]) -> None:
        self.sums = Sums(joined=OWN in telling.document)
        self._catalogue = catalogue
        self._fields = catalogue.object("order")
        self._telling = telling
        self._profile, self._key = telling.document, telling.key
        self._entries = entries
        self._touched: dict[str, Entry] = {}

    def made(self) -> Sums:
        """What the profile is to count once the orders are written."""
        held = _held(self._telling)
        ids = {*held.values(), *(step.order_id for step in self._telling.steps)}
        there = [self._entries[each] for each in sorted(ids & self._entries.keys())]
        for entry in there:
            if entry.id in held.values() and entry.close(held):
                self._touched[entry.id] = entry
        for entry, step in list(uncounted(there, self._key.customer_id, held)):
            self._count(entry, step)
        for entry in there:
            for step in entry.steps:
                if step["open"] and step.get("within") == self._profile["_id"] and step["by"] not in held:
                    self._count_part(entry, step)
        for step in self._telling.steps:
            self.sums.became.append(self._say(step))
        self.sums.unknown = sum(each in (Became.UNKNOWN, Became.TAKEN) for each in self.sums.became)
        self.sums.entries = list(self._touched.values())
        return self.sums

    def _say(self, step: OrderStep) -> Became:
        entry = self._entries.get(step.order_id)
        if entry is None:
            if step.effect not in (OrderEffect.PLACED, OrderEffect.STATED):
                return Became.UNKNOWN
            self._add(step)
            return Became.ADDED
        if entry.document["customer_id"] != self._key.customer_id:
            if (key := self._key_of_part(entry)) is not None and step.effect is not OrderEffect.STATED:
                return self._say_of_part(step, entry, key)
            part = entry.document["customer_id"] in self._profile.get(PARTS, ())
            return Became.UNCHANGED if part and entry.document.get("stated_in") is not None else Became.TAKEN
        if step.effect is OrderEffect.STATED:
            return self._state(step, entry)
        if entry.known(step.token) is not None:
            return Became.UNCHANGED
        counts = self._counts(entry.document)
        difference, setting = self._changed(step, entry, self._key)
        entry.set({**setting, "told_at": max(step.at, entry.document.get("told_at", step.at))})
        self._note(entry, step.token, 0, difference if counts else 0)
        return Became.CHANGED

    def _key_of_part(self, entry: Entry) -> DataKey | None:
        owner = entry.document["customer_id"]
        return self._telling.parts.get(owner) if owner in self._profile.get(PARTS, ()) else None

    def _say_of_part(self, step: OrderStep, entry: Entry, key: DataKey) -> Became:
        """Change an order of a profile that is part of this one, where it is."""
        if entry.known(step.token) is not None:
            return Became.UNCHANGED
        counts = self._counts(entry.document)
        difference, setting = self._changed(step, entry, key)
        entry.set({**setting, "told_at": max(step.at, entry.document.get("told_at", step.at))})
        said = {
            "by": step.token, "orders": 0, "total": difference, "open": True,
            "within": self._profile["_id"], "counted": difference if counts else 0,
        }  # fmt: skip
        entry.say(said)
        self._count_part(entry, said)
        return Became.CHANGED

    def _count_part(self, entry: Entry, step: Mapping[str, Any]) -> None:
        part = entry.document["customer_id"]
        total, counted = self.sums.parts.get(part, (0, 0))
        self.sums.parts[part] = total + step["total"], counted + step["counted"]
        self._touched[entry.id] = entry
        self.sums.counted.append((step["by"], entry.id))

    def _add(self, step: OrderStep) -> None:
        total = step.values.get("total", 0) - (step.amount or 0 if step.effect is OrderEffect.STATED else 0)
        ordinal = own_count(self._profile, "order_count") + self.sums.orders + 1
        document = {
            "_id": step.order_id,
            "customer_id": self._key.customer_id,
            "ordinal": ordinal,
            "bucket": bucket_of(self._key.customer_id, ordinal),
            "told_at": step.at,
            STEPS: [],
            **laid_out(self._fields, Collection.ORDERS, step.order_id, self._key, step.values),
        }
        entry = self._entries[step.order_id] = Entry(document, new=True)
        if step.effect is OrderEffect.STATED:
            entry.set(_stated(step))
        self._note(entry, step.token, 1, total if self._counts(step.values) else 0)

    def _changed(self, step: OrderStep, entry: Entry, key: DataKey) -> tuple[int, dict[str, Any]]:
        """What more was paid, and what to set; an older word than the last one changes nothing but the sums."""
        order = entry.document
        left = order.get("total", 0) - order.get("refunded", 0)
        match step.effect:
            case OrderEffect.REFUNDED:
                amount = left if step.amount is None else min(step.amount, left)
                status = "refunded" if amount == left else "partly refunded"
                return -amount, {"refunded": order.get("refunded", 0) + amount, "status": status}
            case OrderEffect.CANCELLED:
                return -left, {"refunded": order.get("total", 0), "status": "cancelled"}
            case OrderEffect.PLACED if step.at >= order.get("told_at", step.at) and not order.get("refunded"):
                values = {name: value for name, value in step.values.items() if name != _MOMENT}
                more = values.get("total", order.get("total", 0)) - order.get("total", 0)
                return more, laid_over(self._fields, Collection.ORDERS, key, order, values)
        return 0, {}

    def _state(self, step: OrderStep, entry: Entry) -> Became:
        """Have an order stand as a file says, if that is the latest word; the file may say it again."""
        order = entry.document
        if order.get("stated") == step.token:  # it is only counted now where its writer died
            new = any(each["orders"] and each["open"] for each in entry.steps)
            return Became.ADDED if new else Became.UNCHANGED
        before, now = order.get("stated_in"), step.stated_in
        if before and now and before[0] == now[0] and before[1] != now[1]:
            return Became.REPEATED
        told_at = order.get("told_at", step.at)
        if step.at < told_at and (step.dated or told_at != order.get("stated_at")):
            return Became.UNCHANGED
        contributed = order.get("total_before", 0) + sum(each.get("total", 0) for each in entry.steps)
        setting = laid_over(self._fields, Collection.ORDERS, self._key, order, step.values)
        entry.set({**setting, **_stated(step), "told_at": step.at})
        self._touched[entry.id] = entry
        left = entry.document.get("total", 0) - entry.document.get("refunded", 0)
        difference = (left if self._counts(entry.document) else 0) - contributed
        if not setting and not difference:
            return Became.UNCHANGED
        again = entry.known(step.token) is not None
        token = f"{step.token}+{order.get('revision', 0)}" if again else step.token
        self._note(entry, token, 0, difference, moved=_MOMENT in setting)
        return Became.CHANGED

    def _note(self, entry: Entry, token: str, orders: int, total: int, *, moved: bool = False) -> None:
        step = {"by": token, "orders": orders, "total": total, "open": True, **({"moved": True} if moved else {})}
        entry.say(step)
        self._count(entry, step)

    def _count(self, entry: Entry, step: Mapping[str, Any]) -> None:
        """Have the profile count an open step."""
        sums, order = self.sums, entry.document
        self._touched[entry.id] = entry
        if step["orders"]:
            entry.place(self._key.customer_id, own_count(self._profile, "order_count") + sums.orders + 1)
            sums.placed += [order[_MOMENT]] if _MOMENT in order else []
            if self._profile.get("currency") is None and sums.currency is None:
                sums.currency = order.get("currency")
        sums.orders += step["orders"]
        sums.total += step["total"]
        sums.moved = sums.moved or bool(step.get("moved"))
        sums.counted.append((step["by"], entry.id))

    def _counts(self, order: Mapping[str, Any]) -> bool:
        """Whether what an order comes to goes into the profile's sum: another currency does not."""
        mine, its = self._profile.get("currency") or self.sums.currency, order.get("currency")
        if mine is None or its is None or mine == its:
            return True
        self.sums.foreign += 1
        return False


def _stated(step: OrderStep) -> dict[str, Any]:
    """What remembers what a file said."""
    told: dict[str, Any] = {"stated": step.token, "stated_at": step.at}
    if step.stated_in is not None:
        told["stated_in"] = list(step.stated_in)
    if step.amount is not None:
        told["refunded"] = step.amount
    return told
