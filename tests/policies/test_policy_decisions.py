"""What a grant promises to those who act on it."""

import statistics
import time

import pytest

from policies import Action, Alternative, Scope, UnknownPurposeError, Verdict
from policies.decisions import MEMO_SIZE
from policies.loading import build

SALES = "sales_rep, sales"
FEW = 32


def test_every_path_of_the_catalogue_is_in_every_table_of_a_grant(shipped):
    grant = shipped.decide(("marketer",), "marketing")
    for table in (grant.read, grant.filter, grant.write, grant.export):
        assert list(table) == list(shipped.catalogue.fields)
        assert all(path == each.path for path, each in table.items())
    assert grant.erase.path == "user"


def test_nothing_is_granted_to_an_unknown_role_or_to_none(shipped):
    for roles in ((), ("root",), ("Marketer",), ("marketer ",), ("*",), "marketer"):
        grant = shipped.decide(roles, "marketing")
        assert grant.roles == ()
        assert not grant.erase
        assert not any(any(table.values()) for table in (grant.read, grant.filter, grant.write, grant.export))


def test_an_unknown_role_beside_a_known_one_changes_nothing(shipped):
    assert shipped.decide(("marketer", "root"), "marketing") is shipped.decide(("marketer",), "marketing")


def test_an_unknown_purpose_is_refused_without_repeating_it(shipped):
    for purpose in ("", "*", "marketing ", "everything-i-like"):
        with pytest.raises(UnknownPurposeError) as refused:
            shipped.decide(("marketer",), purpose)
        assert "everything-i-like" not in str(refused.value)
        assert "customer_service" in str(refused.value)


def test_a_deny_of_one_role_outweighs_what_another_role_allows(shipped):
    support = shipped.decide(("support_agent",), "customer_service")
    both = shipped.decide(("support_agent", "administrator"), "customer_service")
    assert support.read["profile.email"]
    assert not both.read["profile.email"]
    denying = shipped.rules[both.read["profile.email"].rule - 1]
    assert (denying.role, denying.effect) == ("administrator", "deny")
    # What the deny is not about stays as it was.
    assert both.read["profile.created_at"] == support.read["profile.created_at"]


def test_who_may_not_see_the_mask_may_not_see_the_value(with_rules):
    allows = (f"p, {SALES}, user.name, read, any, allow", f"p, {SALES}, user.name, read_masked, any, allow")
    denied = with_rules(*allows, f"p, {SALES}, user.name.first, read_masked, any, deny").decide(
        ("sales_rep",), "sales"
    )
    assert not denied.read["profile.given_name"]
    assert denied.read["profile.given_name"].rule == 3
    assert denied.read["profile.family_name"].alternatives[0].verdict is Verdict.CLEAR
    masked = with_rules(*allows, f"p, {SALES}, user.name, read, any, deny").decide(("sales_rep",), "sales")
    assert [each.verdict for each in masked.read["profile.given_name"].alternatives] == [Verdict.MASKED]


def test_alternatives_stand_best_first_and_none_is_unreachable(with_rules):
    grant = with_rules(
        f"p, {SALES}, user.name, read_masked, any, allow",
        f"p, {SALES}, user.name, read_masked, region, allow",
        f"p, {SALES}, user.name, read, own, allow",
        f"p, {SALES}, user.name, read, region, allow",
        f"p, {SALES}, user.contact, read, any, allow",
        f"p, {SALES}, user.contact, read, region, allow",
        f"p, {SALES}, user.contact, read_masked, any, allow",
    ).decide(("sales_rep",), "sales")
    assert grant.read["profile.given_name"].alternatives == (
        Alternative(Verdict.CLEAR, Scope.REGION, 4),
        Alternative(Verdict.CLEAR, Scope.OWN, 3),
        Alternative(Verdict.MASKED, Scope.ANY, 1),
    )
    assert grant.read["profile.email"].alternatives == (Alternative(Verdict.CLEAR, Scope.ANY, 5),)


def test_a_field_without_a_mask_is_never_shown_masked(with_rules):
    grant = with_rules("p, auditor, audit, system.audit, read_masked, any, allow").decide(("auditor",), "audit")
    assert not grant.read["access_entry.actor"]


def test_the_rule_named_is_the_first_in_the_file_that_decided(with_rules):
    policy_set = with_rules(
        "# a comment is not counted",
        "p, sales_rep, sales, user.contact, read, any, allow",
        "",
        "p, sales_rep, sales, user.contact.email, read, any, allow",
    )
    assert policy_set.decide(("sales_rep",), "sales").read["profile.email"].alternatives[0].rule == 1
    assert [rule.line for rule in policy_set.rules] == [2, 4]


