"""Reads an enrichment's file, and says everything that is wrong with it at once.

Definitions are files beside the policies, and not documents of the database: they decide to whom data of customers is sent,
so they are reviewed and deployed as policies are, and who can write to the database cannot change them.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from customers.enrichment.errors import DefinitionInvalidError
from customers.enrichment.model import READ, RETENTION, ROLE, Definition, KeyField, KeyPart, Write
from customers.outgoing import AddressRefusedError, Origin
from policies import Action, LawfulBasis, PolicySet

VERSION: Final = 1
_MOST_BYTES: Final = 65_536
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_SYSTEM: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TRAIT: Final = re.compile(r"traits\.([A-Za-z][A-Za-z0-9_]{0,63})")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_PLACE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/.+")
_LASTS: Final = re.compile(r"P([1-9][0-9]{0,3})([DWY])")
_DAYS: Final = {"D": 1, "W": 7, "Y": 365}
_FIELDS: Final = (
    *("region", "country", "city", "postal_code", "street", "language", "loyalty_tier", "acquisition_channel"),
)
_TOP: Final = frozenset(
    {
        *("version", "name", "purpose", "basis", "source", "licence", "expires_after", "provider", "key", "writes"),
        *("csv_table", "http_lookup"),
    }
)
_LONGEST: Final = 200
_LONGEST_NAME: Final = 128


def load_definition(path: Path, policies: PolicySet) -> Definition:
    """The enrichment in a file, if it can be used under these policies.

    Raises:
        DefinitionInvalidError: Listing every fault.
    """
    try:
        content = path.read_bytes()
    except OSError:
        raise DefinitionInvalidError([f"{path.name} cannot be read"]) from None
    if len(content) > _MOST_BYTES:
        raise DefinitionInvalidError([f"{path.name} is larger than {_MOST_BYTES // 1024} KiB"])
    try:
        data = tomllib.loads(content.decode())
    except ValueError:  # not UTF-8, or not TOML
        raise DefinitionInvalidError([f"{path.name} is not valid TOML in UTF-8"]) from None
    reading = _Reading(data)
    found = reading.definition(path.resolve().parent, hashlib.sha256(content).hexdigest())
    if found is None:
        raise DefinitionInvalidError(reading.faults)
    faults = not_permitted(found, policies)
    if faults:
        raise DefinitionInvalidError(faults)
    return found


def not_permitted(definition: Definition, policies: PolicySet) -> list[str]:
    """Why the policies do not allow an enrichment to run; nothing where they do."""
    purpose = policies.purposes.get(definition.purpose)
    if purpose is None:
        return ["purpose is not one that the policy knows"]
    if RETENTION not in policies.purposes:
        return [f"the policy lacks the purpose {RETENTION}, by which values are removed when they expire"]
    faults = []
    if purpose.basis is not definition.basis:
        faults.append(f"basis must be {purpose.basis.value}, which is what {purpose.name} rests on")
    grant, removing = policies.decide((ROLE,), purpose.name), policies.decide((ROLE,), RETENTION)
    if not grant.read["profile.id"]:
        faults.append(f"the policy does not let {ROLE} read profile.id for {purpose.name}")
    faults += [
        f"the policy does not let {ROLE} read profile.{READ[part.field]} for {purpose.name}"
        for part in definition.key
        if not grant.read[f"profile.{READ[part.field]}"]
    ]
    for write in definition.writes:
        for each in (grant, removing):
            granted = (
                each.of_category(write.category, Action.WRITE)
                if write.category is not None
                else each.write[f"profile.{write.target}"]
            )
            if not granted:
                what = write.target if write.category is None else f"{write.target} ({write.category})"
                faults.append(f"the policy does not let {ROLE} write {what} for {each.purpose.name}")
    return faults


class _Reading:
    """One file being read, and what is wrong with it."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.faults: list[str] = []

    def definition(self, directory: Path, digest: str) -> Definition | None:
        """What it says; None where anything is wrong."""
        if unknown := sorted(each[:40] for each in set(self._data) - _TOP):
            self._fault(f"does not know {', '.join(unknown)}")
        if self._data.get("version") != VERSION:
            self._fault(f"needs version = {VERSION}")
        name = self._text("name", lambda text: _NAME.fullmatch(text) is not None, "a short name such as area_of_code")
        purpose = self._text("purpose", bool, "the name of a purpose")
        basis = self._text("basis", lambda text: text in set(LawfulBasis), f"one of {', '.join(LawfulBasis)}")
        source = self._text("source", _short, f"whom the values are from, in at most {_LONGEST} characters")
        licence = self._text("licence", _short, f"the licence they are under, in at most {_LONGEST} characters")
        lasts = self._text("expires_after", _lasting, '"P180D" (or weeks, W; years, Y), or "never"')
        provider = self._text("provider", lambda text: text in _PROVIDERS, f"one of {', '.join(_PROVIDERS)}")
        key, writes = self._key(), self._writes()
        settings = _PROVIDERS[provider](self) if provider in _PROVIDERS else {}
        if self.faults:
            return None
        return Definition(
            name=name,
            purpose=purpose,
            basis=LawfulBasis(basis),
            source=source,
            licence=licence,
            expires_after=_lasts(lasts),
            provider=provider,
            settings=settings,
            key=key,
            writes=writes,
            directory=directory,
            digest=digest,
        )

    def _key(self) -> tuple[KeyPart, ...]:
        found = []
        for name, value in self._table("key").items():
            if name not in set(KeyField):
                self._fault(f"[key] can hold {', '.join(KeyField)}, and nothing else")
                continue
            field = KeyField(name)
            system = None
            if field is KeyField.EXTERNAL_ID:
                system = value.get("system") if isinstance(value, dict) else None
                if not isinstance(system, str) or not _SYSTEM.fullmatch(system) or set(value) != {"to", "system"}:
                    self._fault('[key] external_id must be { to = "...", system = "..." }')
                    continue
                value = value["to"]  # noqa: PLW2901 - what is left of it
            if not _called(value):
                self._fault(f"[key] {name} must be what the provider calls it")
                continue
            found.append(KeyPart(field, value, system))
        if not found and not self.faults:
            self._fault("[key] must name what to look up by")
        return tuple(found)

    def _writes(self) -> tuple[Write, ...]:
        found = []
        for name, value in self._table("writes").items():
            if name in _FIELDS and _called(value):
                found.append(Write(name, value))
            elif _TRAIT.fullmatch(name) and isinstance(value, dict) and set(value) == {"from", "category"}:
                category = value["category"]
                if _called(value["from"]) and isinstance(category, str) and category:
                    found.append(Write(name, value["from"], category))
                else:
                    self._fault(f"[writes] {name} needs from and category, which are texts")
            elif name in _FIELDS:
                self._fault(f"[writes] {name} must be what the provider calls it")
            else:
                self._fault(
                    f"[writes] can hold {', '.join(_FIELDS)}, and "
                    '"traits.<name>" = { from = "...", category = "..." }'
                )
        if not found and not self.faults:
            self._fault("[writes] must name what to write")
        return tuple(found)

    def csv_table(self) -> dict[str, Any]:
        """What the table `csv_table` says."""
        table = self._own("csv_table", {"path"})
        if not isinstance(table.get("path"), str) or not table["path"]:
            self._fault("[csv_table] path must be the path of a file")
        return dict(table)

    def http_lookup(self) -> dict[str, Any]:
        """What the table `http_lookup` says."""
        forms = _HTTP_FORMS
        table = self._own("http_lookup", set(forms))
        for name, (check, wanted) in forms.items():
            if name in table and not check(table[name]):
                self._fault(f"[http_lookup] {name} must be {wanted}")
        if "url" not in table:
            self._fault("[http_lookup] url must be there")
        return dict(table)

    def _own(self, name: str, known: set[str]) -> Mapping[str, Any]:
        for other in set(_PROVIDERS) - {name}:
            if other in self._data:
                self._fault(f"[{other}] is not this provider's")
        table = self._table(name)
        if unknown := sorted(each[:40] for each in set(table) - known):
            self._fault(f"[{name}] does not know {', '.join(unknown)}")
        return table

    def _table(self, name: str) -> Mapping[str, Any]:
        found = self._data.get(name, {})
        if not isinstance(found, dict):
            self._fault(f"[{name}] must be a table")
            return {}
        return found

    def _text(self, name: str, check: Callable[[str], bool], wanted: str) -> str:
        value = self._data.get(name)
        if not isinstance(value, str) or not check(value):
            self._fault(f"{name} must be {wanted}")
            return ""
        return value

    def _fault(self, text: str) -> None:
        self.faults.append(text)


