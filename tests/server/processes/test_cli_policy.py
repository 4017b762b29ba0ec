"""The commands that need no database; and that every command says what it is for."""

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import policies
from server.cli.app import app

CLICK = typer.main.get_command(app)


@pytest.fixture
def confide(monkeypatch, tmp_path):
    """Runs a command that starts nothing, in this process."""
    monkeypatch.setenv("CONFIDE_DATA_DIR", str(tmp_path / "data"))

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


def commands(command=CLICK, path=()):
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(confide, path):
    shown = confide(*path, "--help")
    assert shown.exit_code == 0, shown.output
    command = dict(commands())[path]
    assert command.help, "the command itself"
    if not getattr(command, "commands", {}):
        assert all(getattr(each, "help", None) for each in command.params), "and each of its options"


def test_every_command_that_works_has_an_example():
    working = {path: command for path, command in commands() if not getattr(command, "commands", {})}
    assert len(working) > 15
    assert [path for path, command in working.items() if "Example: " not in command.help] == []


def test_an_unknown_command_or_option_ends_with_2(confide):
    assert confide("no-such-command").exit_code == 2
    assert confide("policy", "check", "--no-such-option").exit_code == 2
    assert confide("revoke").exit_code == 2, "neither a subject nor a token"


def test_the_shipped_policies_pass_their_check(confide):
    checked = confide("policy", "check")
    assert checked.exit_code == 0, checked.output


def test_policies_with_a_mistake_end_with_3_and_say_where(confide, tmp_path):
    rules = tmp_path / "rules.csv"
    shutil.copy(Path(policies.__file__).with_name("rules.csv"), rules)
    rules.write_text(rules.read_text() + "p, nobody, marketing, user.name, read, any, allow\n")
    checked = confide("policy", "check", "--policies", tmp_path)
    assert checked.exit_code == 3
    assert "rules.csv" in checked.output


def test_an_explanation_names_the_rule_that_decided(confide):
    words = ("--role", "marketer", "--purpose", "marketing", "--field")
    withheld = confide("policy", "explain", *words, "profile.birth_date")
    assert withheld.exit_code == 0
    assert "rule 42, rules.csv line" in withheld.output
    as_json = confide("policy", "explain", *words, "profile.email", "--json")
    assert '"sentence"' in as_json.output


def test_the_matrix_is_shown_and_written_as_a_page(confide, tmp_path):
    shown = confide("policy", "matrix", "--purpose", "marketing", "--role", "marketer")
    assert shown.exit_code == 0
    assert "marketer" in shown.output
    page = tmp_path / "matrix.html"
    assert confide("policy", "matrix", "--purpose", "marketing", "--html", page).exit_code == 0
    text = page.read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "marketer" in text
