"""What another policy would have decided about one recorded access. Values in, values out.

Only the policy's own part is decided anew. What a customer's consent, objection or restriction took away stays taken
away, and whoever lay outside the row scope of a rule is taken to lie outside it still.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from audit import Deviation, Kind, Outcome, Reason, Record
from customers.oversight.categories import Spread, granted, is_known
from customers.oversight.change import Change, Direction, Level
from policies import ROOT_CATEGORY, Action, FieldGrant, Grant, PolicySet, Scope, UnknownPurposeError

UNKNOWN_PURPOSE = "unknown purpose"
UNKNOWN_FIELD = "unknown field"

_REMEMBERED = 4096
_CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of a record found; true when something is decided otherwise. Records of one shape share it.

    Attributes:
        decided: Whether the record holds anything that a policy decided.
        changes: What is decided otherwise about every subject that has no exception for the field.
        apart: For each of the record's exceptions, what is decided otherwise about its subjects.
        scopes_known: Whether the policy that decided is at hand, so that row scopes could be compared.
        filters_known: Whether it is known which of the record's filters were allowed.
        purpose, roles, fields: What of the record the other policy does not know.
        said: For categories that the record does not name, the one that it names for them.
    """

    decided: bool = True
    changes: tuple[Change, ...] = ()
    apart: tuple[tuple[Change, ...], ...] = ()
    scopes_known: bool = True
    filters_known: bool = True
    purpose: str | None = None
    roles: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changes) or any(self.apart)


class Comparison:
    """Compares records with a policy, and remembers what it found for each shape of record.

    Args:
        policy: The policy that is to decide now.
        past: Policies that may have decided then, such as the one in force. For their records row scopes and refused
            filters are compared too; for others there is only what the record says.
    """

    def __init__(self, policy: PolicySet, past: Iterable[PolicySet] = ()) -> None:
        self._policy = policy
        self._fields = frozenset((*policy.catalogue.fields, ROOT_CATEGORY))
        self._past = {each.version: each for each in past}
        self._known: dict[object, Compared] = {}

    def compare(self, record: Record) -> Compared:
        """What the policy would have decided otherwise about this record."""
        shape = (
            record.kind,
            record.outcome,
            record.roles,
            record.purpose,
            record.policy,
            record.actor == _CUSTOMER,
            record.decisions,
            record.filters,
            tuple((each.reason, each.decision, each.fields) for each in record.exceptions),
        )
        found = self._known.get(shape)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[shape] = self._compare(record)
        return found

    def _compare(self, record: Record) -> Compared:
        action = _action(record)
        spread = self._spread(record, action)
        record = spread.record
        named = {*record.filters, *(path for each in record.decisions for path in each.fields if action)}
        if record.purpose is None or not named:
            return Compared(decided=False)
        old = _grant(self._past.get(record.policy), record.roles, record.purpose)
        new = _grant(self._policy, record.roles, record.purpose)
        found = Compared(
            scopes_known=old is not None,
            roles=tuple(role for role in record.roles if role not in self._policy.roles),
            fields=tuple(sorted(each for each in named - self._fields if not is_known(each, self._policy.catalogue))),
            said=spread.said,
        )
        if new is None:
            change = Change(
                record.roles, record.purpose, action or Action.READ, None, "allowed", UNKNOWN_PURPOSE,
                None, None, Direction.LESS,
            )  # fmt: skip
            # What was refused then is refused now.
            changes = () if record.outcome is Outcome.REFUSED else (change,)
            return replace(found, purpose=record.purpose, changes=changes)
        one = _Case(record, record.purpose, old, new)
        if action is None:
            return replace(found, filters_known=one.filters_known, changes=tuple(one.filters()))
        return replace(
            found,
            filters_known=one.filters_known,
            changes=spread.gathered((*one.filters(), *one.decisions(action))),
            apart=tuple(spread.gathered(tuple(one.out_of_scope(action, each))) for each in record.exceptions),
        )

    def _spread(self, record: Record, action: Action | None) -> Spread:
        """The record with every category by itself; what was written is in it by itself already."""
        if action not in (Action.READ, Action.EXPORT):
            return Spread(record, {})
        past = self._past.get(record.policy)
        known = self._policy.catalogue.categories
        return Spread.of(
            record, known if past is None else [each for each in past.catalogue.categories if each in known]
        )


