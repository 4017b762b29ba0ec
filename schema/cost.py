"""What a document would cost to answer, found in one pass over it before it is validated or run.

A fragment is measured once, wherever and however often it is spread; its counts are then added as numbers that stop
growing at a ceiling. So neither time nor memory grows with what the fragments would expand to, which may be
exponential in the document's size. Nothing here recurses.

Counts that need no variables (depth, fields, aliases, …) are final. The cost multiplies what lies below a list by the
list's greatest length. Where that length is a variable's value, the document keeps a short program of sums and
products (`Scope`s that could not be folded into a number), and a request runs it with its variables.

The schema is asked for the types of fields, but the document may well be invalid: a field that does not exist counts
one, and validation refuses it afterwards.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from schema.errors import InputInvalidError, PageSizeError, QueryTooComplexError
from schema.limits import Limits

CEILING: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation of a document amounts to, fragments and variables included. `CEILING` means "or more"."""

    depth: int
    fields: int
    root_fields: int
    aliases: int
    directives: int
    cost: int


@dataclass(frozen=True, slots=True)
class Size:
    """How long a list may get: the greatest of its arguments' values, or `otherwise` where none has one."""

    fixed: int | None
    variables: tuple[tuple[str, bool], ...]  # the variable's name; whether its own length counts, not its value
    otherwise: int


@dataclass(slots=True)
class Scope:
    """The fields that are answered equally often: everything down to the next list.

    `number` is what is known without variables; `terms` are the lists below, `(size, scope)`; `spreads` the fragments
    whose cost is added. Folding moves terms and spreads that need no variable into the number.
    """

    number: int = 0
    terms: list[tuple[int | Fraction | Size, "Scope"]] = field(default_factory=list)
    spreads: list[str] = field(default_factory=list)
    added: list["Scope"] = field(default_factory=list)
    index: int = -1

    @property
    def open(self) -> bool:
        """Whether it still needs variables."""
        return bool(self.terms or self.added)


@dataclass(slots=True)
class Counts:
    """What a definition holds; first its own, then with all that it spreads."""

    depth: int = 0
    nesting: int = 0
    fields: int = 0
    root_fields: int = 0
    aliases: int = 0
    directives: int = 0

    def add(self, other: "Counts", depth: int, nesting: int, *, at_root: bool) -> None:
        """Add what a spread brings, `depth` fields and `nesting` selection sets down."""
        self.depth = max(self.depth, min(CEILING, depth + other.depth))
        self.nesting = max(self.nesting, min(CEILING, nesting + other.nesting))
        self.fields = min(CEILING, self.fields + other.fields)
        self.aliases = min(CEILING, self.aliases + other.aliases)
        self.directives = min(CEILING, self.directives + other.directives)
        if at_root:
            self.root_fields = min(CEILING, self.root_fields + other.root_fields)


@dataclass(slots=True)
class Part:
    """An operation or a fragment: its own counts, its scopes (parents first), and the places where it spreads."""

    counts: Counts
    scopes: list[Scope]
    spreads: list[tuple[str, int, int, bool]]  # name, field depth, nesting, directly in the definition

    @property
    def top(self) -> Scope:
        """The scope of the definition itself."""
        return self.scopes[0]


