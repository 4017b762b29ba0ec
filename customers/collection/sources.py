"""Where events come from: each source has a write key, and says which plan its events follow.

A write key is a secret only as far as it lets anybody send: it is in every web page. It is stored as a hash all the
same, so that a copy of the database lets nobody send. Rotating one keeps the old key good for a stated time.

The secret that a sender of webhooks signs with cannot be a hash: it is needed to check every signature. It is stored
sealed under the service key, which is in the key ring and in no database, and opens for its own source only. There may
be two at once while the sender changes from one to the other.

An attacker who can write here can send as any source whose write key they put in; who can only read, cannot.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.errors import FieldProblem, InputInvalidError, SourceNotFoundError, SourceTakenError

_PREFIX: Final = "wk_"
_KEY_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,253}", re.ASCII)
_SYSTEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_BAD_ORIGINS: Final = FieldProblem("origins", "must be origins such as https://shop.example")
_SECRET: Final = re.compile(r"[!-~]{16,256}", re.ASCII)
_STANDARD_PREFIX: Final = "whsec_"
_STANDARD_BYTES: Final = range(24, 65)
_SEALED_FOR: Final = "webhook-secret"
_FRESH_SECONDS: Final = 1.0
_MOST: Final = 10_000


class SourceKind(StrEnum):
    """How a source sends; the values are stored."""

    SEGMENT = "segment"
    SHOPIFY = "shopify"
    STRIPE = "stripe"
    STANDARD_WEBHOOKS = "standard_webhooks"
    CLOUDEVENTS = "cloudevents"


# The ids of these are the sender's own, and mean nobody anywhere else.
_ID_SYSTEMS: Final = {SourceKind.SHOPIFY: "shopify", SourceKind.STRIPE: "stripe"}


class SecretSealing(Protocol):
    """What of the vault keeps secrets that must be had again."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """As `Vault.seal_token`."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """As `Vault.open_token`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One sender, such as the web shop or the till.

    Attributes:
        name: What it is called, everywhere: lower-case letters, digits, `-` and `_`.
        kind: How it sends.
        plan: The tracking plan that its events follow; without one everything is sealed as unclassified.
        id_system: What stands before its user ids among a person's external ids (`user:4711`).
        origins: The web origins that may send from a page; none for a server.
        consent: The purpose that each category of its consent objects stands for.
        created_at: When it was made.
        disabled: Whether nothing is taken from it any more.
        signed: Whether it has a signing secret.
        older_key_until, older_secret_until: Until when the keys and the secret before the newest are good for; None where
            there are none before. May have passed.
    """

    name: str
    kind: SourceKind
    plan: str | None
    id_system: str
    origins: tuple[str, ...]
    consent: Mapping[str, str] = field(hash=False)
    created_at: datetime
    disabled: bool = False
    signed: bool = False
    older_key_until: datetime | None = None
    older_secret_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    until: datetime | None


@dataclass(frozen=True, slots=True)
class _Secret:
    sealed: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class _Loaded:
    at: float
    by_key: Mapping[bytes, tuple[Source, _Key]]
    by_name: Mapping[str, Source]
    secrets: Mapping[str, tuple[_Secret, ...]]


class SourceStore:
    """Sources and what of their keys is stored, in the main database; what is asked for often is kept for a second.

    Args:
        database: The main database.
        now: The time.
        random: Gives random bytes.
        clock: Seconds, of no particular beginning.
        sealing: Seals signing secrets; without it there are none.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.monotonic,
        sealing: SecretSealing | None = None,
    ) -> None:
        self._sources = database["sources"]
        self._now = now
        self._random = random
        self._clock = clock
        self._sealing = sealing
        self._loaded: _Loaded | None = None
        self._opened: dict[tuple[str, str], bytes] = {}

    async def create(
        self,
        name: str,
        *,
        kind: SourceKind = SourceKind.SEGMENT,
        plan: str | None = None,
        id_system: str | None = None,
        origins: tuple[str, ...] = (),
        consent: Mapping[str, str] | None = None,
    ) -> tuple[Source, str]:
        """Make a source; the source and its write key, which is shown this once.

        Without an `id_system` the ids of Shopify and Stripe are those of their systems, all others `user`.

        Raises:
            InputInvalidError: Naming every part that cannot be.
            SourceTakenError: There is one of this name.
        """
        id_system = _ID_SYSTEMS.get(kind, "user") if id_system is None else id_system
        problems = [
            FieldProblem(field_name, message)
            for field_name, good, message in (
                ("name", bool(_NAME.fullmatch(name)), "must be lower-case letters, digits, - and _"),
                ("id_system", bool(_SYSTEM.fullmatch(id_system)), "must be letters, digits, _, . and -"),
                ("origins", all(map(_ORIGIN.fullmatch, origins)), _BAD_ORIGINS.problem),
            )
            if not good
        ]
        if problems:
            raise InputInvalidError(problems)
        source = Source(name, kind, plan, id_system, origins, dict(consent or {}), self._now())
        key = self._new_key()
        try:
            await self._sources.insert_one({**_document(source), "keys": [{"digest": digest_of(key), "until": None}]})
        except DuplicateKeyError:
            raise SourceTakenError from None
        self._loaded = None
        return source, key

    async def rotate(self, name: str, *, grace: timedelta) -> str:
        """Give a source another write key, shown this once; the keys before it are good for `grace` more.

        Raises:
            SourceNotFoundError: There is no such source.
        """
        found = await self._sources.find_one({"_id": name})
        if found is None:
            raise SourceNotFoundError
        key, until = self._new_key(), self._now() + grace
        kept = [
            {"digest": each["digest"], "until": min(each["until"] or until, until)}
            for each in found["keys"]
            if each["until"] is None or each["until"] > self._now()
        ]
        change = {"$set": {"keys": [{"digest": digest_of(key), "until": None}, *kept]}}
        answer = await self._sources.update_one({"_id": name, "keys": found["keys"]}, change)
        if not answer.matched_count:
            return await self.rotate(name, grace=grace)  # another rotation came between
        self._loaded = None
        return key

    async def set_secret(self, name: str, secret: str, *, grace: timedelta) -> None:
        """Take the secret that a source signs with; the one before it is good for `grace` more, any older not at all.

        Raises:
            SourceNotFoundError: There is no such source.
            InputInvalidError: It cannot be the secret of a source of this kind.
            LeaseLostError: This process holds no keys.
        """
        if self._sealing is None:
            raise InputInvalidError([FieldProblem("secret", "cannot be sealed here")])
        found = await self._sources.find_one({"_id": name})
        if found is None:
            raise SourceNotFoundError
        signing_key(SourceKind(found["kind"]), secret)
        until, held = self._now() + grace, found.get("secrets")
        kept = [
            {"sealed": each["sealed"], "until": min(each["until"] or until, until)}
            for each in (held or ())[:1]
            if each["until"] is None or each["until"] > self._now()
        ]
        sealed = self._sealing.seal_token(_SEALED_FOR, secret.encode(), name.encode())
        change = {"$set": {"secrets": [{"sealed": sealed, "until": None}, *kept]}}
        answer = await self._sources.update_one({"_id": name, "secrets": held}, change)
        if not answer.matched_count:
            await self.set_secret(name, secret, grace=grace)  # another change came between
        self._loaded = None

    async def new_secret(self, name: str, *, grace: timedelta) -> str:
        """Make a secret as Standard Webhooks has it, to be given to the sender; otherwise as `set_secret`."""
        secret = _STANDARD_PREFIX + base64.b64encode(self._random(_KEY_BYTES)).decode()
        await self.set_secret(name, secret, grace=grace)
        return secret

    async def change(self, name: str, values: Mapping[str, Any]) -> Source:
        """Set these parts of a source, as `change_source` allows; the source as it is then.

        Raises:
            SourceNotFoundError: There is no such source.
        """
        answer = await self._sources.update_one({"_id": name}, {"$set": dict(values)})
        self._loaded = None
        found = await self.named(name) if answer.matched_count else None
        if found is None:
            raise SourceNotFoundError
        return found

    async def disable(self, name: str) -> None:
        """Take nothing from a source any more, whichever key it shows.

        Raises:
            SourceNotFoundError: There is no such source.
        """
        answer = await self._sources.update_one({"_id": name}, {"$set": {"disabled": True}})
        if not answer.matched_count:
            raise SourceNotFoundError
        self._loaded = None

    async def all(self) -> list[Source]:
        """Every source, by name."""
        return sorted((await self._load()).by_name.values(), key=lambda source: source.name)

    async def named(self, name: str) -> Source | None:
        """The source of this name."""
        return (await self._load()).by_name.get(name)

    async def of_key(self, key: str) -> Source | None:
        """The source that a write key belongs to, unless it is disabled or the key has ended; at most a second old.

        A key that is new is known at once: a sender that were refused would drop what it sent.
        """
        digest = digest_of(key)
        found = (await self._load()).by_key.get(digest)
        if found is None and key.startswith(_PREFIX):
            if await self._sources.find_one({"keys.digest": digest}, {"_id": 1}) is None:
                return None
            self._loaded = None
            found = (await self._load()).by_key.get(digest)
        if found is None:
            return None
        source, held = found
        ended = held.until is not None and held.until <= self._now()
        return None if source.disabled or ended or not hmac.compare_digest(held.digest, digest) else source

    async def signing(self, name: str) -> tuple[Source, tuple[bytes, ...]] | None:
        """The source of this name with the keys that its signatures may be made with, the newest first, at most two.

        None where there is no such source, or it is disabled; at most a second old.

        Raises:
            TokenInvalidError: A secret was changed, or is another source's.
            LeaseLostError: This process holds no keys.
        """
        loaded = await self._load()
        source = loaded.by_name.get(name)
        if source is None or source.disabled:
            return None
        now = self._now()
        held = [each for each in loaded.secrets.get(name, ()) if each.until is None or each.until > now]
        return source, tuple(self._open(source, each.sealed) for each in held)

    def _open(self, source: Source, sealed: str) -> bytes:
        place = (source.name, sealed)
        found = self._opened.get(place)
        if found is None and self._sealing is not None:
            secret = self._sealing.open_token(_SEALED_FOR, sealed, source.name.encode()).decode()
            found = self._opened[place] = signing_key(source.kind, secret)
        if found is None:
            raise InputInvalidError([FieldProblem("secret", "cannot be opened here")])
        return found

    async def _load(self) -> _Loaded:
        loaded = self._loaded
        if loaded is None or self._clock() - loaded.at >= _FRESH_SECONDS:
            began = self._clock()
            documents = await self._sources.find({}).limit(_MOST).to_list(None)
            by_key: dict[bytes, tuple[Source, _Key]] = {}
            by_name: dict[str, Source] = {}
            secrets: dict[str, tuple[_Secret, ...]] = {}
            for document in documents:
                source = by_name[document["_id"]] = _source(document)
                for each in document["keys"]:
                    by_key[bytes(each["digest"])] = source, _Key(bytes(each["digest"]), each["until"])
                secrets[source.name] = tuple(
                    _Secret(each["sealed"], each["until"]) for each in document.get("secrets") or ()
                )
            loaded = self._loaded = _Loaded(began, by_key, by_name, secrets)
            in_use = {(name, each.sealed) for name, held in secrets.items() for each in held}
            self._opened = {place: key for place, key in self._opened.items() if place in in_use}
        return loaded

    def _new_key(self) -> str:
        return _PREFIX + base64.urlsafe_b64encode(self._random(_KEY_BYTES)).decode().rstrip("=")


