"""From cells to the values of a profile: each cell read as what its column becomes, each fault with its column."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from customers.collection.countries import COUNTRIES
from customers.collection.mapping import (
    IDENTIFIERS,
    SEVERAL,
    ColumnRule,
    ImportMapping,
    TraitType,
    UnknownColumns,
    column_key,
)
from customers.collection.model import Fault, ProfileRow, Raw, RowFault
from customers.collection.records import Record
from customers.errors import InputInvalidError
from customers.identity.model import Identifier, IdentifierType
from customers.profiles.draft import checked
from vault.errors import InvalidIdentifierError
from vault.normalise import normalise_anonymous_id, normalise_email, normalise_external_id, normalise_phone

_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?")
_LONGEST_NUMBER = 60
_YES = frozenset({"yes", "y", "true", "t", "1"})
_NO = frozenset({"no", "n", "false", "f", "0"})


class _CellError(Exception):
    """Why a cell cannot be read."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class RowReader:
    """Reads rows by a mapping; pure, and good for any number of rows.

    Args:
        mapping: What each column becomes.
        columns: The header of a CSV file, or None where each row names its columns.
        now: No date of birth is later than this.

    Raises:
        HeaderInvalidError: The file's columns do not fit the mapping.
    """

    def __init__(self, mapping: ImportMapping, columns: tuple[str, ...] | None, now: Callable[[], datetime]) -> None:
        self._mapping = mapping
        self._now = now
        self._positions = {name: position for position, name in enumerate(columns or (), start=1)}
        self._known = {column_key(rule.column): rule for rule in mapping.columns}
        bound = mapping.bind(columns) if columns else ()
        self._bound = {name: rule for name, rule in zip(columns or (), bound, strict=True) if rule}

    def read(self, record: Record) -> ProfileRow | tuple[RowFault, ...]:
        """The row, or everything that is wrong with it."""
        if record.fault:
            return (RowFault(record.number, record.line, record.fault, self._at(record.position)),)
        row = _Row(self._mapping, self._country(record), self._now())
        for name, cell in record.cells.items():
            try:
                rule = self._rule(name)
                if rule:
                    row.take(rule, cell)
            except _CellError as error:
                row.faults.append((self._shown(name), error.fault))
        row.finish()
        if row.faults:
            return tuple(RowFault(record.number, record.line, fault, column) for column, fault in row.faults)
        return ProfileRow(record.number, record.line, row.values, tuple(row.identifiers), row.consents)

    def _rule(self, name: str) -> ColumnRule | None:
        if self._positions:
            return self._bound.get(name)
        if rule := self._known.get(column_key(name)):
            return None if rule.target == "-" else rule
        if self._mapping.unknown_columns is UnknownColumns.REFUSE:
            raise _CellError(Fault.UNKNOWN_COLUMN)
        return self._mapping.rule_for_unknown(name)

    def _country(self, record: Record) -> str | None:
        """The country of this very row, in which a phone number that names none is taken to be."""
        for name, cell in record.cells.items():
            rule = self._bound.get(name) if self._positions else self._known.get(column_key(name))
            if rule and rule.target == "country" and isinstance(cell, str):
                code = cell.strip().upper()
                return code if code in COUNTRIES else None
        return None

    def _shown(self, name: str) -> str:
        """A column as an errors file may name it: as the mapping does, or by position; see `RowFault`."""
        if rule := self._known.get(column_key(name)):
            return rule.column
        return self._at(self._positions.get(name, 0))

    def _at(self, position: int) -> str:
        names = [name for name, at in self._positions.items() if at == position]
        if names and (rule := self._known.get(column_key(names[0]))):
            return rule.column
        return f"column {position}" if position else ""