def _action(record: Record) -> Action | None:
    """What a record's decisions are about; None where it has none of a policy's.

    A write or an erasure that was refused has no record of which fields it was about.
    """
    match record.kind:
        case Kind.READ | Kind.SEARCH:
            return Action.READ
        case Kind.EXPORT:
            return Action.EXPORT
        case Kind.WRITE if record.outcome is Outcome.ALLOWED:
            return Action.WRITE
        case Kind.ERASURE_INTENT if record.outcome is Outcome.ALLOWED:
            return Action.ERASE
    return None


def _grant(policy: PolicySet | None, roles: Iterable[str], purpose: str) -> Grant | None:
    try:
        return None if policy is None else policy.decide(roles, purpose)
    except UnknownPurposeError:
        return None


@dataclass(frozen=True, slots=True)
class _Ways:
    """What is granted on a field: to a customer out of every scope, to one of the caller's region, to the caller."""

    levels: tuple[Level, ...]
    rules: tuple[int | None, ...]
    words: str

    @property
    def best(self) -> int:
        """Where the most is granted."""
        return max(range(len(self.levels)), key=lambda at: self.levels[at])


_PLACES = (frozenset({Scope.ANY}), frozenset({Scope.ANY, Scope.REGION}), frozenset({Scope.ANY, Scope.OWN}))
_NO_SCOPE = 0
_STAFF, _ANYBODY = (0, 1), (0, 1, 2)
_WHERE: Mapping[Scope, str] = {Scope.ANY: "", Scope.REGION: " in own regions", Scope.OWN: " of oneself"}
_SEEN: Mapping[Level, str] = {each: each.name.lower() for each in Level}
_DONE: Mapping[Level, str] = {Level.WITHHELD: "refused", Level.MASKED: "allowed", Level.CLEAR: "allowed"}


@dataclass(frozen=True, slots=True)
class _Case:
    """A record, what its own policy grants (None where that is not at hand), and what the other one grants."""

    record: Record
    purpose: str
    old: Grant | None
    new: Grant

    @property
    def filters_known(self) -> bool:
        """Whether it is known which filters were allowed: of a refused request, only where it had no other."""
        record = self.record
        alone = len(record.filters) == 1 and record.kind is Kind.READ
        return not record.filters or self.old is not None or alone or record.outcome is not Outcome.REFUSED

    def filters(self) -> Iterator[Change]:
        """The filters that the other policy decides otherwise."""
        if self.filters_known:
            refused = self.record.outcome is Outcome.REFUSED
            for path in self.record.filters:
                old = _ways(self.old, Action.FILTER, path)
                said = Level.WITHHELD if refused else Level.CLEAR
                level = said if old is None else old.levels[old.best]
                yield from self._change(Action.FILTER, path, level, old, None if old is None else old.rules[old.best])

    def decisions(self, action: Action) -> Iterator[Change]:
        """The decisions that the other policy makes otherwise about subjects without exceptions."""
        for decision in self.record.decisions:
            level = Level[decision.decision.name]
            for path in decision.fields:
                old, new = _ways(self.old, action, path), _ways(self.new, action, path)
                if old is not None and old.levels[old.best] is not level:
                    # More than this rule decided, as an export's fields must be readable too.
                    if new is not None and new.levels == old.levels:
                        continue
                    old = None
                yield from self._change(action, path, level, old, decision.rule)

    def out_of_scope(self, action: Action, deviation: Deviation) -> Iterator[Change]:
        """The same about subjects that lay outside a rule's row scope. Their rights stay as recorded."""
        if deviation.reason is not Reason.SCOPE:
            return
        level = Level[deviation.decision.name]
        for path in deviation.fields:
            new = _ways(self.new, action, path)
            if new is None or new.levels[_NO_SCOPE] is not level:
                after = Level.WITHHELD if new is None else new.levels[_NO_SCOPE]
                if after is not level:
                    yield Change(
                        self.record.roles, self.purpose, action, path,
                        f"{_words(action)[level]} out of scope", UNKNOWN_FIELD if new is None else new.words,
                        deviation.rule, None if new is None else new.rules[_NO_SCOPE], _direction([(level, after)]),
                    )  # fmt: skip

    def _change(
        self, action: Action, path: str, level: Level, old: _Ways | None, rule: int | None
    ) -> Iterator[Change]:
        new = _ways(self.new, action, path)
        before = _words(action)[level] if old is None else old.words
        if new is None:
            pairs, after, decider = [(level, Level.WITHHELD)], UNKNOWN_FIELD, None
        elif old is None:
            pairs, after, decider = [(level, new.levels[new.best])], new.words, new.rules[new.best]
        else:
            everywhere = _ANYBODY if self.record.actor == _CUSTOMER else _STAFF
            places = [at for at in everywhere if action is Action.FILTER or old.levels[at] is level]
            pairs = [(old.levels[at], new.levels[at]) for at in places]
            moved = next((at for at in places if old.levels[at] is not new.levels[at]), new.best)
            after, decider = new.words, new.rules[moved]
        if any(was is not would for was, would in pairs):
            yield Change(
                self.record.roles, self.purpose, action, path, before, after, rule, decider, _direction(pairs)
            )


