"""The matrix as one HTML page that needs nothing else: no script, no font, no address."""

from html import escape

from policies.matrix import Cell, Matrix
from policies.wording import ICONS

_STYLE = """\
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --ground: #f6f7f8; --line: #c9ced4;
  --accent: #1f5f5b; --clear: #1a6b3c; --masked: #8a5a00; --withheld: #8c2f39; --quiet: #4a525b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #14171a; --ground: #1c2024; --line: #3d444c;
  --accent: #7cc4be; --clear: #6fcf97; --masked: #f0b955; --withheld: #f29aa3; --quiet: #b4bbc3; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 8px; font-size: 26px; line-height: 1.25; }
p { margin: 0 0 16px; max-width: 68ch; }
a { color: var(--accent); }
td > span:first-child { white-space: nowrap; }
.key { display: flex; flex-wrap: wrap; gap: 8px 24px; margin: 0 0 24px; padding: 0; list-style: none; }
.frame { overflow-x: auto; max-height: 80vh; border: 1px solid var(--line); }
.frame:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { padding: 8px 12px; text-align: left; font-size: 16px; font-weight: 600; }
th, td { padding: 8px 12px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { position: sticky; top: 0; z-index: 1; background: var(--ground); }
tbody th { min-width: 14em; font-weight: 400; }
tbody th strong { display: block; font-weight: 600; }
tbody .object { background: var(--ground); font-weight: 600; }
.clear { color: var(--clear); } .masked { color: var(--masked); } .withheld { color: var(--withheld); }
.quiet { display: block; color: var(--quiet); }
"""


def matrix_html(shown: Matrix) -> str:
    """The matrix as a whole HTML document: a real table with headings, an icon and a word in every cell."""
    title = f"Who sees what for {shown.purpose.label.lower()}"
    key = "".join(
        f'<li><span class="{verdict}"><span aria-hidden="true">{icon}</span> {verdict}</span>: {words}</li>'
        for (verdict, icon), words in zip(
            ICONS.items(),
            ("the value as it is", "only what the mask leaves", "nothing"),
            strict=True,
        )
    )
    heads = "".join(
        f'<th scope="col">{escape(role.label)}<span class="quiet">{escape(role.name)}</span></th>'
        for role in shown.roles
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        f"<p>{escape(shown.purpose.description)} Lawful basis: {escape(shown.purpose.basis.replace('_', ' '))}. "
        f"Policy version {escape(shown.policy_version)}. The numbers are rules of rules.csv.</p>\n"
        f'<ul class="key">{key}</ul>\n'
        # A region that scrolls must be reachable by keyboard and have a name.
        f'<div class="frame" role="region" aria-label="{escape(title)}" tabindex="0">\n<table>\n'
        f"<caption>Purpose: {escape(shown.purpose.name)}</caption>\n"
        f'<thead><tr><th scope="col">Field</th>{heads}</tr></thead>\n'
        f"{_bodies(shown)}</table>\n</div>\n</main>\n</body>\n</html>\n"
    )


def _bodies(shown: Matrix) -> str:
    bodies: list[str] = []
    for name in dict.fromkeys(row.field.object for row in shown.rows):
        width = len(shown.roles) + 1
        rows = "".join(
            f'<tr><th scope="row"><strong>{escape(row.field.label)}</strong>'
            f'<span class="quiet">{escape(row.field.path)}</span></th>{"".join(map(_cell, row.cells))}</tr>\n'
            for row in shown.rows
            if row.field.object == name
        )
        heading = f'<tr><th class="object" scope="rowgroup" colspan="{width}">{escape(name)}</th></tr>'
        bodies.append(f"<tbody>{heading}\n{rows}</tbody>\n")
    return "".join(bodies)


def _cell(cell: Cell) -> str:
    rule = "no rule allows it" if cell.rule is None else f"rule {cell.rule}, line {cell.line}"
    also = f"; may also {', '.join(cell.may)}" if cell.may else ""
    return (
        f'<td><span class="{cell.verdict.value}"><span aria-hidden="true">{ICONS[cell.verdict]}</span> '
        f'{escape(cell.words)}</span><span class="quiet">{rule}{also}</span></td>'
    )
