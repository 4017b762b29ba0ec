"""The policy files as bytes, read once; and TOML with the line numbers a fault needs."""

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from policies.errors import Fault, PolicyInvalidError

CATALOGUE = "catalogue.toml"
PURPOSES = "purposes.toml"
ROLES = "roles.toml"
MODEL = "model.conf"
RULES = "rules.csv"
RETENTION = "retention.toml"
FILES = (CATALOGUE, PURPOSES, ROLES, MODEL, RULES, RETENTION)
BESIDE = frozenset({"quality.toml", "limits.toml"})
"""Files that may lie in a policy directory and decide nothing about access."""
PACKAGED = Path(__file__).parent
MAX_BYTES = 4 * 1024 * 1024

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|([A-Za-z0-9_-]+))\s*=""")
_AT_LINE = re.compile(r"at line (\d+)")


def read_sources(directory: Path | None = None) -> dict[str, bytes]:
    """The policy files; those in `directory` stand in for the packaged ones.

    A misspelt file name would silently leave the packaged rules in force, so a policy-like file that is not one
    of them is a fault.

    Raises:
        PolicyInvalidError: the directory or a file cannot be read.
    """
    sources: dict[str, bytes] = {}
    faults: list[Fault] = []
    found: frozenset[str] = frozenset()
    if directory is not None:
        try:
            found = frozenset(entry.name for entry in directory.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            raise PolicyInvalidError([Fault("policy directory", None, _os_fault(error))]) from error
        faults += [
            Fault(_printable(name), None, f"is not a policy file; those are {', '.join(FILES)}")
            for name in sorted(found - set(FILES) - BESIDE)
            if name.endswith((".toml", ".conf", ".csv"))
        ]
    for name in FILES:
        path = directory / name if directory is not None and name in found else PACKAGED / name
        try:
            if path.stat().st_size > MAX_BYTES:
                faults.append(Fault(name, None, f"is larger than {MAX_BYTES // 1024 // 1024} MiB"))
                continue
            sources[name] = path.read_bytes()
        except OSError as error:
            faults.append(Fault(name, None, _os_fault(error)))
    if faults:
        raise PolicyInvalidError(faults)
    return sources


def digest(sources: Mapping[str, bytes], names: Sequence[str]) -> str:
    """The first 16 hexadecimal digits of a SHA-256 over the named files, each name and content length-prefixed."""
    state = hashlib.sha256(b"confide policy v1")
    for name in names:
        for part in (name.encode(), sources[name]):
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
    return state.hexdigest()[:16]


def text_of(name: str, content: bytes, faults: list[Fault]) -> str:
    """The file as text; bytes that are not UTF-8 are a fault (and then the text is empty)."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.append(Fault(name, line, "is not UTF-8 text"))
        return ""


class Toml:
    """A TOML file with its faults, and the line of any of its tables and keys."""

    def __init__(self, name: str, content: bytes, faults: list[Fault]) -> None:
        """Parse; a syntax error becomes one fault and leaves `data` empty."""
        self.name = name
        self._faults = faults
        self.data: dict[str, Any] = {}
        before = len(faults)
        text = text_of(name, content, faults)
        self._lines = _line_numbers(text)
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            at = _AT_LINE.search(str(error))
            message = "is not valid TOML: " + str(error).split(" (at ", maxsplit=1)[0]
            faults.append(Fault(name, int(at.group(1)) if at else None, message))
        self._unreadable = len(faults) > before

    def line(self, table: str, key: str = "") -> int | None:
        """Where the key stands; where the table begins when the key is not there; None when neither is."""
        return self._lines.get((table, key)) or self._lines.get((table, ""))

    def fault(self, message: str, table: str = "", key: str = "") -> None:
        """Record a fault at that place; in a file that could not be read, that alone is the fault."""
        if not self._unreadable:
            self._faults.append(Fault(self.name, self.line(table, key), message))

    def text_value(self, table: str, values: Mapping[str, Any], key: str) -> str:
        """A required non-empty text; its absence is a fault."""
        value = values.get(key)
        if isinstance(value, str) and value.strip():
            return value
        self.fault(f"[{table}] needs {key} = a text", table, key)
        return ""

    def flag(self, table: str, values: Mapping[str, Any], key: str) -> bool:
        """An optional true or false, false when absent."""
        value = values.get(key, False)
        if not isinstance(value, bool):
            self.fault(f"[{table}] {key} must be true or false", table, key)
            return False
        return value

    def unknown_keys(self, table: str, values: Mapping[str, Any], known: frozenset[str]) -> None:
        """Each key that is not one of `known` is a fault."""
        for key in sorted(set(values) - known):
            self.fault(f"[{table}] has the unknown key {quoted(key)}; known: {', '.join(sorted(known))}", table, key)


def quoted(name: str) -> str:
    """A name out of a policy file, made safe to print: escaped and cut."""
    return repr(name if len(name) <= 60 else name[:59] + "…")  # noqa: PLR2004 - a line's worth


def _printable(name: str) -> str:
    return quoted(name)[1:-1]


def _line_numbers(text: str) -> dict[tuple[str, str], int]:
    """The line of every `[table]` (with an empty key) and of every key in it. Good enough to point a person."""
    lines: dict[tuple[str, str], int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = header.group(1).strip()
            lines.setdefault((table, ""), number)
        elif key := _KEY.match(line):
            lines.setdefault((table, key.group(1) or key.group(2)), number)
    return lines


def _os_fault(error: OSError) -> str:
    return f"cannot be read: {error.strerror or type(error).__name__}"