_PROVIDERS: Final[Mapping[str, Callable[[_Reading], dict[str, Any]]]] = {
    "csv_table": _Reading.csv_table,
    "http_lookup": _Reading.http_lookup,
}


def _short(text: str) -> bool:
    return 1 <= len(text.strip()) <= _LONGEST and text.isprintable()


def _called(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _LONGEST_NAME and value.isprintable()


def _lasting(text: str) -> bool:
    return text == "never" or _LASTS.fullmatch(text) is not None


def _lasts(text: str) -> timedelta | None:
    found = _LASTS.fullmatch(text)
    return None if found is None else timedelta(days=int(found[1]) * _DAYS[found[2]])


def _address(value: Any) -> bool:
    try:
        Origin.of(value)
    except AddressRefusedError:
        return False
    return isinstance(value, str) and "#" not in value


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


_HTTP_FORMS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "url": (
        _address,
        "an address that begins with https:// (http:// where the operator allows it), without a password",
    ),
    "method": (lambda value: value in ("GET", "POST"), "GET or POST"),
    "secret": (
        lambda value: isinstance(value, str) and _PLACE.fullmatch(value) is not None,
        "env:NAME or file:/path, where the service's key is",
    ),
    "header": (lambda value: isinstance(value, str) and _HEADER.fullmatch(value) is not None, "the name of a header"),
    "prefix": (lambda value: isinstance(value, str) and value.isprintable() and value.isascii(), "text"),
    "at_once": (lambda value: isinstance(value, int) and _number(1, 50)(value), "a whole number from 1 to 50"),
    "per_second": (_number(0.01, 1000), "a number from 0.01 to 1000"),
    "seconds": (_number(0.1, 60), "a number of seconds from 0.1 to 60"),
    "attempts": (lambda value: isinstance(value, int) and _number(1, 10)(value), "a whole number from 1 to 10"),
}
