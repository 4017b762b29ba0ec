"""Reading CSV, JSON Lines and Parquet row by row, in bounded memory, without ever guessing what a broken row meant."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from io import SEEK_SET
from pathlib import Path

from customers.collection.csv_rows import csv_header, csv_rows, sniff_delimiter
from customers.collection.encoding import SAMPLE_BYTES, Lines, check_encoding, detect_encoding
from customers.collection.json_rows import json_rows
from customers.collection.model import ImportKind
from customers.collection.parquet_rows import ParquetRows
from customers.collection.records import MAX_ROW, Record
from customers.collection.targets import WHOLE
from customers.errors import ImportFileError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


class Format(StrEnum):
    """The kinds of files that can be imported."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Table:
    """An open file: its columns (None where each row names its own) and its rows.

    `rows` can be gone through once.
    """

    format: Format
    encoding: str
    delimiter: str | None
    columns: tuple[str, ...] | None
    rows: Iterator[Record]
    bytes_total: int
    _read: Callable[[], int]

    @property
    def bytes_read(self) -> int:
        """How much of the file has been read so far."""
        return self._read()


def file_format(path: Path, declared: str | None = None) -> Format:
    """The format that was declared, or that the name of the file says.

    Raises:
        ImportFileError: Neither says one that can be imported.
    """
    found = declared or _SUFFIXES.get(path.suffix.lower())
    if found not in set(Format):
        raise ImportFileError("say whether the file is csv, jsonl or parquet: its name does not end in one of these")
    return Format(found)


@contextmanager
def open_table(
    path: Path,
    *,
    as_format: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    of: ImportKind = ImportKind.PROFILES,
) -> Iterator[Table]:
    """Open a file for reading its rows; what is not declared is detected from the first 64 KiB.

    `of` is what it is full of, which says which objects in it stay whole.

    Raises:
        ImportFileError: The file cannot be opened or is empty, or what was declared is not known.
        HeaderInvalidError: A CSV file's first row cannot be a header.
    """
    kind = file_format(path, as_format)
    wanted = check_encoding(encoding) if encoding else None
    try:
        binary = path.open("rb", buffering=SAMPLE_BYTES)
    except OSError as error:
        raise ImportFileError(f"the file cannot be opened: {os.strerror(error.errno or 0)}") from None
    with binary:
        total = os.fstat(binary.fileno()).st_size
        if kind is Format.PARQUET:
            rows = ParquetRows(binary, WHOLE[of])
            yield Table(kind, "utf-8", None, None, iter(rows), total, lambda: total * rows.read // max(1, rows.count))
            return
        sample = binary.read(SAMPLE_BYTES)
        binary.seek(0, SEEK_SET)
        if not sample.strip():
            raise ImportFileError("the file is empty")
        name = wanted or detect_encoding(sample)
        lines = Lines(binary, name, MAX_ROW)
        if kind is Format.JSON_LINES:
            yield Table(kind, name, None, None, json_rows(lines, WHOLE[of]), total, binary.tell)
            return
        mark = delimiter or sniff_delimiter(sample.decode(name, errors="replace"))
        columns, feed = csv_header(lines, mark)
        yield Table(kind, name, mark, columns, csv_rows(feed, mark, columns), total, binary.tell)