def _direction(pairs: Iterable[tuple[Level, Level]]) -> Direction:
    signs = {would > was for was, would in pairs if was is not would}
    if len(signs) > 1:
        return Direction.MIXED
    return Direction.MORE if True in signs else Direction.LESS


def _words(action: Action) -> Mapping[Level, str]:
    return _SEEN if action is Action.READ else _DONE


def _ways(grant: Grant | None, action: Action, path: str) -> _Ways | None:
    """What is granted; None without a grant, or for a field that its policy does not know."""
    if grant is None:
        return None
    if action is Action.ERASE:
        found = grant.erase if path == grant.erase.path else None
    else:
        tables = {Action.FILTER: grant.filter, Action.WRITE: grant.write, Action.EXPORT: grant.export}
        found = tables.get(action, grant.read).get(path)
        if found is None:
            found = granted(grant, action, path)
    return None if found is None else _spread(found, _words(action))


def _spread(granted: FieldGrant, words: Mapping[Level, str]) -> _Ways:
    levels: list[Level] = []
    rules: list[int | None] = []
    for scopes in _PLACES:
        way = next((each for each in granted.alternatives if each.scope in scopes), None)
        levels.append(Level.WITHHELD if way is None else Level[way.verdict.name])
        rules.append(granted.rule if way is None else way.rule)
    parts = [words[Level[each.verdict.name]] + _WHERE[each.scope] for each in granted.alternatives]
    return _Ways(tuple(levels), tuple(rules), ", else ".join(parts) or words[Level.WITHHELD])


def effects(record: Record, compared: Compared) -> Iterator[tuple[Change, Sequence[str]]]:
    """The changes that reach anybody, each with the subjects it reaches; none where the record has no subjects."""
    # Where a customer's rights forbid the purpose, they forbid every field, one newly allowed too.
    silenced = {at for each in record.exceptions if each.reason is not Reason.SCOPE for at in each.subjects}
    for change in compared.changes:
        excepted = set(silenced)
        if change.action is not Action.FILTER:
            path = compared.said.get(change.field or "", change.field)
            excepted.update(at for each in record.exceptions if path in each.fields for at in each.subjects)
        if not record.subjects:
            yield change, ()
        elif len(excepted) < len(record.subjects):
            yield change, [subject for at, subject in enumerate(record.subjects) if at not in excepted]
    for deviation, changes in zip(record.exceptions, compared.apart, strict=False):
        if changes and (theirs := [record.subjects[at] for at in deviation.subjects if at not in silenced]):
            yield from ((change, theirs) for change in changes)
