"""`confide import`: profiles, orders, tickets and events from a CSV, JSON Lines or Parquet file."""

import asyncio
import hashlib
import shlex
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from customers.collection import (
    ImportKind,
    ImportMapping,
    ImportReport,
    Progress,
    RowWriter,
    UnknownCustomers,
    guess,
    import_rows,
    load_mapping,
    open_table,
)
from customers.collection.counted_import import Importing, OrderImportWriter, Parts, TicketImportWriter
from customers.collection.event_import import EventImportWriter
from customers.collection.reader import Format
from customers.collection.service import ImportWriter
from customers.errors import ImportFileError, ImportStoppedError, SourceNotFoundError
from customers.profiles.store import CustomerStore
from policies import LawfulBasis, load_policies
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.clock import utc_now
from server.platform import Platform
from server.settings import load_settings

_BATCH = 100
_ONE = {
    ImportKind.PROFILES: "profile",
    ImportKind.ORDERS: "order",
    ImportKind.TICKETS: "ticket",
    ImportKind.EVENTS: "event",
}
# How long a process may hold its lease after it died, and a little more.
_LEASE_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_ENDS = 65_536


@dataclass(frozen=True)
class _Command:
    """What was typed."""

    source: Path
    of: ImportKind
    mapping: Path | None
    origin: str | None
    dry_run: bool
    resume_from: int | None
    errors_to: Path | None
    as_format: Format | None
    as_json: bool

    def going_on(self, row: int) -> str:
        """The very command that goes on from a row, to be typed as it is."""
        options: list[tuple[str, object]] = [
            ("--of", None if self.of is ImportKind.PROFILES else self.of.value),
            ("--source", self.origin),
            ("--mapping", self.mapping),
            ("--errors-to", self.errors_to),
            ("--format", None if self.as_format is None else self.as_format.value),
            ("--resume-from", row),
        ]
        words = ["confide", "import", str(self.source)]
        words += [str(word) for name, value in options if value is not None for word in (name, value)]
        words += ["--dry-run"] if self.dry_run else []
        words += ["--json"] if self.as_json else []
        return shlex.join(words)


