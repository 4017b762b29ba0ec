"""What-if: a changed policy over the accesses that really happened.

The log is streamed; what is kept grows with the number of different changes and, only where something would change,
with the customers concerned (references.py).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from audit import AccessQuery, Record
from customers.access import Access
from customers.oversight.change import Change, Direction
from customers.oversight.comparison import Compared, Comparison, effects
from customers.oversight.history import Log, OnProgress, check_search, entries, record_search, silent
from customers.oversight.people import People
from customers.oversight.references import Marks, References
from policies import PolicySet

FEWEST = 11
"""Smaller numbers of customers are not told exactly: a report on rules is not to point at people."""

_READ = ("time", "roles", "purpose", "operation", "fields", "subjects", "outcome", "policy_version")


@dataclass(frozen=True, slots=True)
class Group:
    """Accesses for which one thing would have been decided otherwise.

    Attributes:
        change: What.
        records: How many accesses.
        customers: How many different customers they were about, exactly; show `told(customers)`.
    """

    change: Change
    records: int
    customers: int


@dataclass(frozen=True)
class Replay:
    """What a replay found; true when anything would have been decided otherwise.

    Attributes:
        policy: The version of the policy that was replayed.
        since, until: The span of time; `until` is not in it.
        records: How many records there were.
        compared: How many of them hold decisions of a policy.
        changed: For how many something would have been decided otherwise.
        customers: How many different customers those were about, exactly; show `told(customers)`.
        directions: For how many records more would have been seen, for how many less; one may count as both.
        groups: Each change, those of most records first.
        decided_by: Version of the policy that decided → how many records.
        scopes_unknown: How many records were decided by a policy that is not at hand, so that a change of nothing but
            a row scope does not show.
        filters_unknown: Of how many refused requests nobody can say which filter was refused.
        purposes, roles, fields: What the policy does not know → in how many records.
    """

    policy: str
    since: datetime
    until: datetime
    records: int
    compared: int
    changed: int
    customers: int
    directions: Mapping[Direction, int]
    groups: tuple[Group, ...]
    decided_by: Mapping[str, int]
    scopes_unknown: int
    filters_unknown: int
    purposes: Mapping[str, int]
    roles: Mapping[str, int]
    fields: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.groups)


def told(customers: int) -> int | str:
    """A number of customers as a report may say it."""
    return customers if customers >= FEWEST else f"fewer than {FEWEST}"


async def replay(
    log: Log,
    access: Access,
    policy: PolicySet,
    past: Iterable[PolicySet],
    *,
    since: datetime,
    until: datetime | None,
    now: datetime,
    people: People | None = None,
    progress: OnProgress = silent,
) -> Replay:
    """Decide every access of the span anew by `policy`, and compare; recorded in the log before this returns.

    Args:
        log: The access log.
        access: Who asks; must be allowed to read the log and to search it by time.
        policy: The policy that is to decide.
        past: The policies that decided then, as far as they are at hand.
        since: The first moment.
        until: The first moment that is not in the span; None for now.
        now: The time.
        people: Where it is known which profiles are one person, who counts once; None to count every profile.
        progress: Told after every page of the log.

    Raises:
        FilterNotAllowedError, ReadNotAllowedError: The caller may not; nothing was read.
        audit.AuditUnavailableError: The log could not be read, or the search not recorded; nothing is told.
        audit.AuditCorruptError: What is stored cannot have been written by a log.
        vault.VaultError: A key cannot be used, so it is not known who is one person.
    """
    query = AccessQuery(since=since, until=until or now)
    check_search(access, query, _READ)
    tally = _Tally(Comparison(policy, past))
    async for page in entries(log, query, now=now, progress=progress):
        for entry in page:
            tally.add(entry.record)
    if people is not None:
        async for part, person in people.joined(tally.met):
            tally.join(part, person)
    await record_search(log, access, query, _READ, now)
    return tally.result(policy.version, since, until or now)


@dataclass
class _Count:
    """How many records, and which customers."""

    records: int = 0
    customers: Marks = field(default_factory=Marks)


class _Tally:
    """Counts, record by record."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._references = References()
        self._groups: dict[Change, _Count] = {}
        self._directions: Counter[Direction] = Counter()
        self._by: Counter[str] = Counter()
        self._purposes: Counter[str] = Counter()
        self._roles: Counter[str] = Counter()
        self._fields: Counter[str] = Counter()
        self._compared = self._changed = self._scopes_unknown = self._filters_unknown = 0

    def add(self, record: Record) -> None:
        self._by[record.policy] += 1
        compared = self._comparison.compare(record)
        if not compared.decided:
            return
        self._compared += 1
        self._note(compared)
        if not compared:
            return
        directions: set[Direction] = set()
        for change, subjects in effects(record, compared):
            count = self._groups.setdefault(change, _Count())
            count.records += 1
            for subject in subjects:
                count.customers.add(self._references.number(subject))
            directions |= (
                {Direction.MORE, Direction.LESS} if change.direction is Direction.MIXED else {change.direction}
            )
        self._directions.update(directions)
        self._changed += bool(directions)

    def met(self, reference: str) -> bool:
        return self._references.find(reference) is not None

    def join(self, part: str, person: str) -> None:
        """Have two customers count as one."""
        if (moved := self._references.join(part, person)) is not None:
            for count in self._groups.values():
                count.customers.move(*moved)

    def _note(self, compared: Compared) -> None:
        """Count what the policy does not know, and what cannot be known."""
        self._scopes_unknown += not compared.scopes_known
        self._filters_unknown += not compared.filters_known
        self._roles.update(compared.roles)
        self._fields.update(compared.fields)
        if compared.purpose is not None:
            self._purposes[compared.purpose] += 1

    def result(self, policy: str, since: datetime, until: datetime) -> Replay:
        groups = [Group(change, count.records, len(count.customers)) for change, count in self._groups.items()]
        groups.sort(key=lambda each: (-each.records, -each.customers, _order(each.change)))
        return Replay(
            policy=policy,
            since=since,
            until=until,
            records=self._by.total(),
            compared=self._compared,
            changed=self._changed,
            customers=len(self._references),
            directions=dict(self._directions),
            groups=tuple(groups),
            decided_by=dict(self._by.most_common()),
            scopes_unknown=self._scopes_unknown,
            filters_unknown=self._filters_unknown,
            purposes=dict(self._purposes.most_common()),
            roles=dict(self._roles.most_common()),
            fields=dict(self._fields.most_common()),
        )


def _order(change: Change) -> tuple[str, ...]:
    """So that the same log gives the same report."""
    return (
        *change.roles, change.purpose, change.field or "", change.action, change.before, change.after,
        str(change.old_rule),
    )  # fmt: skip
