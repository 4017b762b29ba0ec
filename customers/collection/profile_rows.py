"""A row about a profile, read cell by cell. Pure."""

import re
from datetime import datetime
from typing import Any

from customers.collection.cells import boolean, country, day, language, text
from customers.collection.mapping import ColumnRule, ImportMapping
from customers.collection.model import Fault, ProfileRow, Raw
from customers.collection.records import Record
from customers.collection.row_reading import RowReading
from customers.collection.targets import NAME_FIELDS
from customers.errors import InputInvalidError
from customers.profiles.draft import checked
from customers.spelling import country_code


class ProfileReading(RowReading):
    """A row about a profile being read."""

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        super().__init__(mapping, country, now)
        self._values: dict[str, Any] = {}
        self._consents: dict[str, bool] = {}
        self._traits: dict[str, Any] = {}

    def finish(self) -> None:
        """Check the row as a whole, by the same rules as every other write to a profile."""
        if self._traits:
            self._values["traits"] = self._traits
        told = self._values.get("country")
        if told is not None:
            self._values["country"] = country_code(told)
        try:
            self._values = checked(self._values, self._now)
        except InputInvalidError as error:
            for name in sorted({problem.field for problem in error.problems}):
                self._fault(name, _FAULTS.get(name, Fault.INVALID_VALUE))
        if told is not None:
            self._values["country"] = told  # the writer brings it to its code, and keeps what came beside it
        self._need_identifier()

    def made(self, record: Record) -> ProfileRow:
        """The row."""
        return ProfileRow(record.number, record.line, self._values, tuple(self.identifiers), self._consents)

    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        target, part, values = rule.target, rule.part, self._values
        if rule.consent is not None:
            self._consents[rule.consent] = boolean(cell)
        elif part is not None:
            self._traits[part[1]] = self._typed(rule, cell)
        elif target == "notes":
            parts = cell if isinstance(cell, list) else [cell]
            values.setdefault("notes", []).extend(text(part).strip() for part in parts)
        elif target == "country":
            values[target] = country(cell)
        elif target == "birth_date":
            values[target] = day(text(cell), rule.date_format or self._mapping.date_format).isoformat()
        elif target == "language":
            values[target] = language(text(cell))
        elif target in NAME_FIELDS:
            values[target] = re.sub(r"[\s-]+", "_", text(cell).lower())
        else:
            values[target] = text(cell)


_FAULTS = {"birth_date": Fault.INVALID_DATE, "country": Fault.INVALID_COUNTRY}
