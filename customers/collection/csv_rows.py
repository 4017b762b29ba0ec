"""Rows of CSV as RFC 4180 has them: a quoted cell may hold line breaks, and quotes written twice.

A row that breaks the rules is a fault of that row alone; reading goes on with the line after its first. So that the
rest of a broken row cannot pass for a row, a quote inside a cell that is not quoted is a fault as well.
"""

import csv
import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator

from customers.collection.encoding import REPLACEMENT, Line
from customers.collection.model import Fault
from customers.collection.records import MAX_CELL, MAX_COLUMNS, MAX_ROW, MAX_UNCLOSED, Record
from customers.errors import HeaderInvalidError, ImportFileError, ImportStoppedError

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 20
_DATA = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+?[\d\s().-]{5,}|\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


class Feed:
    """Lines for the csv module, with those of the row in hand kept so that they can be put back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._back: deque[Line] = deque()
        self._row: list[Line] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self._row.append(line)
        self._size += len(line.text)
        if line.too_long or self._size > MAX_ROW:
            raise _TooLongError
        return line.text

    def begin(self) -> None:
        """Forget the row before."""
        self._row.clear()
        self._size = 0

    def put_back(self) -> bool:
        """Keep only the first line of the row, and hand the others out again; whether there were any."""
        rest = self._row[1:]
        self._back.extendleft(reversed(rest))
        return bool(rest)

    @property
    def line(self) -> int:
        """The line on which the row in hand begins."""
        return self._row[0].number

    @property
    def text(self) -> str:
        """The row in hand as it stands in the file."""
        return "".join(line.text for line in self._row)


class _TooLongError(Exception):
    """Raised through the csv module when a row passes the limit."""


def sniff_delimiter(sample: str) -> str:
    """The delimiter by which the first rows have the most columns while agreeing on how many; else a comma."""
    complete = sample.splitlines(keepends=True)[: 4 * _SAMPLE_ROWS]

    def score(delimiter: str) -> tuple[int, int]:
        widths: list[int] = []
        try:
            for row in csv.reader(complete, delimiter=delimiter):
                widths += [len(row)] if row else []
                if len(widths) == _SAMPLE_ROWS:
                    break
        except csv.Error:
            return (0, 0)
        if not widths or widths[0] == 1:
            return (0, 0)
        return (widths.count(widths[0]) * 100 // len(widths), widths[0])

    return max(DELIMITERS, key=score)


def csv_header(lines: Iterable[Line], delimiter: str) -> tuple[tuple[str, ...], Feed]:
    """The names of the columns, trimmed, and what follows them.

    Raises:
        HeaderInvalidError: A name is missing, stands twice, cannot be read, or looks like data. Columns are named by
            position, because what stands in a first row that is no header is somebody's data.
    """
    if delimiter not in DELIMITERS:
        raise ImportFileError("the delimiter must be a comma, a semicolon, a tab or a bar")
    feed = Feed(lines)
    try:
        cells = next(_reader(feed, delimiter))
    except (csv.Error, _TooLongError, StopIteration):
        raise HeaderInvalidError("the first row cannot be read as a header of column names") from None
    if not _well_formed(feed.text, delimiter):
        raise HeaderInvalidError("the first row cannot be read as a header of column names")
    names = tuple(unicodedata.normalize("NFC", cell).strip() for cell in cells)
    _check_names(names)
    return names, feed


def csv_rows(feed: Feed, delimiter: str, columns: tuple[str, ...]) -> Iterator[Record]:
    """Every row after the header that is not blank, numbered as a spreadsheet does: the header is row 1.

    Raises:
        ImportStoppedError: More than a hundred quotes were never closed.
    """
    reader = _reader(feed, delimiter)
    number = 1
    unclosed = 0
    while True:
        number += 1
        feed.begin()
        fault = None
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            fault = Fault.ROW_TOO_LONG
        except csv.Error:
            fault = Fault.BAD_QUOTING
        if fault is None and not _well_formed(feed.text, delimiter):
            fault = Fault.BAD_QUOTING
        line = feed.line
        if fault:
            if feed.put_back():
                unclosed += 1
                if unclosed > MAX_UNCLOSED:
                    raise ImportStoppedError(
                        number, "too many quotes are opened and never closed: check the delimiter"
                    )
            # The csv module keeps the state of the row that failed.
            reader = _reader(feed, delimiter)
            yield Record(number, line, {}, fault)
        elif cells:
            yield _record(number, line, columns, cells)


def _record(number: int, line: int, columns: tuple[str, ...], cells: list[str]) -> Record:
    if len(cells) != len(columns):
        return Record(number, line, {}, Fault.COLUMN_COUNT)
    for position, cell in enumerate(cells, start=1):
        if "\0" in cell:
            return Record(number, line, {}, Fault.NUL_CHARACTER, position)
        if REPLACEMENT in cell:
            return Record(number, line, {}, Fault.BAD_ENCODING, position)
        if len(cell) > MAX_CELL:
            return Record(number, line, {}, Fault.FIELD_TOO_LONG, position)
    return Record(number, line, dict(zip(columns, cells, strict=True)))


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) > MAX_COLUMNS:
        raise HeaderInvalidError(f"the file has more than {MAX_COLUMNS} columns")
    if any("\0" in name or REPLACEMENT in name for name in names):
        raise HeaderInvalidError("the names of the columns cannot be read; declare the encoding of the file")
    if any(_DATA.fullmatch(name) for name in names):
        raise HeaderInvalidError("the first row looks like data; put a row with the names of the columns above it")
    empty = [str(position) for position, name in enumerate(names, start=1) if not name]
    if empty:
        raise HeaderInvalidError(f"the header has no name for column {', '.join(empty)}")
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        first = seen.setdefault(name.casefold(), position)
        if first != position:
            raise HeaderInvalidError(f"columns {first} and {position} have the same name; rename or remove one")


def _reader(feed: Feed, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(feed, delimiter=delimiter, strict=True)


_SHAPES = {
    mark: re.compile(
        rf'(?:"[^"]*(?:""[^"]*)*"|[^"{re.escape(mark)}\r\n]*)'
        rf'(?:{re.escape(mark)}(?:"[^"]*(?:""[^"]*)*"|[^"{re.escape(mark)}\r\n]*))*(?:\r\n|\r|\n)?'
    )
    for mark in DELIMITERS
}


def _well_formed(text: str, delimiter: str) -> bool:
    """Whether quotes stand only where RFC 4180 lets them; most rows have none, and pass unread."""
    return '"' not in text or _SHAPES[delimiter].fullmatch(text) is not None
