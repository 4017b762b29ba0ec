import time
from dataclasses import replace

import pytest
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    build_schema,
    get_introspection_query,
    parse,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.cost import CEILING
from schema.errors import (
    InputInvalidError,
    LimitExceededError,
    PageSizeError,
    QueryTooComplexError,
    QueryTooLargeError,
)
from schema.gauge import Gauge
from schema.limits import Limits, check_variables, parse_document
from schema.paging import first_of

SCHEMA = build_schema(
    """
    type Query {
      me: Person
      people(first: Int = 20, after: String, named: [String!]): PersonConnection!
      pets(ids: [ID!]!): [Pet!]!
      search(text: String, deep: Deep): [Hit!]!
    }
    input Deep { deep: Deep, list: [[Int]] }
    union Hit = Person | Pet
    interface Named { name: String }
    type Person implements Named {
      id: ID! name: String nicknames: [String!]! friend: Person
      friends(first: Int): PersonConnection!
      pets: [Pet!]!
    }
    type Pet implements Named { name: String owner: Person }
    type PersonConnection { edges: [PersonEdge!]! pageInfo: PageInfo! }
    type PersonEdge { cursor: String! node: Person! }
    type PageInfo { hasNextPage: Boolean! }
    """
)
LIMITS = Limits()
OPEN = Limits(**dict.fromkeys(Limits.__dataclass_fields__, CEILING) | {"page": 100, "assumed_list": 10})


def measured(text, limits=LIMITS, schema=SCHEMA):
    return Gauge(schema, limits).measure(parse_document(text, limits))


def cost(text, variables=None, limits=LIMITS, operation=None):
    return measured(text, limits).cost(operation, variables)


def refusal(text, limits=LIMITS, variables=None):
    with pytest.raises(LimitExceededError) as caught:
        cost(text, variables, limits)
    return caught.value.extensions


def bomb(n, width=2):
    """`width` to the power of `n` fields, in a document of `n` fragments."""
    spreads = " ".join(f"f{i}: friend {{ ...F%d }}" for i in range(width))
    chain = " ".join(f"fragment F{i} on Person {{ {spreads.replace('%d', str(i + 1))} }}" for i in range(n))
    return f"{{ me {{ ...F0 }} }} {chain} fragment F{n} on Person {{ id }}"


def chain(n):
    """`n` fragments, each in the one before."""
    links = " ".join(f"fragment F{i} on Person {{ id ...F{i + 1} }}" for i in range(n))
    return f"{{ me {{ ...F0 }} }} {links} fragment F{n} on Person {{ id }}"


class TestWhatIsCounted:
    def test_depth_fields_aliases_and_directives_are_counted_through_fragments(self):
        found = cost(
            "query { me { ...F } b: me { ... on Person @include(if: true) { ...F } } }"
            " fragment F on Person { x: name friend { friend { ...G @skip(if: false) } } } fragment G on Person { id }"
        )
        assert (found.depth, found.fields, found.root_fields) == (4, 10, 2)
        assert (found.aliases, found.directives) == (3, 3)
        assert found.cost == 10

    def test_a_page_multiplies_everything_below_it_and_its_own_list_only_once(self):
        assert cost("{ people(first: 7) { edges { node { name } } } }").cost == 1 + 7 * 3

    def test_a_missing_page_size_takes_the_default_of_the_schema_and_without_one_the_largest_page(self):
        assert cost("{ people { edges { cursor } } }").cost == 1 + 20 * 2
        assert cost("{ people(first: null) { edges { cursor } } }").cost == 1 + 20 * 2
        assert cost("{ me { friends { edges { cursor } } } }").cost == 2 + 100 * 2

    def test_a_page_in_a_page_costs_their_product(self):
        text = "{ people(first: 10) { edges { node { friends(first: 5) { edges { cursor } } } } } }"
        assert cost(text).cost == 1 + 10 * (3 + 5 * 2)

    def test_a_list_of_objects_without_a_page_is_taken_to_hold_some(self):
        assert cost("{ me { pets { name } nicknames } }").cost == 1 + 2 + 10

    def test_a_list_of_ids_costs_what_it_asks_for(self):
        assert cost('{ pets(ids: ["a", "b", "c"]) { name } }').cost == 1 + 3
        assert cost("query ($i: [ID!]!) { pets(ids: $i) { name } }", {"i": ["a"] * 50}).cost == 1 + 50

    def test_variables_decide_the_cost_without_measuring_again(self):
        document = measured(
            "query A($n: Int = 4, $m: Int) { people(first: $n) { edges { node { ...F } } } }"
            " fragment F on Person { friends(first: $m) { edges { cursor } } }"
            " query B($m: Int) { me { ...F } }"
        )
        steps = document.steps
        assert document.cost("A", {}).cost == 1 + 4 * (2 + 1 + 100 * 2)
        assert document.cost("A", {"n": 2, "m": 3}).cost == 1 + 2 * (2 + 1 + 3 * 2)
        assert document.cost("A", {"n": None, "m": 0}).cost == 1 + 20 * (2 + 1)
        assert document.cost("B", {"m": 3}).cost == 1 + 1 + 3 * 2
        assert document.steps == steps

    def test_introspection_passes_once_and_cannot_be_multiplied(self):
        text = get_introspection_query(descriptions=True)
        assert cost(text).cost < LIMITS.cost
        many = "{" + " ".join(
            f"a{i}: __schema {{ types {{ fields {{ type {{ fields {{ name }} }} }} }} }}" for i in range(19)
        )
        nested = '{ __type(name: "Person") ' + "{ fields { type " * 7 + "{ name }" + "} }" * 7 + "}"
        assert (
            cost(many + "}").cost > 10 * cost("{ __schema { types { fields { type { fields { name } } } } } }").cost
        )
        assert refusal(nested)["limit"] == "cost"

    def test_a_field_that_does_not_exist_counts_one_and_is_left_to_validation(self):
        assert cost("{ nothing { below { it } } me { ...Missing } }").cost == 4

    def test_an_operation_is_found_by_name_or_alone(self):
        document = measured("query A { me { id } } query B { me { id name } }")
        assert document.cost("B").cost == 3
        for name in (None, "C"):
            with pytest.raises(InputInvalidError):
                document.cost(name)


