"""The file that says what is wrong with which row: never a value, and safe to open in a spreadsheet."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from audit.spreadsheet import spreadsheet_safe
from customers.collection.model import HELP, RowFault
from customers.errors import ImportFileError

HEADER = ("row", "line", "column", "reason", "help")


def errors_file_for(source: Path) -> Path:
    """Where the errors of a file go unless another place is given: beside it, as `<file>.errors.csv`."""
    return source.with_name(f"{source.name}.errors.csv")


class ErrorsFile:
    """Writes faults as they are found, into a file that only its owner may read and that is gone if there were none.

    A new run replaces what an earlier one left; a resumed one adds to it.

    Raises:
        ImportFileError: On entry, if the file cannot be made.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self._path = path
        self._resumed = resumed
        self._file: TextIO | None = None
        self._empty = True

    def __enter__(self) -> Self:
        # Only a regular file is replaced, and none is followed elsewhere.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(self._path, flags if self._resumed else flags | os.O_TRUNC, 0o600)
        except OSError as error:
            raise ImportFileError(f"the errors file cannot be made: {os.strerror(error.errno or 0)}") from None
        self._file = os.fdopen(handle, "a", encoding="utf-8", newline="")
        self._empty = os.fstat(handle).st_size == 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
        if self._empty:
            self._path.unlink(missing_ok=True)

    @property
    def path(self) -> Path | None:
        """The file, where it has faults in it."""
        return None if self._empty else self._path

    def write(self, faults: Iterable[RowFault]) -> None:
        """Add these faults, and hand them to the operating system.

        Raises:
            OSError: They cannot be written.
        """
        rows = [
            (fault.number, fault.line, spreadsheet_safe(fault.column), fault.fault.value, HELP[fault.fault])
            for fault in faults
        ]
        if rows and self._file:
            writer = csv.writer(self._file)
            if self._empty:
                writer.writerow(HEADER)
                self._empty = False
            writer.writerows(rows)
            self._file.flush()
