"""`confide quality`: what it makes, prints and records."""

import csv
import getpass
import json

import pytest

from audit import Kind
from customers.quality import load_standards
from policies import PolicyInvalidError, load_policies

pytestmark = pytest.mark.timeout(180)
PEOPLE = 14
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def file(tmp_path):
    """A file of people, all of whose cities are in capitals and whose first names are none."""
    path = tmp_path / "people.csv"
    rows = [
        [f"{_LETTERS[each]}@post.example", "xxx", f"K{_LETTERS[each]}nig", "BREMEN", "DE"] for each in range(PEOPLE)
    ]
    with path.open("w", newline="") as open_file:
        csv.writer(open_file).writerows([["email", "given_name", "family_name", "city", "country"], *rows])
    return path


async def test_the_report_is_made_shown_and_recorded(shared, file):
    none = await shared.confide("quality", "report")
    assert (none.code, none.out) == (1, "")
    assert "confide quality run" in none.err
    assert (await shared.confide("import", file)).code == 0
    made = await shared.confide("quality", "run")
    assert made.code == 0, made.err
    assert f"{PEOPLE} profiles looked at" in made.out
    assert "placeholder" in made.out
    assert "Looking at profiles" in made.err, "there is a progress"
    shown = json.loads((await shared.confide("quality", "report", "--json")).out)
    assert shown["profiles"] == PEOPLE
    assert {"field": "given_name", "kind": "placeholder", "profiles": PEOPLE} in shown["issues"]
    assert shown["corrections"] == [{"field": "city", "kind": "case", "profiles": PEOPLE}]
    assert [each["day"] for each in shown["trend"]] == [shown["day"]]
    again = await shared.confide("quality", "run", "--json")
    assert json.loads(again.out)["profiles"] == PEOPLE, "it may be made anew"
    for each in (made, again):
        assert "BREMEN" not in each.out + each.err
        assert "Bremen" not in each.out + each.err
    records = [each for each in (await shared.records()).values() if each.purpose == "data_quality"]
    reads = [each for each in records if each.kind is Kind.READ]
    assert {each.operation for each in reads} == {"confide quality run"}
    assert all(getpass.getuser() in each.actor for each in reads)
    assert len({subject for each in reads for subject in each.subjects}) == PEOPLE


def test_a_policy_directory_may_bring_standards_of_its_own_and_a_broken_file_is_told(tmp_path):
    own = tmp_path / "quality.toml"
    own.write_text("version = 1\n[score]\nvalidity = 1\n[fields.email]\nweight = 1\n")
    assert load_policies(tmp_path).version == load_policies().version, "it decides nothing about access"
    assert load_standards(tmp_path).fields.keys() == {"email"}
    own.write_text("version = 1\n[score]\nvalidity = 1\n[fields.shoe_size]\nweight = 1\n")
    with pytest.raises(PolicyInvalidError, match=r"quality\.toml"):
        load_standards(tmp_path)
    (tmp_path / "qualty.toml").write_text("")
    with pytest.raises(PolicyInvalidError, match=r"qualty\.toml"):
        load_policies(tmp_path)