def import_file(
    source: Annotated[
        Path, typer.Argument(help="The file: CSV, JSON Lines or Parquet.", exists=True, dir_okay=False)
    ],
    of: Annotated[ImportKind, typer.Option(help="What the file is full of.")] = ImportKind.PROFILES,
    origin: Annotated[
        str | None, typer.Option("--source", help="The source of events whose they are; events need one.")
    ] = None,
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
    """Import profiles, orders, tickets or events. What is imported again is not made twice.

    Rows that name a known customer, order or ticket change it; a bad row is reported and not written.
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
        with open_table(source, as_format=as_format, of=of) as table:
            out.print(guess(table, consent_purposes=purposes, of=of).toml(), markup=False)
        return
    command = _Command(source, of, mapping, origin, dry_run, resume_from, errors_to, as_format, as_json)
    if of is ImportKind.EVENTS and origin is None and not dry_run:
        raise ImportFileError("events are a source's: say which with --source (confide sources list)")
    report = _run(command, _mapping(command, purposes))
    if as_json:
        print_json(_document(report, of))
    else:
        _tell(report, of)
    if report.rejected:
        raise typer.Exit(3)


def _mapping(command: _Command, purposes: frozenset[str]) -> ImportMapping:
    if command.mapping is not None:
        found = load_mapping(command.mapping, consent_purposes=purposes, of=command.of)
    else:
        with open_table(command.source, as_format=command.as_format, of=command.of) as table:
            found = guess(table, consent_purposes=purposes, of=command.of).mapping()
    return found if command.origin is None else replace(found, source=command.origin)


def _run(command: _Command, mapping: ImportMapping) -> ImportReport:
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True

    with progress("Checking, bytes" if command.dry_run else "Importing, bytes") as advance:

        def on_progress(now: Progress) -> None:
            advance(now.bytes_read, now.bytes_total)

        async def imported(writer: RowWriter | None) -> ImportReport:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            return await import_rows(
                command.source,
                mapping,
                writer,
                now=utc_now,
                batch=_BATCH,
                dry_run=command.dry_run,
                resume_from=command.resume_from,
                on_progress=on_progress,
                errors_to=command.errors_to,
                as_format=command.as_format,
                stop=lambda: told,
            )

        async def work(platform: Platform) -> ImportReport:
            await _undo_half_made(platform)
            report = await imported(await _writer(platform, command, mapping))
            if command.of is ImportKind.EVENTS:  # every profile has heard of them when the command ends
                await platform.collecting.applier.settle()
            return report

        try:
            # A dry run needs no database.
            return asyncio.run(imported(None)) if command.dry_run else with_platform(work)
        except ImportStoppedError as error:
            err.print("The import stopped. Every row before was dealt with; go on with:")
            err.print(f"  {command.going_on(error.resume_from)}", markup=False)
            if told:
                raise KeyboardInterrupt from None
            raise


async def _writer(platform: Platform, command: _Command, mapping: ImportMapping) -> RowWriter:
    """What writes the rows, as the operator who typed the command."""
    access = platform.access(
        operator(), ("client_app",), "data_import", operation=f"confide import --of {command.of}"
    )
    writer, vault = platform.services.writer, platform.vault
    profiles = ImportWriter(
        writer, vault, access, now=platform.now, source=mapping.source or command.source.name[:200]
    )
    if command.of is ImportKind.PROFILES:
        return profiles
    if command.of is ImportKind.EVENTS:
        source = await platform.sources.named(command.origin or "")
        if source is None or source.disabled:
            raise SourceNotFoundError
        return EventImportWriter(platform.intake, source, writer, access, now=platform.now)
    parts = Parts(
        platform.main,
        CustomerStore(platform.main),
        writer,
        vault,
        policies=lambda: platform.policies.current,
        now=platform.now,
    )
    creates = mapping.unknown_customers is UnknownCustomers.CREATE
    importing = Importing(_name_of(platform, command.source), mapping.source, profiles if creates else None)
    kind = OrderImportWriter if command.of is ImportKind.ORDERS else TicketImportWriter
    return kind(parts, access, importing)


def _name_of(platform: Platform, source: Path) -> str:
    """A name for exactly this file, as it is now: by it a row that is imported again is told from another row."""
    about = source.stat()
    with source.open("rb") as file:
        ends = file.read(_ENDS)
        file.seek(max(0, about.st_size - _ENDS))
        ends += file.read(_ENDS)
    return platform.vault.digest(
        "import", str(about.st_size), str(about.st_mtime_ns), hashlib.sha256(ends).hexdigest()
    ).hex()


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


def _tell(report: ImportReport, of: ImportKind) -> None:
    if report.dry_run:
        out.print(f"{_count(report.rows, 'row')}: {report.accepted} would be written, {report.rejected} rejected.")
    else:
        written = report.created + report.updated
        if of is ImportKind.PROFILES:
            out.print(f"{_count(report.rows, 'row')}: {written} written, {report.rejected} rejected.")
        else:
            out.print(
                f"{_count(report.rows, 'row')}: {report.rows - report.rejected} taken, {report.rejected} rejected."
            )
        more = f", {report.unchanged} were there already" if report.unchanged else ""
        out.print(f"{_count(report.created, _ONE[of])} created, {report.updated} updated{more}.")
    for fault, count in report.by_reason.items():
        out.print(f"  {count:>8}  {fault.value}")
    if report.errors_file is not None:
        out.print(f"Rejected rows, by number and reason: {report.errors_file}", markup=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _document(report: ImportReport, of: ImportKind) -> dict[str, Any]:
    return {
        "of": of.value,
        "rows": report.rows,
        "accepted": report.accepted,
        "written": 0 if report.dry_run else report.created + report.updated,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "by_reason": {fault.value: count for fault, count in report.by_reason.items()},
        "errors_file": None if report.errors_file is None else str(report.errors_file),
        "dry_run": report.dry_run,
    }
