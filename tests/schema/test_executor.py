import asyncio
import gc
import json
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import strawberry
from graphql import GraphQLList, GraphQLNonNull, get_named_type, is_abstract_type, is_object_type, parse, validate
from graphql import execute as graphql_execute
from graphql.validation import OverlappingFieldsCanBeMergedRule, PossibleFragmentSpreadsRule
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema import executor as executor_module
from schema.documents import Document, Documents
from schema.errors import ConfideGraphQLError, DocumentRefusedError, ErrorCode, FilterNotAllowedError
from schema.executor import PlainExecutor, execute
from schema.limits import Limits
from schema.publishing import published

# graphql-core itself leaves coroutines behind where a null bubbles past them; both leave the same ones.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]
LIMITS = Limits(aliases=1_000, fields=10_000, spreads=1_000, repeats=1_000, cost=10**9, directives=1_000)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind():
    """What was left behind in cycles is told of here, and not by whichever test runs when it is collected."""
    yield
    gc.collect()


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
CORE = SCHEMA._schema


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
    """What a resolver may return for a Thing: anything with the attributes."""

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


def shown(result, context, source):
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
    reads = [found.read for found in sources(source, [])]
    return json.dumps(result.data, default=repr), errors, context["calls"], reads


async def reference(document, variables, source, operation_name=None):
    """graphql-core with Strawberry's own executor."""
    context = {"calls": []}
    result = graphql_execute(
        CORE, document, source, context, variables, operation_name,
        executor_class=StrawberryGraphQLCoreExecutionContext,
        is_awaitable=optimized_is_awaitable, operation_extensions=None,
    )  # fmt: skip
    if optimized_is_awaitable(result):
        result = await result
    return shown(result, context, source)


async def ours(text, variables, source, operation_name=None):
    context = {"calls": []}
    document = DOCUMENTS.prepare(text)
    result = await execute(
        SCHEMA, document, variables=variables, root=source, context=context, operation_name=operation_name
    )
    return shown(result, context, source)


DOCUMENTS = Documents(SCHEMA, LIMITS)

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


@pytest.mark.parametrize("odd", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("text", WRITTEN)
async def test_written_queries_are_answered_as_graphql_core_answers_them(text, odd):
    for seed in range(12):
        variables = {"y": seed % 2 == 0, "n": seed} if "$y" in text else None
        expected = await reference(parse(text), variables, root(seed, odd))
        assert await ours(text, variables, root(seed, odd)) == expected


class Queries:
    """Valid queries of `SCHEMA`: aliases, arguments, fragments of all kinds, @skip and @include with variables."""

    DIRECTIVES = (*[""] * 6, " @skip(if: $yes)", " @include(if: $yes)", " @include(if: $no)", " @skip(if: true)")

    def __init__(self, seed):
        self.rng = random.Random(seed)  # noqa: S311 - a test's data
        possible = [CORE.type_map[name] for name in ("Thing", "Tag", "Note")]
        self.conditions = [self.rng.choice(possible) for _ in range(self.rng.randint(0, 3))]

    def text(self):
        body = self.selections(CORE.query_type, 0, 0)
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
                place
                for place in range(after, len(self.conditions))
                if self.conditions[place] is type_
                or (is_abstract_type(type_) and CORE.is_sub_type(type_, self.conditions[place]))
            ]
            if kind == 0 and spreadable:
                parts.append(f"...F{self.rng.choice(spreadable)}" + self.directive())
            elif kind == 1 and depth < 5:
                inner = self.rng.choice(CORE.get_possible_types(type_)) if is_abstract_type(type_) else type_
                parts.append(
                    f"... on {inner.name}{self.directive()} {{ {self.selections(inner, depth + 1, after)} }}"
                )
            elif not hasattr(type_, "fields"):
                parts.append("__typename")
            else:
                parts.append(self.field(type_, depth, after))
        return " ".join(parts)

    def field(self, type_, depth, after):
        name = self.rng.choice(
            [name for name, found in type_.fields.items() if depth < 3 or not composite(found)] or ["__typename"]
        )
        if name == "__typename":
            return name
        found = type_.fields[name]
        args = alias = ""
        if self.rng.random() < 0.5:
            size = self.rng.choice(["2", "3", "$n"]) if found.args else ""
            args = f"({next(iter(found.args))}: {size})" if size else ""
            alias = f"{name}_{size.strip('$') or self.rng.randint(0, 1)}: "
        below = f" {{ {self.selections(get_named_type(found.type), depth + 1, after)} }}" if composite(found) else ""
        return f"{alias}{name}{args}{self.directive()}{below}"


