"""Trusted documents: the GraphQL documents that a company's own apps send, known before they come.

An app's build writes them down, `confide documents add` adds them, and from then on a request may name one by the
SHA-256 of its text instead of sending it. Where only these may run (`CONFIDE_TRUSTED_DOCUMENTS_ONLY`), whoever gets hold
of a token can ask nothing that no app asks.

Held in memory by every process, kept in the main database, and loaded again when the fleet's epoch `documents` advances:
what was added or removed is felt by the next request everywhere, once the command has returned.

Documents: `{_id: SHA-256 of the text in hexadecimal, v: 1, name, text, added_at}`. Fields may not be renamed or removed.
What somebody who can write to the collection could achieve: have a document run, with no more rights than its sender
has; a text under another's hash is not loaded.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

__all__ = ["MOST_CHARACTERS", "TrustedDocument", "TrustedDocuments"]

_COLLECTION: Final = "trusted_documents"
MOST_CHARACTERS: Final = 8_000_000
"""How many characters of trusted documents one deployment holds at most, as each process keeps them all."""


@dataclass(frozen=True, slots=True)
class TrustedDocument:
    """One of them.

    Attributes:
        digest: The SHA-256 of the text, in hexadecimal; what requests name it by.
        name: Its operations, or its file, for people.
        text: The document.
        added_at: When it was added; None before it is.
    """

    digest: str
    name: str
    text: str
    added_at: datetime | None = None

    @classmethod
    def of(cls, name: str, text: str) -> "TrustedDocument":
        """The document of this text."""
        return cls(sha256(text.encode()).hexdigest(), name, text)


class TrustedDocuments:
    """What was added, as of the last `load`."""

    def __init__(self, main: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime]) -> None:
        self._documents = main[_COLLECTION]
        self._now = now
        self._texts: dict[str, str] = {}
        # One load at a time, so that an older answer never replaces a newer one.
        self._loading = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, digest: str) -> str | None:
        """The document with this SHA-256 (hexadecimal), if it is trusted."""
        return self._texts.get(digest)

    async def load(self) -> None:
        """Take what the database holds now."""
        async with self._loading:
            self._texts = {each.digest: each.text for each in await self.all()}

    async def all(self) -> list[TrustedDocument]:
        """All of them, the oldest first; what is not under its own hash is none."""
        found = await self._documents.find({}).to_list(None)
        documents = [TrustedDocument(each["_id"], each["name"], each["text"], each["added_at"]) for each in found]
        whole = [each for each in documents if sha256(each.text.encode()).hexdigest() == each.digest]
        return sorted(whole, key=lambda each: (each.added_at, each.name, each.digest))

    async def add(self, documents: Iterable[TrustedDocument]) -> int:
        """Add those that are not there yet; how many these are. The caller advances the epoch `documents` after it.

        Documents are checked by the caller: what does not fit the schema is refused when it is sent all the same.
        """
        added = 0
        for each in documents:
            try:
                await self._documents.insert_one(
                    {"_id": each.digest, "v": 1, "name": each.name, "text": each.text, "added_at": self._now()}
                )
            except DuplicateKeyError:
                continue
            added += 1
        return added

    async def remove(self, digest: str) -> bool:
        """Remove one; whether it was there. The caller advances the epoch `documents` after it."""
        return (await self._documents.delete_one({"_id": digest})).deleted_count == 1
