"""The collection `privacy_requests`: what people asked for under the law, and what became of it.

    {_id, v, kind, regime, customer_id, source, state, open, slot, place, received_at, due_at, longest, confirm_by, agent,
     verification, extension, denial, law, hold, agreed_by, agreed_to, result, closed_at, keep_until,
     steps: [{at, what, entry}], purposes, sealed: {request}, version}

Fields may not be reordered in meaning or reused. What was said in words, and who an agent is, is sealed under the
person's key, in the slot of this collection, the request, and the group `request`. Of a person who is erased neither
that nor their number stays. One who can write here can make up a request, hide one or call it answered; the access log
has what was done. One who can read here sees that a customer made a request, and of which kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.rights.requests.clocks import kept_until
from customers.rights.requests.errors import RequestChangedError, RequestHeldError
from customers.rights.requests.model import (
    OPEN,
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Regime,
    State,
    Step,
    Verification,
    What,
    settle,
)

COLLECTION: Final = "privacy_requests"
GROUP: Final = "request"
SCHEMA_VERSION: Final = 1
_AT_ONCE: Final = 500
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Queued:
    """Which requests to list; None asks for nothing.

    Attributes:
        state: In this state; those that are open where it is None.
        kind: Of this kind.
        due_before: Those that are due before.
    """

    state: State | None = None
    kind: Kind | None = None
    due_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A request with what is kept beside it.

    Attributes:
        request: The request.
        purposes: What an objection is about.
        sealed: What was said in words; None where the person is erased.
    """

    request: PrivacyRequest
    purposes: tuple[str, ...] = ()
    sealed: bytes | None = None


class RequestStore:
    """Keeps requests; knows nothing of keys, policies or callers. Each change is of one document."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._requests = database[COLLECTION]

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._requests.create_index("slot", unique=True)
        await self._requests.create_index([("open", 1), ("place", 1)])
        await self._requests.create_index([("state", 1), ("place", 1)])
        await self._requests.create_index([("customer_id", 1), ("received_at", 1)])
        await self._requests.create_index("keep_until")

    async def add(self, stored: Stored) -> bool:
        """Add a request; False where the person has one of this kind that is open."""
        try:
            await self._requests.insert_one(_document(stored))
        except DuplicateKeyError:
            return False
        return True

    async def save(self, stored: Stored) -> Stored:
        """Write a request as it is now, over the one it was read as.

        Raises:
            RequestChangedError: It has changed since.
        """
        if not await self._save(stored):
            raise RequestChangedError
        return _read(_document(stored) | {"version": stored.request.version + 1})

    async def _save(self, stored: Stored) -> bool:
        version = stored.request.version
        wanted = {"_id": stored.request.id, "version": version}
        changed = await self._requests.replace_one(wanted, _document(stored) | {"version": version + 1})
        return bool(changed.matched_count)

    async def get(self, request_id: str) -> Stored | None:
        """The request of this name."""
        found = await self._requests.find_one({"_id": request_id})
        return None if found is None else _read(found)

    async def open_of(self, customer_ids: Sequence[str], kind: Kind) -> Stored | None:
        """The open request of this kind that one of these customers has."""
        slots = [slot_of(each, kind) for each in customer_ids]
        found = await self._requests.find({"slot": {"$in": slots}}).limit(1).to_list(None)
        return _read(found[0]) if found else None

    async def of(self, customer_ids: Sequence[str], limit: int) -> list[Stored]:
        """The requests of these customers, the latest first."""
        found = await self._requests.find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)
        return [_read(each) for each in sorted(found, key=lambda each: each["received_at"], reverse=True)[:limit]]

    async def require_free(self, customer_ids: Sequence[str]) -> None:
        """Return only if no open request of these customers is under legal hold.

        Raises:
            RequestHeldError: One is.
        """
        if await self.held(customer_ids):
            raise RequestHeldError

    async def held(self, customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers of whom an open request is under legal hold."""
        wanted = {"customer_id": {"$in": list(customer_ids)}, "hold": True, "open": True}
        return {each["customer_id"] for each in await self._requests.find(wanted, {"customer_id": 1}).to_list(None)}

    async def heard(self, customer_ids: Sequence[str], since: datetime) -> set[str]:
        """Those of these customers who wait for an answer, or asked for something since then."""
        wanted = {"customer_id": {"$in": list(customer_ids)}}
        found = await self._requests.find(wanted, {"customer_id": 1, "open": 1, "received_at": 1}).to_list(None)
        recent = since.astimezone(UTC)
        return {each["customer_id"] for each in found if each["open"] or _utc(each["received_at"]) >= recent}

    async def queue(self, queued: Queued, after: str | None, limit: int) -> list[Stored]:
        """Requests by when they are due, those due first first.

        Args:
            queued: Which.
            after: The place of the one after which to go on (`place_of`).
            limit: How many.
        """
        wanted: dict[str, Any] = {"open": True} if queued.state is None else {"state": queued.state.value}
        if queued.kind is not None:
            wanted["kind"] = queued.kind.value
        place = {} if after is None else {"$gt": after}
        if queued.due_before is not None:
            place["$lt"] = _instant(queued.due_before)
        if place:
            wanted["place"] = place
        found = await self._requests.find(wanted).sort("place", 1).limit(limit).to_list(None)
        return [_read(each) for each in found]

    async def settle(self, customer_ids: Sequence[str], now: datetime) -> None:
        """Take the person out of their requests, because they are erased; what is open ends with that."""
        wanted = {"customer_id": {"$in": list(customer_ids)}}
        for _ in range(_TRIES):
            found = await self._requests.find(wanted).to_list(None)
            for each in found:
                # What is lost to somebody who works on it at this moment is found again.
                await self._save(Stored(settle(_read(each).request, now, kept_until(now))))
            if not found:
                return
        raise RequestChangedError

    async def prune(self, now: datetime) -> int:
        """Remove what was kept as proof until now, some at a time; give how many that were."""
        removed = 0
        wanted = {"keep_until": {"$lte": now}}
        while found := await self._requests.find(wanted, {"_id": 1}).limit(_AT_ONCE).to_list(None):
            names = {"_id": {"$in": [each["_id"] for each in found]}}
            removed += (await self._requests.delete_many(names)).deleted_count
        return removed


