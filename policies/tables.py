"""Decision tables, compiled out of Casbin's policy and role managers: a decision is dictionary look-ups.

The tables say what `enforcer.enforce` says, for every request; a test asks both the full cross product.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import casbin

from policies.rules import decided_actions
from policies.vocabulary import EVERY, Action, Effect, Scope


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as the tables hold it: `actions` already spelled out."""

    number: int
    category: str
    actions: tuple[Action, ...]
    scope: Scope
    allow: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say about one action on one category, before the customer is known.

    Attributes:
        allowed: scope → the first rule that allows there; empty when nothing does.
        denied: the first rule that denies; then `allowed` is empty.
    """

    allowed: Mapping[Scope, int]
    denied: int | None


class Verdicts:
    """The rules that hold for some roles and one purpose, by action and category."""

    __slots__ = ("_ancestors", "_hits")

    def __init__(self, entries: Iterable[Entry], ancestors: Mapping[str, tuple[str, ...]]) -> None:
        self._ancestors = ancestors
        self._hits: dict[tuple[Action, str], list[Entry]] = {}
        for entry in entries:
            for action in entry.actions:
                self._hits.setdefault((action, entry.category), []).append(entry)

    def outcome(self, action: Action, category: str) -> Outcome:
        """Deny outweighs allow; of several rules that agree, the first in the file is named."""
        hits: list[Entry] = []
        for each in self._ancestors.get(category, ()):
            hits += self._hits.get((action, each), ())
        hits.sort(key=lambda entry: entry.number)
        allowed: dict[Scope, int] = {}
        for entry in hits:
            if not entry.allow:
                return Outcome({}, entry.number)
            allowed.setdefault(entry.scope, entry.number)
        return Outcome(allowed, None)


class Tables:
    """All rules, by role and purpose.

    Attributes:
        roles: role → itself and every role it inherits.
        purposes: purpose → itself and every purpose it is part of.
        categories: category → itself and every category it belongs to.
    """

    __slots__ = ("_entries", "categories", "purposes", "roles")

    def __init__(
        self,
        enforcer: casbin.Enforcer,
        *,
        roles: Iterable[str],
        purposes: Iterable[str],
        categories: Iterable[str],
    ) -> None:
        """Compile.

        Args:
            enforcer: holds the policy; not kept.
            roles: all names a caller may have; any other has no rules.
            purposes: all names a caller may state.
            categories: all names a field may have.
        """
        managers = enforcer.rm_map
        self.roles = {name: _closure(managers["g"], name) for name in roles}
        self.purposes = {name: _closure(managers["g2"], name) for name in purposes}
        self.categories = {name: _closure(managers["g3"], name) for name in categories}
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        for number, (role, purpose, *rest) in enumerate(enforcer.get_policy(), start=1):
            self._entries.setdefault((role, purpose), []).append(_entry(number, *rest))

    def verdicts(self, roles: Collection[str], purpose: str) -> Verdicts:
        """The rules that hold for a caller with all these roles together. Unknown roles bring nothing."""
        held = {EVERY}.union(*(self.roles.get(role, ()) for role in roles))
        why = (EVERY, *self.purposes.get(purpose, ()))
        entries = (entry for role in held for each in why for entry in self._entries.get((role, each), ()))
        return Verdicts(entries, self.categories)


def _entry(number: int, category: str, action: str, scope: str, effect: str) -> Entry:
    decided = decided_actions(action, Effect(effect))
    return Entry(number, category, decided, Scope(scope), effect == Effect.ALLOW)


def _closure(manager: Any, name: str) -> tuple[str, ...]:
    """The name and everything Casbin's role manager links it to, nearest first."""
    reached = {name: None}
    frontier = [name]
    while frontier:
        frontier = sorted({up for each in frontier for up in manager.get_roles(each)} - reached.keys())
        reached.update(dict.fromkeys(frontier))
    return tuple(reached)
