"""What was asked for at the portal's door: links and codes, each good once and for minutes.

Documents of `sign_in_links` in the main database are described in `docs/formats/portal-sessions.md`; fields may not be
renamed or removed. Neither a link nor a code stands in them, only a hash of the one and a keyed digest of the other.
Whether an address is anybody's is not known when a document is made, so that making one takes the same whoever asks.

What somebody who can write here could do: let in the browser of their choice as somebody whose link they know, make a
spent link good again, or take links away. They cannot learn a link, a code or an address.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

GOOD_FOR: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
_GIVEN_UP: Final = timedelta(minutes=30)
_KEPT: Final = timedelta(hours=1)
_ID_BYTES: Final = 16


class Asking(StrEnum):
    """What was asked for. The values are stored; they may not be changed or reused."""

    SIGN_IN = "sign_in"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a link or a code.

    Attributes:
        id: Its name, which lets nobody in.
        kind: What was asked for.
        browser: The hash of what the browser that asked holds, or of its session.
        tokens: The blind index tokens of the address that was named.
        language: Of the letter.
        silent: Whether nothing is sent, because too much was asked for already.
        at: When it was asked.
        expires_at: Until when what was sent is good; of what was not sent, until when it may be.
        customer_id: Whose address it is, once that was looked up.
        code: The digest of the code that was sent.
    """

    id: str
    kind: Asking
    browser: bytes
    tokens: tuple[bytes, ...] = field(repr=False)
    language: str
    silent: bool
    at: datetime
    expires_at: datetime
    customer_id: str | None
    code: bytes | None = field(repr=False)


