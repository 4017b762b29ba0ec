"""Rows of a Parquet file, read a thousand at a time, with the types that a file of text would have given them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, BinaryIO

from customers.collection.flattening import RowRefusedError, flattened
from customers.collection.model import Fault
from customers.collection.records import Record
from customers.errors import ImportFileError

_AT_ONCE = 1000
# Pages of one group of rows are unpacked together; a small file can hold a very large one.
_MOST_IN_A_GROUP = 512 * 1024 * 1024


class ParquetRows:
    """The rows of an open file; which part of them has been read."""

    def __init__(self, binary: BinaryIO, whole: frozenset[str] = frozenset()) -> None:
        """Only the file's footer is read; objects of columns in `whole` will stay whole.

        Raises:
            ImportFileError: It is not a Parquet file, cannot be read in bounded memory, or the reader is not installed.
        """
        try:
            from pyarrow import ArrowException, parquet  # noqa: PLC0415 - an optional extra, and a large one
        except ImportError as error:
            raise ImportFileError(
                "reading Parquet takes the extra `parquet`: install it, or convert to CSV"
            ) from error
        self._broken = (ArrowException, OSError, ValueError)
        try:
            self._file = parquet.ParquetFile(binary, memory_map=False)
            groups = [self._file.metadata.row_group(at) for at in range(self._file.metadata.num_row_groups)]
        except self._broken:
            raise ImportFileError("the file is not a Parquet file, or is damaged") from None
        if any(group.total_byte_size > _MOST_IN_A_GROUP for group in groups):
            raise ImportFileError("a group of rows is larger than 512 MiB unpacked: write the file with smaller ones")
        self.count: int = self._file.metadata.num_rows
        self.read = 0
        self._whole = whole

    def __iter__(self) -> Iterator[Record]:
        """Every row; the first is row 1.

        Raises:
            ImportFileError: The file turns out to be damaged.
        """
        try:
            for batch in self._file.iter_batches(batch_size=_AT_ONCE):
                for row in batch.to_pylist():
                    self.read += 1
                    yield _record(self.read, row, self._whole)
        except self._broken:
            raise ImportFileError(f"the file is damaged behind row {self.read}") from None


def _record(number: int, row: dict[str, Any], whole: frozenset[str]) -> Record:
    try:
        return Record(number, number, flattened({name: _plain(value) for name, value in row.items()}, whole))
    except RowRefusedError as refused:
        return Record(number, number, {}, refused.fault)


def _plain(value: Any) -> Any:
    """A value as JSON Lines would have given it."""
    match value:
        case None | bool() | int() | str() | Decimal():
            return value
        case float():
            if not isfinite(value):
                raise RowRefusedError(Fault.INVALID_NUMBER)
            return Decimal(repr(value))
        case datetime():
            return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case _:
            raise RowRefusedError(Fault.INVALID_VALUE)
