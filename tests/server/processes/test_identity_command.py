"""`confide identity`: what it finds, prints, joins and records."""

import csv
import getpass
import json

import pytest

pytestmark = pytest.mark.timeout(180)
COLUMNS = ("email", "given_name", "family_name", "birth_date", "street", "postal_code", "city", "country")
ANA = ("analiese@post.example", "Analiese", "Przybylski", "1980-05-17", "Hafenweg 12", "28195", "Bremen", "DE")


def table(path, *rows):
    with path.open("w", newline="") as opened:
        csv.writer(opened).writerows([COLUMNS, *rows])
    return path


def told(done):
    """What the summary says, by its line."""
    return {line[:36].strip(): line[36:].strip() for line in done.out.splitlines() if line[36:].strip()}


async def test_the_search_tells_how_far_it_is_what_it_found_and_where_it_waits_and_is_recorded(shared, tmp_path):
    people = table(
        tmp_path / "people.csv", ANA, ("ana@other.example", *ANA[1:]), ("o@post.example", "Oscar", *ANA[2:])
    )
    assert (await shared.confide("import", people)).code == 0
    dry = await shared.confide("identity", "match", "--dry-run")
    assert (dry.code, told(dry)["One person for sure"]) == (0, "1"), dry.err
    assert "it was a dry run" in dry.out
    assert "Cases opened" not in dry.out
    done = await shared.confide("identity", "match")
    assert done.code == 0, done.err
    summary = told(done)
    assert summary["Compared with who shares something"] == "3 in 3 pairs"
    assert summary["Weighed by"] == "the shipped figures"
    assert (summary["One person for sure"], summary["Joined"]) == ("1", "0")
    assert int(summary["Cases opened"]) == 1 + int(summary["For somebody to look at"])
    assert "under People to review" in done.out
    for step in ("Looking who changed: 3 of 3", "Comparing with who shares something: 3 of 3"):
        assert step in done.err, "each step has a progress of its own"
    for value in ANA[1:7]:
        assert value not in done.out + done.err
    again = json.loads((await shared.confide("identity", "match", "--json")).out)
    assert (again["indexed"], again["compared"], again["opened"]) == (0, 0, 0), "nobody changed"
    assert again["seconds"].keys() == {"indexing"}
    joined = await shared.confide("identity", "match", CONFIDE_IDENTITY_AUTO_MERGE="true")
    assert told(joined)["Joined"] == "1"
    mine = [each for each in (await shared.records()).values() if each.purpose == "identity_resolution"]
    assert {each.operation for each in mine} == {"confide identity match"}
    assert {each.roles for each in mine} == {("record_keeper",), ("data_steward",)}
    assert all(getpass.getuser() in each.actor for each in mine)
    rebuilt = await shared.confide("identity", "rebuild")
    assert rebuilt.code == 0, rebuilt.err
    assert told(await shared.confide("identity", "match"))["Profiles opened for their tokens"] == "3"


async def test_a_search_that_goes_on_elsewhere_is_told_in_words(shared):
    runs = shared.main["match_runs"]
    before = await runs.find_one({"_id": "run"})
    later = before["until"].replace(year=before["until"].year + 1)
    await runs.update_one({"_id": "run"}, {"$set": {"until": later, "token": "another"}})
    refused = await shared.confide("identity", "match")
    assert (refused.code, refused.out) == (1, "")
    assert "Traceback" not in refused.err
    await runs.update_one({"_id": "run"}, {"$set": {"until": before["until"], "token": None}})
    assert (await shared.confide("identity", "match")).code == 0  # negative control
