"""Which column of a file becomes what, as an operator wrote it down.

A mapping is a TOML or JSON document; docs/imports.md describes it:

    default_country = "US"
    unknown_columns = "refuse"

    [columns]
    "E-mail" = "email"
    "Born" = { to = "birth_date", format = "%d.%m.%Y" }
    "Shoe size" = { to = "traits.shoe_size", type = "decimal" }
    "Row id" = "-"
"""

import json
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from customers.collection.countries import COUNTRIES
from customers.collection.csv_rows import DELIMITERS
from customers.collection.encoding import ENCODINGS
from customers.collection.model import ImportKind
from customers.collection.money import is_currency
from customers.collection.targets import DROP, MOMENTS, SEVERAL, is_target, lacking, opened_name
from customers.errors import HeaderInvalidError, MappingInvalidError

_ID_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SOURCE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_LARGEST_FILE = 1_048_576


class UnknownColumns(StrEnum):
    """What happens to a column that the mapping does not name."""

    REFUSE = "refuse"
    DROP = "drop"
    # Kept as traits nobody has classified: sealed, and readable by the person and the privacy officer only.
    TRAITS = "traits"
    # As that, of an order or a ticket.
    EXTRA = "extra"
    # Kept as properties of the event.
    PROPERTIES = "properties"


_ONE = {
    ImportKind.PROFILES: "a profile",
    ImportKind.ORDERS: "an order",
    ImportKind.TICKETS: "a ticket",
    ImportKind.EVENTS: "an event",
}
_KEPT_AS = {
    ImportKind.PROFILES: UnknownColumns.TRAITS,
    ImportKind.ORDERS: UnknownColumns.EXTRA,
    ImportKind.TICKETS: UnknownColumns.EXTRA,
    ImportKind.EVENTS: UnknownColumns.PROPERTIES,
}


class UnknownCustomers(StrEnum):
    """What happens to an order or a ticket whose identifiers nobody has."""

    REFUSE = "refuse"
    # A profile is made that has these identifiers and nothing else.
    CREATE = "create"


class TraitType(StrEnum):
    """What a trait's text is read as."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What one column becomes.

    `target` is one of `targets.TARGETS`, `traits.<name>` and the like, `consents.<purpose>` or `-`; the others refine
    how its cells are read, where the target has such a choice.
    """

    column: str
    target: str
    trait_type: TraitType = TraitType.TEXT
    id_type: str | None = None
    date_format: str | None = None
    country: str | None = None

    @property
    def part(self) -> tuple[str, str] | None:
        """The object that the column is a part of, such as `traits`, and its name there, if it is of any."""
        return opened_name(self.target)

    @property
    def consent(self) -> str | None:
        """The purpose that the column answers, if any."""
        return self.target.removeprefix("consents.") if self.target.startswith("consents.") else None


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A checked mapping."""

    columns: tuple[ColumnRule, ...]
    unknown_columns: UnknownColumns = UnknownColumns.REFUSE
    default_country: str | None = None
    date_format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    of: ImportKind = ImportKind.PROFILES
    currency: str | None = None
    timezone: str | None = None
    unknown_customers: UnknownCustomers = UnknownCustomers.REFUSE
    source: str | None = None

    def bind(self, header: tuple[str, ...]) -> tuple[ColumnRule | None, ...]:
        """The rule of each column of a file, or None where it is dropped.

        Raises:
            HeaderInvalidError: A column of the mapping is not in the file, or a column of the file is not in the
                mapping and unknown ones are refused. The file's own names are not repeated: they may be data.
        """
        rules = {column_key(rule.column): rule for rule in self.columns}
        keys = [column_key(name) for name in header]
        missing = [rule.column for key, rule in rules.items() if key not in set(keys)]
        if missing:
            raise HeaderInvalidError(f"the file has no column {', '.join(map(repr, missing))} of the mapping")
        unknown = [str(position) for position, key in enumerate(keys, start=1) if key not in rules]
        if unknown and self.unknown_columns is UnknownColumns.REFUSE:
            raise HeaderInvalidError(
                f"the mapping says nothing about column {', '.join(unknown)} of the file: add them to it (with "
                f'"-" to leave one out), or set unknown_columns to "drop" or "{_KEPT_AS[self.of]}"'
            )
        bound = tuple(rules.get(key) or self.rule_for_unknown(name) for name, key in zip(header, keys, strict=True))
        _check_once([rule.target for rule in bound if rule])
        return tuple(None if rule is None or rule.target == DROP else rule for rule in bound)

    def rule_for_unknown(self, column: str) -> ColumnRule | None:
        """What becomes of a column that the mapping does not name; None where it is dropped."""
        if self.unknown_columns in (UnknownColumns.REFUSE, UnknownColumns.DROP):
            return None
        return ColumnRule(column, f"{self.unknown_columns}.{trait_name(column)}")


def column_key(name: str) -> str:
    """How names of columns are compared: without case, and without the space around them."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def trait_name(column: str) -> str:
    """The trait that an unknown column feeds: `Shoe Size` gives `shoe_size`."""
    return re.sub(r"[^\w.]+", "_", unicodedata.normalize("NFC", column).strip().lower()).strip("_.")[:64] or "unnamed"


