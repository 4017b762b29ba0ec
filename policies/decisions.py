"""Decisions: who may do what with which field, why."""

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from policies.catalogue import Catalogue
from policies.errors import UnknownPurposeError
from policies.retention import RetentionRule
from policies.rules import Rule
from policies.tables import Outcome, Tables, Verdicts
from policies.vocabulary import ROOT_CATEGORY, Action, Purpose, Role, Scope, Verdict

MEMO_SIZE = 1024
"""How many grants a policy remembers. A grant takes about 9 kB; all shipped roles for all purposes fit in twice."""

_SCOPES = (Scope.ANY, Scope.REGION, Scope.OWN)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way a field may leave: in this verdict, for customers in this scope, because of this rule."""

    verdict: Verdict
    scope: Scope
    rule: int


@dataclass(frozen=True, slots=True)
class FieldGrant:
    """What is granted on one field for one action; true when anything is.

    Attributes:
        path: the field; the root category `user` for erasure.
        alternatives: best first. The first whose scope holds for a customer decides; when none holds, the value
            is withheld. None is there that an earlier one makes unreachable.
        rule: when nothing is granted, the rule that denied; None when no rule said anything (default deny).
    """

    path: str
    alternatives: tuple[Alternative, ...]
    rule: int | None

    def __bool__(self) -> bool:
        """Whether anything at all is granted."""
        return bool(self.alternatives)


@dataclass(frozen=True)
class Grant:
    """What a caller with these roles may do for this purpose.

    Attributes:
        roles: those of the caller's roles that the policy knows, sorted.
        purpose: the purpose stated.
        policy_version: the policy that decided.
        read: every path of the catalogue → clear, masked or nothing.
        filter: every path → whether a query may filter or sort by it, or aggregate it.
        write: every path → whether it may be changed.
        export: every path → whether it may leave in an export.
        erase: whether a person may be erased.
    """

    roles: tuple[str, ...]
    purpose: Purpose
    policy_version: str
    read: Mapping[str, FieldGrant]
    filter: Mapping[str, FieldGrant]
    write: Mapping[str, FieldGrant]
    export: Mapping[str, FieldGrant]
    erase: FieldGrant
    _categories: "_CategoryGrants" = field(repr=False, compare=False)

    def of_category(self, category: str, action: Action) -> FieldGrant:
        """What is granted on values of a category that are no fields of the catalogue: traits, properties of events.

        The answer is a catalogue field's of that category (with a mask, so a rule may let its mask be read: such
        values are masked by `Mask.REDACT`), and its path is the category. READ and READ_MASKED give the same: how a
        value is shown. A category that the catalogue does not declare is granted to nobody.
        """
        return self._categories.grant(category, action)


class _CategoryGrants:
    """The grants of one caller by category, each computed once. Safe to share between threads."""

    __slots__ = ("_grants", "_known", "_verdicts")

    def __init__(self, verdicts: Verdicts, known: Collection[str]) -> None:
        self._verdicts = verdicts
        self._known = known
        self._grants: dict[tuple[str, Action], FieldGrant] = {}

    def grant(self, category: str, action: Action) -> FieldGrant:
        found = self._grants.get((category, action))
        if found is None:
            found = self._grant(category, action)
            # Made-up categories never enter the memory, so it is bounded by the catalogue.
            if category in self._known:
                self._grants[category, action] = found
        return found

    def _grant(self, category: str, action: Action) -> FieldGrant:
        if action in (Action.READ, Action.READ_MASKED):
            return _read_grant(
                category,
                self._verdicts.outcome(Action.READ, category),
                self._verdicts.outcome(Action.READ_MASKED, category),
                has_mask=True,
            )
        return _field_grant(category, self._verdicts.outcome(action, category))


class PolicySet:
    """A policy, compiled. Immutable but for its memory of grants, and safe to share between threads.

    Attributes:
        version: the first 16 hexadecimal digits of a SHA-256 over all policy files.
        catalogue: the fields.
        purposes: by name, in the order of their file.
        roles: by name, in the order of their file.
        inherits: role → the roles it inherits directly.
        rules: in the order of their file; `rules[n - 1]` is rule n.
        retention: what is kept by law when a customer is erased.
        tables: the compiled decisions.
    """

    def __init__(
        self,
        *,
        version: str,
        catalogue: Catalogue,
        purposes: Mapping[str, Purpose],
        roles: Mapping[str, Role],
        inherits: Mapping[str, tuple[str, ...]],
        rules: tuple[Rule, ...],
        tables: Tables,
        retention: tuple[RetentionRule, ...] = (),
    ) -> None:
        self.version = version
        self.catalogue = catalogue
        self.purposes = purposes
        self.roles = roles
        self.inherits = inherits
        self.rules = rules
        self.retention = retention
        self.tables = tables
        self._grants: dict[tuple[frozenset[str], str], Grant] = {}
        self._lock = threading.Lock()
        self._nothing = {path: FieldGrant(path, (), None) for path in (*catalogue.fields, ROOT_CATEGORY)}

    def decide(self, roles: Iterable[str], purpose: str) -> Grant:
        """What a caller with all these roles may do for this purpose.

        The first answer for a set of roles and a purpose is computed, later ones are remembered.

        Args:
            roles: the caller's; those the policy does not know grant nothing.
            purpose: as the caller stated it.

        Raises:
            UnknownPurposeError: the policy declares no such purpose.
        """
        key = (frozenset(roles), purpose)
        try:
            return self._grants[key]
        except KeyError:
            return self._decide(*key)

    def _decide(self, roles: frozenset[str], purpose: str) -> Grant:
        if purpose not in self.purposes:
            raise UnknownPurposeError(self.purposes)
        known = roles.intersection(self.roles)
        with self._lock:
            # Unknown roles never enter the memory, so made-up roles cannot push the real ones out.
            grant = self._grants.get((known, purpose))
            if grant is None:
                while len(self._grants) >= MEMO_SIZE:
                    del self._grants[next(iter(self._grants))]
                grant = self._grants[known, purpose] = self._grant(known, purpose)
        return grant

    def _grant(self, roles: Collection[str], purpose: str) -> Grant:
        verdicts = self.tables.verdicts(roles, purpose)
        return Grant(
            roles=tuple(sorted(roles)),
            purpose=self.purposes[purpose],
            policy_version=self.version,
            read=self._reads(verdicts),
            filter=self._actions(verdicts, Action.FILTER),
            write=self._actions(verdicts, Action.WRITE),
            export=self._actions(verdicts, Action.EXPORT),
            erase=self._shared(_field_grant(ROOT_CATEGORY, verdicts.outcome(Action.ERASE, ROOT_CATEGORY))),
            _categories=_CategoryGrants(verdicts, self.catalogue.categories),
        )

    def _reads(self, verdicts: Verdicts) -> Mapping[str, FieldGrant]:
        outcomes: dict[str, tuple[Outcome, Outcome]] = {}
        grants: dict[str, FieldGrant] = {}
        for each in self.catalogue.fields.values():
            category = each.category
            if category not in outcomes:
                outcomes[category] = (
                    verdicts.outcome(Action.READ, category),
                    verdicts.outcome(Action.READ_MASKED, category),
                )
            # A field without a mask has nothing that could be shown of it.
            grants[each.path] = self._shared(
                _read_grant(each.path, *outcomes[category], has_mask=each.mask is not None)
            )
        return MappingProxyType(grants)

    def _actions(self, verdicts: Verdicts, action: Action) -> Mapping[str, FieldGrant]:
        outcomes: dict[str, Outcome] = {}
        grants: dict[str, FieldGrant] = {}
        for each in self.catalogue.fields.values():
            if each.category not in outcomes:
                outcomes[each.category] = verdicts.outcome(action, each.category)
            grants[each.path] = self._shared(_field_grant(each.path, outcomes[each.category]))
        return MappingProxyType(grants)

    def _shared(self, grant: FieldGrant) -> FieldGrant:
        """The one object for "nothing, by default" of a path, which most grants are."""
        return grant if grant or grant.rule is not None else self._nothing[grant.path]


def _read_grant(path: str, clear: Outcome, masked: Outcome, *, has_mask: bool) -> FieldGrant:
    found = [
        Alternative(verdict, scope, outcome.allowed[scope])
        for verdict, outcome in ((Verdict.CLEAR, clear), (Verdict.MASKED, masked))
        for scope in _SCOPES
        if scope in outcome.allowed and (verdict is Verdict.CLEAR or has_mask)
    ]
    denied = [rule for rule in (clear.denied, masked.denied) if rule is not None]
    return _pruned(path, found, min(denied, default=None))


def _field_grant(path: str, outcome: Outcome) -> FieldGrant:
    found = [
        Alternative(Verdict.CLEAR, scope, outcome.allowed[scope]) for scope in _SCOPES if scope in outcome.allowed
    ]
    return _pruned(path, found, outcome.denied)


def _pruned(path: str, found: Iterable[Alternative], denied: int | None) -> FieldGrant:
    kept: list[Alternative] = []
    for each in found:
        if not any(better.scope in (Scope.ANY, each.scope) for better in kept):
            kept.append(each)
    return FieldGrant(path, tuple(kept), None if kept else denied)