class MeasuredDocument:
    """The measure of a document; `cost` prices one of its operations with one request's variables.

    Attributes:
        steps: how many nodes and edges were looked at, for tests of linearity.
    """

    __slots__ = ("_defaults", "_limits", "_operations", "_program", "steps")

    def __init__(
        self,
        operations: Mapping[str | None, Part],
        defaults: Mapping[str | None, Mapping[str, Any]],
        program: tuple[Scope, ...],
        limits: Limits,
        steps: int,
    ) -> None:
        self._operations = operations
        self._defaults = defaults
        self._program = program
        self._limits = limits
        self.steps = steps

    def cost(self, operation_name: str | None, variables: Mapping[str, Any] | None = None) -> Cost:
        """The cost of an operation.

        Raises:
            QueryTooComplexError: it is larger than allowed.
            PageSizeError: a page of it is.
            InputInvalidError: the document has no such operation, or several where none was named.
        """
        part = self._part(operation_name)
        top = part.top
        total = top.number
        if top.open:
            total = self._run(top, {**self._defaults[self._name(operation_name)], **(variables or {})})
        if total > self._limits.cost:
            raise QueryTooComplexError("cost", total, self._limits.cost)
        counts = part.counts
        return Cost(counts.depth, counts.fields, counts.root_fields, counts.aliases, counts.directives, total)

    def _name(self, operation_name: str | None) -> str | None:
        if operation_name is None and len(self._operations) == 1:
            return next(iter(self._operations))
        return operation_name

    def _part(self, operation_name: str | None) -> Part:
        if operation_name is None and len(self._operations) > 1:
            raise InputInvalidError("Name the operation: the document has several.", field="operationName")
        part = self._operations.get(self._name(operation_name))
        if part is None:
            raise InputInvalidError("The document has no operation of this name.", field="operationName")
        return part

    def _run(self, top: Scope, variables: Mapping[str, Any]) -> int:
        """The number of `top`, one visit to every scope that needs variables."""
        page = self._limits.page
        numbers = [0] * len(self._program)
        for scope in self._program:
            total = scope.number
            for added in scope.added:
                total += numbers[added.index] if added.open else added.number
            for size, below in scope.terms:
                times = _length(size, variables, page) if isinstance(size, Size) else size
                total += int(times * (numbers[below.index] if below.open else below.number))
            numbers[scope.index] = min(CEILING, total)
        return numbers[top.index]


def _length(size: Size, variables: Mapping[str, Any], page: int) -> int:
    found = [] if size.fixed is None else [size.fixed]
    for name, counted in size.variables:
        value = variables.get(name)
        if value is None:
            continue
        if counted:
            found.append(len(value) if isinstance(value, list) else 1)
        elif type(value) is not int:
            found.append(page)  # coercion refuses it, or makes a small number of it
        elif value > page:
            raise PageSizeError(page)
        else:
            found.append(max(0, value))
    return max(found) if found else size.otherwise


class Steps:
    """Counts the nodes and edges looked at."""

    def __init__(self) -> None:
        self.steps = 0


def sort_fragments(parts: Mapping[str, Part], walk: Steps) -> list[Part]:
    """The fragments, each after all that it spreads.

    Raises:
        QueryTooComplexError: a fragment contains itself.
    """
    done: dict[str, bool] = {}  # False while what it spreads is being looked at
    order: list[Part] = []
    for root in parts:
        if root in done:
            continue
        done[root] = False
        path: list[tuple[str, Iterator[tuple[str, int, int, bool]]]] = [(root, iter(parts[root].spreads))]
        while path:
            name, spreads = path[-1]
            for spread, *_ in spreads:
                walk.steps += 1
                if spread not in parts or done.get(spread):
                    continue
                if spread in done:
                    raise QueryTooComplexError("fragment_cycles", 1, 0)
                done[spread] = False
                path.append((spread, iter(parts[spread].spreads)))
                break
            else:
                path.pop()
                done[name] = True
                order.append(parts[name])
    return order


def join(part: Part, parts: Mapping[str, Part], walk: Steps) -> None:
    """Add to a definition's counts those of what it spreads, each of which is complete."""
    for name, depth, nesting, at_root in part.spreads:
        walk.steps += 1
        if name in parts:
            part.counts.add(parts[name].counts, depth, nesting, at_root=at_root)


def fold(part: Part, parts: Mapping[str, Part], walk: Steps) -> list[Scope]:
    """Turn scopes into numbers where no variable is needed; those that stay open, each after all it needs."""
    still_open: list[Scope] = []
    for scope in reversed(part.scopes):
        number = scope.number
        for name in scope.spreads:
            walk.steps += 1
            if name not in parts:
                continue
            top = parts[name].top
            if top.open:
                scope.added.append(top)
            else:
                number += top.number
        terms: list[tuple[int | Fraction | Size, Scope]] = []
        for size, below in scope.terms:
            walk.steps += 1
            if below.open or isinstance(size, Size):
                terms.append((size, below))
            else:
                number += int(size * below.number)
        scope.number, scope.terms = min(CEILING, number), terms
        if scope.open:
            still_open.append(scope)
    return still_open
