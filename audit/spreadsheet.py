"""Text that no spreadsheet runs: the one place that says how, for every CSV that the platform writes. Pure.

A spreadsheet takes a cell for a formula where it begins with `=`, `+`, `-` or `@`; some take the full-width forms for the
same, and some leave out white space, control characters and what has no width before they look. What begins a cell
depends on the separator that its reader assumes: in much of Europe a semicolon. So such a character gets an apostrophe
before it wherever it does not follow a letter, a digit or another of them. What follows from it is frozen for the tables
of audit bundles (docs/formats/audit-bundle.md).
"""

import re
from typing import Final

_SIGN: Final = "=+\\-@＝＋－＠"  # noqa: RUF001 - they are what is looked for
# The second part looks back at what is before.
_FORMULA: Final = re.compile(f"[{_SIGN}](?<![A-Za-z0-9_{_SIGN}][{_SIGN}])")
_BREAKS: Final = ("\t", "\r", "\n")


def spreadsheet_safe(text: str) -> str:
    """The text with an apostrophe before whatever could begin a formula, and before a tab or line break at its start."""
    safe = _FORMULA.sub(r"'\g<0>", text)
    return f"'{safe}" if safe.startswith(_BREAKS) else safe


__all__ = ["spreadsheet_safe"]
