"""Adds orders to customers there are, each once, and keeps a profile's sums in step with them.

An order and its profile are two documents, which cannot be written at once. So each thing said of an order has a token
of its own, and stands in the order with what it changes of the sums:

1. the order is written, with the new step open;
2. the profile is written, if nobody else has meanwhile, with its sums changed and the tokens of the steps they count;
3. the steps are closed.

Whoever finds an open step sees in the profile whether the sums count it. Before a profile forgets the tokens it holds,
their steps are closed. So a step counts once, wherever the writer dies and whoever says the same again.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.profiles.joined import own_count
from customers.profiles.sealing import laid_out
from customers.profiles.store import Collection, Document, bucket_of
from policies import Catalogue
from vault import DataKey

COUNTED: Final = "orders_counted"
_STEPS: Final = "steps"
_MOST_STEPS: Final = 100


class OrderEffect(StrEnum):
    """What is said of an order."""

    PLACED = "placed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class OrderStep:
    """One thing said of one order.

    Attributes:
        token: A name of its own: what is said again has the same.
        order_id: The order's id.
        effect: What it is.
        at: When it happened.
        values: By the names of the catalogue's `order` fields, without the id, where it was placed or changed.
        amount: What was refunded, in minor units; None for all there is left.
    """

    token: str
    order_id: str
    effect: OrderEffect
    at: datetime
    values: Mapping[str, Any] = field(default_factory=dict)
    amount: int | None = None


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
    """

    orders: int = 0
    total: int = 0
    currency: str | None = None
    placed: list[datetime] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)
    foreign: int = 0
    unknown: int = 0

    def update(self) -> dict[str, dict[str, Any]]:
        """The change of the profile's document; empty where nothing counts."""
        if not self.counted:
            return {}
        change: dict[str, dict[str, Any]] = {
            "$set": {COUNTED: [list(each) for each in self.counted]},
            "$inc": {"order_count": self.orders, "total_spent": self.total},
        }
        if self.currency is not None:
            change["$set"]["currency"] = self.currency
        if self.placed:
            change["$min"] = {"first_order_at": min(self.placed)}
            change["$max"] = {"last_order_at": max(self.placed)}
        return change


class _LostRaceError(Exception):
    """Somebody else wrote the order meanwhile; the attempt begins anew."""


class OrderAdder:
    """Writes orders; the profile's own document is its caller's to write."""

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._orders = database[Collection.ORDERS]

    async def write(
        self, document: Document, key: DataKey, catalogue: Catalogue, steps: Sequence[OrderStep]
    ) -> Sums | None:
        """Write the orders that these steps are about; give what the profile must count, or None to begin anew.

        Once the profile is written with `Sums.update`, and only then, `close` is called.

        Args:
            document: The profile as it was read: its sums, its currency, the tokens it counts.
            key: Its customer's.
            catalogue: The fields there are.
            steps: In the order they happened.
        """
        held: dict[str, str] = dict(document.get(COUNTED, ()))
        ids = {step.order_id for step in steps} | set(held.values())
        found = {each["_id"]: each for each in await self._orders.find({"_id": {"$in": sorted(ids)}}).to_list(None)}
        sums = Sums()
        try:
            for order_id in set(held.values()) & found.keys():
                found[order_id] = await self._close(found[order_id], held)
            for step in steps:
                order = found.get(step.order_id)
                if order is not None and order["customer_id"] != key.customer_id:
                    sums.unknown += 1
                    continue
                written = await self._step(document, key, catalogue, step, order, sums)
                if written is not None:
                    found[step.order_id] = written
        except _LostRaceError:
            return None
        return sums

    async def close(self, sums: Sums) -> None:
        """Close the steps that the profile counts now; what cannot be closed is closed by the next writer."""
        tokens = dict(sums.counted)
        if not tokens:
            return
        for order in await self._orders.find({"_id": {"$in": sorted(set(tokens.values()))}}).to_list(None):
            with contextlib.suppress(_LostRaceError):
                await self._close(order, tokens)

    async def _close(self, order: Document, counted: Mapping[str, str]) -> Document:
        steps = [{**each, "open": each["open"] and each["by"] not in counted} for each in order[_STEPS]]
        return order if steps == order[_STEPS] else await self._replace(order, {"$set": {_STEPS: steps}})

    async def _step(
        self,
        profile: Document,
        key: DataKey,
        catalogue: Catalogue,
        step: OrderStep,
        order: Document | None,
        sums: Sums,
    ) -> Document | None:
        ordinal = own_count(profile, "order_count") + sums.orders + 1
        if order is None:
            if step.effect is not OrderEffect.PLACED:
                sums.unknown += 1
                return None
            order = _placed(catalogue, key, step, ordinal, _counts(profile, step.values, sums))
            try:
                await self._orders.insert_one(order)
            except DuplicateKeyError:
                raise _LostRaceError from None
        elif (known := _known(order, step.token)) is None:
            change = _changed(catalogue, key, step, order, counts=_counts(profile, order, sums))
            order = await self._replace(order, change)
        elif not known["open"]:
            return None
        recorded = _known(order, step.token)
        if recorded is None:
            return None
        if recorded["orders"] and order["ordinal"] != ordinal:
            place = {"ordinal": ordinal, "bucket": bucket_of(key.customer_id, ordinal)}
            order = await self._replace(order, {"$set": place})
        sums.orders += recorded["orders"]
        sums.total += recorded["total"]
        if recorded["orders"]:
            sums.placed += [order["placed_at"]] if "placed_at" in order else []
            if profile.get("currency") is None and sums.currency is None:
                sums.currency = order.get("currency")
        sums.counted.append((step.token, step.order_id))
        return order

    async def _replace(self, order: Document, change: Mapping[str, Mapping[str, Any]]) -> Document:
        """Change an order that nobody else has changed since it was read."""
        changed = {**change, "$set": {**change["$set"], "revision": order["revision"] + 1}}
        wanted = {"_id": order["_id"], "revision": order["revision"]}
        if not (await self._orders.update_one(wanted, changed)).matched_count:
            raise _LostRaceError
        return {**order, **changed["$set"]}


