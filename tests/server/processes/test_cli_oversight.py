"""`confide policy replay` and `confide audit impact` over a deployment that served: what they print, write and record."""

import csv
import getpass
import json
import shutil
import stat
from pathlib import Path

import pytest

import policies
from audit import Kind, Outcome
from tests.server.processes.deployment import FIND, NAMES, READER, SUPPORT, WRITER

MASKED = "p, support_agent, customer_service, user.contact, read, any, allow"


@pytest.fixture(scope="module")
async def served(shared):
    """Ada and Bob were looked up by support; Bob was erased afterwards."""
    server = await shared.served()
    ada = await shared.create(server, givenName="Ada", familyName="Canary", email="ada.canary@example.org")
    bob = await shared.create(server, givenName="Bob", familyName="Canary", email="bob.canary@example.org")
    for customer in (ada, bob, ada):
        assert (await shared.ask(server, SUPPORT, NAMES, id=customer)).code is None
    assert (await shared.ask(server, READER, FIND, value="ada.canary@example.org")).data["profileByIdentifier"]
    assert (await shared.ask(server, ("marketer", "marketing"), FIND, value="ada.canary@example.org")).code
    assert (await shared.confide("erase", bob, "--yes")).code == 0
    await server.stop()
    return {"ada": ada, "bob": bob}


@pytest.fixture
def with_rule(tmp_path):
    """A directory of policies in which one rule is another."""

    def write(old, new):
        directory = tmp_path / "policies"
        directory.mkdir()
        text = Path(policies.__file__).with_name("rules.csv").read_text()
        assert text.count(old) == 1
        (directory / "rules.csv").write_text(text.replace(old, new))
        return directory

    return write


async def kinds(site, kind):
    found = [each for each in (await site.records()).values() if each.kind is kind]
    return sorted(found, key=lambda each: each.time)


@pytest.mark.timeout(120)
async def test_a_replay_shows_what_would_have_been_masked_and_ends_with_3(shared, served, with_rule):
    directory = with_rule(MASKED, MASKED.replace("read,", "read_masked,"))
    shown = await shared.confide("policy", "replay", "--policy", directory, "--since", "2026-01-01")
    assert shown.code == 3, shown.err
    lines = [" ".join(line.replace("│", " ").split()) for line in shown.out.splitlines()]
    number = next(rule.number for rule in policies.load_policies().rules if rule.text == MASKED)
    email = f"3 fewer than 11 support_agent order_support read profile.email clear → masked {number} → {number}"
    assert email in lines, shown.out
    assert f"new rule {number}: rules.csv:" in shown.out
    for name in (*served.values(), "Canary", "canary"):
        assert name not in shown.out + shown.err
    as_json = await shared.confide(
        "policy", "replay", "--policy", directory, "--since", "2026-01-01T00:00:00Z", "--json"
    )
    assert as_json.code == 3
    found = as_json.json
    assert {
        (each["field"], each["from"], each["to"], each["records"], each["customers"]) for each in found["changes"]
    } == {
        ("profile.email", "clear", "masked", 3, "fewer than 11"),
        ("profile.phone", "clear", "masked", 3, "fewer than 11"),
    }
    assert (found["changed"], found["more"], found["less"]) == (3, 0, 3)
    recorded = (await kinds(shared, Kind.SEARCH))[-1]
    assert recorded.operation == f"confide policy replay {found['policy']}"
    assert (recorded.actor, recorded.roles) == (f"cli:{getpass.getuser()}", ("auditor",))


@pytest.mark.timeout(120)
async def test_a_replay_of_the_policy_in_force_finds_nothing_and_ends_with_0(shared, served, tmp_path):
    shown = await shared.confide(
        "policy", "replay", "--policy", Path(policies.__file__).parent, "--since", "2026-01-01"
    )
    assert (shown.code, "Nothing would have been decided otherwise." in shown.out) == (0, True), shown.err
    assert "Replaying, percent of the time: 100 of 100" in shown.err
    shutil.copy(Path(policies.__file__).with_name("rules.csv"), tmp_path)
    (tmp_path / "rules.csv").write_text("p, nobody, x\n")
    broken = await shared.confide("policy", "replay", "--policy", tmp_path, "--since", "2026-01-01")
    assert (broken.code, broken.out) == (1, "")
    assert "rules.csv" in broken.err