class TestEveryLimitIsTypedAndSaysWhichAndHowMuch:
    @pytest.mark.parametrize(
        ("text", "limit", "code"),
        [
            ("{ me { id } } # " + "x" * 40_000, "characters", "QUERY_TOO_LARGE"),
            ("{ " + "id " * 3_000 + "}", "tokens", "QUERY_TOO_LARGE"),
            ("{ me }" + "#\n" * 501, "comments", "QUERY_TOO_LARGE"),
            (" ".join(f"query Q{i} {{ me {{ id }} }}" for i in range(11)), "operations", "QUERY_TOO_LARGE"),
            (chain(40), "fragments", "QUERY_TOO_LARGE"),
            ("{ me { " + "...F " * 201 + "} } fragment F on Person { id }", "spreads", "QUERY_TOO_LARGE"),
            ("{ me { " + "id " * 62 + "} }", "repeats", "QUERY_TOO_COMPLEX"),
            ("{ me { " + "... on Person { id } " * 62 + "} }", "repeats", "QUERY_TOO_COMPLEX"),
            ("{ me " + "{ friend " * 16 + "{ id }" + "}" * 17, "depth", "QUERY_TOO_COMPLEX"),
            ("{ me { " + "... {" * 60 + "id" + "}" * 62, "nesting", "QUERY_TOO_COMPLEX"),
            ("{ me " + "{ friend " * 3_000, "nesting", "QUERY_TOO_LARGE"),
            ("{ me " + "{ friend " * 1_000, "nesting", "QUERY_TOO_LARGE"),
            (bomb(12), "fields", "QUERY_TOO_COMPLEX"),
            ("{ " + " ".join(f"a{i}: me {{ id }}" for i in range(21)) + "}", "root_fields", "QUERY_TOO_COMPLEX"),
            ("{ me { " + " ".join(f"a{i}: id" for i in range(101)) + "} }", "aliases", "QUERY_TOO_COMPLEX"),
            ("{ me { " + "... @a @a @a @a { id } " * 26 + "} }", "directives", "QUERY_TOO_COMPLEX"),
            ("{ me { id @a @b @c @d @e } }", "directives_at_once", "QUERY_TOO_COMPLEX"),
            ("query ($x: Int @a @b @c @d @e) { me { id } }", "directives_at_once", "QUERY_TOO_COMPLEX"),
            ("{ people(last: 101, first: 1) { edges { cursor } } }", None, None),
            (
                ("{ people(first: 100) { edges { node { friends(first: 100) { edges { node { friends(first: 100)"
                " { edges { cursor } } } } } } } } }"),
                "cost",
                "QUERY_TOO_COMPLEX",
            ),
            ("{ search(deep: " + "{deep: " * 12 + "{}" + "}" * 12 + ") { name } }", "value_depth", "QUERY_TOO_LARGE"),
            ("{ search(deep: {list: " + "[" * 12 + "]" * 12 + "}) { name } }", "value_depth", "QUERY_TOO_LARGE"),
            ("query ($d: X = " + "[" * 13 + "]" * 13 + ") { me { id } }", "value_depth", "QUERY_TOO_LARGE"),
            ("{ me { id @a(x: " + "[" * 13 + "]" * 13 + ") } }", "value_depth", "QUERY_TOO_LARGE"),
            ("{ search(text: " + "[" * 3_000 + ") { name } }", "nesting", "QUERY_TOO_LARGE"),
            ("{ search(text: " + "{a:" * 900 + ") { name } }", "nesting", "QUERY_TOO_LARGE"),
            ("{ pets(ids: [" + "1 " * 1_001 + "]) { name } }", "list_items", "QUERY_TOO_LARGE"),
            ("{ me { ...F } } fragment F on T { ...G } fragment G on T { ...F }", "fragment_cycles", "QUERY_TOO_COMPLEX"),
            ("{ me { id } } fragment F on Person { ...F }", "fragment_cycles", "QUERY_TOO_COMPLEX"),
        ],
    )  # fmt: skip
    def test_the_document_is_refused_by_its_limit(self, text, limit, code):
        if limit is None:  # `last` is no argument of this field, so it does not count
            cost(text)
            return
        found = refusal(text)
        assert (found["limit"], found["code"]) == (limit, code)
        assert found["value"] > found["maximum"]

    def test_a_document_at_every_limit_passes(self):
        aliases = " ".join(f"a{i}: id" for i in range(100))
        cost("{ me { " + aliases + "id " * 36 + "... @a @b @c @d { name } " * 25 + "} }")
        cost("{ me " + "{ friend " * 14 + "{ id }" + "}" * 15)
        cost("{ people(first: 100) { edges { cursor } } }")

    @pytest.mark.parametrize(
        ("variables", "limit"),
        [
            ({f"v{i}": 1 for i in range(65)}, "variables"),
            ({"v": [1] * 1_001}, "list_items"),
            ({"v": [0] * 100_000}, "variable_values"),
            ({"v": [[0] * 900] * 6}, "variable_values"),
            ({"v": {str(i): i for i in range(5_001)}}, "variable_values"),
            ({"v": "x" * 100_001}, "variable_characters"),
            ({"v": {"x" * 100_001: 1}}, "variable_characters"),
            ({"v": [[[[[[[[[[[[[0]]]]]]]]]]]]]}, "value_depth"),
        ],
    )
    def test_variables_are_refused_by_their_limit(self, variables, limit):
        with pytest.raises(QueryTooLargeError) as caught:
            check_variables(variables, LIMITS)
        assert caught.value.extensions["limit"] == limit
        assert caught.value.extensions["value"] > caught.value.extensions["maximum"]

    def test_variables_at_every_limit_pass(self):
        check_variables(None, LIMITS)
        check_variables({f"v{i}": i for i in range(64)}, LIMITS)
        check_variables({"v": [1] * 1_000, "w": "x" * 99_998}, LIMITS)
        check_variables({"v": [[[[[[[[[[[[0]]]]]]]]]]]]}, LIMITS)

    @pytest.mark.parametrize("number", [101, 10**12, 10**300])
    @pytest.mark.parametrize(
        "text",
        [
            "{ people(first: %s) { edges { cursor } } }",
            "query ($n: Int = %s) { people(first: $n) { edges { cursor } } }",
            "query ($n: Int) { people(first: $n) { edges { cursor } } }",
        ],
    )
    def test_too_large_a_page_is_an_invalid_input_and_its_number_is_not_echoed(self, text, number):
        with pytest.raises(PageSizeError) as caught:
            cost(text.replace("%s", str(number)), None if "%s" in text else {"n": number})
        assert caught.value.extensions == {"code": "INPUT_INVALID", "field": "first"}
        assert caught.value.message == "`first` must lie between 1 and 100."
        with pytest.raises(PageSizeError) as said:
            first_of(0)
        assert said.value.message == caught.value.message, "whichever end it is"

    def test_the_largest_page_and_what_is_no_number_are_let_through(self):
        """Negative control; coercion refuses what is no number."""
        text = "query ($n: Int) { people(first: $n) { edges { cursor } } }"
        assert cost(text, {"n": 100}).cost == cost(text, {"n": "not a number"}).cost == 1 + 100 * 2

    @pytest.mark.parametrize(
        "text",
        ['{ me(x: "alice@example.org) }', '{ me "alice@example.org" }', "{ me alice@example.org }", "{ me(x: 'alice') }",
         '{ me """alice', "{ me(x: 12alice) }", '{ me(x: "\\u{alice}") }', '{ me(x: "\\alice") }', "alice", "\u0000alice"],
    )  # fmt: skip
    def test_a_syntax_error_names_the_place_and_never_the_text(self, text):
        with pytest.raises(GraphQLError) as caught:
            parse_document(text, LIMITS)
        assert caught.value.message.startswith("Syntax error: ")
        assert "alice" not in caught.value.message
        assert caught.value.locations


