"""A first mapping for a file, from the names of its columns, to be looked at before it is used."""

import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import islice

from customers.collection.guessed_names import TARGET_OF
from customers.collection.mapping import ColumnRule, ImportMapping, UnknownCustomers
from customers.collection.model import ImportKind
from customers.collection.reader import Table
from customers.collection.targets import DROP, IDENTIFIERS, ITEM_FIELDS, SEVERAL, lacking
from customers.errors import MappingInvalidError

_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class GuessedColumn:
    """One column of the file: what it seems to be (None: no idea), and in how many of the rows it is filled.

    `name` is the file's own and meant for the eyes of whoever holds the file, never for a log.
    """

    position: int
    name: str
    target: str | None
    filled: int


@dataclass(frozen=True, slots=True)
class Guess:
    """What the file seems to hold; `rows` is how many rows were looked at, at most a hundred."""

    columns: tuple[GuessedColumn, ...]
    rows: int
    encoding: str
    delimiter: str | None
    of: ImportKind = ImportKind.PROFILES

    def mapping(self, base: ImportMapping | None = None) -> ImportMapping:
        """The mapping that was guessed, as a change to `base`, whose settings say what becomes of the other columns.

        Raises:
            MappingInvalidError: No column seems to identify a customer, or to be something else that is needed.
        """
        found = self._mapping(base or ImportMapping(()))
        self._require(found)
        problems = lacking(self.of, [rule.target for rule in found.columns], currency=found.currency is not None)
        if problems:
            raise MappingInvalidError(problems)
        return found

    def _mapping(self, base: ImportMapping) -> ImportMapping:
        rules = tuple(
            ColumnRule(each.name, each.target, id_type="crm" if each.target == "external_id" else None)
            for each in self.columns
            if each.target
        )
        return replace(base, columns=rules, encoding=self.encoding, delimiter=self.delimiter, of=self.of)

    def _require(self, found: ImportMapping) -> None:
        if self.of is not ImportKind.EVENTS and not any(rule.target in IDENTIFIERS for rule in found.columns):
            raise MappingInvalidError(
                ["no column is named like an e-mail address, phone number or customer id: say which in a mapping"]
            )

    def toml(self) -> str:
        """The guessed mapping as TOML, with a line to fill in for each column that nobody knows, or that is missing.

        Raises:
            MappingInvalidError: No column seems to identify a customer.
        """
        unknown = [each for each in self.columns if each.target is None]
        lines = [
            f"# {_quoted(each.name)} = ?    column {each.position}, filled in {each.filled} of {self.rows} rows: "
            'name what it becomes, or "-" to leave it out'
            for each in unknown
        ]
        found = self._mapping(ImportMapping(()))
        self._require(found)
        problems = lacking(self.of, [rule.target for rule in found.columns], currency=False)
        lines += [f"# ? {problem}" for problem in problems]
        return to_toml(found) + "".join(f"{line}\n" for line in lines)


def guess(table: Table, *, consent_purposes: frozenset[str], of: ImportKind = ImportKind.PROFILES) -> Guess:
    """What the columns of an open file seem to be; up to a hundred of its rows are used up by it.

    A guess goes by names alone and takes the first of several columns for one thing. The column of an external id is
    taken to come from the CRM, so its values get the type `crm`.
    """
    records = [record for record in islice(table.rows, _LOOKED_AT) if record.fault is None]
    names = table.columns or tuple(dict.fromkeys(name for record in records for name in record.cells))
    taken: set[str] = set()
    found = []
    for position, name in enumerate(names, start=1):
        target = TARGET_OF[of].get(_plain(name))
        if target and target.startswith("consents.") and target.removeprefix("consents.") not in consent_purposes:
            target = None
        if target in taken and target not in (*SEVERAL, DROP):
            target = None
        taken |= {target} if target else set()
        filled = sum(record.cells.get(name) not in (None, "") for record in records)
        found.append(GuessedColumn(position, name, target, filled))
    found = _one_way(found)
    return Guess(tuple(found), len(records), table.encoding, table.delimiter, of)


def _one_way(columns: list[GuessedColumn]) -> list[GuessedColumn]:
    """Items are told as a list or a row each, not both."""
    if not any(each.target == "items" for each in columns):
        return columns
    return [replace(each, target=None) if each.target in ITEM_FIELDS else each for each in columns]


def to_toml(mapping: ImportMapping) -> str:
    """The mapping as a TOML document, to be saved, read over and changed."""
    settings = {
        "unknown_columns": mapping.unknown_columns.value,
        "default_country": mapping.default_country,
        "date_format": mapping.date_format,
        "encoding": mapping.encoding,
        "delimiter": mapping.delimiter,
        "currency": mapping.currency,
        "timezone": mapping.timezone,
        "source": mapping.source,
    }
    if mapping.unknown_customers is not UnknownCustomers.REFUSE:
        settings["unknown_customers"] = mapping.unknown_customers.value
    lines = [f"{name} = {_quoted(value)}" for name, value in settings.items() if value is not None]
    lines += ["", "[columns]"]
    for rule in mapping.columns:
        trait_type = rule.trait_type.value if rule.part is not None else None
        options = {"to": rule.target, "type": trait_type or rule.id_type, "format": rule.date_format}
        options["country"] = rule.country
        given = {name: value for name, value in options.items() if value is not None}
        written = ", ".join(f"{name} = {_quoted(value)}" for name, value in given.items())
        lines.append(f"{_quoted(rule.column)} = {_quoted(rule.target) if len(given) == 1 else f'{{ {written} }}'}")
    return "\n".join(lines) + "\n"


def _plain(name: str) -> str:
    """A name without case, accents and everything but letters and digits; the last part of a dotted one."""
    spread = unicodedata.normalize("NFKD", name.rsplit(".", 1)[-1].casefold())
    return re.sub(r"[^a-z0-9]", "", spread)


def _quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0, "String")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in escaped) + '"'
