"""The compiled executor answers as graphql-core does, whatever is asked and whatever the data is."""

import gc
import time

import msgspec
import pytest
import strawberry
from graphql import execute as graphql_execute
from graphql import parse
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.documents import Documents
from schema.execution import Plans, program
from schema.execution import plans as plans_module
from schema.execution.executor import CompiledExecutor
from schema.execution.program import Program
from schema.execution.site import Site
from schema.executor import execute
from schema.limits import Limits
from tests.schema.fuzzing import Town, at_once, by_compiled_code, by_graphql_core, mismatch, shown
from tests.schema.things import LIMITS, SCHEMA, WRITTEN, root, sources

# graphql-core itself leaves coroutines behind where a null bubbles past them; both leave the same ones.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind():
    """What was left behind in cycles is told of here, and not by whichever test runs when it is collected."""
    yield
    gc.collect()


async def answered(run, document, variables, seed, odd):
    context, source = {"calls": []}, root(seed, odd)
    reads = sources(source, [])
    return shown(await run(SCHEMA, document, variables, source, context), context, reads)


async def differs(text, odd, seeds=4):
    """The first seed under which the answers to a written query differ."""
    document = parse(text)
    for seed in range(seeds):
        variables = {"y": seed % 2 == 0, "n": seed} if "$y" in text else None
        expected = await answered(by_graphql_core, document, variables, seed, odd)
        if await answered(by_compiled_code, document, variables, seed, odd) != expected:
            return seed
    return None


@pytest.mark.parametrize("odd", [0.0, 0.2, 0.6])
@pytest.mark.parametrize("text", WRITTEN)
async def test_written_queries_are_answered_as_graphql_core_answers_them(text, odd):
    assert await differs(text, odd) is None


@pytest.mark.parametrize("part", range(7))
async def test_random_queries_of_random_schemas_are_answered_as_graphql_core_answers_them(part):
    """2,000 in all; `scripts/fuzz-execution` asks more."""
    ran = 0
    for seed in range(part * 15, part * 15 + 15):
        town = Town(seed)
        for number in range(20):
            valid, wrong = await mismatch(town, seed * 1_000 + number, (0.0, 0.1, 0.4)[number % 3])
            assert wrong is None, f"schema {seed}, query {number}: {wrong}"
            ran += valid
    assert ran >= 286


class TestNegativeControls:
    """The comparison sees each kind of fault when it is planted."""

    @pytest.fixture(autouse=True)
    def new_plans(self):
        """Code that was written with a fault is not used by others."""
        at_once(SCHEMA)
        yield
        at_once(SCHEMA)

    async def test_a_lost_error_is_seen(self, monkeypatch):
        monkeypatch.setattr(CompiledExecutor, "handle_field_error", lambda *_: None)
        assert await differs(WRITTEN[1], 0.6) is not None

    async def test_a_changed_order_of_keys_is_seen(self, monkeypatch):
        made = Program._answer
        monkeypatch.setattr(Program, "_answer", lambda self, answers: made(self, dict(reversed(answers.items()))))
        assert await differs(WRITTEN[1], 0.0) is not None

    async def test_a_value_let_through_unconverted_is_seen(self, monkeypatch):
        monkeypatch.setattr(program, "check", lambda *_args, **_kwargs: [])
        assert await differs("{ things { text number } }", 0.6, 12) is not None

    async def test_a_second_resolution_is_seen(self, monkeypatch):
        once = Site.resolve

        def twice(self, *args):
            if self.name == "seen":
                once(self, *args)
            return once(self, *args)

        monkeypatch.setattr(Site, "resolve", twice)
        assert await differs("{ things { seen } }", 0.0) is not None

    async def test_a_second_reading_is_seen(self, monkeypatch):
        once = Program._field
        monkeypatch.setattr(Program, "_field", lambda *args: [*once(*args)[:4], *once(*args)])
        assert await differs("{ things { text } }", 0.0, 12) is not None

    async def test_a_wrong_path_is_seen(self, monkeypatch):
        right = Site.at
        monkeypatch.setattr(Site, "at", lambda self, place: right(self, place).add_key(0))
        assert await differs(WRITTEN[1], 0.2) is not None

    async def test_the_random_queries_see_a_fault_too(self, monkeypatch):
        monkeypatch.setattr(program, "uncast", lambda _value: True)
        monkeypatch.setattr(program, "runtime_type", lambda schema, type_, _kind: schema.get_possible_types(type_)[0])
        found = [
            (await mismatch(town, number, 0.1))[1] for town in (Town(3), Town(4), Town(5)) for number in range(40)
        ]
        assert any(found)