def hashed(secret: str) -> bytes:
    """What is stored of a random secret of 256 bits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


class LinkStore:
    """Keeps what was asked for, and lets each be used once."""

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._links = database["sign_in_links"]
        self._now = now
        self._random = random

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        for name in ("link", "browser", "customer_id", "kept_until"):
            await self._links.create_index(name, sparse=name in ("link", "customer_id"))
        await self._links.create_index([("tokens", 1), ("at", 1)])
        await self._links.create_index([("network", 1), ("at", 1)])

    async def add(
        self,
        kind: Asking,
        browser: bytes,
        tokens: Sequence[bytes],
        language: str,
        *,
        network: bytes | None = None,
        silent: bool = False,
    ) -> str:
        """Note that something was asked for, and give its name.

        Args:
            kind: What.
            browser: The hash of what the browser holds.
            tokens: Of the address, newest epoch first.
            language: Of the letter.
            network: The digest of the network that it came from.
            silent: Whether nothing is to be sent.
        """
        now, name = self._now(), f"ask_{self._random(_ID_BYTES).hex()}"
        await self._links.insert_one(
            {
                "_id": name,
                "v": 1,
                "kind": kind.value,
                "browser": browser,
                "tokens": list(tokens),
                "language": language,
                "network": network,
                "silent": silent,
                "at": now,
                "expires_at": now + _GIVEN_UP,
                "kept_until": now + _KEPT,
                "tries": 0,
                "spent_at": None,
            }
        )
        return name

    async def counts(self, kind: Asking, token: bytes, network: bytes, since: datetime, most: int) -> tuple[int, int]:
        """How many letters of this kind this address was asked for since then, and how often this network asked.

        Neither is more than `most`. What nothing was sent for counts for the network alone: else whoever goes on asking
        for an address would keep its owner out for as long as they like, and who asks at the door keep those who are in
        from showing once more that it is them.
        """
        window = {"$gt": since}
        wanted = {"tokens": token, "at": window, "kind": kind.value, "silent": False}
        address = await self._links.find(wanted, {"_id": 1}).limit(most).to_list(None)
        mine = await self._links.find({"network": network, "at": window}, {"_id": 1}).limit(most).to_list(None)
        return len(address), len(mine)

    async def earlier(self, asked: Asked, since: datetime) -> int:
        """How many letters of this kind to this address were asked for since then, before this one."""
        wanted = {
            "tokens": asked.tokens[0],
            "at": {"$gt": since, "$lte": asked.at},
            "kind": asked.kind.value,
            "silent": False,
        }
        found = await self._links.find(wanted, {"at": 1}).to_list(None)
        return len([each for each in found if (each["at"], each["_id"]) < (asked.at, asked.id)])

    async def get(self, name: str) -> Asked | None:
        """What was asked for under this name, if it may still be sent."""
        return _asked(await self._links.find_one({"_id": name, "spent_at": None}), self._now())

    async def sent(self, name: str, customer_id: str, *, link: bytes | None, code: bytes) -> bool:
        """Note what a letter is about to say and to whom; what an earlier letter said is good no more.

        False where it was spent or taken away meanwhile.
        """
        setting: dict[str, Any] = {"customer_id": customer_id, "code": code, "expires_at": self._now() + GOOD_FOR}
        if link is not None:
            setting["link"] = link
        changed = await self._links.update_one({"_id": name, "spent_at": None}, {"$set": setting})
        return bool(changed.matched_count)

    async def spend_link(self, link: str) -> Asked | None:
        """What this link was sent for, if it is good; whoever comes second, be it at the same time, gets nothing."""
        return await self._spend(await self._links.find_one({"link": hashed(link)}))

    async def try_code(
        self, kind: Asking, browser: bytes, digest: Callable[[str], bytes], same: Callable[[bytes, bytes], bool]
    ) -> Asked | None:
        """What was sent to this browser last, if the code is right; each try counts before it is looked at.

        What nothing was sent for, because too much was asked for, does not make useless what was sent before.

        Args:
            kind: What the browser asked for.
            browser: The hash of what it holds.
            digest: The digest of the code that was tried, for what was asked under a name.
            same: Compares two digests in a time that does not tell where they differ.
        """
        found = await self._links.find({"browser": browser, "kind": kind.value}).to_list(None)
        document = max(found, key=lambda each: (each.get("code") is not None, each["at"]), default=None)
        if document is None:
            return None
        wanted = {"_id": document["_id"], "spent_at": None, "tries": {"$lt": MOST_TRIES}}
        counted = await self._links.update_one(wanted, {"$inc": {"tries": 1}})
        tried = digest(document["_id"])
        right = same(bytes(document.get("code") or bytes(len(tried))), tried)
        return await self._spend(document) if right and counted.matched_count else None

    async def _spend(self, document: Mapping[str, Any] | None) -> Asked | None:
        now = self._now()
        asked = _asked(document, now)
        if asked is None:
            return None
        changed = await self._links.update_one({"_id": asked.id, "spent_at": None}, {"$set": {"spent_at": now}})
        return asked if changed.modified_count else None

    async def give_back(self, asked: Asked) -> None:
        """Make what was spent good again, for as long as it would have been: what it was spent on could not be done."""
        await self._links.update_one({"_id": asked.id}, {"$set": {"spent_at": None}})

    async def drop(self, browser: bytes) -> None:
        """Take away what a session asked for, with the session."""
        await self._links.delete_many({"browser": browser})

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Take away every link and code of these customers."""
        await self._links.delete_many({"customer_id": {"$in": list(customer_ids)}})

    async def prune(self) -> None:
        """Remove what is good for nothing any more."""
        await self._links.delete_many({"kept_until": {"$lte": self._now()}})


def _asked(document: Mapping[str, Any] | None, now: datetime) -> Asked | None:
    """The document as it is used, where it is neither spent nor over."""
    if document is None or document["spent_at"] is not None or document["expires_at"] <= now:
        return None
    return Asked(
        id=document["_id"],
        kind=Asking(document["kind"]),
        browser=bytes(document["browser"]),
        tokens=tuple(bytes(each) for each in document["tokens"]),
        language=document["language"],
        silent=document["silent"],
        at=document["at"],
        expires_at=document["expires_at"],
        customer_id=document.get("customer_id"),
        code=None if document.get("code") is None else bytes(document["code"]),
    )


__all__ = ["GOOD_FOR", "MOST_TRIES", "Asked", "Asking", "LinkStore", "hashed"]
