"""Values out of a file with one row for each key: postal codes with their region, e-mail domains with their sector.

The table is read once, when it is opened, into a private file of SQLite's own that has no name and is gone with the
process; so memory is bounded, however long the table is. Nothing leaves this machine.
"""

import asyncio
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from customers.collection.reader import Table, open_table
from customers.enrichment.errors import ProviderUnusableError
from customers.enrichment.provider import Before, Key, Value
from customers.errors import ImportFileError

_CACHE_KIB: Final = 8 * 1024
_ROWS_AT_ONCE: Final = 1_000
_TWICE: Final = b""
"""What stands for a key of which the table says two different things."""


def normal(value: str) -> str:
    """A key as it is compared: without regard to case, or to spaces around and inside."""
    return "".join(value.split()).casefold()


class CsvTableProvider:
    """Looks up in a table; its file is CSV, or what else can be imported."""

    recipient: str | None = None
    at_once: int = 50

    def __init__(self, path: Path, *, key: Sequence[str], wanted: Sequence[str], exact: Collection[str] = ()) -> None:
        """Read nothing yet.

        Args:
            path: The file.
            key: The columns that a row is found by, in the order of the keys.
            wanted: The columns to give.
            exact: Those of the key that must match to the letter, as numbers that identify somebody must.
        """
        self._path = path
        self._key = tuple(key)
        self._wanted = tuple(wanted)
        self._exact = frozenset(exact)
        self._table: sqlite3.Connection | None = None
        self.rows = 0
        """How many rows can be found."""
        self.doubtful = 0
        """How many keys cannot, because rows that have them disagree."""

    async def __aenter__(self) -> Self:
        """Read the table.

        Raises:
            ProviderUnusableError: It cannot be read, or lacks a column.
        """
        self._table = await asyncio.to_thread(self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; its file is gone with that."""
        if self._table is not None:
            self._table.close()
            self._table = None

    async def look_up(self, key: Key, *, before: Before) -> Mapping[str, Value] | None:
        """The row of a key; see `Provider`."""
        del before  # nothing is sent
        if self._table is None:
            raise TypeError("a table is open while it is used")
        if tuple(name for name, _ in key) != self._key:
            raise TypeError("a table is asked by the columns it was opened with")
        found = self._table.execute(
            "SELECT held FROM rows WHERE key = ?", ("\x1f".join(self._normal(name, value) for name, value in key),)
        )
        row = found.fetchone()
        if row is None or row[0] == _TWICE:
            return None
        held = msgspec.msgpack.decode(row[0], type=list[str])
        return {name: value for name, value in zip(self._wanted, held, strict=True) if value}

    def _read(self) -> sqlite3.Connection:
        # An empty name is a private file that SQLite removes as soon as it has opened it, and uses once its cache is full.
        # Read in a thread and asked in the loop's, one after the other and never at once.
        table = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        try:
            table.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            table.execute("CREATE TABLE rows (key TEXT PRIMARY KEY, held BLOB NOT NULL) WITHOUT ROWID")
            with open_table(self._path) as file:
                self._check(file)
                pairs = self._pairs(file)
                table.execute("BEGIN")
                while some := list(islice(pairs, _ROWS_AT_ONCE)):
                    table.executemany(
                        "INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
                        " SET held = CASE WHEN held = excluded.held THEN held ELSE x'' END",
                        some,
                    )
                table.execute("COMMIT")
            ((self.rows, doubtful),) = table.execute("SELECT count(*), sum(held = x'') FROM rows").fetchall()
            self.doubtful = doubtful or 0
            self.rows -= self.doubtful
        except ImportFileError as error:
            table.close()
            raise ProviderUnusableError(f"the table cannot be read: {error}") from None
        except BaseException:
            table.close()
            raise
        if not self.rows:
            table.close()
            raise ProviderUnusableError("the table has no row with a key")
        return table

    def _normal(self, name: str, value: str) -> str:
        return value.strip() if name in self._exact else normal(value)

    def _check(self, file: Table) -> None:
        missing = (
            [] if file.columns is None else [each for each in (*self._key, *self._wanted) if each not in file.columns]
        )
        if missing:
            raise ProviderUnusableError("the table lacks a column that the enrichment names")

    def _pairs(self, file: Table) -> Iterator[tuple[str, bytes]]:
        """Each row with a whole key, ready to be kept; rows with a fault are left out."""
        for record in file.rows:
            if record.fault is not None:
                continue
            parts = [self._normal(name, _text(record.cells.get(name))) for name in self._key]
            if all(parts):
                held = [_text(record.cells.get(name)).strip() for name in self._wanted]
                yield "\x1f".join(parts), msgspec.msgpack.encode(held)


def _text(value: object) -> str:
    return "" if value is None else str(value)
