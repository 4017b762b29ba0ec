"""What is granted on a category is what is granted on a catalogue field of that category: traits and properties of
events are decided as everything else is."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies import Action, Scope, Verdict
from policies.source import Toml, read_sources
from tests.policies.naive_reading import NaiveReading

ROLES = tuple(Toml("roles.toml", read_sources()["roles.toml"], []).data)


def given_verdicts(grant):
    """What each kind of customer gets of it."""
    return [
        next((each.verdict for each in grant.alternatives if each.scope in held), None)
        for held in ({Scope.ANY}, {Scope.ANY, Scope.REGION}, {Scope.ANY, Scope.OWN})
    ]


def differences(shipped, reading, role, alter=lambda grant: grant):
    """Every question on which the grant of a category and a reading of the files by hand disagree."""
    found = []
    for purpose, category in itertools.product(shipped.purposes, shipped.catalogue.categories):
        grant = shipped.decide((role,), purpose)
        for action in Action:
            answer = given_verdicts(alter(grant.of_category(category, action)))
            reads = action in (Action.READ, Action.READ_MASKED)
            expected = []
            for scope in Scope:
                if reading.allows((role,), purpose, category, "read" if reads else action.value, scope.value):
                    expected.append(Verdict.CLEAR)
                elif reads and reading.allows((role,), purpose, category, "read_masked", scope.value):
                    expected.append(Verdict.MASKED)
                else:
                    expected.append(None)
            if answer != expected:
                found.append((purpose, category, action))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_category_is_granted_as_a_person_reads_in_the_files_for(role, packaged, shipped):
    assert differences(shipped, NaiveReading(packaged), role) == []


def test_a_grant_of_a_category_that_says_too_little_would_be_noticed(packaged, shipped):
    def without(grant):
        return type(grant)(grant.path, (), None) if grant.path == "user.name.first" else grant

    found = differences(shipped, NaiveReading(packaged), "support_agent", without)
    assert {category for _, category, _ in found} == {"user.name.first"}


@pytest.mark.parametrize("role", ROLES)
def test_a_category_is_granted_like_every_field_of_it(role, shipped):
    for purpose in shipped.purposes:
        grant = shipped.decide((role,), purpose)
        tables = {
            Action.READ: grant.read,
            Action.FILTER: grant.filter,
            Action.WRITE: grant.write,
            Action.EXPORT: grant.export,
        }
        for field, (action, table) in itertools.product(shipped.catalogue.fields.values(), tables.items()):
            if action is Action.READ and field.mask is None:
                continue  # values of a category always have a mask
            of_category, of_field = grant.of_category(field.category, action), table[field.path]
            assert (of_category.alternatives, of_category.rule) == (of_field.alternatives, of_field.rule)
            assert of_category.path == field.category


def test_a_rule_for_a_category_holds_for_every_category_below_it(with_rules):
    grant = with_rules("p, marketer, marketing, user.behavior, read, any, allow").decide(("marketer",), "marketing")
    assert grant.of_category("user.behavior.purchase_history.items", Action.READ)
    assert not grant.of_category("user.account", Action.READ)
    assert not grant.of_category("user", Action.READ)


def test_a_deny_of_a_category_names_its_rule_and_outweighs_every_allow(with_rules):
    grant = with_rules(
        "p, marketer, marketing, user, read, any, allow",
        "p, *, marketing, user.financial, *, any, deny",
    ).decide(("marketer",), "marketing")
    denied = grant.of_category("user.financial.credit_card", Action.READ)
    assert (bool(denied), denied.rule) == (False, 2)


def test_a_category_may_be_read_masked_only(with_rules):
    grant = with_rules("p, marketer, marketing, user.account, read_masked, any, allow").decide(
        ("marketer",), "marketing"
    )
    for action in (Action.READ, Action.READ_MASKED):
        assert [each.verdict for each in grant.of_category("user.account", action).alternatives] == [Verdict.MASKED]


def test_a_category_that_the_catalogue_does_not_declare_is_granted_to_nobody_and_not_remembered(shipped):
    grant = shipped.decide(("privacy_officer",), "privacy_request")
    assert grant.of_category("user.unclassified", Action.READ)
    for made_up in ("user.unclassified.more", "nobody", "", "user.", "*"):
        found = grant.of_category(made_up, Action.READ)
        assert (bool(found), found.rule) == (False, None)
    before = len(grant._categories._grants)
    for number in range(1000):
        grant.of_category(f"user.made_up_{number}", Action.READ)
    assert len(grant._categories._grants) == before


def test_the_answer_is_remembered_and_the_same_for_every_thread(shipped):
    grant = shipped.decide(("support_agent",), "customer_service")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: grant.of_category("user.name", Action.READ), range(200)))
    assert all(each == found[0] for each in found)
    assert grant.of_category("user.name", Action.READ) is grant.of_category("user.name", Action.READ)
