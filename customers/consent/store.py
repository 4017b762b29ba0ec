"""The consent ledger: every decision a customer made, in the order they were recorded; nothing in it is changed.

One who can write here can invent or remove decisions; what applies to a read is the profile document's `rights`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from customers.consent.model import ConsentDecision

_DUPLICATE = 11_000


class ConsentStore:
    """Appends to the ledger and removes a whole customer's part of it."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._ledger = database["consent_ledger"]

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._ledger.create_index([("customer_id", 1), ("at", 1)])

    async def append(self, decisions: Iterable[tuple[str, ConsentDecision]]) -> None:
        """Append decisions, each with its customer's id."""
        entries = [{"customer_id": customer_id, **_entry(decision)} for customer_id, decision in decisions]
        for start in range(0, len(entries), 100):
            await self._ledger.insert_many(entries[start : start + 100])

    async def append_once(self, decisions: Iterable[tuple[str, str, ConsentDecision]]) -> None:
        """Append decisions, each with a name of its own and its customer's id; one that is there is left as it is."""
        entries = [
            {"_id": name, "customer_id": customer_id, **_entry(decision)} for name, customer_id, decision in decisions
        ]
        if not entries:
            return
        try:
            await self._ledger.insert_many(entries, ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    async def remove(self, customer_ids: Sequence[str]) -> None:
        """Remove every decision of these customers."""
        await self._ledger.delete_many({"customer_id": {"$in": list(customer_ids)}})


def shown(current: Sequence[Mapping[str, Any]], decision: ConsentDecision) -> list[dict[str, Any]]:
    """The list of a customer's present decisions, one for each purpose, once `decision` is among them."""
    kept = [dict(each) for each in current if each["purpose"] != decision.purpose]
    return [*kept, _entry(decision)]


def _entry(decision: ConsentDecision) -> dict[str, Any]:
    return {
        "purpose": decision.purpose,
        "state": decision.state.value,
        "at": decision.at,
        "source": decision.source,
    }
