"""What is suspicious in a policy that loads: rules without effect, and rights that deserve a second look."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from policies.decisions import PolicySet
from policies.errors import PolicyInvalidError
from policies.loading import load_policies
from policies.rules import Rule
from policies.source import RETENTION, RULES
from policies.vocabulary import EVERY, ROOT_CATEGORY, Action, Effect, LawfulBasis, Scope, Verdict


class Severity(StrEnum):
    """How much it matters: an error keeps the policy from loading, a warning wants a change, a note a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class FindingKind(StrEnum):
    """What was found."""

    INVALID = "invalid"
    DUPLICATE = "duplicate"
    UNREACHABLE = "unreachable"
    SHADOWED = "shadowed"
    NO_EFFECT = "no_effect"
    SEES_EVERYTHING = "sees_everything"
    WRITES_IDENTIFIERS_BLINDLY = "writes_identifiers_blindly"
    KEPT_FOR_NOBODY = "kept_for_nobody"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: what it is.
        severity: how much it matters.
        file: the policy file.
        line: its line, from 1; None where it is about no single line.
        rule: the rule's number; None where it is about no single rule.
        message: one sentence, for people.
    """

    kind: FindingKind
    severity: Severity
    file: str
    line: int | None
    rule: int | None
    message: str

    def __str__(self) -> str:
        """`rules.csv:40: warning: what was found`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.severity}: {self.message}"


def check(policy_set: PolicySet) -> tuple[Finding, ...]:
    """Everything suspicious in a policy, in the order of its lines."""
    found = [*_rules_without_effect(policy_set), *_sees_everything(policy_set), *_writes_blindly(policy_set)]
    found += _kept_for_nobody(policy_set)
    return tuple(sorted(found, key=lambda finding: (finding.line is None, finding.line or 0, finding.message)))


def check_directory(directory: Path | None = None) -> tuple[Finding, ...]:
    """The same for a directory of policy files, whose faults (unknown names among them) become error findings."""
    try:
        return check(load_policies(directory))
    except PolicyInvalidError as error:
        return tuple(
            Finding(FindingKind.INVALID, Severity.ERROR, fault.file, fault.line, None, fault.message)
            for fault in error.faults
        )


class _Reach:
    """What a rule covers, as sets of the policy's own names."""

    __slots__ = ("actions", "categories", "purposes", "roles", "rule", "scopes")

    def __init__(self, policy_set: PolicySet, rule: Rule) -> None:
        tables = policy_set.tables
        self.rule = rule
        self.roles = {name for name, up in tables.roles.items() if rule.role == EVERY or rule.role in up}
        self.purposes = {name for name, up in tables.purposes.items() if rule.purpose == EVERY or rule.purpose in up}
        used = {field.category for field in policy_set.catalogue.fields.values()}
        if Action.ERASE in rule.actions:
            used.add(ROOT_CATEGORY)
        self.categories = {name for name in used if rule.category in tables.categories[name]}
        self.actions = set(rule.actions)
        self.scopes = set(Scope) if rule.scope is Scope.ANY else {rule.scope}

    def covers(self, other: "_Reach") -> bool:
        """Whether everything the other rule decides is decided by this one too."""
        return self.actions >= other.actions and self.covers_but_for_action(other)

    def covers_but_for_action(self, other: "_Reach") -> bool:
        """The same, whatever the action."""
        return (
            self.roles >= other.roles
            and self.purposes >= other.purposes
            and self.categories >= other.categories
            and self.scopes >= other.scopes
        )

    def meets(self, other: "_Reach") -> bool:
        """Whether some request of a caller who holds both roles is decided by both."""
        return bool(
            self.purposes & other.purposes and self.categories & other.categories and self.actions & other.actions,
        )


def _rules_without_effect(policy_set: PolicySet) -> Iterator[Finding]:
    reaches = [_Reach(policy_set, rule) for rule in policy_set.rules]
    allows = [reach for reach in reaches if reach.rule.effect is Effect.ALLOW]
    denies = [reach for reach in reaches if reach.rule.effect is Effect.DENY]
    for reach in reaches:
        if found := _without_effect(reach, allows, denies):
            yield found


