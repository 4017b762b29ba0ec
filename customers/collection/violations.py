"""What was not as a tracking plan says, counted: no value, and no name that the plan does not know.

Both could be somebody's data. An unplanned event is counted as that, an unplanned property by its place among the
others. What a sender makes up can therefore never grow the counts beyond what plans name; a limit for each source and
day holds all the same.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from pymongo.asynchronous.database import AsyncDatabase

from customers.collection.events import Rejection
from customers.errors import CursorInvalidError
from vault.retry import retrying

MOST_A_DAY: Final = 2_000
"""How many different ones are counted for a source on a day; the others are counted together, under `other`."""
LAST_PLACE: Final = 20
"""Beyond this place unplanned properties are told apart no more."""
UNPLANNED: Final = "unplanned"
OTHER: Final = "other"

_MOST_WAITING: Final = 20_000
_MOST_PAGE: Final = 500
_LONGEST_LOOK_BACK: Final = 800  # days
_WIDEST: Final = 16  # days in one query


class ViolationKind(StrEnum):
    """What was wrong; the values are stored."""

    UNPLANNED_EVENT = "unplanned_event"
    UNPLANNED_PROPERTY = "unplanned_property"
    INVALID_PROPERTY = "invalid_property"
    MISSING_PROPERTY = "missing_property"
    # A value classified as clear in which the detector found a person's; it was sealed instead.
    EMAIL_IN_CLEAR = "email_in_clear"
    PHONE_IN_CLEAR = "phone_in_clear"
    CARD_IN_CLEAR = "card_in_clear"
    IBAN_IN_CLEAR = "iban_in_clear"
    NATIONAL_ID_IN_CLEAR = "national_id_in_clear"
    # What cannot be stored, and was left out.
    NOT_AN_OBJECT = "not_an_object"
    NOT_A_NUMBER = "not_a_number"
    NUMBER_TOO_LARGE = "number_too_large"
    NOT_TEXT = "not_text"
    NOT_JSON = "not_json"
    BAD_NAME = "bad_name"
    TOO_DEEP = "too_deep"
    TOO_MANY = "too_many"
    # The person has restricted what is done with their data, so nothing more is collected.
    RESTRICTED = "restricted"
    # A page's key said what somebody who can be believed has said otherwise, or a consent of somebody identified.
    UNPROVEN = "unproven"
    # The policy does not let sources write this; the property was left out.
    NOT_ALLOWED = "not_allowed"
    # About orders: no total or number, an order nobody knows, another currency than the person's sum is in.
    ORDER_INCOMPLETE = "order_incomplete"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_CURRENCY = "order_currency"


class Violation(msgspec.Struct, frozen=True, gc=False):
    """One thing that was wrong with one event.

    Attributes:
        kind: what it was; a rejection when the event could not even be understood.
        event: its name where the plan knows it; `identify` and the other calls by theirs; `unplanned` otherwise.
        name: the property's name where the plan knows it; empty when it is about the whole event or unplanned.
        place: the place of an unplanned property among those sent, from 1; 0 where it does not matter.
    """

    kind: ViolationKind | Rejection
    event: str = UNPLANNED
    name: str = ""
    place: int = 0

    @property
    def subject(self) -> str:
        """The property as it is shown: by name, by place, or not at all."""
        if self.name or not self.place:
            return self.name
        return f"property {self.place}" if self.place <= LAST_PLACE else f"a property after {LAST_PLACE}"


@dataclass(frozen=True, slots=True)
class Count:
    """How often it happened to a source on a day (UTC), and when first and last."""

    id: str
    source: str
    day: date
    event: str
    subject: str
    kind: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(slots=True)
class _Waiting:
    count: int
    first_at: datetime
    last_at: datetime


_Key = tuple[str, str, str, str, str]


class ViolationStore:
    """Counts of violations in the main database.

    `note` costs nothing and forgets nothing until `flush` has written it; who calls it flushes every second or so, and
    at the end. A process that is killed loses the counts of that second, never an event. An attacker who can write to
    the database can change counts.
    """

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._counts = database["violations"]
        self._waiting: dict[_Key, _Waiting] = {}
        self._known: dict[tuple[str, str], set[str]] = {}

    async def prepare(self) -> None:
        """Create the indexes that are missing."""
        await self._counts.create_index([("day", 1)])
        await self._counts.create_index([("source", 1), ("day", 1)])

    def note(self, source: str, violations: Iterable[Violation], at: datetime) -> None:
        """Count these; written by the next `flush`."""
        day = at.astimezone(UTC).date().isoformat()
        # The events of a batch are wrong in the same few ways, and told apart by what stands for each of them.
        held = list(violations)
        by_id = {id(each): each for each in held}
        for place, count in Counter(map(id, held)).items():
            each = by_id[place]
            key = (source, day, each.event, each.subject, each.kind.value)
            if key not in self._waiting and len(self._waiting) >= _MOST_WAITING:
                key = (source, day, OTHER, "", OTHER)
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = _Waiting(count, at, at)
            else:
                waiting.count += count
                waiting.first_at, waiting.last_at = min(waiting.first_at, at), max(waiting.last_at, at)

    async def flush(self) -> int:
        """Write what was noted before; how many counts were written. What could not be is kept for the next time."""
        written = 0
        for key in list(self._waiting):
            waiting = self._waiting.pop(key, None)
            if waiting is None:  # another flush was faster
                continue
            try:
                await self._add(key, waiting)
            except BaseException:
                self._keep(key, waiting)
                raise
            written += 1
        return written

    async def _add(self, key: _Key, waiting: _Waiting) -> None:
        source, day, event, subject, kind = key
        known = await self._known_of(source, day)
        identifier = _id(key)
        if identifier not in known and len(known) >= MOST_A_DAY:
            event, subject, kind = OTHER, "", OTHER
            identifier = _id((source, day, event, subject, kind))
        await retrying(
            lambda: self._counts.update_one(
                {"_id": identifier},
                {
                    "$inc": {"count": waiting.count},
                    "$min": {"first_at": waiting.first_at},
                    "$max": {"last_at": waiting.last_at},
                    "$setOnInsert": {
                        "source": source,
                        "day": day,
                        "event": event,
                        "subject": subject,
                        "kind": kind,
                    },
                },
                upsert=True,
            )
        )
        known.add(identifier)

    async def _known_of(self, source: str, day: str) -> set[str]:
        """The counts that there are of a source and day, of which at most a few days are kept in memory."""
        found = self._known.get((source, day))
        if found is None:
            documents = await self._counts.find({"source": source, "day": day}, {"_id": 1}).to_list(None)
            if len(self._known) >= 64:  # noqa: PLR2004 - sources of today and yesterday
                self._known.clear()
            found = self._known[source, day] = {each["_id"] for each in documents}
        return found

    def _keep(self, key: _Key, waiting: _Waiting) -> None:
        since = self._waiting.get(key)
        if since is None:
            self._waiting[key] = waiting
        else:
            since.count += waiting.count
            since.first_at, since.last_at = min(since.first_at, waiting.first_at), max(since.last_at, waiting.last_at)

    async def page(
        self, today: date, *, source: str | None = None, after: str | None = None, limit: int = 100
    ) -> tuple[Sequence[Count], str | None]:
        """Counts, the newest day first, and the cursor of the next page, None at the end.

        Args:
            today: The day to begin with (UTC).
            source: Only those of this source.
            after: The cursor that the page before gave.
            limit: At most 500.

        Raises:
            CursorInvalidError: `after` is no such cursor.
        """
        limit = max(1, min(limit, _MOST_PAGE))
        day, last = (today, "") if after is None else _position(after)
        oldest = today - timedelta(days=_LONGEST_LOOK_BACK)
        found: list[dict[str, Any]] = []
        width = 1
        # Windows with both ends, for not every engine stops reading at a limit.
        while len(found) <= limit and day >= oldest:
            since = max(day - timedelta(days=width - 1), oldest)
            window: dict[str, Any] = {"day": {"$gte": since.isoformat(), "$lte": day.isoformat()}}
            if source is not None:
                window["source"] = source
            documents = await self._counts.find(window).to_list(None)
            if last:  # the rest of the day that the page before ended in
                documents = [each for each in documents if each["_id"] > last]
                last = ""
            found += sorted(documents, key=lambda each: (-date.fromisoformat(each["day"]).toordinal(), each["_id"]))
            day, width = since - timedelta(days=1), min(4 * width, _WIDEST)
        shown = [_count(each) for each in found[:limit]]
        return shown, f"{shown[-1].day.isoformat()}/{shown[-1].id}" if len(found) > limit else None

    async def forget(self, before: date, *, most: int = 1_000) -> int:
        """Remove counts of days before this one, at most so many at a time; how many were removed."""
        window = {"day": {"$lt": before.isoformat()}}
        found = await self._counts.find(window, {"_id": 1}).limit(most).to_list(None)
        if found:
            await self._counts.delete_many({"_id": {"$in": [each["_id"] for each in found]}})
        return len(found)


def _position(cursor: str) -> tuple[date, str]:
    day, _, last = cursor.partition("/")
    try:
        return date.fromisoformat(day), last
    except ValueError:
        raise CursorInvalidError from None


def _id(key: _Key) -> str:
    """The same for the same source, day, event, property and kind, however the names are made up."""
    state = hashlib.blake2b(digest_size=16, person=b"violations")
    for part in key:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return state.hexdigest()


def _count(document: Mapping[str, Any]) -> Count:
    return Count(
        id=document["_id"],
        source=document["source"],
        day=date.fromisoformat(document["day"]),
        event=document["event"],
        subject=document["subject"],
        kind=document["kind"],
        count=int(document["count"]),
        first_at=document["first_at"],
        last_at=document["last_at"],
    )