def composite(found):
    return is_object_type(get_named_type(found.type)) or is_abstract_type(get_named_type(found.type))


def runnable(text):
    """The document, if it is valid; all but two rules are kept by construction."""
    document = parse(text)
    rules = [OverlappingFieldsCanBeMergedRule, PossibleFragmentSpreadsRule]
    return None if validate(CORE, document, rules) else document


async def compared(seed, odd):
    """Whether both answer the query of this seed alike; None where it is not valid."""
    text = Queries(seed).text()
    document = runnable(text)
    if document is None:
        return None
    variables = {"yes": seed % 2 == 0, "no": seed % 3 == 0, "n": 3}
    context = {"calls": []}
    source = root(seed, odd)
    result = await execute(
        SCHEMA, Document("", text, document, None), variables=variables, root=source, context=context
    )
    expected = await reference(document, variables, root(seed, odd))
    for _ in range(20):  # what was left behind by a null that bubbled is settled in the background
        await asyncio.sleep(0)
    return shown(result, context, source) == expected


def test_generated_queries_are_answered_as_graphql_core_answers_them():
    tried = []

    @given(st.integers(0, 2**40), st.sampled_from([0.0, 0.1, 0.4]))
    @settings(max_examples=510, deadline=None, database=None, phases=[Phase.generate])
    def check(seed, odd):
        equal = asyncio.run(compared(seed, odd))
        assert equal is not False, f"seed {seed}, odd {odd}: {Queries(seed).text()}"
        if equal:
            tried.append(seed)

    check()
    assert len(tried) >= 500


class TestNegativeControls:
    """The comparison sees each kind of fault when it is planted."""

    async def differs(self, text, odd=0.6):
        for seed in range(12):
            expected = await reference(parse(text), None, root(seed, odd))
            if await ours(text, None, root(seed, odd)) != expected:
                return True
        return False

    async def test_nothing_differs_unplanted(self):
        assert not await self.differs(WRITTEN[1])

    async def test_a_lost_error_is_seen(self, monkeypatch):
        monkeypatch.setattr(PlainExecutor, "handle_field_error", lambda *_: None)
        assert await self.differs(WRITTEN[1])

    async def test_a_changed_order_of_keys_is_seen(self, monkeypatch):
        made = PlainExecutor._plan

        def reversed_plan(self, *args):
            plan = made(self, *args)
            plan.steps.sort(key=lambda step: step[0])
            return plan

        monkeypatch.setattr(PlainExecutor, "_plan", reversed_plan)
        assert await self.differs(WRITTEN[1], 0.0)

    async def test_a_value_let_through_unconverted_is_seen(self, monkeypatch):
        monkeypatch.setattr(executor_module.PlainExecutor, "_complete", lambda *args: args[5])
        assert await self.differs("{ things { text number } }")

    async def test_a_second_resolution_is_seen(self, monkeypatch):
        once = PlainExecutor.execute_field

        def twice(self, *args):
            value = once(self, *args)
            if args[0].name == "Thing" and args[3].key == "seen":
                once(self, *args)
            return value

        monkeypatch.setattr(PlainExecutor, "execute_field", twice)
        assert await self.differs("{ things { seen } }", 0.0)

    async def test_a_second_reading_is_seen(self, monkeypatch):
        whole = PlainExecutor._value

        def again(self, parent_type, field, details, path, name, value):
            del value
            return whole(self, parent_type, field, details, path, name, self.last)

        first = PlainExecutor._object

        def reading(self, parent_type, source, path, plan):
            self.last = getattr(source, "text", None)
            return first(self, parent_type, source, path, plan)

        monkeypatch.setattr(PlainExecutor, "_object", reading)
        assert await self.differs("{ things { text } }")
        del again


