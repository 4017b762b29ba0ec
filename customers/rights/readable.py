"""A copy of a person's data as a page that anybody can read: one HTML text, written piece by piece. Pure.

It opens from a disk: no script, no picture, nothing from elsewhere, and a policy of its own that lets none in. The words
for each value are the catalogue's. Whatever a person or a system wrote is text here and never markup.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from policies import Catalogue

SHOWN: Final = 500
"""How many rows of a list the page shows; the files beside it have all of them."""

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:2rem 1rem}"
    "h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 0}"
    "dt{font-weight:600;margin-top:.75rem}dd{margin:0;overflow-wrap:anywhere}dd small{display:block}"
    ".rows{overflow-x:auto}.rows:focus{outline:3px solid;outline-offset:2px}table{border-collapse:collapse;font-size:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid GrayText;"
    "overflow-wrap:break-word;max-width:24rem}th{white-space:nowrap}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADINGS: Final = {
    "orders": ("Your orders", "order"),
    "tickets": ("Your requests for help", "ticket"),
    "events": ("What you did with us", "event"),
    "consents": ("Your privacy choices", ""),
    "reads": ("Who looked at your data", "access_entry"),
    "recipients": ("Whom we give your data to", ""),
}
_CONSENT: Final = {
    "id": "Number",
    "purpose": "What for",
    "state": "What you said",
    "channel": "By which way",
    "at": "When",
    "recorded_at": "Written down",
    "expires_at": "Until",
    "source": "Where",
    "notice": "What you were shown",
    "proof": "Proof",
}
_RECIPIENT: Final = {
    "recipient": "Who",
    "data": "What of it",
    "purposes": "Only for",
    "since": "Since",
    "still": "Still",
}
_OTHERS: Final = {"consents": _CONSENT, "recipients": _RECIPIENT}
_BY: Final = {
    "event": "our shop or app told us",
    "webhook": "another system told us",
    "import": "it was in a file",
    "staff": "our staff wrote it",
    "customer": "you told us",
    "client": "a program of ours wrote it",
    "enrichment": "a provider of data told us",
}


def opening(made_at: str) -> str:
    """How the page begins."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{_HASH}'; "
        "base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>A copy of your data</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n<h1>A copy of your data</h1>\n"
        f"<p>This is what we hold about you, as it was on {moment(made_at)}. The other files say the same in forms that "
        "programs read: JSON, and CSV for spreadsheets.</p>\n"
    )


def closing(left_out: Sequence[str], catalogue: Catalogue) -> str:
    """How it ends: with what may not be given."""
    if not left_out:
        return "</main></body></html>\n"
    items = "".join(f"<li>{_text(_label(each, catalogue))}</li>" for each in left_out)
    return (
        "<h2>What is not in it</h2>\n<p>Some of what we keep may not be given out here. It is:</p>\n"
        f"<ul>{items}</ul>\n</main></body></html>\n"
    )


def profile(values: Mapping[str, Any], origins: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """What is known of the person, by what kind of data it is, each with where it is from."""
    sections: dict[str, list[str]] = {}
    for field in catalogue.object("profile"):
        value = values.get(field.name)
        if value in (None, "", [], {}):
            continue
        kind = ".".join(field.category.split(".")[:2])
        said = f"<dt>{_text(field.label)}</dt><dd>{cell(value)}{_origin(origins.get(field.name))}</dd>\n"
        sections.setdefault(kind, []).append(said)
    yield "<h2>What we know of you</h2>\n"
    for kind, items in sections.items():
        yield f"<h3>{_text(catalogue.categories.get(kind, 'About your record'))}</h3>\n<dl>{''.join(items)}</dl>\n"


def list_opening(name: str, columns: Sequence[str], catalogue: Catalogue) -> str:
    """How a list begins."""
    heading, object_ = _HEADINGS[name]
    labels = {each.name: each.label for each in catalogue.object(object_)} if object_ else _OTHERS[name]
    if not columns:
        return f"<h2>{_text(heading)}</h2>\n<p>Nothing.</p>\n"
    heads = "".join(f'<th scope="col">{_text(labels.get(each, each))}</th>' for each in columns)
    # A list is wider than a telephone: it is reached and moved by the keyboard too.
    return (
        f'<h2 id="{name}">{_text(heading)}</h2>\n<div class="rows" role="region" tabindex="0" aria-labelledby="{name}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n"
    )


def list_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Some rows of it."""
    return "".join(
        f"<tr>{''.join(f'<td>{cell(each.get(column))}</td>' for column in columns)}</tr>\n" for each in rows
    )


def list_closing(name: str, *, more: bool) -> str:
    """How it ends."""
    rest = f"<p>These are {SHOWN}; all are in <code>{name}.csv</code>.</p>\n" if more else ""
    return f"</tbody></table></div>\n{rest}"


def cell(value: Any) -> str:
    """A value as it is read, with nothing of it taken for markup."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "<br>".join(cell(each) for each in value)
    if isinstance(value, Mapping):
        return "<br>".join(f"{_text(str(name))}: {cell(each)}" for name, each in value.items())
    if isinstance(value, str | int | float):
        return _text(str(value))
    return _text(json.dumps(value, ensure_ascii=False, default=str).strip('"'))


def moment(at: str) -> str:
    """A moment in a person's words."""
    return f'<time datetime="{_text(at)}">{_text(at[:10])}, {_text(at[11:16])} UTC</time>'


def _origin(origin: Any) -> str:
    if not isinstance(origin, Mapping):
        return ""
    by = _BY.get(str(origin.get("kind")), "")
    at = origin.get("at")
    when = f", {moment(str(at))}" if at else ""
    return f"<small>{_text(by)} ({_text(str(origin.get('source')))}){when}</small>" if by else ""


def _label(path: str, catalogue: Catalogue) -> str:
    field = catalogue.fields.get(path)
    return path if field is None else f"{field.label} ({path})"


def _text(text: str) -> str:
    return html.escape(text, quote=True)
