"""The file that says what is wrong with which row: never a value, and safe to open in a spreadsheet."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from customers.collection.model import HELP, RowFault
from customers.errors import ImportFileError

HEADER = ("row", "line", "column", "reason", "help")
# A spreadsheet takes a cell for a formula by its first character (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def errors_file_for(source: Path) -> Path:
    """Where the errors of a file go unless another place is given: beside it, as `<file>.errors.csv`."""
    return source.with_name(f"{source.name}.errors.csv")


def spreadsheet_safe(cell: str) -> str:
    """The cell so that no spreadsheet runs it: with an apostrophe before it where it could be a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


class ErrorsFile:
    """Writes faults as they are found; made with the first of them, and readable by its owner only.

    A new run removes what an earlier one left; a resumed one adds to it.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        self._resumed = resumed
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if not self._resumed:
            self._path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    @property
    def path(self) -> Path | None:
        """The file, where there is one by now."""
        return self._path if self._file or (self._resumed and self._path.exists()) else None

    def write(self, faults: Iterable[RowFault]) -> None:
        """Add these faults, and let the operating system have them.

        Raises:
            ImportFileError: The file cannot be made.
        """
        rows = [
            (fault.number, fault.line, spreadsheet_safe(fault.column), fault.fault.value, HELP[fault.fault])
            for fault in faults
        ]
        if rows:
            file = self._file or self._open()
            csv.writer(file).writerows(rows)
            file.flush()

    def _open(self) -> TextIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            handle = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise ImportFileError(f"the errors file cannot be made: {os.strerror(error.errno or 0)}") from None
        self._file = os.fdopen(handle, "a", encoding="utf-8", newline="")
        if os.fstat(handle).st_size == 0:
            csv.writer(self._file).writerow(HEADER)
        return self._file
