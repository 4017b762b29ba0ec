"""Decisions: who may do what with which field, why."""

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.catalogue import Catalogue, Field
from policies.errors import UnknownPurposeError
from policies.rules import Rule
from policies.tables import Outcome, Tables, Verdicts
from policies.vocabulary import ROOT_CATEGORY, Action, Purpose, Role, Scope, Verdict

MEMO_SIZE = 256
"""How many grants a policy remembers. A grant takes about 9 kB; every shipped role for every purpose is 231."""

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


class PolicySet:
    """A policy, compiled. Immutable but for its memory of grants, and safe to share between threads.

    Attributes:
        version: the first 16 hexadecimal digits of a SHA-256 over all five policy files.
        catalogue: the fields.
        purposes: by name, in the order of their file.
        roles: by name, in the order of their file.
        inherits: role → the roles it inherits directly.
        rules: in the order of their file; `rules[n - 1]` is rule n.
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
    ) -> None:
        self.version = version
        self.catalogue = catalogue
        self.purposes = purposes
        self.roles = roles
        self.inherits = inherits
        self.rules = rules
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
            erase=self._field_grant(ROOT_CATEGORY, verdicts.outcome(Action.ERASE, ROOT_CATEGORY)),
        )

    def _reads(self, verdicts: Verdicts) -> Mapping[str, FieldGrant]:
        outcomes: dict[str, tuple[Outcome, Outcome]] = {}
        grants: dict[str, FieldGrant] = {}
        for field in self.catalogue.fields.values():
            category = field.category
            if category not in outcomes:
                outcomes[category] = (
                    verdicts.outcome(Action.READ, category),
                    verdicts.outcome(Action.READ_MASKED, category),
                )
            grants[field.path] = self._read_grant(field, *outcomes[category])
        return MappingProxyType(grants)

    def _read_grant(self, field: Field, clear: Outcome, masked: Outcome) -> FieldGrant:
        found = [
            Alternative(verdict, scope, outcome.allowed[scope])
            for verdict, outcome in ((Verdict.CLEAR, clear), (Verdict.MASKED, masked))
            for scope in _SCOPES
            if scope in outcome.allowed
            # A field without a mask has nothing that could be shown of it.
            and (verdict is Verdict.CLEAR or field.mask is not None)
        ]
        denied = [rule for rule in (clear.denied, masked.denied) if rule is not None]
        return self._pruned(field.path, found, min(denied, default=None))

    def _actions(self, verdicts: Verdicts, action: Action) -> Mapping[str, FieldGrant]:
        outcomes: dict[str, Outcome] = {}
        grants: dict[str, FieldGrant] = {}
        for field in self.catalogue.fields.values():
            if field.category not in outcomes:
                outcomes[field.category] = verdicts.outcome(action, field.category)
            grants[field.path] = self._field_grant(field.path, outcomes[field.category])
        return MappingProxyType(grants)

    def _field_grant(self, path: str, outcome: Outcome) -> FieldGrant:
        found = [
            Alternative(Verdict.CLEAR, scope, outcome.allowed[scope]) for scope in _SCOPES if scope in outcome.allowed
        ]
        return self._pruned(path, found, outcome.denied)

    def _pruned(self, path: str, found: Iterable[Alternative], denied: int | None) -> FieldGrant:
        kept: list[Alternative] = []
        for each in found:
            if not any(better.scope in (Scope.ANY, each.scope) for better in kept):
                kept.append(each)
        if not kept and denied is None:
            return self._nothing[path]
        return FieldGrant(path, tuple(kept), None if kept else denied)
