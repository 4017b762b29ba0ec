"""What one request has disclosed so far: the material of its access record and of the caller's explanation.

One request makes one record, however many customers and fields it touches.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import audit
from audit import Decision, Deviation, Kind, Outcome, Record, timestamp
from customers.caller import Caller
from policies import Grant, Reason, Verdict

_CUSTOMER = "customer"


def reference_text(reference: bytes) -> str:
    """An audit reference (16 bytes) as records hold it: 22 characters of base64url."""
    return base64.urlsafe_b64encode(reference)[:22].decode()


@dataclass(frozen=True, slots=True)
class Request:
    """The circumstances of a request that its records repeat: who, why, and through which document."""

    caller: Caller
    purpose: str
    case: str | None
    operation: str | None
    document: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class Departure:
    """Fields that for one customer came to less than the policy's best, and why."""

    verdict: Verdict
    reason: Reason
    fields: frozenset[str]


@dataclass(slots=True)
class Disclosure:
    """Collects, during one request, which fields of which customers were read and what was decided for each."""

    request: Request
    grant: Grant
    kind: Kind = Kind.READ
    entry: str | None = None
    """The log's entry of what was done, where that has a record of its own."""
    _fields: dict[str, tuple[Verdict, int | None]] = field(default_factory=dict)
    _filters: set[str] = field(default_factory=set)
    _subjects: dict[str, int] = field(default_factory=dict)
    _departures: dict[Departure, list[int]] = field(default_factory=dict)
    _parts: set[int] = field(default_factory=set)
    _erased: set[str] = field(default_factory=set)
    _people: bool = False
    _answered: bool = False

    @property
    def touched(self) -> bool:
        """Whether the request asked for anything that must be recorded."""
        return bool(self._fields or self._filters) or self.kind is Kind.SEARCH

    @property
    def reached(self) -> bool:
        """Whether anything of a customer, or anything of the log, was read."""
        return self._people or self._answered

    @property
    def people(self) -> tuple[str, ...]:
        """The references of the customers who are subjects; of a person of merged profiles, that of the one they are in."""
        return tuple(each for each, position in self._subjects.items() if position not in self._parts)

    def answered(self) -> None:
        """Note that what tells of nobody was answered, such as a search of the log, be it by nothing found."""
        self._answered = True

    def add_fields(self, verdicts: Mapping[str, tuple[Verdict, int | None]]) -> None:
        """Note that fields were asked for, each with the best the policy allows and the rule that says so."""
        self._fields.update(verdicts)

    def add_filters(self, paths: Iterable[str]) -> None:
        """Note that the request filtered or sorted by these fields."""
        self._filters.update(paths)

    def search(self, filters: Iterable[str], names: Iterable[str]) -> None:
        """Note that the access log was searched: by which fields, and which of its fields were shown."""
        self.kind = Kind.SEARCH
        self.add_filters(filters)
        for name in {"id", *names}:
            granted = self.grant.read[f"access_entry.{name}"]
            best = granted.alternatives[0] if granted else None
            self._fields[granted.path] = (
                (Verdict.WITHHELD, granted.rule) if best is None else (best.verdict, best.rule)
            )

    def add_subject(
        self, reference: bytes, departures: tuple[Departure, ...] = (), parts: Iterable[bytes] = ()
    ) -> str:
        """Note one customer by audit reference (16 bytes), and which fields came to less for this one.

        Args:
            reference: The customer's.
            departures: What came to less.
            parts: The references of the profiles that were merged into this one: they are subjects like it, and to the
                caller one customer with it.

        Returns:
            The reference as records hold it.
        """
        self._people = True
        text = self.about(reference)
        self._note(text, departures)
        for each in parts:
            self._parts.add(self._note(reference_text(each), departures))
        return text

    def _note(self, text: str, departures: tuple[Departure, ...]) -> int:
        position = self._subjects.setdefault(text, len(self._subjects))
        for departure in departures:
            held = self._departures.setdefault(departure, [])
            if not held or held[-1] != position:
                held.append(position)
        return position

    def about(self, reference: bytes, parts: Iterable[bytes] = ()) -> str:
        """Note one customer of whom nothing is read by this: whom a search of the log is about.

        Args:
            reference: The customer's.
            parts: As `add_subject`.

        Returns:
            The reference as records hold it.
        """
        text = reference_text(reference)
        self._subjects.setdefault(text, len(self._subjects))
        self._parts.update(self._note(reference_text(each), ()) for each in parts)
        return text

    def add_erased(self, paths: Iterable[str]) -> None:
        """Note that a customer who was asked for by id is erased."""
        self._erased.update(paths)

    def record(self, now: datetime, outcome: Outcome | None = None, kind: Kind | None = None) -> Record:
        """The access record of everything noted so far; `outcome` and `kind` where they do not follow from it."""
        request = self.request
        decisions: dict[tuple[Verdict, int | None], list[str]] = {}
        for path, verdict in self._fields.items():
            decisions.setdefault(verdict, []).append(path)
        if outcome is None:
            found = self._subjects or self._answered or self.kind is Kind.SEARCH
            outcome = Outcome.ALLOWED if found else Outcome.NOT_FOUND
        return Record(
            # An export stays one, however it ended.
            kind=self._kind() if kind is None or self.kind is Kind.EXPORT else kind,
            time=timestamp(now),
            # A customer is in the log by reference only, as the one subject of what they read of themselves.
            actor=_CUSTOMER if request.caller.customer_id is not None else request.caller.actor,
            roles=tuple(sorted(set(request.caller.roles))),
            client=request.caller.client,
            purpose=request.purpose,
            case=request.case,
            operation=request.operation,
            document=request.document,
            decisions=tuple(
                Decision(
                    decision=audit.Verdict(verdict),
                    fields=tuple(sorted(paths)),
                    rule=rule,
                    reason=audit.Reason.POLICY if verdict is Verdict.WITHHELD else None,
                )
                for (verdict, rule), paths in sorted(
                    decisions.items(), key=lambda each: (each[0][0], each[0][1] or 0)
                )
            ),
            exceptions=tuple(
                Deviation(
                    subjects=tuple(subjects),
                    decision=audit.Verdict(departure.verdict),
                    fields=tuple(sorted(departure.fields)),
                    reason=audit.Reason(departure.reason),
                )
                for departure, subjects in self._departures.items()
            ),
            filters=tuple(sorted(self._filters)),
            subjects=tuple(self._subjects),
            policy=self.grant.policy_version,
            trace=request.trace,
            outcome=outcome,
        )

    def _kind(self) -> Kind:
        """What was done. A request that searched the log and read customers too is a read of customers."""
        if self.kind is not Kind.SEARCH or all(path.startswith("access_entry.") for path in self._fields):
            return self.kind
        return Kind.SEARCH if self._answered and not self._people else Kind.READ

    def explanation(self) -> dict[str, Any]:
        """What was masked and withheld, grouped by field, for `extensions.privacy`."""
        masked: dict[int | None, list[str]] = {}
        withheld: dict[int | None, list[str]] = {}
        for path, (verdict, rule) in self._fields.items():
            if verdict is Verdict.MASKED:
                masked.setdefault(rule, []).append(path)
            elif verdict is Verdict.WITHHELD:
                withheld.setdefault(rule, []).append(path)
        refusals: list[dict[str, Any]] = [
            {"fields": sorted(paths), "reason": Reason.POLICY.value, "rule": rule} for rule, paths in withheld.items()
        ]
        masks: list[dict[str, Any]] = [{"fields": sorted(paths), "rule": rule} for rule, paths in masked.items()]
        for departure, subjects in self._departures.items():
            customers = len(set(subjects) - self._parts)
            (masks if departure.verdict is Verdict.MASKED else refusals).append(
                {"fields": sorted(departure.fields), "reason": departure.reason.value, "customers": customers}
            )
        if self._erased:
            refusals.append({"fields": sorted(self._erased), "reason": Reason.ERASED.value, "customers": 1})
        return {
            "purpose": self.request.purpose,
            "policy": self.grant.policy_version,
            "masked": masks,
            "withheld": refusals,
        }
