"""Rows about orders, read cell by cell, and those of one order put together. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from customers.collection.cells import CellError, text
from customers.collection.counted_rows import CountedReading
from customers.collection.mapping import ColumnRule, ImportMapping
from customers.collection.model import Fault, OrderRow, Raw, Row, RowFault
from customers.collection.money import is_currency, minor_units
from customers.collection.order_items import Item, listed, name, quantity, stored
from customers.collection.order_units import order_units
from customers.collection.records import Record
from customers.collection.targets import ITEM_FIELDS
from customers.collection.validation import RowReader
from customers.identity.model import Identifier

_UNPAID: Final = frozenset({"refunded", "cancelled", "canceled"})
_MONEY: Final = ("total", "refunded", "item.price")


@dataclass(frozen=True, slots=True)
class _Line:
    """What one row says of an order.

    Attributes:
        record: The row.
        values: Of the whole order, by target.
        money: Amounts as they stand there, by target: what they come to depends on the order's currency.
        items: What was bought, by this row.
        extra: What nobody has classified.
        columns: Which column each target came from.
    """

    record: Record
    identifiers: tuple[Identifier, ...]
    values: dict[str, Any]
    money: dict[str, Raw]
    items: tuple[Item, ...]
    extra: dict[str, Any]
    columns: dict[str, str]


class _LineReading(CountedReading):
    """A row about an order being read."""

    number_target = "order_number"
    short_fields = frozenset({"status"})

    def __init__(self, mapping: ImportMapping, country: str | None, now: datetime) -> None:
        super().__init__(mapping, country, now)
        self._money: dict[str, Raw] = {}
        self._item: dict[str, Any] = {}
        self._listed: tuple[Item, ...] = ()

    def finish(self) -> None:
        """Check the row by itself; the order may have others."""
        if not self.faults:
            self._need("order_number")
        self._check_extra()
        if self._item or "item.price" in self._money:
            self._listed = (Item(**self._item, price=self._money.pop("item.price", None)),)

    def made(self, record: Record) -> _Line:
        """What the row says."""
        return _Line(
            record, tuple(self.identifiers), self.values, self._money, self._listed, self.extra, self._columns
        )

    def _fill(self, rule: ColumnRule, cell: Raw) -> None:
        match rule.target:
            case "currency":
                code = text(cell).upper()
                if not is_currency(code):
                    raise CellError(Fault.INVALID_CURRENCY)
                self.values["currency"] = code
            case target if target in _MONEY:
                self._money[target] = cell
            case "item.quantity":
                self._item["quantity"] = quantity(cell)
            case "item.sku" | "item.title":
                self._item[rule.target.removeprefix("item.")] = name(cell)
            case "items":
                self._listed = listed(cell)
            case "payment_last4":
                digits = text(cell)
                if not (len(digits) == 4 and digits.isascii() and digits.isdigit()):  # noqa: PLR2004 - the last four
                    raise CellError(Fault.INVALID_VALUE)
                self.values["payment_last4"] = digits
            case _:
                super()._fill(rule, cell)


class OrderReader(RowReader):
    """Reads rows about orders by a mapping; rows next to each other with the same order number are one order."""

    _reading = _LineReading

    def units(self, records: Iterable[Record]) -> Iterator[tuple[Record, ...]]:
        """The rows of each order, in the order of the file."""
        several = any(rule.target in ITEM_FIELDS for rule in self._mapping.columns)
        return order_units(records, self._number, several=several)

    def read(self, unit: Sequence[Record]) -> Row | tuple[RowFault, ...]:
        """The order, or everything that is wrong with its rows: none of them is written then, and each is told of."""
        lines: list[_Line] = []
        faults: list[RowFault] = []
        for record in unit:
            read = self.one(record)
            if isinstance(read, _Line):
                lines.append(read)
            else:
                faults += read
        if not faults:
            order = _Order(lines, self._mapping)
            made = order.made()
            if not order.faults:
                return made
            faults = order.faults
        told = {fault.number for fault in faults}
        rest = [each for each in unit if each.number not in told]
        return (*faults, *(RowFault(each.number, each.line, Fault.LINE_REFUSED) for each in rest))

    def _number(self, record: Record) -> str | None:
        for column, cell in record.cells.items():
            rule = self.named(column)
            if rule is not None and rule.target == "order_number":
                found = str(cell).strip() if isinstance(cell, str | int) else ""
                return found or None
        return None


class _Order:
    """Puts the rows of an order together."""

    def __init__(self, lines: Sequence[_Line], mapping: ImportMapping) -> None:
        self.faults: list[RowFault] = []
        self._lines = lines
        self._mapping = mapping

    def made(self) -> OrderRow:
        """The order; what is wrong with it is in `faults`."""
        first = self._lines[0].record
        values = self._agreed()
        currency = values.setdefault("currency", self._mapping.currency)
        money = self._amounts(currency)
        items, names, sum_of_items = self._items(currency)
        identifiers = tuple(dict.fromkeys(each for line in self._lines for each in line.identifiers))
        total = money.get("total", sum_of_items)
        for target, there in (("placed_at", values.get("placed_at")), ("currency", currency), ("total", total)):
            if there is None:
                self._miss(target)
        if not identifiers:
            self.faults.append(RowFault(first.number, first.line, Fault.NO_IDENTIFIER))
        refunded = money.get("refunded")
        if refunded is None and values.get("status") in _UNPAID:
            refunded = total
        if refunded is not None and total is not None and refunded > total:
            self._blame(self._lines[0], "refunded", Fault.INVALID_AMOUNT)
        values |= {"total": total} if total is not None else {}
        values |= {"items": items, "units": sum(each["quantity"] for each in items)} if items else {}
        extra = {**self._extra(), **names}
        values |= {"extra": extra} if extra else {}
        number, at = values.pop("order_number"), values.pop("updated_at", None)
        lines = tuple((line.record.number, line.record.line) for line in self._lines)
        return OrderRow(lines, number, identifiers, values, refunded, at)

    def _agreed(self) -> dict[str, Any]:
        """What the rows say of the whole order; where two say different things, the later one is at fault."""
        found: dict[str, Any] = {}
        for line in self._lines:
            for target, value in line.values.items():
                if found.setdefault(target, value) != value:
                    self._blame(line, target, Fault.LINES_DISAGREE)
        return found

    def _amounts(self, currency: str | None) -> dict[str, int]:
        found: dict[str, int] = {}
        for line in self._lines:
            for target, cell in line.money.items():
                try:
                    amount = minor_units(cell, currency)
                except CellError as error:
                    self._blame(line, target, error.fault)
                    continue
                if found.setdefault(target, amount) != amount:
                    self._blame(line, target, Fault.LINES_DISAGREE)
        return found

    def _items(self, currency: str | None) -> tuple[list[dict[str, Any]], dict[str, Any], int | None]:
        """The items, what of them would be somebody's data in clear, and what they cost if all say so."""
        items: list[dict[str, Any]] = []
        names: dict[str, Any] = {}
        sums: list[int | None] = []
        for line in self._lines:
            for item in line.items:
                try:
                    kept, personal, price = stored(item, currency)
                except CellError as error:
                    self._blame(line, "items" if "items" in line.columns else "item.price", error.fault)
                    continue
                items.append(kept)
                names |= {f"item_{len(items)}_{part}": value for part, value in personal.items()}
                sums.append(None if price is None else price * item.quantity)
        if not sums or None in sums:
            return items, names, None
        return items, names, sum(each for each in sums if each is not None)

    def _extra(self) -> dict[str, Any]:
        """What nobody has classified; what the rows tell differently, as a list with one for each of them."""
        found: dict[str, Any] = {}
        for key in dict.fromkeys(key for line in self._lines for key in line.extra):
            told = [line.extra.get(key) for line in self._lines]
            same = all(each == told[0] for each in told)
            found[key] = told[0] if same else told
        return found

    def _miss(self, target: str) -> None:
        if not any(fault.fault is not Fault.LINES_DISAGREE for fault in self.faults):
            rule = next((each for each in self._mapping.columns if each.target == target), None)
            record = self._lines[0].record
            column = "" if rule is None else rule.column
            self.faults.append(RowFault(record.number, record.line, Fault.MISSING_VALUE, column))

    def _blame(self, line: _Line, target: str, fault: Fault) -> None:
        self.faults.append(RowFault(line.record.number, line.record.line, fault, line.columns.get(target, "")))