async def test_a_day_that_is_none_ends_with_2(shared, tmp_path):
    for day in ("yesterday", "2026-13-01", "2026-05-14T09:30:00", "20260514", ""):
        shown = await shared.confide("policy", "replay", "--policy", tmp_path, "--since", day)
        assert (shown.code, shown.out) == (2, ""), day


@pytest.mark.timeout(120)
async def test_the_radius_counts_and_names_nobody(shared, served):
    shown = await shared.confide(
        "audit", "impact", "--actor", "support_agent.tester", "--between", "2026-01-01", "2100-01-01"
    )
    assert shown.code == 0, shown.err
    assert "customers       2, counted by audit references" in shown.out
    assert "Art. 33(3)" in shown.out
    as_json = (await shared.confide("audit", "impact", "--field", "profile.email", "--json")).json
    (category,) = as_json["categories"]
    assert (category["category"], category["customers"], category["clear"], category["found"]) == (
        "user.contact.email", 2, 2, 1,
    )  # fmt: skip
    assert as_json["outcomes"] == {"allowed": 6, "refused": 1}, "three looks, a find and two writes; a refused find"
    for name in (*served.values(), "Canary", "canary"):
        assert name not in shown.out + shown.err + json.dumps(as_json)
    recorded = (await kinds(shared, Kind.SEARCH))[-1]
    assert (recorded.operation, recorded.purpose) == ("confide audit impact", "audit")
    assert recorded.filters == ("access_entry.fields",)


@pytest.mark.timeout(120)
async def test_the_officer_gets_the_living_in_a_file_of_their_own_and_each_of_them_is_recorded(
    shared, served, tmp_path
):
    to = tmp_path / "people.csv"
    words = ("audit", "impact", "--actor", "support_agent.tester", "--resolve", to)
    without = await shared.confide(*words)
    assert (without.code, to.exists()) == (2, False), "without a case nobody is told"
    done = await shared.confide(*words, "--case", "IR-7")
    assert done.code == 0, done.err
    assert "whose customers were erased: 1." in done.err
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    with to.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["customer_id"] for row in rows] == [served["ada"]]
    assert "user.contact.email" in rows[0]["categories"].split()
    assert rows[0]["first"] < rows[0]["last"]
    assert served["ada"] not in done.out + done.err
    recorded = (await kinds(shared, Kind.EXPORT))[-1]
    assert (recorded.roles, recorded.purpose, recorded.case) == (("privacy_officer",), "privacy_request", "IR-7")
    assert (len(recorded.subjects), recorded.outcome) == (1, Outcome.ALLOWED)
    again = await shared.confide(*words, "--case", "IR-7")
    assert again.code == 1, "a file that is there is left alone"
    with to.open(newline="") as file:
        assert list(csv.DictReader(file)) == rows


@pytest.mark.timeout(120)
async def test_a_purpose_that_the_officer_may_not_export_for_leaves_no_file(shared, served, tmp_path):
    to = tmp_path / "people.csv"
    words = ("audit", "impact", "--actor", "support_agent.tester", "--resolve", to, "--case", "IR-7")
    before = len(await kinds(shared, Kind.EXPORT))
    refused = await shared.confide(*words, "--purpose", WRITER[1])
    assert (refused.code, refused.out, to.exists()) == (1, "", False)
    assert "may not export" in refused.err
    assert len(await kinds(shared, Kind.EXPORT)) == before


async def test_a_radius_of_everything_or_of_nothing_ends_with_2(shared):
    for words in ((), ("--between", "2026-02-01", "2026-01-01"), ("--actor", "x", "--case", "a sentence about Ada")):
        shown = await shared.confide("audit", "impact", *words)
        assert (shown.code, shown.out) == (2, ""), words
