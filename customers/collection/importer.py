"""Importing profiles from a file: row by row, each whole or not at all, and every refused one reported."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from audit import AuditError
from customers.collection.errors_file import ErrorsFile, errors_file_for
from customers.collection.mapping import ImportMapping
from customers.collection.model import (
    Fault,
    ImportReport,
    ProfileRow,
    ProfileWriter,
    Progress,
    Result,
    RowFault,
    RowOutcome,
)
from customers.collection.reader import Table, open_table
from customers.collection.records import Record
from customers.collection.validation import RowReader
from customers.errors import CustomersError, ImportFileError, ImportStoppedError
from vault import VaultError


async def import_profiles(
    source: Path,
    mapping: ImportMapping,
    writer: ProfileWriter | None,
    *,
    now: Callable[[], datetime],
    dry_run: bool = False,
    batch: int = 100,
    resume_from: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    errors_to: Path | None = None,
    as_format: str | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> ImportReport:
    """Import the profiles of a CSV or JSON Lines file, in batches, in bounded memory.

    A row with a fault is not written at all; its number, column and reason go to the errors file, never a value. What
    a dry run accepts differs from what is written only by what the writer finds in the database.

    Args:
        source: The file.
        mapping: What each column becomes.
        writer: Writes the rows; not called in a dry run, which needs none.
        now: The time, which no date of birth may pass.
        dry_run: Whether to only check.
        batch: How many rows are handed to the writer at once.
        resume_from: The row to begin with, from the error that stopped an earlier run.
        on_progress: Called after each batch.
        errors_to: The errors file, `<file>.errors.csv` where it is not said.
        as_format: `csv` or `jsonl`, where the name of the file does not tell.
        stop: Asked after each batch whether to end here.

    Raises:
        ImportFileError: The file or the mapping cannot be used, or has no row to resume from; nothing was written.
        ImportStoppedError: The import ended early, with the row to resume from.
    """
    if writer is None and not dry_run:
        raise ValueError("an import that is not a dry run needs a writer")
    faults_to = errors_to or errors_file_for(source)
    if faults_to.resolve() == source.resolve():
        raise ImportFileError("the errors file would replace the file that is imported")
    with (
        open_table(source, as_format=as_format, encoding=mapping.encoding, delimiter=mapping.delimiter) as table,
        ErrorsFile(faults_to, resumed=resume_from is not None) as errors,
    ):
        run = _Run(table, RowReader(mapping, table.columns, now), None if dry_run else writer, errors)
        for records in _batches(table.rows, batch, resume_from or 0):
            await run.settle(records)
            if on_progress:
                on_progress(run.progress())
            # Reading and checking are work of the processor: let others have a turn.
            await asyncio.sleep(0)
            if stop() and not run.stopped and isinstance(records[-1], Record):
                raise ImportStoppedError(records[-1].number + 1, "it was told to stop")
        if resume_from and not run.seen:
            raise ImportFileError(f"the file has no row {resume_from} or later to resume from")
        if run.stopped:
            raise run.stopped
        return run.report(dry_run=dry_run)


def _batches(records: Iterator[Record], size: int, first: int) -> Iterator[list[Record | ImportStoppedError]]:
    """The rows from `first` on in lists of `size`; where the file cannot be read further, why is the last item."""

    def wanted() -> Iterator[Record | ImportStoppedError]:
        number = 0
        try:
            for record in records:
                number = record.number
                if number >= first:
                    yield record
        except ImportStoppedError as error:
            yield error
        except OSError:
            yield ImportStoppedError(number + 1, "the file cannot be read further")

    rows = wanted()
    while found := list(islice(rows, size)):
        yield found


def _why(error: Exception) -> str:
    """Our own words hold no value and are repeated; those of others may hold what was sent, so they are named only."""
    ours = (AuditError, CustomersError, VaultError)
    return str(error).rstrip(".") if isinstance(error, ours) else type(error).__name__


class _Run:
    """The counts of one import, and what each batch adds to them."""

    def __init__(self, table: Table, reader: RowReader, writer: ProfileWriter | None, errors: ErrorsFile) -> None:
        self._table = table
        self._reader = reader
        self._writer = writer
        self._errors = errors
        self._rows = self._accepted = self._rejected = 0
        self._results: Counter[Result] = Counter()
        self._faults: Counter[Fault] = Counter()
        self.stopped: ImportStoppedError | None = None

    @property
    def seen(self) -> bool:
        """Whether there was a row, or anything else to tell of."""
        return bool(self._rows or self.stopped)

    async def settle(self, records: Sequence[Record | ImportStoppedError]) -> None:
        """Read, write and report one batch; the errors file gets nothing of it unless the writer is done with it."""
        good: list[ProfileRow] = []
        faults: list[RowFault] = []
        for record in records:
            if isinstance(record, ImportStoppedError):
                self.stopped = record
                continue
            read = self._reader.read(record)
            if isinstance(read, ProfileRow):
                good.append(read)
            else:
                faults += read
        first = next((record.number for record in records if isinstance(record, Record)), 0)
        if self._writer and good:
            faults += self._tally(good, await self._written(self._writer, good, first))
        try:
            self._errors.write(sorted(faults, key=lambda fault: fault.number))
        except OSError as error:
            raise ImportStoppedError(first, "the errors file cannot be written") from error
        self._rows += sum(isinstance(record, Record) for record in records)
        self._accepted += len(good)
        self._rejected += len({fault.number for fault in faults})
        self._faults.update(fault.fault for fault in faults)

    async def _written(self, writer: ProfileWriter, rows: list[ProfileRow], first: int) -> Sequence[RowOutcome]:
        try:
            return await writer.write(rows)
        except Exception as error:
            raise ImportStoppedError(first, f"the rows could not be written ({_why(error)})") from error

    def _tally(self, rows: list[ProfileRow], outcomes: Sequence[RowOutcome]) -> Iterator[RowFault]:
        for row, outcome in zip(rows, outcomes, strict=True):
            self._results[outcome.result] += 1
            if outcome.result is Result.REJECTED:
                yield RowFault(row.number, row.line, outcome.fault or Fault.REFUSED, outcome.field)

    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(
            self._rows,
            self._results[Result.CREATED],
            self._results[Result.UPDATED],
            self._rejected,
            self._table.bytes_read,
            self._table.bytes_total,
        )

    def report(self, *, dry_run: bool) -> ImportReport:
        """What was done."""
        return ImportReport(
            rows=self._rows,
            accepted=self._accepted,
            created=self._results[Result.CREATED],
            updated=self._results[Result.UPDATED],
            rejected=self._rejected,
            by_reason=dict(sorted(self._faults.items())),
            errors_file=self._errors.path,
            encoding=self._table.encoding,
            dry_run=dry_run,
        )
