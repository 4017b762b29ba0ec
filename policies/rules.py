"""The rules out of their file, each with its number and its line."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policies.errors import Fault
from policies.purposes import MAX_DEPTH
from policies.source import RULES, quoted, text_of
from policies.vocabulary import EVERY, Action, Effect, Scope

_ACTIONS = frozenset(action.value for action in Action)
_SCOPES = frozenset(scope.value for scope in Scope)
_EFFECTS = frozenset(effect.value for effect in Effect)
_COLUMNS = 7
_LINK_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One `p` line.

    Attributes:
        number: its place among the rules, from 1. Decisions and access records name rules by it.
        line: its line in the file, from 1.
        role: who; `*` is every role, in a deny rule only.
        purpose: why, with every purpose below it; `*` is every purpose, in a deny rule only.
        category: what, with every category below it.
        action: which action; `*` is every action, in a deny rule only.
        scope: which customers; a deny rule is always about all of them.
        effect: allow or deny.
        text: the line as it stands in the file.
    """

    number: int
    line: int
    role: str
    purpose: str
    category: str
    action: str
    scope: Scope
    effect: Effect
    text: str

    def __str__(self) -> str:
        """`rules.csv:40: p, marketer, …`: the place and the line as it stands there."""
        return f"{RULES}:{self.line}: {self.text}"

    @property
    def values(self) -> tuple[str, ...]:
        """The six columns after `p`, as Casbin holds them."""
        return (self.role, self.purpose, self.category, self.action, self.scope.value, self.effect.value)

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions it decides."""
        return decided_actions(self.action, self.effect)


def decided_actions(action: str, effect: Effect) -> tuple[Action, ...]:
    """The actions a rule with these columns decides, as the model's matcher has it.

    A deny of read_masked is a deny of read too: who may not see the mask of a value may not see the value.
    """
    if action == EVERY:
        return tuple(Action)
    if effect is Effect.DENY and action == Action.READ_MASKED:
        return (Action.READ, Action.READ_MASKED)
    return (Action(action),)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All of rules.csv.

    Attributes:
        rules: the `p` lines, in order.
        inherits: role → the roles it inherits directly (the `g` lines).
        lines: the lines that count, stripped, for Casbin to read.
    """

    rules: tuple[Rule, ...]
    inherits: Mapping[str, tuple[str, ...]]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The names rules may use."""

    roles: Collection[str]
    purposes: Collection[str]
    categories: Collection[str]


def parse_rules(content: bytes, names: Names, faults: list[Fault]) -> RuleBook:
    """The rules in that file. Everything wrong with it is recorded in `faults`, at its line.

    An unknown name is a fault and not a rule that never matches: a misspelt deny would leave open what it meant
    to close.
    """
    rules: list[Rule] = []
    inherits: dict[str, tuple[str, ...]] = {}
    lines: list[str] = []
    for line, raw in enumerate(text_of(RULES, content, faults).split("\n"), start=1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        cells = [cell.strip() for cell in text.split(",")]
        before = len(faults)
        fault = _recorder(faults, line)
        if cells[0] == "p":
            _check_rule(cells, names, fault)
            if len(faults) == before:
                _, role, purpose, category, action, scope, effect = cells
                number = len(rules) + 1
                rules.append(
                    Rule(number, line, role, purpose, category, action, Scope(scope), Effect(effect), text),
                )
        elif cells[0] == "g":
            _check_link(cells, names, inherits, fault)
            if len(faults) == before:
                inherits[cells[1]] = (*inherits.get(cells[1], ()), cells[2])
        else:
            fault("begins with neither p (a rule) nor g (a role inherits a role)")
        lines.append(text)
    _check_hierarchy(inherits, _recorder(faults, None))
    return RuleBook(tuple(rules), MappingProxyType(inherits), tuple(lines))


def _recorder(faults: list[Fault], line: int | None) -> Callable[[str], None]:
    return lambda message: faults.append(Fault(RULES, line, message))


def _check_rule(cells: list[str], names: Names, fault: Callable[[str], None]) -> None:
    if len(cells) != _COLUMNS:
        fault(f"has {len(cells) - 1} columns after p; a rule has role, purpose, category, action, scope, effect")
        return
    _, role, purpose, category, action, scope, effect = cells
    deny = effect == Effect.DENY
    for word, value, known in (("role", role, names.roles), ("purpose", purpose, names.purposes)):
        if value == EVERY and not deny:
            fault(f"allows every {word}; only a deny rule may say {EVERY}")
        elif value != EVERY and value not in known:
            fault(f"names the unknown {word} {quoted(value)}")
    if category not in names.categories:
        fault(f"names the unknown category {quoted(category)}")
    _check_words(action, scope, effect, fault)


def _check_words(action: str, scope: str, effect: str, fault: Callable[[str], None]) -> None:
    deny = effect == Effect.DENY
    if action == EVERY and not deny:
        fault(f"allows every action; only a deny rule may say {EVERY}")
    elif action != EVERY and action not in _ACTIONS:
        fault(f"names the unknown action {quoted(action)}; known: {', '.join(Action)}")
    if scope not in _SCOPES:
        fault(f"names the unknown scope {quoted(scope)}; known: {', '.join(Scope)}")
    elif deny and scope != Scope.ANY:
        fault("denies for some customers only; a deny rule holds for any")
    if effect not in _EFFECTS:
        fault(f"has the unknown effect {quoted(effect)}; known: {', '.join(Effect)}")


def _check_link(
    cells: list[str],
    names: Names,
    inherits: Mapping[str, tuple[str, ...]],
    fault: Callable[[str], None],
) -> None:
    if len(cells) != _LINK_COLUMNS:
        fault(f"has {len(cells) - 1} columns after g; inheritance has a role and the role it inherits")
        return
    for role in cells[1:]:
        if role not in names.roles:
            fault(f"names the unknown role {quoted(role)}")
    if cells[2] in inherits.get(cells[1], ()):
        fault("says again what an earlier line says")


def _check_hierarchy(inherits: Mapping[str, tuple[str, ...]], fault: Callable[[str], None]) -> None:
    for role in inherits:
        frontier, depth = {role}, 0
        while frontier := {parent for each in frontier for parent in inherits.get(each, ())}:
            depth += 1
            if role in frontier:
                fault(f"the role {quoted(role)} inherits itself")
                break
            if depth > MAX_DEPTH:
                fault(f"the role {quoted(role)} inherits through more than {MAX_DEPTH} levels")
                break
