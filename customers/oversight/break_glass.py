"""Break-glass access: seeing more than one's role may, in an emergency, for a while, with an alarm, reviewed afterwards.

Who may break the glass is what the policy says: roles that may do anything for the purpose `emergency_access`. What it
opens is a role of its own, `break_glass`, which nobody is given otherwise: it is added to the caller's roles for that
purpose alone, while an opening of theirs is open and its number is stated as the case. So every record of what they
read names the opening, and its review finds all of them.

One opening shows a bounded number of customers (`count`): it is for an emergency, and not to carry a list away.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import AccessLog, Kind, Outcome, Record, timestamp
from customers.access import Access
from customers.caller import Caller
from customers.errors import (
    BreakGlassNotFoundError,
    BreakGlassNotPossibleError,
    BreakGlassSpentError,
    ReadNotAllowedError,
)
from customers.oversight.openings import (
    COLLECTION,
    Judgement,
    Opening,
    Review,
    Sealing,
    document,
    read,
    reviewed,
    veiled,
)
from policies import Action, Grant, PolicySet, Scope

PURPOSE: Final = "emergency_access"
ROLE: Final = "break_glass"
LONGEST_MINUTES: Final = 60
SHORTEST_REASON: Final = 20
LONGEST_REASON: Final = 1000
LONGEST_NOTE: Final = 1000
MOST_PEOPLE: Final = 20
_OVERSIGHT: Final = "audit"
_OPERATIONS: Final = "system.operations"
_ID: Final = re.compile(r"bgl_[a-z2-7]{16}")
_CASE: Final = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)
# Somebody whose openings nobody has looked at yet opens no more.
_MOST_WAITING: Final = 3
_KEPT: Final = timedelta(days=731)
_PAGE: Final = 100
_TRIES: Final = 20


Alarm = Callable[[Opening], Awaitable[None]]


async def _silent(_: Opening) -> None:
    pass


class BreakGlass:
    """Opens, ends and reviews.

    Args:
        database: the documents database.
        sealing: seals reasons.
        log: records each opening before it opens anything.
        policies: the policy in force.
        now: the present.
        random: gives so many random bytes.
        alarm: is told of each opening before it opens anything; where it fails, nothing opens.
        most_people: how many customers one opening shows at most.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        sealing: Sealing,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        alarm: Alarm = _silent,
        most_people: int = MOST_PEOPLE,
    ) -> None:
        self._documents = database[COLLECTION]
        self._sealing = sealing
        self._log = log
        self._policies = policies
        self._now = now
        self._random = random
        self._alarm = alarm
        self._most_people = most_people

    async def prepare(self) -> None:
        """Make the indexes."""
        await self._documents.create_index("actor")
        await self._documents.create_index([("waits", 1), ("opened_at", 1)])

    def may_open(self, caller: Caller) -> bool:
        """Whether the policy lets this caller break the glass."""
        policies = self._policies()
        if caller.customer_id is not None or PURPOSE not in policies.purposes:
            return False
        stated = caller.purposes is None or not caller.purposes.isdisjoint(policies.purposes[PURPOSE].lineage)
        return stated and bool(self._bare(caller).of_category(_OPERATIONS, Action.READ))

    async def open(
        self, caller: Caller, reason: str, minutes: int, *, case: str | None = None, trace: str | None = None
    ) -> Opening:
        """Break the glass: recorded, then told, and only then open.

        Raises:
            ReadNotAllowedError: The policy does not let this caller; that is recorded.
            BreakGlassNotPossibleError: The reason or the time is not one, or others of theirs wait for review.
            AuditError: It cannot be recorded.
        """
        operation = "break-glass open"
        if not self.may_open(caller):
            await self._record(caller, PURPOSE, case, operation, trace, Outcome.REFUSED)
            raise ReadNotAllowedError(("profile.id",))
        reason = _words(reason, SHORTEST_REASON, LONGEST_REASON, "reason")
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise BreakGlassNotPossibleError(f"the glass is open for 1 to {LONGEST_MINUTES} minutes")
        if case is not None and _CASE.fullmatch(case) is None:
            raise BreakGlassNotPossibleError("a case is up to 64 letters, digits and . _ : / # - without spaces")
        now = self._now()
        await self._documents.delete_many({"waits": False, "opened_at": {"$lt": now - _KEPT}})
        if await self._waiting(caller) >= _MOST_WAITING:
            raise _too_many()
        name = f"bgl_{base64.b32encode(self._random(10)).decode().lower()}"
        entry = await self._record(caller, PURPOSE, name, operation, trace)
        opening = Opening(
            id=name,
            actor=caller.actor,
            roles=tuple(sorted(set(caller.roles) - {ROLE})),
            case=case,
            opened_at=now,
            until=now + timedelta(minutes=minutes),
            ended_at=None,
            reason=reason,
            entry=entry,
            review=None,
        )
        await self._alarm(opening)
        await self._documents.insert_one(document(self._sealing, opening))
        # Several at once have each seen the others not yet; nobody was told its number, so nothing was read by it.
        if await self._waiting(caller) > _MOST_WAITING:
            await self._documents.update_one({"_id": name}, {"$set": {"ended_at": now}})
            raise _too_many()
        return opening

    async def widened(self, caller: Caller, purpose: str | None, case: str | None) -> Caller:
        """The caller with the role that the glass gives, where it is open for them and they say so; else without it.

        For any other purpose the caller is as they were, and nothing is asked: the role opens nothing there.
        """
        if purpose != PURPOSE:
            return caller
        roles = set(caller.roles) - {ROLE}
        if case is not None and _ID.fullmatch(case) and self.may_open(caller):
            found = await self._documents.find_one({"_id": case, "actor": caller.actor})
            if found is not None and found["ended_at"] is None and self._now() < found["until"]:
                roles.add(ROLE)
        return replace(caller, roles=tuple(sorted(roles)))

    async def count(self, caller: Caller, case: str | None, references: Collection[str]) -> None:
        """Count whom an opening is used to see, before they are shown; each counts once, how often they are seen.

        Of a caller for whom nothing is open, nothing is counted.

        Args:
            caller: As `widened` gave them.
            case: What they state as the case.
            references: Of those who would be shown, as records hold them.

        Raises:
            BreakGlassSpentError: These would be more than one opening is for; nobody may be shown.
        """
        if ROLE not in caller.roles or not references:
            return
        name = case or ""
        wanted = {veiled(name, each) for each in references}
        for _ in range(_TRIES):
            found = await self._documents.find_one({"_id": name, "actor": caller.actor}, {"seen": 1})
            seen = [bytes(each) for each in (found or {}).get("seen", ())]
            new = sorted(wanted - set(seen))
            if found is not None and not new:
                return
            if found is None or len(seen) + len(new) > self._most_people:
                raise BreakGlassSpentError(self._most_people)
            # Who sees somebody else with it at the same moment counts on from there.
            changed = await self._documents.update_one(
                {"_id": name, "people": len(seen) or {"$in": [0, None]}},
                {"$set": {"seen": [*seen, *new], "people": len(seen) + len(new)}},
            )
            if changed.matched_count:
                return
        raise BreakGlassSpentError(self._most_people)

    async def end(self, caller: Caller, name: str, *, trace: str | None = None) -> Opening:
        """End an opening of one's own before its time; again where it is over.

        Raises:
            BreakGlassNotFoundError: There is none of theirs.
        """
        now = self._now()
        which = {"_id": name, "actor": caller.actor}
        await self._documents.update_one(
            {**which, "ended_at": None, "until": {"$gt": now}}, {"$set": {"ended_at": now}}
        )
        found = await self._documents.find_one(which)
        if found is None:
            raise BreakGlassNotFoundError
        # Afterwards: a log that does not answer must not keep the glass open.
        await self._record(caller, PURPOSE, name, "break-glass end", trace)
        return read(self._sealing, found)

    async def mine(self, caller: Caller) -> list[Opening]:
        """The caller's own openings, newest first."""
        found = await self._documents.find({"actor": caller.actor}).to_list(None)
        return sorted((read(self._sealing, each) for each in found), key=lambda each: each.opened_at, reverse=True)[
            :_PAGE
        ]

    async def queue(self, access: Access, *, operation: str = "break-glass queue") -> list[Opening]:
        """The openings that wait to be reviewed, oldest first, and then the newest that were.

        Raises:
            ReadNotAllowedError: The caller does not oversee; that is recorded.
            AuditError: It cannot be recorded that they looked.
        """
        await self._oversees(access, operation)
        await self._recorded(access, operation, Kind.READ)
        waiting = await self._documents.find({"waits": True}).sort("opened_at", 1).limit(_PAGE).to_list(None)
        done = await self._documents.find({"waits": False}).sort("opened_at", -1).limit(_PAGE).to_list(None)
        return [read(self._sealing, each) for each in (*waiting, *done)]

    async def waiting(self, caller: Caller) -> int:
        """How many openings of others wait to be reviewed; a hundred stand for more. Says nothing of any of them."""
        found = self._documents.find({"waits": True, "actor": {"$ne": caller.actor}}, {"_id": 1})
        return len(await found.limit(_PAGE).to_list(None))

    async def review(self, access: Access, name: str, judgement: Judgement, note: str) -> Opening:
        """Say what is to be thought of an opening that is over; never of one's own.

        Raises:
            ReadNotAllowedError: The caller does not oversee; that is recorded.
            BreakGlassNotFoundError: There is no such opening.
            BreakGlassNotPossibleError: It is the caller's own, open, or was reviewed before.
            AuditError: It cannot be recorded.
        """
        operation = f"break-glass review {judgement.value}"
        await self._oversees(access, operation)
        note = _words(note, 1, LONGEST_NOTE, "note")
        found = await self._documents.find_one({"_id": name}) if _ID.fullmatch(name) else None
        if found is None:
            raise BreakGlassNotFoundError
        opening, now = read(self._sealing, found), self._now()
        if opening.actor == access.caller.actor:
            raise BreakGlassNotPossibleError("nobody reviews an opening of their own")
        if opening.is_open(now):
            raise BreakGlassNotPossibleError("it is still open; review it when it is over")
        if opening.review is not None:
            raise BreakGlassNotPossibleError("it was reviewed before")
        request = access.disclosure.request
        entry = await self._record(access.caller, request.purpose, name, operation, request.trace)
        review = Review(access.caller.actor, now, judgement, note, entry)
        kept = reviewed(self._sealing, name, review)
        changed = await self._documents.update_one(
            {"_id": name, "waits": True}, {"$set": {"review": kept, "waits": False}}
        )
        if not changed.matched_count:
            raise BreakGlassNotPossibleError("it was reviewed before")
        return replace(opening, review=review)

    async def one(self, name: str) -> Opening | None:
        """An opening, for the alarm."""
        found = await self._documents.find_one({"_id": name})
        return None if found is None else read(self._sealing, found)

    async def _waiting(self, caller: Caller) -> int:
        """How many openings of theirs wait to be reviewed."""
        found = await self._documents.find({"actor": caller.actor, "waits": True}, {"_id": 1}).to_list(None)
        return len(found)

    def _bare(self, caller: Caller) -> Grant:
        """What the caller's own roles may, for this purpose."""
        return self._policies().decide(tuple(sorted(set(caller.roles) - {ROLE})), PURPOSE)

    async def _oversees(self, access: Access, operation: str) -> None:
        oversight = _OVERSIGHT in access.grant.purpose.lineage
        log_open = any(each.scope is Scope.ANY for each in access.grant.read["access_entry.actor"].alternatives)
        if not oversight or not log_open:
            await self._recorded(access, operation, Kind.READ, Outcome.REFUSED)
            raise ReadNotAllowedError(("access_entry.actor",))

    async def _recorded(self, access: Access, operation: str, kind: Kind, outcome: Outcome = Outcome.ALLOWED) -> None:
        request = access.disclosure.request
        await self._record(access.caller, request.purpose, request.case, operation, request.trace, outcome, kind=kind)

    async def _record(
        self,
        caller: Caller,
        purpose: str,
        case: str | None,
        operation: str,
        trace: str | None,
        outcome: Outcome = Outcome.ALLOWED,
        *,
        kind: Kind = Kind.ADMIN,
    ) -> str:
        entry = await self._log.append(
            Record(
                kind=kind,
                time=timestamp(self._now()),
                actor=caller.actor,
                client=caller.client,
                roles=tuple(sorted(set(caller.roles))),
                purpose=purpose,
                case=case if case is not None and _CASE.fullmatch(case) else None,
                operation=operation,
                outcome=outcome,
                policy=self._policies().version,
                trace=trace,
            )
        )
        return str(entry)


def _too_many() -> BreakGlassNotPossibleError:
    return BreakGlassNotPossibleError(f"{_MOST_WAITING} openings of yours wait to be reviewed; have them reviewed")


def _words(text: str, least: int, most: int, what: str) -> str:
    """Words that somebody wrote, in one piece."""
    plain = " ".join(text.split())
    if not least <= len(plain) <= most or "\0" in plain:
        raise BreakGlassNotPossibleError(f"write a {what} of {least} to {most} characters")
    return plain


__all__ = [
    "LONGEST_MINUTES",
    "LONGEST_NOTE",
    "LONGEST_REASON",
    "MOST_PEOPLE",
    "PURPOSE",
    "ROLE",
    "SHORTEST_REASON",
    "Alarm",
    "BreakGlass",
    "Judgement",
    "Opening",
    "Review",
]