class _Row:
    """A row being read."""

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        self.values: dict[str, Any] = {}
        self.identifiers: list[Identifier] = []
        self.consents: dict[str, bool] = {}
        self.faults: list[tuple[str, Fault]] = []
        self._traits: dict[str, Any] = {}
        self._mapping = mapping
        self._country = country or mapping.default_country
        self._now = now
        self._columns: dict[str, str] = {}

    def take(self, rule: ColumnRule, cell: Raw) -> None:
        """Add what one cell says; an empty one says nothing."""
        if isinstance(cell, str):
            cell = cell.strip()
        if cell is None or cell in ("", []):
            return
        if rule.target not in SEVERAL and rule.target in self._columns:
            raise _CellError(Fault.DUPLICATE_KEY)
        self._columns[rule.target] = rule.column
        if rule.consent is not None:
            self.consents[rule.consent] = _boolean(cell)
        elif rule.trait is not None:
            self._traits[rule.trait] = _trait(rule, cell, self._mapping)
        elif rule.target in IDENTIFIERS:
            self._identify(rule, _text(cell))
        else:
            self._fill(rule, cell)

    def finish(self) -> None:
        """Check the row as a whole, by the same rules as every other write to a profile."""
        if self._traits:
            self.values["traits"] = self._traits
        try:
            self.values = checked(self.values, self._now)
        except InputInvalidError as error:
            named = {problem.field for problem in error.problems}
            self.faults += [(self._columns.get(field, ""), _fault_of(field)) for field in sorted(named)]
        if not self.identifiers and not any(fault in _IDENTIFIER_FAULTS for _, fault in self.faults):
            self.faults.append(("", Fault.NO_IDENTIFIER))

    def _identify(self, rule: ColumnRule, text: str) -> None:
        kind = IdentifierType(rule.target)
        try:
            match kind:
                case IdentifierType.EMAIL:
                    value = normalise_email(text)
                case IdentifierType.PHONE:
                    value = normalise_phone(text, self._country if rule.country is None else rule.country)
                case IdentifierType.EXTERNAL_ID:
                    value = normalise_external_id(f"{rule.id_type}:{text}" if rule.id_type else text)
                case IdentifierType.ANONYMOUS_ID:
                    value = normalise_anonymous_id(text)
        except InvalidIdentifierError:
            raise _CellError(_IDENTIFIER_FAULT[kind]) from None
        if (found := Identifier(kind, value)) not in self.identifiers:
            self.identifiers.append(found)

    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        target = rule.target
        if target == "notes":
            parts = cell if isinstance(cell, list) else [cell]
            self.values.setdefault("notes", []).extend(_text(part).strip() for part in parts)
        elif target == "country":
            self.values[target] = _country(cell)
        elif target == "birth_date":
            self.values[target] = _date(_text(cell), rule.date_format or self._mapping.date_format).isoformat()
        elif target == "language":
            self.values[target] = _language(_text(cell))
        elif target in ("region", "loyalty_tier", "acquisition_channel"):
            self.values[target] = re.sub(r"[\s-]+", "_", _text(cell).lower())
        else:
            self.values[target] = _text(cell)


_IDENTIFIER_FAULT = {
    IdentifierType.EMAIL: Fault.INVALID_EMAIL,
    IdentifierType.PHONE: Fault.INVALID_PHONE,
    IdentifierType.EXTERNAL_ID: Fault.INVALID_EXTERNAL_ID,
    IdentifierType.ANONYMOUS_ID: Fault.INVALID_ANONYMOUS_ID,
}
_IDENTIFIER_FAULTS = frozenset(_IDENTIFIER_FAULT.values())


def _fault_of(field: str) -> Fault:
    return {"birth_date": Fault.INVALID_DATE, "country": Fault.INVALID_COUNTRY}.get(field, Fault.INVALID_VALUE)


def _text(cell: Raw) -> str:
    """Text as it is, and a whole number, which JSON files use for postal codes and ids, as its digits."""
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if not isinstance(cell, str):
        raise _CellError(Fault.INVALID_VALUE)
    return cell


def _country(cell: Raw) -> str:
    code = _text(cell).upper()
    if code not in COUNTRIES:
        raise _CellError(Fault.INVALID_COUNTRY)
    return code


def _language(text: str) -> str:
    """A BCP 47 tag in its usual case: `PT_br` gives `pt-BR`."""
    first, *rest = text.replace("_", "-").split("-")
    return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in rest)])  # noqa: PLR2004 - a country


def _date(text: str, declared: str | None) -> date:
    try:
        if declared:
            return datetime.strptime(text, declared).replace(tzinfo=UTC).date()
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _CellError(Fault.INVALID_DATE)


def _boolean(cell: Raw) -> bool:
    if isinstance(cell, bool):
        return cell
    word = str(cell).lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise _CellError(Fault.INVALID_BOOLEAN)


def _decimal(cell: Raw) -> Decimal:
    if isinstance(cell, bool) or not isinstance(cell, str | int | Decimal):
        raise _CellError(Fault.INVALID_NUMBER)
    try:
        text = cell if isinstance(cell, str) else str(cell)
        number = Decimal(text) if _NUMBER.fullmatch(text) or isinstance(cell, Decimal) else None
    except (InvalidOperation, ValueError):
        number = None
    # Before a number is written out: 1e999999999 is short, and a gigabyte long.
    if number is None or not number.is_finite() or abs(number.adjusted()) > _LONGEST_NUMBER:
        raise _CellError(Fault.INVALID_NUMBER)
    return number


def _trait(rule: ColumnRule, cell: Raw, mapping: ImportMapping) -> Any:
    """The trait's value as JSON has it; decimals stay text, so that no digit is lost."""
    match rule.trait_type:
        case TraitType.INTEGER:
            return _integer(cell)
        case TraitType.DECIMAL:
            return format(_decimal(cell), "f")
        case TraitType.BOOLEAN:
            return _boolean(cell)
        case TraitType.DATE:
            return _date(_text(cell), rule.date_format or mapping.date_format).isoformat()
        case TraitType.TEXT:
            return [_plain(part) for part in cell] if isinstance(cell, list) else _plain(cell)


def _integer(cell: Raw) -> int:
    number = _decimal(cell)
    if number != number.to_integral_value():
        raise _CellError(Fault.INVALID_NUMBER)
    return int(number)


def _plain(part: Any) -> Any:
    if isinstance(part, list | dict):
        raise _CellError(Fault.INVALID_VALUE)
    return format(_decimal(part), "f") if isinstance(part, Decimal) else part
