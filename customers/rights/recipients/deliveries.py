"""The collections `recipient_deliveries` and `recipient_notices`: who is told what, and that they were.

    recipient_deliveries: {_id, v, recipient, kind, state, at, give_up_at, fields, key, certificate, customer_id, version,
                           sealed, told_at, receipt: {at, status, attempt, entry}, keep_until}
    recipient_notices: {_id, v, leaf, certificate, at, state}

Whom a delivery is about is sealed: of a correction under the person's key, of an erasure under a key of its own (a
notice's), which is destroyed as soon as everybody has been told or given up on. One who can write here can have somebody
not told, or told again; the access log has what was disclosed. One who can read here sees that something of a customer
was corrected, and when anybody at all was erased. Fields may not be reordered in meaning or reused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from customers.rights.recipients.model import Delivery, NoticeKind, Receipt, State
from customers.rights.requests.clocks import kept_until

DELIVERIES: Final = "recipient_deliveries"
NOTICES: Final = "recipient_notices"
GROUP: Final = "notice"
VERSION: Final = 1
_DUPLICATE: Final = 11_000
_AT_ONCE: Final = 500
# A notice whose erasure goes on, and one whose erasure is finished.
_HELD: Final = "held"
_OPEN: Final = "open"


class DeliveryStore:
    """Keeps deliveries and notices. Each change is of one document."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._deliveries = database[DELIVERIES]
        self._notices = database[NOTICES]

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        for name in ("customer_id", "certificate", "key", "keep_until"):
            await self._deliveries.create_index(name)
        await self._deliveries.create_index([("state", 1), ("give_up_at", 1)])
        await self._deliveries.create_index([("recipient", 1), ("at", 1)])
        await self._notices.create_index("state")

    # ---- deliveries

    async def add(self, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries; those that are there stay as they are."""
        if not deliveries:
            return
        try:
            await self._deliveries.insert_many([_document(each) for each in deliveries], ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    async def get(self, delivery_id: str) -> Delivery | None:
        """The delivery of this id."""
        found = await self._deliveries.find_one({"_id": delivery_id})
        return None if found is None else _read(found)

    async def told(self, delivery_id: str, receipt: Receipt, now: datetime) -> bool:
        """The recipient took it: kept once, however often they did. False where that was known."""
        change = {
            "$set": {
                "state": State.TOLD.value,
                "told_at": receipt.at,
                "receipt": asdict(receipt),
                "keep_until": kept_until(now),
            },
            "$unset": {"sealed": ""},
        }
        wanted = {"_id": delivery_id, "state": State.WAITING.value}
        return bool((await self._deliveries.update_one(wanted, change)).matched_count)

    async def end(self, delivery_id: str, state: State, now: datetime) -> None:
        """Nobody is told any more; what was sealed goes."""
        change = {"$set": {"state": state.value, "keep_until": kept_until(now)}, "$unset": {"sealed": ""}}
        await self._deliveries.update_one({"_id": delivery_id, "state": State.WAITING.value}, change)

    async def of_certificate(self, certificate: str) -> list[Delivery]:
        """What an erasure has led to, by recipient."""
        found = await self._deliveries.find({"certificate": certificate}).to_list(None)
        return sorted(map(_read, found), key=lambda each: each.recipient)

    async def of_customers(self, customer_ids: Sequence[str]) -> list[Delivery]:
        """What recipients were told of these customers, the latest first."""
        found = await self._deliveries.find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)
        return sorted(map(_read, found), key=lambda each: each.at, reverse=True)

    async def listed(self, recipient: str | None, state: State | None, limit: int) -> list[Delivery]:
        """Deliveries, the latest first."""
        wanted: dict[str, Any] = {} if state is None else {"state": state.value}
        if recipient is not None:
            wanted["recipient"] = recipient
        found = await self._deliveries.find(wanted).sort("at", -1).limit(limit).to_list(None)
        return [_read(each) for each in found]

    async def waiting_of(self, key: str) -> list[Delivery]:
        """The deliveries sealed under this key that nobody has taken yet."""
        found = await self._deliveries.find({"key": key, "state": State.WAITING.value}).to_list(None)
        return [_read(each) for each in found]

    async def overdue(self, now: datetime) -> list[str]:
        """The ids of deliveries that are to be given up."""
        wanted = {"state": State.WAITING.value, "give_up_at": {"$lte": now}}
        found = await self._deliveries.find(wanted, {"_id": 1}).limit(_AT_ONCE).to_list(None)
        return [each["_id"] for each in found]

    async def forget(self, customer_ids: Sequence[str], now: datetime) -> None:
        """These customers are erased: what was told of them stays as proof, and names them no more."""
        theirs = {"customer_id": {"$in": list(customer_ids)}}
        void = {"$set": {"state": State.VOID.value, "keep_until": kept_until(now)}, "$unset": {"sealed": ""}}
        await self._deliveries.update_many({**theirs, "state": State.WAITING.value}, void)
        await self._deliveries.update_many(theirs, {"$set": {"customer_id": None, "key": None, "version": None}})

    async def prune(self, now: datetime) -> None:
        """Remove what was kept as proof until now."""
        await self._deliveries.delete_many({"keep_until": {"$lte": now}})

    # ---- notices: the keys of what is told of erasures

    async def hold(self, key: str, leaf: int, certificate: str, now: datetime) -> None:
        """Note a key that was made for an erasure that goes on; its deliveries are there."""
        document = {"_id": key, "v": VERSION, "leaf": leaf, "certificate": certificate, "at": now, "state": _HELD}
        try:
            await self._notices.insert_one(document)
        except DuplicateKeyError:
            return

    async def release(self, key: str) -> None:
        """The erasure is finished: whoever is to be told can be."""
        await self._notices.update_one({"_id": key}, {"$set": {"state": _OPEN}, "$unset": {"leaf": ""}})

    async def held(self) -> list[tuple[str, int]]:
        """The keys, and whose leaf it was, of erasures that are not known to be finished."""
        found = await self._notices.find({"state": _HELD}, {"leaf": 1}).to_list(None)
        return [(each["_id"], each["leaf"]) for each in found]

    async def released(self) -> list[str]:
        """The keys of finished erasures, that are not destroyed yet."""
        found = await self._notices.find({"state": _OPEN}, {"_id": 1}).limit(_AT_ONCE).to_list(None)
        return [each["_id"] for each in found]

    async def drop(self, keys: Sequence[str]) -> None:
        """These keys are destroyed."""
        await self._notices.delete_many({"_id": {"$in": list(keys)}})

    async def remove(self, key: str) -> None:
        """Nothing is to be told under this key: the erasure it was for has not happened."""
        await self._deliveries.delete_many({"key": key})


def _document(delivery: Delivery) -> dict[str, Any]:
    kept = {name: getattr(delivery, name) for name in Delivery.__slots__}
    for name in ("id", "sealed", "told_at", "receipt"):
        del kept[name]
    return {
        "_id": delivery.id,
        "v": VERSION,
        **kept,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "fields": list(delivery.fields),
        **({} if delivery.sealed is None else {"sealed": {GROUP: delivery.sealed}}),
        **({} if delivery.state is State.WAITING else {"keep_until": kept_until(delivery.at)}),
    }


def _read(found: Mapping[str, Any]) -> Delivery:
    receipt = found.get("receipt")
    sealed = found.get("sealed", {}).get(GROUP)
    names = ("recipient", "at", "give_up_at", "key", "certificate", "customer_id", "version")
    return Delivery(
        id=found["_id"],
        kind=NoticeKind(found["kind"]),
        state=State(found["state"]),
        fields=tuple(found["fields"]),
        sealed=None if sealed is None else bytes(sealed),
        told_at=found.get("told_at"),
        receipt=None if receipt is None else Receipt(**receipt),
        **{name: found[name] for name in names},
    )
