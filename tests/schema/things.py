"""A schema with everything that an executor tells apart, and data for it that is not always what the schema says."""

import asyncio
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Annotated

import strawberry

from schema.documents import Documents
from schema.limits import Limits
from tests.schema.fuzzing import Later, Shout, Source, Text, at_once


@strawberry.enum
class Colour(Enum):
    RED = "red"
    BLUE = 7
    GREEN = strawberry.enum_value("green", name="VERDANT")


@strawberry.interface
class Named:
    name: str | None


@strawberry.type
class Tag(Named):
    weight: int


@strawberry.type
class Note(Named):
    text: str

    @strawberry.field
    def upper(self, info: strawberry.Info, times: int = 1) -> str:
        info.context["calls"].append(str(info.path))
        return (self.text * times).upper()


Label = Annotated[Tag | Note, strawberry.union("Label")]


@strawberry.type
class Thing:
    id: strawberry.ID
    text: str | None
    must: str
    number: int | None
    ratio: float | None
    flag: bool | None
    colour: Colour | None
    day: date | None
    moment: datetime | None
    amount: Decimal | None
    anything: strawberry.scalars.JSON | None
    texts: list[str]
    holes: list[str | None] | None
    grid: list[list[int]] | None
    colours: list[Colour] | None
    child: "Thing | None"
    firm_child: "Thing"
    children: list["Thing"]
    patchy: list["Thing | None"] | None
    tag: Tag | None
    tags: list[Tag] | None
    named: Named | None
    nameds: list[Named] | None
    labels: list[Label] | None

    @strawberry.field
    def seen(self, info: strawberry.Info, times: int = 1) -> str | None:
        info.context["calls"].append(str(info.path))
        return (str(self.must) * times)[:9]

    @strawberry.field
    async def later(self, info: strawberry.Info, ticks: int = 1) -> "Thing | None":
        info.context["calls"].append(str(info.path))
        for _ in range(ticks):
            await asyncio.sleep(0)
        return self.child

    @strawberry.field
    async def later_children(self, info: strawberry.Info) -> list["Thing"]:
        info.context["calls"].append(str(info.path))
        return self.children

    @strawberry.field
    def fails(self, info: strawberry.Info) -> str | None:
        info.context["calls"].append(str(info.path))
        raise ValueError("no")

    @strawberry.field
    async def fails_later(self, info: strawberry.Info) -> str:
        info.context["calls"].append(str(info.path))
        await asyncio.sleep(0)
        raise ValueError("no, later")


@strawberry.type
class Query:
    thing: Thing | None
    firm: Thing
    things: list[Thing]

    @strawberry.field
    async def found(self, info: strawberry.Info, many: int = 2) -> list[Thing]:
        info.context["calls"].append(str(info.path))
        return (self.things * many)[:many]

    @strawberry.field
    def generated(self) -> list[Thing]:
        return (thing for thing in self.things)


@strawberry.type
class Mutation:
    @strawberry.mutation
    def first(self) -> Thing:
        return build(random.Random(1), 1)  # noqa: S311 - a test's data

    @strawberry.mutation
    async def second(self) -> Thing | None:
        return build(random.Random(2), 1)  # noqa: S311 - a test's data


SCHEMA = strawberry.Schema(Query, mutation=Mutation, types=[Tag, Note])
at_once(SCHEMA)
LIMITS = Limits(aliases=1_000, fields=10_000, spreads=1_000, repeats=1_000, cost=10**9, directives=1_000)
DOCUMENTS = Documents(SCHEMA, LIMITS)


