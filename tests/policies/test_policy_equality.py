"""Every decision equals what Casbin enforces, and what a person reads out of the files by hand."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies import ROOT_CATEGORY, Action, Scope, Verdict
from policies.enforcer import build_enforcer
from policies.loading import build
from policies.purposes import parse_purposes
from policies.rules import Names, parse_rules
from policies.source import Toml, read_sources
from policies.tables import Entry
from tests.policies.naive_reading import NaiveReading

SHIPPED_ROLES = tuple(Toml("roles.toml", read_sources()["roles.toml"], []).data)
CELLS = tuple(itertools.product(Action, Scope))


def casbin_of(sources, policy_set):
    purposes = parse_purposes(Toml("purposes.toml", sources["purposes.toml"], []))
    names = Names(policy_set.roles, purposes, policy_set.catalogue.categories)
    book = parse_rules(sources["rules.csv"], names, [])
    return build_enforcer(sources["model.conf"], book, purposes, policy_set.catalogue.parents)


class CompiledMatcher:
    """Casbin's matcher text, evaluated by Python instead of by a tree walk: six times as fast, and nothing else of
    `enforce` (its loop over the rules, its role managers, its effect) is touched."""

    def __init__(self, expression, functions):
        text = expression.replace("&&", "and").replace("||", "or")
        self._code = compile(text, "matcher", "eval")
        self._globals = {"__builtins__": {}, **functions}

    def eval(self, parameters):
        return eval(self._code, self._globals, parameters)  # noqa: S307 - the text is model.conf's


def with_compiled_matcher(enforcer):
    made = {}

    def expression(text, functions=None):
        if text not in made:
            made[text] = CompiledMatcher(text, functions)
        return made[text]

    enforcer._get_expression = expression
    return enforcer


class ByRoleAndAction:
    """An enforcer for each role and action, with the rules that may speak of them: the others cost Casbin most of its
    time, and that they never match is seen where its answers are compared with those of one that has them all."""

    def __init__(self, make):
        self._make = make
        self._made = {}

    def enforce(self, role, purpose, category, action, scope):
        if (role, action) not in self._made:
            enforcer = self._made[role, action] = self._make()
            assertion = enforcer.model["p"]["p"]
            spoken = {action, "*", "read_masked"} if action == Action.READ else {action, "*"}
            meant = {role, "*"}
            while more := {each for name in meant - {"*"} for each in enforcer.rm_map["g"].get_roles(name)} - meant:
                meant |= more
            kept = [rule for rule in assertion.policy if rule[0] in meant and rule[3] in spoken]
            assert len(kept) < len(assertion.policy)
            assertion.policy = kept
        return self._made[role, action].enforce(role, purpose, category, action, scope)


def requested_categories(policy_set):
    return (ROOT_CATEGORY, *dict.fromkeys(field.category for field in policy_set.catalogue.fields.values()))


def compiled_answers(policy_set, roles, purpose, category):
    verdicts = policy_set.tables.verdicts(roles, purpose)
    for action, scope in CELLS:
        allowed = verdicts.outcome(action, category).allowed
        yield action, scope, Scope.ANY in allowed or scope in allowed


def differences(policy_set, roles, purposes, ask):
    """Every request on which `ask(roles, purpose, category, action, scope)` and the tables disagree."""
    return [
        (purpose, category, action, scope)
        for purpose in purposes
        for category in requested_categories(policy_set)
        for action, scope, answer in compiled_answers(policy_set, roles, purpose, category)
        if ask(roles, purpose, category, action.value, scope.value) != answer
    ]


@pytest.fixture(scope="module")
def enforcer(packaged, shipped):
    return ByRoleAndAction(lambda: with_compiled_matcher(casbin_of(packaged, shipped)))


@pytest.mark.parametrize("role", SHIPPED_ROLES)
def test_compiled_tables_say_what_casbin_enforces_for_every_request_of(role, shipped, enforcer):
    def ask(roles, purpose, category, action, scope):
        return enforcer.enforce(roles[0], purpose, category, action, scope)

    assert differences(shipped, (role,), shipped.purposes, ask) == []


@pytest.mark.parametrize("roles", [*((role,) for role in SHIPPED_ROLES), (), ("stranger",), SHIPPED_ROLES])
def test_compiled_tables_say_what_a_person_reads_in_the_files_for(roles, packaged, shipped):
    assert differences(shipped, roles, shipped.purposes, NaiveReading(packaged).allows) == []


def test_the_faster_matcher_answers_as_casbin_does_by_itself(packaged, shipped, enforcer):
    slow = casbin_of(packaged, shipped)
    requests = [
        (role, purpose, category, action.value, scope.value)
        for role, purpose, category, (action, scope) in zip(
            itertools.cycle(SHIPPED_ROLES),
            itertools.islice(itertools.cycle(shipped.purposes), 600),
            itertools.cycle(requested_categories(shipped)),
            itertools.cycle(CELLS),
            strict=False,
        )
    ]
    answers = [slow.enforce(*request) for request in requests]
    assert answers == [enforcer.enforce(*request) for request in requests]
    assert {True, False} == set(answers)


@pytest.mark.parametrize("pair", [("support_agent", "marketer"), ("privacy_officer", "administrator")])
def test_several_roles_together_are_decided_as_casbin_decides_a_caller_who_inherits_them_all(pair, packaged, shipped):
    enforcer = with_compiled_matcher(casbin_of(packaged, shipped))
    for role in pair:
        enforcer.rm_map["g"].add_link("caller", role)

    def ask(_roles, purpose, category, action, scope):
        return enforcer.enforce("caller", purpose, category, action, scope)

    assert differences(shipped, pair, ("order_support", "email_marketing", "privacy_request", "audit"), ask) == []


@pytest.mark.parametrize(
    "wrong",
    [
        Entry(1, "user.government_id", (Action.READ,), Scope.ANY, allow=True),
        Entry(1, "user.name", (Action.READ,), Scope.ANY, allow=False),
    ],
)
def test_one_wrong_entry_in_the_tables_is_found_by_both_comparisons(wrong, packaged):
    policy_set = build(packaged)
    enforcer = with_compiled_matcher(casbin_of(packaged, policy_set))
    policy_set.tables._entries["support_agent", "customer_service"].append(wrong)

    def ask(roles, purpose, category, action, scope):
        return enforcer.enforce(roles[0], purpose, category, action, scope)

    for oracle in (ask, NaiveReading(packaged).allows):
        found = differences(policy_set, ("support_agent",), ("order_support", "audit"), oracle)
        assert found
        assert {(purpose, action) for purpose, _, action, _ in found} == {("order_support", Action.READ)}
        assert all(category.startswith(wrong.category) for _, category, _, _ in found)


def test_grants_say_what_the_tables_say_for_every_field_and_action(shipped):
    for role, purpose in itertools.product(SHIPPED_ROLES, shipped.purposes):
        grant = shipped.decide((role,), purpose)
        verdicts = shipped.tables.verdicts((role,), purpose)
        for field in shipped.catalogue.fields.values():
            for table, action in ((grant.filter, "filter"), (grant.write, "write"), (grant.export, "export")):
                allowed = verdicts.outcome(Action(action), field.category).allowed
                assert_same(table[field.path], {Verdict.CLEAR: allowed})
            clear = verdicts.outcome(Action.READ, field.category).allowed
            masked = verdicts.outcome(Action.READ_MASKED, field.category).allowed if field.mask else {}
            assert_same(grant.read[field.path], {Verdict.CLEAR: clear, Verdict.MASKED: masked})
        assert_same(grant.erase, {Verdict.CLEAR: verdicts.outcome(Action.ERASE, ROOT_CATEGORY).allowed})


def assert_same(grant, allowed):
    """For a customer in any of the narrow scopes, the first alternative that holds is the best one allowed."""
    for held in ({Scope.ANY}, {Scope.ANY, Scope.REGION}, {Scope.ANY, Scope.OWN}, set(Scope)):
        given_verdict = next((each.verdict for each in grant.alternatives if each.scope in held), None)
        best = next((verdict for verdict in Verdict if held & allowed.get(verdict, {}).keys()), None)
        assert given_verdict == best


NAMES = ("alpha", "beta", "gamma", "delta")
SMALL = {
    "roles.toml": "".join(f'[{name}]\nlabel = "x"\ndescription = "x"\n' for name in NAMES),
    "purposes.toml": """
        [why]
        basis = "contract"
        label = "x"
        description = "x"
        [below]
        parent = "why"
        label = "x"
        description = "x"
        [other]
        basis = "consent"
        label = "x"
        description = "x"
    """,
    "catalogue.toml": """
        [categories]
        "user" = "x"
        "user.a" = "x"
        "user.a.b" = "x"
        "user.c" = "x"
        [thing.one]
        category = "user.a"
        label = "x"
        description = "x"
        kind = "text"
        mask = "redact"
        [thing.two]
        category = "user.a.b"
        label = "x"
        description = "x"
        kind = "text"
        mask = "redact"
        [thing.three]
        category = "user.c"
        label = "x"
        description = "x"
        kind = "text"
        mask = "redact"
    """,
    "retention.toml": "",
}
PURPOSES = ("why", "below", "other")
CATEGORIES = ("user", "user.a", "user.a.b", "user.c")


@st.composite
def rule_lines(draw):
    if draw(st.booleans()):
        role, purpose, action = (
            draw(st.sampled_from((*known, "*"))) for known in (NAMES, PURPOSES, tuple(map(str, Action)))
        )
        return f"p, {role}, {purpose}, {draw(st.sampled_from(CATEGORIES))}, {action}, any, deny"
    parts = (NAMES, PURPOSES, CATEGORIES, tuple(map(str, Action)), tuple(map(str, Scope)))
    return "p, " + ", ".join(draw(st.sampled_from(known)) for known in parts) + ", allow"


links = st.lists(st.sampled_from([f"g, {a}, {b}" for a, b in itertools.combinations(NAMES, 2)]), unique=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules=st.lists(rule_lines(), max_size=12), inherits=links, roles=st.sets(st.sampled_from(NAMES), max_size=3))
def test_any_policy_at_all_is_compiled_to_what_casbin_enforces(packaged, rules, inherits, roles):
    sources = {**packaged, **{name: text.encode() for name, text in SMALL.items()}}
    sources["rules.csv"] = "\n".join((*inherits, *rules)).encode()
    policy_set = build(sources)
    enforcer = with_compiled_matcher(casbin_of(sources, policy_set))
    for role in roles:
        enforcer.rm_map["g"].add_link("caller", role)

    def ask(_roles, purpose, category, action, scope):
        return enforcer.enforce("caller", purpose, category, action, scope)

    # Casbin takes an empty policy for one empty rule, which its matcher then meets; there is nothing to ask it.
    if rules:
        assert differences(policy_set, roles, PURPOSES, ask) == []
    assert differences(policy_set, roles, PURPOSES, NaiveReading(sources).allows) == []