def require_origins(origins: tuple[str, ...]) -> None:
    """Return only if each of these can be a web origin.

    Raises:
        InputInvalidError: One cannot.
    """
    if not all(map(_ORIGIN.fullmatch, origins)):
        raise InputInvalidError([_BAD_ORIGINS])


def digest_of(key: str) -> bytes:
    """What is stored of a write key. It is random, so a plain hash says nothing of it."""
    return hashlib.sha256(key.encode(errors="replace")).digest()


def signing_key(kind: SourceKind, secret: str) -> bytes:
    """The bytes that sources of this kind sign with: of Standard Webhooks what is encoded, of others the text itself.

    Raises:
        InputInvalidError: It cannot be such a secret; it is not repeated.
    """
    if kind is SourceKind.SEGMENT:
        raise InputInvalidError([FieldProblem("secret", "is for sources of webhooks; this one has a write key only")])
    if kind in (SourceKind.SHOPIFY, SourceKind.STRIPE):
        if not _SECRET.fullmatch(secret):
            raise InputInvalidError([FieldProblem("secret", "must be 16 to 256 characters of ASCII without spaces")])
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_STANDARD_PREFIX) or len(key) not in _STANDARD_BYTES:
        raise InputInvalidError([FieldProblem("secret", "must be whsec_ and 24 to 64 bytes in Base64")])
    return key


def _document(source: Source) -> dict[str, Any]:
    return {
        "_id": source.name,
        "kind": source.kind.value,
        "plan": source.plan,
        "id_system": source.id_system,
        "origins": list(source.origins),
        "consent": dict(source.consent),
        "created_at": source.created_at,
        "disabled": source.disabled,
    }


def _source(document: Mapping[str, Any]) -> Source:
    return Source(
        name=document["_id"],
        kind=SourceKind(document["kind"]),
        plan=document["plan"],
        id_system=document["id_system"],
        origins=tuple(document["origins"]),
        consent=document["consent"],
        created_at=document["created_at"],
        disabled=document["disabled"],
        signed=bool(document.get("secrets")),
        older_key_until=_last_of_older(document["keys"]),
        older_secret_until=_last_of_older(document.get("secrets") or ()),
    )


def _last_of_older(held: Sequence[Mapping[str, Any]]) -> datetime | None:
    """Until when the last of those that were replaced is good for."""
    return max((each["until"] for each in held[1:] if each["until"] is not None), default=None)
