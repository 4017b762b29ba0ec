"""Importing from a file: row by row, each whole or not at all, and every refused one reported."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from audit import AuditError
from customers.collection.errors_file import ErrorsFile, errors_file_for
from customers.collection.event_rows import EventReader
from customers.collection.mapping import ImportMapping
from customers.collection.model import (
    Fault,
    ImportKind,
    ImportReport,
    Progress,
    Result,
    Row,
    RowFault,
    RowOutcome,
    RowWriter,
)
from customers.collection.order_rows import OrderReader
from customers.collection.reader import Table, open_table
from customers.collection.records import Record
from customers.collection.ticket_rows import TicketReader
from customers.collection.validation import RowReader
from customers.errors import CustomersError, ImportFileError, ImportStoppedError
from vault import VaultError

_READERS: Mapping[ImportKind, type[RowReader]] = {
    ImportKind.PROFILES: RowReader,
    ImportKind.ORDERS: OrderReader,
    ImportKind.TICKETS: TicketReader,
    ImportKind.EVENTS: EventReader,
}
# Orders have several rows; a batch has at most so many for each that it may hold.
_ROWS = 20


async def import_rows(
    source: Path,
    mapping: ImportMapping,
    writer: RowWriter | None,
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
    """Import what a CSV, JSON Lines or Parquet file is full of, in batches, in bounded memory.

    A row with a fault is not written at all; its number, column and reason go to the errors file, never a value. What
    a dry run accepts differs from what is written only by what the writer finds in the database.

    Args:
        source: The file.
        mapping: What each column becomes.
        writer: Writes the rows; not called in a dry run, which needs none.
        now: The time, which nothing in the file may be later than by much.
        dry_run: Whether to only check.
        batch: How many rows, or orders of several rows, are handed to the writer at once.
        resume_from: The row to begin with, from the error that stopped an earlier run.
        on_progress: Called after each batch.
        errors_to: The errors file, `<file>.errors.csv` where it is not said.
        as_format: `csv`, `jsonl` or `parquet`, where the name of the file does not tell.
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
        open_table(
            source, as_format=as_format, encoding=mapping.encoding, delimiter=mapping.delimiter, of=mapping.of
        ) as table,
        ErrorsFile(faults_to, resumed=resume_from is not None) as errors,
    ):
        reader = _READERS[mapping.of](mapping, table.columns, now)
        run = _Run(table, reader, None if dry_run else writer, errors)
        for units in _batches(table.rows, reader, batch, resume_from or 0):
            await run.settle(units)
            if on_progress:
                on_progress(run.progress())
            # Reading and checking are work of the processor: let others have a turn.
            await asyncio.sleep(0)
            last = units[-1]
            if stop() and not run.stopped and not isinstance(last, ImportStoppedError):
                raise ImportStoppedError(last[-1].number + 1, "it was told to stop")
        if resume_from and not run.seen:
            raise ImportFileError(f"the file has no row {resume_from} or later to resume from")
        if run.stopped:
            raise run.stopped
        return run.report(dry_run=dry_run)


def _batches(
    records: Iterator[Record], reader: RowReader, size: int, first: int
) -> Iterator[list[tuple[Record, ...] | ImportStoppedError]]:
    """What belongs together from row `first` on, in lists of about `size`; where the file cannot be read further, why.

    What begins before `first` and ends behind it is there as a whole.
    """
    stopped: list[ImportStoppedError] = []

    def readable() -> Iterator[Record]:
        number = 0
        try:
            for record in records:
                number = record.number
                yield record
        except ImportStoppedError as error:
            stopped.append(error)
        except OSError:
            stopped.append(ImportStoppedError(number + 1, "the file cannot be read further"))

    held: list[tuple[Record, ...] | ImportStoppedError] = []
    rows = 0
    for unit in reader.units(readable()):
        if unit[-1].number < first:
            continue
        held.append(unit)
        rows += len(unit)
        if len(held) >= size or rows >= _ROWS * size:
            yield held
            held, rows = [], 0
    held += stopped
    if held:
        yield held


def _why(error: Exception) -> str:
    """Our own words hold no value and are repeated; those of others may hold what was sent, so they are named only."""
    ours = (AuditError, CustomersError, VaultError)
    return str(error).rstrip(".") if isinstance(error, ours) else type(error).__name__


class _Run:
    """The counts of one import, and what each batch adds to them."""

    def __init__(self, table: Table, reader: RowReader, writer: RowWriter | None, errors: ErrorsFile) -> None:
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

    async def settle(self, units: Sequence[tuple[Record, ...] | ImportStoppedError]) -> None:
        """Read, write and report one batch; the errors file gets nothing of it unless the writer is done with it."""
        good: list[Row] = []
        faults: list[RowFault] = []
        rows, first = 0, 0
        for unit in units:
            if isinstance(unit, ImportStoppedError):
                self.stopped = unit
                continue
            rows, first = rows + len(unit), first or unit[0].number
            read = self._reader.read(unit)
            if isinstance(read, tuple):
                faults += read
            else:
                good.append(read)
        if self._writer and good:
            faults += self._tally(good, await self._written(self._writer, good, first))
        try:
            self._errors.write(sorted(faults, key=lambda fault: fault.number))
        except OSError as error:
            raise ImportStoppedError(first, "the errors file cannot be written") from error
        self._rows += rows
        self._accepted += sum(len(row.lines) for row in good)
        self._rejected += len({fault.number for fault in faults})
        self._faults.update(fault.fault for fault in faults)

    async def _written(self, writer: RowWriter, rows: list[Row], first: int) -> Sequence[RowOutcome]:
        try:
            return await writer.write(rows)
        except Exception as error:
            raise ImportStoppedError(first, f"the rows could not be written ({_why(error)})") from error

    def _tally(self, rows: list[Row], outcomes: Sequence[RowOutcome]) -> Iterator[RowFault]:
        for row, outcome in zip(rows, outcomes, strict=True):
            self._results[outcome.result] += 1
            if outcome.result is Result.REJECTED:
                for number, line in row.lines:
                    yield RowFault(number, line, outcome.fault or Fault.REFUSED, outcome.field)

    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(
            self._rows,
            self._results[Result.CREATED],
            self._results[Result.UPDATED],
            self._results[Result.UNCHANGED],
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
            unchanged=self._results[Result.UNCHANGED],
            rejected=self._rejected,
            by_reason=dict(sorted(self._faults.items())),
            errors_file=self._errors.path,
            encoding=self._table.encoding,
            dry_run=dry_run,
        )
