"""Entries of the access log, as auditors read them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
import strawberry

import audit
from audit import AccessQuery, Entry, Kind, Outcome
from customers.caller import Caller
from policies import FieldGrant, Grant, Scope, Verdict
from schema.errors import FilterNotAllowedError
from schema.permission import governed, structural
from schema.scalars import Timestamp, moment
from schema.types.made import made
from schema.types.page import Node, PageInfo


@strawberry.type(description="What was decided about some fields.")
class AccessDecision:
    """One group of fields with one decision."""

    decision: str = structural("clear, masked or withheld.")
    fields: list[str] = structural("The fields, as the catalogue names them.")
    reason: str | None = structural("Why it was masked or withheld.")
    rule: int | None = structural("The number of the rule that decided.")
    subject_count: int | None = structural("For how many of the subjects; null where it holds for all.")


@strawberry.type(
    description="One record of the access log. It names customers by references that die with their keys."
)
class AccessEntry(Node):
    """The catalogue's `access_entry`."""

    id: strawberry.ID = governed("access_entry.id", "The entry's place in the log: shard and number.")
    time: Timestamp | None = governed("access_entry.time", "When it happened.")
    actor: str | None = governed("access_entry.actor", "Who did it.")
    roles: list[str] | None = governed("access_entry.roles", "In which roles.")
    client: str | None = governed("access_entry.client", "Through which application.")
    purpose: str | None = governed("access_entry.purpose", "For which purpose.")
    case: str | None = governed("access_entry.case", "For which case, such as a ticket's number.")
    kind: str | None = governed(
        "access_entry.operation", "read, write, search, export, erasure_intent, erasure_done …"
    )
    operation: str | None = governed("access_entry.operation", "The name of the GraphQL operation.")
    decisions: list[AccessDecision] | None = governed("access_entry.fields", "What was decided about which fields.")
    filters: list[str] | None = governed("access_entry.fields", "The fields that were filtered or sorted by.")
    subjects: list[str] | None = governed("access_entry.subjects", "The customers, by audit reference.")
    outcome: str | None = governed("access_entry.outcome", "allowed, refused, failed or not_found.")
    policy_version: str | None = governed("access_entry.policy_version", "The policy that decided.")
    document: str | None = governed(
        "access_entry.document",
        "The SHA-256, in hexadecimal, of the query that was run, without the literals in it, or of the policy loaded.",
    )
    trace: str | None = governed("access_entry.trace", "The trace that the request belongs to (W3C trace id).")


@strawberry.type(description="An entry and its place in the list.")
class AccessEntryEdge:
    """Relay's edge."""

    cursor: str = structural("The place of this entry in the list.")
    node: AccessEntry = structural("The entry.")


