"""A row about a ticket, read cell by cell. Pure."""

from customers.collection.counted_rows import CountedReading
from customers.collection.model import Fault, TicketRow
from customers.collection.records import Record
from customers.collection.validation import RowReader


class TicketReading(CountedReading):
    """A row about a ticket being read."""

    number_target = "ticket_number"
    short_fields = frozenset({"status", "channel", "topic"})

    def finish(self) -> None:
        """Check the row as a whole."""
        if not self.faults:
            self._need("ticket_number", "opened_at")
        opened, closed = self.values.get("opened_at"), self.values.get("closed_at")
        if opened and closed and closed < opened:
            self._fault("closed_at", Fault.INVALID_DATE)
        self._check_extra()
        self._need_identifier()

    def made(self, record: Record) -> TicketRow:
        """The row."""
        values = {**self.values, **({"extra": self.extra} if self.extra else {})}
        number, at = values.pop("ticket_number"), values.pop("updated_at", None)
        return TicketRow(record.number, record.line, number, tuple(self.identifiers), values, at)


class TicketReader(RowReader):
    """Reads rows about tickets by a mapping."""

    _reading = TicketReading