class TestStrawberryStaysItself:
    async def test_as_execution_context_class_answers_are_the_same(self):
        schema = strawberry.Schema(Query, types=[Tag, Note], execution_context_class=PlainExecutor)
        for text in WRITTEN[:6]:
            result = await schema.execute(text, root_value=root(3, 0.2), context_value={"calls": []})
            expected = await reference(parse(text), None, root(3, 0.2))
            assert json.dumps(result.data, default=repr) == expected[0]
            assert [error.message for error in result.errors or []] == [error[0] for error in expected[1]]

    async def test_schema_extensions_that_wrap_resolvers_turn_the_short_way_off(self):
        seen = []

        class Watching(strawberry.extensions.SchemaExtension):
            def resolve(self, next_, source, info, *args, **kwargs):
                seen.append(info.field_name)
                return next_(source, info, *args, **kwargs)

        schema = strawberry.Schema(
            Query, types=[Tag, Note], extensions=[Watching], execution_context_class=PlainExecutor
        )
        await schema.execute("{ things { text } }", root_value=root(1, 0), context_value={"calls": []})
        assert seen == ["things", "text", "text", "text"]

    async def test_permissions_and_field_extensions_are_not_plain(self):
        class Refusing(strawberry.permission.BasePermission):
            message = "refused"

            def has_permission(self, *_args, **_kwargs):
                return False

        @strawberry.type
        class Secret:
            value: str | None = strawberry.field(permission_classes=[Refusing], default="secret")

        @strawberry.type
        class Root:
            @strawberry.field
            def secrets(self) -> list[Secret]:
                return [Secret(), Secret()]

        schema = strawberry.Schema(Root)
        result = await execute(schema, Documents(schema, LIMITS).prepare("{ secrets { value } }"))
        assert result.data == {"secrets": [{"value": None}, {"value": None}]}
        assert [error.message for error in result.errors] == ["refused", "refused"]


class TestWhatIsRefusedBeforeRunning:
    async def refused(self, text, variables=None, operation_name=None):
        with pytest.raises(DocumentRefusedError) as caught:
            await execute(SCHEMA, DOCUMENTS.prepare(text), variables=variables, operation_name=operation_name)
        return caught.value.errors

    async def test_an_operation_that_is_not_there(self):
        for name in ("Secret", None):
            (error,) = await self.refused("query A { thing { id } } query B { thing { id } }", operation_name=name)
            assert error.extensions["code"] == "INPUT_INVALID"
            assert "Secret" not in error.message

    @pytest.mark.parametrize(
        ("declared", "value", "said"),
        [
            ("Int", "secret", "Variable '$v' has invalid value."),
            ("Int", 2**40, "Variable '$v' has invalid value."),
            ("Int!", None, "Variable '$v' has invalid value: Expected value of non-null type 'Int!' not to be None."),
            (
                "Int!",
                ...,
                "Variable '$v' has invalid value: Expected a value of non-null type 'Int!' to be provided.",
            ),
            ("Int = 3", {"secret": ["secret"]}, "Variable '$v' has invalid value."),
        ],
    )
    async def test_a_variable_that_does_not_fit_is_named_and_its_value_is_not(self, declared, value, said):
        text = f"query ($v: {declared}) {{ thing {{ seen(times: $v) }} }}" if "!" in declared or "=" in declared else (
            f"query ($v: {declared}) {{ thing {{ seen(times: $v) }} }}".replace("seen(times: $v)", "seen2: seen(times: 1)")
        )  # fmt: skip
        document = Document("", text, parse(text), None)
        with pytest.raises(DocumentRefusedError) as caught:
            await execute(SCHEMA, document, variables={} if value is ... else {"v": value})
        assert [error.message for error in caught.value.errors] == [said]


class TestDocuments:
    def test_the_second_time_a_document_is_the_same_and_keeps_what_was_attached(self):
        documents = Documents(SCHEMA, Limits())
        first = documents.prepare("{ thing { id } }")
        first.attach("plan", 1)
        assert documents.prepare("{ thing { id } }") is first
        assert documents.find(first.sha256) is first
        assert first.slots == {"plan": 1}
        assert documents.find("nonsense") is documents.find("00" * 32) is None

    def test_what_is_kept_is_bounded_and_the_least_used_goes_first(self):
        texts = [f"{{ thing {{ id x{i:04}: text }} }}" for i in range(50)]
        documents = Documents(SCHEMA, Limits(), budget=10 * len(texts[0]))
        for text in texts[:10]:
            documents.prepare(text)
        kept = documents.prepare(texts[0])
        for text in texts[10:15]:
            documents.prepare(text)
        assert len(documents) == 10
        assert documents.prepare(texts[0]) is kept
        assert documents.find(kept.sha256)
        small = Documents(SCHEMA, Limits(), budget=5)
        small.prepare(texts[0])
        assert len(small) == 0

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{ thing { seen(times: "secret") } }', "Expected a value of type 'Int!'."),
            ("{ thing { seen(times: secret) } }", "Expected a value of type 'Int!'."),
            ("{ thing { seen(times: [{secret: 1}]) } }", "Expected a value of type 'Int!'."),
            ('query ($v: Int = "secret") { thing { seen(times: $v) } }', "Expected a value of type 'Int'."),
            ("{ thing { seen(times: null) } }", "Expected value of non-null type 'Int!' not to be None."),
            ("{ thing { absent } }", "Cannot query field 'absent' on type 'Thing'."),
        ],
    )
    def test_a_document_that_does_not_fit_is_refused_without_its_literals(self, text, said):
        with pytest.raises(DocumentRefusedError) as caught:
            Documents(SCHEMA, Limits(), suggestions=False).prepare(text)
        assert caught.value.errors[0].message == said
        assert all("secret" not in error.message for error in caught.value.errors)

    def test_limits_syntax_and_unicode_are_refused_alike(self):
        for text in ("{", "{ thing " + "{ child " * 99 + "{ id }" + "}" * 100, "{ a" + "\ud800" + " }"):
            with pytest.raises(DocumentRefusedError) as caught:
                DOCUMENTS.prepare(text)
            assert len(caught.value.errors) == 1

    def test_introspection_can_be_closed(self):
        with pytest.raises(DocumentRefusedError):
            Documents(SCHEMA, Limits(), introspection=False).prepare("{ __schema { types { name } } }")
        Documents(SCHEMA, Limits(), introspection=False).prepare("{ __typename }")


