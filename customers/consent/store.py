"""The consent ledger: every decision a customer made, in the order they were recorded; nothing in it is changed.

One who can write here can invent or remove decisions; what applies to a read is the profile document's `rights`. A proof
is sealed under the person's key in its own entry's place, so it can be removed, but neither read nor moved to another.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from customers.consent.model import Channel, ConsentDecision, ConsentState
from vault import DataKey

CONSENTS: Final = "consents"
"""The place of sealed proofs; part of every one's slot, so never renamed."""
PROOF: Final = "proof"
SCHEMA_VERSION: Final = 1

_DUPLICATE = 11_000


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry as it is kept.

    Attributes:
        id: Its name.
        customer_id: Whose; who was merged into another keeps theirs.
        decision: What was decided, without its proof.
        recorded_at: When it was written down; of old entries not known.
        sealed: The sealed proof, if there is one.
    """

    id: str
    customer_id: str
    decision: ConsentDecision
    recorded_at: datetime | None
    sealed: bytes | None

    def proof(self, key: DataKey) -> str | None:
        """The proof, if there is one.

        Raises:
            vault.EnvelopeError: It is not what was sealed in this place.
        """
        if self.sealed is None:
            return None
        return str(key.open(self.sealed, CONSENTS, self.id, PROOF, SCHEMA_VERSION)[PROOF])


class ConsentStore:
    """Appends to the ledger, reads one customer's part of it, and removes that."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._ledger = database["consent_ledger"]
        self._now = now

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._ledger.create_index([("customer_id", 1), ("at", 1)])

    async def append(
        self,
        decisions: Iterable[tuple[str, ConsentDecision]],
        keys: Mapping[str, DataKey] | None = None,
    ) -> list[str]:
        """Append decisions, each with its customer's id, and give the entries' names.

        Args:
            decisions: What was decided, by whom.
            keys: Of the customers whose decisions have a proof, which is sealed under it.
        """
        entries = [self._entry(str(ObjectId()), whose, decision, keys) for whose, decision in decisions]
        for start in range(0, len(entries), 100):
            await self._ledger.insert_many(entries[start : start + 100])
        return [each["_id"] for each in entries]

    async def append_once(
        self,
        decisions: Iterable[tuple[str, str, ConsentDecision]],
        keys: Mapping[str, DataKey] | None = None,
    ) -> None:
        """Append decisions, each with a name of its own and its customer's id; one that is there is left as it is."""
        entries = [self._entry(name, whose, decision, keys) for name, whose, decision in decisions]
        if not entries:
            return
        try:
            await self._ledger.insert_many(entries, ordered=False)
        except BulkWriteError as error:
            if any(fault["code"] != _DUPLICATE for fault in error.details["writeErrors"]):
                raise

    async def of(self, customer_ids: Sequence[str]) -> list[LedgerEntry]:
        """Every decision of these customers, the latest first."""
        found = await self._ledger.find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)
        return sorted(map(_read, found), key=lambda each: (each.decision.at, each.id), reverse=True)

    async def remove(self, customer_ids: Sequence[str]) -> None:
        """Remove every decision of these customers."""
        await self._ledger.delete_many({"customer_id": {"$in": list(customer_ids)}})

    def _entry(
        self, name: str, customer_id: str, decision: ConsentDecision, keys: Mapping[str, DataKey] | None
    ) -> dict[str, Any]:
        entry = {
            "_id": name,
            "customer_id": customer_id,
            **told(decision),
            "recorded_at": self._now(),
        }
        if decision.proof is not None:
            if keys is None:
                raise ValueError("a proof is only kept under its customer's key")
            values = {PROOF: decision.proof}
            entry["sealed"] = {PROOF: keys[customer_id].seal(CONSENTS, name, PROOF, SCHEMA_VERSION, values)}
        return entry


def shown(current: Sequence[Mapping[str, Any]], decision: ConsentDecision) -> list[dict[str, Any]]:
    """The list of a customer's present decisions, once `decision` is among them.

    One for each purpose and channel; a decision for every channel takes the place of those for single ones.
    """
    return placed(current, told(decision))


def placed(current: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The list of present decisions once this entry is among them; as `shown`."""
    channel = entry.get("channel")
    kept = [
        dict(each)
        for each in current
        if each["purpose"] != entry["purpose"] or (channel is not None and each.get("channel") != channel)
    ]
    return [*kept, dict(entry)]


def told(decision: ConsentDecision) -> dict[str, Any]:
    """A decision as it is kept in clear: all but its proof, and nothing of what it does not say."""
    entry: dict[str, Any] = {
        "purpose": decision.purpose,
        "state": decision.state.value,
        "at": decision.at,
        "source": decision.source,
    }
    for name in ("channel", "notice", "expires_at"):
        value = getattr(decision, name)
        if value is not None:
            entry[name] = value.value if isinstance(value, Channel) else value
    return entry


def decision_of(entry: Mapping[str, Any]) -> ConsentDecision:
    """The decision that an entry tells of."""
    channel = entry.get("channel")
    return ConsentDecision(
        purpose=entry["purpose"],
        state=ConsentState(entry["state"]),
        at=entry["at"],
        source=entry["source"],
        channel=None if channel is None else Channel(channel),
        notice=entry.get("notice"),
        expires_at=entry.get("expires_at"),
    )


def _read(found: Mapping[str, Any]) -> LedgerEntry:
    return LedgerEntry(
        id=str(found["_id"]),
        customer_id=found["customer_id"],
        decision=decision_of(found),
        recorded_at=found.get("recorded_at"),
        sealed=(found.get("sealed") or {}).get(PROOF),
    )


def fingerprint(text: str) -> str:
    """The SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