def test_a_purpose_has_the_rights_of_the_purposes_above_it_and_not_of_those_below(shipped):
    above = shipped.decide(("support_agent",), "customer_service")
    below = shipped.decide(("support_agent",), "complaint_handling")
    assert {path for path, each in above.read.items() if each} < {path for path, each in below.read.items() if each}
    assert below.read["profile.notes"]
    assert not above.read["profile.notes"]


def test_a_role_has_the_rights_it_inherits(shipped):
    inherited = shipped.decide(("privacy_officer",), "audit").read
    assert inherited == shipped.decide(("auditor",), "audit").read


def test_erasing_needs_a_rule_about_the_whole_person(with_rules):
    part = with_rules("p, privacy_officer, privacy_request, user.contact, erase, any, allow")
    assert not part.decide(("privacy_officer",), "privacy_request").erase
    whole = with_rules("p, privacy_officer, privacy_request, user, erase, any, allow")
    assert whole.decide(("privacy_officer",), "privacy_request").erase


def test_a_grant_cannot_be_changed(shipped):
    grant = shipped.decide(("marketer",), "marketing")
    with pytest.raises(TypeError):
        grant.read["profile.email"] = grant.read["profile.id"]
    with pytest.raises(AttributeError):
        grant.erase = grant.read["profile.id"]


def test_every_role_for_every_purpose_is_remembered_at_once(shipped):
    """They were not once the roles had grown: whoever looks through all of them made each of them anew every time."""
    assert 2 * len(shipped.roles) * len(shipped.purposes) <= MEMO_SIZE


def test_grants_are_remembered_in_bounded_number(packaged, monkeypatch):
    monkeypatch.setattr("policies.decisions.MEMO_SIZE", FEW)
    policy_set = build(packaged)
    first = policy_set.decide(["marketer", "sales_rep"], "marketing")
    assert policy_set.decide(("sales_rep", "marketer", "sales_rep"), "marketing") is first
    for number in range(FEW * 2):
        roles = [role for bit, role in enumerate(policy_set.roles) if number >> bit & 1]
        policy_set.decide([*roles, f"made_up_{number}"], "marketing")
    assert len(policy_set._grants) == FEW
    assert policy_set.decide(("marketer", "sales_rep"), "marketing") == first


def test_made_up_roles_do_not_push_real_ones_out_of_memory(packaged, monkeypatch):
    monkeypatch.setattr("policies.decisions.MEMO_SIZE", FEW)
    policy_set = build(packaged)
    first = policy_set.decide(("marketer",), "marketing")
    for number in range(FEW * 2):
        policy_set.decide((f"made_up_{number}",), "marketing")
    assert policy_set.decide(("marketer",), "marketing") is first


def test_the_version_follows_every_file_and_nothing_else(packaged, shipped):
    assert build(packaged).version == shipped.version
    assert len(shipped.version) == 16
    changed = {build({**packaged, name: content + b"\n# a word\n"}).version for name, content in packaged.items()}
    assert len(changed) == len(packaged)
    assert shipped.version not in changed


def test_a_remembered_decision_takes_under_a_microsecond(shipped):
    roles = ("marketer", "sales_rep")
    shipped.decide(roles, "marketing")
    batches = []
    for _ in range(15):
        started = time.perf_counter()
        for _ in range(2_000):
            shipped.decide(roles, "marketing")
        batches.append((time.perf_counter() - started) / 2_000)
    assert min(batches) < 1e-6


def test_a_first_decision_over_a_thousand_rules_takes_under_50_milliseconds(shipped, with_rules):
    categories = list(shipped.catalogue.categories)
    actions = [action.value for action in Action]
    policy_set = with_rules(
        *(
            f"p, {role}, {purpose}, {categories[number % len(categories)]}, {actions[number % 6]}, any, allow"
            for number, (role, purpose) in enumerate(
                (role, purpose) for _ in range(5) for role in shipped.roles for purpose in shipped.purposes
            )
        ),
    )
    assert len(policy_set.rules) > 1_000
    taken = []
    for purpose in shipped.purposes:
        started = time.perf_counter()
        policy_set.decide(shipped.roles, purpose)
        taken.append(time.perf_counter() - started)
    assert statistics.median(taken) < 0.05
