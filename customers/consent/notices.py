"""What people were told when they decided: notices, kept word for word and never changed.

One who can write here can change a text, but not its name's SHA-256 in receipts that were given out.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.consent.store import fingerprint
from customers.errors import FieldProblem, InputInvalidError, NoticeChangedError

MOST_CHARACTERS: Final = 100_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


@dataclass(frozen=True, slots=True)
class Notice:
    """A text that people are shown before they decide.

    Attributes:
        name: What it is, such as `newsletter`.
        version: Which wording of it.
        language: As a BCP 47 tag.
        text: Word for word as it is shown.
        sha256: Of the text's UTF-8, in hexadecimal.
        published_at: When it was first kept.
    """

    name: str
    version: str
    language: str
    text: str
    sha256: str
    published_at: datetime

    @property
    def reference(self) -> str:
        """How decisions name it."""
        return f"{self.name}:{self.version}:{self.language}"


class NoticeStore:
    """The collection `notices`: a text under a name never becomes another."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime]) -> None:
        self._notices = database["notices"]
        self._now = now

    async def publish(self, name: str, version: str, language: str, text: str) -> Notice:
        """Keep a notice; the same text again changes nothing.

        Raises:
            InputInvalidError: A part does not have the form it must have.
            NoticeChangedError: There is another text under this name, version and language; publish a new version.
        """
        _check(name, version, language, text)
        now = self._now()
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # what a database keeps of a moment
        notice = Notice(name, version, language, text, fingerprint(text), now)
        try:
            await self._notices.insert_one(
                {
                    "_id": notice.reference,
                    "name": name,
                    "version": version,
                    "language": language,
                    "text": text,
                    "sha256": notice.sha256,
                    "published_at": notice.published_at,
                }
            )
        except DuplicateKeyError:
            held = await self.find(notice.reference)
            if held is None or held.text != text:
                raise NoticeChangedError from None
            return held
        return notice

    async def find(self, reference: str) -> Notice | None:
        """The notice that decisions name so, if it was published."""
        found = await self._notices.find_one({"_id": reference})
        return None if found is None else _notice(found)

    async def all(self) -> list[Notice]:
        """Every notice, by name; the versions of one together, the latest published first."""
        found = [_notice(each) for each in await self._notices.find({}).to_list(None)]
        return sorted(found, key=lambda each: (each.name, -each.published_at.timestamp(), each.language))


def _check(name: str, version: str, language: str, text: str) -> None:
    problems = []
    if not _NAME.fullmatch(name):
        problems.append(
            FieldProblem("name", "must be 1 to 64 lower-case letters, digits, dots, dashes or underscores")
        )
    if not _NAME.fullmatch(version):
        problems.append(
            FieldProblem("version", "must be 1 to 64 lower-case letters, digits, dots, dashes or underscores")
        )
    if not _LANGUAGE.fullmatch(language):
        problems.append(FieldProblem("language", "must be a language tag such as en or pt-BR"))
    if not text.strip() or len(text) > MOST_CHARACTERS or not _is_utf8(text):
        problems.append(FieldProblem("text", f"must hold 1 to {MOST_CHARACTERS} characters of Unicode"))
    if problems:
        raise InputInvalidError(problems)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)


def _notice(found: dict[str, Any]) -> Notice:
    return Notice(
        found["name"], found["version"], found["language"], found["text"], found["sha256"], found["published_at"]
    )