class TestHostileDocuments:
    HOSTILE = (
        ("2^60 fields", bomb(60)),
        ("n^n fields", bomb(30, 30)),
        ("a chain of 10,000 fragments", chain(10_000)),
        ("100,000 aliases", "{ me { " + " ".join(f"a{i}: id" for i in range(100_000)) + " } }"),
        ("100,000 directives", "{ me { id " + "@skip(if: false) " * 100_000 + "} }"),
        ("1 MB of one field", "{ me { " + "id " * 350_000 + "} }"),
        ("1 MB of braces", "{a" * 500_000),
        ("1 MB of lists", "{ search(text: " + "[" * 1_000_000),
        ("1 MB of objects", "{ search(deep: " + "{deep: " * 140_000),
        ("1 MB of comment", "#" * 1_000_000),
        ("1 MB of string", '{ search(text: "' + "x" * 1_000_000 + '") { name } }'),
    )

    @pytest.mark.parametrize("text", [text for _, text in HOSTILE], ids=[name for name, _ in HOSTILE])
    def test_each_is_refused_within_milliseconds(self, text):
        best = min(self._seconds(text) for _ in range(3))
        assert best < 0.05

    @staticmethod
    def _seconds(text):
        start = time.perf_counter()
        with pytest.raises(LimitExceededError):
            cost(text)
        return time.perf_counter() - start

    @pytest.mark.parametrize(("text", "limit"), [(bomb(12), "fields"), (chain(39), "nesting")])
    def test_what_a_document_expands_to_is_what_refuses_it(self, text, limit):
        assert refusal(text, replace(LIMITS, nesting=30))["limit"] == limit

    def test_without_limits_counts_stop_at_the_ceiling_and_nothing_recurses(self):
        found = cost(bomb(60), limits=OPEN)
        assert found.fields == found.cost == found.aliases == CEILING
        assert found.depth == 62
        assert cost(chain(10_000), limits=OPEN).fields == 10_002

    def test_the_worst_documents_that_pass_are_validated_in_bounded_time(self):
        inline = (
            "{ me { "
            + " ".join(f"a{i}: friend {{ friend {{ id }} }}" for i in range(60))
            + "... on Person { friend { friend { id } } } " * 60
            + "} }"
        )
        fragments = "{ me { " + "".join(f"...F{i} " for i in range(40)) + "} }" + " ".join(
            f"fragment F{i} on Person {{ id friend {{ id friend {{ id name }} }} }}" for i in range(40)
        )  # fmt: skip
        for text in (inline, fragments):
            document = parse_document(text, LIMITS)
            Gauge(SCHEMA, LIMITS).measure(document)
            start = time.perf_counter()
            validate(SCHEMA, document)
            assert time.perf_counter() - start < 1.0