def load_mapping(
    path: Path, *, consent_purposes: frozenset[str], of: ImportKind = ImportKind.PROFILES
) -> ImportMapping:
    """The mapping in a `.toml` or `.json` file.

    Raises:
        MappingInvalidError: The file cannot be read, or its content is not a mapping; every fault is listed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise MappingInvalidError(["the mapping file is larger than a mapping can be"])
        text = raw.decode("utf-8-sig")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError:
        raise MappingInvalidError(["the mapping file cannot be read"]) from None
    except (ValueError, RecursionError):
        raise MappingInvalidError(["the mapping file is neither TOML nor, with the ending .json, JSON"]) from None
    return parse_mapping(data, consent_purposes=consent_purposes, of=of)


def parse_mapping(
    data: Any, *, consent_purposes: frozenset[str], of: ImportKind = ImportKind.PROFILES
) -> ImportMapping:
    """The mapping that a document describes.

    Args:
        data: The document as TOML or JSON gives it.
        consent_purposes: The purposes a customer can consent to, which `consents.…` may name.
        of: What the file is full of.

    Raises:
        MappingInvalidError: Listing every fault.
    """
    if not isinstance(data, dict) or not isinstance(data.get("columns"), dict) or not data["columns"]:
        raise MappingInvalidError(["a mapping needs a table [columns] that names each column and what it becomes"])
    problems: list[str] = list(_setting_problems(data, of))
    purposes = consent_purposes if of is ImportKind.PROFILES else frozenset[str]()
    rules = [_rule(name, value, (of, purposes), problems) for name, value in data["columns"].items()]
    keys = Counter(column_key(rule.column) for rule in rules)
    problems += [
        f"column {rule.column!r} stands in the mapping twice" for rule in rules if keys[column_key(rule.column)] > 1
    ]
    problems += lacking(of, [rule.target for rule in rules], currency="currency" in data)
    try:
        _check_once([rule.target for rule in rules])
    except HeaderInvalidError as error:
        problems.append(str(error))
    if problems:
        raise MappingInvalidError(problems)
    return ImportMapping(
        tuple(rules),
        UnknownColumns(data.get("unknown_columns", "refuse")),
        data.get("default_country"),
        data.get("date_format"),
        data.get("encoding"),
        data.get("delimiter"),
        of,
        data.get("currency"),
        data.get("timezone"),
        UnknownCustomers(data.get("unknown_customers", "refuse")),
        data.get("source"),
    )


def _setting_problems(data: Mapping[str, Any], of: ImportKind) -> Iterator[str]:
    """What is wrong beside the columns."""
    orders, tickets = of is ImportKind.ORDERS, of is ImportKind.TICKETS
    allowed: dict[str, Any] = {
        "unknown_columns": [UnknownColumns.REFUSE, UnknownColumns.DROP, _KEPT_AS[of]],
        "encoding": ENCODINGS,
        "delimiter": DELIMITERS,
        **({} if of is ImportKind.EVENTS else {"default_country": COUNTRIES}),
        **({"unknown_customers": list(UnknownCustomers)} if orders or tickets else {}),
    }
    checks: dict[str, Callable[[Any], str | None]] = {
        "date_format": date_format_problem,
        **({"currency": _currency_problem} if orders else {}),
        **({} if of is ImportKind.PROFILES else {"timezone": _timezone_problem}),
        **({} if of is ImportKind.EVENTS else {"source": _source_problem}),
    }
    for name, value in data.items():
        if name in allowed:
            if not isinstance(value, str) or value not in allowed[name]:
                yield f"{name} is not one that imports know"
        elif name in checks:
            if problem := checks[name](value):
                yield f"{name} {problem}"
        elif name != "columns":
            yield f"{name!r} is not a setting of a mapping of {of}"


def _currency_problem(value: Any) -> str | None:
    return None if isinstance(value, str) and is_currency(value) else "must be three capital letters, as in ISO 4217"


def _timezone_problem(value: Any) -> str | None:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        return "must be one of the IANA time zone database, such as Europe/Berlin"
    return None


def _source_problem(value: Any) -> str | None:
    good = isinstance(value, str) and _SOURCE.fullmatch(value)
    return None if good else "must be lower-case letters, digits, - and _"


def _rule(column: str, value: Any, of: tuple[ImportKind, frozenset[str]], problems: list[str]) -> ColumnRule:
    """The rule of one column; what is wrong with it is added to `problems`."""
    options = {"to": value} if isinstance(value, str) else value
    if not isinstance(options, dict) or not all(isinstance(each, str) for each in options.values()):
        problems.append(f"column {column!r} must be given a name, or a table with `to`")
        return ColumnRule(column, DROP)
    target = options.get("to", "")
    known = _options_of(target, *of)
    if known is None:
        problems.append(f"column {column!r} becomes something that {_ONE[of[0]]} does not have")
        return ColumnRule(column, DROP)
    problems += [
        f"column {column!r}: {name!r} has no meaning there" for name in options if name != "to" and name not in known
    ]
    checked = {name: option for name, option in options.items() if name in known}
    problems += [f"column {column!r}: {problem}" for problem in _option_problems(target, checked)]
    is_trait = opened_name(target) is not None
    return ColumnRule(
        column,
        target,
        TraitType(checked["type"]) if is_trait and checked.get("type") in set(TraitType) else TraitType.TEXT,
        checked.get("type") if target == "external_id" else None,
        checked.get("format"),
        checked.get("country"),
    )


def _options_of(target: str, kind: ImportKind, consent_purposes: frozenset[str]) -> frozenset[str] | None:
    """The options that a target has, or None when there is no such target."""
    if target.startswith("consents."):
        return frozenset() if target.removeprefix("consents.") in consent_purposes else None
    if not is_target(kind, target):
        return None
    if opened_name(target) is not None:
        return frozenset({"type", "format"})
    if target in MOMENTS:
        return frozenset({"format"})
    options = {"external_id": {"type"}, "phone": {"country"}, "birth_date": {"format"}}
    return frozenset(options.get(target, ()))


def _option_problems(target: str, options: Mapping[str, str]) -> Iterator[str]:
    for name, value in options.items():
        if name == "format" and (problem := date_format_problem(value)):
            yield f"format {problem}"
        elif name == "country" and value not in COUNTRIES:
            yield "country must be an ISO 3166-1 code of two capital letters"
        elif name == "type" and target == "external_id" and not _ID_TYPE.fullmatch(value):
            yield "type must be a name of letters, digits, _, . and -"
        elif name == "type" and target != "external_id" and value not in set(TraitType):
            yield f"type must be one of {', '.join(TraitType)}"
    if "format" in options and opened_name(target) is not None and options.get("type") != TraitType.DATE:
        yield 'format needs type = "date"'


def date_format_problem(value: Any) -> str | None:
    """Why a format for dates cannot be used, or None.

    A day must come out of it as it went in, so it needs day, month and a year of four digits: with two, nobody can
    tell 1925 from 2025. It may hold hours, minutes and seconds where times are read.
    """
    probe = datetime(2013, 11, 12)  # noqa: DTZ001 - only its day is looked at
    if not isinstance(value, str) or "%y" in value:
        return "must be like %d.%m.%Y, with a year of four digits"
    try:
        read = datetime.strptime(probe.strftime(value), value)  # noqa: DTZ007 - only its day is looked at
    except (ValueError, re.error):
        read = None
    return None if read == probe else "must be like %d.%m.%Y, with day, month and a year of four digits"


def _check_once(targets: list[str]) -> None:
    counts = Counter(target for target in targets if target not in SEVERAL and target != DROP)
    double = sorted(target for target, count in counts.items() if count > 1)
    if double:
        # A trait may be named after a column of the file, which may be data; fields and purposes may not.
        shown = [target if opened_name(target) is None else "a trait" for target in double]
        raise HeaderInvalidError(f"two columns become {', '.join(dict.fromkeys(shown))}")
