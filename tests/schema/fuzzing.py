"""Random schemas, random queries of them and random data, and what must be equal of two executors' answers.

For `scripts/fuzz-execution` and for the tests of the compiled executor. Everything follows from a number.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import msgspec
import strawberry
from graphql import execute as graphql_execute
from graphql import get_named_type, is_abstract_type, is_composite_type, is_non_null_type, parse, validate
from graphql.validation import OverlappingFieldsCanBeMergedRule, PossibleFragmentSpreadsRule
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.execution import Plans, execute
from schema.execution.running import KEPT


@dataclass
class Later:
    """Awaitable as often as one likes, so that a query may also leave it alone."""

    value: Any
    ticks: int = 1

    def __await__(self):
        for _ in range(self.ticks):
            yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


class Text(str):
    """A string of another class."""

    __slots__ = ()


class Shout:
    def __str__(self):
        return "shout"

    __repr__ = __str__  # answers are compared by it, so it holds no address


@dataclass
class Source:
    """What a resolver may return for any object: a stranger with the attributes, that counts how they are read."""

    values: dict[str, Any]
    read: list[str] = field(default_factory=list)

    def __getattr__(self, name):
        if name.startswith("__") or name not in self.values:
            raise AttributeError(name)
        self.read.append(name)
        value = self.values[name]
        if isinstance(value, KeyError):
            raise value
        return value


def shown(result, context, reads):
    """Everything that must be equal: data with its order of keys, errors with their order, and what was resolved."""
    errors = [
        (
            error.message,
            error.path,
            [tuple(place) for place in error.locations or []],
            type(error.original_error).__name__,
        )
        for error in result.errors or []
    ]
    return json.dumps(result.data, default=_plainly), errors, context["calls"], [source.read for source in reads]


def _plainly(value):
    """A struct as the dict whose place it takes; anything else as it prints."""
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return {name: getattr(value, attribute) for name, attribute in names}
    return repr(value)


def at_once(schema):
    """Have code written for the first request."""
    schema._schema.extensions[KEPT] = Plans(schema._schema, after=0)


async def by_graphql_core(schema, document, variables, root, context):
    """graphql-core with Strawberry's own executor."""
    result = graphql_execute(
        schema._schema, document, root, context, variables,
        executor_class=StrawberryGraphQLCoreExecutionContext,
        is_awaitable=optimized_is_awaitable, operation_extensions=None,
    )  # fmt: skip
    return await result if optimized_is_awaitable(result) else result


async def by_compiled_code(schema, document, variables, root, context, **options):
    operation = document.definitions[0]
    return await execute(schema, document, operation, variables=variables, root=root, context=context, **options)


async def as_structs(*args):
    return await by_compiled_code(*args, structs=True)