def _without_effect(reach: _Reach, allows: list[_Reach], denies: list[_Reach]) -> Finding | None:
    rule = reach.rule
    same = allows if rule.effect is Effect.ALLOW else denies
    for other in same:
        if other.rule.number < rule.number and other.rule.values == rule.values:
            return _finding(FindingKind.DUPLICATE, rule, f"says again what {_name(other.rule)} says")
    if not reach.categories:
        return _finding(FindingKind.UNREACHABLE, rule, f"is about {rule.category}, which no field has")
    if rule.effect is Effect.ALLOW:
        for deny in denies:
            if deny.covers(reach):
                return _finding(
                    FindingKind.UNREACHABLE, rule, f"never allows anything: {_name(deny.rule)} denies it all"
                )
    for other in same:
        if other.rule is not rule and _shadows(other, reach):
            return _finding(FindingKind.SHADOWED, rule, f"adds nothing: {_name(other.rule)} says as much and more")
    if rule.effect is Effect.DENY and not any(reach.meets(allow) for allow in allows):
        message = "denies what no rule allows; it only guards against rules yet to be written"
        return _finding(FindingKind.NO_EFFECT, rule, message, Severity.NOTE)
    return None


def _shadows(other: _Reach, reach: _Reach) -> bool:
    """Whether the other rule makes this one needless. Of two that cover each other, the first stands."""
    if other.covers(reach):
        return not reach.covers(other) or other.rule.number < reach.rule.number
    if reach.rule.effect is Effect.ALLOW and reach.actions == {Action.READ_MASKED}:
        # Whoever reads in clear is never shown the mask.
        return Action.READ in other.actions and other.covers_but_for_action(reach)
    return False


def _sees_everything(policy_set: PolicySet) -> Iterator[Finding]:
    personal = [
        field.path
        for field in policy_set.catalogue.fields.values()
        if ROOT_CATEGORY in policy_set.tables.categories[field.category]
    ]
    for role in policy_set.roles:
        deciding: dict[str, Rule] = {}
        for purpose in policy_set.purposes:
            read = policy_set.decide((role,), purpose).read
            best = [read[path].alternatives[:1] for path in personal]
            if all(each and each[0].verdict is Verdict.CLEAR and each[0].scope is Scope.ANY for each in best):
                deciding[purpose] = policy_set.rules[best[0][0].rule - 1]
        for purpose, rule in deciding.items():
            declared = policy_set.purposes[purpose]
            if declared.parent in deciding:
                continue
            by_law = declared.basis is LawfulBasis.LEGAL_OBLIGATION
            yield Finding(
                FindingKind.SEES_EVERYTHING,
                Severity.NOTE if by_law else Severity.WARNING,
                RULES,
                rule.line,
                rule.number,
                f"{role} sees every field about every customer for {purpose}",
            )


def _writes_blindly(policy_set: PolicySet) -> Iterator[Finding]:
    """Whoever sets an identifier without being able to look it up makes doubles, and learns from the refusals."""
    for role in policy_set.roles:
        for field in policy_set.catalogue.fields.values():
            if field.index is None:
                continue
            blind: dict[str, Rule] = {}
            for purpose in policy_set.purposes:
                grant = policy_set.decide((role,), purpose)
                writes = grant.write[field.path].alternatives
                if writes and writes[0].scope is not Scope.OWN and not grant.filter[field.path]:
                    blind[purpose] = policy_set.rules[writes[0].rule - 1]
            for purpose, rule in blind.items():
                if policy_set.purposes[purpose].parent not in blind:
                    message = f"lets {role} write {field.path} for {purpose} but not look it up (filter)"
                    yield _finding(FindingKind.WRITES_IDENTIFIERS_BLINDLY, rule, message)


def _kept_for_nobody(policy_set: PolicySet) -> Iterator[Finding]:
    """What is kept by law has to be readable by somebody for a purpose that the law gives."""
    lawful = [name for name, each in policy_set.purposes.items() if each.basis is LawfulBasis.LEGAL_OBLIGATION]
    grants = [policy_set.decide((role,), purpose) for role in policy_set.roles for purpose in lawful]
    for rule in policy_set.retention:
        blind = [
            path
            for path in rule.paths
            if not any(each.scope is Scope.ANY for grant in grants for each in grant.read[path].alternatives)
        ]
        if blind:
            message = f"[{rule.name}] keeps {', '.join(blind)}, which nobody may read for a legal obligation"
            yield Finding(FindingKind.KEPT_FOR_NOBODY, Severity.WARNING, RETENTION, None, None, message)


def _finding(kind: FindingKind, rule: Rule, message: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(kind, severity, RULES, rule.line, rule.number, f"rule {rule.number} {message}")


def _name(rule: Rule) -> str:
    return f"rule {rule.number} (line {rule.line})"