async def test_a_hundred_objects_of_twelve_fields_take_well_under_half_a_millisecond():
    """Measured against graphql-core in the same run, so a slow machine fails neither."""
    fields = {f"field_{i}": f"value {i}" if i % 3 else None for i in range(12)}
    row = strawberry.type(type("Row", (), {"__annotations__": dict.fromkeys(fields, str | None)}))
    rows = [row(**fields) for _ in range(100)]

    @strawberry.type
    class Rows:
        @strawberry.field
        def rows(self) -> list[row]:
            return rows

    schema = strawberry.Schema(Rows)
    document = Documents(schema, Limits()).prepare("{ rows { " + " ".join(f"field{i}" for i in range(12)) + " } }")

    async def core():
        return graphql_execute(
            schema._schema, document.node, executor_class=StrawberryGraphQLCoreExecutionContext,
            is_awaitable=optimized_is_awaitable, operation_extensions=None,
        )  # fmt: skip

    async def best(run):
        times = []
        for _ in range(15):
            start = time.perf_counter()
            result = await run()
            times.append(time.perf_counter() - start)
        return min(times), result.data

    slow, expected = await best(core)
    quick, data = await best(lambda: execute(schema, document))
    assert data == expected
    assert quick < slow / 7


def test_lists_are_lists_of_the_schema():
    """The schema of these tests has what the executor tells apart."""
    kinds = {
        type(field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type)
        for field in CORE.type_map["Thing"].fields.values()
    }
    assert GraphQLList in kinds


class TestWhatAnAnswerShowsOfAnError:
    async def shown(self, text, variables=None, source=None):
        source = source or Query(thing=Source({"must": "m", "number": "alice@example.org"}), firm=None, things=[])
        result = await execute(
            SCHEMA, DOCUMENTS.prepare(text), variables=variables, root=source, context={"calls": []}
        )
        return [published(error) for error in result.errors]

    async def test_a_stored_value_that_does_not_fit_its_type_is_not_quoted(self):
        (error,) = await self.shown("{ thing { number } }")
        assert error == {
            "message": "Something went wrong on the server.",
            "locations": [{"line": 1, "column": 11}],
            "path": ["thing", "number"],
            "extensions": {"code": "INTERNAL"},
        }

    async def test_an_argument_that_turns_out_null_is_the_clients_error(self):
        (error,) = await self.shown("query ($n: Int = 2) { thing { seen(times: $n) } }", {"n": None})
        assert error["extensions"] == {"code": "INPUT_INVALID"}

    async def test_an_error_of_ours_keeps_its_words_code_and_details(self):
        class Refusing:
            @property
            def must(self):
                raise FilterNotAllowedError(["profile.phone", "profile.email"])

        (error, *_) = await self.shown("{ thing { must } }", source=Query(thing=Refusing(), firm=None, things=[]))
        assert error["message"] == "The caller may not filter by these fields."
        assert error["extensions"] == {"code": "FILTER_NOT_ALLOWED", "fields": ["profile.email", "profile.phone"]}

    def test_every_code_has_exactly_one_class_and_a_sentence(self):
        def leaves(kind):
            return [leaf for below in kind.__subclasses__() for leaf in leaves(below)] or [kind]

        found = [kind for kind in leaves(ConfideGraphQLError) if kind.__module__ == "schema.errors"]
        assert sorted(kind.code for kind in found) == sorted(ErrorCode)
        assert all(kind.default_message.endswith(".") for kind in found)
