"""Bringing in what there is elsewhere: profiles, orders, tickets and events from files, checked row by row."""

from customers.collection.errors_file import errors_file_for
from customers.collection.guessing import Guess, GuessedColumn, guess, to_toml
from customers.collection.importer import import_rows
from customers.collection.mapping import (
    ColumnRule,
    ImportMapping,
    TraitType,
    UnknownColumns,
    UnknownCustomers,
    load_mapping,
    parse_mapping,
)
from customers.collection.model import (
    HELP,
    EventRow,
    Fault,
    ImportKind,
    ImportReport,
    OrderRow,
    ProfileRow,
    Progress,
    Result,
    RowFault,
    RowOutcome,
    RowWriter,
    TicketRow,
)
from customers.collection.reader import Format, Table, open_table

__all__ = [
    "HELP",
    "ColumnRule",
    "EventRow",
    "Fault",
    "Format",
    "Guess",
    "GuessedColumn",
    "ImportKind",
    "ImportMapping",
    "ImportReport",
    "OrderRow",
    "ProfileRow",
    "Progress",
    "Result",
    "RowFault",
    "RowOutcome",
    "RowWriter",
    "Table",
    "TicketRow",
    "TraitType",
    "UnknownColumns",
    "UnknownCustomers",
    "errors_file_for",
    "guess",
    "import_rows",
    "load_mapping",
    "open_table",
    "parse_mapping",
    "to_toml",
]