def slot_of(customer_id: str, kind: Kind) -> str:
    """What only one open request may have: whose it is, and its kind."""
    return f"{customer_id}:{kind.value}"


def place_of(request: PrivacyRequest) -> str:
    """Where a request stands in the queue: by when it is due."""
    return f"{_instant(request.due_at)}:{request.id}"


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _instant(at: datetime) -> str:
    """A moment as the database keeps it, to the millisecond: what was read stands where it was written."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _document(stored: Stored) -> dict[str, Any]:
    request = stored.request
    names = ("id", "kind", "regime", "state", "verification", "extension", "denial", "steps")
    kept = {name: getattr(request, name) for name in PrivacyRequest.__slots__ if name not in names}
    mine = request.customer_id is not None and request.open
    return {
        "_id": request.id,
        "v": SCHEMA_VERSION,
        **kept,
        "kind": request.kind.value,
        "regime": request.regime.value,
        "state": request.state.value,
        "open": request.state in OPEN,
        # The name of one that has ended takes nobody's place.
        "slot": slot_of(str(request.customer_id), request.kind) if mine else request.id,
        "place": place_of(request),
        "verification": _value(request.verification),
        "extension": _value(request.extension),
        "denial": _value(request.denial),
        "steps": [{"at": each.at, "what": each.what.value, "entry": each.entry} for each in request.steps],
        "purposes": list(stored.purposes),
        **({} if stored.sealed is None else {"sealed": {GROUP: stored.sealed}}),
    }


def _value(each: Verification | Extension | Denial | None) -> str | None:
    return None if each is None else each.value


def _read(found: Mapping[str, Any]) -> Stored:
    plain = {
        name: found[name]
        for name in (
            "customer_id", "source", "received_at", "due_at", "longest", "confirm_by", "agent", "law", "hold", "agreed_by",
            "result", "closed_at", "keep_until", "version",
        )
    }  # fmt: skip
    request = PrivacyRequest(
        id=found["_id"],
        kind=Kind(found["kind"]),
        regime=Regime(found["regime"]),
        state=State(found["state"]),
        verification=None if found["verification"] is None else Verification(found["verification"]),
        extension=None if found["extension"] is None else Extension(found["extension"]),
        denial=None if found["denial"] is None else Denial(found["denial"]),
        steps=tuple(Step(each["at"], What(each["what"]), each["entry"]) for each in found["steps"]),
        agreed_to=None if (agreed_to := found.get("agreed_to")) is None else bytes(agreed_to),
        **plain,
    )
    sealed = found.get("sealed", {}).get(GROUP)
    return Stored(request, tuple(found["purposes"]), None if sealed is None else bytes(sealed))
