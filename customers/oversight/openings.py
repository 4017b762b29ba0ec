"""What an opening of break-glass access is, as it is stored and as it is read.

Documents of `break_glass` in the documents database (docs/formats/staff.md): `{_id: "bgl_…", v: 1, actor, roles, case,
opened_at, until, ended_at, reason, entry, waits, review, seen, people}`; `reason` and the review's `note` are sealed
under this server's service key. Fields may not be renamed or removed. What somebody who can write to the collection
could achieve: open the glass without an alarm or without a bound, or take a review for done; what was read stands in
the access log all the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

COLLECTION: Final = "break_glass"
_REASON, _NOTE = "break-glass reason", "break-glass note"
_SEEN_BYTES: Final = 12


class Sealing(Protocol):
    """What the vault does for words."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """A text that nobody else can read, make or use elsewhere."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """What was sealed, for the same purpose and context."""


class Judgement(StrEnum):
    """What a review finds. The values are stored; they may not be changed or reused."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not_justified"


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody else found afterwards."""

    actor: str
    at: datetime
    judgement: Judgement
    note: str = field(repr=False)
    entry: str


@dataclass(frozen=True, slots=True)
class Opening:
    """One time that somebody broke the glass.

    Attributes:
        id: its number; stated as the case, it opens.
        actor: who.
        roles: what they were, without it.
        case: what they were working on, if they said.
        opened_at, until, ended_at: since when, until when at most, and when they ended it themselves.
        reason: in their own words.
        entry: the access log's entry of it.
        review: what was found afterwards.
        people: how many customers were read by it.
    """

    id: str
    actor: str
    roles: tuple[str, ...]
    case: str | None
    opened_at: datetime
    until: datetime
    ended_at: datetime | None
    reason: str = field(repr=False)
    entry: str
    review: Review | None
    people: int = 0

    def is_open(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        return self.ended_at is None and now < self.until


def document(sealing: Sealing, opening: Opening) -> dict[str, Any]:
    """An opening as it is stored first."""
    return {
        "_id": opening.id,
        "v": 1,
        "actor": opening.actor,
        "roles": list(opening.roles),
        "case": opening.case,
        "opened_at": opening.opened_at,
        "until": opening.until,
        "ended_at": None,
        "reason": sealing.seal_token(_REASON, opening.reason.encode(), opening.id.encode()),
        "entry": opening.entry,
        "waits": True,
        "review": None,
        "seen": [],
        "people": 0,
    }


def reviewed(sealing: Sealing, name: str, review: Review) -> dict[str, Any]:
    """A review as it is stored."""
    return {
        "actor": review.actor,
        "at": review.at,
        "judgement": review.judgement.value,
        "note": sealing.seal_token(_NOTE, review.note.encode(), name.encode()),
        "entry": review.entry,
    }


def read(sealing: Sealing, stored: Mapping[str, Any]) -> Opening:
    """An opening, out of its document."""
    name, review = stored["_id"], stored["review"]
    context = name.encode()
    return Opening(
        id=name,
        actor=stored["actor"],
        roles=tuple(stored["roles"]),
        case=stored["case"],
        opened_at=stored["opened_at"],
        until=stored["until"],
        ended_at=stored["ended_at"],
        reason=sealing.open_token(_REASON, stored["reason"], context).decode(),
        entry=stored["entry"],
        review=None
        if review is None
        else Review(
            review["actor"],
            review["at"],
            Judgement(review["judgement"]),
            sealing.open_token(_NOTE, review["note"], context).decode(),
            review["entry"],
        ),
        people=stored.get("people", 0),
    )


def veiled(name: str, reference: str) -> bytes:
    """What an opening remembers somebody by: it tells one from another within this opening, and nothing else."""
    return hashlib.sha256(f"confide/break-glass\0{name}\0{reference}".encode()).digest()[:_SEEN_BYTES]
