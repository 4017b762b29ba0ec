"""A row being read, cell by cell, whatever it is about: what of it every kind of file has in common."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Final

from customers.collection.cells import CellError, boolean, day, decimal, integer, moment, plain, text
from customers.collection.mapping import ColumnRule, ImportMapping, TraitType
from customers.collection.model import Fault, Raw
from customers.collection.records import Record
from customers.collection.targets import IDENTIFIERS, SEVERAL
from customers.identity.model import Identifier, IdentifierType
from vault.errors import InvalidIdentifierError
from vault.normalise import normalise_anonymous_id, normalise_email, normalise_external_id, normalise_phone

_FAULTS: Final = {
    IdentifierType.EMAIL: Fault.INVALID_EMAIL,
    IdentifierType.PHONE: Fault.INVALID_PHONE,
    IdentifierType.EXTERNAL_ID: Fault.INVALID_EXTERNAL_ID,
    IdentifierType.ANONYMOUS_ID: Fault.INVALID_ANONYMOUS_ID,
}


class RowReading(ABC):
    """One row; `take` its cells, `finish`, and where there are no `faults`, see what is `made` of it."""

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        self.faults: list[tuple[str, Fault]] = []
        self.identifiers: list[Identifier] = []
        self._mapping = mapping
        self._country = country or mapping.default_country
        self._now = now
        self._columns: dict[str, str] = {}

    def take(self, rule: ColumnRule, cell: Raw) -> None:
        """Add what one cell says; an empty one says nothing."""
        if isinstance(cell, str):
            cell = cell.strip()
        if cell is None or cell in ("", [], {}):
            return
        if rule.target not in SEVERAL and rule.target in self._columns:
            raise CellError(Fault.DUPLICATE_KEY)
        self._columns[rule.target] = rule.column
        if rule.target in IDENTIFIERS and self._identifying:
            self._identify(rule, text(cell))
        else:
            self._fill(rule, cell)

    _identifying = True

    @abstractmethod
    def finish(self) -> None:
        """Check the row as a whole; what is wrong is added to `faults`."""

    @abstractmethod
    def made(self, record: Record) -> Any:
        """What the row says."""

    @abstractmethod
    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        """Add what a cell says that is no identifier."""

    def _fault(self, target: str, fault: Fault) -> None:
        """Note what is wrong with what a column became."""
        self.faults.append((self._columns.get(target, ""), fault))

    def _need(self, *targets: str) -> None:
        """Note which of these are empty, unless something else is wrong with them."""
        for target in targets:
            if target not in self._columns:
                rule = next((each for each in self._mapping.columns if each.target == target), None)
                self.faults.append(("" if rule is None else rule.column, Fault.MISSING_VALUE))

    def _need_identifier(self) -> None:
        if not self.identifiers and not any(fault in _FAULTS.values() for _, fault in self.faults):
            self.faults.append(("", Fault.NO_IDENTIFIER))

    def _identify(self, rule: ColumnRule, told: str) -> None:
        kind = IdentifierType(rule.target)
        try:
            match kind:
                case IdentifierType.EMAIL:
                    value = normalise_email(told)
                case IdentifierType.PHONE:
                    value = normalise_phone(told, self._country if rule.country is None else rule.country)
                case IdentifierType.EXTERNAL_ID:
                    value = normalise_external_id(f"{rule.id_type}:{told}" if rule.id_type else told)
                case IdentifierType.ANONYMOUS_ID:
                    value = normalise_anonymous_id(told)
        except InvalidIdentifierError:
            raise CellError(_FAULTS[kind]) from None
        if (found := Identifier(kind, value)) not in self.identifiers:
            self.identifiers.append(found)

    def _moment(self, rule: ColumnRule, cell: Raw) -> datetime:
        declared = rule.date_format or self._mapping.date_format
        return moment(text(cell), declared, self._mapping.timezone, self._now)

    def _typed(self, rule: ColumnRule, cell: Raw) -> Any:
        """The value of a part of an object as JSON has it; decimals stay text, so that no digit is lost."""
        match rule.trait_type:
            case TraitType.INTEGER:
                return integer(cell)
            case TraitType.DECIMAL:
                return format(decimal(cell), "f")
            case TraitType.BOOLEAN:
                return boolean(cell)
            case TraitType.DATE:
                return day(text(cell), rule.date_format or self._mapping.date_format).isoformat()
            case TraitType.TEXT:
                return [plain(part) for part in cell] if isinstance(cell, list) else plain(cell)
