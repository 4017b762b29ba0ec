"""Who is signed in to the portal: in the database, so that every server knows and a restart signs nobody out.

Documents of `portal_sessions` in the main database are described in `docs/formats/portal-sessions.md`; fields may not be
renamed or removed. What a browser holds is stored as a hash, so who reads the database is let in as nobody.

What somebody who can write here could do: let in a browser of theirs as any customer, until that is erased.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from server.access.sign_in_links import hashed

IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=8)
STEPPED_UP: Final = timedelta(minutes=10)
_NOTED: Final = timedelta(minutes=1)
_MOST: Final = 16
_ID_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Held:
    """One session as it is kept.

    Attributes:
        key: The hash of what the browser holds.
        name: What it is called in lists; it lets nobody in.
        customer_id: Who.
        tokens: The blind index tokens of the address that they signed in with.
        label: The browser, in words of ours.
        created_at, seen_at: When it was opened, and used last, give or take a minute.
        idle_at, expires_at: When it ends unless it is used, and when it ends whatever happens.
        step_up_until: Until when what needs it may be done.
    """

    key: bytes = field(repr=False)
    name: str
    customer_id: str
    tokens: tuple[bytes, ...] = field(repr=False)
    label: str
    created_at: datetime
    seen_at: datetime
    idle_at: datetime
    expires_at: datetime
    step_up_until: datetime | None


class PortalSessionStore:
    """Opens, finds and ends sessions."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._sessions = database["portal_sessions"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        for name in ("customer_id", "idle_at"):
            await self._sessions.create_index(name)

    async def open(self, secret: str, customer_id: str, tokens: Sequence[bytes], label: str) -> None:
        """A new session, found by this secret, which the browser alone keeps. Of too many the oldest end."""
        now = self._now()
        mine = await self.of([customer_id])
        for each in mine[_MOST - 1 :]:
            await self._sessions.delete_one({"_id": each.key})
        held = Held(
            key=hashed(secret),
            name=f"ses_{self._random(_ID_BYTES).hex()}",
            customer_id=customer_id,
            tokens=tuple(tokens),
            label=label,
            created_at=now,
            seen_at=now,
            idle_at=now + IDLE,
            expires_at=now + LONGEST,
            step_up_until=None,
        )
        await self._sessions.insert_one(_document(held))

    async def find(self, secret: str) -> Held | None:
        """The session of this secret, if it has not ended; that it was used is noted, once a minute at most."""
        now = self._now()
        held = _held(await self._sessions.find_one({"_id": hashed(secret)}))
        if held is None or now >= min(held.idle_at, held.expires_at):
            return None
        if now - held.seen_at >= _NOTED:
            await self._sessions.update_one({"_id": held.key}, {"$set": {"seen_at": now, "idle_at": now + IDLE}})
        return held

    async def step_up(self, held: Held, secret: str) -> bool:
        """Have the session go on under another secret, from now on stepped up; the old secret is good no more.

        False where it has ended meanwhile, or went on under yet another.
        """
        # The old one first: cut off in between somebody is signed out, and never in twice.
        if not (await self._sessions.delete_one({"_id": held.key})).deleted_count:
            return False
        now = self._now()
        renewed = {"seen_at": now, "idle_at": now + IDLE, "step_up_until": now + STEPPED_UP}
        await self._sessions.insert_one({**_document(held), **renewed, "_id": hashed(secret)})
        return True

    async def of(self, customer_ids: Sequence[str]) -> list[Held]:
        """Every session of these customers that has not ended, the newest first."""
        now = self._now()
        found = await self._sessions.find({"customer_id": {"$in": list(customer_ids)}}).to_list(None)
        held = [each for each in map(_held, found) if each and now < min(each.idle_at, each.expires_at)]
        return sorted(held, key=lambda each: each.created_at, reverse=True)

    async def end(self, customer_ids: Sequence[str], name: str) -> bytes | None:
        """End a session of one of these customers, and give what it was known by; another's is not ended."""
        found = [each for each in await self.of(customer_ids) if each.name == name]
        if not found:
            return None
        await self._sessions.delete_one({"_id": found[0].key})
        return found[0].key

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """End every session of these customers."""
        await self._sessions.delete_many({"customer_id": {"$in": list(customer_ids)}})

    async def prune(self) -> None:
        """Remove sessions that have ended."""
        now = self._now()
        await self._sessions.delete_many({"idle_at": {"$lte": now}})


def _document(held: Held) -> dict[str, Any]:
    return {
        "_id": held.key,
        "v": 1,
        "name": held.name,
        "customer_id": held.customer_id,
        "tokens": list(held.tokens),
        "label": held.label,
        "created_at": held.created_at,
        "seen_at": held.seen_at,
        "idle_at": held.idle_at,
        "expires_at": held.expires_at,
        "step_up_until": held.step_up_until,
    }


def _held(document: Mapping[str, Any] | None) -> Held | None:
    if document is None:
        return None
    return Held(
        key=bytes(document["_id"]),
        name=document["name"],
        customer_id=document["customer_id"],
        tokens=tuple(bytes(each) for each in document["tokens"]),
        label=document["label"],
        created_at=document["created_at"],
        seen_at=document["seen_at"],
        idle_at=document["idle_at"],
        expires_at=document["expires_at"],
        step_up_until=document["step_up_until"],
    )


__all__ = ["IDLE", "LONGEST", "STEPPED_UP", "Held", "PortalSessionStore"]
