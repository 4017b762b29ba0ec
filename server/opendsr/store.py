"""The collection `opendsr_requests`: which request of a controller's is which of ours.

    {_id, v, controller, kind, request, fingerprint, sealed, received_at, expected_at, state, open, taking, keep_until}

Nothing that a controller sent is kept in clear, and of whom it is about nothing at all: `_id` and `fingerprint` are
keyed digests; the controller's id of the request and where it wants to hear of it are sealed under the service key. The
body of a request is never kept. One who can write here can have a controller told a wrong status, or have a signed one
sent to a host of the public network; one who can read learns which controller sent how many requests. Fields may not be
reordered in meaning or reused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import msgspec
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.rights.requests import Kind

COLLECTION: Final = "opendsr_requests"
VERSION: Final = 1
_SEALED_FOR: Final = "opendsr-request"
_MOST: Final = 500
_FORGOTTEN: Final = timedelta(days=1)


class Sealing(Protocol):
    """What of the vault is needed here."""

    def digest(self, *parts: str) -> bytes:
        """As `Vault.digest`."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """As `Vault.seal_token`."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """As `Vault.open_token`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A controller's request.

    Attributes:
        id: Ours for it.
        controller: Who sent it.
        subject_request_id: The controller's id for it.
        kind: What is asked for.
        request: Which of our requests it became; None where nobody is known by what it said.
        fingerprint: What tells whether the same is sent again.
        callbacks: Where changes of its status are told.
        received_at: When it came.
        expected_at: Until when it is answered.
        state: `pending`, `in_progress`, `completed` or `cancelled`, as it was last told.
        keep_until: Until when it is kept, once it has ended.
        taking: While it becomes one of ours: until when whoever does that is waited for. None once it has.
    """

    id: bytes
    controller: str
    subject_request_id: str
    kind: Kind
    request: str | None
    fingerprint: bytes
    callbacks: tuple[str, ...] = field(repr=False)
    received_at: datetime
    expected_at: datetime
    state: str
    keep_until: datetime | None = None
    taking: datetime | None = None


class OpenDsrStore:
    """Keeps controllers' requests. Each change is of one document."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], sealing: Sealing) -> None:
        self._requests = database[COLLECTION]
        self._sealing = sealing

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._requests.create_index([("open", 1), ("received_at", 1)])
        await self._requests.create_index("keep_until")

    def name(self, controller: str, subject_request_id: str) -> bytes:
        """Ours for a controller's request; no other controller's has the same."""
        return self._sealing.digest("opendsr", controller, subject_request_id)

    def fingerprint(self, *parts: str) -> bytes:
        """What tells two requests apart, and tells nobody what is in them."""
        return self._sealing.digest("opendsr/said", *parts)

    async def get(self, name: bytes) -> Kept | None:
        """The request of this name.

        Raises:
            vault.TokenInvalidError: What is sealed was changed.
        """
        found = await self._requests.find_one({"_id": name})
        return None if found is None else self._read(found)

    async def claim(self, kept: Kept) -> bool:
        """Keep a request that is yet to become one of ours, so that nobody else makes it one too.

        Where that never happens it goes after a day.

        Returns:
            False where there is one of this name.
        """
        sealed = msgspec.json.encode([kept.subject_request_id, list(kept.callbacks)])
        document = {
            "_id": kept.id,
            "v": VERSION,
            "controller": kept.controller,
            "kind": kept.kind.value,
            "request": None,
            "fingerprint": kept.fingerprint,
            "sealed": self._sealing.seal_token(_SEALED_FOR, sealed, kept.id),
            "received_at": kept.received_at,
            "expected_at": kept.expected_at,
            "state": kept.state,
            "open": False,
            "taking": kept.taking,
            "keep_until": kept.received_at + _FORGOTTEN,
        }
        try:
            await self._requests.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def take_over(self, kept: Kept, until: datetime) -> bool:
        """Go on where whoever claimed a request has died; False where somebody else does."""
        change = {"$set": {"taking": until, "keep_until": until + _FORGOTTEN}}
        return await self._claimed(kept, change)

    async def took(self, kept: Kept, request: str | None) -> bool:
        """A request that was claimed is this one of ours, or nobody's; False where somebody else goes on with it."""
        change = {"$set": {"request": request, "open": True}, "$unset": {"taking": "", "keep_until": ""}}
        return await self._claimed(kept, change)

    async def give_up(self, kept: Kept) -> None:
        """A request that was claimed is refused: nothing of it is kept."""
        await self._requests.delete_one({"_id": kept.id, "taking": kept.taking})

    async def _claimed(self, kept: Kept, change: Mapping[str, Any]) -> bool:
        return bool((await self._requests.update_one({"_id": kept.id, "taking": kept.taking}, change)).matched_count)

    async def open_ones(self) -> list[Kept]:
        """Requests that have not ended, as far as was told; the oldest first."""
        found = await self._requests.find({"open": True}).sort("received_at", 1).limit(_MOST).to_list(None)
        return [self._read(each) for each in found]

    async def tell(self, kept: Kept, state: str, keep_until: datetime | None) -> None:
        """A status was told, of one that was in another; one that has ended is kept until then."""
        change: dict[str, Any] = {"state": state}
        if keep_until is not None:
            change |= {"open": False, "keep_until": keep_until}
        await self._requests.update_one({"_id": kept.id, "state": kept.state}, {"$set": change})

    async def prune(self, now: datetime) -> None:
        """Remove what was kept as proof until now."""
        await self._requests.delete_many({"keep_until": {"$lte": now}})

    def _read(self, found: Mapping[str, Any]) -> Kept:
        name = bytes(found["_id"])
        opened: Sequence[Any] = msgspec.json.decode(self._sealing.open_token(_SEALED_FOR, found["sealed"], name))
        return Kept(
            id=name,
            controller=found["controller"],
            subject_request_id=opened[0],
            kind=Kind(found["kind"]),
            request=found["request"],
            fingerprint=bytes(found["fingerprint"]),
            callbacks=tuple(opened[1]),
            received_at=found["received_at"],
            expected_at=found["expected_at"],
            state=found["state"],
            keep_until=found.get("keep_until"),
            taking=found.get("taking"),
        )
