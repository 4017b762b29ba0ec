"""Where events come from: each source has a write key, and says which plan its events follow.

A write key is a secret only as far as it lets anybody send: it is in every web page. It is stored as a hash all the
same, so that a copy of the database lets nobody send. Rotating one keeps the old key good for a stated time.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.errors import FieldProblem, InputInvalidError, SourceNotFoundError, SourceTakenError

_PREFIX: Final = "wk_"
_KEY_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,253}", re.ASCII)
_SYSTEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_FRESH_SECONDS: Final = 1.0
_MOST: Final = 10_000


class SourceKind(StrEnum):
    """How a source sends; the values are stored."""

    SEGMENT = "segment"
    SHOPIFY = "shopify"
    STRIPE = "stripe"
    STANDARD_WEBHOOKS = "standard_webhooks"
    CLOUDEVENTS = "cloudevents"


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
    """

    name: str
    kind: SourceKind
    plan: str | None
    id_system: str
    origins: tuple[str, ...]
    consent: Mapping[str, str] = field(hash=False)
    created_at: datetime
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    until: datetime | None


class SourceStore:
    """Sources and the hashes of their write keys, in the main database; what is asked for often is kept for a second."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = database["sources"]
        self._now = now
        self._random = random
        self._clock = clock
        self._loaded: tuple[float, dict[bytes, tuple[Source, _Key]], dict[str, Source]] | None = None

    async def create(
        self,
        name: str,
        *,
        kind: SourceKind = SourceKind.SEGMENT,
        plan: str | None = None,
        id_system: str = "user",
        origins: tuple[str, ...] = (),
        consent: Mapping[str, str] | None = None,
    ) -> tuple[Source, str]:
        """Make a source; the source and its write key, which is shown this once.

        Raises:
            InputInvalidError: Naming every part that cannot be.
            SourceTakenError: There is one of this name.
        """
        problems = [
            FieldProblem(field_name, message)
            for field_name, good, message in (
                ("name", bool(_NAME.fullmatch(name)), "must be lower-case letters, digits, - and _"),
                ("id_system", bool(_SYSTEM.fullmatch(id_system)), "must be letters, digits, _, . and -"),
                ("origins", all(map(_ORIGIN.fullmatch, origins)), "must be origins such as https://shop.example"),
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
        return sorted((await self._load())[1].values(), key=lambda source: source.name)

    async def named(self, name: str) -> Source | None:
        """The source of this name."""
        return (await self._load())[1].get(name)

    async def of_key(self, key: str) -> Source | None:
        """The source that a write key belongs to, unless it is disabled or the key has ended; at most a second old."""
        digest = digest_of(key)
        found = (await self._load())[0].get(digest)
        if found is None:
            return None
        source, held = found
        ended = held.until is not None and held.until <= self._now()
        return None if source.disabled or ended or not hmac.compare_digest(held.digest, digest) else source

    async def _load(self) -> tuple[dict[bytes, tuple[Source, _Key]], dict[str, Source]]:
        loaded = self._loaded
        if loaded is None or self._clock() - loaded[0] >= _FRESH_SECONDS:
            began = self._clock()
            documents = await self._sources.find({}).limit(_MOST).to_list(None)
            by_key: dict[bytes, tuple[Source, _Key]] = {}
            by_name: dict[str, Source] = {}
            for document in documents:
                source = by_name[document["_id"]] = _source(document)
                for each in document["keys"]:
                    by_key[bytes(each["digest"])] = source, _Key(bytes(each["digest"]), each["until"])
            loaded = self._loaded = began, by_key, by_name
        return loaded[1], loaded[2]

    def _new_key(self) -> str:
        return _PREFIX + base64.urlsafe_b64encode(self._random(_KEY_BYTES)).decode().rstrip("=")


def digest_of(key: str) -> bytes:
    """What is stored of a write key. It is random, so a plain hash says nothing of it."""
    return hashlib.sha256(key.encode(errors="replace")).digest()


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
    )
