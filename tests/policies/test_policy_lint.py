"""The check finds each kind of suspicious rule, and nothing in a policy without them."""

import pytest

from policies import FindingKind, Severity, check, check_directory
from policies.loading import build

READ = "p, sales_rep, sales, user.contact, read, any, allow"
FOUND = [
    (FindingKind.DUPLICATE, "p,sales_rep,sales,user.contact,read,any,allow", "says again what rule 1 (line 1) says"),
    (
        FindingKind.SHADOWED,
        "p, sales_rep, sales, user.contact.email, read, any, allow",
        "rule 1 (line 1) says as much",
    ),
    (FindingKind.SHADOWED, "p, sales_rep, sales, user.contact, read, region, allow", "rule 1 (line 1) says as much"),
    (FindingKind.SHADOWED, "p, sales_rep, account_management, user.contact, read, any, allow", "rule 1 (line 1)"),
    (FindingKind.SHADOWED, "p, sales_rep, sales, user.contact.email, read_masked, region, allow", "rule 1 (line 1)"),
    (
        FindingKind.UNREACHABLE,
        "p, sales_rep, sales, user.behavior.browsing_history, read, any, allow",
        "no field has",
    ),
    (FindingKind.NO_EFFECT, "p, sales_rep, sales, user.government_id, *, any, deny", "denies what no rule allows"),
    (FindingKind.NO_EFFECT, "p, sales_rep, tax, user.contact, *, any, deny", "denies what no rule allows"),
    (FindingKind.SEES_EVERYTHING, "p, sales_rep, marketing, user, read, any, allow", "sees every field"),
    (
        FindingKind.WRITES_IDENTIFIERS_BLINDLY,
        "p, sales_rep, sales, user.contact.email, write, any, allow",
        "look it up",
    ),
]


@pytest.fixture
def unused_category(packaged):
    text = packaged["catalogue.toml"].decode()
    return text.replace('"user.contact" =', '"user.behavior.browsing_history" = "x"\n"user.contact" =', 1).encode()


@pytest.mark.parametrize(("kind", "line", "says"), FOUND)
def test_each_suspicious_rule_is_found_and_named(packaged, unused_category, kind, line, says):
    def findings(*lines):
        files = {"catalogue.toml": unused_category, "rules.csv": "\n".join(lines).encode(), "retention.toml": b""}
        return check(build({**packaged, **files}))

    assert findings(READ) == ()
    (found,) = findings(READ, "# between", line)
    assert (found.kind, found.line, found.rule) == (kind, 3, 2)
    assert says in found.message
    assert str(found).startswith(f"rules.csv:3: {found.severity}: ")


def test_an_allow_that_a_deny_takes_away_whole_is_unreachable(with_rules):
    findings = check(with_rules(READ, "p, *, sales, user, *, any, deny"))
    assert [(found.kind, found.rule) for found in findings] == [(FindingKind.UNREACHABLE, 1)]


def test_a_deny_that_takes_away_a_part_is_no_finding(with_rules):
    assert check(with_rules(READ, "p, sales_rep, sales, user.contact.email, *, any, deny")) == ()


def test_a_deny_that_bites_on_another_of_a_callers_roles_has_effect(with_rules):
    assert check(with_rules(READ, "p, administrator, *, user, *, any, deny")) == ()


def test_a_deny_within_a_wider_deny_is_shadowed(with_rules):
    denies = ("p, *, sales, user.contact.email, *, any, deny", "p, *, sales, user.contact.email, read, any, deny")
    (found,) = check(with_rules(READ, *denies))
    assert (found.kind, found.rule) == (FindingKind.SHADOWED, 3)


def test_a_role_that_sees_everything_by_several_rules_is_found(with_rules, shipped):
    below = [name for name, up in shipped.catalogue.parents.items() if up == "user"]
    lines = [f"p, sales_rep, sales, {category}, read, any, allow" for category in below]
    (found,) = check(with_rules(*lines))
    assert (found.kind, found.severity) == (FindingKind.SEES_EVERYTHING, Severity.WARNING)
    assert check(with_rules(*lines[1:])) == ()
    assert check(with_rules("p, customer, self_service, user, read, own, allow")) == ()


def test_writing_an_identifier_with_a_way_to_look_it_up_is_no_finding(with_rules):
    write = "p, sales_rep, sales, user.contact.email, write, any, allow"
    assert check(with_rules(write, "p, sales_rep, sales, user.contact.email, filter, any, allow")) == ()
    # A customer changes the address on the one profile that is theirs.
    assert check(with_rules("p, customer, self_service, user.contact.email, write, own, allow")) == ()
    lost = check(
        with_rules(
            write,
            "p, sales_rep, sales, user.contact.email, filter, any, allow",
            "p, sales_rep, account_management, user.contact.email, filter, any, deny",
        ),
    )
    assert [found.kind for found in lost] == [FindingKind.WRITES_IDENTIFIERS_BLINDLY]


def test_the_shipped_policy_has_nothing_but_two_notes(shipped):
    findings = check(shipped)
    assert [(found.kind, found.severity) for found in findings] == [
        (FindingKind.NO_EFFECT, Severity.NOTE),
        (FindingKind.SEES_EVERYTHING, Severity.NOTE),
    ]
    assert findings[1].message == "privacy_officer sees every field about every customer for privacy_request"


def test_a_directory_that_does_not_load_gives_its_faults_as_error_findings(tmp_path):
    (tmp_path / "rules.csv").write_text(READ + "\np, sales_rap, sales, user.contact, read, any, allow\n")
    (found,) = check_directory(tmp_path)
    assert (found.kind, found.severity, found.line) == (FindingKind.INVALID, Severity.ERROR, 2)
    assert str(found) == "rules.csv:2: error: names the unknown role 'sales_rap'"
    (tmp_path / "rules.csv").write_text(READ)
    (tmp_path / "retention.toml").write_text("# nothing is kept, so nobody has to read it\n")
    assert check_directory(tmp_path) == ()
