"""`confide import`: profiles from a CSV, JSON Lines or Parquet file."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from customers.collection import (
    ImportMapping,
    ImportReport,
    Progress,
    guess,
    import_profiles,
    load_mapping,
    open_table,
)
from customers.collection.reader import Format
from customers.collection.service import ImportWriter
from customers.errors import ImportStoppedError
from policies import LawfulBasis, load_policies
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.clock import utc_now
from server.platform import Platform
from server.settings import load_settings

# A batch is one read, with a read's deadline; a row that changes a known customer takes several durable writes.
_BATCH = 25
# How long a process may hold its lease after it died, and a little more.
_LEASE_SECONDS = 10.0
_LOOK_SECONDS = 0.5


def import_file(
    source: Annotated[
        Path, typer.Argument(help="The file: CSV, JSON Lines or Parquet.", exists=True, dir_okay=False)
    ],
    mapping: Annotated[
        Path | None, typer.Option(help="What each column becomes: TOML or JSON (docs/imports.md).")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Print a guessed mapping and write nothing.")] = False,  # noqa: FBT002
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row and write nothing.")] = False,  # noqa: FBT002
    resume_from: Annotated[
        int | None, typer.Option(help="The row to begin with, from an earlier run's error.")
    ] = None,
    errors_to: Annotated[
        Path | None, typer.Option(help="Where rejected rows go; by default FILE.errors.csv.")
    ] = None,
    as_format: Annotated[
        Format | None, typer.Option("--format", help="What the file is, where its name does not tell.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Import profiles. Rows that name a known customer change that profile; a bad row is reported and not written.

    Without --mapping the columns are guessed by their names: look at the guess with --preview first.
    Exits with 3 when rows were rejected.

    Example: confide import customers.csv --mapping customers.toml --dry-run
    """
    purposes = frozenset(
        name
        for name, purpose in load_policies(load_settings().policy_dir).purposes.items()
        if purpose.basis is LawfulBasis.CONSENT
    )
    if preview:
        with open_table(source, as_format=as_format) as table:
            out.print(guess(table, consent_purposes=purposes).toml(), markup=False)
        return
    found = _mapping(source, mapping, purposes, as_format)
    report = _run(source, found, dry_run=dry_run, resume_from=resume_from, errors_to=errors_to, as_format=as_format)
    if as_json:
        print_json(_document(report))
    else:
        _tell(report)
    if report.rejected:
        raise typer.Exit(3)


def _mapping(source: Path, mapping: Path | None, purposes: frozenset[str], as_format: Format | None) -> ImportMapping:
    if mapping is not None:
        return load_mapping(mapping, consent_purposes=purposes)
    with open_table(source, as_format=as_format) as table:
        return guess(table, consent_purposes=purposes).mapping()


def _run(
    source: Path,
    mapping: ImportMapping,
    *,
    dry_run: bool,
    resume_from: int | None,
    errors_to: Path | None,
    as_format: Format | None,
) -> ImportReport:
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True

    with progress("Checking, bytes" if dry_run else "Importing, bytes") as advance:

        def on_progress(now: Progress) -> None:
            advance(now.bytes_read, now.bytes_total)

        async def imported(writer: Any) -> ImportReport:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            return await import_profiles(
                source,
                mapping,
                writer,
                now=utc_now,
                batch=_BATCH,
                dry_run=dry_run,
                resume_from=resume_from,
                on_progress=on_progress,
                errors_to=errors_to,
                as_format=as_format,
                stop=lambda: told,
            )

        async def work(platform: Platform) -> ImportReport:
            await _undo_half_made(platform)
            access = platform.access(operator(), ("client_app",), "data_import", operation="confide import")
            return await imported(ImportWriter(platform.services.writer, platform.vault, access, now=platform.now))

        try:
            # A dry run needs no database.
            return asyncio.run(imported(None)) if dry_run else with_platform(work)
        except ImportStoppedError as error:
            err.print(f"The import stopped. Resume it with --resume-from {error.resume_from}.")
            if told:
                raise KeyboardInterrupt from None
            raise


async def _undo_half_made(platform: Platform) -> None:
    """Undo what an import that was killed left half made, or its rows could not be written: they hold the identifiers.

    A process that was killed is missed after a lease. What a process that is well is making now is left alone.
    """
    creations = platform.main["creations"]
    deadline = time.monotonic() + _LEASE_SECONDS
    while await creations.find_one({}) is not None and time.monotonic() < deadline:
        if await platform.services.eraser.sweep():
            err.print("An import before this one was cut off; what it left half made was undone.")
        else:
            await asyncio.sleep(_LOOK_SECONDS)


def _tell(report: ImportReport) -> None:
    verb = "would be written" if report.dry_run else "written"
    out.print(f"{_count(report.rows, 'row')}: {_written(report)} {verb}, {report.rejected} rejected.")
    if not report.dry_run:
        out.print(f"{_count(report.created, 'profile')} created, {report.updated} updated.")
    for fault, count in report.by_reason.items():
        out.print(f"  {count:>8}  {fault.value}")
    if report.errors_file is not None:
        out.print(f"Rejected rows, by number and reason: {report.errors_file}", markup=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _written(report: ImportReport) -> int:
    """The rows that were written, or in a dry run would be: the writer may refuse what the check accepts."""
    return report.accepted if report.dry_run else report.created + report.updated


def _document(report: ImportReport) -> dict[str, Any]:
    return {
        "rows": report.rows,
        "accepted": report.accepted,
        "written": 0 if report.dry_run else _written(report),
        "created": report.created,
        "updated": report.updated,
        "rejected": report.rejected,
        "by_reason": {fault.value: count for fault, count in report.by_reason.items()},
        "errors_file": None if report.errors_file is None else str(report.errors_file),
        "dry_run": report.dry_run,
    }
