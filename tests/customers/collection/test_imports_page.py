"""docs/imports.md says what happens: its files are imported, and what it shows is what comes out."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from customers.collection import (
    HELP,
    Fault,
    ImportKind,
    UnknownCustomers,
    guess,
    import_rows,
    load_mapping,
    open_table,
)
from customers.collection.encoding import ENCODINGS
from customers.collection.events import EventType
from customers.collection.mapping import TraitType, UnknownColumns
from customers.collection.order_items import MAX_ITEMS
from customers.collection.records import MAX_CELL, MAX_COLUMNS, MAX_LINES, MAX_ROW
from customers.collection.targets import TARGETS

PAGE = (Path(__file__).parents[3] / "docs" / "imports.md").read_text(encoding="utf-8")
PURPOSES = frozenset({"marketing", "email_marketing", "personalisation"})
BLOCKS = dict(re.findall(r"^```\w+ ([^\n]+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def now():
    return datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def files(tmp_path) -> Path:
    for name, content in BLOCKS.items():
        if " " not in name and "errors" not in name:
            (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def test_the_guess_on_the_page_is_the_guess_that_is_made(files):
    with open_table(files / "people.csv") as table:
        assert guess(table, consent_purposes=PURPOSES).toml() == BLOCKS["guessed from people.csv"]


@pytest.mark.parametrize(
    ("source", "mapping", "of", "accepted"),
    [
        ("people.csv", "people.toml", ImportKind.PROFILES, 1),
        ("people.jsonl", "people-jsonl.toml", ImportKind.PROFILES, 1),
        ("orders.csv", "orders.toml", ImportKind.ORDERS, 2),
    ],
)
async def test_the_errors_on_the_page_are_those_that_are_found(files, source, mapping, of, accepted):
    found = load_mapping(files / mapping, consent_purposes=PURPOSES, of=of)
    report = await import_rows(files / source, found, None, now=now, dry_run=True)
    assert report.accepted == accepted
    assert (files / f"{source}.errors.csv").read_text() == BLOCKS[f"{source}.errors.csv"]


def test_every_reason_target_and_setting_is_on_the_page():
    for fault in Fault:
        assert f"| `{fault.value}` | {HELP[fault]} |" in PAGE
    targets = {target for found in TARGETS.values() for target in found}
    for name in (*targets, *TraitType, *UnknownColumns, *UnknownCustomers, *ImportKind, *EventType, *ENCODINGS):
        assert f"`{name}`" in PAGE, name
    for number in (MAX_ROW, MAX_CELL, MAX_COLUMNS, MAX_LINES, MAX_ITEMS):
        assert f"{number:,}" in PAGE


def test_the_page_has_no_reason_that_does_not_exist():
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE)) == {fault.value for fault in Fault}


def test_the_commands_on_the_page_have_options_that_exist():
    # The command line is wired in `server`; what is checked here is that the page does not invent options.
    source = (Path(__file__).parents[3] / "server" / "cli" / "importing.py").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ confide (import .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 7
    options = {word for command in commands for word in shlex.split(command) if word.startswith("--")}
    assert options == {"--preview", "--mapping", "--dry-run", "--resume-from", "--of", "--source"}
    named = {option: f" {option.removeprefix('--').replace('-', '_')}:" for option in options - {"--source"}}
    assert all(name in source for name in named.values())
    assert 'typer.Option("--source"' in source
