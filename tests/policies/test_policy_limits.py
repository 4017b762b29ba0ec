"""How long data is kept at most is said in one file, checked against the purposes, the catalogue and the law."""

import pytest

from policies import PolicyInvalidError, load_policies
from policies.limits import load_limits, parse_limits

GOOD = """
[correspondence]
object = "ticket"
purpose = "complaint_handling"
from = "closed_at"
categories = ["user.content"]
"""


def test_the_shipped_limits_take_their_period_from_the_purpose(shipped):
    found = {each.name: each for each in load_limits(None, shipped)}
    assert set(found) == {"people", "activity", "correspondence", "payment_details"}
    assert found["people"].period == shipped.purposes["customer_service"].retention == "P3Y"
    assert (found["activity"].object, found["activity"].period, found["activity"].fields) == ("event", "P26M", ())
    assert found["correspondence"].groups == ("content",)
    assert found["payment_details"].groups == ("financial", "notes")
    kept_by_law = {field.path for rule in shipped.retention for field in rule.fields}
    assert not kept_by_law & {field.path for each in found.values() for field in each.fields}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"ticket"', '"basket"', "object must be one of"),
        ("complaint_handling", "spying", "there is no purpose"),
        ("complaint_handling", "self_service", "has no retention"),
        ('"closed_at"', '"subject"', "must be a clear date field"),
        ('categories = ["user.content"]', "", "needs categories"),
        ('["user.content"]', '["user.name"]', "has nothing sealed of"),
        ('["user.content"]', '["user.content"]\nperiod = "P1D"', "period"),
        ('object = "ticket"', 'object = "event"', "goes as a whole"),
        ('object = "ticket"', 'object = "profile"', "since|when anything was last heard"),
        (
            'object = "ticket"\npurpose = "complaint_handling"\nfrom = "closed_at"\ncategories = ["user.content"]',
            'object = "order"\npurpose = "complaint_handling"\nfrom = "placed_at"\ncategories = ["user.contact"]',
            "is kept by law",
        ),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused_with_its_line(shipped, before, after, said):
    assert len(parse_limits(GOOD.encode(), shipped)) == 1, "the control"
    assert before in GOOD
    with pytest.raises(PolicyInvalidError, match=said) as refused:
        parse_limits(GOOD.replace(before, after).encode(), shipped)
    assert all(each.file == "limits.toml" and each.line for each in refused.value.faults)


def test_a_policy_directory_may_bring_its_own_and_decides_no_less_about_access(tmp_path, shipped):
    (tmp_path / "limits.toml").write_text(GOOD)
    own = load_policies(tmp_path)
    assert own.version == shipped.version
    assert [each.name for each in load_limits(tmp_path, own)] == ["correspondence"]
    (tmp_path / "limits.toml").write_text("")
    assert load_limits(tmp_path, own) == ()
