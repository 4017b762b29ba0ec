"""What an import is made of: rows, faults, outcomes and the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from customers.identity.model import Identifier

# A cell as it was read: text from CSV, any JSON scalar or list from JSON Lines.
# An object stands whole only where a target takes one (`targets.WHOLE`).
Raw = str | int | bool | Decimal | list[Any] | dict[str, Any] | None


class ImportKind(StrEnum):
    """What a file is full of."""

    PROFILES = "profiles"
    ORDERS = "orders"
    TICKETS = "tickets"
    EVENTS = "events"


class Fault(StrEnum):
    """Why a row cannot be imported; the values are what the errors file says."""

    COLUMN_COUNT = "COLUMN_COUNT"
    BAD_QUOTING = "BAD_QUOTING"
    ROW_TOO_LONG = "ROW_TOO_LONG"
    FIELD_TOO_LONG = "FIELD_TOO_LONG"
    BAD_ENCODING = "BAD_ENCODING"
    NUL_CHARACTER = "NUL_CHARACTER"
    NOT_JSON = "NOT_JSON"
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    NO_IDENTIFIER = "NO_IDENTIFIER"
    INVALID_EMAIL = "INVALID_EMAIL"
    INVALID_PHONE = "INVALID_PHONE"
    INVALID_EXTERNAL_ID = "INVALID_EXTERNAL_ID"
    INVALID_ANONYMOUS_ID = "INVALID_ANONYMOUS_ID"
    INVALID_DATE = "INVALID_DATE"
    INVALID_COUNTRY = "INVALID_COUNTRY"
    INVALID_NUMBER = "INVALID_NUMBER"
    INVALID_BOOLEAN = "INVALID_BOOLEAN"
    INVALID_VALUE = "INVALID_VALUE"
    MISSING_VALUE = "MISSING_VALUE"
    INVALID_AMOUNT = "INVALID_AMOUNT"
    NEGATIVE_AMOUNT = "NEGATIVE_AMOUNT"
    TOO_MANY_DECIMALS = "TOO_MANY_DECIMALS"
    INVALID_CURRENCY = "INVALID_CURRENCY"
    INVALID_QUANTITY = "INVALID_QUANTITY"
    INVALID_ITEMS = "INVALID_ITEMS"
    PERSONAL_DATA = "PERSONAL_DATA"
    # What is said in several rows.
    LINES_DISAGREE = "LINES_DISAGREE"
    LINE_REFUSED = "LINE_REFUSED"
    TOO_MANY_LINES = "TOO_MANY_LINES"
    # Found by the writer, once the row meets what is stored.
    IDENTIFIER_TAKEN = "IDENTIFIER_TAKEN"
    CONFLICT = "CONFLICT"
    REFUSED = "REFUSED"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    NUMBER_TAKEN = "NUMBER_TAKEN"
    NUMBER_REPEATED = "NUMBER_REPEATED"
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    EVENT_BLOCKED = "EVENT_BLOCKED"


HELP: Mapping[Fault, str] = {
    Fault.COLUMN_COUNT: "the row has more or fewer cells than the header",
    Fault.BAD_QUOTING: "a quote is not closed, or stands inside a cell that is not quoted; write a quote as two",
    Fault.ROW_TOO_LONG: "the row is longer than an import accepts, or a quote was never closed",
    Fault.FIELD_TOO_LONG: "the cell is longer than an import accepts",
    Fault.BAD_ENCODING: "some characters are not in the declared encoding",
    Fault.NUL_CHARACTER: "the row holds a NUL character",
    Fault.NOT_JSON: "the line is not JSON",
    Fault.NOT_AN_OBJECT: "the line is JSON but not an object of named values",
    Fault.DUPLICATE_KEY: "a key stands twice in the object",
    Fault.UNKNOWN_COLUMN: "a key is not in the mapping; add it, or set unknown_columns to drop or traits",
    Fault.NO_IDENTIFIER: "the row has no identifier",
    Fault.INVALID_EMAIL: "not an e-mail address",
    Fault.INVALID_PHONE: "not a phone number; without a country code, default_country must be set",
    Fault.INVALID_EXTERNAL_ID: "not an external id of the form type:value",
    Fault.INVALID_ANONYMOUS_ID: "not an anonymous id: too long, or with a character nobody can see",
    Fault.INVALID_DATE: "not a date in the declared format, or out of range",
    Fault.INVALID_COUNTRY: "neither a country's ISO 3166-1 code of two letters nor its name",
    Fault.INVALID_NUMBER: "not a number with a point for decimals and no thousands mark",
    Fault.INVALID_BOOLEAN: "not yes or no, true or false, 1 or 0",
    Fault.INVALID_VALUE: "not a value that this field can hold",
    Fault.MISSING_VALUE: "a cell is empty that every row needs",
    Fault.INVALID_AMOUNT: "not an amount of money: digits, with a point for decimals and no thousands mark",
    Fault.NEGATIVE_AMOUNT: "an amount below zero; what was paid back has a column of its own, refunded",
    Fault.TOO_MANY_DECIMALS: "an amount with more decimals than its currency has, or than are kept",
    Fault.INVALID_CURRENCY: "not a currency: three letters as in ISO 4217; or say currency in the mapping",
    Fault.INVALID_QUANTITY: "not a whole number from 1 to a million; goods that came back are a refund",
    Fault.INVALID_ITEMS: "not a list of items as JSON: objects with sku, title, quantity and price, at most 500",
    Fault.PERSONAL_DATA: "looks like somebody's address or number, and would stand in clear",
    Fault.LINES_DISAGREE: "the rows of one order say different things of it",
    Fault.LINE_REFUSED: "another row of the same order has a fault, or one beside it cannot be read",
    Fault.TOO_MANY_LINES: "more than 500 rows next to each other have the same order number",
    Fault.IDENTIFIER_TAKEN: "its identifiers belong to different customers",
    Fault.CONFLICT: "the profile changed while the row was being written; import the row again",
    Fault.REFUSED: "the profile may not be written",
    Fault.UNKNOWN_CUSTOMER: "nobody has these identifiers; import the profile first, or set unknown_customers",
    Fault.NUMBER_TAKEN: "another customer has an order or ticket of this number",
    Fault.NUMBER_REPEATED: "the number stands elsewhere in the file, with other values; put its rows together",
    Fault.EVENT_TOO_LARGE: "the event is larger than 32 KiB, or nested too deep",
    Fault.EVENT_BLOCKED: "the tracking plan of the source does not let the event in",
}


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing that is wrong with one row: where, and why; never the value.

    Rows are numbered as a spreadsheet does: the header of a CSV file is row 1. `line` is where the row begins in the
    file, which differs once a quoted cell holds a line break. `column` is the name that the mapping knows it by, or
    its position where the mapping does not, for an unknown name may itself be somebody's data.
    """

    number: int
    line: int
    fault: Fault
    column: str = ""


