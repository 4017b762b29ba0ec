"""docs/policies.md tells the truth where a machine can tell."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

from policies import Action, Mask, Scope, check, explain, load_policies, mask_value
from policies.lint import FindingKind
from policies.source import FILES

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_the_example_in_the_docs_loads_and_does_what_it_says(packaged, tmp_path):
    (tmp_path / "roles.toml").write_bytes(packaged["roles.toml"] + block("toml").encode())
    (tmp_path / "rules.csv").write_bytes(packaged["rules.csv"] + block("csv").encode())
    policy_set = load_policies(tmp_path)
    assert len(check(policy_set)) == 2  # the two notes of the shipped policy
    granted = explain(policy_set, "visitor", "account_management", "profile.street").grant
    assert [each.scope for each in granted.alternatives] == [Scope.REGION]
    assert not explain(policy_set, "visitor", "sales", "profile.street")


def test_the_docs_name_every_file_role_action_mask_and_finding(shipped):
    for name in (*FILES, *shipped.roles, *Action, *Mask):
        assert f"`{name}`" in PAGE
    for kind in FindingKind:
        assert kind is FindingKind.INVALID or f"| {kind.replace('_', ' ')} |" in PAGE


def test_the_masks_in_the_docs_are_what_masks_do():
    for mask, value in (
        (Mask.FIRST_CHARACTER, "Ada"),
        (Mask.LAST_FOUR, "+44 20 7946 4567"),
        (Mask.DOMAIN_ONLY, "ada@example.org"),
        (Mask.YEAR_ONLY, date(1984, 5, 17)),
        (Mask.GENERALISE, "75011"),
        (Mask.GENERALISE, 37),
        (Mask.GENERALISE, Decimal("259.94")),
    ):
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{mask}`"))
        assert f"`{value}`" in row
        assert f"`{mask_value(mask, value, pseudonym=str)}`" in row


def test_the_purposes_the_docs_call_unused_are_unused(shipped):
    everybody = {
        purpose
        for purpose in shipped.purposes
        for role in shipped.roles
        for grant in [shipped.decide((role,), purpose)]
        if grant.erase or any(any(t.values()) for t in (grant.read, grant.filter, grant.write, grant.export))
    }
    unused = shipped.purposes.keys() - everybody
    assert unused - {"legal_obligation"} == {"fraud_prevention", "partner_advertising", "tax"}