# What a leaf may be, and what else it may turn out to be.
_LEAVES: dict[str, tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = {
    "text": (str, ("a", "", "ü\u2028"), (1, True, 2.0, Text("sub"), Shout(), b"x")),
    "id": (strawberry.ID, ("id",), (7, 7.5, Shout())),
    "number": (int, (1, -5, 2**31 - 1), (2**31, "12", "x", 1.0, 1.5, True, Decimal(3))),
    "ratio": (float, (0.5, -1.0), (float("nan"), float("inf"), 3, "1.5", Decimal("0.1"))),
    "flag": (bool, (True, False), (0, 1, "true")),
    "day": (date, (date(2026, 1, 2),), ("2026-01-02", 5, datetime(2026, 1, 2, tzinfo=UTC))),
    "amount": (Decimal, (Decimal("1.50"),), (1, 1.5, "x")),
    "anything": (strawberry.scalars.JSON, ({"a": [1, None]}, "x", 0), ([], Shout())),
}


@dataclass(frozen=True)
class Kind:
    """A type as data is made for it: `make(rng, depth, odd)` gives a value, good or not."""

    annotation: Any
    make: Callable[..., Any]


class Town:
    """One random schema and its data.

    Attributes:
        schema: the schema.
        reads: the strangers made since `root` was last called, in the order of their making.
    """

    def __init__(self, seed):
        self.rng = random.Random(seed)  # noqa: S311 - a test's data
        self.seed = seed
        self.reads = []
        self._classes = {}
        self._leaves = [self._leaf(*found) for found in _LEAVES.values()] + [self._enum()]
        self._composites = []
        self._interfaces = [self._interface(number) for number in range(self.rng.randint(0, 2))]
        for number in range(self.rng.randint(2, 4)):
            self._composites.append(self._object(f"T{number}"))
            if number and self.rng.random() < 0.5:
                self._composites.append(self._union(number))
            self._composites += [
                self._abstract(*each) for each in self._interfaces if each[1] and self.rng.random() < 0.5
            ]
        self._query = self._object("Query", resolvers=3)
        types = [each for each in self._classes.values() if each is not self._query.annotation]
        self.schema = strawberry.Schema(self._query.annotation, types=types)
        at_once(self.schema)

    def root(self, seed, odd):
        """The root value, made anew."""
        self.reads = []
        return self._query.make(random.Random(seed), 0, odd)  # noqa: S311 - a test's data

    def _leaf(self, annotation, good, odds):
        return Kind(annotation, lambda rng, _depth, odd: rng.choice(odds if rng.random() < odd / 2 else good))

    def _enum(self):
        members = strawberry.enum(Enum("Colour", {"RED": "red", "BLUE": 7}))
        return self._leaf(members, tuple(members), ("red", 7, "nope", []))

    def _interface(self, number):
        leaf = self._wrapped(self.rng.choice(self._leaves))
        name = f"shared{number}"
        made = strawberry.interface(type(f"I{number}", (), {"__annotations__": {name: leaf.annotation}}))
        return (made, []), {name: leaf}

    def _object(self, name, resolvers=1):
        bases, fields, own = [], {}, {}
        if name != "Query":
            for (interface, implemented), shared in self._interfaces:
                if self.rng.random() < 0.5:
                    bases.append(interface)
                    fields.update(shared)
                    implemented.append(name)
        for number in range(self.rng.randint(2, 5)):
            fields[f"f{number}"] = own[f"f{number}"] = self._any()
        members = {"__annotations__": {each: kind.annotation for each, kind in own.items()}}
        kept = {}
        for number in range(self.rng.randint(min(1, resolvers - 1), resolvers)):
            kept[f"kept{number}"] = kind = self._any()
            members[f"r{number}"] = self._resolver(f"kept{number}", kind)
        made = self._classes[name] = strawberry.type(type(name, tuple(bases), members))

        def make(rng, depth, odd):
            values = {each: self._odd(rng, kind, depth, odd) for each, kind in fields.items()}
            resolved = {each: self._odd(rng, kind, depth, odd) for each, kind in kept.items()}
            if rng.random() < 0.3:
                if rng.random() < odd:
                    del values[rng.choice(list(values))]
                self.reads.append(Source(values | resolved))
                return self.reads[-1]
            built = made(**values)
            vars(built).update(resolved)
            return built

        return Kind(made, make)

    def _resolver(self, kept, kind):
        """A field's resolver: it gives what the source keeps, perhaps later, and tells that it was called."""
        later, ticks = self.rng.random() < 0.4, self.rng.randint(0, 2)

        def given(source, info, times):
            info.context["calls"].append(f"{info.path.as_list()} {times} {info.variable_values.get('n')}")
            value = getattr(source, kept)
            if isinstance(value, Exception):
                raise value
            return value

        async def asynchronous(self, info: strawberry.Info, times: int = 1):
            for _ in range(ticks):
                await asyncio.sleep(0)
            return given(self, info._raw_info, times)

        def synchronous(self, info: strawberry.Info, times: int | None = 1):
            return given(self, info._raw_info, times)

        resolver = asynchronous if later else synchronous
        resolver.__annotations__["return"] = kind.annotation
        return strawberry.field(resolver)

    def _union(self, number):
        objects = self.rng.sample(sorted(name for name in self._classes), 2)
        made = Annotated[self._classes[objects[0]] | self._classes[objects[1]], strawberry.union(f"U{number}")]
        return self._one_of(made, objects)

    def _abstract(self, interface, _shared):
        made, implemented = interface
        return self._one_of(made, implemented)

    def _one_of(self, annotation, names):
        makers = {kind.annotation: kind for kind in self._composites}
        kinds = [makers[self._classes[name]] for name in names if self._classes[name] in makers]

        def make(rng, depth, odd):
            made = rng.choice(kinds).make(rng, depth, odd) if kinds else None
            if rng.random() < odd:
                return strawberry.cast(rng.choice(list(self._classes.values())), made)
            return made

        return Kind(annotation, make)

    def _any(self):
        below = self._composites and self.rng.random() < 0.5
        return self._wrapped(self.rng.choice(self._composites if below else self._leaves))

    def _wrapped(self, kind):
        for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2))):
            kind = self._listed(self._nullable(kind))
        return self._nullable(kind)

    def _nullable(self, kind):
        if self.rng.random() < 0.5:
            return kind
        return Kind(
            kind.annotation | None if not hasattr(kind.annotation, "__metadata__") else _optional(kind.annotation),
            lambda rng, depth, odd: None if rng.random() < 0.2 else kind.make(rng, depth, odd),
        )

    def _listed(self, kind):
        def make(rng, depth, odd):
            items = [self._odd(rng, kind, depth + 1, odd) for _ in range(rng.randint(0, 3 if depth < 3 else 1))]
            if rng.random() < odd:
                return rng.choice([tuple(items), iter(items), (item for item in items), "abc", 5, items])
            return items

        return Kind(list[kind.annotation], make)

    @staticmethod
    def _odd(rng, kind, depth, odd):
        value = kind.make(rng, depth + 1, odd)
        if rng.random() < odd / 2:
            failing = [None, ValueError("a value"), KeyError("on reading"), Later(ValueError("awaited"))]
            return rng.choice([*failing, Later(value), Later(value, 2), "x"])
        return value


