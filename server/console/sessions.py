"""Who is signed in to the console: kept in the database under a hash, so that every server knows and none forgets.

Documents of `staff_sessions` in the keys database (docs/formats/staff.md): `{_id: sha256 of the session's id, v: 1,
actor, door, opened_at, seen_at, expires_at, sealed}`; what counts is in `sealed`, under this server's service key and
bound to the document's `_id`. Fields may not be renamed or removed. What somebody who can write to the collection
could achieve: sign somebody out. Who reads it learns who is signed in and since when; the id that opens a session is
only in its browser.

A session says who signed in and by which door. What that person may do now is asked on every request (`callers.py`).
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from server.console.errors import SignInUnavailableError
from vault import TokenInvalidError, VaultError

LONGEST: Final = timedelta(hours=8)
IDLE: Final = timedelta(hours=1)
_COLLECTION: Final = "staff_sessions"
_PURPOSE: Final = "staff session"
_CUSTOMER: Final = "console customer"
_ID_BYTES: Final = 32
_MOST_OF_ONE: Final = 8
_TOUCH: Final = timedelta(minutes=1)
_VERSION: Final = 1


class Door(StrEnum):
    """How somebody signed in."""

    TOKEN = "token"  # noqa: S105 - the name of a door
    LOCAL = "local"
    OIDC = "oidc"


class Sealing(Protocol):
    """What the vault does for a session."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """A text that nobody else can read, make or use elsewhere."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """What was sealed, for the same purpose and context."""


@dataclass(slots=True)
class Session:
    """One person, signed in with one browser.

    Attributes:
        actor: who, as the access log has it.
        door: how they signed in.
        key: what the database knows the session by.
        form_key: what every form of theirs must bring back.
        opened_at, seen_at: when they signed in, and when they were last here, to the minute.
        until: when it ends, whatever happens.
        token: what they signed in with, where that was a token.
        said: what vouches for them beside: an account's generation, or an identity provider's groups.
        purpose, case: as they stated them last; `Sessions.save` keeps them.
        customers: customer ids by names that only this session understands, so that no address holds one.
    """

    actor: str
    door: Door
    key: bytes = field(repr=False)
    form_key: str = field(repr=False)
    opened_at: datetime
    seen_at: datetime
    until: datetime
    token: str | None = field(default=None, repr=False)
    said: Mapping[str, Any] = field(default_factory=dict, repr=False)
    purpose: str | None = None
    case: str | None = None
    customers: "Customers" = field(default_factory=lambda: Customers(None, b""), repr=False)


class Customers:
    """Customer ids by names that only one session understands."""

    __slots__ = ("_context", "_sealing")

    def __init__(self, sealing: Sealing | None, context: bytes) -> None:
        self._sealing = sealing
        self._context = context

    def get(self, name: str) -> str | None:
        """The customer of this name, if this session gave it out."""
        if self._sealing is None:
            return None
        try:
            return self._sealing.open_token(_CUSTOMER, name, self._context).decode()
        except (TokenInvalidError, ValueError):
            return None

    def name(self, customer_id: str) -> str:
        """A name for this customer."""
        if self._sealing is None:
            raise ValueError("this session was not opened")
        return self._sealing.seal_token(_CUSTOMER, customer_id.encode(), self._context)


class Sessions:
    """The sessions of every server of one deployment.

    Args:
        keys: the keys database.
        sealing: seals what a session says.
        now, random: the present, and so many random bytes.
    """

    def __init__(
        self,
        keys: AsyncDatabase[dict[str, Any]],
        sealing: Sealing,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._documents = keys[_COLLECTION]
        self._sealing = sealing
        self._now = now
        self._random = random
        self._prepared = False

    async def open(
        self,
        actor: str,
        token: str | None = None,
        *,
        door: Door = Door.TOKEN,
        said: Mapping[str, Any] | None = None,
    ) -> tuple[str, Session]:
        """A new session of somebody who proved a moment ago who they are; its id is given once and not kept.

        Where they have too many, their oldest end.

        Raises:
            SignInUnavailableError: The database or the keys are away.
        """
        with _told():
            await self._prepare()
            now = self._now()
            await self._documents.delete_many({"expires_at": {"$lte": now}})
            await self._make_room(actor)
            opaque = self.text()
            expiry = None if token is None else expiry_of(token)
            until = now + LONGEST if expiry is None else min(now + LONGEST, expiry)
            key = _hashed(opaque)
            session = Session(
                actor, door, key, self.text(), now, now, until, token, dict(said or {}),
                customers=Customers(self._sealing, key),
            )  # fmt: skip
            await self._documents.insert_one(
                {
                    "_id": key,
                    "v": _VERSION,
                    "actor": actor,
                    "door": door.value,
                    "opened_at": now,
                    "seen_at": now,
                    "expires_at": until,
                    "sealed": self._sealed(session),
                }
            )
        return opaque, session

    async def find(self, opaque: str | None) -> Session | None:
        """The session of this id, if it has not ended.

        Raises:
            SignInUnavailableError: The database or the keys are away.
        """
        if not opaque:
            return None
        with _told():
            key, now = _hashed(opaque), self._now()
            document = await self._documents.find_one({"_id": key})
            session = None if document is None else self._opened(document)
            if session is None:
                return None
            idle = session.door is not Door.TOKEN and now >= session.seen_at + IDLE
            if idle or now >= session.until:
                await self._documents.delete_one({"_id": key})
                return None
            if now >= session.seen_at + _TOUCH:
                await self._documents.update_one({"_id": key}, {"$max": {"seen_at": now}})
        return session

    async def save(self, session: Session) -> None:
        """Keep the purpose and the case that a session states now.

        Raises:
            SignInUnavailableError: The database or the keys are away.
        """
        with _told():
            await self._documents.update_one({"_id": session.key}, {"$set": {"sealed": self._sealed(session)}})

    async def close(self, opaque: str | None) -> None:
        """End the session of this id, if there is one."""
        if opaque:
            with _told():
                await self._documents.delete_one({"_id": _hashed(opaque)})

    async def end(self, actor: str, key: bytes | None = None, *, but: bytes | None = None) -> int:
        """End the sessions of an actor: one, all, or all but one; how many there were."""
        which: dict[str, Any] = {"actor": actor}
        if key is not None:
            which["_id"] = key
        elif but is not None:
            which["_id"] = {"$ne": but}
        with _told():
            return (await self._documents.delete_many(which)).deleted_count

    async def end_at_provider(self, actors: Collection[str] | None, sid: str | None) -> int:
        """End sessions that an identity provider vouched for, and how many there were.

        Args:
            actors: Of these alone; None for whoever has the provider's session.
            sid: Those of this session of the provider's alone; None for all of theirs.
        """
        which: dict[str, Any] = {"door": Door.OIDC.value}
        if actors is not None:
            which["actor"] = {"$in": sorted(actors)}
        ended = 0
        with _told():
            for document in await self._documents.find(which).to_list(None):
                session = self._opened(document)
                if session is not None and sid in (None, session.said.get("sid")):
                    ended += (await self._documents.delete_one({"_id": session.key})).deleted_count
        return ended

    async def of(self, actor: str) -> list[Session]:
        """An actor's sessions that have not ended, newest first."""
        with _told():
            documents = await self._documents.find({"actor": actor}).to_list(None)
        now = self._now()
        found = [session for session in map(self._opened, documents) if session is not None and now < session.until]
        return sorted(found, key=lambda each: each.opened_at, reverse=True)

    def text(self) -> str:
        """A new random text that nobody can guess."""
        return base64.urlsafe_b64encode(self._random(_ID_BYTES)).decode().rstrip("=")

    @staticmethod
    def name_customer(session: Session, customer_id: str) -> str:
        """A name for this customer that only this session understands."""
        return session.customers.name(customer_id)

    async def _prepare(self) -> None:
        if not self._prepared:
            await self._documents.create_index("expires_at")
            await self._documents.create_index("actor")
            self._prepared = True

    async def _make_room(self, actor: str) -> None:
        held = await self._documents.find({"actor": actor}, {"opened_at": 1}).to_list(None)
        held.sort(key=lambda each: (each["opened_at"], each["_id"]))
        for each in held[: max(0, len(held) + 1 - _MOST_OF_ONE)]:
            await self._documents.delete_one({"_id": each["_id"]})

    def _sealed(self, session: Session) -> str:
        said = {
            "actor": session.actor,
            "door": session.door.value,
            "form_key": session.form_key,
            "opened_at": session.opened_at.timestamp(),
            "until": session.until.timestamp(),
            "token": session.token,
            "said": session.said,
            "purpose": session.purpose,
            "case": session.case,
        }
        return self._sealing.seal_token(_PURPOSE, json.dumps(said).encode(), session.key)

    def _opened(self, document: Mapping[str, Any]) -> Session | None:
        """The session of a document; None where it was sealed under another key, or is not what was sealed."""
        key = bytes(document["_id"])
        try:
            said = json.loads(self._sealing.open_token(_PURPOSE, document["sealed"], key))
        except TokenInvalidError:
            return None
        return Session(
            actor=said["actor"],
            door=Door(said["door"]),
            key=key,
            form_key=said["form_key"],
            opened_at=datetime.fromtimestamp(said["opened_at"], UTC),
            seen_at=document["seen_at"],
            until=datetime.fromtimestamp(said["until"], UTC),
            token=said["token"],
            said=said["said"],
            purpose=said["purpose"],
            case=said["case"],
            customers=Customers(self._sealing, key),
        )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Databases and keys that are away keep nobody from anything but for now."""
    try:
        yield
    except (PyMongoError, VaultError):
        raise SignInUnavailableError("Who you are cannot be checked now; try again in a moment.") from None


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def expiry_of(token: str) -> datetime | None:
    """When a token that was verified expires; None where it does not say, as a service account's does not."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a JWT in compact form
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(payload["exp"], UTC)
    except (binascii.Error, ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def _hashed(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode(errors="surrogatepass")).digest()


__all__ = ["IDLE", "LONGEST", "Customers", "Door", "Sealing", "Session", "Sessions", "expiry_of", "same"]
