"""What to search the log for. Values in, values out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from audit.batch import decided
from audit.record import Decision, Deviation, Kind, Outcome, Record, Verdict, timestamp

# Search fields from those whose values recur in the fewest batches to those that nearly every batch has.
_RAREST = (
    "subjects", "cases", "kinds", "outcomes", "decided", "actors", "policies", "clients", "fields", "purposes", "roles",
    "decisions",
)  # fmt: skip
# Values that most batches have.
_USUAL = {"kinds": Kind.READ.value, "outcomes": Outcome.ALLOWED.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessQuery:
    """Records that are all of this; None asks for nothing.

    `field` finds the records that decided about a field or filtered by it; with `decision`, those where the field
    left in that way (for `subject`, where one is given). `since` is in the span, `until` is not; both need a time
    zone.
    """

    actor: str | None = None
    role: str | None = None
    client: str | None = None
    purpose: str | None = None
    case: str | None = None
    kind: Kind | None = None
    subject: str | None = None
    field: str | None = None
    decision: Verdict | None = None
    policy_version: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None

    def batches(self) -> dict[str, Any]:
        """The filter, without times, that every batch with a matching record passes; the rarest condition first.

        The embedded engine looks in the index of the first condition, whatever the others are.
        """
        wanted: dict[str, Any] = {**self._wanted()}
        if self.field is not None and self.decision is not None:
            # Batches of version 1 do not say which field left in which way (None): each may hold what is wanted.
            wanted["decided"] = {"$in": [decided(self.field, self.decision), None]}
        usual = {name for name, value in _USUAL.items() if wanted.get(name) == value}
        return {name: wanted[name] for name in sorted(wanted, key=lambda name: (name in usual, _RAREST.index(name)))}

    def needles(self) -> tuple[bytes, ...]:
        """What the bytes of every matching record hold, as canonical bytes: cheaper to look for than to decode."""
        return tuple(msgspec.json.encode(value) for value in self._wanted().values())

    def _wanted(self) -> dict[str, str]:
        """What is asked for, but for times, by the search field that names it."""
        wanted = {
            "actors": self.actor,
            "cases": self.case,
            "clients": self.client,
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
            and (self.subject is None or self.subject in record.subjects)
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
        return self.subject is None or any(record.subjects[at] == self.subject for at in deviation.subjects)

    def _among(self, decided: Sequence[Decision | Deviation], overridden: set[str]) -> bool:
        return any(
            (self.decision is None or self.decision == each.decision)
            and any((self.field is None or self.field == path) and path not in overridden for path in each.fields)
            for each in decided
        )
