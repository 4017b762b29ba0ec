"""What the README and the docs name is there."""

import re
import tomllib
from pathlib import Path

import pytest
import typer

from server.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
_COMMAND = re.compile(r"\bconfide ((?:[a-z]+ ?)+)")
_SCRIPT = re.compile(r"\bscripts/([a-z-]+)\b")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    missing = [link for link in _LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_script_that_a_page_names_is_there(page):
    assert [name for name in _SCRIPT.findall(page.read_text()) if not (ROOT / "scripts" / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_code_that_a_page_names_exists(page):
    known = _names(typer.main.get_command(app))
    code = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), flags=re.DOTALL)
    named = {found.split()[0] for text in code for found in _COMMAND.findall(text) if found.split()}
    assert named <= known, sorted(named - known)


def test_a_command_that_does_not_exist_would_be_noticed():
    assert "explode" not in _names(typer.main.get_command(app))


def test_the_commands_of_the_readme_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"confide": "server.cli:main"}


def _names(command) -> set[str]:
    return set(command.commands)
