"""Writes the settings page: `python -m server.settings_page` (`scripts/docs` puts it into docs/settings.md)."""

import re
import sys
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from server.issuer_settings import ClaimNames, IssuerSettings
from server.settings import Settings
from server.settings_faults import PREFIX, SECRETS_DIR

_HEAD = f"""# Settings

<!-- Generated from server/settings.py by scripts/docs; do not edit. -->

Every setting is an environment variable. It can also be a file whose name is the variable's in lower case, in the
directory that `{SECRETS_DIR}` names; the variable wins. Nothing has to be set to try Confide; a secret has no
default. Confide reads the settings once, at its start, and when one cannot be used it lists every fault, without
the values, and does not start. A variable whose name is nearly that of a setting is a fault too.

| setting | form | default | what it is |
| --- | --- | --- | --- |
"""
_ISSUERS = f"""
## An issuer

An object of `{PREFIX}ISSUERS`:

```json
[{{"issuer": "https://login.example.com", "audience": "confide", "jwks": "https://login.example.com/jwks.json"}}]
```

| key | form | default | what it is |
| --- | --- | --- | --- |
"""
_CLAIMS = """
The keys of `claims`, each the name of a claim:

| key | form | default | what it is |
| --- | --- | --- | --- |
"""


def render(settings: type[Settings] = Settings) -> str:
    """The page's Markdown."""
    rows = [*_rows(settings, prefix=PREFIX)]
    return _HEAD + "".join(rows) + _ISSUERS + "".join(_rows(IssuerSettings)) + _CLAIMS + "".join(_rows(ClaimNames))


def _rows(model: type[BaseModel], *, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        shown = f"{prefix}{name}".upper() if prefix else name
        yield f"| `{shown}` | {_form(field)} | {_default(field)} | {field.description} |\n"


def _form(field: FieldInfo) -> str:
    """The type in words, with its bounds."""
    words = _words(field.annotation)
    bounds = {key: getattr(item, key) for item in field.metadata for key in ("ge", "gt", "le") if hasattr(item, key)}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le")
    if low is not None and high is not None:
        return f"{words}, {'above' if 'gt' in bounds else 'from'} {low} to {high}"
    return words


def _words(annotation: Any) -> str:
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
        SecretStr: "secret",
    }
    if annotation in names:
        return names[annotation]
    if re.match(r"typing\.Literal", str(annotation)):
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation):
        return _words(parts[0])
    origin = getattr(annotation, "__origin__", annotation)
    if origin is tuple:
        return f"list of {_words(parts[0])}"
    if origin is frozenset:
        return "list of words"
    return {"Path": "path", "IssuerSettings": "objects", "ClaimNames": "object"}.get(origin.__name__, "text")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None or field.default == ():
        return "unset"
    if isinstance(field.default, BaseModel):
        return "see below"
    if isinstance(field.default, tuple):
        return ", ".join(f"`{value}`" for value in field.default)
    value = str(field.default).lower() if isinstance(field.default, bool) else field.default
    return f"`{value}`" if value != "" else "empty"


if __name__ == "__main__":
    sys.stdout.write(render())
