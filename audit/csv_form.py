"""Records as a table that opens in a spreadsheet without running anything. Values in, values out.

What could begin a formula gets an apostrophe before it (audit/spreadsheet.py), control characters become visible ones,
and every cell is quoted. The table is for reading: what is proved are the records' own bytes, from which a verifier
derives it again. docs/formats/audit-bundle.md
"""

from collections.abc import Mapping
from typing import Any

from audit.bundle import encode
from audit.spreadsheet import spreadsheet_safe

COLUMNS = (
    "entry", "time", "kind", "outcome", "actor", "roles", "client", "purpose", "case", "operation", "clear", "masked",
    "withheld", "filters", "subjects", "decisions", "exceptions", "erasure", "policy", "document", "trace",
)  # fmt: skip
"""May not be reordered, renamed or removed without a new version of the bundle."""
MAX_CELL = 16_000
"""Spreadsheets hold 32,767 UTF-16 units; a cell with more characters than this is cut and ends with an ellipsis."""

_VERDICTS = ("clear", "masked", "withheld")
_VISIBLE = (
    {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421} | dict.fromkeys((0x85, 0x2028, 0x2029), 0x2424)
)


def cell(text: str) -> str:
    """`text` as a quoted cell that no spreadsheet runs."""
    if not text:
        return '""'
    shown = text if text.isprintable() else text.translate(_VISIBLE)
    safe = spreadsheet_safe(shown)
    if len(safe) > MAX_CELL:
        safe = f"{safe[:MAX_CELL]}…"
    return '"' + safe.replace('"', '""') + '"'


def header() -> bytes:
    """The table's first line, after a byte order mark: spreadsheets take a file without one for another encoding."""
    return f"\N{BYTE ORDER MARK}{','.join(map(cell, COLUMNS))}\r\n".encode()


def line(entry: str, record: Mapping[str, Any]) -> bytes:
    """A record's line, given its entry's id and what its JSON says."""
    values = {"entry": entry, **record}
    for verdict in _VERDICTS:
        values[verdict] = [
            path for each in record["decisions"] if each["decision"] == verdict for path in each["fields"]
        ]
    return _row([_text(values[name]) for name in COLUMNS]).encode()


def _row(texts: list[str]) -> str:
    """The cells of these texts with what is between them.

    Nearly every row is short and printable. What stands before a cell is a quote, neither letter nor sign, so one look
    over the whole row finds the same as one into each cell.
    """
    joined = '","'.join([text.replace('"', '""') for text in texts])
    if 2 * len(joined) > MAX_CELL or not joined.isprintable():
        return f"{','.join(map(cell, texts))}\r\n"
    safe = spreadsheet_safe(f'"{joined}')
    return f'{safe}"\r\n'


def _text(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and isinstance(value[0], str):
        return " ".join(value)
    return encode(value).decode()
