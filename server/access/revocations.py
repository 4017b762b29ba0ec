"""Tokens that are no longer good although their time is not over.

Held in memory by every process, kept in the keys database, and loaded again when the fleet's epoch `revocations`
advances: a revocation whose epoch has been acknowledged is felt by the next request everywhere.

Documents: `{_id: "token:<jti>" | "subject:<actor or customer id>", v: 1, at, expires_at}`. Fields may not be
renamed or removed. What somebody who can write to the collection could achieve: revoke anybody, or undo a
revocation until the token's own expiry; never more than the token could do before it was revoked.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from server.access.tokens import LEEWAY_SECONDS

EPOCH: Final = "revocations"
_COLLECTION: Final = "revocations"


class Revocations:
    """What has been revoked, as of the last `load`."""

    def __init__(
        self,
        keys: AsyncDatabase[dict[str, Any]],
        *,
        now: Callable[[], datetime],
        max_token_seconds: int = 86_400,
    ) -> None:
        self._documents = keys[_COLLECTION]
        self._now = now
        # After this, every token that was good at the moment of revocation has expired by itself.
        self._remembered = timedelta(seconds=max_token_seconds + 2 * LEEWAY_SECONDS)
        self._tokens: frozenset[str] = frozenset()
        self._subjects: dict[str, float] = {}
        # One load at a time, so that an older answer never replaces a newer one.
        self._loading = asyncio.Lock()
        self.version = 0

    @property
    def loaded(self) -> bool:
        """Whether `load` has returned once; until then no token can be trusted."""
        return self.version > 0

    async def prepare(self) -> None:
        """Make the index that `prune` deletes by."""
        await self._documents.create_index("expires_at")

    async def load(self) -> None:
        """Take what the database holds now; a token verified before is verified again."""
        async with self._loading:
            found = await self._documents.find({"expires_at": {"$gt": self._now()}}).to_list(None)
            named = [(document["_id"].partition(":"), document["at"].timestamp()) for document in found]
            self._tokens = frozenset(name for (kind, _, name), _ in named if kind == "token")
            self._subjects = {name: at for (kind, _, name), at in named if kind == "subject"}
            self.version += 1

    def covers(self, *, token_id: str | None, subject: str, issued_at: float | None) -> bool:
        """Whether a token is revoked, by its own id or with everything issued to its subject until some moment.

        A token that does not say when it was issued counts as issued before.
        """
        if token_id is not None and token_id in self._tokens:
            return True
        at = self._subjects.get(subject)
        return at is not None and (issued_at is None or issued_at <= at)

    async def revoke_token(self, token_id: str) -> None:
        """Revoke the token with this `jti`. The caller advances the epoch `revocations` before it reports success."""
        await self._add(f"token:{token_id}")

    async def revoke_subject(self, subject: str) -> None:
        """Revoke every token issued to `subject` until now: an actor of the access log, or a customer's id.

        The caller advances the epoch `revocations` before it reports success.
        """
        await self._add(f"subject:{subject}")

    async def prune(self) -> int:
        """Forget revocations of tokens that have all expired; how many were forgotten."""
        result = await self._documents.delete_many({"expires_at": {"$lte": self._now()}})
        return result.deleted_count

    async def _add(self, name: str) -> None:
        # The database keeps milliseconds; rounding up never lets a token of the same millisecond through.
        at = self._now() + timedelta(milliseconds=1)
        change = {"$max": {"at": at, "expires_at": at + self._remembered}, "$set": {"v": 1}}
        try:
            await self._documents.update_one({"_id": name}, change, upsert=True)
        except DuplicateKeyError:  # another process revoked the same just now
            await self._documents.update_one({"_id": name}, change)
