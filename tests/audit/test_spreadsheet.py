"""No spreadsheet runs what the platform writes, wherever it writes a table."""

import re
from pathlib import Path

import pytest

from audit.spreadsheet import spreadsheet_safe

SIGNS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
# What has no width, is white space or is left out by some: some spreadsheets look behind it.
BEFORE = (
    "",
    " ",
    "\u3000",
    "\xa0",
    "\u200b",
    "\ufeff",
    "\u2060",
    "\u3164",
    "\x00",
    "\x0b",
    "\t",
    "\r",
    "\n",
    "\t\u200b ",
)
ROOT = Path(__file__).parents[2]


def runs(cell):
    """Whether a spreadsheet might, whatever separates cells and whatever it leaves out before a sign."""
    parts = re.split(r"[,;|\t\r\n]", cell)
    return any(re.sub(r"^(?:[\W_](?<!['=+\-@＝＋－＠])|\u3164)+", "", each).startswith(SIGNS) for each in parts)  # noqa: RUF001


@pytest.mark.parametrize("sign", SIGNS)
def test_nothing_that_could_be_a_formula_begins_a_cell(sign):
    for before in BEFORE:
        for cell in (f"{before}{sign}1", f"x;{before}{sign}1", f'x",{before}{sign}1', f"{before}{sign}{sign}1"):
            safe = spreadsheet_safe(cell)
            assert runs(cell), "control: it would be run as it is"
            assert not runs(safe), (cell, safe)
            assert not safe.startswith(("\t", "\r", "\n"))
            assert safe.replace("'", "") == cell, "nothing is lost"


@pytest.mark.parametrize(
    "cell", ["", "birth date", "anna@example.org", "1961-05-14", "Anna-Marie", "A--b", "50 %", "a|b"]
)
def test_a_harmless_cell_stays_as_it_is(cell):
    assert spreadsheet_safe(cell) == cell


def test_every_table_is_written_by_way_of_it():
    """One function for all; the control is that there are tables to find."""
    sources = [each for folder in ("audit", "customers", "server", "schema", "policies", "vault") for each in
               (ROOT / folder).rglob("*.py")]  # fmt: skip
    writing = [each for each in sources if re.search(r"\bcsv\.(Dict)?[wW]riter\(", each.read_text())]
    assert len(writing) >= 4
    assert [each.name for each in writing if "spreadsheet_safe(" not in each.read_text()] == []