def _optional(annotation):
    return annotation | None


class Queries:
    """Valid queries: aliases, arguments, fragments of all kinds, @skip and @include with variables."""

    DIRECTIVES = (*[""] * 6, " @skip(if: $yes)", " @include(if: $yes)", " @include(if: $no)", " @skip(if: true)")

    def __init__(self, core, seed, deepest=4):
        self.core = core
        self.deepest = deepest
        self.rng = random.Random(seed)  # noqa: S311 - a test's data
        possible = [
            type_
            for name, type_ in sorted(core.type_map.items())
            if is_composite_type(type_) and not name.startswith("__") and type_ is not core.query_type
        ]
        self.conditions = [self.rng.choice(possible) for _ in range(self.rng.randint(0, 3))]

    def text(self):
        body = self.selections(self.core.query_type, 0, 0)
        fragments = "".join(
            f" fragment F{place} on {type_.name} {{ {self.selections(type_, 2, place + 1)} }}"
            for place, type_ in enumerate(self.conditions)
        )
        return f"query ($yes: Boolean! = true, $no: Boolean! = false, $n: Int! = 2) {{ {body} }}{fragments}"

    def directive(self):
        return self.rng.choice(self.DIRECTIVES)

    def selections(self, type_, depth, after):
        parts = ["__typename" + self.directive()] if self.rng.random() < 0.3 else []
        for _ in range(self.rng.randint(1, 5)):
            kind = self.rng.randint(0, 9)
            spreadable = [
                place for place in range(after, len(self.conditions)) if self.meet(self.conditions[place], type_)
            ]
            if kind == 0 and spreadable:
                parts.append(f"...F{self.rng.choice(spreadable)}" + self.directive())
            elif kind == 1 and depth < self.deepest + 1:
                parts.append(self.inline(type_, depth, after))
            elif not hasattr(type_, "fields"):
                parts.append("__typename")
            else:
                parts.append(self.field(type_, depth, after))
        return " ".join(parts)

    def meet(self, one, other):
        return not self.possible(one).isdisjoint(self.possible(other))

    def possible(self, type_):
        return (
            {each.name for each in self.core.get_possible_types(type_)} if is_abstract_type(type_) else {type_.name}
        )

    def inline(self, type_, depth, after):
        inner, on = type_, self.rng.random() < 0.7
        if is_abstract_type(type_) and on and self.core.get_possible_types(type_):
            inner = self.rng.choice(self.core.get_possible_types(type_))
        condition = f" on {inner.name}" if on else ""
        return f"...{condition}{self.directive()} {{ {self.selections(inner, depth + 1, after)} }}"

    def field(self, type_, depth, after):
        name = self.rng.choice(
            [name for name, found in type_.fields.items() if depth < self.deepest or not composite(found)]
            or ["__typename"]
        )
        if name == "__typename":
            return name
        found = type_.fields[name]
        args = alias = ""
        if self.rng.random() < 0.5:
            options = ["2", "3", "$n"]
            if found.args and not is_non_null_type(next(iter(found.args.values())).type):
                options.append("null")
            size = self.rng.choice(options) if found.args else ""
            args = f"({next(iter(found.args))}: {size})" if size else ""
            alias = f"{name}_{size.strip('$') or self.rng.randint(0, 1)}: "
        below = f" {{ {self.selections(get_named_type(found.type), depth + 1, after)} }}" if composite(found) else ""
        return f"{alias}{name}{args}{self.directive()}{below}"


def composite(found):
    return is_composite_type(get_named_type(found.type))


def runnable(core, text):
    """The document, if it is valid; all but two rules are kept by construction."""
    document = parse(text)
    rules = [OverlappingFieldsCanBeMergedRule, PossibleFragmentSpreadsRule]
    return None if validate(core, document, rules) else document


async def settled():
    """Until what a bubbling null left behind has been settled in the background."""
    for _ in range(12):
        await asyncio.sleep(0)


async def mismatch(town, seed, odd, compiled=None):
    """What differs in the answers to the query of this seed: None where nothing does, and where it is not valid.

    Returns:
        whether there was a query, and the text with both answers where they differ.
    """
    text = Queries(town.schema._schema, seed).text()
    document = runnable(town.schema._schema, text)
    if document is None:
        return False, None
    variables = {"yes": seed % 2 == 0, "no": seed % 3 == 0, "n": 3}
    answers = []
    compiled = compiled or (by_compiled_code, as_structs)[seed % 2]
    for run in (by_graphql_core, compiled):
        context = {"calls": []}
        root = town.root(seed, odd)
        reads = town.reads
        result = await run(town.schema, document, variables, root, context)
        if result.errors:
            await settled()
        answers.append(shown(result, context, reads))
    return True, None if answers[0] == answers[1] else (text, *answers)