@strawberry.type(description="A page of entries, newest first. A page can be short and still have a next one.")
class AccessEntryConnection:
    """Relay's connection."""

    edges: list[AccessEntryEdge] = structural("The entries with their cursors.")
    nodes: list[AccessEntry] = structural("The entries alone.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.enum(description="What an entry records.")
class AccessKind(Enum):
    """The GraphQL names of the kinds."""

    READ = strawberry.enum_value(Kind.READ.value, description="Fields of customers were read.")
    WRITE = strawberry.enum_value(Kind.WRITE.value, description="Fields of customers were written.")
    SEARCH = strawberry.enum_value(Kind.SEARCH.value, description="The access log was searched.")
    EXPORT = strawberry.enum_value(Kind.EXPORT.value, description="Something was exported.")
    ERASURE_INTENT = strawberry.enum_value(Kind.ERASURE_INTENT.value, description="An erasure was begun.")
    ERASURE_DONE = strawberry.enum_value(Kind.ERASURE_DONE.value, description="An erasure was finished.")
    POLICY_CHANGE = strawberry.enum_value(Kind.POLICY_CHANGE.value, description="The policy was changed.")
    ADMIN = strawberry.enum_value(Kind.ADMIN.value, description="Something was administered.")


@strawberry.enum(description="How a field left.")
class AccessVerdict(Enum):
    """The GraphQL names of the log's verdicts."""

    CLEAR = strawberry.enum_value(audit.Verdict.CLEAR.value, description="In clear.")
    MASKED = strawberry.enum_value(audit.Verdict.MASKED.value, description="Behind a mask.")
    WITHHELD = strawberry.enum_value(audit.Verdict.WITHHELD.value, description="Not at all.")


@strawberry.enum(description="How a request ended.")
class AccessOutcome(Enum):
    """The GraphQL names of the outcomes."""

    ALLOWED = strawberry.enum_value(Outcome.ALLOWED.value, description="It was answered.")
    REFUSED = strawberry.enum_value(Outcome.REFUSED.value, description="It was not allowed, or made no sense.")
    FAILED = strawberry.enum_value(Outcome.FAILED.value, description="It was allowed, and something broke.")
    NOT_FOUND = strawberry.enum_value(Outcome.NOT_FOUND.value, description="It reached nobody.")


@strawberry.input(description="Conditions on entries that must all hold.")
class AccessLogFilter:
    """What the log can be searched by."""

    actor: str | None = strawberry.field(default=None, description="Who did it.")
    role: str | None = strawberry.field(default=None, description="In this role.")
    client: str | None = strawberry.field(default=None, description="Through this application.")
    purpose: str | None = strawberry.field(default=None, description="For this purpose.")
    case: str | None = strawberry.field(default=None, description="For this case.")
    kind: AccessKind | None = strawberry.field(default=None, description="What was done.")
    field: str | None = strawberry.field(default=None, description="Touching this field, such as profile.email.")
    decision: AccessVerdict | None = strawberry.field(
        default=None,
        description="With at least one field that left in this way, for any or some of the customers; together with "
        "`field`: that field; together with `customer`: for that customer.",
    )
    outcome: AccessOutcome | None = strawberry.field(default=None, description="How it ended.")
    policy_version: str | None = strawberry.field(default=None, description="Decided by this version of the policy.")
    customer: strawberry.ID | None = strawberry.field(
        default=None, description="About this living customer; nobody can ask it of an erased one."
    )
    since: Timestamp | None = strawberry.field(default=None, description="From this moment on.")
    until: Timestamp | None = strawberry.field(default=None, description="Before this moment.")


# Which field of the catalogue a condition uses.
_FILTER_PATHS: Mapping[str, str] = {
    "actor": "access_entry.actor",
    "role": "access_entry.roles",
    "client": "access_entry.client",
    "purpose": "access_entry.purpose",
    "case": "access_entry.case",
    "kind": "access_entry.operation",
    "field": "access_entry.fields",
    "decision": "access_entry.fields",
    "outcome": "access_entry.outcome",
    "policy_version": "access_entry.policy_version",
    "customer": "access_entry.subjects",
    "since": "access_entry.time",
    "until": "access_entry.time",
}


def log_scope(grant: Grant, caller: Caller) -> Scope | None:
    """Whose entries the caller may read: everybody's, those about themselves, or (None) nobody's."""
    scopes = {alternative.scope for alternative in grant.read["access_entry.id"].alternatives}
    if Scope.ANY in scopes:
        return Scope.ANY
    return Scope.OWN if Scope.OWN in scopes and caller.customer_id is not None else None


def filter_paths(given: AccessLogFilter | None) -> list[str]:
    """The fields that a search uses."""
    return sorted(
        {path for name, path in _FILTER_PATHS.items() if given is not None and getattr(given, name) is not None}
    )


def check_filters(used: Iterable[str], grant: Grant, scope: Scope) -> None:
    """Let a search of entries of this scope use these fields.

    Raises:
        FilterNotAllowedError: The caller may not filter by one of them.
    """
    refused = [path for path in used if not _allows(grant.filter[path], scope)]
    if refused:
        raise FilterNotAllowedError(refused)


def _allows(granted: FieldGrant, scope: Scope) -> bool:
    return any(each.verdict is Verdict.CLEAR and each.scope in (Scope.ANY, scope) for each in granted.alternatives)


def access_query(given: AccessLogFilter | None, subject: str | None, parts: tuple[str, ...] = ()) -> AccessQuery:
    """The log's form of a search; `subject` is the audit reference of the customer it is about, if of one.

    `parts` are those of the profiles that are one person with them.

    Raises:
        InputInvalidError: A time is not one.
    """
    if given is None:
        return AccessQuery(subject=subject, parts=parts)
    return AccessQuery(
        actor=given.actor,
        role=given.role,
        client=given.client,
        purpose=given.purpose,
        case=given.case,
        kind=None if given.kind is None else Kind(str(given.kind.value)),
        field=given.field,
        decision=None if given.decision is None else audit.Verdict(str(given.decision.value)),
        outcome=None if given.outcome is None else Outcome(str(given.outcome.value)),
        policy_version=given.policy_version,
        subject=subject,
        parts=parts,
        since=moment(given.since, "since"),
        until=moment(given.until, "until"),
    )


def shown_entry(entry: Entry, grant: Grant, scope: Scope, subjects: Sequence[str]) -> AccessEntry:
    """The entry as the grant leaves it.

    Where the caller may only see what is about themselves, `subjects` are their audit references, of every profile
    that is one person with theirs, and what the entry says of other customers is left out.
    """
    values: dict[str, Any] = {"id": str(entry.id)}
    record = entry.record
    if scope is Scope.OWN and subjects:
        record = _about(record, subjects)
    for name, (path, value) in _VALUES.items():
        values[name] = value(record) if _allows(grant.read[path], scope) else None
    return made(AccessEntry, values)


def _about(record: audit.Record, subjects: Sequence[str]) -> audit.Record:
    """The record as if these had been its only subjects."""
    positions = {at for at, each in enumerate(record.subjects) if each in subjects}
    theirs = [each for each in record.exceptions if not positions.isdisjoint(each.subjects)]
    paths = {path for each in theirs for path in each.fields}
    # What holds for one of several profiles that became one person only later does not hold for the others.
    apart = {
        path for path in paths if positions <= {at for each in theirs if path in each.fields for at in each.subjects}
    }
    general = [
        msgspec.structs.replace(each, fields=tuple(path for path in each.fields if path not in apart))
        for each in record.decisions
    ]
    own = [
        audit.Decision(decision=each.decision, fields=each.fields, reason=each.reason, rule=each.rule)
        for each in theirs
    ]
    kept = tuple(each for each in (*general, *own) if each.fields)
    # What staff called their query or their case may name somebody else whom it was about.
    return msgspec.structs.replace(
        record,
        decisions=kept,
        exceptions=(),
        subjects=tuple(record.subjects[at] for at in sorted(positions)),
        operation=None,
        case=None,
    )


def _decisions(record: audit.Record) -> list[AccessDecision]:
    found = [
        AccessDecision(
            decision=each.decision.value,
            fields=list(each.fields),
            reason=None if each.reason is None else each.reason.value,
            rule=each.rule,
            subject_count=None,
        )
        for each in record.decisions
    ]
    found += [
        AccessDecision(
            decision=each.decision.value,
            fields=list(each.fields),
            reason=each.reason.value,
            rule=each.rule,
            subject_count=len(each.subjects),
        )
        for each in record.exceptions
    ]
    return found


_VALUES: Mapping[str, tuple[str, Callable[[audit.Record], Any]]] = {
    "time": ("access_entry.time", lambda record: record.time),
    "actor": ("access_entry.actor", lambda record: record.actor),
    "roles": ("access_entry.roles", lambda record: list(record.roles)),
    "client": ("access_entry.client", lambda record: record.client),
    "purpose": ("access_entry.purpose", lambda record: record.purpose),
    "case": ("access_entry.case", lambda record: record.case),
    "kind": ("access_entry.operation", lambda record: record.kind.value),
    "operation": ("access_entry.operation", lambda record: record.operation),
    "decisions": ("access_entry.fields", _decisions),
    "filters": ("access_entry.fields", lambda record: list(record.filters)),
    "subjects": ("access_entry.subjects", lambda record: list(record.subjects)),
    "outcome": ("access_entry.outcome", lambda record: Outcome(record.outcome).value),
    "policy_version": ("access_entry.policy_version", lambda record: record.policy),
    "document": ("access_entry.document", lambda record: record.document),
    "trace": ("access_entry.trace", lambda record: record.trace),
}
