"""Breach radius: whose data of which categories was read, for the notice to the supervisory authority (GDPR Art. 33).

Customers are counted by their audit references, which lead to nobody without the customer's own key; `resolve.py` is
the way to people. The log is streamed; what is kept are about 180 bytes for each customer that was met.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from audit import AccessQuery, Decision, Deviation, Kind, Outcome, Record, Verdict, moment
from customers.access import Access
from customers.oversight.categories import is_known, parted
from customers.oversight.history import Log, OnProgress, check_search, entries, record_search, silent
from customers.oversight.people import People
from customers.oversight.references import Marks, References, union
from policies import Catalogue

READING = frozenset({Kind.READ, Kind.SEARCH, Kind.EXPORT})
"""The kinds of records by which something of a customer leaves. What a write answers is a read of its own."""
NOT_IN_CATALOGUE = "not in the catalogue any more"

_READ = ("time", "roles", "purpose", "operation", "fields", "subjects", "outcome")
_MOST_SHAPES = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Reached:
    """How many customers; one may count under several.

    Attributes:
        clear: Of whom it left in clear.
        masked: Of whom only its mask left.
        found: Who were found, or put in order, by it: whoever asked knows something of its value.
        customers: Of whom any of these is true.
    """

    clear: int
    masked: int
    found: int
    customers: int


@dataclass(frozen=True, slots=True)
class FieldImpact:
    """What was read of one field."""

    field: str
    label: str
    category: str
    reached: Reached


@dataclass(frozen=True, slots=True)
class CategoryImpact:
    """What was read of one category: of its fields together."""

    category: str
    label: str
    reached: Reached
    fields: tuple[FieldImpact, ...]


@dataclass(frozen=True)
class Impact:
    """What was read; true when anything was.

    Attributes:
        query: What was asked for.
        records: How many records of the log match, of every kind and outcome.
        read: By how many of them something of a customer was read.
        customers: Of how many different customers; one whose profiles were merged counts once.
        values: How many different fields of customers, all told; a field of orders counts once for each customer.
        first, last: When the first and the last of these reads were.
        categories: What was read, those of most customers first.
        purposes, roles: Of the reads that count: how many of each; a record may have several roles.
        kinds, outcomes: Of all records that match: how many of each.
    """

    query: AccessQuery
    records: int
    read: int
    customers: int
    values: int
    first: datetime | None
    last: datetime | None
    categories: tuple[CategoryImpact, ...]
    purposes: Mapping[str, int]
    roles: Mapping[str, int]
    kinds: Mapping[str, int]
    outcomes: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.read)


@dataclass(frozen=True, slots=True)
class Trace:
    """What was read of one customer: categories in clear (or by finding them so), those only masked, and when.

    They have one number, by which they count, under each of their references.
    """

    number: int
    clear: tuple[str, ...]
    masked: tuple[str, ...]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class _Shape:
    """What left of one customer by one access: paths."""

    clear: frozenset[str]
    masked: frozenset[str]
    found: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.clear or self.masked or self.found)


class Radius:
    """Adds up what was read, record by record.

    Args:
        query: What was asked for; where it names a field, nothing else is counted.
        catalogue: Where fields have their categories.
    """

    def __init__(self, query: AccessQuery, catalogue: Catalogue) -> None:
        self._query = query
        self._catalogue = catalogue
        self._references = References()
        self._first = array("q")
        self._last = array("q")
        self._shapes: dict[_Shape, Marks] = {}
        self._fields: dict[tuple[str, str], Marks] = {}
        self._bases: dict[object, _Shape] = {}
        self._purposes: Counter[str] = Counter()
        self._roles: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._read = 0

    def add(self, record: Record) -> None:
        """Count one matching record."""
        self._kinds[record.kind.value] += 1
        self._outcomes[record.outcome.value] += 1
        if record.kind not in READING or record.outcome is not Outcome.ALLOWED or not record.subjects:
            return
        base = self._base(record)
        apart: dict[int, list[Deviation]] = {}
        for deviation in record.exceptions:
            for at in deviation.subjects:
                apart.setdefault(at, []).append(deviation)
        time = (moment(record.time) - _EPOCH) // timedelta(microseconds=1)
        reached = False
        for at, reference in enumerate(record.subjects):
            shape = base if at not in apart else self._kept(_except(base, apart[at]))
            if shape:
                reached = True
                self._mark(shape, self._references.number(reference), time)
        if reached:
            self._read += 1
            self._purposes[record.purpose or ""] += 1
            self._roles.update(record.roles)

    def number(self, reference: str) -> int | None:
        """The number of the customer with this audit reference, by which they count; None where nothing was read."""
        return self._references.find(reference)

    def join(self, part: str, person: str) -> None:
        """Have two customers count as one: a profile that was met, and the one it was merged into."""
        moved = self._references.join(part, person)
        if moved is None:
            return
        self._fold()
        old, new = moved
        for marks in self._fields.values():
            marks.move(old, new)
        self._first[new] = min(self._first[old], self._first[new])
        self._last[new] = max(self._last[old], self._last[new])

    def result(self) -> Impact:
        """What was read, all told."""
        self._fold()
        categories = sorted(self._categories(), key=lambda each: (-each.reached.customers, each.category))
        seen = len(self._references)
        return Impact(
            query=self._query,
            records=self._kinds.total(),
            read=self._read,
            customers=seen,
            values=sum(field.reached.customers for each in categories for field in each.fields),
            first=_moment(min(self._first)) if seen else None,
            last=_moment(max(self._last)) if seen else None,
            categories=tuple(categories),
            purposes=dict(self._purposes.most_common()),
            roles=dict(self._roles.most_common()),
            kinds=dict(self._kinds.most_common()),
            outcomes=dict(self._outcomes.most_common()),
        )

    def __len__(self) -> int:
        """How many different customers were met."""
        return len(self._references)

    def trace(self, reference: str) -> Trace | None:
        """What was read of the customer with this audit reference; None for one of whom nothing was."""
        self._fold()
        number = self._references.find(reference)
        if number is None:
            return None
        ways: dict[str, set[str]] = {"clear": set(), "masked": set(), "found": set()}
        for (path, way), marks in self._fields.items():
            if number in marks:
                ways[way].add(self._category(path))
        clear = ways["clear"] | ways["found"]
        return Trace(
            number=number,
            clear=tuple(sorted(clear)),
            masked=tuple(sorted(ways["masked"] - clear)),
            first=_moment(self._first[number]),
            last=_moment(self._last[number]),
        )

    def _base(self, record: Record) -> _Shape:
        """What left of a subject without exceptions."""
        key = (record.decisions, record.filters)
        found = self._bases.get(key)
        if found is None:
            if len(self._bases) >= _MOST_SHAPES:
                self._bases.clear()
            found = self._bases[key] = self._kept(
                _Shape(
                    clear=_paths(record.decisions, Verdict.CLEAR),
                    masked=_paths(record.decisions, Verdict.MASKED),
                    found=frozenset(record.filters),
                )
            )
        return found

    def _kept(self, shape: _Shape) -> _Shape:
        """Of a shape, what was asked for."""
        if self._query.field is None:
            return shape
        asked = frozenset({self._query.field})
        return _Shape(shape.clear & asked, shape.masked & asked, shape.found & asked)

    def _mark(self, shape: _Shape, number: int, time: int) -> None:
        if shape not in self._shapes and len(self._shapes) >= _MOST_SHAPES:
            self._fold()
        self._shapes.setdefault(shape, Marks()).add(number)
        if number == len(self._first):
            self._first.append(_LATEST)
            self._last.append(-_LATEST)
        self._first[number] = min(self._first[number], time)
        self._last[number] = max(self._last[number], time)

    def _fold(self) -> None:
        """Give what is counted by shape to the fields."""
        for shape, marks in self._shapes.items():
            for way, paths in (("clear", shape.clear), ("masked", shape.masked), ("found", shape.found)):
                for path in paths:
                    self._fields.setdefault((path, way), Marks()).merge(marks)
        self._shapes.clear()

    def _category(self, path: str) -> str:
        field = self._catalogue.fields.get(path)
        if field is not None:
            return field.category
        of = parted(path)
        return of[1] if of is not None and is_known(path, self._catalogue) else NOT_IN_CATALOGUE

    def _categories(self) -> Iterator[CategoryImpact]:
        paths: dict[str, list[str]] = {}
        for path in sorted({path for path, _ in self._fields}):
            paths.setdefault(self._category(path), []).append(path)
        for category, theirs in paths.items():
            fields = sorted(
                (FieldImpact(path, self._label(path), category, self._reached([path])) for path in theirs),
                key=lambda each: (-each.reached.customers, each.field),
            )
            label = self._catalogue.categories.get(category, category)
            yield CategoryImpact(category, label, self._reached(theirs), tuple(fields))

    def _label(self, path: str) -> str:
        field = self._catalogue.fields.get(of[0] if (of := parted(path)) is not None else path)
        return path if field is None else field.label

    def _reached(self, paths: Sequence[str]) -> Reached:
        ways = {
            way: union(self._fields[path, way] for path in paths if (path, way) in self._fields)
            for way in ("clear", "masked", "found")
        }
        return Reached(
            clear=len(ways["clear"]),
            masked=len(ways["masked"]),
            found=len(ways["found"]),
            customers=len(union(ways.values())),
        )


async def radius(
    log: Log,
    access: Access,
    query: AccessQuery,
    catalogue: Catalogue,
    *,
    people: People | None = None,
    now: datetime,
    progress: OnProgress = silent,
) -> Radius:
    """What was read by the accesses that the query finds; recorded in the log before this returns.

    Args:
        log: The access log.
        access: Who asks; must be allowed to read the log and to search it so.
        query: An actor, a client, a field, a span of time, or several of them.
        catalogue: Where fields have their categories.
        people: Where it is known which profiles are one person, who counts once; None to count every profile.
        now: The time.
        progress: Told after every page of the log.

    Raises:
        FilterNotAllowedError, ReadNotAllowedError: The caller may not; nothing was read.
        audit.AuditUnavailableError: The log could not be read, or the search not recorded; nothing is told.
        audit.AuditCorruptError: What is stored cannot have been written by a log.
        vault.VaultError: A key cannot be used, so it is not known who is one person.
    """
    check_search(access, query, _READ)
    found = Radius(query, catalogue)
    async for page in entries(log, query, now=now, progress=progress):
        for entry in page:
            found.add(entry.record)
    if people is not None:
        async for part, person in people.joined(lambda reference: found.number(reference) is not None):
            found.join(part, person)
    await record_search(log, access, query, _READ, now)
    return found


def _paths(decisions: Iterable[Decision | Deviation], verdict: Verdict) -> frozenset[str]:
    return frozenset(path for each in decisions if each.decision is verdict for path in each.fields)


def _except(base: _Shape, deviations: Sequence[Deviation]) -> _Shape:
    """What left of a customer for whom some fields were decided otherwise."""
    apart = {path for each in deviations for path in each.fields}
    return _Shape(
        clear=(base.clear - apart) | _paths(deviations, Verdict.CLEAR),
        masked=(base.masked - apart) | _paths(deviations, Verdict.MASKED),
        found=base.found,
    )


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