class TestPlans:
    def plans(self, **bounds):
        return Plans(SCHEMA._schema, after=0, **bounds)

    async def ran(self, plans, text, variables=None, **options):
        document = parse(text)
        plan, values = plans.plan(document, document.definitions[0], variables, **options)
        answer = plan.root(plan.executor(values, root(1, 0.0), {"calls": []}))
        return plan, await answer if optimized_is_awaitable(answer) else answer

    def test_an_operation_has_one_plan_for_each_version_and_each_combination_of_its_switches(self):
        plans = self.plans()
        document = parse("query ($y: Boolean!, $n: Int) { firm { id @skip(if: $y) seen(times: $n) } }")
        asked = [
            ({"y": False, "n": 1}, None),
            ({"y": False, "n": 2}, None),
            ({"y": True, "n": 1}, None),
            ({"y": True, "n": 1}, "new"),
        ]
        found = [plans.plan(document, document.definitions[0], given, version=version)[0] for given, version in asked]
        assert [found.index(each) for each in found] == [0, 0, 2, 3]
        assert len(plans) == 3

    def test_a_document_that_comes_once_has_no_code_written_for_it(self):
        plans = Plans(SCHEMA._schema)
        document = parse("{ firm { id } }")
        found = [plans.plan(document, document.definitions[0], None)[0].compiled for _ in range(3)]
        assert found == [False, True, True]

    def test_plans_are_bounded_in_number_and_the_least_recently_used_goes_first(self):
        plans = self.plans(most=3)
        documents = [parse("{ firm { id } }") for _ in range(4)]
        for document in (*documents[:3], documents[0], documents[3]):
            plans.plan(document, document.definitions[0], None)
        first = [plans.plan(each, each.definitions[0], None)[0] for each in (documents[0], documents[3])]
        assert len(plans) == 3
        assert [plan.operation.document for plan in first] == [documents[0], documents[3]]
        assert len(plans._operations) == 3

    async def test_plans_are_bounded_by_the_fields_written_in_them(self):
        plans = self.plans(fields=10)
        for _ in range(5):
            await self.ran(plans, "{ firm { id text must number } }")
        assert len(plans) <= 3
        assert plans.fields <= 15

    def test_plans_are_bounded_by_the_characters_of_the_documents_that_they_keep(self):
        plans = self.plans(characters=100)
        texts = [f"query Q{number} {{ firm {{ id }} }} query R{number} {{ firm {{ id }} }}" for number in range(9)]
        for document in map(parse, texts):
            for operation in document.definitions:
                plans.plan(document, operation, None)
        assert 0 < plans.characters <= 100
        assert len(plans) == len(plans._operations) == 4
        document = parse("query Long { firm { id text must number flag ratio colour day moment amount anything texts } "
                         "things { id text must number flag } }")  # fmt: skip
        plans.plan(document, document.definitions[0], None)
        assert len(plans) == 1, "one that is longer than all of it is the only one"

    async def test_nothing_that_a_request_brought_stays_with_its_plan(self):
        text = "query ($y: Boolean!, $s: String!) { firm { id @skip(if: $y) } __type(name: $s) { name } }"
        plans = self.plans()
        brought = f"{id(plans)}@example.org"  # no constant of the code
        await self.ran(plans, text, {"y": False, "s": brought})
        seen, waiting = set(), [plans]
        while waiting:
            one = waiting.pop()
            if id(one) in seen or isinstance(one, type) or one is SCHEMA._schema:
                continue
            seen.add(id(one))
            assert one is not brought
            waiting.extend(gc.get_referents(one))
        assert id(next(iter(plans._plans.values())).operation.node) in seen

    async def test_what_is_selected_beyond_the_bound_of_one_plan_is_answered_all_the_same(self, monkeypatch):
        text = "{ firm { id child { id child { id must } } children { must } } }"
        whole, expected = await self.ran(self.plans(), text)
        monkeypatch.setattr(plans_module, "MOST_IN_ONE", 4)
        part, answer = await self.ran(self.plans(), text)
        assert answer == expected
        assert len(part.program.source) < len(whole.program.source)

    def test_a_fragment_that_is_spread_often_is_written_once(self):
        text = "fragment A on Thing { b: child { ...B } c: child { ...B } d: child { ...B } } "
        document = parse("{ firm { ...A } } " + text + text.replace(" A ", " B ").replace("...B", "...C")
                         + "fragment C on Thing { id text must }")  # fmt: skip
        plans = self.plans()
        plan, values = plans.plan(document, document.definitions[0], None)
        plan.root(plan.executor(values, root(1, 0.0), {"calls": []}))
        assert plan.fields < 30