def build(rng, depth, odd=0.0):
    """A Thing, of Strawberry's class or of a stranger's; `odd` of its values are not what the schema says."""

    def maybe(good, *odds):
        if rng.random() < odd:
            odds = [item() if callable(item) and not isinstance(item, Shout) else item for item in odds]
            strange = [
                None,
                ValueError("a value"),
                KeyError("on reading"),
                Later(good),
                Later(ValueError("awaited")),
                *odds,
            ]
            return rng.choice(strange)
        return good

    def thing():
        return build(rng, depth - 1, odd) if depth else None

    def things(count):
        return [thing() for _ in range(count)] if depth else []

    def named():
        made = rng.choice([Tag(name="t", weight=rng.randint(0, 9)), Note(name=None, text="n")])
        return strawberry.cast(Tag, SimpleNamespace(name="cast", weight=3)) if rng.random() < odd else made

    values = {
        "id": maybe("id", 7, 7.5, Shout()),
        "text": maybe(rng.choice(["text", None]), 1, True, 2.0, Text("sub"), Shout(), b"x"),
        "must": maybe("must", 5, Text("sub")),
        "number": maybe(rng.choice([1, None]), 2**31, "12", "x", 1.0, 1.5, True, Decimal(3)),
        "ratio": maybe(0.5, float("nan"), float("inf"), 3, "1.5", Decimal("0.1")),
        "flag": maybe(True, 0, 1, "true"),
        "colour": maybe(rng.choice(list(Colour)), "red", 7, "nope", []),
        "day": maybe(date(2026, 1, 2), "2026-01-02", 5, datetime(2026, 1, 2, tzinfo=UTC)),
        "moment": maybe(datetime(2026, 1, 2, 3, 4, tzinfo=UTC), date(2026, 1, 2), "now"),
        "amount": maybe(Decimal("1.50"), 1, 1.5, "x"),
        "anything": maybe({"a": [1, None]}, [], "x", 0, Shout()),
        "texts": maybe(
            ["a", "b"], ["a", None], ["a", 1], ("a",), "abc", {"a"}, 5, [Later("a")], [ValueError("item")]
        ),
        "holes": maybe(["a", None], [1], [Later(None)], iter(["a"])),
        "grid": maybe([[1, 2], []], [[1], None], [["x"]], [[2**40]]),
        "colours": maybe([Colour.RED, Colour.GREEN], ["red", "nope"], [None]),
        "child": maybe(thing(), "not a thing", 5, {"id": "x"}),
        "firm_child": maybe(thing() or build_leaf(), lambda: Later(build_leaf())),
        "children": maybe(
            things(2),
            lambda: (build_leaf(),),
            [None],
            lambda: [build_leaf(), ValueError("item")],
            lambda: [Later(build_leaf())],
            5,
        ),
        "patchy": maybe(
            [thing(), None],
            lambda: [Later(None), build_leaf()],
            lambda: [ValueError("item"), build_leaf()],
            lambda: iter([build_leaf()]),
        ),
        "tag": maybe(Tag(name="t", weight=1), Note(name="n", text="x"), SimpleNamespace(name="s", weight=1), "x"),
        "tags": maybe([Tag(name="t", weight=1)], [Tag(name="t", weight="x")], [Note(name="n", text="x")], [None]),
        "named": maybe(named(), SimpleNamespace(name="s"), "x"),
        "nameds": maybe([named(), named()], [named(), "x"], [None]),
        "labels": maybe([named(), named()], ["x"]),
    }
    if rng.random() < odd:
        del values[rng.choice(list(values))]
    if len(values) == 24 and rng.random() < 0.5:
        return Thing(**values)
    return Source(values)


def build_leaf():
    return Thing(**dict.fromkeys(field.python_name for field in Thing.__strawberry_definition__.fields if field.init)
                 | {"id": "leaf", "must": "leaf", "texts": [], "children": []})  # fmt: skip


def root(seed, odd):
    rng = random.Random(seed)  # noqa: S311 - a test's data
    made = [build(rng, depth, odd) for depth in (2, 1, 1)]
    return Query(thing=made[0], firm=made[1], things=made)


def sources(value, found):
    """Every `Source` below, in a fixed order."""
    if isinstance(value, Source):
        found.append(value)
        value = value.values
    elif isinstance(value, (Query, Thing)):
        value = vars(value)
    if isinstance(value, dict):
        for item in value.values():
            sources(item, found)
    elif isinstance(value, (list, tuple)):
        for item in value:
            sources(item, found)
    return found


ALL_PLAIN = (
    "id text must number ratio flag colour day moment amount anything texts holes grid colours"
    " tag { name weight } tags { name } named { __typename name ... on Note { text upper(times: 2) } }"
    " nameds { name ...T } labels { __typename ... on Tag { weight } ... on Named { name } }"
)
FRAGMENTS = " fragment T on Tag { weight } fragment P on Thing { " + ALL_PLAIN + " }"
WRITTEN = [
    "{ thing { id text } }",
    "{ things { ...P child { ...P } children { ...P } patchy { ...P } } }" + FRAGMENTS,
    "{ found(many: 5) { ...P seen later(ticks: 3) { ...P seen } laterChildren { ...P failsLater } } }" + FRAGMENTS,
    "{ generated { ...P } firm { firmChild { firmChild { must } } } }" + FRAGMENTS,
    "{ a: thing { b: text c: text must __typename t: __typename } thing { must fails x: seen(times: 3) } __typename }",
    "{ firm { fails failsLater child { failsLater later { failsLater } } } }",
    (
        "query ($y: Boolean!, $n: Int!) { things { text @skip(if: $y) must @include(if: $y) seen(times: $n)"
        " ... @include(if: $y) { number children { number @skip(if: $y) } } } }"
    ),
    "mutation { first { ...P } second { ...P children { must } } again: first { later { must } } }" + FRAGMENTS,
    '{ __schema { queryType { name } } __type(name: "Thing") { fields { name } } }',
]