class TestLinearity:
    """Steps are counted, not time: twice the document, twice the steps."""

    @pytest.mark.parametrize(
        "shape",
        [bomb, chain, lambda n: bomb(n, 8), lambda n: "{" + "me { ...F } " * n + "} fragment F on Person { id }"],
    )
    def test_the_steps_grow_with_the_document_and_not_with_what_it_expands_to(self, shape):
        steps = [measured(shape(n), OPEN).steps for n in (50, 100, 200)]
        assert 1.8 < steps[1] / steps[0] < 2.2
        assert 1.8 < steps[2] / steps[1] < 2.2

    def test_pricing_a_request_grows_with_the_document_too(self):
        spreads = (
            "a: friends(first: $n) { edges { node { ...F%d } } } b: friends(first: $n) { edges { node { ...F%d } } }"
        )
        text = "query ($n: Int) { me { ...F0 } }" + "".join(
            f" fragment F{i} on Person {{ {spreads.replace('%d', str(i + 1))} }}" for i in range(60)
        ) + " fragment F60 on Person { id }"  # fmt: skip
        document = measured(text, replace(OPEN, cost=CEILING))
        assert len(document._program) == 60 * 3 - 1
        assert document.cost(None, {"n": 2}).cost == CEILING

    def test_negative_control_a_counter_that_expands_fragments_takes_exponential_steps(self):
        steps = [expanding_steps(bomb(n)) for n in (4, 8, 16)]
        assert steps[1] / steps[0] > 10
        assert steps[2] / steps[1] > 200