async def test_nothing_of_a_document_or_a_schema_is_run_as_code():
    """Names that Python would read otherwise, and texts that would close a literal."""
    planted = "x'+str(1/0)+'"
    names = {"none": str | None, "v0": str, "x": str, "p": str, "o": str, "w": str, "a": str}
    made = strawberry.type(type("Odd", (), {"__annotations__": names}))

    @strawberry.type
    class Root:
        @strawberry.field
        def odd(self) -> list[made]:
            return [made(**{**dict.fromkeys(names, planted), "none": None})]

    schema = strawberry.Schema(Root)
    at_once(schema)
    selected = " ".join(f"{alias}: {name}" for alias, name in (
        ("if", "v0"), ("v0", "x"), ("__import__", "p"), ("exec", "o"), ("True", "w"), ("None", "none"), ("f0", "a"),
    ))  # fmt: skip
    document = Documents(schema, LIMITS).prepare(f"{{ odd {{ {selected} }} }}")
    expected = graphql_execute(schema._schema, document.node)
    for structs in (False, True):
        result = await execute(schema, document, structs=structs)
        assert result.errors is None
        assert msgspec.json.decode(msgspec.json.encode(result.data)) == expected.data


async def test_lists_of_lists_are_answered_however_deep_they_are():
    @strawberry.type
    class Leaf:
        value: int | None = 1

    deep = [[[[[[[Leaf(), None]]]]]]]

    @strawberry.type
    class Root:
        @strawberry.field
        def deep(self) -> list[list[list[list[list[list[list[Leaf | None]]]]]]]:
            return deep

        @strawberry.field
        def flat(self) -> list[list[list[Leaf | None]]]:
            return deep[0][0][0][0]

    schema = strawberry.Schema(Root)
    at_once(schema)
    result = await execute(schema, Documents(schema, LIMITS).prepare("{ deep { value } flat { value } }"))
    assert result.errors is None
    assert result.data == {
        "deep": [[[[[[[{"value": 1}, None]]]]]]],
        "flat": [[[{"value": 1}, None]]],
    }


async def test_permissions_and_field_extensions_are_not_plain():
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
    at_once(schema)
    result = await execute(schema, Documents(schema, LIMITS).prepare("{ secrets { value } }"))
    assert result.data == {"secrets": [{"value": None}, {"value": None}]}
    assert [error.message for error in result.errors] == ["refused", "refused"]


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
