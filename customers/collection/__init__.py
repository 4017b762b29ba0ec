"""Bringing customers in: profiles from files, checked row by row."""

from customers.collection.errors_file import errors_file_for
from customers.collection.guessing import Guess, GuessedColumn, guess, to_toml
from customers.collection.importer import import_profiles
from customers.collection.mapping import (
    ColumnRule,
    ImportMapping,
    TraitType,
    UnknownColumns,
    load_mapping,
    parse_mapping,
)
from customers.collection.model import (
    HELP,
    Fault,
    ImportReport,
    ProfileRow,
    ProfileWriter,
    Progress,
    Result,
    RowFault,
    RowOutcome,
)
from customers.collection.reader import Format, Table, open_table

__all__ = [
    "HELP",
    "ColumnRule",
    "Fault",
    "Format",
    "Guess",
    "GuessedColumn",
    "ImportMapping",
    "ImportReport",
    "ProfileRow",
    "ProfileWriter",
    "Progress",
    "Result",
    "RowFault",
    "RowOutcome",
    "Table",
    "TraitType",
    "UnknownColumns",
    "errors_file_for",
    "guess",
    "import_profiles",
    "load_mapping",
    "open_table",
    "parse_mapping",
    "to_toml",
]