def _placed(catalogue: Catalogue, key: DataKey, step: OrderStep, ordinal: int, counts: bool) -> Document:  # noqa: FBT001
    total = step.values.get("total", 0)
    return {
        "_id": step.order_id,
        "customer_id": key.customer_id,
        "ordinal": ordinal,
        "bucket": bucket_of(key.customer_id, ordinal),
        "revision": 1,
        "told_at": step.at,
        _STEPS: [{"by": step.token, "orders": 1, "total": total if counts else 0, "open": True}],
        **laid_out(catalogue.object("order"), Collection.ORDERS, step.order_id, key, step.values),
    }


def _changed(
    catalogue: Catalogue, key: DataKey, step: OrderStep, order: Document, *, counts: bool
) -> dict[str, dict[str, Any]]:
    """What the step changes of an order that is there; an older word than the last one changes nothing but the sums."""
    left = order.get("total", 0) - order.get("refunded", 0)
    setting: dict[str, Any] = {}
    difference = 0
    match step.effect:
        case OrderEffect.REFUNDED:
            amount = left if step.amount is None else min(step.amount, left)
            difference = -amount
            setting["refunded"] = order.get("refunded", 0) + amount
            setting["status"] = "refunded" if amount == left else "partly refunded"
        case OrderEffect.CANCELLED:
            difference = -left
            setting |= {"refunded": order.get("total", 0), "status": "cancelled"}
        case OrderEffect.PLACED if step.at >= order.get("told_at", step.at) and not order.get("refunded"):
            fields = {name: value for name, value in step.values.items() if name != "placed_at"}
            difference = fields.get("total", order.get("total", 0)) - order.get("total", 0)
            laid = laid_out(catalogue.object("order"), Collection.ORDERS, step.order_id, key, fields)
            sealed = laid.pop("sealed")
            setting |= {**laid, **{f"sealed.{group}": envelope for group, envelope in sealed.items()}}
    recorded = {"by": step.token, "orders": 0, "total": difference if counts else 0, "open": True}
    kept = order.get(_STEPS, ())[-_MOST_STEPS:]
    return {"$set": {**setting, "told_at": max(step.at, order.get("told_at", step.at)), _STEPS: [*kept, recorded]}}


def _counts(profile: Mapping[str, Any], order: Mapping[str, Any], sums: Sums) -> bool:
    """Whether what an order comes to goes into the profile's sum: another currency does not."""
    mine, its = profile.get("currency") or sums.currency, order.get("currency")
    if mine is None or its is None or mine == its:
        return True
    sums.foreign += 1
    return False


def _known(order: Mapping[str, Any], token: str) -> Mapping[str, Any] | None:
    return next((each for each in order.get(_STEPS, ()) if each["by"] == token), None)