def expanding_steps(text):
    """How the depth and alias limiters that come with common libraries count: by walking into every spread."""
    document = parse(text)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    steps = 0
    stack = [document.definitions[0].selection_set]
    while stack:
        for node in stack.pop().selections:
            steps += 1
            if isinstance(node, FragmentSpreadNode):
                stack.append(fragments[node.name.value].selection_set)
            elif node.selection_set:
                stack.append(node.selection_set)
    return steps


@st.composite
def documents(draw):
    """Small valid documents with fragments, pages and aliases."""
    count = draw(st.integers(0, 4))

    def person(level, fragment):
        parts = draw(
            st.lists(
                st.sampled_from(["id", "name", "friend", "friends", "pets", "inline", "spread"]),
                min_size=1,
                max_size=4,
            )
        )
        text = []
        for place, part in enumerate(parts):
            alias = f"x{level}_{place}: " if draw(st.booleans()) else ""
            later = range(fragment + 1, count)
            if part in {"id", "name"} or level > 3:
                text.append(alias + ("id" if part != "name" else "name"))
            elif part == "friend":
                text.append(f"{alias}friend {{ {person(level + 1, fragment)} }}")
            elif part == "friends":
                size = draw(st.sampled_from(["", "(first: 3)", "(first: $n)"]))
                text.append(f"{alias}friends{size} {{ edges {{ node {{ {person(level + 1, fragment)} }} }} }}")
            elif part == "pets":
                text.append(f"{alias}pets {{ owner {{ {person(level + 1, fragment)} }} }}")
            elif part == "inline":
                text.append(f"... on Person {{ {person(level + 1, fragment)} }}")
            elif later:
                text.append(f"...F{draw(st.sampled_from(later))}")
            else:
                text.append("name")
        return " ".join(text)

    body = f"query ($n: Int) {{ me {{ {person(0, -1)} }} }}"
    return body + "".join(f" fragment F{i} on Person {{ {person(0, i)} }}" for i in range(count))


def naive(text, variables):
    """The same numbers by expanding everything, with the sizes written out by hand."""
    document = parse(text)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}

    def selection(node, depth):
        fields = total = deepest = aliases = 0
        for child in node.selections:
            if isinstance(child, FieldNode):
                fields, total, deepest = fields + 1, total + 1, max(deepest, depth + 1)
                aliases += child.alias is not None
                if not child.selection_set:
                    continue
                below = selection(child.selection_set, depth + 1)
                times = {"friends": 100, "pets": 10}.get(child.name.value, 1)
                for argument in child.arguments or ():
                    times = variables["n"] if argument.value.kind == "variable" else int(argument.value.value)
                total += times * below[1]
                fields, deepest, aliases = fields + below[0], max(deepest, below[2]), aliases + below[3]
            else:
                inner = fragments[child.name.value] if isinstance(child, FragmentSpreadNode) else child
                below = selection(inner.selection_set, depth)
                fields, total = fields + below[0], total + below[1]
                deepest, aliases = max(deepest, below[2]), aliases + below[3]
        return fields, total, deepest, aliases

    return selection(document.definitions[0].selection_set, 0)


@given(documents(), st.integers(0, 9))
@settings(max_examples=120, deadline=None)
def test_the_memoised_count_equals_the_naive_one(text, n):
    fields, total, depth, aliases = naive(text, {"n": n})
    found = cost(text, {"n": n}, OPEN)
    assert (found.fields, found.depth, found.aliases) == (fields, depth, aliases)
    assert found.cost == min(CEILING, total)


def test_messages_of_limits_hold_numbers_and_names_only():
    error = QueryTooComplexError("depth", 17, 16)
    assert error.message == "The query is too complex. Limit depth: 17 where 16 is allowed."
    assert str(error) == error.message
