"""What an import is made of: rows, faults, outcomes and the report. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from customers.identity.model import Identifier

# A cell as it was read: text from CSV, any JSON scalar or list from JSON Lines.
Raw = str | int | bool | Decimal | list[Any] | None


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
    # Found by the writer, once the row meets what is stored.
    IDENTIFIER_TAKEN = "IDENTIFIER_TAKEN"
    CONFLICT = "CONFLICT"
    REFUSED = "REFUSED"


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
    Fault.INVALID_COUNTRY: "not an ISO 3166-1 code of two letters",
    Fault.INVALID_NUMBER: "not a number with a point for decimals and no thousands mark",
    Fault.INVALID_BOOLEAN: "not yes or no, true or false, 1 or 0",
    Fault.INVALID_VALUE: "not a value that this field can hold",
    Fault.IDENTIFIER_TAKEN: "its identifiers belong to different customers",
    Fault.CONFLICT: "the profile changed while the row was being written; import the row again",
    Fault.REFUSED: "the profile may not be written",
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


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A row that was understood: checked values by profile field, identifiers, and consents by purpose.

    A field without a value in the file is absent: an import adds and changes, and never clears.
    """

    number: int
    line: int
    values: Mapping[str, Any]
    identifiers: tuple[Identifier, ...]
    consents: Mapping[str, bool]


class Result(StrEnum):
    """What became of a row."""

    CREATED = "created"
    UPDATED = "updated"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What the writer did with one row; `fault` and perhaps the `field` at fault say why it was rejected."""

    result: Result
    fault: Fault | None = None
    field: str = ""


class ProfileWriter(Protocol):
    """Writes rows to profiles."""

    async def write(self, rows: Sequence[ProfileRow]) -> Sequence[RowOutcome]:
        """Write each row wholly or not at all, and say what became of each, in their order.

        Writing a row again must do no harm: a run that was cut off is resumed from the batch it did not finish.
        """


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import has come; bytes are of the file, and grow in steps."""

    rows: int
    created: int
    updated: int
    rejected: int
    bytes_read: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    `rows` counts the rows that were looked at, without blank lines and those before `resume_from`; `accepted` those
    without a fault, which a dry run would write. `by_reason` counts faults, of which a row may have several.
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
