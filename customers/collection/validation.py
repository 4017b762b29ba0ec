"""From rows to what they say, by a mapping: each fault with its column."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from customers.collection.cells import CellError
from customers.collection.mapping import ColumnRule, ImportMapping, UnknownColumns, column_key
from customers.collection.model import Fault, Row, RowFault
from customers.collection.profile_rows import ProfileReading
from customers.collection.records import Record
from customers.collection.row_reading import RowReading
from customers.spelling import country_code


class RowReader:
    """Reads rows by a mapping; pure, and good for any number of rows. This one reads profiles.

    Args:
        mapping: What each column becomes.
        columns: The header of a CSV file, or None where each row names its columns.
        now: No date of birth is later than this.

    Raises:
        HeaderInvalidError: The file's columns do not fit the mapping.
    """

    _reading: type[RowReading] = ProfileReading

    def __init__(self, mapping: ImportMapping, columns: tuple[str, ...] | None, now: Callable[[], datetime]) -> None:
        self._mapping = mapping
        self._now = now
        self._positions = {name: position for position, name in enumerate(columns or (), start=1)}
        self._known = {column_key(rule.column): rule for rule in mapping.columns}
        bound = mapping.bind(columns) if columns else ()
        self._tells_country = any(rule.target == "country" for rule in mapping.columns)
        self._bound = {name: rule for name, rule in zip(columns or (), bound, strict=True) if rule}

    def units(self, records: Iterator[Record]) -> Iterator[tuple[Record, ...]]:
        """The rows that belong together, in the order of the file: each by itself."""
        for record in records:
            yield (record,)

    def read(self, unit: Sequence[Record]) -> Row | tuple[RowFault, ...]:
        """The row, or everything that is wrong with it."""
        (record,) = unit
        read: Row | tuple[RowFault, ...] = self.one(record)
        return read

    def one(self, record: Record) -> Any:
        """What a single row says, or everything that is wrong with it."""
        if record.fault:
            return (RowFault(record.number, record.line, record.fault, self._at(record.position)),)
        row = self._reading(self._mapping, self._country(record), self._now())
        for name, cell in record.cells.items():
            try:
                rule = self.rule_of(name)
                if rule:
                    row.take(rule, cell)
            except CellError as error:
                row.faults.append((self._shown(name), error.fault))
        row.finish()
        if row.faults:
            return tuple(RowFault(record.number, record.line, fault, column) for column, fault in row.faults)
        return row.made(record)

    def rule_of(self, name: str) -> ColumnRule | None:
        """What the mapping says of a column, or would by its setting for those it does not name; None to leave it out.

        Raises:
            CellError: It says that there must be none.
        """
        if self._positions:
            return self._bound.get(name)
        if rule := self._known.get(column_key(name)):
            return None if rule.target == "-" else rule
        if self._mapping.unknown_columns is UnknownColumns.REFUSE:
            raise CellError(Fault.UNKNOWN_COLUMN)
        return self._mapping.rule_for_unknown(name)

    def named(self, name: str) -> ColumnRule | None:
        """What the mapping itself says of a column."""
        return self._bound.get(name) if self._positions else self._known.get(column_key(name))

    def _country(self, record: Record) -> str | None:
        """The country of this very row, in which a phone number that names none is taken to be."""
        if not self._tells_country:
            return None
        for name, cell in record.cells.items():
            rule = self.named(name)
            if rule and rule.target == "country" and isinstance(cell, str):
                return country_code(cell)
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
