"""`confide enrich`: the example of docs/enrichment.md, command by command, and what the log says of it."""

import re
from pathlib import Path

import pytest

from audit import Kind

pytestmark = pytest.mark.timeout(180)
PAGE = Path("docs/enrichment.md").read_text()


def blocks():
    """The page's files by name, and its commands in order with the lines that they print."""
    files = dict(re.findall(r"```\w+ (\S+)\n(.*?)```", PAGE, re.DOTALL))
    commands = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ confide "):
                commands.append((line.removeprefix("$ confide ").split(), []))
            else:
                commands[-1][1].append(line)
    return files, commands


async def test_the_example_of_the_page_is_true_and_recorded(shared, tmp_path):
    files, commands = blocks()
    directory = tmp_path / "enrichments"
    directory.mkdir()
    for name, text in files.items():
        (tmp_path / name if name == "people.csv" else directory / name).write_text(text)
    assert [each[0][:2] for each in commands] == [
        *(["enrich", "check"], ["import", "people.csv"], ["enrich", "run"], ["enrich", "run"], ["enrich", "run"]),
        ["enrich", "expire"],
    ]
    before = set(await shared.records())
    for words, told in commands:
        paths = [tmp_path / each if each.endswith((".csv", ".toml")) else each for each in words]
        done = await shared.confide(*paths, CONFIDE_ENRICHMENT_DIR=str(directory))
        assert done.code == 0, (words, done.err)
        if told:
            assert done.out.splitlines() == told, words
        for value in ("28195", "80331", "10115", "urban"):
            assert value not in done.out + done.err
        if words[:2] == ["enrich", "run"]:
            assert "Enriching: region" in done.err, "there is a progress"
    records = [record for entry, record in (await shared.records()).items() if entry not in before]
    mine = [each for each in records if each.purpose == "data_enrichment"]
    assert {each.operation for each in mine} == {"confide enrich run region"}
    assert {each.roles for each in mine} == {("data_enricher",)}
    writes = {
        path for each in mine if each.kind is Kind.WRITE for decision in each.decisions for path in decision.fields
    }
    assert writes == {"profile.region", "profile.traits:user.location.coarse"}


async def test_what_cannot_be_run_is_told_in_words(shared, tmp_path):
    (tmp_path / "other.toml").write_text("version = 1")
    none = await shared.confide("enrich", "run", "region", CONFIDE_ENRICHMENT_DIR=str(tmp_path))
    assert none.code == 1
    assert "there are: other" in none.err
    bad = await shared.confide("enrich", "check", tmp_path / "other.toml", CONFIDE_OUTGOING_ALLOWED='["ftp://x"]')
    assert bad.code == 1
    assert "licence" in bad.err
    assert "Traceback" not in none.err + bad.err