class Row(Protocol):
    """A row that was understood, or several that are about one thing."""

    @property
    def number(self) -> int:
        """Its number, or that of the first."""

    @property
    def lines(self) -> tuple[tuple[int, int], ...]:
        """The number of each, and the line it begins on."""


class OneLine:
    """What one row says."""

    __slots__ = ()
    number: int
    line: int

    @property
    def lines(self) -> tuple[tuple[int, int], ...]:
        """As `Row.lines`."""
        return ((self.number, self.line),)


@dataclass(frozen=True, slots=True)
class ProfileRow(OneLine):
    """A row that was understood: checked values by profile field, identifiers, and consents by purpose.

    A field without a value in the file is absent: an import adds and changes, and never clears.
    """

    number: int
    line: int
    values: Mapping[str, Any]
    identifiers: tuple[Identifier, ...]
    consents: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order that was understood, out of one row or several.

    Attributes:
        lines: As `Row.lines`.
        number_of: What the shop calls it.
        identifiers: Whose it is.
        values: By the names of the catalogue's `order` fields, without the id.
        refunded: What was paid back of it, in minor units; None where the file does not say.
        at: Of when all this is; None where the file does not say.
    """

    lines: tuple[tuple[int, int], ...]
    number_of: str
    identifiers: tuple[Identifier, ...]
    values: Mapping[str, Any]
    refunded: int | None
    at: datetime | None

    @property
    def number(self) -> int:
        """As `Row.number`."""
        return self.lines[0][0]


@dataclass(frozen=True, slots=True)
class TicketRow(OneLine):
    """A ticket that was understood: as `OrderRow`."""

    number: int
    line: int
    number_of: str
    identifiers: tuple[Identifier, ...]
    values: Mapping[str, Any]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class EventRow(OneLine):
    """An event that was understood, as a sender would have sent it."""

    number: int
    line: int
    event: Mapping[str, Any]


class Result(StrEnum):
    """What became of a row."""

    CREATED = "created"
    UPDATED = "updated"
    # It was there already, just so.
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What the writer did with one row; `fault` and perhaps the `field` at fault say why it was rejected."""

    result: Result
    fault: Fault | None = None
    field: str = ""


class RowWriter(Protocol):
    """Writes rows to where they belong."""

    async def write(self, rows: Sequence[Any]) -> Sequence[RowOutcome]:
        """Write each row wholly or not at all, and say what became of each, in their order.

        Writing a row again must do no harm: a run that was cut off is resumed from the batch it did not finish.
        """


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come; bytes are of the file, and grow in steps."""

    rows: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    `rows` counts the rows that were looked at, without blank lines and those before `resume_from`; `accepted` those
    without a fault, which a dry run would write. `by_reason` counts faults, of which a row may have several. What was
    created, updated, or there already, is profiles, orders, tickets or events; an order may be several rows.
    """

    rows: int
    accepted: int
    created: int
    updated: int
    rejected: int
    by_reason: Mapping[Fault, int]
    errors_file: Path | None
    encoding: str
    dry_run: bool
    unchanged: int = 0
