"""What to search the log for. Values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from audit.batch import decided
from audit.record import Decision, Deviation, Kind, Outcome, Record, Verdict, timestamp

# Search fields from those whose values recur in the fewest batches to those that nearly every batch has; with a
# value's last word, where that makes the difference.
_RAREST = (
    "subjects", "cases", "kinds", "outcomes", "decided", "actors", "policies", "clients", "decided clear", "fields",
    "purposes", "roles", "decisions", "kinds read", "outcomes allowed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessQuery:
    """Records that are all of this; None asks for nothing.

    `field` finds the records that decided about a field or filtered by it; with `decision`, those where the field
    left in that way (for `subject`, where one is given). `since` is in the span, `until` is not; both need a time
    zone. `parts` are further references of the subject's: what is about any of them is about the subject.
    """

    actor: str | None = None
    role: str | None = None
    client: str | None = None
    purpose: str | None = None
    case: str | None = None
    kind: Kind | None = None
    subject: str | None = None
    parts: tuple[str, ...] = ()
    field: str | None = None
    decision: Verdict | None = None
    policy_version: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None

    def looked_up(self) -> tuple[dict[str, Any], ...]:
        """Which batches to look up, without times: those that any of these filters finds hold every match.

        Each filter is one equality, on the rarest of what is asked for, so that with bounds of time it is a stretch of
        one index: with a second condition the embedded engine goes through everything that has the first.
        """
        wanted = self._wanted()
        if not wanted:
            return ({},)
        first = _first(wanted)
        if first == "subjects" and self.parts:
            return tuple({first: each} for each in (wanted[first], *self.parts))
        # Batches of version 1 do not say which field left in which way: each may hold what is wanted.
        older = ({"decided": None},) if first == "decided" else ()
        return ({first: wanted[first]}, *older)

    def may_be_in(self, search: Mapping[str, Any]) -> bool:
        """Whether a batch that is found by these values may hold a match."""
        wanted = self._wanted()
        if self.parts:
            wanted.pop("subjects", None)
            if "subjects" in search and self._theirs().isdisjoint(search["subjects"]):
                return False
        return all(value in search[name] for name, value in wanted.items() if name in search)

    def needles(self) -> tuple[bytes, ...]:
        """What the bytes of every matching record hold, as canonical bytes: cheaper to look for than to decode."""
        told = {"decided", "subjects"} if self.parts else {"decided"}
        return tuple(msgspec.json.encode(value) for name, value in self._wanted().items() if name not in told)

    def _theirs(self) -> frozenset[str]:
        """Every reference of the subject's."""
        return frozenset(self.parts) if self.subject is None else frozenset((self.subject, *self.parts))

    def _wanted(self) -> dict[str, str]:
        """What is asked for, but for times, by the search field that names it."""
        wanted = {
            "actors": self.actor,
            "cases": self.case,
            "clients": self.client,
            "decided": self._pair(),
            "decisions": self.decision,
            "fields": self.field,
            "kinds": self.kind,
            "outcomes": self.outcome,
            "policies": self.policy_version,
            "purposes": self.purpose,
            "roles": self.role,
            "subjects": self.subject,
        }
        return {name: str(value) for name, value in wanted.items() if value is not None}

    def _pair(self) -> str | None:
        return None if self.field is None or self.decision is None else decided(self.field, self.decision)

    def span(self) -> tuple[str | None, str | None]:
        """`since` and `until` as records hold times."""
        return (
            None if self.since is None else timestamp(self.since),
            None if self.until is None else timestamp(self.until),
        )

    def matches(self, record: Record) -> bool:
        """Whether the record is all of what is asked for, but for its time."""
        pairs = (
            (self.actor, record.actor),
            (self.client, record.client),
            (self.purpose, record.purpose),
            (self.case, record.case),
            (self.kind, record.kind),
            (self.policy_version, record.policy),
            (self.outcome, record.outcome),
        )
        return (
            all(wanted is None or wanted == found for wanted, found in pairs)
            and (self.role is None or self.role in record.roles)
            and (self.subject is None or not self._theirs().isdisjoint(record.subjects))
            and self._decided(record)
        )

    def _decided(self, record: Record) -> bool:
        if self.field is None and self.decision is None:
            return True
        if self.decision is None and self.field in record.filters:
            return True
        apart = [other for other in record.exceptions if self._concerns(record, other)]
        overridden = {path for other in apart for path in other.fields} if self.subject is not None else set()
        return self._among(apart, set()) or self._among(record.decisions, overridden)

    def _concerns(self, record: Record, deviation: Deviation) -> bool:
        return self.subject is None or any(record.subjects[at] in self._theirs() for at in deviation.subjects)

    def _among(self, decided: Sequence[Decision | Deviation], overridden: set[str]) -> bool:
        return any(
            (self.decision is None or self.decision == each.decision)
            and any((self.field is None or self.field == path) and path not in overridden for path in each.fields)
            for each in decided
        )


def _first(wanted: Mapping[str, str]) -> str:
    """The rarest of what is asked for."""

    def place(name: str) -> int:
        narrower = f"{name} {wanted[name].rpartition(' ')[2]}"
        return _RAREST.index(narrower if narrower in _RAREST else name)

    return min(wanted, key=place)
